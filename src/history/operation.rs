//! An invocation paired with its completion.

use super::{ClientId, Millis, OpId};

/// One operation from its invocation to its completion.
///
/// [`History::operations`](super::History::operations) borrows: there `Op` and `Ret` are references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<Op, Ret> {
    /// Its id.
    pub id: OpId,
    /// Who invoked it.
    pub client: ClientId,
    /// What was asked.
    pub op: Op,
    /// When it was invoked.
    pub invoked: Moment,
    /// When the client learned its outcome, or gave up; `None` while it is open.
    pub completed: Option<Moment>,
    /// What the client knows about its effect.
    pub outcome: Outcome<Ret>,
}

/// A place in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The index of the event: the real-time order.
    pub index: usize,
    /// The time of the event: for readers, several events may share it.
    pub at: Millis,
}

/// What a client knows about the effect of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<Ret> {
    /// It took effect between invocation and completion, with this answer.
    Ok(Ret),
    /// It never took effect.
    Fail,
    /// It may have taken effect at any time since its invocation, may still do so, or never.
    Info,
}
