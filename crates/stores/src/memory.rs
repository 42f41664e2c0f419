//! A property graph in memory, no more isolated than real servers are.
//!
//! It is what a simulated graph database executes, so it must not hide what production
//! would meet. Transactions are read-committed: each statement sees what is committed at
//! that moment plus its own transaction's changes. Hence
//!
//! - what a statement read may have changed before the next one writes: updates get lost;
//! - two transactions that look for a node, miss it and create it both succeed, unless a
//!   uniqueness constraint fails the one that commits second;
//! - properties are written one by one, the last commit wins, and only a node whose label
//!   carries a constraint fails with [`GraphFault::Conflict`] when another transaction has
//!   committed a change to it between this transaction's first write to it and its commit;
//! - a statement that is a transaction of its own is exact.
//!
//! Neo4j blocks where this graph lets the second committer fail. Both are seen by a caller
//! as "not now", and a server that detects conflicts at commit exists.

mod state;
pub(crate) mod store;
mod transaction;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graph::{Edge, Snapshot};

use crate::dump;
use crate::{GraphFault, PropertyGraph};
pub use state::COMMITS_KEPT;
use state::{State, StoredEdge, StoredNode};
pub use transaction::MemoryTransaction;
use transaction::commit;
use view::{Overlay, View};

/// A graph in memory; clones share it, so it can outlive the host that serves it.
#[derive(Clone, Default)]
pub struct MemoryGraph(Arc<Mutex<State>>);

/// Why a snapshot cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// An edge ends at an id that no node has.
    #[error("an edge ends at {0:?}, which no node has as its id")]
    NoSuchNode(String),
    /// An edge ends at an id that several nodes have.
    #[error("an edge ends at {0:?}, which several nodes have as their id")]
    Ambiguous(String),
    /// A constraint of the graph stands against it.
    #[error(transparent)]
    Fault(#[from] GraphFault),
}

/// A commit that wrote something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Higher than that of every commit before it.
    pub number: u64,
    /// Of each node, and then of each edge, that it wrote: what was there and what is now, alone in a snapshot. One of
    /// the two is empty where it was created or deleted.
    pub changed: Vec<(Snapshot, Snapshot)>,
}

impl MemoryGraph {
    /// An empty graph without constraints.
    pub fn new() -> MemoryGraph {
        MemoryGraph::default()
    }

    /// Begins an explicit transaction; dropping it rolls it back.
    pub fn begin(&self) -> MemoryTransaction {
        MemoryTransaction::new(self.clone())
    }

    /// Runs work as a transaction of its own that nobody can come between.
    ///
    /// Also how somebody changes the graph behind the back of everybody else.
    ///
    /// # Errors
    ///
    /// Those of the work, and faults of the commit; nothing was changed then.
    pub fn autocommit<T, E: From<GraphFault>>(
        &self,
        work: impl FnOnce(&mut dyn PropertyGraph) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.state();
        let mut overlay = Overlay::default();
        let result = work(&mut View::new(&mut state, &mut overlay))?;
        commit(&mut state, overlay)?;
        Ok(result)
    }

    /// Adds a uniqueness constraint, if it is not there.
    ///
    /// # Errors
    ///
    /// [`GraphFault::Constraint`] when two nodes violate it; it is not added then.
    pub fn constrain(&self, label: &str, property: &str) -> Result<(), GraphFault> {
        self.state().constrain(label, property)
    }

    /// The uniqueness constraints as label and property, sorted.
    pub fn constraints(&self) -> Vec<(String, String)> {
        self.state().constraints().cloned().collect()
    }

    /// Everything that is committed.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let dumped: BTreeMap<u64, _> = state
            .nodes()
            .map(|(&id, node)| (id, dump::to_dump(node.labels.clone(), node.properties.clone())))
            .collect();
        let edges = state.edges().map(|edge| Edge {
            from: dumped[&edge.from].id.clone(),
            kind: edge.kind.clone(),
            to: dumped[&edge.to].id.clone(),
            properties: edge.properties.clone(),
        });
        let edges = edges.collect();
        Snapshot::new(dumped.into_values().collect(), edges)
    }

    /// Replaces everything by the snapshot, in one commit; constraints stay.
    ///
    /// # Errors
    ///
    /// See [`LoadError`]; nothing was changed then.
    pub fn load(&self, snapshot: &Snapshot) -> Result<(), LoadError> {
        let mut state = self.state();
        let mut overlay = Overlay::default();
        let (nodes, edges): (Vec<_>, Vec<_>) = (state.node_ids().collect(), state.edge_ids().collect());
        overlay.delete_all(&state, nodes, edges);

        let mut by_id: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for node in snapshot.nodes() {
            let id = state.next_id();
            overlay.create_node(id, StoredNode::new(node.labels.clone(), dump::from_dump(node)));
            by_id.entry(&node.id).or_default().push(id);
        }
        let find = |id: &str| match by_id.get(id).map(Vec::as_slice) {
            Some(&[only]) => Ok(only),
            Some(_) => Err(LoadError::Ambiguous(id.to_owned())),
            None => Err(LoadError::NoSuchNode(id.to_owned())),
        };
        for edge in snapshot.edges() {
            let (from, to) = (find(&edge.from)?, find(&edge.to)?);
            let stored = StoredEdge { from, kind: edge.kind.clone(), to, properties: edge.properties.clone() };
            overlay.create_edge(state.next_id(), stored);
        }
        Ok(commit(&mut state, overlay)?)
    }

    /// The last commit that wrote something and that [`lose_last`](Self::lose_last) has not undone, if it has a higher
    /// number than this one. It costs what it wrote, not what there is.
    pub fn commit_after(&self, number: u64) -> Option<Commit> {
        let state = self.state();
        let before = state.last().filter(|before| before.version > number)?;
        let dumped = |node: &StoredNode| dump::to_dump(node.labels.clone(), node.properties.clone());
        let alone = |node: Option<&StoredNode>| Snapshot::new(node.map(dumped).into_iter().collect(), Vec::new());
        let nodes = before.nodes.iter().map(|(id, node)| (alone(node.as_ref()), alone(state.node(*id))));
        // An edge that is gone may have ended at a node that is gone.
        let name = |id: u64| {
            let gone = || before.nodes.iter().find(|(gone, _)| *gone == id).and_then(|(_, node)| node.as_ref());
            state.node(id).or_else(gone).map(|node| dumped(node).id).unwrap_or_default()
        };
        let alone = |edge: Option<&StoredEdge>| {
            let edge = edge.map(|StoredEdge { from, kind, to, properties }| Edge {
                from: name(*from),
                kind: kind.clone(),
                to: name(*to),
                properties: properties.clone(),
            });
            Snapshot::new(Vec::new(), edge.into_iter().collect())
        };
        let edges = before.edges.iter().map(|(id, edge)| (alone(edge.as_ref()), alone(state.edge(*id))));
        Some(Commit { number: before.version, changed: nodes.chain(edges).collect() })
    }

    /// Undoes the last `count` commits that changed something, as a server does that
    /// acknowledged before its log was synced; says how many it could undo.
    ///
    /// The last [`COMMITS_KEPT`] are remembered.
    pub fn lose_last(&self, count: usize) -> usize {
        self.state().lose_last(count)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A statement that panicked has changed nothing here: it writes to an overlay.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
