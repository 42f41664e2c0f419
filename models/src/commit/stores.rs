//! The two stores as the model has them: one entity, and what was written to it by whom.

use std::collections::BTreeMap;

use coordinator::commit::{AbortReason, Decision, Failure, Report, Settled};
use graph::{EntityId, Refusal, TxId};

/// The script of a writer, by position.
pub type Writer = u8;

/// SQLite: what is in it survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Every transaction that was begun, by name.
    pub log: BTreeMap<TxId, Entry>,
    /// Who wrote the entity, oldest first: its version is how many there are.
    pub rows: Vec<TxId>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Whose transaction it is; stands for the idempotency key and the operations.
    pub writer: Writer,
    /// What became of it.
    pub outcome: Option<Decision>,
}

impl Ledger {
    /// What a SQLite transaction that begins a writer's transaction does.
    ///
    /// # Panics
    ///
    /// When the key belongs to an open transaction: the core has to join those.
    pub fn intend(&mut self, tx: TxId, writer: Writer, entity: &EntityId) -> Report {
        if let Some((owner, entry)) = self.by_key(writer) {
            let decision = entry.outcome.clone().unwrap_or_else(|| panic!("{owner} is open, and {tx} has its key"));
            return Report::Known(Settled { tx: owner, decision });
        }
        match fits(writer, &self.rows, entity) {
            Ok(()) => {
                self.log.insert(tx, Entry { writer, outcome: None });
                Report::Intended
            }
            Err(refusal) => {
                let reason = AbortReason::Refused(refusal.clone());
                self.log.insert(tx, Entry { writer, outcome: Some(Decision::Aborted { reason }) });
                Report::Refused(refusal)
            }
        }
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
            self.rows.push(tx);
        }
        Report::Finished
    }

    /// The transaction that a writer's idempotency key belongs to.
    pub fn by_key(&self, writer: Writer) -> Option<(TxId, &Entry)> {
        self.log.iter().find(|(_, entry)| entry.writer == writer).map(|(tx, entry)| (*tx, entry))
    }

    /// What became of a transaction.
    pub fn outcome(&self, tx: TxId) -> Option<&Decision> {
        self.log.get(&tx)?.outcome.as_ref()
    }
}

/// The graph database: it executes requests one by one, each as one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Graph {
    /// The markers; true is committed. That there is one a transaction is the constraint.
    pub markers: BTreeMap<TxId, bool>,
    /// Who wrote the entity, oldest first.
    pub writes: Vec<TxId>,
}

impl Graph {
    /// Creates the marker as committed and makes the changes, or neither.
    pub fn decide(&mut self, tx: TxId, writer: Writer, entity: &EntityId) -> Result<Report, Failure> {
        if self.markers.contains_key(&tx) {
            return Err(Failure::Constraint);
        }
        match fits(writer, &self.writes, entity) {
            // The uniqueness of entities; their absence shows in the count of changes.
            Err(Refusal::EntityExists(_)) => return Err(Failure::Constraint),
            Err(refusal) => return Err(Failure::Refused { reason: refusal.to_string(), retryable: false }),
            Ok(()) => {}
        }
        self.markers.insert(tx, true);
        self.writes.push(tx);
        Ok(Report::Decided)
    }

    /// Creates the marker as aborted unless there is one, and says what it is.
    pub fn fence(&mut self, tx: TxId) -> bool {
        *self.markers.entry(tx).or_insert(false)
    }

    /// Whether the transaction took effect.
    pub fn has(&self, tx: TxId) -> bool {
        self.writes.contains(&tx)
    }
}

/// The first writer creates the entity, all others update it.
fn fits(writer: Writer, writes: &[TxId], entity: &EntityId) -> Result<(), Refusal> {
    match (writer, writes.is_empty()) {
        (0, false) => Err(Refusal::EntityExists(entity.clone())),
        (1.., true) => Err(Refusal::NoSuchEntity(entity.clone())),
        _ => Ok(()),
    }
}
