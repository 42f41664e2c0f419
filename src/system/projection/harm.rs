//! What somebody does to the projection's graph by hand.

use graph::{EntityId, Properties, Value};
use serde::Deserialize;
use stores::memory::MemoryGraph;
use stores::{Direction, GraphFault, NodeHandle, PropertyGraph};

/// Harm, and when it is done.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Counted from the start of the graph's process.
    pub after_ms: u64,
    /// What is done.
    #[serde(rename = "do")]
    pub harm: Harm,
}

/// Something done by hand. What is not there is left alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Harm {
    /// A node is taken out with its edges.
    Remove(String),
    /// A property of a node becomes something else.
    Alter {
        /// The node.
        node: String,
        /// Which of its properties.
        property: String,
    },
    /// The edge that says that the one links to the other is cut.
    Cut(String, EntityId),
    /// Such an edge is drawn where there is none.
    Draw(String, EntityId),
    /// What a node belongs to is cut off.
    Disown(String),
    /// There is an annotation of this id that belongs to nothing, and links to a resource.
    Ghost(String, EntityId),
    /// Everything is taken out but the marks.
    Wipe,
    /// A mark says more than the log has.
    Ahead(EntityId, u32),
    /// A mark says that this event stands in the way, as a release leaves it that has no word for the event.
    Park(EntityId, u32),
}

/// The labels of nodes that are named by their ids.
const LABELS: [&str; 4] = ["Annotation", "Tombstone", "Resource", "Vocabulary"];
const EDGES: [&str; 2] = [BELONGS_TO, REFERENCES];
const BELONGS_TO: &str = "BELONGS_TO";
const REFERENCES: &str = "REFERENCES";

impl Harm {
    /// Does it.
    ///
    /// # Errors
    ///
    /// [`GraphFault::Conflict`] while somebody else writes there; nothing was done then.
    pub fn apply(&self, graph: &MemoryGraph) -> Result<(), GraphFault> {
        graph.autocommit(|graph| match self {
            Harm::Remove(id) => find(graph, id)?.map_or(Ok(()), |node| detach(graph, node)),
            Harm::Alter { node, property } => {
                let Some(node) = find(graph, node)? else { return Ok(()) };
                let mut properties = graph.properties(node)?;
                properties.insert(property.clone(), Value::from("altered by hand"));
                graph.set_properties(node, properties)
            }
            Harm::Cut(from, to) => {
                let Some(node) = find(graph, from)? else { return Ok(()) };
                let target = find(graph, to.as_str())?;
                for (edge, end) in graph.edges(node, REFERENCES, Direction::Out)? {
                    if Some(end) == target {
                        graph.unrelate(edge)?;
                    }
                }
                Ok(())
            }
            Harm::Draw(from, to) => {
                let (Some(from), Some(to)) = (find(graph, from)?, find(graph, to.as_str())?) else { return Ok(()) };
                graph.relate(from, REFERENCES, to, Properties::new()).map(drop)
            }
            Harm::Disown(id) => {
                let Some(node) = find(graph, id)? else { return Ok(()) };
                for (edge, _) in graph.edges(node, BELONGS_TO, Direction::Out)? {
                    graph.unrelate(edge)?;
                }
                Ok(())
            }
            Harm::Ghost(id, to) => {
                let (None, Some(to)) = (find(graph, id)?, find(graph, to.as_str())?) else { return Ok(()) };
                let named = Properties::from([("id".to_owned(), Value::from(id.as_str()))]);
                let ghost = graph.create(&["Annotation"], named)?;
                graph.relate(ghost, REFERENCES, to, Properties::new()).map(drop)
            }
            Harm::Wipe => {
                for label in LABELS {
                    for node in graph.scan(label)? {
                        detach(graph, node)?;
                    }
                }
                Ok(())
            }
            Harm::Ahead(resource, sequence) => mark(graph, resource, "seq", *sequence),
            Harm::Park(resource, sequence) => mark(graph, resource, "parked", *sequence),
        })
    }
}

