//! One state of the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::commit::{Action, Commit, Decision, EffectId};
use graph::{EntityId, TxId};

use super::stores::{Graph, Ledger, Script};
use crate::host::{self, Budget};

/// A request to the graph. Of which patch, its transaction says.
pub type GraphRequest = host::GraphRequest<Script>;

/// How far an effect is. None is done by halves.
pub type Progress = host::Progress<()>;

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The coordinator's process, while it runs.
    pub process: Option<Process>,
    /// How often it was started.
    pub incarnation: u64,
    /// SQLite.
    pub ledger: Ledger,
    /// The graph database.
    pub graph: Graph,
    /// Graph requests under way whose answer nobody waits for any more, sorted.
    pub strays: Vec<GraphRequest>,
    /// What those who ask for a script know, by [`Script`](super::Script).
    pub clients: Vec<ClientState>,
    /// What may still go wrong.
    pub left: Budget,
    /// What the core panicked with, or a store that was asked for what it was built to refuse.
    pub panicked: Option<String>,
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
    pub action: Action,
    /// How far it is.
    pub progress: Progress,
}

/// A client with one transaction to its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientState {
    /// How often it asked.
    pub attempts: u8,
    /// Whether it waits for an answer.
    pub waiting: bool,
    /// What became of its transaction, once it was told.
    pub told: Option<(TxId, Decision)>,
    /// The id of what it created, as it was told.
    pub created: Option<EntityId>,
}

impl State {
    /// Whether the process runs and is not about to end.
    pub fn in_service(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.core.status().halted)
    }

    /// Whether nothing is under way that the system knows of.
    pub fn is_quiescent(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let status = process.core.status();
        let idle = status.open == 0 && status.waiting == 0 && !status.halted && process.effects.is_empty();
        idle && !self.clients.iter().any(|client| client.waiting)
    }
}
