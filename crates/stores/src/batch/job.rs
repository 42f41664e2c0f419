//! One submitted work, from the queue to its answer.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{BatchError, WorkError};
use crate::sqlite::SqlFailure;

/// What a work did inside its savepoint.
#[derive(Debug)]
pub(super) enum Ran {
    /// Its changes are to be kept.
    Done,
    /// It refused: its changes are to be taken back.
    Refused,
    /// SQLite failed it: its changes are to be taken back.
    Failed(SqlFailure),
}

/// A work whose types have been forgotten.
pub(super) trait Job: Send {
    /// Runs the work. At most once.
    fn run(&mut self, connection: &Connection) -> Ran;

    /// Tells who submitted it what became of it, given what became of the batch.
    fn answer(self: Box<Self>, batch: &Result<(), SqlFailure>);
}

pub(super) struct Submitted<W, T, E> {
    state: State<W, T, E>,
    reply: oneshot::Sender<Result<T, BatchError<E>>>,
}

enum State<W, T, E> {
    Waiting(W),
    Running,
    Ran(Result<T, BatchError<E>>),
}

impl<W, T, E> Submitted<W, T, E> {
    pub(super) fn new(work: W, reply: oneshot::Sender<Result<T, BatchError<E>>>) -> Self {
        Submitted { state: State::Waiting(work), reply }
    }
}

impl<W, T, E> Job for Submitted<W, T, E>
where
    W: FnOnce(&Connection) -> Result<T, WorkError<E>> + Send,
    T: Send,
    E: Send,
{
    fn run(&mut self, connection: &Connection) -> Ran {
        let State::Waiting(work) = std::mem::replace(&mut self.state, State::Running) else {
            panic!("a work ran twice");
        };
        let (result, ran) = match work(connection) {
            Ok(value) => (Ok(value), Ran::Done),
            Err(WorkError::Refused(refusal)) => (Err(BatchError::Refused(refusal)), Ran::Refused),
            Err(WorkError::Sql(error)) => {
                let failure = SqlFailure::before_commit(&error);
                (Err(BatchError::Sql(failure.clone())), Ran::Failed(failure))
            }
        };
        self.state = State::Ran(result);
        ran
    }

    fn answer(self: Box<Self>, batch: &Result<(), SqlFailure>) {
        let answer = match (self.state, batch) {
            // A failure of one's own, which also says best why.
            (State::Ran(Err(BatchError::Sql(failure))), _) => Err(BatchError::Sql(failure)),
            (State::Ran(result), Ok(())) => result,
            (State::Ran(Ok(_)), Err(failure)) => Err(BatchError::Sql(failure.clone())),
            // Taken back, or never begun: certain whatever the commit did. Nor does a refusal
            // stand when the works whose changes it may rest on are not committed.
            (State::Ran(Err(BatchError::Refused(_))) | State::Waiting(_), Err(failure)) => {
                Err(BatchError::Sql(certain(failure)))
            }
            (State::Waiting(_) | State::Running, Ok(())) => panic!("a batch succeeded without one of its works"),
            (State::Running, Err(_)) => panic!("a work neither returned nor panicked"),
        };
        // Whoever asked may have stopped waiting.
        let _ = self.reply.send(answer);
    }
}

/// The same failure for a work that has certainly left no trace.
fn certain(failure: &SqlFailure) -> SqlFailure {
    match failure {
        SqlFailure::NotDone { .. } | SqlFailure::Stopped { .. } => failure.clone(),
        SqlFailure::Unknown { why } => {
            SqlFailure::NotDone { why: format!("the batch it was part of failed: {why}"), full: false }
        }
    }
}
