//! The two stores: one entity, which somebody may change behind the coordinator's back.

use std::collections::BTreeMap;

use coordinator::commit::{AbortReason, Decision, Failure, Report};
use coordinator::reconcile::{Logged, Reason};
use graph::{EntityId, Operation, Patch, Properties, Refusal, Subject, TxId, Value};
use serde::{Deserialize, Serialize};

const KIND: &str = "thing";
const WRITTEN: &str = "written";
const BY_HAND: &str = "by_hand";

/// What the entity is. Clients write one property and people another, so that an update does
/// not undo a change by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Content {
    /// What clients write: the number of the transaction, from 1.
    pub written: u8,
    /// Whether somebody changed it by hand.
    pub by_hand: bool,
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Creates the entity; refused if there is one.
    Create(u8),
    /// Writes to it; refused if there is none.
    Update(u8),
    /// Deletes it; refused if there is none.
    Delete,
    /// A repair: it is to be this, whatever it was.
    Restore {
        /// What it is then.
        content: Option<Content>,
        /// Whether the events say so already.
        logged: bool,
    },
}

impl Content {
    /// As production has it.
    pub fn unfold(self) -> graph::Content {
        let properties = [
            (WRITTEN.to_owned(), Value::Int(i64::from(self.written))),
            (BY_HAND.to_owned(), Value::Bool(self.by_hand)),
        ];
        graph::Content { kind: KIND.parse().expect("a kind"), key: None, properties: properties.into() }
    }

    fn fold(content: &graph::Content) -> Content {
        let by_hand = content.properties.get(BY_HAND) == Some(&Value::Bool(true));
        Content { written: written(&content.properties), by_hand }
    }
}

fn written(properties: &Properties) -> u8 {
    match properties.get(WRITTEN) {
        Some(Value::Int(number)) => u8::try_from(*number).expect("few transactions"),
        other => panic!("{WRITTEN} is {other:?}"),
    }
}

impl Deed {
    /// As production has it.
    pub fn patch(self, entity: &EntityId) -> Patch {
        let id = entity.clone();
        let properties = |number: u8| [(WRITTEN.to_owned(), Value::Int(i64::from(number)))].into();
        let operation = match self {
            Deed::Create(number) => {
                let content = Content { written: number, by_hand: false }.unfold();
                Operation::Create { id, kind: content.kind, key: None, properties: content.properties }
            }
            Deed::Update(number) => Operation::Update { id, set: properties(number) },
            Deed::Delete => Operation::Delete { id },
            Deed::Restore { content, logged } => {
                Operation::Restore { subject: Subject::Entity(id), content: content.map(Content::unfold), logged }
            }
        };
        Patch { operations: vec![operation] }
    }

    /// From what production has.
    pub fn of(patch: &Patch) -> Deed {
        match patch.operations.as_slice() {
            [Operation::Create { properties, .. }] => Deed::Create(written(properties)),
            [Operation::Update { set, .. }] => Deed::Update(written(set)),
            [Operation::Delete { .. }] => Deed::Delete,
            [Operation::Restore { content, logged, .. }] => {
                Deed::Restore { content: content.as_ref().map(Content::fold), logged: *logged }
            }
            other => panic!("nobody asked for {other:?}"),
        }
    }

    /// Whether it is a repair.
    pub fn is_repair(self) -> bool {
        matches!(self, Deed::Restore { .. })
    }

    /// What it makes of the entity, if it fits.
    fn apply(self, before: Option<Content>, entity: &EntityId) -> Result<Option<Content>, Refusal> {
        match (self, before) {
            (Deed::Create(written), None) => Ok(Some(Content { written, by_hand: false })),
            (Deed::Create(_), Some(_)) => Err(Refusal::EntityExists(entity.clone())),
            (Deed::Update(written), Some(content)) => Ok(Some(Content { written, ..content })),
            (Deed::Delete, Some(_)) => Ok(None),
            (Deed::Update(_) | Deed::Delete, None) => Err(Refusal::NoSuchEntity(entity.clone())),
            (Deed::Restore { content, .. }, _) => Ok(content),
        }
    }
}

