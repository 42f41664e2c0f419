//! The two stores as the model has them: entities by their ids, all of one kind and one key.

use std::collections::BTreeMap;

use coordinator::commit::{AbortReason, Decision, Failure, Intent, Report, Settled};
use graph::{CanonicalKey, EntityId, Kind, Operation, Patch, Refusal, TxId};

/// What a client asks for, by its position; stands for the idempotency key.
pub type Script = u8;

/// SQLite: what is in it survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Every transaction that was begun, by name.
    pub log: BTreeMap<TxId, Entry>,
    /// The entities, each with the transaction that created it.
    pub rows: BTreeMap<EntityId, TxId>,
    /// Every entity that was ever created, the deleted ones included.
    pub created: BTreeMap<EntityId, TxId>,
    /// How often each id was made, whatever became of it.
    pub given: BTreeMap<EntityId, u8>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its intent.
    pub intent: Intent,
    /// What became of it.
    pub outcome: Option<Decision>,
}

impl Ledger {
    /// What a SQLite transaction that begins a transaction does.
    ///
    /// # Panics
    ///
    /// When the idempotency key belongs to an open transaction: the core has to join those.
    pub fn intend(&mut self, intent: Intent, kind: &Kind, key: &CanonicalKey) -> Report {
        if let Some((tx, entry)) = self.log.iter().find(|(_, entry)| entry.intent.key == intent.key) {
            let open = || panic!("{tx} is open, and {} has its key", intent.tx);
            return Report::Known(Settled { tx: *tx, decision: entry.outcome.clone().unwrap_or_else(open) });
        }
        for id in made(&intent.patch) {
            *self.given.entry(id.clone()).or_default() += 1;
        }
        let taken = |by: &EntityId| Refusal::KeyTaken { kind: kind.clone(), key: key.clone(), by: by.clone() };
        let refusal = match &intent.patch.operations[..] {
            [Operation::Create { .. }] => self.rows.keys().next().map(taken),
            [Operation::Delete { id }] if !self.rows.contains_key(id) => Some(Refusal::NoSuchEntity(id.clone())),
            _ => None,
        };
        let outcome = refusal.clone().map(|refusal| Decision::Aborted { reason: AbortReason::Refused(refusal) });
        self.log.insert(intent.tx, Entry { intent, outcome });
        refusal.map_or(Report::Intended, Report::Refused)
    }

    /// What a SQLite transaction that finishes a transaction does.
    ///
    /// # Panics
    ///
    /// When the transaction is not in the log, or has an outcome already.
    pub fn finish(&mut self, tx: TxId, decision: &Decision) -> Report {
        let entry = self.log.get_mut(&tx).unwrap_or_else(|| panic!("{tx} is to be finished and was never begun"));
        assert_eq!(entry.outcome, None, "{tx} is to be finished a second time, as {decision:?}");
        entry.outcome = Some(decision.clone());
        if *decision == Decision::Committed {
            self.created.extend(made(&entry.intent.patch).map(|id| (id.clone(), tx)));
            apply(&mut self.rows, tx, &entry.intent.patch);
        }
        Report::Finished
    }
}

/// The graph database: it executes requests one by one, each as one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Graph {
    /// The markers; true is committed.
    pub markers: BTreeMap<TxId, bool>,
    /// The entities, each with the transaction that created it.
    pub nodes: BTreeMap<EntityId, TxId>,
}

impl Graph {
    /// Creates the marker as committed and makes the changes, or neither.
    pub fn decide(&mut self, tx: TxId, patch: &Patch) -> Result<Report, Failure> {
        if self.markers.contains_key(&tx) || made(patch).any(|id| self.nodes.contains_key(id)) {
            return Err(Failure::Constraint);
        }
        self.markers.insert(tx, true);
        apply(&mut self.nodes, tx, patch);
        Ok(Report::Decided)
    }

    /// Creates the marker as aborted unless there is one, and says what it is.
    pub fn fence(&mut self, tx: TxId) -> Report {
        Report::Fenced { committed: *self.markers.entry(tx).or_insert(false) }
    }
}

fn made(patch: &Patch) -> impl Iterator<Item = &EntityId> {
    patch.operations.iter().filter_map(|operation| match operation {
        Operation::Create { id, .. } => Some(id),
        _ => None,
    })
}

fn apply(entities: &mut BTreeMap<EntityId, TxId>, tx: TxId, patch: &Patch) {
    for operation in &patch.operations {
        match operation {
            Operation::Create { id, .. } => entities.insert(id.clone(), tx),
            Operation::Delete { id } => entities.remove(id),
            operation => panic!("no script has {operation:?}"),
        };
    }
}
