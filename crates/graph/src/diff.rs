//! What turned one graph into another, element by element and property by property.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::Word;
use crate::{Edge, KIND_PROPERTY, Kind, Node, Properties, Snapshot, Value};

/// The changes from an old snapshot to a new one; empty exactly if the two are equal.
///
/// Prints one line a change:
///
/// ```text
/// + node carol :Entity {"kind":"person"}
/// ~ node alice age: 6 -> 7
/// - edge alice -[LINK {"kind":"knows"}]-> bob
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diff {
    changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An element that the old snapshot does not have. Prints with `+`.
    Added {
        /// The whole element.
        element: Element,
        /// How many of its identity there are.
        copies: Copies,
    },
    /// An element that the new snapshot does not have. Prints with `-`.
    Removed {
        /// The whole element.
        element: Element,
        /// How many of its identity there are.
        copies: Copies,
    },
    /// A label or a property of an element that both snapshots have once. Prints with `~`.
    Changed {
        /// The element.
        id: ElementId,
        /// What became different.
        alteration: Alteration,
    },
}

/// A node or an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// A node.
    Node(Node),
    /// An edge.
    Edge(Edge),
}

/// What makes a node or an edge the same one in both snapshots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementId {
    /// A node, by its id.
    Node(String),
    /// An edge, by its ends, its type and its property `kind`: links of two kinds between
    /// the same entities are two links.
    Edge {
        /// The id of the node it leaves.
        from: String,
        /// Its relationship type.
        kind: Kind,
        /// Its property `kind`; `None` where it is absent or null.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<Value>,
        /// The id of the node it enters.
        to: String,
    },
}

/// How many elements of one identity each snapshot has: more than one is an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Copies {
    /// In the old snapshot.
    pub old: usize,
    /// In the new snapshot.
    pub new: usize,
}

/// What became different about an element.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alteration {
    /// The node got this label.
    LabelAdded(String),
    /// The node lost this label.
    LabelRemoved(String),
    /// The element got this property.
    PropertyAdded {
        /// The property.
        name: String,
        /// Its value in the new snapshot.
        new: Value,
    },
    /// The element lost this property.
    PropertyRemoved {
        /// The property.
        name: String,
        /// Its value in the old snapshot.
        old: Value,
    },
    /// The property has another value.
    PropertyChanged {
        /// The property.
        name: String,
        /// Its value in the old snapshot.
        old: Value,
        /// Its value in the new snapshot.
        new: Value,
    },
}

impl Diff {
    /// Compares two snapshots.
    ///
    /// Where either has several elements of one identity, there is no telling which copy
    /// became which: equal copies cancel out, and the others are reported whole.
    pub fn between(old: &Snapshot, new: &Snapshot) -> Diff {
        let mut groups = BTreeMap::<ElementId, Group>::new();
        for part in parts(old) {
            groups.entry(part.id()).or_default().old.push(part);
        }
        for part in parts(new) {
            groups.entry(part.id()).or_default().new.push(part);
        }
        let mut changes = Vec::new();
        for (id, group) in groups {
            group.report(&id, &mut changes);
        }
        Diff { changes }
    }

    /// Whether the snapshots are equal.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes, nodes before edges, sorted by the identity of the element.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

/// A node or an edge of one of the snapshots compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Node(&'a Node),
    Edge(&'a Edge),
}

fn parts(snapshot: &Snapshot) -> impl Iterator<Item = Part<'_>> {
    snapshot.nodes().iter().map(Part::Node).chain(snapshot.edges().iter().map(Part::Edge))
}

impl<'a> Part<'a> {
    fn id(self) -> ElementId {
        match self {
            Part::Node(node) => ElementId::Node(node.id.clone()),
            Part::Edge(Edge { from, kind, to, properties }) => ElementId::Edge {
                from: from.clone(),
                kind: kind.clone(),
                link: properties.get(KIND_PROPERTY).filter(|value| **value != Value::Null).cloned(),
                to: to.clone(),
            },
        }
    }

    fn element(self) -> Element {
        match self {
            Part::Node(node) => Element::Node(node.clone()),
            Part::Edge(edge) => Element::Edge(edge.clone()),
        }
    }