fn find(graph: &mut dyn PropertyGraph, id: &str) -> Result<Option<NodeHandle>, GraphFault> {
    for label in LABELS {
        if let Some(node) = graph.find(label, "id", &Value::from(id))?.pop() {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

fn mark(graph: &mut dyn PropertyGraph, of: &EntityId, property: &str, sequence: u32) -> Result<(), GraphFault> {
    let Some(mark) = graph.find("Applied", "resource", &Value::from(of.as_str()))?.pop() else { return Ok(()) };
    let mut properties = graph.properties(mark)?;
    properties.insert(property.to_owned(), Value::Int(i64::from(sequence)));
    graph.set_properties(mark, properties)
}

fn detach(graph: &mut dyn PropertyGraph, node: NodeHandle) -> Result<(), GraphFault> {
    for kind in EDGES {
        for direction in [Direction::Out, Direction::In] {
            for (edge, _) in graph.edges(node, kind, direction)? {
                graph.unrelate(edge)?;
            }
        }
    }
    graph.delete(node)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use graph::{Edge, Kind, Node, Snapshot};

    use super::*;
    use crate::system::projection::picture::Picture;

    fn node(id: &str, label: &str) -> Node {
        Node { id: id.to_owned(), labels: BTreeSet::from([label.to_owned()]), properties: Properties::new() }
    }

    /// `r1` with an annotation that links to `r2`, and its mark.
    fn graph() -> MemoryGraph {
        let mut mark = node("", "Applied");
        mark.properties = Properties::from([("resource".into(), "r1".into()), ("seq".into(), Value::Int(2))]);
        let nodes = vec![node("r1", "Resource"), node("r2", "Resource"), node("r1#a", "Annotation"), mark];
        let edge = |kind: &str, to: &str| Edge {
            from: "r1#a".to_owned(),
            kind: Kind::new(kind).unwrap(),
            to: to.to_owned(),
            properties: Properties::new(),
        };
        let graph = MemoryGraph::new();
        graph.load(&Snapshot::new(nodes, vec![edge("BELONGS_TO", "r1"), edge(REFERENCES, "r2")])).unwrap();
        graph
    }

    fn harmed(harm: &str) -> Snapshot {
        let graph = graph();
        let harm: Harm = serde_json::from_str(harm).expect("it is spelt right");
        harm.apply(&graph).expect("nobody else is there");
        graph.snapshot()
    }

    #[test]
    fn each_does_what_it_says_and_nothing_else() {
        let count = |snapshot: Snapshot| (snapshot.nodes().len(), snapshot.edges().len());
        assert_eq!(count(harmed(r#"{ "remove": "r1#a" }"#)), (3, 0));
        assert_eq!(count(harmed(r#"{ "remove": "r2" }"#)), (3, 1));
        assert_eq!(count(harmed(r#"{ "cut": ["r1#a", "r2"] }"#)), (4, 1));
        assert_eq!(count(harmed(r#"{ "draw": ["r1#a", "r1"] }"#)), (4, 3));
        assert_eq!(count(harmed(r#"{ "disown": "r1#a" }"#)), (4, 1));
        assert_eq!(count(harmed(r#"{ "ghost": ["r9#a", "r2"] }"#)), (5, 3));
        assert_eq!(count(harmed(r#""wipe""#)), (1, 0));
        let altered = harmed(r#"{ "alter": { "node": "r2", "property": "name" } }"#);
        assert!(altered.nodes().iter().any(|node| node.id == "r2" && node.properties.contains_key("name")));
        let ahead = Picture::of(&harmed(r#"{ "ahead": ["r1", 9] }"#));
        assert_eq!(ahead.marks[&EntityId::new("r1").unwrap()].sequence, 9);
        let parked = Picture::of(&harmed(r#"{ "park": ["r1", 3] }"#));
        assert_eq!(parked.marks[&EntityId::new("r1").unwrap()].parked, Some(3));
    }

    #[test]
    fn what_is_not_there_is_left_alone() {
        let all = [
            r#"{ "remove": "r9" }"#,
            r#"{ "cut": ["r1#a", "r9"] }"#,
            r#"{ "disown": "r9#a" }"#,
            r#"{ "ghost": ["r1#a", "r1"] }"#,
            r#"{ "ghost": ["r1#b", "r9"] }"#,
            r#"{ "ahead": ["r9", 9] }"#,
        ];
        for harm in all {
            assert_eq!(harmed(harm), graph().snapshot(), "{harm}");
        }
    }
}
