//! The projection's part of a graph, taken apart by whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use graph::{Edge, EntityId, Node, Snapshot, Value};
use projection::event::system;
use serde::{Deserialize, Serialize};
use stores::bolt::PROBE_VALUE;

/// The labels of what the projection says about resources.
const LABELS: [&str; 4] = ["Resource", "Annotation", "Tombstone", "Vocabulary"];
/// The label of the marks.
const APPLIED: &str = "Applied";
/// The label of what the projection keeps about itself.
const PROJECTION: &str = "Projection";
/// The types of its edges.
const KINDS: [&str; 2] = ["BELONGS_TO", "REFERENCES"];

/// How far the graph shows a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mark {
    /// Every event up to this one is in the graph.
    pub sequence: u64,
    /// Raised by every rebuild.
    pub generation: u64,
    /// Whether a rebuild of all has come by once and not twice.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The event that stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<u64>,
}

/// `seq 3 generation 1`, and then perhaps `partial` and `parked 4`.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { sequence, generation, partial, parked } = self;
        write!(f, "seq {sequence} generation {generation}")?;
        if *partial {
            f.write_str(" partial")?;
        }
        parked.map_or(Ok(()), |parked| write!(f, " parked {parked}"))
    }
}

/// All that the projection has in a graph, by whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// What is a resource's own: its node, if it was created; its annotations and tombstones; the edges that leave them.
    /// Words are the system stream's.
    pub own: BTreeMap<EntityId, Snapshot>,
    /// Resources that are only linked to.
    pub stubs: BTreeSet<String>,
    /// How far each resource is shown.
    pub marks: BTreeMap<EntityId, Mark>,
    /// Up to where the log was applied, as the projection has written down.
    pub position: u64,
    /// Whether a rebuild of all is under way, as it has written down.
    pub rebuilding: bool,
}

/// Whether the projection, and nobody else, writes such nodes.
pub fn is_projections(node: &Node) -> bool {
    node.labels.iter().any(|label| LABELS.contains(&label.as_str()) || [APPLIED, PROJECTION].contains(&label.as_str()))
}

/// The same of edges.
pub fn is_projections_edge(edge: &Edge) -> bool {
    KINDS.contains(&edge.kind.as_str())
}

/// What the projection says about resources, without its marks.
pub fn said(everything: &Snapshot) -> Snapshot {
    let nodes = everything.nodes().iter().filter(|node| has(node, &LABELS));
    let edges = everything.edges().iter().filter(|edge| is_projections_edge(edge));
    Snapshot::new(nodes.cloned().collect(), edges.cloned().collect())
}

impl Picture {
    /// Takes the projection's part of a graph apart. What has no place in it is the system stream's, so that it shows.
    pub fn of(everything: &Snapshot) -> Picture {
        let mut picture = Picture::default();
        let mut own: BTreeMap<EntityId, (Vec<Node>, Vec<Edge>)> = BTreeMap::new();
        for node in everything.nodes().iter().filter(|node| !is_probe(node)) {
            if has(node, &[APPLIED]) {
                picture.mark(node);
            } else if has(node, &[PROJECTION]) {
                picture.position = number(node, "position");
                picture.rebuilding = node.properties.get("rebuilding") == Some(&Value::Bool(true));
            } else if has(node, &["Resource"]) && node.properties.get("stub") == Some(&Value::Bool(true)) {
                picture.stubs.insert(node.id.clone());
            } else if has(node, &LABELS) {
                own.entry(owner(&node.id)).or_default().0.push(node.clone());
            }
        }
        for edge in everything.edges().iter().filter(|edge| is_projections_edge(edge)) {
            own.entry(owner(&edge.from)).or_default().1.push(edge.clone());
        }
        picture.own = own.into_iter().map(|(id, (nodes, edges))| (id, Snapshot::new(nodes, edges))).collect();
        picture
    }

    fn mark(&mut self, node: &Node) {
        let Some(resource) = node.properties.get("resource").and_then(Value::as_text) else { return };
        let Ok(resource) = EntityId::new(resource.to_owned()) else { return };
        let parked = Some(number(node, "parked")).filter(|parked| *parked > 0);
        let partial = node.properties.get("partial") == Some(&Value::Bool(true));
        let mark = Mark { sequence: number(node, "seq"), generation: number(node, "generation"), partial, parked };
        self.marks.insert(resource, mark);
    }
}

/// Whether it is there for a moment alone, to see whether the graph keeps its constraints.
fn is_probe(node: &Node) -> bool {
    node.id == PROBE_VALUE || node.properties.values().any(|value| value.as_text() == Some(PROBE_VALUE))
}

fn has(node: &Node, labels: &[&str]) -> bool {
    node.labels.iter().any(|label| labels.contains(&label.as_str()))
}

fn number(node: &Node, name: &str) -> u64 {
    let number = node.properties.get(name).and_then(Value::as_int);
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// Whose a node is, by its id: `r`, or `r#a` for what is under a name of r's; words have no id that is one.
fn owner(id: &str) -> EntityId {
    let resource = id.split_once('#').map_or(id, |(resource, _)| resource);
    if resource.starts_with("entity_type:") || resource.starts_with("tag_schema:") {
        return system();
    }
    EntityId::new(resource.to_owned()).unwrap_or_else(|_| system())
}

#[cfg(test)]
mod tests {
    use graph::{Kind, Properties};

    use super::*;

    fn node(id: &str, label: &str, properties: &[(&str, Value)]) -> Node {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Node { id: id.to_owned(), labels: BTreeSet::from([label.to_owned()]), properties }
    }

    fn edge(from: &str, kind: &str, to: &str) -> Edge {
        let ends = [from, to].map(str::to_owned);
        let [from, to] = ends;
        Edge { from, kind: Kind::new(kind).unwrap(), to, properties: Properties::new() }
    }

    #[test]
    fn everything_of_the_projection_is_somebodys_and_nothing_else_is() {
        let [r1, r2] = ["r1", "r2"].map(|id| EntityId::new(id).unwrap());
        let stub = |is| ("stub", Value::Bool(is));
        let nodes = vec![
            node("r1", "Resource", &[stub(false)]),
            node("r1#a", "Annotation", &[]),
            node("r2", "Resource", &[stub(true)]),
            node("r2#b", "Tombstone", &[]),
            node("entity_type:T", "Vocabulary", &[]),
            node("", "Applied", &[("resource", "r1".into()), ("seq", Value::Int(3)), ("parked", Value::Int(4))]),
            node("", "Projection", &[("position", Value::Int(9))]),
            node("r1", "Entity", &[]),
        ];
        let edges = vec![edge("r1#a", "BELONGS_TO", "r1"), edge("r1#a", "REFERENCES", "r2"), edge("r1", "LINK", "r2")];
        let everything = Snapshot::new(nodes, edges);
        let picture = Picture::of(&everything);
        assert_eq!(picture.own.keys().collect::<Vec<_>>(), [&system(), &r1, &r2]);
        assert_eq!(picture.own[&r1].nodes().len(), 2);
        assert_eq!(picture.own[&r1].edges().len(), 2);
        assert_eq!(picture.stubs, BTreeSet::from(["r2".to_owned()]));
        assert_eq!(picture.marks[&r1], Mark { sequence: 3, parked: Some(4), ..Mark::default() });
        assert_eq!(picture.position, 9);
        let said = said(&everything);
        assert_eq!((said.nodes().len(), said.edges().len()), (5, 2));
        assert_eq!(Picture::of(&said).own, picture.own);
    }
}
