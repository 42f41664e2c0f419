//! Edges: what belongs to what, what links to what, and the stubs at the end of links.

use graph::{Properties, Value};
use stores::{Datum, Direction, GraphFault, NodeHandle, Params, PropertyGraph, Rows, Statement};

use super::lists::page;
use super::nodes::{ANNOTATION, RESOURCE, TOMBSTONE, named_nodes};
use super::{cell, changed, fault, find, ids, merge, rows, text};

pub(super) const BELONGS_TO: &str = "BELONGS_TO";
pub(super) const REFERENCES: &str = "REFERENCES";

/// Links annotations to resources, which are stubs where there are none. Changes nothing where
/// there is no such annotation.
pub static LINK: Statement = Statement {
    name: "link_annotations",
    cypher: "UNWIND $rows AS row MATCH (a:Annotation {id: row.id}) MERGE (b:Resource {id: row.target}) \
             ON CREATE SET b.stub = true MERGE (a)-[r:REFERENCES]->(b) RETURN count(r) AS changed",
    columns: &["changed"],
    run: link,
};

fn link(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let mut count = 0;
    for row in rows(params)? {
        for annotation in find(graph, ANNOTATION, text(row, "id")?)? {
            let stub = Properties::from([("stub".to_owned(), Value::Bool(true))]);
            for target in merge(graph, RESOURCE, ("id", text(row, "target")?), stub)? {
                if !is_between(graph, annotation, REFERENCES, target)? {
                    graph.relate(annotation, REFERENCES, target, Properties::new())?;
                }
                count += 1;
            }
        }
    }
    Ok(changed(count))
}

/// Takes the links between annotations and resources away.
pub static UNLINK: Statement = Statement {
    name: "unlink_annotations",
    cypher: "UNWIND $rows AS row MATCH (:Annotation {id: row.id})-[r:REFERENCES]->(:Resource {id: row.target}) \
             DELETE r RETURN count(*) AS changed",
    columns: &["changed"],
    run: unlink,
};

fn unlink(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let mut count = 0;
    for row in rows(params)? {
        let targets = find(graph, RESOURCE, text(row, "target")?)?;
        for annotation in find(graph, ANNOTATION, text(row, "id")?)? {
            for (edge, other) in graph.edges(annotation, REFERENCES, Direction::Out)? {
                if targets.contains(&other) {
                    graph.unrelate(edge)?;
                    count += 1;
                }
            }
        }
    }
    Ok(changed(count))
}

/// Takes all edges away that leave annotations.
pub static CUT_ANNOTATIONS: Statement = Statement {
    name: "cut_annotations",
    cypher: "UNWIND $rows AS id MATCH (:Annotation {id: id})-[r:BELONGS_TO|REFERENCES]->() \
             DELETE r RETURN count(*) AS changed",
    columns: &["changed"],
    run: |graph, params| cut(graph, params, ANNOTATION, &[BELONGS_TO, REFERENCES]),
};

/// Makes annotations belong to nothing.
pub static DISOWN_ANNOTATIONS: Statement = Statement {
    name: "disown_annotations",
    cypher: "UNWIND $rows AS id MATCH (:Annotation {id: id})-[r:BELONGS_TO]->() DELETE r RETURN count(*) AS changed",
    columns: &["changed"],
    run: |graph, params| cut(graph, params, ANNOTATION, &[BELONGS_TO]),
};

/// Makes tombstones belong to nothing.
pub static DISOWN_TOMBSTONES: Statement = Statement {
    name: "disown_tombstones",
    cypher: "UNWIND $rows AS id MATCH (:Tombstone {id: id})-[r:BELONGS_TO]->() DELETE r RETURN count(*) AS changed",
    columns: &["changed"],
    run: |graph, params| cut(graph, params, TOMBSTONE, &[BELONGS_TO]),
};

fn cut(graph: &mut dyn PropertyGraph, params: &Params, label: &str, kinds: &[&str]) -> Result<Rows, GraphFault> {
    let mut count = 0;
    for id in ids(params)? {
        for node in find(graph, label, id)? {
            for kind in kinds {
                for (edge, _) in graph.edges(node, kind, Direction::Out)? {
                    graph.unrelate(edge)?;
                    count += 1;
                }
            }
        }
    }
    Ok(changed(count))
}