/// SQLite: what is in it survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Every transaction that was begun, by name.
    pub log: BTreeMap<TxId, Entry>,
    /// The entity.
    pub row: Option<Content>,
    /// The events of the entity, oldest first.
    pub events: Vec<(TxId, Deed)>,
    /// Why the open case about the entity waits for a person, if there is one.
    pub case: Option<Reason>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What it does.
    pub deed: Deed,
    /// What became of it.
    pub outcome: Option<Decision>,
}

impl Ledger {
    /// What a SQLite transaction that begins one does.
    pub fn intend(&mut self, tx: TxId, deed: Deed, entity: &EntityId) -> Report {
        let (outcome, report) = match deed.apply(self.row, entity) {
            Ok(_) => (None, Report::Intended),
            Err(refusal) => {
                let reason = AbortReason::Refused(refusal.clone());
                (Some(Decision::Aborted { reason }), Report::Refused(refusal))
            }
        };
        self.log.insert(tx, Entry { deed, outcome });
        report
    }

    /// What a SQLite transaction that finishes one does. What does not fit any more is put
    /// through all the same: the graph has decided.
    ///
    /// # Panics
    ///
    /// When the transaction is not in the log, or has an outcome already.
    pub fn finish(&mut self, tx: TxId, decision: &Decision, entity: &EntityId) -> Report {
        let entry = self.log.get_mut(&tx).unwrap_or_else(|| panic!("{tx} is to be finished and was never begun"));
        assert_eq!(entry.outcome, None, "{tx} is to be finished a second time, as {decision:?}");
        entry.outcome = Some(decision.clone());
        if *decision == Decision::Committed {
            let deed = entry.deed;
            let overridden = |_| deed.apply(None, entity).unwrap_or_default();
            self.row = deed.apply(self.row, entity).unwrap_or_else(overridden);
            if !matches!(deed, Deed::Restore { logged: true, .. }) {
                self.events.push((tx, deed));
            }
        }
        Report::Finished
    }

    /// What the events make of the entity.
    pub fn logged(&self) -> Logged {
        account(self.events.iter())
    }

    /// What the events of clients make of it: repairs have no say in whether it exists.
    pub fn logged_by_clients(&self) -> Logged {
        account(self.events.iter().filter(|(_, deed)| !deed.is_repair()))
    }

    /// The repairs that were begun.
    pub fn repairs(&self) -> impl Iterator<Item = (TxId, &Entry)> {
        self.log.iter().filter(|(_, entry)| entry.deed.is_repair()).map(|(tx, entry)| (*tx, entry))
    }
}

fn account<'a>(events: impl Iterator<Item = &'a (TxId, Deed)>) -> Logged {
    events.fold(Logged::Never, |before, (tx, deed)| {
        let content = match (&before, deed) {
            (_, Deed::Restore { content, .. }) => *content,
            (Logged::Never | Logged::Removed { .. }, Deed::Create(written)) => {
                Some(Content { written: *written, by_hand: false })
            }
            (Logged::Present { content, .. }, Deed::Update(written)) => {
                Some(Content { written: *written, ..Content::fold(content) })
            }
            (Logged::Present { .. }, Deed::Delete) => None,
            (before, deed) => return Logged::Unreadable(format!("{deed:?} after {before:?}")),
        };
        match content {
            Some(content) => Logged::Present { content: content.unfold(), tx: *tx },
            None => Logged::Removed { tx: *tx },
        }
    })
}

/// The graph database: it executes requests one by one, each as one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Graph {
    /// The markers; true is committed.
    pub markers: BTreeMap<TxId, bool>,
    /// The entity.
    pub entity: Option<Content>,
}

impl Graph {
    /// Creates the marker as committed and makes the changes, or neither.
    pub fn decide(&mut self, tx: TxId, deed: Deed, entity: &EntityId) -> Result<Report, Failure> {
        if self.markers.contains_key(&tx) {
            return Err(Failure::Constraint);
        }
        self.entity = deed.apply(self.entity, entity).map_err(|refusal| match refusal {
            // The uniqueness of entities; their absence shows in the count of changes.
            Refusal::EntityExists(_) => Failure::Constraint,
            refusal => Failure::Refused { reason: refusal.to_string(), retryable: false },
        })?;
        self.markers.insert(tx, true);
        Ok(Report::Decided)
    }

    /// Creates the marker as aborted unless there is one, and says what it is.
    pub fn fence(&mut self, tx: TxId) -> bool {
        *self.markers.entry(tx).or_insert(false)
    }
}
