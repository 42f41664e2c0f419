//! What the commit core is told, what it asks for, and what it answers.

use std::collections::BTreeMap;
use std::fmt;

use graph::{CanonicalKey, EntityId, Kind, Patch, Properties, Refusal, Subject, TxId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::events::{Append, Appended};
use crate::reconcile::{Evidence, Order, Reason};

/// A client's name for one transaction: a retry under the same key is the same transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(pub String);

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of a transaction's operations, in hex: what a retry has to match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(pub String);

impl ContentHash {
    /// Of the operations in their canonical JSON.
    pub fn of(patch: &Patch) -> ContentHash {
        let text = serde_json::to_string(patch).expect("operations are always valid JSON");
        let digest = Sha256::digest(text.as_bytes());
        ContentHash(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Names a waiting client within one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// A transaction as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Submission {
    /// The client's name for it.
    pub key: IdempotencyKey,
    /// The hash of `patch`.
    pub hash: ContentHash,
    /// What it does, perhaps with labels.
    pub patch: Patch,
}

/// A transaction as the log keeps it before it is decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// Its name.
    pub tx: TxId,
    /// The client's name for it.
    pub key: IdempotencyKey,
    /// The hash of what the client sent: `patch` before ids were put in the place of labels.
    pub hash: ContentHash,
    /// What it does, under ids alone.
    pub patch: Patch,
    /// The ids that it made, by the labels that they stand in the place of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<EntityId, EntityId>,
}

impl Intent {
    /// Of what a client has sent, labels and all.
    pub fn new(tx: TxId, key: IdempotencyKey, hash: ContentHash, sent: &Patch) -> Intent {
        let labels = sent.generated(tx);
        Intent { tx, key, hash, patch: sent.renamed(&labels), labels }
    }

    /// What the client has sent.
    pub fn sent(&self) -> Patch {
        self.patch.renamed(&self.labels.iter().map(|(label, id)| (id.clone(), label.clone())).collect())
    }
}

/// What a repair rests on: for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ground {
    /// By what right.
    pub order: Order,
    /// What the stores and the events said, under the repair's locks.
    pub evidence: Evidence,
}

/// What became of a repair that began no transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reviewed {
    /// The stores agree: there is nothing to repair.
    Agreed,
    /// It is not for a policy to decide.
    Undecided {
        /// Why not.
        reason: Reason,
        /// What was found.
        evidence: Box<Evidence>,
    },
}

/// What was decided about a transaction, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Decision {
    /// Both stores have it, or will have it.
    Committed,
    /// Neither store has it, nor ever will.
    Aborted {
        /// Why.
        reason: AbortReason,
    },
}

/// Why a transaction was aborted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum AbortReason {
    /// An operation does not fit the entities as they stand.
    #[error("{0}")]
    Refused(Refusal),
    /// The graph refused it.
    #[error("the graph refused it: {0}")]
    GraphRefused(String),
    /// The graph could not be made to say in time that it took effect, and now never will.
    #[error("the graph did not confirm it in time, and it was fenced off")]
    Fenced,
    /// Its record was damaged, and a person has taken back what the graph had of it.
    #[error("its record was damaged, and somebody has taken it back")]
    TakenBack,
}

/// A transaction that has an outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Settled {
    /// Its name.
    pub tx: TxId,
    /// Its outcome.
    pub decision: Decision,
}

/// An entity as both stores have it, read together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityView {
    /// The entity.
    pub id: EntityId,
    /// Its type.
    pub kind: Kind,
    /// Its canonical key, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CanonicalKey>,
    /// Its properties, from the graph.
    pub properties: Properties,
    /// The links that leave it, from the graph, sorted.
    pub links: Vec<LinkView>,
    /// The sequence number of its last event, from SQLite.
    pub version: u64,
    /// The last of them, from SQLite.
    pub tx: TxId,
}

/// A link as seen from the entity that it leaves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkView {
    /// Its type.
    pub kind: Kind,
    /// Where it ends.
    pub to: EntityId,
    /// Its properties.
    pub properties: Properties,
}

