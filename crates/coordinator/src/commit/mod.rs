//! The commit protocol: atomic over a graph store and SQLite.
//!
//! Neither store can vote and hold, so this is not two-phase commit with two participants.
//! The decision is a *marker*: a node that the graph transaction creates together with the
//! transaction's own changes, under a uniqueness constraint. A transaction goes through
//!
//! 1. **intend**: under locks, the operations are checked against SQLite and written to the
//!    log, durably;
//! 2. **decide**: one graph transaction makes the changes and creates the marker `committed`;
//! 3. **finish**: one SQLite transaction writes the rows, the events and the outcome.
//!
//! When nobody can say whether *decide* took effect, a *fence* finds out: it creates the
//! marker as `aborted` unless there is one, and reads it. Because the marker is unique, a
//! decide that is still under way fails after that. Reading the marker without writing it
//! would not do: the delayed decide could land after the read.
//!
//! The argument, and what happens without each part of it, is checked exhaustively in the
//! `models` crate, on the very type that production runs.

mod append;
mod core;
mod locks;
mod messages;
mod recovery;
mod repair;
#[cfg(test)]
mod tests;
mod transaction;

pub use self::core::{Commit, Config};
pub use locks::{LockKey, LockMode, Locks};
pub use messages::{
    AbortReason, Action, Answer, CommitEffect, ContentHash, Decision, EffectId, EntityView, Failure, Ground,
    IdempotencyKey, Input, Intent, LinkView, Mark, Rejection, Report, RequestId, Reviewed, Settled, Status, Submission,
};
pub use recovery::ConflictingIntents;
