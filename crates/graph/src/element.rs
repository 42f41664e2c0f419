//! Nodes and edges, and a whole graph as a sorted list of both.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Kind, Properties};

/// A node of a property graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Node {
    /// The value of its key property `id`.
    pub id: String,
    /// Its labels.
    pub labels: BTreeSet<String>,
    /// Its other properties.
    pub properties: Properties,
}

/// A directed edge of a property graph, named by its ends and its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Edge {
    /// The id of the node it leaves.
    pub from: String,
    /// Its relationship type.
    pub kind: Kind,
    /// The id of the node it enters.
    pub to: String,
    /// Its properties.
    pub properties: Properties,
}

/// The whole content of a graph at one moment, sorted.
///
/// A list rather than a map: a store that went wrong may hold two nodes of one id, and
/// the dump has to show both. Reading one from JSON sorts it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Unsorted")]
pub struct Snapshot {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// A snapshot as a file may hold it, edited by hand.
#[derive(Deserialize)]
#[serde(rename = "Snapshot")]
struct Unsorted {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

impl From<Unsorted> for Snapshot {
    fn from(unsorted: Unsorted) -> Snapshot {
        Snapshot::new(unsorted.nodes, unsorted.edges)
    }
}

impl Snapshot {
    /// Sorts what a store returned, in whatever order.
    pub fn new(mut nodes: Vec<Node>, mut edges: Vec<Edge>) -> Snapshot {
        nodes.sort();
        edges.sort();
        Snapshot { nodes, edges }
    }

    /// The nodes, sorted by id.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The edges, sorted by start, kind and end.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }
}
