//! The connection that runs batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::job::{Job, Ran};
use super::{Poison, refuse_if_poisoned};
use crate::sqlite::SqlFailure;

/// How a batch is committed: by [`Transaction::commit`], except in tests of its failure.
pub(super) type Commit = fn(Transaction<'_>) -> rusqlite::Result<()>;

pub(super) struct Writer {
    connection: Connection,
    commit: Commit,
    may_commit: Arc<AtomicBool>,
    poison: Poison,
}

impl Writer {
    pub(super) fn new(mut connection: Connection, commit: Commit, poison: Poison) -> Writer {
        let may_commit = Arc::new(AtomicBool::new(false));
        // After FULL, IOERR and the like SQLite may roll the whole transaction back by itself and
        // return to autocommit. A work that went on regardless would then commit statement by
        // statement, unanswered and in pieces: the hook turns such commits into rollbacks.
        let hook = may_commit.clone();
        connection
            .commit_hook(Some(move || !hook.load(Ordering::Relaxed)))
            .expect("a hook can be set on a connection of our own");
        Writer { connection, commit, may_commit, poison }
    }

    /// Runs the jobs in order as one transaction and says whether it was committed.
    pub(super) fn run(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), SqlFailure> {
        refuse_if_poisoned(&self.poison)?;
        let outcome = self.transact(jobs);
        match &outcome {
            Err(SqlFailure::Unknown { why } | SqlFailure::Stopped { why, .. }) => {
                self.poison.set(why.clone());
            }
            _ if !self.connection.is_autocommit() => {
                self.poison.set("a transaction could not be rolled back".to_owned());
            }
            _ => {}
        }
        outcome
    }

    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), SqlFailure> {
        let failed = |error| SqlFailure::before_commit(&error);
        // Immediate: a read lock that cannot become a write lock would fail in the middle.
        let mut transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        for job in jobs {
            let mut savepoint = transaction.savepoint().map_err(failed)?;
            let ran = job.run(&savepoint);
            if let Ran::Failed(failure @ SqlFailure::Stopped { .. }) = ran {
                // What the others saw may be no better.
                return Err(failure);
            }
            if savepoint.is_autocommit() {
                return Err(rolled_back(ran));
            }
            if !matches!(ran, Ran::Done) {
                savepoint.rollback().map_err(failed)?;
            }
            savepoint.commit().map_err(failed)?;
        }
        self.may_commit.store(true, Ordering::Relaxed);
        let committed = (self.commit)(transaction);
        self.may_commit.store(false, Ordering::Relaxed);
        committed.map_err(|error| SqlFailure::at_commit(&error))
    }
}

/// Why the transaction is gone after a job: its failure, or something it hid.
fn rolled_back(ran: Ran) -> SqlFailure {
    match ran {
        Ran::Failed(failure) => failure,
        Ran::Done | Ran::Refused => {
            let why = "a work of the batch ended the transaction, or hid an error that did".to_owned();
            SqlFailure::NotDone { why, full: false }
        }
    }
}