    fn labels(self) -> Option<&'a BTreeSet<String>> {
        match self {
            Part::Node(node) => Some(&node.labels),
            Part::Edge(_) => None,
        }
    }

    fn properties(self) -> &'a Properties {
        match self {
            Part::Node(node) => &node.properties,
            Part::Edge(edge) => &edge.properties,
        }
    }
}

/// The elements of one identity in both snapshots, sorted.
#[derive(Default)]
struct Group<'a> {
    old: Vec<Part<'a>>,
    new: Vec<Part<'a>>,
}

impl Group<'_> {
    fn report(self, id: &ElementId, changes: &mut Vec<Change>) {
        if let ([old], [new]) = (&self.old[..], &self.new[..]) {
            let changed = |alteration| Change::Changed { id: id.clone(), alteration };
            changes.extend(alterations(*old, *new).into_iter().map(changed));
            return;
        }
        let copies = Copies { old: self.old.len(), new: self.new.len() };
        for part in without(&self.old, &self.new) {
            changes.push(Change::Removed { element: part.element(), copies });
        }
        for part in without(&self.new, &self.old) {
            changes.push(Change::Added { element: part.element(), copies });
        }
    }
}

/// The parts left when each of `others` has cancelled out one equal to it.
fn without<'a>(parts: &[Part<'a>], others: &[Part<'a>]) -> Vec<Part<'a>> {
    let mut left = parts.to_vec();
    for other in others {
        if let Some(at) = left.iter().position(|part| part == other) {
            left.remove(at);
        }
    }
    left
}

fn alterations(old: Part, new: Part) -> Vec<Alteration> {
    let mut alterations = Vec::new();
    if let (Some(old), Some(new)) = (old.labels(), new.labels()) {
        alterations.extend(old.difference(new).cloned().map(Alteration::LabelRemoved));
        alterations.extend(new.difference(old).cloned().map(Alteration::LabelAdded));
    }
    let names: BTreeSet<&String> = old.properties().keys().chain(new.properties().keys()).collect();
    for name in names {
        let values = (old.properties().get(name).cloned(), new.properties().get(name).cloned());
        let name = name.clone();
        alterations.extend(match values {
            (Some(old), Some(new)) if old != new => Some(Alteration::PropertyChanged { name, old, new }),
            (Some(old), None) => Some(Alteration::PropertyRemoved { name, old }),
            (None, Some(new)) => Some(Alteration::PropertyAdded { name, new }),
            _ => None,
        });
    }
    alterations
}

/// One line a change, each ended by a line feed.
impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Added { element, copies } => write!(f, "+ {element}{copies}"),
            Change::Removed { element, copies } => write!(f, "- {element}{copies}"),
            Change::Changed { id, alteration } => write!(f, "~ {id} {alteration}"),
        }
    }
}

/// Its line in the dump.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Node(node) => node.fmt(f),
            Element::Edge(edge) => edge.fmt(f),
        }
    }
}

/// Like the element's line in the dump, with nothing but what identifies it.
impl fmt::Display for ElementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ElementId::Node(id) => write!(f, "node {}", Word(id)),
            ElementId::Edge { from, kind, link: None, to } => {
                write!(f, "edge {} -[{kind}]-> {}", Word(from), Word(to))
            }
            ElementId::Edge { from, kind, link: Some(link), to } => {
                write!(f, "edge {} -[{kind} {{\"{KIND_PROPERTY}\":{link}}}]-> {}", Word(from), Word(to))
            }
        }
    }
}

/// Nothing, or how many there are where either snapshot has several.
impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Copies { old: 0 | 1, new: 0 | 1 } => Ok(()),
            Copies { old, new } => write!(f, " (copies: {old} -> {new})"),
        }
    }
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alteration::LabelAdded(label) => write!(f, ":{} added", Word(label)),
            Alteration::LabelRemoved(label) => write!(f, ":{} removed", Word(label)),
            Alteration::PropertyAdded { name, new } => write!(f, "{}: absent -> {new}", Word(name)),
            Alteration::PropertyRemoved { name, old } => write!(f, "{}: {old} -> absent", Word(name)),
            Alteration::PropertyChanged { name, old, new } => write!(f, "{}: {old} -> {new}", Word(name)),
        }
    }
}
