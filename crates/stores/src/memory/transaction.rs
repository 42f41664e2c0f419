//! Explicit transactions, and what happens when one commits.

use super::MemoryGraph;
use super::state::{Before, State, StoredEdge, StoredNode};
use super::view::{EdgeChange, NodeChange, Overlay, View, apply};
use crate::{GraphFault, PropertyGraph};

/// An explicit transaction; dropping it rolls it back.
pub struct MemoryTransaction {
    graph: MemoryGraph,
    overlay: Overlay,
}

impl MemoryTransaction {
    pub(super) fn new(graph: MemoryGraph) -> MemoryTransaction {
        MemoryTransaction { graph, overlay: Overlay::default() }
    }

    /// Runs one statement: nothing is committed by others while it runs, anything may be
    /// between it and the next.
    ///
    /// # Errors
    ///
    /// Those of the work; the statement's own changes are taken back then, earlier ones are
    /// not. Servers fail the whole transaction: drop it to do the same.
    pub fn statement<T, E>(&mut self, work: impl FnOnce(&mut dyn PropertyGraph) -> Result<T, E>) -> Result<T, E> {
        let mut state = self.graph.state();
        let mut overlay = self.overlay.clone();
        let result = work(&mut View::new(&mut state, &mut overlay))?;
        self.overlay = overlay;
        Ok(result)
    }

    /// Commits, all or nothing.
    ///
    /// # Errors
    ///
    /// [`GraphFault::Conflict`] or [`GraphFault::Constraint`] when what others committed
    /// meanwhile stands against it; nothing was changed then.
    pub fn commit(self) -> Result<(), GraphFault> {
        commit(&mut self.graph.state(), self.overlay)
    }
}

/// Applies the changes of a transaction to what is committed now.
pub(super) fn commit(state: &mut State, overlay: Overlay) -> Result<(), GraphFault> {
    if overlay.nodes.is_empty() && overlay.edges.is_empty() {
        return Ok(());
    }
    check_conflicts(state, &overlay)?;
    let changed: Vec<u64> = overlay.nodes.keys().copied().collect();
    let before = install(state, overlay);
    // Checked on the result, since a value may wander from one node to another within a
    // transaction; undone when it does not hold.
    if let Err(fault) = changed.into_iter().try_for_each(|id| state.check_unique(id)) {
        state.restore(before);
        return Err(fault);
    }
    state.remember(before);
    Ok(())
}

/// Fails if others took away or changed what the transaction builds on.
fn check_conflicts(state: &State, overlay: &Overlay) -> Result<(), GraphFault> {
    for (&id, change) in &overlay.nodes {
        let base = match change {
            NodeChange::Created(_) => continue,
            NodeChange::Changed { base, .. } | NodeChange::Deleted { base } => *base,
        };
        let node = state.node(id).ok_or(GraphFault::Conflict)?;
        let is_constrained = state.constraints_on(&node.labels).next().is_some();
        if is_constrained && node.version != base {
            return Err(GraphFault::Conflict);
        }
        if matches!(change, NodeChange::Deleted { .. }) {
            let is_deleted = |edge| matches!(overlay.edges.get(&edge), Some(EdgeChange::Deleted));
            if !state.edges_at(id).all(is_deleted) {
                return Err(GraphFault::Conflict);
            }
        }
    }
    let exists = |node| matches!(overlay.nodes.get(&node), Some(NodeChange::Created(_))) || state.node(node).is_some();
    for (&id, change) in &overlay.edges {
        let holds = match change {
            EdgeChange::Created(edge) => exists(edge.from) && exists(edge.to),
            EdgeChange::Changed(_) | EdgeChange::Deleted => state.edge(id).is_some(),
        };
        if !holds {
            return Err(GraphFault::Conflict);
        }
    }
    Ok(())
}

/// Puts the changes in place and returns what they replaced.
fn install(state: &mut State, overlay: Overlay) -> Before {
    let version = state.next_version();
    let mut before = Before { version, ..Before::default() };
    for (id, change) in overlay.nodes {
        let after = match change {
            NodeChange::Created(node) => Some(StoredNode { version, ..node }),
            NodeChange::Deleted { .. } => None,
            NodeChange::Changed { set, .. } => state.node(id).map(|node| {
                let mut node = StoredNode { version, ..node.clone() };
                apply(&mut node.properties, &set);
                node
            }),
        };
        before.nodes.push((id, state.replace_node(id, after)));
    }
    for (id, change) in overlay.edges {
        let after = match change {
            EdgeChange::Created(edge) => Some(edge),
            EdgeChange::Deleted => None,
            EdgeChange::Changed(set) => state.edge(id).map(|edge| {
                let mut edge: StoredEdge = edge.clone();
                apply(&mut edge.properties, &set);
                edge
            }),
        };
        before.edges.push((id, state.replace_edge(id, after)));
    }
    before
}
