//! The commit protocol: the production core between two abstract stores and a network.
//!
//! The [host](crate::host) calls the very `handle` that production runs; the model plays the
//! stores and the clients. Every action is one effect or one message, so that a crash may fall
//! between any two.
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
//! - Clocks stand still, see [`CONFIG`].
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

use std::sync::Arc;

use coordinator::commit::{ContentHash, IdempotencyKey, Submission};
use graph::{EntityId, Operation, Patch, Value};
use stateright::{Model, Property};

use crate::host::{self, Budget, CONFIG, Host};
use crate::taken::{Counting, Taken};

pub use action::Action;
pub use flaw::Flaw;
pub use state::{ReaderState, State, Told, WriterState, Wrongs};
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
    entity: EntityId,
    scripts: Vec<Submission>,
    taken: Taken,
}

impl CommitModel {
    /// The protocol as it is.
    pub fn new(bounds: Bounds) -> CommitModel {
        let entity = EntityId::new("x").expect("an id");
        let scripts = (0..bounds.writers).map(|writer| script(writer, &entity)).collect();
        CommitModel {
            bounds,
            flaw: None,
            entity,
            scripts,
            taken: Taken::of(["submit", "read"].into_iter().chain(host::KINDS)),
        }
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
        0 => Operation::Create { id, kind: KIND.parse().expect("a kind"), key: None, properties },
        _ => Operation::Update { id, set: properties },
    };
    Submission {
        key: IdempotencyKey(format!("writer-{writer}")),
        hash: ContentHash(format!("hash-{writer}")),
        patch: Patch { operations: vec![operation] },
    }
}

impl Counting for CommitModel {
    fn taken(&self) -> &Taken {
        &self.taken
    }
}

impl Model for CommitModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let left = Budget { crashes: self.bounds.crashes, faults: self.bounds.faults };
        vec![State {
            host: Host::new(CONFIG, left),
            ledger: Arc::default(),
            graph: Arc::default(),
            writers: vec![WriterState::default(); self.scripts.len()],
            reader: ReaderState::default(),
            known: 0,
            wrongs: Wrongs::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What a panic leaves behind means nothing.
        if state.wrongs.panicked.is_some() {
            return;
        }
        actions.extend(state.host.actions().into_iter().map(Action::Host));
        if !state.host.in_service() {
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
        self.taken.count(action.kind());
        Some(host::attempt(last, |next| self.apply(next, action)).unwrap_or_else(|panic| {
            let mut next = last.clone();
            next.wrongs.panicked = Some(panic);
            next
        }))
    }

    fn properties(&self) -> Vec<Property<CommitModel>> {
        properties::all()
    }

    fn format_action(&self, action: &Action) -> String {
        action.to_string()
    }
}
