//! What may happen next: one thing at a time.

use std::fmt;

use coordinator::reconcile::{Policy, Task};
use serde::{Deserialize, Serialize};

use super::stores::Deed;
use crate::host;

/// One step of the model. A crash is possible between any two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// What there was before: always the first step, and the only one of its kind.
    Begin(Beginning),
    /// The client submits a transaction.
    Submit(Deed),
    /// Somebody changes a store by hand.
    Tamper(Store, Change),
    /// A pass begins.
    Run(Task),
    /// A pass reads the graph, without locks.
    ScanGraph(Task),
    /// A pass reads SQLite, without locks and some time later, and compares.
    ScanSql(Task),
    /// SQLite opens a case for a pass.
    OpenCase(Task),
    /// The coordinator, a store or the network goes on, or fails.
    Host(host::Action<Deed>),
}

/// What both stores have when the model begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beginning {
    /// Nothing ever.
    Empty,
    /// The entity.
    Created,
    /// Nothing any more.
    Deleted,
}

impl Beginning {
    /// All of them.
    pub const ALL: [Beginning; 3] = [Beginning::Empty, Beginning::Created, Beginning::Deleted];
}

/// One of the two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// The graph database.
    Graph,
    /// The rows in SQLite.
    Sql,
}

/// What somebody does to the entity by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Adds it where it is missing, changes it where it is not.
    Put,
    /// Removes it.
    Remove,
}

/// Who makes a pass.
pub(super) fn name(task: Task) -> &'static str {
    match task {
        Task::Validate => "validation",
        Task::Reconcile(Policy::Log) => "reconciliation by the log",
        Task::Reconcile(Policy::Graph) => "reconciliation by the graph",
        Task::Reconcile(Policy::Sql) => "reconciliation by sqlite",
        Task::Reconcile(Policy::Quarantine) => "reconciliation by nobody",
    }
}

impl Action {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Action::Begin(_) => "begin",
            Action::Submit(_) => "submit",
            Action::Tamper(..) => "tamper",
            Action::Run(_) => "run",
            Action::ScanGraph(_) => "scan graph",
            Action::ScanSql(_) => "scan sqlite",
            Action::OpenCase(_) => "open case",
            Action::Host(action) => action.kind(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Begin(Beginning::Empty) => f.write_str("in the beginning there is nothing"),
            Action::Begin(Beginning::Created) => f.write_str("in the beginning both stores have the entity"),
            Action::Begin(Beginning::Deleted) => f.write_str("in the beginning the entity is deleted"),
            Action::Submit(Deed::Create(_)) => f.write_str("client submits a create"),
            Action::Submit(Deed::Update(_)) => f.write_str("client submits an update"),
            Action::Submit(Deed::Delete) => f.write_str("client submits a delete"),
            Action::Submit(Deed::Restore { .. }) => f.write_str("client submits a repair"),
            Action::Tamper(store, change) => {
                let store = match store {
                    Store::Graph => "graph",
                    Store::Sql => "sqlite",
                };
                match change {
                    Change::Put => write!(f, "somebody writes the entity to the {store} by hand"),
                    Change::Remove => write!(f, "somebody removes the entity from the {store} by hand"),
                }
            }
            Action::Run(task) => write!(f, "{} begins", name(*task)),
            Action::ScanGraph(task) => write!(f, "{} scans the graph", name(*task)),
            Action::ScanSql(task) => write!(f, "{} scans sqlite and compares", name(*task)),
            Action::OpenCase(task) => write!(f, "{} opens a case", name(*task)),
            Action::Host(action) => action.fmt(f),
        }
    }
}
