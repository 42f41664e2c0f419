//! What goes over the wire, the same types for the server and the client.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use graph::{CanonicalKey, EntityId, Kind, NewEvent, Patch, Properties, TxId};
use serde::{Deserialize, Serialize};

use crate::commit::{AbortReason, EntityView, IdempotencyKey, LinkView, Status};
use crate::damage::DamagedRecord;
use crate::events::DamagedPosition;
use crate::ledger::AuditEntry;
use crate::neighbourhood::{Neighbour, Place};
use crate::operations::{Alert, Freshness, InDoubt};
use crate::reconcile::{Case, Policy};

/// The header that carries a transaction's idempotency key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest idempotency key, in bytes.
pub const KEY_BYTES_MAX: usize = 200;

/// Why a text is not an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty, or longer than [`KEY_BYTES_MAX`].
    #[error("an idempotency key has 1 to {KEY_BYTES_MAX} characters, this one has {0}")]
    Length(usize),
    /// A character that a header does not carry as it is.
    #[error("an idempotency key consists of visible ASCII characters without spaces")]
    Character,
}

/// Checks the characters and the length of an idempotency key.
pub fn parse_key(text: &[u8]) -> Result<IdempotencyKey, KeyError> {
    if !(1..=KEY_BYTES_MAX).contains(&text.len()) {
        return Err(KeyError::Length(text.len()));
    }
    if !text.iter().all(u8::is_ascii_graphic) {
        return Err(KeyError::Character);
    }
    Ok(IdempotencyKey(text.iter().copied().map(char::from).collect()))
}

/// The body of `POST /transactions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// What to do, in order, all or nothing.
    pub operations: Patch,
}

/// What is known about a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outcome {
    /// Both stores have it, or will have it.
    Committed {
        /// The transaction.
        tx: TxId,
        /// The ids that it made, by the labels of the patch, for as long as its record is sound.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        created: BTreeMap<EntityId, EntityId>,
    },
    /// Neither store has it, nor ever will.
    Aborted {
        /// The transaction.
        tx: TxId,
        /// Why.
        reason: AbortReason,
    },
    /// It is under way.
    Undecided {
        /// The transaction.
        tx: TxId,
    },
}

/// Where the outcome of a transaction is to be asked for.
pub fn outcome_path(tx: TxId) -> String {
    format!("/transactions/{tx}")
}

/// The body of `POST /events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEvents {
    /// The resource in whose stream they go; none is the system stream.
    #[serde(default)]
    pub resource: Option<EntityId>,
    /// How many events the stream has to have, unless nobody cares.
    #[serde(default)]
    pub expected_version: Option<u64>,
    /// What is appended, in this order, all or nothing.
    pub events: Vec<NewEvent>,
}

/// Where events were appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The resource in whose stream they are; null in the system stream.
    pub resource: Option<EntityId>,
    /// The sequence numbers of the first and the last of them.
    pub sequences: [u64; 2],
    /// The position of the last of them among the events of all streams.
    pub position: u64,
}

/// Events of all streams in order of position. The server sends an event as it is kept, a client
/// reads an [`Envelope`](crate::events::Envelope).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPage<E> {
    /// Which store they are of: positions of another one mean something else. It is another one after a restore.
    pub store: String,
    /// They.
    pub events: Vec<Positioned<E>>,
    /// Positions whose events are damaged or missing; only if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedPosition>,
    /// There are no others up to this position, nor ever will be. It is what to ask for as `after` next.
    pub through: u64,
    /// The last position that was given in the store: there is more as long as it is above `through`.
    pub last: u64,
}

/// An event and its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positioned<E> {
    /// Its position among the events of all streams, from 1.
    pub position: u64,
    /// The event.
    pub event: E,
}

/// How much a read promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Linearizable: it shows every transaction that was acknowledged before the read began.
    #[default]
    Strong,
    /// What the graph has, without waiting for transactions that are under way.
    Eventual,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Consistency::Strong => "strong",
            Consistency::Eventual => "eventual",
        })
    }
}

/// An entity, with the tier at which it was read as `consistency`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "consistency", rename_all = "snake_case")]
pub enum Entity {
    /// From both stores, linearizably.
    Strong(EntityView),
    /// From the graph alone.
    Eventual(EventualView),
}

