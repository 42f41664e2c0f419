//! The commit protocol: the production core between two abstract stores and a network.
//!
//! The model calls the very `handle` that production runs, and does the rest: it executes
//! effects, delays and loses requests, crashes the process, plays the clients. Every action
//! is one effect or one message, so that a crash may fall between any two.
//!
//! What is assumed of the surroundings:
//!
//! - A SQLite transaction is atomic and durable once executed; whether its process hears of
//!   it is another matter.
//! - A graph transaction is atomic. A request is executed at most once (Bolt runs over TCP,
//!   which does not duplicate), at any time after it was sent, even after its sender is gone;
//!   or never, in which case it stays among the strays: a state with a stray stands for both.
//! - The uniqueness constraint on markers holds.
//!
//! What keeps the model small without hiding anything:
//!
//! - There is one entity. Locks on several are the subject of the core's own tests.
//! - Clocks stand still: the pause between attempts is zero, and "the time has come" is an
//!   action of its own.
//! - Linearizability needs no search: each committed write and each read has a place in the
//!   order of versions, so it is enough that nobody is answered with a place before one that
//!   any client knew of when the request began.
//! - The core takes no notice of what it is told while it halts, so it is told nothing then.

mod action;
mod flaw;
mod properties;
mod state;
mod stores;
mod transition;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use coordinator::commit::{Commit, Config, ContentHash, EffectId, IdempotencyKey, Submission};
use graph::{EntityId, Millis, Operation, Patch, Value};
use stateright::{Model, Property};

pub use action::Action;
pub use flaw::Flaw;
pub use state::{Budget, Effect, GraphRequest, Process, Progress, ReaderState, State, Told, Work, WriterState, Wrongs};
pub use stores::{Entry, Graph, Ledger, Writer};

const KIND: &str = "thing";

/// How large the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Clients with a transaction each; the first creates the entity, the others update it.
    pub writers: u8,
    /// How often each of them asks, at most; below 10.
    pub attempts: u8,
    /// How often the reader reads; below 10.
    pub reads: u8,
    /// How often the process is killed.
    pub crashes: u8,
    /// How often a verdict is lost, a request refused, or everybody's patience at its end.
    pub faults: u8,
}

impl Bounds {
    /// Small enough for every change.
    pub const SMALL: Bounds = Bounds { writers: 2, attempts: 2, reads: 2, crashes: 1, faults: 1 };
    /// Large enough for a night.
    pub const LARGE: Bounds = Bounds { writers: 2, attempts: 2, reads: 2, crashes: 2, faults: 2 };
}

/// The model.
#[derive(Clone, Debug)]
pub struct CommitModel {
    bounds: Bounds,
    flaw: Option<Flaw>,
    config: Config,
    entity: EntityId,
    scripts: Vec<Submission>,
}

impl CommitModel {
    /// The protocol as it is.
    pub fn new(bounds: Bounds) -> CommitModel {
        let entity = EntityId::new("x").expect("an id");
        let config = Config {
            decide_attempts_max: 2,
            backoff_ms: Millis::ZERO,
            backoff_ms_max: Millis::ZERO,
            answer_timeout_ms: Millis(1),
        };
        let scripts = (0..bounds.writers).map(|writer| script(writer, &entity)).collect();
        CommitModel { bounds, flaw: None, config, entity, scripts }
    }

    /// The protocol without one of its parts.
    pub fn flawed(bounds: Bounds, flaw: Flaw) -> CommitModel {
        CommitModel { flaw: Some(flaw), ..CommitModel::new(bounds) }
    }
}

fn script(writer: Writer, entity: &EntityId) -> Submission {
    let id = entity.clone();
    let properties = [("by".to_owned(), Value::from(i64::from(writer)))].into();
    let operation = match writer {
        0 => Operation::Create { id, kind: KIND.parse().expect("a kind"), properties },
        _ => Operation::Update { id, set: properties },
    };
    Submission {
        key: IdempotencyKey(format!("writer-{writer}")),
        hash: ContentHash(format!("hash-{writer}")),
        patch: Patch { operations: vec![operation] },
    }
}

impl Model for CommitModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let (core, _) = Commit::recover(self.config, 1, Vec::new()).expect("an empty log has no conflict");
        vec![State {
            process: Some(Process { core: Arc::new(core), effects: BTreeMap::new() }),
            incarnation: 1,
            ledger: Arc::default(),
            graph: Arc::default(),
            strays: Vec::new(),
            writers: vec![WriterState::default(); self.scripts.len()],
            reader: ReaderState::default(),
            known: 0,
            left: Budget { crashes: self.bounds.crashes, faults: self.bounds.faults },
            wrongs: Wrongs::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What a panic leaves behind means nothing.
        if state.wrongs.panicked.is_some() {
            return;
        }
        match &state.process {
            None => actions.push(Action::Restart),
            Some(process) => self.actions_of_the_process(process, state.left, actions),
        }
        let mut last = None;
        for stray in &state.strays {
            if last.replace(stray) != Some(stray) {
                actions.push(Action::Arrive(*stray));
            }
        }
        if !state.in_service() {
            return;
        }
        for (client, writer) in state.writers.iter().zip(0..) {
            let settled = matches!(client.told, Told::Settled(..));
            if !client.waiting && !settled && client.attempts < self.bounds.attempts {
                actions.push(Action::Submit(writer));
            }
        }
        if state.reader.waiting.is_none() && state.reader.reads < self.bounds.reads {
            actions.push(Action::Read);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        let panic = catch_unwind(AssertUnwindSafe(|| self.apply(&mut next, action))).err();
        if let Some(panic) = panic {
            next = last.clone();
            next.wrongs.panicked = Some(message(panic.as_ref()));
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<CommitModel>> {
        properties::all()
    }

    fn format_action(&self, action: &Action) -> String {
        action.to_string()
    }
}

impl CommitModel {
    fn actions_of_the_process(&self, process: &Process, left: Budget, actions: &mut Vec<Action>) {
        let halted = process.core.status().halted;
        for (id, effect) in &process.effects {
            let asked = effect.progress == Progress::Asked;
            let executed = matches!(effect.progress, Progress::Executed(_));
            if !executed {
                actions.push(Action::Execute(*id));
            }
            if halted {
                continue;
            }
            if executed {
                actions.push(Action::Report(*id));
            }
            if left.faults == 0 || effect.work == Work::Load {
                continue;
            }
            actions.push(Action::Lose(*id));
            if asked {
                actions.push(Action::Refuse { effect: *id, retryable: false });
            }
            if asked && matches!(id, EffectId::Decide(..)) {
                actions.push(Action::Refuse { effect: *id, retryable: true });
            }
        }
        if halted {
            actions.push(Action::Exit);
            return;
        }
        if left.faults > 0 && env::Core::poll_timeout(&*process.core).is_some() {
            actions.push(Action::TimeOut);
        }
        if left.crashes > 0 {
            actions.push(Action::Crash);
        }
    }
}

pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}
