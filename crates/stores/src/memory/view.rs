//! What a statement sees: the committed graph under the changes of its transaction.

use std::collections::{BTreeMap, BTreeSet};

use graph::{Properties, Value};

use super::state::{State, StoredEdge, StoredNode};
use crate::equality::{equality_key, without_nulls};
use crate::property_graph::edge_kind;
use crate::{Direction, EdgeHandle, GraphFault, NodeHandle, PropertyGraph, TextRange};

/// The changes of a transaction that is not committed.
#[derive(Clone, Default)]
pub(super) struct Overlay {
    pub(super) nodes: BTreeMap<u64, NodeChange>,
    pub(super) edges: BTreeMap<u64, EdgeChange>,
}

#[derive(Clone)]
pub(super) enum NodeChange {
    Created(StoredNode),
    /// Properties to set, null to remove. `base` is the version at the first write.
    Changed {
        base: u64,
        set: Properties,
    },
    Deleted {
        base: u64,
    },
}

#[derive(Clone)]
pub(super) enum EdgeChange {
    Created(StoredEdge),
    /// Properties to set, null to remove.
    Changed(Properties),
    Deleted,
}

impl Overlay {
    pub(super) fn create_node(&mut self, id: u64, node: StoredNode) {
        self.nodes.insert(id, NodeChange::Created(node));
    }

    pub(super) fn create_edge(&mut self, id: u64, edge: StoredEdge) {
        self.edges.insert(id, EdgeChange::Created(edge));
    }

    /// Deletes committed nodes and edges, whatever else there is.
    pub(super) fn delete_all(&mut self, state: &State, nodes: Vec<u64>, edges: Vec<u64>) {
        for id in nodes {
            let base = state.node(id).map_or(0, |node| node.version);
            self.nodes.insert(id, NodeChange::Deleted { base });
        }
        self.edges.extend(edges.into_iter().map(|id| (id, EdgeChange::Deleted)));
    }
}

/// Sets properties, and removes those that are null.
pub(super) fn apply(properties: &mut Properties, set: &Properties) {
    properties.extend(set.clone());
    properties.retain(|_, value| *value != Value::Null);
}

/// What has to be set for `before` to become `after`.
fn difference(before: &Properties, after: &Properties) -> Properties {
    let removed = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    removed.chain(set.map(|(name, value)| (name.clone(), value.clone()))).collect()
}

/// The property graph of one statement.
pub(super) struct View<'a> {
    state: &'a mut State,
    overlay: &'a mut Overlay,
}

impl<'a> View<'a> {
    pub(super) fn new(state: &'a mut State, overlay: &'a mut Overlay) -> View<'a> {
        View { state, overlay }
    }

    fn node(&self, id: u64) -> Option<StoredNode> {
        match self.overlay.nodes.get(&id) {
            None => self.state.node(id).cloned(),
            Some(NodeChange::Created(node)) => Some(node.clone()),
            Some(NodeChange::Deleted { .. }) => None,
            Some(NodeChange::Changed { set, .. }) => {
                let mut node = self.state.node(id)?.clone();
                apply(&mut node.properties, set);
                Some(node)
            }
        }
    }

    fn edge(&self, id: u64) -> Option<StoredEdge> {
        match self.overlay.edges.get(&id) {
            None => self.state.edge(id).cloned(),
            Some(EdgeChange::Created(edge)) => Some(edge.clone()),
            Some(EdgeChange::Deleted) => None,
            Some(EdgeChange::Changed(set)) => {
                let mut edge = self.state.edge(id)?.clone();
                apply(&mut edge.properties, set);
                Some(edge)
            }
        }
    }

    /// Those of the committed candidates and of the transaction's own nodes that match.
    fn filter(
        &self,
        mut candidates: BTreeSet<u64>,
        matches: impl Fn(&StoredNode) -> bool,
    ) -> impl Iterator<Item = u64> {
        candidates.extend(self.overlay.nodes.keys());
        candidates.into_iter().filter(move |id| self.node(*id).is_some_and(|node| matches(&node)))
    }

    fn holders(&self, label: &str, property: &str, value: &Value) -> BTreeSet<u64> {
        let Some(key) = equality_key(value) else { return BTreeSet::new() };
        let matches = |node: &StoredNode| {
            node.labels.contains(label) && node.properties.get(property).and_then(equality_key).as_ref() == Some(&key)
        };
        self.filter(self.state.candidates(label, property, &key), matches).collect()
    }

    /// Fails if `node` would share a value with a node other than `id`.
    fn check_unique(&self, id: u64, node: &StoredNode) -> Result<(), GraphFault> {
        for (label, property) in self.state.constraints_on(&node.labels) {
            let Some(value) = node.properties.get(property) else { continue };
            if self.holders(label, property, value).iter().any(|holder| *holder != id) {
                let (label, property) = (label.clone(), property.clone());
                return Err(GraphFault::Constraint { label, property, value: value.clone() });
            }
        }
        Ok(())
    }

    /// The edges that touch a node, with their ids, in the order of creation.
    fn edges_at(&self, node: u64) -> Vec<(u64, StoredEdge)> {
        let mut ids: BTreeSet<u64> = self.state.edges_at(node).collect();
        ids.extend(self.overlay.edges.keys());
        ids.into_iter()
            .filter_map(|id| Some((id, self.edge(id)?)))
            .filter(|(_, edge)| edge.from == node || edge.to == node)
            .collect()
    }
}

