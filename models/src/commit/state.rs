//! One state of the model: a coordinator, its two stores, what is under way, and its clients.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use coordinator::commit::{Commit, Decision, EffectId, Failure, Report, RequestId};
use graph::TxId;
use serde::{Deserialize, Serialize};

use super::stores::{Graph, Ledger, Writer};

/// One state. Whatever is cloned often and changed seldom is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The coordinator's process, while it runs.
    pub process: Option<Process>,
    /// How often it was started.
    pub incarnation: u64,
    /// SQLite.
    pub ledger: Arc<Ledger>,
    /// The graph database.
    pub graph: Arc<Graph>,
    /// Graph requests under way whose answer nobody waits for any more, sorted. Each may
    /// arrive at any time. One that never does was lost.
    pub strays: Vec<GraphRequest>,
    /// The clients that write, by [`Writer`].
    pub writers: Vec<WriterState>,
    /// The client that reads.
    pub reader: ReaderState,
    /// The highest version of the entity that any client was told of.
    pub known: usize,
    /// What may still go wrong.
    pub left: Budget,
    /// What did go wrong and leaves no other trace.
    pub wrongs: Wrongs,
}

/// The coordinator's process: all that a crash takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The protocol, as production runs it.
    pub core: Arc<Commit>,
    /// Effects that the core asked for and was told nothing of yet.
    pub effects: BTreeMap<EffectId, Effect>,
}

/// An effect under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    /// What it does.
    pub work: Work,
    /// How far it is.
    pub progress: Progress,
}

/// What an effect does: the core's `Action`, with names in place of content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// SQLite: begin a transaction.
    Intend(TxId, Writer),
    /// SQLite: finish one.
    Finish(TxId, Decision),
    /// Graph: decide or fence one.
    Graph(GraphRequest),
    /// Both stores, the graph first: read the entity.
    Load,
}

/// A request to the graph database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GraphRequest {
    /// Make a transaction's changes and create its marker.
    Decide(TxId, Writer),
    /// Create the marker as aborted unless there is one, and read it.
    Fence(TxId),
    /// The COMMIT of a fence that was answered before it: only in a flawed world.
    FenceCommit(TxId),
}

impl fmt::Display for GraphRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GraphRequest::Decide(tx, _) => write!(f, "decide {tx}"),
            GraphRequest::Fence(tx) => write!(f, "fence {tx}"),
            GraphRequest::FenceCommit(tx) => write!(f, "commit of the fence of {tx}"),
        }
    }
}

/// How far an effect is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The store has not seen it.
    Asked,
    /// A load has read the graph: the entity's writers.
    HalfRead(Vec<TxId>),
    /// The store has executed it, durably, and its answer is on the way.
    Executed(Result<Report, Failure>),
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

/// What may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Crashes of the process.
    pub crashes: u8,
    /// Verdicts lost, requests refused, and time-outs of clients.
    pub faults: u8,
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
    /// Whether the process runs and is not about to end.
    pub fn in_service(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.core.status().halted)
    }

    /// Whether nothing is under way that the system knows of. Strays may still arrive: what
    /// holds in such a state has to hold whether they do or not.
    pub fn is_quiescent(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let status = process.core.status();
        let idle = status.open == 0 && status.waiting == 0 && !status.halted && process.effects.is_empty();
        idle && self.reader.waiting.is_none() && !self.writers.iter().any(|writer| writer.waiting)
    }

    /// Whether the system can move without help: no fault, no new request, no stray.
    pub fn can_move(&self) -> bool {
        match &self.process {
            None => true,
            Some(process) => !process.effects.is_empty() || process.core.status().halted,
        }
    }
}
