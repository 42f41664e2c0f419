//! One state of the model: a projector, its graph, and what is under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::EntityId;
use projection::lanes::{Action, EffectId, Failure, Lanes, Report, Write};

use super::graph::Graph;

/// One state. Whatever is cloned often and changed seldom is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The projector's process, while it runs.
    pub process: Option<Process>,
    /// The graph database.
    pub graph: Arc<Graph>,
    /// Writes under way whose answer nobody waits for any more. One that never arrives was lost.
    pub strays: Vec<Arc<Vec<Write>>>,
    /// How often a rebuild was asked for.
    pub rebuilds: u8,
    /// What may still happen.
    pub left: Budget,
    /// What did happen and leaves no other trace.
    pub seen: Seen,
}

/// The process: all that a crash takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The protocol, as production runs it.
    pub core: Arc<Lanes>,
    /// Effects that the core asked for and was told nothing of yet.
    pub effects: BTreeMap<EffectId, Effect>,
}

/// An effect under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    /// What it does.
    pub action: Arc<Action>,
    /// What came of it, once it was executed.
    pub result: Option<Result<Report, Failure>>,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Events told of beside the log's own order.
    pub deliveries: u8,
    /// Crashes of the process.
    pub crashes: u8,
    /// Verdicts lost.
    pub losses: u8,
    /// Rebuilds of all.
    pub rebuilds: u8,
}

/// What happened in a single step, and would be forgotten with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The core panicked.
    pub panicked: Option<String>,
    /// A mark went back, of this resource.
    pub went_back: Option<EntityId>,
    /// A delayed write was refused.
    pub stray_refused: bool,
    /// A delayed write took effect.
    pub stray_landed: bool,
    /// An event was heard of that was in the graph already.
    pub duplicate: bool,
    /// Whose events took effect, one after the other, where the pace is [`Pace::Ordered`](super::Pace::Ordered).
    pub order: Vec<EntityId>,
    /// A rebuild was taken up that an earlier process had begun.
    pub resumed: bool,
}
