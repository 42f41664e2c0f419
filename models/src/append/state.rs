//! One state of the model: a coordinator, its two stores, what is under way, and its clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{EventId, TxId};

use super::stores::{Ledger, Position};
use crate::host;

/// The coordinator; there is one patch, and nobody reads an entity.
pub type Host = host::Host<(), ()>;

/// One state. Whatever is cloned often and changed seldom is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The coordinator.
    pub host: Host,
    /// SQLite.
    pub ledger: Arc<Ledger>,
    /// The markers in the graph; true is committed. That there is one a transaction is the constraint.
    pub markers: Arc<BTreeMap<TxId, bool>>,
    /// The clients, by [`Client`](super::Client).
    pub clients: Vec<ClientState>,
    /// Who follows the events.
    pub reader: ReaderState,
    /// What did go wrong and leaves no other trace.
    pub wrongs: Wrongs,
}

/// A client with one event to append, tried until it knows what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientState {
    /// How often it asked.
    pub attempts: u8,
    /// Whether it waits for an answer.
    pub waiting: bool,
    /// Whether an attempt ended without a certain answer.
    pub in_doubt: bool,
    /// The last definite answer.
    pub told: Told,
}

/// What a client was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Told {
    /// Nothing definite.
    #[default]
    Nothing,
    /// Nothing was done; it may ask again.
    Rejected,
    /// Its event is in the stream, under this number if that was said.
    There(Option<u64>),
    /// As [`There`](Self::There), and it had been before this attempt.
    Repeated(u64),
    /// Its event is not there, and never will be: the id belongs to another one.
    IdTaken,
    /// Its event is not there, and never will be: the transaction was aborted for another reason.
    Aborted,
}

impl Told {
    /// Whether there is nothing more to ask.
    pub fn is_final(self) -> bool {
        !matches!(self, Told::Nothing | Told::Rejected)
    }

    /// Whether the event is to be there.
    pub fn is_there(self) -> bool {
        matches!(self, Told::There(_) | Told::Repeated(_))
    }
}

/// Who follows the events of all streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReaderState {
    /// How often it read.
    pub reads: u8,
    /// The position that it has come to.
    pub through: Position,
    /// What it has seen, in this order.
    pub seen: Vec<(Position, EventId)>,
}

/// What went wrong in a single step, and would be forgotten with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wrongs {
    /// The core panicked, or a store was asked for what it was built to refuse.
    pub panicked: Option<String>,
    /// Somebody was told something that is not so.
    pub untrue: bool,
}

impl State {
    /// Whether nothing is under way that the system knows of. Strays may still arrive.
    pub fn is_quiescent(&self) -> bool {
        self.host.is_idle() && !self.clients.iter().any(|client| client.waiting)
    }
}