/// Names an effect: what it is for and which attempt at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectId {
    /// Writing an intent.
    Intend(TxId),
    /// The nth attempt to decide, from 1.
    Decide(TxId, u32),
    /// The nth fence, from 1.
    Fence(TxId, u32),
    /// Finishing.
    Finish(TxId),
    /// Reading an entity for a request.
    Load(RequestId),
    /// Looking for the entity with a canonical key for a request.
    Find(RequestId),
    /// Looking an outcome up for a request.
    LookUp(RequestId),
    /// Reading both stores for a request, to compare them.
    Examine(RequestId),
    /// Reading both stores for a repair, before it is decided what it has to do.
    Review(TxId),
    /// Appending events for a request.
    Append(RequestId),
}

/// Something the core is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A client asks for a transaction.
    Submit {
        /// The waiting client.
        request: RequestId,
        /// What it asks for.
        submission: Submission,
    },
    /// A client asks for an entity, linearizably.
    Read {
        /// The waiting client.
        request: RequestId,
        /// The entity.
        entity: EntityId,
    },
    /// A client asks for the entity that has a canonical key, linearizably.
    Find {
        /// The waiting client.
        request: RequestId,
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: CanonicalKey,
    },
    /// A client asks what became of a transaction.
    Outcome {
        /// The waiting client.
        request: RequestId,
        /// The transaction.
        tx: TxId,
    },
    /// Somebody wants both stores compared.
    Examine {
        /// The waiting client.
        request: RequestId,
        /// The entity or link.
        subject: Subject,
    },
    /// Somebody wants both stores made the same, where they differ.
    Repair {
        /// The waiting client.
        request: RequestId,
        /// The entity or link.
        subject: Subject,
        /// By what right.
        order: Order,
    },
    /// A client asks for events to be appended.
    Append {
        /// The waiting client.
        request: RequestId,
        /// What it asks for; it was validated.
        append: Append,
    },
    /// Somebody asks how the core is.
    Inspect {
        /// The waiting client.
        request: RequestId,
    },
    /// An effect is done.
    Done {
        /// Which.
        effect: EffectId,
        /// What came of it.
        report: Report,
    },
    /// An effect failed.
    Failed {
        /// Which.
        effect: EffectId,
        /// How.
        failure: Failure,
    },
    /// The time has come that `poll_timeout` asked for.
    Timeout,
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Report {
    /// The intent is durable.
    Intended,
    /// An operation does not fit; the abort is durable.
    Refused(Refusal),
    /// The key belongs to a transaction of the same content that has an outcome.
    Known(Settled),
    /// The key belongs to a transaction of other content.
    KeyReused(TxId),
    /// The key belongs to a transaction whose record is damaged: whether the content is the same,
    /// and perhaps its outcome, is for a person to find out.
    Isolated(TxId),
    /// The graph acknowledged the commit of the changes and the marker.
    Decided,
    /// The fence was committed, and this is the marker's state: true is committed.
    Fenced {
        /// Whether the marker says committed.
        committed: bool,
    },
    /// Rows, events and outcome are durable.
    Finished,
    /// The entity, or none.
    Loaded(Option<EntityView>),
    /// The entity that has the key, or none.
    Found(Option<EntityId>),
    /// The outcome of a transaction, or none was ever recorded.
    LookedUp(Option<Settled>),
    /// What both stores and the events say.
    Examined(Box<Evidence>),
    /// What became of an append, durably.
    Appended(Appended),
}

/// How an effect failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// It certainly left no trace.
    Refused {
        /// Why.
        reason: String,
        /// Whether the same may succeed later.
        retryable: bool,
    },
    /// A uniqueness constraint of the graph stands against it: perhaps the marker of an
    /// earlier attempt, so this is no refusal.
    Constraint,
    /// Nobody can say whether it took effect.
    Unknown {
        /// What happened.
        reason: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused { reason, .. } => write!(f, "refused: {reason}"),
            Failure::Constraint => f.write_str("a uniqueness constraint stands against it"),
            Failure::Unknown { reason } => write!(f, "outcome unknown: {reason}"),
        }
    }
}

