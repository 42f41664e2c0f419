//! One state of the model: a coordinator, its two stores, what is under way, and its clients.

use std::sync::Arc;

use coordinator::commit::{Decision, RequestId};
use graph::TxId;

use super::stores::{Graph, Ledger, Writer};
use crate::host;

/// The coordinator, as this model names patches and what a read has seen: by who wrote it.
pub type Host = host::Host<Writer, Vec<TxId>>;

/// One state. Whatever is cloned often and changed seldom is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The coordinator.
    pub host: Host,
    /// SQLite.
    pub ledger: Arc<Ledger>,
    /// The graph database.
    pub graph: Arc<Graph>,
    /// The clients that write, by [`Writer`].
    pub writers: Vec<WriterState>,
    /// The client that reads.
    pub reader: ReaderState,
    /// The highest version of the entity that any client was told of.
    pub known: usize,
    /// What did go wrong and leaves no other trace.
    pub wrongs: Wrongs,
}

/// A client with one transaction to its name: one idempotency key, tried until it is settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WriterState {
    /// How often it asked.
    pub attempts: u8,
    /// Whether it waits for an answer.
    pub waiting: bool,
    /// Whether an attempt ended without a certain answer.
    pub in_doubt: bool,
    /// Whether it was told that nobody knows.
    pub unknown: bool,
    /// What was known when it began: its transaction comes after that.
    pub floor: usize,
    /// The last definite answer.
    pub told: Told,
}

/// What a writer was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Told {
    /// Nothing definite.
    #[default]
    Nothing,
    /// Nothing was done.
    Rejected,
    /// This became of its transaction.
    Settled(TxId, Decision),
}

/// A client that reads strongly, one read after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReaderState {
    /// How often it asked.
    pub reads: u8,
    /// While it waits for an answer: what was known when it asked.
    pub waiting: Option<usize>,
}

impl ReaderState {
    /// The name of its last request.
    pub fn request(&self) -> RequestId {
        RequestId(u64::from(self.reads))
    }
}

/// What went wrong in a single step, and would be forgotten with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wrongs {
    /// The core panicked, or a store was asked for what it was built to refuse.
    pub panicked: Option<String>,
    /// Somebody read the two stores at different moments.
    pub torn: bool,
    /// Somebody was told something older than what had been known when it asked.
    pub stale: bool,
    /// Somebody was told something that is not so.
    pub untrue: bool,
}

impl State {
    /// Whether nothing is under way that the system knows of. Strays may still arrive: what
    /// holds in such a state has to hold whether they do or not.
    pub fn is_quiescent(&self) -> bool {
        self.host.is_idle() && self.reader.waiting.is_none() && !self.writers.iter().any(|writer| writer.waiting)
    }
}
