//! What is committed, with the indexes that keep lookups from being scans.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use graph::{Kind, Properties, Value};

use crate::equality::{equality_key, without_nulls};
use crate::{GraphFault, TextRange};

/// How many commits [`lose_last`](super::MemoryGraph::lose_last) can undo.
pub const COMMITS_KEPT: usize = 1_000;

#[derive(Clone)]
pub(super) struct StoredNode {
    pub(super) labels: BTreeSet<String>,
    pub(super) properties: Properties,
    /// The commit that last changed it.
    pub(super) version: u64,
}

impl StoredNode {
    pub(super) fn new(labels: BTreeSet<String>, properties: Properties) -> StoredNode {
        StoredNode { labels, properties: without_nulls(properties), version: 0 }
    }
}

#[derive(Clone)]
pub(super) struct StoredEdge {
    pub(super) from: u64,
    pub(super) kind: Kind,
    pub(super) to: u64,
    pub(super) properties: Properties,
}

/// What a commit replaced; `None` for what was not there.
#[derive(Default)]
pub(super) struct Before {
    /// The commit: each has a higher number than those before it.
    pub(super) version: u64,
    pub(super) nodes: Vec<(u64, Option<StoredNode>)>,
    pub(super) edges: Vec<(u64, Option<StoredEdge>)>,
}

/// A label and a property.
type Constraint = (String, String);

#[derive(Default)]
pub(super) struct State {
    nodes: BTreeMap<u64, StoredNode>,
    edges: BTreeMap<u64, StoredEdge>,
    by_label: BTreeMap<String, BTreeSet<u64>>,
    /// For each constraint the nodes that hold a value, by the value's equality key.
    holders: BTreeMap<Constraint, BTreeMap<Value, BTreeSet<u64>>>,
    edges_at: BTreeMap<u64, BTreeSet<u64>>,
    ids: u64,
    commits: u64,
    history: VecDeque<Before>,
}

impl State {
    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn node(&self, id: u64) -> Option<&StoredNode> {
        self.nodes.get(&id)
    }

