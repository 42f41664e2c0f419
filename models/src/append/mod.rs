//! Streams of events: the production core between two abstract stores, with writers that race.
//!
//! A transaction appends an event to a stream; a client appends another one to the same stream by
//! itself; a second client wants the id of the transaction's event for an event of another stream.
//! All of them ask again until they know. A reader follows the events of all streams by their positions. The process
//! is killed and recovers, answers are lost, requests to the graph come late.
//!
//! The [host](crate::host) is that of the [commit model](crate::commit), and so is what is assumed of the
//! surroundings. What is different: the transaction changes nothing in the graph but its marker, and a store
//! takes events as it is told, with gaps and twice if need be. Production has constraints against
//! that; here the locks alone have to do.

mod action;
mod flaw;
mod properties;
mod state;
mod stores;
mod transition;

use std::sync::Arc;

use coordinator::commit::{ContentHash, EffectId, IdempotencyKey, Submission};
use coordinator::events::Append;
use graph::{EntityId, NewEvent, Operation, Patch};
use stateright::{Model, Property};

use crate::host::{self, Budget, CONFIG, Host};
use crate::taken::{Counting, Taken};

pub use action::Action;
pub use flaw::Flaw;
pub use state::{ClientState, ReaderState, State, Told, Wrongs};
pub use stores::{Entry, Event, Ledger, Position};

/// How large the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How often each client asks, at most; below 10.
    pub attempts: u8,
    /// How often the reader reads.
    pub reads: u8,
    /// How often the process is killed.
    pub crashes: u8,
    /// How often a verdict is lost, a request refused, or everybody's patience at its end.
    pub faults: u8,
}

impl Bounds {
    /// Small enough for every change.
    pub const SMALL: Bounds = Bounds { attempts: 2, reads: 2, crashes: 1, faults: 1 };
    /// Large enough for a night.
    pub const LARGE: Bounds = Bounds { attempts: 2, reads: 3, crashes: 2, faults: 1 };
}

/// Whoever asks for something, by position: the one with the transaction, then those who append by themselves.
pub type Client = u8;

/// The client with the transaction.
const TRANSACTION: Client = 0;
const CLIENTS: [Client; 3] = [TRANSACTION, 1, 2];

/// The model.
#[derive(Clone, Debug)]
pub struct AppendModel {
    bounds: Bounds,
    flaw: Option<Flaw>,
    submission: Submission,
    /// Of the clients behind the first.
    appends: [Append; 2],
    taken: Taken,
}

impl AppendModel {
    /// The protocol as it is.
    pub fn new(bounds: Bounds) -> AppendModel {
        let [s, r] = ["s", "r"].map(|stream| EntityId::new(stream).expect("an id"));
        let operation = Operation::Append { resource: Some(s.clone()), event: event("t") };
        let submission = Submission {
            key: IdempotencyKey("transaction".to_owned()),
            hash: ContentHash("hash".to_owned()),
            patch: Patch { operations: vec![operation] },
        };
        let append = |stream, id| Append { stream, expected: None, events: vec![event(id)] };
        AppendModel {
            bounds,
            flaw: None,
            submission,
            appends: [append(s, "a"), append(r, "t")],
            taken: Taken::of(["ask", "read"].into_iter().chain(host::KINDS)),
        }
    }

    /// The protocol without one of its parts.
    pub fn flawed(bounds: Bounds, flaw: Flaw) -> AppendModel {
        let mut model = AppendModel { flaw: Some(flaw), ..AppendModel::new(bounds) };
        if flaw == Flaw::PositionAtIntent {
            // It takes one whom the transaction does not keep waiting.
            model.appends[1].events = vec![event("b")];
        }
        model
    }

    /// Whether the core can be told of it: not of a failed append that it was never asked for.
    fn concerns_the_core(&self, action: &host::Action<()>) -> bool {
        use host::Action::{Lose, Refuse};
        let failed = matches!(action, Lose(EffectId::Append(_)) | Refuse { effect: EffectId::Append(_), .. });
        !(failed && self.flaw == Some(Flaw::AppendWithoutLock))
    }

    /// What a client wants to be appended: the stream and the event.
    fn wanted(&self, client: Client) -> (&EntityId, &NewEvent) {
        if let Some(by_itself) = client.checked_sub(1) {
            let append = &self.appends[usize::from(by_itself)];
            return (&append.stream, &append.events[0]);
        }
        match &self.submission.patch.operations[..] {
            [Operation::Append { resource: Some(stream), event }] => (stream, event),
            operations => panic!("the transaction appends one event, and not {operations:?}"),
        }
    }
}

fn event(id: &str) -> NewEvent {
    NewEvent {
        id: id.parse().expect("an id"),
        kind: "noted".to_owned(),
        timestamp: None,
        user_id: "ann".to_owned(),
        version: 1,
        payload: graph::Json::default(),
        correlation_id: None,
    }
}

impl Counting for AppendModel {
    fn taken(&self) -> &Taken {
        &self.taken
    }
}

impl Model for AppendModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let left = Budget { crashes: self.bounds.crashes, faults: self.bounds.faults };
        vec![State {
            host: Host::new(CONFIG, left),
            ledger: Arc::default(),
            markers: Arc::default(),
            clients: vec![ClientState::default(); CLIENTS.len()],
            reader: ReaderState::default(),
            wrongs: Wrongs::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What a panic leaves behind means nothing.
        if state.wrongs.panicked.is_some() {
            return;
        }
        let possible = state.host.actions().into_iter().filter(|action| self.concerns_the_core(action));
        actions.extend(possible.map(Action::Host));
        if !state.host.in_service() {
            return;
        }
        for client in CLIENTS {
            let ClientState { attempts, waiting, told, .. } = &state.clients[usize::from(client)];
            if !waiting && !told.is_final() && *attempts < self.bounds.attempts {
                actions.push(Action::Ask(client));
            }
        }
        if state.reader.reads < self.bounds.reads && state.ledger.last_position() > state.reader.through {
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

    fn properties(&self) -> Vec<Property<AppendModel>> {
        properties::all()
    }

    fn format_action(&self, action: &Action) -> String {
        action.to_string()
    }
}
