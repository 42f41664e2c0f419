//! The projection: the production lanes and fold between an abstract graph, a log and a network.
//!
//! The model calls the very `handle` that production runs, and does the rest: it executes effects,
//! delays and loses writes, tells of events early, late and twice, crashes the process. Every
//! action is one effect or one message, so that a crash may fall between any two.
//!
//! What is assumed of the surroundings:
//!
//! - A graph transaction is atomic; a write takes effect only where all of its marks are where it
//!   expects them. It is executed at most once, at any time after it was sent, even after its sender is gone; or
//!   never, in which case it stays among the strays: a state with a stray stands for both.
//! - There is one log, which the graph is of from the beginning, and which every process has read before. It does not change, and can be read in its own order and
//!   stream by stream.
//!
//! What keeps the model small without hiding anything:
//!
//! - A read is told of when it is executed: what it says is as old as the write that rests on it,
//!   and nobody else acts on it.
//! - A process that starts reads at once what the projection keeps about itself, and that nothing is
//!   parked: it does nothing before it has.
//! - Clocks stand still: every pause is zero. Poison and barriers are the subject of the tests of
//!   the crate.

mod action;
mod flaw;
mod graph;
mod properties;
mod script;
mod state;
mod transition;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::graph::{EntityId, Millis, Snapshot};
use ::projection::event::Event;
use ::projection::lanes::{Action as Asked, Config, EffectId, Lanes, OnForeign, OnUnknown};
use ::projection::log::LogId;
use stateright::{Model, Property};

pub use self::graph::Graph;
use crate::taken::{Counting, Taken};
pub use action::Action;
pub use flaw::Flaw;
pub use state::{Budget, Effect, Process, Seen, State};

/// How large the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How many events of the script there are; at most 8.
    pub events: usize,
    /// What may happen to them.
    pub budget: Budget,
    /// How much of them is done at once.
    pub pace: Pace,
}

/// How much is done at once, and so which orders there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Lanes share effects, and events transactions, as in production.
    Batched,
    /// The log is read event by event, every event has a transaction of its own, and no lane waits for another.
    Singly,
    /// As that, but the log is read at once; and a state remembers the order in which events took effect.
    Ordered,
}

impl Bounds {
    /// All events in batches, and this may happen to them.
    pub const fn of(budget: Budget) -> Bounds {
        Bounds { events: 8, budget, pace: Pace::Batched }
    }

    /// All events in every order, and nothing happens to them.
    pub const fn orders(pace: Pace) -> Bounds {
        Bounds { events: 8, budget: Budget { deliveries: 0, crashes: 0, losses: 0, rebuilds: 0 }, pace }
    }
}

/// The model.
#[derive(Clone, Debug)]
pub struct ProjectionModel {
    bounds: Bounds,
    flaw: Option<Flaw>,
    config: Config,
    log: Vec<Arc<Event>>,
    /// What the whole log says.
    whole: Snapshot,
    /// What the first events of each stream say of its resource, by how many they are.
    prefixes: BTreeMap<EntityId, Vec<Snapshot>>,
    taken: Taken,
}

impl ProjectionModel {
    /// The projection as it is.
    pub fn new(bounds: Bounds) -> ProjectionModel {
        let batched = bounds.pace == Pace::Batched;
        let config = Config {
            on_unknown: OnUnknown::Park,
            on_foreign: OnForeign::Halt,
            batch_lanes_max: if batched { 2 } else { 1 },
            run_max: if batched { 2 } else { 1 },
            effects_max: if batched { 2 } else { script::RESOURCES.len() },
            buffer_max: if batched { 4 } else { 8 },
            lanes_max: 8,
            buffered_max: 64,
            page: if bounds.pace == Pace::Singly { 1 } else { 8 },
            campaign_page: 8,
            backoff_ms: Millis::ZERO,
            backoff_ms_max: Millis::ZERO,
            barrier_timeout_ms: Millis::ZERO,
            checkpoint_period_ms: Millis::ZERO,
            revive_period_ms: Millis::ZERO,
            left_out_period_ms: Millis::ZERO,
            attempts_max: 1,
        };
        let log = script::log(bounds.events);
        let events: Vec<Event> = log.iter().map(|event| (**event).clone()).collect();
        let mut prefixes = BTreeMap::new();
        for resource in script::RESOURCES.map(script::id) {
            let stream: Vec<Event> =
                events.iter().filter(|event| event.position.resource == resource).cloned().collect();
            let of = |count: usize| own(&reference_fold::fold(&stream[..count]).graph, &resource);
            prefixes.insert(resource.clone(), (0..=stream.len()).map(of).collect());
        }
        let whole = reference_fold::fold(&events).graph;
        ProjectionModel { bounds, flaw: None, config, log, whole, prefixes, taken: Taken::of(Action::KINDS) }
    }

