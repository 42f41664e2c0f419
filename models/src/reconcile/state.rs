//! One state of the model: a coordinator, its two stores, a client, and those who compare.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::commit::RequestId;
use coordinator::reconcile::{Evidence, Reason, Reconcile, Task};

use super::stores::{Content, Deed, Graph, Ledger};
use crate::commit::Told;
use crate::host;

/// The coordinator, as this model names patches and what a read has seen.
pub type Host = host::Host<Deed, Option<Content>>;

/// One state. Whatever is cloned often and changed seldom is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Whether it is settled what there was before.
    pub begun: bool,
    /// The coordinator.
    pub host: Host,
    /// SQLite.
    pub ledger: Arc<Ledger>,
    /// The graph database.
    pub graph: Arc<Graph>,
    /// The client: a transaction at a time.
    pub client: ClientState,
    /// The passes under way. Each has a core of its own, so any two may run at once.
    pub passes: BTreeMap<Task, Pass>,
    /// Whether a pass that found nothing more to do began after the last change by hand.
    pub vouched: bool,
    /// What may still happen.
    pub left: Budget,
    /// What did go wrong and leaves no other trace.
    pub wrongs: Wrongs,
}

/// The client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientState {
    /// Whether it waits for an answer.
    pub waiting: bool,
    /// What it was told last.
    pub told: Told,
}

/// A pass under way: lost with its process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// What decides about it, as production runs it.
    pub core: Arc<Reconcile>,
    /// What its core asked for.
    pub stage: Stage,
    /// Under which name it asks the commit core; each pass has its own.
    pub request: RequestId,
    /// Whether nobody has changed a store by hand since it began, and no transaction has kept
    /// a difference from its scans.
    pub undisturbed: bool,
}

/// How far what a pass has asked for is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Neither store is scanned.
    Scanning,
    /// The graph is scanned.
    HalfScanned {
        /// What it had.
        in_graph: Option<Content>,
        /// Whether a transaction was under way.
        touched: bool,
    },
    /// The commit core examines or repairs.
    Waiting,
    /// A case is to be opened.
    Asking(Box<Evidence>, Reason),
}

/// What may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Transactions of the client.
    pub transactions: u8,
    /// Changes of a store by hand.
    pub changes: u8,
    /// Passes.
    pub passes: u8,
}

/// What went wrong in a single step, and would be forgotten with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wrongs {
    /// A core panicked, or a store was asked for what it was built to refuse.
    pub panicked: Option<String>,
    /// A repair deleted what a client had created, or brought back what one had deleted.
    pub overruled: bool,
    /// A pass reported a difference although nobody had changed a store by hand.
    pub unfounded: bool,
    /// Somebody was told something that is not so.
    pub untrue: bool,
}

impl State {
    /// Whether nothing is under way that the system knows of. Strays may still arrive: what
    /// holds in such a state has to hold whether they do or not.
    pub fn is_quiescent(&self) -> bool {
        self.host.is_idle() && self.passes.is_empty() && !self.client.waiting
    }

    /// Whether the system can move without help: no fault, no new request, no stray.
    pub fn can_move(&self) -> bool {
        self.host.can_move() || self.passes.values().any(|pass| pass.stage != Stage::Waiting)
    }

    /// Whether a transaction, the client's or a repair, has begun and has no outcome.
    pub fn is_touched(&self) -> bool {
        self.ledger.log.values().any(|entry| entry.outcome.is_none())
    }

    /// Whether both stores have the same.
    pub fn agrees(&self) -> bool {
        self.graph.entity == self.ledger.row
    }
}
