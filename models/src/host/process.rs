//! A coordinator's process, what it has under way, and what outlives it on the network.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use coordinator::commit::{Commit, Config, Decision, EffectId, Failure, Report, RequestId};
use graph::TxId;
use serde::{Deserialize, Serialize};

/// A coordinator and its network. `P` stands for a patch, `H` for what the graph told a read
/// that has still to ask SQLite.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host<P, H> {
    /// The coordinator's process, while it runs.
    pub process: Option<Process<P, H>>,
    /// How often it was started.
    pub incarnation: u64,
    /// Graph requests under way whose answer nobody waits for any more, sorted. Each may
    /// arrive at any time. One that never does was lost.
    pub strays: Vec<GraphRequest<P>>,
    /// What may still go wrong.
    pub left: Budget,
}

/// The coordinator's process: all that a crash takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process<P, H> {
    /// The protocol, as production runs it.
    pub core: Arc<Commit>,
    /// Effects that the core asked for and was told nothing of yet.
    pub effects: BTreeMap<EffectId, Effect<P, H>>,
}

/// An effect under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Effect<P, H> {
    /// What it does.
    pub work: Work<P>,
    /// How far it is.
    pub progress: Progress<H>,
}

/// What an effect does: the core's `Action`, with names in place of content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work<P> {
    /// SQLite: begin a transaction.
    Intend(TxId, P),
    /// SQLite: finish one.
    Finish(TxId, Decision),
    /// Graph: decide or fence one.
    Graph(GraphRequest<P>),
    /// Both stores, the graph first: read the entity.
    Read,
    /// SQLite: append the events that were asked for.
    Append(RequestId),
}

/// A request to the graph database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GraphRequest<P> {
    /// Make a transaction's changes and create its marker.
    Decide(TxId, P),
    /// Create the marker as aborted unless there is one, and read it.
    Fence(TxId),
    /// The COMMIT of a fence that was answered before it: only in a flawed world.
    FenceCommit(TxId),
}

impl<P> fmt::Display for GraphRequest<P> {
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
pub enum Progress<H> {
    /// The store has not seen it.
    Asked,
    /// A read has seen the graph.
    HalfRead(H),
    /// The store has executed it, durably, and its answer is on the way.
    Executed(Result<Report, Failure>),
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Crashes of the process.
    pub crashes: u8,
    /// Verdicts lost, requests refused, and time-outs of clients.
    pub faults: u8,
}

impl<P: Clone + Ord, H> Host<P, H> {
    /// The first process, which finds an empty log.
    pub fn new(config: Config, left: Budget) -> Host<P, H> {
        let (core, _) = Commit::recover(config, 1, Vec::new()).expect("an empty log has no conflict");
        let process = Process { core: Arc::new(core), effects: BTreeMap::new() };
        Host { process: Some(process), incarnation: 1, strays: Vec::new(), left }
    }

    /// Whether the process runs and is not about to end.
    pub fn in_service(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.core.status().halted)
    }

    /// Whether the process runs and has nothing under way. Strays may still arrive: what holds
    /// in such a state has to hold whether they do or not.
    pub fn is_idle(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let status = process.core.status();
        status.open == 0 && status.waiting == 0 && !status.halted && process.effects.is_empty()
    }

    /// Whether it can move without help: no fault, no new request, no stray.
    pub fn can_move(&self) -> bool {
        match &self.process {
            None => true,
            Some(process) => !process.effects.is_empty() || process.core.status().halted,
        }
    }

    /// The effects whose answers are on the way.
    pub fn executed(&self) -> impl Iterator<Item = (EffectId, &Work<P>, &Result<Report, Failure>)> {
        let effects = self.process.iter().flat_map(|process| &process.effects);
        effects.filter_map(|(id, effect)| match &effect.progress {
            Progress::Executed(result) => Some((*id, &effect.work, result)),
            Progress::Asked | Progress::HalfRead(_) => None,
        })
    }

    /// A graph request is under way, and nobody waits for its answer.
    pub fn stray(&mut self, request: GraphRequest<P>) {
        let position = self.strays.partition_point(|stray| *stray < request);
        self.strays.insert(position, request);
    }

    pub(crate) fn running(&mut self) -> &mut Process<P, H> {
        self.process.as_mut().expect("the process runs")
    }

    pub(crate) fn take(&mut self, id: EffectId) -> Effect<P, H> {
        self.running().effects.remove(&id).unwrap_or_else(|| panic!("{id:?} is not under way"))
    }
}