/// Something the core asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitEffect {
    /// To be carried out and reported on.
    Do {
        /// Its name.
        id: EffectId,
        /// What to do.
        action: Action,
    },
    /// To be told to a waiting client; never reported on.
    Reply {
        /// The client.
        request: RequestId,
        /// What to tell it.
        answer: Answer,
    },
    /// The process must end and recover from its log; never reported on.
    Halt {
        /// Why.
        reason: String,
    },
}

impl env::Effect for CommitEffect {
    fn name(&self) -> &'static str {
        match self {
            CommitEffect::Do { action, .. } => match action {
                Action::Intend(_) => "intend",
                Action::Decide { .. } => "decide",
                Action::Fence { .. } => "fence",
                Action::Finish { .. } => "finish",
                Action::Load { .. } => "load",
                Action::Find { .. } => "find",
                Action::LookUp { .. } => "look_up",
                Action::Examine { .. } => "examine",
                Action::IntendRepair { .. } => "intend_repair",
                Action::Append(_) => "append",
            },
            CommitEffect::Reply { .. } => "reply",
            CommitEffect::Halt { .. } => "halt",
        }
    }
}

/// What an effect does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// SQLite: check the operations and write the intent, durably.
    Intend(Intent),
    /// Graph: the changes and the marker, in one transaction.
    Decide {
        /// The transaction.
        tx: TxId,
        /// Its changes.
        patch: Patch,
    },
    /// Graph: create the marker as aborted unless there is one, and read it.
    Fence {
        /// The transaction.
        tx: TxId,
    },
    /// SQLite: rows, events, audit and outcome, in one transaction, durably.
    Finish {
        /// The transaction.
        tx: TxId,
        /// Its outcome.
        decision: Decision,
    },
    /// Both stores: an entity.
    Load {
        /// Which.
        entity: EntityId,
    },
    /// SQLite: which entity has a canonical key.
    Find {
        /// Its kind.
        kind: Kind,
        /// The key.
        key: CanonicalKey,
    },
    /// SQLite: the outcome of a transaction.
    LookUp {
        /// Which.
        tx: TxId,
    },
    /// Both stores, and the events: what they say about one entity or link.
    Examine {
        /// Which.
        subject: Subject,
    },
    /// SQLite: check the operation and write the intent and what it rests on, durably.
    IntendRepair {
        /// The repair.
        intent: Intent,
        /// What it rests on.
        ground: Box<Ground>,
    },
    /// SQLite: check what is expected of the stream and append events, in one transaction, durably.
    Append(Append),
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The transaction has this outcome, for ever.
    Settled(Settled),
    /// The key was used for a transaction of other content.
    KeyReused(TxId),
    /// Nothing was done, nothing will be; the same may be asked again.
    Rejected(Rejection),
    /// The transaction may have an outcome or may still get one; its name, if that is certain.
    Unknown(Option<TxId>),
    /// The entity, or none.
    Entity(Option<EntityView>),
    /// No transaction of this name ever began, or its record is older than the retention.
    NoSuchTransaction(TxId),
    /// What both stores and the events say.
    Examined(Box<Evidence>),
    /// What became of a repair that began no transaction.
    Reviewed(Reviewed),
    /// What became of an append.
    Appended(Appended),
    /// How the core is.
    Status(Status),
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Rejection {
    /// The process is ending.
    #[error("the coordinator is stopping and takes no new work")]
    Halted,
    /// Others held the entities for too long.
    #[error("the entities were locked for too long")]
    Busy,
    /// A store could not do it.
    #[error("{0}")]
    Unavailable(String),
    /// Too many requests are open; said before the protocol hears of it.
    #[error("too many requests are open")]
    Overloaded,
}

/// How the core is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Status {
    /// Transactions that hold their locks and have no outcome yet.
    pub open: u64,
    /// Of those, the ones of an earlier process.
    pub recovering: u64,
    /// Transactions, reads and appends that wait for locks.
    pub waiting: u64,
    /// Whether the process is ending.
    pub halted: bool,
}