    pub(super) fn edge(&self, id: u64) -> Option<&StoredEdge> {
        self.edges.get(&id)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (&u64, &StoredNode)> {
        self.nodes.iter()
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = &StoredEdge> {
        self.edges.values()
    }

    pub(super) fn node_ids(&self) -> impl Iterator<Item = u64> {
        self.nodes.keys().copied()
    }

    pub(super) fn edge_ids(&self) -> impl Iterator<Item = u64> {
        self.edges.keys().copied()
    }

    pub(super) fn with_label(&self, label: &str) -> impl Iterator<Item = u64> {
        self.by_label.get(label).into_iter().flatten().copied()
    }

    /// The edges that leave or enter a node.
    pub(super) fn edges_at(&self, node: u64) -> impl Iterator<Item = u64> {
        self.edges_at.get(&node).into_iter().flatten().copied()
    }

    /// How many edges leave or enter a node.
    pub(super) fn degree(&self, node: u64) -> usize {
        self.edges_at.get(&node).map_or(0, BTreeSet::len)
    }

    pub(super) fn constraints(&self) -> impl Iterator<Item = &Constraint> {
        self.holders.keys()
    }

    /// The constraints that apply to nodes with these labels.
    pub(super) fn constraints_on(&self, labels: &BTreeSet<String>) -> impl Iterator<Item = &Constraint> {
        self.constraints().filter(|(label, _)| labels.contains(label))
    }

    /// Those with the label whose property may equal the value: exactly those under a
    /// constraint, which has an index, and all with the label otherwise.
    pub(super) fn candidates(&self, label: &str, property: &str, key: &Value) -> BTreeSet<u64> {
        match self.holders.get(&(label.to_owned(), property.to_owned())) {
            Some(index) => index.get(key).cloned().unwrap_or_default(),
            None => self.with_label(label).collect(),
        }
    }

    /// The texts of a range that nodes with the label have as the property, in order: from the
    /// index of a constraint, or from all nodes with the label where there is none.
    pub(super) fn texts<'s>(
        &'s self,
        label: &str,
        property: &str,
        range: TextRange<'s>,
    ) -> Box<dyn Iterator<Item = (&'s str, u64)> + 's> {
        if let Some(index) = self.holders.get(&(label.to_owned(), property.to_owned())) {
            let first = (Bound::Excluded(Value::from(range.after)), Bound::Unbounded);
            let texts = index.range(first).map_while(move |(value, holders)| {
                value.as_text().filter(|text| range.contains(text)).map(|text| (text, holders))
            });
            return Box::new(texts.flat_map(|(text, holders)| holders.iter().map(move |id| (text, *id))));
        }
        let text = |id| Some((self.nodes[&id].properties.get(property)?.as_text()?, id));
        let mut texts: Vec<(&str, u64)> =
            self.with_label(label).filter_map(text).filter(|(text, _)| range.contains(text)).collect();
        texts.sort_unstable();
        Box::new(texts.into_iter())
    }

    pub(super) fn constrain(&mut self, label: &str, property: &str) -> Result<(), GraphFault> {
        let constraint = (label.to_owned(), property.to_owned());
        if self.holders.contains_key(&constraint) {
            return Ok(());
        }
        let mut index: BTreeMap<Value, BTreeSet<u64>> = BTreeMap::new();
        for id in self.with_label(label) {
            let Some(value) = self.nodes[&id].properties.get(property) else { continue };
            let Some(key) = equality_key(value) else { continue };
            let holders = index.entry(key).or_default();
            holders.insert(id);
            if holders.len() > 1 {
                let (label, property) = constraint;
                return Err(GraphFault::Constraint { label, property, value: value.clone() });
            }
        }
        self.holders.insert(constraint, index);
        Ok(())
    }

    /// Fails if a node shares a value with another that a constraint does not let it.
    pub(super) fn check_unique(&self, id: u64) -> Result<(), GraphFault> {
        let Some(node) = self.nodes.get(&id) else { return Ok(()) };
        for (label, property) in self.constraints_on(&node.labels) {
            let Some(value) = node.properties.get(property) else { continue };
            let Some(key) = equality_key(value) else { continue };
            if self.candidates(label, property, &key).len() > 1 {
                let (label, property) = (label.clone(), property.clone());
                return Err(GraphFault::Constraint { label, property, value: value.clone() });
            }
        }
        Ok(())
    }

    /// Puts a node, or removes it, and returns what was there.
    pub(super) fn replace_node(&mut self, id: u64, node: Option<StoredNode>) -> Option<StoredNode> {
        let before = self.nodes.remove(&id);
        if let Some(before) = &before {
            self.index(id, before, false);
        }
        if let Some(node) = node {
            self.index(id, &node, true);
            self.nodes.insert(id, node);
        }
        before
    }

    fn index(&mut self, id: u64, node: &StoredNode, present: bool) {
        for label in &node.labels {
            change(self.by_label.entry(label.clone()).or_default(), id, present);
        }
        for ((label, property), index) in &mut self.holders {
            if !node.labels.contains(label) {
                continue;
            }
            let Some(key) = node.properties.get(property).and_then(equality_key) else { continue };
            let holders = index.entry(key.clone()).or_default();
            change(holders, id, present);
            if holders.is_empty() {
                index.remove(&key);
            }
        }
    }

    /// Puts an edge, or removes it, and returns what was there.
    pub(super) fn replace_edge(&mut self, id: u64, edge: Option<StoredEdge>) -> Option<StoredEdge> {
        let before = self.edges.remove(&id);
        if let Some(before) = &before {
            for end in [before.from, before.to] {
                let edges = self.edges_at.entry(end).or_default();
                edges.remove(&id);
                if edges.is_empty() {
                    self.edges_at.remove(&end);
                }
            }
        }
        if let Some(edge) = edge {
            for end in [edge.from, edge.to] {
                self.edges_at.entry(end).or_default().insert(id);
            }
            self.edges.insert(id, edge);
        }
        before
    }

    /// The version that a commit gives to the nodes it changes.
    pub(super) fn next_version(&mut self) -> u64 {
        self.commits += 1;
        self.commits
    }

    /// Remembers what a commit replaced, for [`lose_last`](Self::lose_last).
    pub(super) fn remember(&mut self, before: Before) {
        self.history.push_back(before);
        if self.history.len() > COMMITS_KEPT {
            self.history.pop_front();
        }
    }

    /// What the last commit replaced, of those that can be undone.
    pub(super) fn last(&self) -> Option<&Before> {
        self.history.back()
    }

    /// Puts back what a commit replaced, versions too: who wrote to the node before that
    /// commit builds on what is there again, and who did after it does not.
    pub(super) fn restore(&mut self, before: Before) {
        for (id, node) in before.nodes {
            self.replace_node(id, node);
        }
        for (id, edge) in before.edges {
            self.replace_edge(id, edge);
        }
    }

    pub(super) fn lose_last(&mut self, count: usize) -> usize {
        let kept = self.history.len().saturating_sub(count);
        let lost = self.history.split_off(kept);
        let lost_count = lost.len();
        for before in lost.into_iter().rev() {
            self.restore(before);
        }
        lost_count
    }
}

fn change(set: &mut BTreeSet<u64>, id: u64, present: bool) {
    if present {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}