/// Removes those of the resources that are stubs and that nobody links to.
///
/// It writes before it looks: a resource that is being created at the same time is a stub no more
/// once that is committed.
pub static COLLECT_STUBS: Statement = Statement {
    name: "collect_stubs",
    cypher: "UNWIND $rows AS id MATCH (b:Resource {id: id}) SET b.id = id WITH b WHERE b.stub = true \
             OPTIONAL MATCH (b)<-[r:REFERENCES]-() WITH b, count(r) AS links WHERE links = 0 \
             DELETE b RETURN count(*) AS changed",
    columns: &["changed"],
    run: collect_stubs,
};

fn collect_stubs(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let mut count = 0;
    for id in ids(params)? {
        for node in find(graph, RESOURCE, id)? {
            let properties = graph.properties(node)?;
            let is_stub = properties.get("stub") == Some(&Value::Bool(true));
            // As the text does: of two who take the last two links away at once, one has to come second.
            graph.set_properties(node, properties)?;
            if is_stub && graph.edges(node, REFERENCES, Direction::In)?.is_empty() {
                graph.delete(node)?;
                count += 1;
            }
        }
    }
    Ok(changed(count))
}

macro_rules! own_edges {
    ($(#[$doc:meta])* $statement:ident, $name:literal, $label:literal, $kind:literal) => {
        $(#[$doc])*
        pub static $statement: Statement = Statement {
            name: $name,
            cypher: concat!(
                "UNWIND $rows AS id MATCH (n:", $label, ")-[r:", $kind, "]->(b) WHERE n.id > id + '#' AND n.id < id + '$' ",
                "RETURN n.id AS id, b.id AS to, properties(r) AS properties"
            ),
            columns: &["id", "to", "properties"],
            run: |graph, params| {
                let mut found = Rows::new();
                for node in named_nodes(graph, params, $label)? {
                    let id = cell(&graph.properties(node)?, "id");
                    for (edge, other) in graph.edges(node, $kind, Direction::Out)? {
                        let to = cell(&graph.properties(other)?, "id");
                        found.push(vec![id.clone(), to, graph.edge_properties(edge)?.into()]);
                    }
                }
                Ok(found)
            },
        };
    };
}

own_edges! {
    /// What annotations belong to whose ids say that they are of these resources, edge by edge.
    ANNOTATION_OWNERS, "annotation_owners", "Annotation", "BELONGS_TO"
}
own_edges! {
    /// What annotations link to whose ids say that they are of these resources, edge by edge.
    ANNOTATION_LINKS, "annotation_links", "Annotation", "REFERENCES"
}
own_edges! {
    /// What tombstones belong to whose ids say that they are of these resources, edge by edge.
    TOMBSTONE_OWNERS, "tombstone_owners", "Tombstone", "BELONGS_TO"
}

/// Which of the resources are linked to, and by how many.
pub static REFERENCED: Statement = Statement {
    name: "referenced",
    cypher: "UNWIND $rows AS id MATCH (:Annotation)-[r:REFERENCES]->(:Resource {id: id}) \
             RETURN id AS id, count(r) AS links",
    columns: &["id", "links"],
    run: |graph, params| {
        let mut found = Rows::new();
        for id in ids(params)? {
            let mut links = 0_i64;
            for node in find(graph, RESOURCE, id)? {
                links += i64::try_from(graph.edges(node, REFERENCES, Direction::In)?.len()).expect("few links");
            }
            if links > 0 {
                found.push(vec![id.into(), Datum::Int(links)]);
            }
        }
        Ok(found)
    },
};

/// Up to `limit` annotations that link to the resource `target`, after the one named `after`, sorted by id.
pub static LIST_REFERRERS: Statement = Statement {
    name: "list_referrers",
    cypher: "MATCH (a:Annotation)-[:REFERENCES]->(:Resource {id: $target}) WHERE a.id > $after \
             RETURN DISTINCT a.id AS id ORDER BY id LIMIT $limit",
    columns: &["id"],
    run: |graph, params| {
        let target = params.get("target").and_then(Datum::as_text).ok_or_else(|| fault("target"))?;
        let mut found = Rows::new();
        for node in find(graph, RESOURCE, target)? {
            for (_, annotation) in graph.edges(node, REFERENCES, Direction::In)? {
                found.push(vec![cell(&graph.properties(annotation)?, "id")]);
            }
        }
        found.sort();
        found.dedup();
        page(found, params)
    },
};

/// Whether there is an edge of this kind between the two.
pub(super) fn is_between(
    graph: &mut dyn PropertyGraph,
    from: NodeHandle,
    kind: &str,
    to: NodeHandle,
) -> Result<bool, GraphFault> {
    Ok(graph.edges(from, kind, Direction::Out)?.iter().any(|(_, other)| *other == to))
}