/// A decision of the core that matters: logged in production, coverage in tests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// A request joined a transaction that is under way.
    Joined(TxId),
    /// A request has to wait for locks.
    Waited(RequestId),
    /// A request gave up waiting for locks.
    GaveUp(RequestId),
    /// A retry got the outcome of its first attempt.
    Deduplicated(TxId),
    /// A key was used again for other content.
    KeyReused(TxId),
    /// The operations did not fit.
    Refused(TxId),
    /// The graph decided.
    Decided(TxId),
    /// Another attempt to decide, because nobody knows what became of the last.
    Resent(TxId),
    /// Another attempt to decide, because the last was certainly refused for the moment.
    Retried(TxId),
    /// The constraint on the marker stood against an attempt.
    MarkerStood(TxId),
    /// A fence was sent.
    Fenced(TxId),
    /// A fence found the marker committed.
    RolledForward(TxId),
    /// A fence made sure that the transaction never takes effect.
    RolledBack(TxId),
    /// An intent of an earlier process was found.
    Recovered(TxId),
    /// A client was told that the outcome is not known.
    AnsweredUnknown(TxId),
    /// A transaction committed.
    Committed(TxId),
    /// A transaction aborted.
    Aborted(TxId),
    /// A decided transaction could not be finished: the process ends.
    Unfinished(TxId),
    /// The log could not be written and may or may not have been: the process ends.
    LogUncertain(TxId),
    /// Ids were put in the place of a transaction's labels.
    Generated(TxId),
    /// A canonical key belonged to another entity.
    KeyTaken(TxId),
    /// A repair found the stores in agreement.
    Agreed(TxId),
    /// A repair found what it has to do.
    Repairing(TxId),
    /// A repair found what a person has to decide.
    Undecided(TxId),
    /// Events were appended.
    Appended(RequestId),
    /// Events that were to be appended had been before.
    AppendRepeated(RequestId),
    /// Events were not appended: the stream is at another version, or an id is taken.
    AppendRefused(RequestId),
    /// A client was told that nobody knows whether its events were appended.
    AppendUncertain(RequestId),
}

impl Mark {
    /// The names of all marks, as reports and scenarios write them.
    pub const NAMES: [&'static str; 28] = [
        "joined",
        "waited",
        "gave_up",
        "deduplicated",
        "key_reused",
        "refused",
        "decided",
        "resent",
        "retried",
        "marker_stood",
        "fenced",
        "rolled_forward",
        "rolled_back",
        "recovered",
        "answered_unknown",
        "committed",
        "aborted",
        "unfinished",
        "log_uncertain",
        "generated",
        "key_taken",
        "agreed",
        "repairing",
        "undecided",
        "appended",
        "append_repeated",
        "append_refused",
        "append_uncertain",
    ];
    /// Its name, one of [`NAMES`](Self::NAMES).
    pub fn name(&self) -> &'static str {
        match self {
            Mark::Joined(_) => "joined",
            Mark::Waited(_) => "waited",
            Mark::GaveUp(_) => "gave_up",
            Mark::Deduplicated(_) => "deduplicated",
            Mark::KeyReused(_) => "key_reused",
            Mark::Refused(_) => "refused",
            Mark::Decided(_) => "decided",
            Mark::Resent(_) => "resent",
            Mark::Retried(_) => "retried",
            Mark::MarkerStood(_) => "marker_stood",
            Mark::Fenced(_) => "fenced",
            Mark::RolledForward(_) => "rolled_forward",
            Mark::RolledBack(_) => "rolled_back",
            Mark::Recovered(_) => "recovered",
            Mark::AnsweredUnknown(_) => "answered_unknown",
            Mark::Committed(_) => "committed",
            Mark::Aborted(_) => "aborted",
            Mark::Unfinished(_) => "unfinished",
            Mark::LogUncertain(_) => "log_uncertain",
            Mark::Generated(_) => "generated",
            Mark::KeyTaken(_) => "key_taken",
            Mark::Agreed(_) => "agreed",
            Mark::Repairing(_) => "repairing",
            Mark::Undecided(_) => "undecided",
            Mark::Appended(_) => "appended",
            Mark::AppendRepeated(_) => "append_repeated",
            Mark::AppendRefused(_) => "append_refused",
            Mark::AppendUncertain(_) => "append_uncertain",
        }
    }
}
