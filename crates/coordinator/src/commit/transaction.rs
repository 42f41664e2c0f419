//! One transaction on its way.

use graph::{Millis, Subject, TxId};

use super::messages::{Decision, Intent, RequestId};
use crate::reconcile::Order;

/// A transaction that has no outcome yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transaction {
    pub intent: Intent,
    pub stage: Stage,
    /// Who wants to know; empty once everybody was told that the outcome is unknown.
    pub waiters: Vec<Waiter>,
    /// Whether an earlier process began it.
    pub recovered: bool,
    /// What it repairs, if it is a repair of this process.
    pub repair: Option<Repair>,
}

/// What a repair was asked for: its operation is found out under its locks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Repair {
    pub subject: Subject,
    pub order: Order,
}

impl Transaction {
    /// The name under which its outcome can be asked for: none before the log has it, because
    /// the log may know its key under another name already.
    pub fn name(&self) -> Option<TxId> {
        match self.stage {
            Stage::Waiting | Stage::Reviewing | Stage::Intending => None,
            Stage::Deciding(_) | Stage::Resting { .. } | Stage::Fencing(_) | Stage::Finishing(_) => {
                Some(self.intent.tx)
            }
        }
    }
}

/// A client that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiter {
    pub request: RequestId,
    /// When it is told that nobody knows yet.
    pub answer_by: Millis,
}

/// How far a transaction has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Others hold its locks. Nothing durable exists.
    Waiting,
    /// Both stores are being read to find out what it has to repair. Nothing durable exists.
    Reviewing,
    /// Its intent is being written.
    Intending,
    /// An attempt to decide is under way.
    Deciding(Attempt),
    /// The next step waits for a while.
    Resting { until: Millis, next: Next },
    /// The nth fence is under way.
    Fencing(u32),
    /// The outcome is certain and is being written.
    Finishing(Decision),
}

/// What a resting transaction does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    Decide(Attempt),
    Fence(u32),
}

/// An attempt to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Whether an earlier one may have taken effect, or may still.
    pub uncertain: bool,
}

impl Attempt {
    /// The first attempt: no other can have taken effect.
    pub const FIRST: Attempt = Attempt { number: 1, uncertain: false };
}