    /// The projection without one of its parts.
    pub fn flawed(bounds: Bounds, flaw: Flaw) -> ProjectionModel {
        ProjectionModel { flaw: Some(flaw), ..ProjectionModel::new(bounds) }
    }
}

/// The one log that there is.
fn log() -> LogId {
    LogId(String::new())
}

/// What belongs to one resource.
fn own(graph: &Snapshot, resource: &EntityId) -> Snapshot {
    let name = resource.as_str();
    let is_own = |id: &str| id == name || id.split_once('#').is_some_and(|(owner, _)| owner == name);
    let nodes = graph.nodes().iter().filter(|node| is_own(&node.id)).cloned().collect();
    let edges = graph.edges().iter().filter(|edge| is_own(&edge.from)).cloned().collect();
    Snapshot::new(nodes, edges)
}

impl Model for ProjectionModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            process: None,
            graph: Arc::new(Graph::of_log(log())),
            strays: Vec::new(),
            rebuilds: 0,
            left: self.bounds.budget,
            seen: Seen::default(),
        };
        self.restart(&mut state);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What a panic leaves behind means nothing.
        if state.seen.panicked.is_some() {
            return;
        }
        actions.extend((0..state.strays.len()).map(Action::Arrive));
        let Some(process) = &state.process else {
            actions.push(Action::Restart);
            return;
        };
        for (id, effect) in &process.effects {
            let name = || name(id);
            let is_write = matches!(*effect.action, Asked::Apply { .. });
            match &effect.result {
                None if self.is_idle(effect) => {}
                None => actions.push(Action::Execute(name())),
                Some(_) => actions.push(Action::Report(name())),
            }
            if is_write && state.left.losses > 0 {
                actions.push(Action::Lose(name()));
            }
        }
        if state.left.deliveries > 0 {
            actions.extend((0..self.log.len()).map(Action::Deliver));
        }
        if state.left.rebuilds > 0 {
            actions.push(Action::Rebuild);
        }
        if state.left.crashes > 0 {
            actions.push(Action::Crash);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.taken.count(action.kind());
        let mut next = last.clone();
        let panic = catch_unwind(AssertUnwindSafe(|| self.apply(&mut next, &action))).err();
        if let Some(panic) = panic {
            next = last.clone();
            next.seen.panicked = Some(crate::host::message(panic.as_ref()));
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<ProjectionModel>> {
        properties::all(self.bounds)
    }

    fn format_action(&self, action: &Action) -> String {
        action.to_string()
    }
}

impl Counting for ProjectionModel {
    fn taken(&self) -> &Taken {
        &self.taken
    }
}

impl ProjectionModel {
    /// Whether an effect waits for events that there are not.
    fn is_idle(&self, effect: &Effect) -> bool {
        matches!(*effect.action, Asked::Feed { after, .. } if after >= self.log.len() as u64)
    }

    /// Whether the system can move without help: no fault, no new request, no stray.
    fn can_move(&self, state: &State) -> bool {
        let idle = |effect: &Effect| effect.result.is_none() && self.is_idle(effect);
        state.process.as_ref().is_none_or(|process| !process.effects.values().all(idle))
    }
}

/// How actions name an effect.
fn name(id: &EffectId) -> String {
    match id {
        EffectId::Load(slot) => format!("load #{slot}"),
        EffectId::Apply(slot) => format!("apply #{slot}"),
        EffectId::Fetch(resource) => format!("fetch {resource}"),
        EffectId::List(listing) => format!("list {listing:?}").to_lowercase(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn started(config: Config) -> (Arc<Lanes>, Vec<::projection::lanes::LanesEffect>) {
    let (core, first) = Lanes::go_on(config, Some(log()));
    (Arc::new(core), first.effects)
}