/// An entity as the graph alone has it, perhaps behind or ahead of what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventualView {
    /// The entity.
    pub id: EntityId,
    /// Its type.
    pub kind: Kind,
    /// Its canonical key, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CanonicalKey>,
    /// Its properties.
    pub properties: Properties,
    /// The links that leave it, sorted.
    pub links: Vec<LinkView>,
    /// What it is sure to show.
    pub freshness: Freshness,
}

/// The body of `POST /reconciliations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciliation {
    /// Who is right where the stores differ.
    #[serde(default)]
    pub policy: Policy,
}

/// A part of what is left to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CasesPage {
    /// Open cases, oldest first.
    pub cases: Vec<Case>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<u64>,
}

/// How the coordinator is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The program's version.
    pub version: String,
    /// How the protocol is.
    #[serde(flatten)]
    pub status: Status,
    /// The records of the log that are damaged and left to a person.
    pub damaged_records: u64,
}

/// The body of `POST /backups`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupOrder {
    /// An absolute name on the server's machine, of a folder that does not exist yet.
    pub to: PathBuf,
}

/// The records of the log that are damaged and left to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedRecords {
    /// All of them, oldest first: a start sets a hundred apart at most.
    pub records: Vec<DamagedRecord>,
}

/// The transactions that are in doubt, in their order. It is the state of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InDoubtPage {
    /// Each of them.
    pub in_doubt: Vec<InDoubt>,
    /// What to ask for as `after` to get those that follow; null at the end.
    pub next: Option<TxId>,
}

/// A part of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Its entries, oldest first.
    pub entries: Vec<AuditEntry>,
    /// What to ask for as `after` to get those that follow; null at the end.
    pub next: Option<u64>,
}

/// The neighbourhood of an entity: what can be reached from it by links, whichever way they
/// point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbourhood {
    /// The entity in its middle.
    pub id: EntityId,
    /// The tier at which it was read. Each distance is one reading of the graph, so a link that
    /// came meanwhile may show at one distance and not at the next.
    pub consistency: Consistency,
    /// The largest distance that was looked at.
    pub depth: u32,
    /// Those in it, the near ones first, then by id.
    pub neighbours: Vec<Neighbour>,
    /// What to ask for as `after` to get those that follow; null at the end.
    pub next: Option<Place>,
    /// Whether there are more entities than are ever looked at, so that some of the largest
    /// distances are missing.
    pub truncated: bool,
    /// What it is sure to show.
    pub freshness: Freshness,
}

/// The answer of `GET /alerts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    /// How many of them are firing.
    pub firing: u64,
    /// All of them, those that are quiet too.
    pub alerts: Vec<Alert>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_of_bounded_length() {
        assert_eq!(parse_key(b"a-1!~"), Ok(IdempotencyKey("a-1!~".to_owned())));
        assert_eq!(parse_key(&[b'k'; 200]).unwrap().0.len(), 200);
        assert_eq!(parse_key(b""), Err(KeyError::Length(0)));
        assert_eq!(parse_key(&[b'k'; 201]), Err(KeyError::Length(201)));
        for text in ["a b", "a\tb", "\u{e9}", "\u{7f}"] {
            assert_eq!(parse_key(text.as_bytes()), Err(KeyError::Character), "{text:?}");
        }
    }

    #[test]
    fn an_entity_keeps_its_numbers_and_says_its_tier() {
        let json = r#"{"consistency":"eventual","id":"a/b","kind":"k","properties":{"f":1.0,"i":-9223372036854775808},"links":[],"freshness":{"indexed_up_to":"tx-1-2","delay_seconds":0.25,"complete":null}}"#;
        let entity: Entity = serde_json::from_str(json).unwrap();
        assert!(matches!(entity, Entity::Eventual(_)));
        assert_eq!(serde_json::to_string(&entity).unwrap(), json);
    }

    #[test]
    fn an_outcome_is_one_flat_object() {
        let tx = TxId { incarnation: 1, serial: 2 };
        let outcome = Outcome::Aborted { tx, reason: AbortReason::Fenced };
        let json = r#"{"state":"aborted","tx":"tx-1-2","reason":"fenced"}"#;
        assert_eq!(serde_json::to_string(&outcome).unwrap(), json);
        assert_eq!(serde_json::from_str::<Outcome>(json).unwrap(), outcome);
    }
}