impl PropertyGraph for View<'_> {
    fn find(&mut self, label: &str, property: &str, value: &Value) -> Result<Vec<NodeHandle>, GraphFault> {
        Ok(self.holders(label, property, value).into_iter().map(NodeHandle).collect())
    }

    fn range(
        &mut self,
        label: &str,
        property: &str,
        range: TextRange<'_>,
        limit: usize,
    ) -> Result<Vec<NodeHandle>, GraphFault> {
        let text = |node: &StoredNode| match node.properties.get(property) {
            Some(Value::Text(text)) if node.labels.contains(label) && range.contains(text) => Some(text.clone()),
            _ => None,
        };
        // What this transaction has touched is looked at by itself.
        let committed = self.state.texts(label, property, range).filter(|(_, id)| !self.overlay.nodes.contains_key(id));
        let own = self.overlay.nodes.keys().filter_map(|id| Some((text(&self.node(*id)?)?, *id)));
        let mut nodes: Vec<(String, u64)> =
            committed.take(limit).map(|(text, id)| (text.to_owned(), id)).chain(own).collect();
        nodes.sort();
        nodes.truncate(limit);
        Ok(nodes.into_iter().map(|(_, id)| NodeHandle(id)).collect())
    }

    fn scan(&mut self, label: &str) -> Result<Vec<NodeHandle>, GraphFault> {
        let committed = self.state.with_label(label).collect();
        Ok(self.filter(committed, |node| node.labels.contains(label)).map(NodeHandle).collect())
    }

    fn greatest(&mut self, label: &str, property: &str) -> Result<Option<i64>, GraphFault> {
        let nodes = self.scan(label)?.into_iter().filter_map(|node| self.node(node.0));
        Ok(nodes.filter_map(|node| node.properties.get(property)?.as_int()).max())
    }

    fn create(&mut self, labels: &[&str], properties: Properties) -> Result<NodeHandle, GraphFault> {
        let id = self.state.next_id();
        let node = StoredNode::new(labels.iter().map(|label| (*label).to_owned()).collect(), properties);
        self.check_unique(id, &node)?;
        self.overlay.create_node(id, node);
        Ok(NodeHandle(id))
    }

    fn properties(&mut self, node: NodeHandle) -> Result<Properties, GraphFault> {
        Ok(self.node(node.0).ok_or(GraphFault::Gone)?.properties)
    }

    fn set_properties(&mut self, node: NodeHandle, properties: Properties) -> Result<(), GraphFault> {
        let id = node.0;
        let before = self.node(id).ok_or(GraphFault::Gone)?;
        let after = StoredNode { properties: without_nulls(properties), ..before.clone() };
        self.check_unique(id, &after)?;
        match self.overlay.nodes.get_mut(&id) {
            Some(NodeChange::Created(node)) => *node = after,
            Some(NodeChange::Changed { set, .. }) => set.extend(difference(&before.properties, &after.properties)),
            Some(NodeChange::Deleted { .. }) => unreachable!("a deleted node is not seen"),
            None => {
                let set = difference(&before.properties, &after.properties);
                self.overlay.nodes.insert(id, NodeChange::Changed { base: before.version, set });
            }
        }
        Ok(())
    }

    fn delete(&mut self, node: NodeHandle) -> Result<(), GraphFault> {
        let id = node.0;
        let before = self.node(id).ok_or(GraphFault::Gone)?;
        if !self.edges_at(id).is_empty() {
            return Err(GraphFault::StillConnected);
        }
        match self.overlay.nodes.get(&id) {
            Some(NodeChange::Created(_)) => {
                self.overlay.nodes.remove(&id);
            }
            Some(&NodeChange::Changed { base, .. }) => {
                self.overlay.nodes.insert(id, NodeChange::Deleted { base });
            }
            Some(NodeChange::Deleted { .. }) => unreachable!("a deleted node is not seen"),
            None => {
                self.overlay.nodes.insert(id, NodeChange::Deleted { base: before.version });
            }
        }
        Ok(())
    }

    fn relate(
        &mut self,
        from: NodeHandle,
        kind: &str,
        to: NodeHandle,
        properties: Properties,
    ) -> Result<EdgeHandle, GraphFault> {
        if self.node(from.0).is_none() || self.node(to.0).is_none() {
            return Err(GraphFault::Gone);
        }
        let kind = edge_kind(kind)?;
        let id = self.state.next_id();
        let properties = without_nulls(properties);
        self.overlay.create_edge(id, StoredEdge { from: from.0, kind, to: to.0, properties });
        Ok(EdgeHandle(id))
    }

    fn edges(
        &mut self,
        node: NodeHandle,
        kind: &str,
        direction: Direction,
    ) -> Result<Vec<(EdgeHandle, NodeHandle)>, GraphFault> {
        if self.node(node.0).is_none() {
            return Err(GraphFault::Gone);
        }
        let ends = |edge: &StoredEdge| match direction {
            Direction::Out => (edge.from, edge.to),
            Direction::In => (edge.to, edge.from),
        };
        let touching = self.edges_at(node.0).into_iter();
        Ok(touching
            .filter(|(_, edge)| edge.kind.as_str() == kind && ends(edge).0 == node.0)
            .map(|(id, edge)| (EdgeHandle(id), NodeHandle(ends(&edge).1)))
            .collect())
    }

    fn edges_between(&mut self, from: NodeHandle, kind: &str, to: NodeHandle) -> Result<Vec<EdgeHandle>, GraphFault> {
        if self.node(from.0).is_none() || self.node(to.0).is_none() {
            return Err(GraphFault::Gone);
        }
        let fewer = if self.state.degree(from.0) < self.state.degree(to.0) { from } else { to };
        let between = |edge: &StoredEdge| edge.from == from.0 && edge.kind.as_str() == kind && edge.to == to.0;
        let touching = self.edges_at(fewer.0).into_iter();
        Ok(touching.filter(|(_, edge)| between(edge)).map(|(id, _)| EdgeHandle(id)).collect())
    }

    fn edge_properties(&mut self, edge: EdgeHandle) -> Result<Properties, GraphFault> {
        Ok(self.edge(edge.0).ok_or(GraphFault::Gone)?.properties)
    }

    fn set_edge_properties(&mut self, edge: EdgeHandle, properties: Properties) -> Result<(), GraphFault> {
        let before = self.edge(edge.0).ok_or(GraphFault::Gone)?.properties;
        let after = without_nulls(properties);
        match self.overlay.edges.get_mut(&edge.0) {
            Some(EdgeChange::Created(created)) => created.properties = after,
            Some(EdgeChange::Changed(set)) => set.extend(difference(&before, &after)),
            Some(EdgeChange::Deleted) => unreachable!("a deleted edge is not seen"),
            None => {
                self.overlay.edges.insert(edge.0, EdgeChange::Changed(difference(&before, &after)));
            }
        }
        Ok(())
    }

    fn unrelate(&mut self, edge: EdgeHandle) -> Result<(), GraphFault> {
        self.edge(edge.0).ok_or(GraphFault::Gone)?;
        match self.overlay.edges.get(&edge.0) {
            Some(EdgeChange::Created(_)) => {
                self.overlay.edges.remove(&edge.0);
            }
            _ => {
                self.overlay.edges.insert(edge.0, EdgeChange::Deleted);
            }
        }
        Ok(())
    }
}
