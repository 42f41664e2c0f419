//! Nodes: resources, annotations, tombstones, and the words of the vocabulary.

use std::collections::BTreeSet;

use graph::{Properties, Value};
use stores::{Datum, Direction, GraphFault, NodeHandle, Params, PropertyGraph, Rows, Statement, TextRange};

use super::edges::{BELONGS_TO, is_between};
use super::{cell, changed, find, ids, merge, rows, set, text};

pub(super) const RESOURCE: &str = "Resource";
pub(super) const ANNOTATION: &str = "Annotation";
pub(super) const TOMBSTONE: &str = "Tombstone";
pub(super) const WORD: &str = "Vocabulary";

/// Sets properties of resources, which come to be where there are none.
pub static PUT_RESOURCES: Statement = Statement {
    name: "put_resources",
    cypher: "UNWIND $rows AS row MERGE (n:Resource {id: row.id}) SET n += row.set RETURN count(n) AS changed",
    columns: &["changed"],
    run: |graph, params| put(graph, params, RESOURCE, false),
};

/// Sets properties of annotations, which come to be where there are none, and makes them belong to
/// their resource. Changes nothing where there is no such resource.
pub static PUT_ANNOTATIONS: Statement = Statement {
    name: "put_annotations",
    cypher: "UNWIND $rows AS row MATCH (r:Resource {id: row.resource}) MERGE (n:Annotation {id: row.id}) \
             SET n += row.set MERGE (n)-[:BELONGS_TO]->(r) RETURN count(n) AS changed",
    columns: &["changed"],
    run: |graph, params| put(graph, params, ANNOTATION, true),
};

/// The same for tombstones.
pub static PUT_TOMBSTONES: Statement = Statement {
    name: "put_tombstones",
    cypher: "UNWIND $rows AS row MATCH (r:Resource {id: row.resource}) MERGE (n:Tombstone {id: row.id}) \
             SET n += row.set MERGE (n)-[:BELONGS_TO]->(r) RETURN count(n) AS changed",
    columns: &["changed"],
    run: |graph, params| put(graph, params, TOMBSTONE, true),
};

/// Sets properties of words, which come to be where there are none.
pub static PUT_WORDS: Statement = Statement {
    name: "put_words",
    cypher: "UNWIND $rows AS row MERGE (n:Vocabulary {id: row.id}) SET n += row.set RETURN count(n) AS changed",
    columns: &["changed"],
    run: |graph, params| put(graph, params, WORD, false),
};

fn put(graph: &mut dyn PropertyGraph, params: &Params, label: &str, belongs: bool) -> Result<Rows, GraphFault> {
    let mut count = 0;
    for row in rows(params)? {
        let owners = if belongs { find(graph, RESOURCE, text(row, "resource")?)? } else { Vec::new() };
        if belongs && owners.is_empty() {
            continue;
        }
        for node in merge(graph, label, ("id", text(row, "id")?), Properties::new())? {
            let mut properties = graph.properties(node)?;
            properties.extend(set(row)?);
            graph.set_properties(node, properties)?;
            for owner in &owners {
                if !is_between(graph, node, BELONGS_TO, *owner)? {
                    graph.relate(node, BELONGS_TO, *owner, Properties::new())?;
                }
            }
            count += 1;
        }
    }
    Ok(changed(count))
}

/// Removes annotations that have no edges; see [`CUT_ANNOTATIONS`](super::CUT_ANNOTATIONS).
pub static DROP_ANNOTATIONS: Statement = Statement {
    name: "drop_annotations",
    cypher: "UNWIND $rows AS id MATCH (n:Annotation {id: id}) DELETE n RETURN count(*) AS changed",
    columns: &["changed"],
    run: |graph, params| drop_nodes(graph, params, ANNOTATION),
};

/// Removes tombstones that have no edges.
pub static DROP_TOMBSTONES: Statement = Statement {
    name: "drop_tombstones",
    cypher: "UNWIND $rows AS id MATCH (n:Tombstone {id: id}) DELETE n RETURN count(*) AS changed",
    columns: &["changed"],
    run: |graph, params| drop_nodes(graph, params, TOMBSTONE),
};

/// Removes words.
pub static DROP_WORDS: Statement = Statement {
    name: "drop_words",
    cypher: "UNWIND $rows AS id MATCH (n:Vocabulary {id: id}) DELETE n RETURN count(*) AS changed",
    columns: &["changed"],
    run: |graph, params| drop_nodes(graph, params, WORD),
};

fn drop_nodes(graph: &mut dyn PropertyGraph, params: &Params, label: &str) -> Result<Rows, GraphFault> {
    let mut count = 0;
    for id in ids(params)? {
        for node in find(graph, label, id)? {
            graph.delete(node)?;
            count += 1;
        }
    }
    Ok(changed(count))
}

macro_rules! read {
    ($(#[$doc:meta])* $statement:ident, $name:literal, $label:literal) => {
        $(#[$doc])*
        pub static $statement: Statement = Statement {
            name: $name,
            cypher: concat!(
                "UNWIND $rows AS id MATCH (n:", $label, " {id: id}) RETURN id AS id, properties(n) AS properties"
            ),
            columns: &["id", "properties"],
            run: |graph, params| {
                let mut found = Rows::new();
                for id in ids(params)? {
                    for node in find(graph, $label, id)? {
                        found.push(vec![id.into(), graph.properties(node)?.into()]);
                    }
                }
                Ok(found)
            },
        };
    };
}

read! {
    /// The properties of resources; no row where there is none.
    READ_RESOURCES, "read_resources", "Resource"
}
read! {
    /// The properties of annotations; no row where there is none.
    READ_ANNOTATIONS, "read_annotations", "Annotation"
}
read! {
    /// The properties of tombstones; no row where there is none.
    READ_TOMBSTONES, "read_tombstones", "Tombstone"
}
read! {
    /// The properties of words; no row where there is none.
    READ_WORDS, "read_words", "Vocabulary"
}

/// The properties of all words. Not a page as large as can be: there are servers that make room for the whole page first.
pub static ALL_WORDS: Statement = Statement {
    name: "all_words",
    cypher: "MATCH (n:Vocabulary) RETURN n.id AS id, properties(n) AS properties",
    columns: &["id", "properties"],
    run: |graph, _| {
        let mut found = Rows::new();
        for node in graph.scan(WORD)? {
            let properties = graph.properties(node)?;
            found.push(vec![cell(&properties, "id"), properties.into()]);
        }
        Ok(found)
    },
};

macro_rules! owned {
    ($(#[$doc:meta])* $statement:ident, $name:literal, $label:literal) => {
        $(#[$doc])*
        pub static $statement: Statement = Statement {
            name: $name,
            cypher: concat!(
                "UNWIND $rows AS id MATCH (n:", $label, ")-[:BELONGS_TO]->(:Resource {id: id}) ",
                "RETURN n.id AS id, properties(n) AS properties ",
                "UNION UNWIND $rows AS id MATCH (n:", $label, ") WHERE n.id > id + '#' AND n.id < id + '$' ",
                "RETURN n.id AS id, properties(n) AS properties"
            ),
            columns: &["id", "properties"],
            run: |graph, params| {
                let mut nodes: BTreeSet<NodeHandle> = named_nodes(graph, params, $label)?.into_iter().collect();
                nodes.extend(owned_nodes(graph, params, $label)?);
                let mut found = Rows::new();
                for node in nodes {
                    let properties = graph.properties(node)?;
                    found.push(vec![cell(&properties, "id"), properties.into()]);
                }
                Ok(found)
            },
        };
    };
}

owned! {
    /// The properties of all annotations that belong to resources, or whose ids say so: somebody may have cut the edge.
    OWNED_ANNOTATIONS, "owned_annotations", "Annotation"
}
owned! {
    /// The properties of all tombstones that belong to resources, or whose ids say so.
    OWNED_TOMBSTONES, "owned_tombstones", "Tombstone"
}

/// The nodes with this label that belong to the resources that the rows name.
fn owned_nodes(graph: &mut dyn PropertyGraph, params: &Params, label: &str) -> Result<Vec<NodeHandle>, GraphFault> {
    let mut nodes = Vec::new();
    for id in ids(params)? {
        for resource in find(graph, RESOURCE, id)? {
            for (_, node) in graph.edges(resource, BELONGS_TO, Direction::In)? {
                // A handle does not tell its labels: the node is found again by its id.
                let Datum::Text(id) = cell(&graph.properties(node)?, "id") else { continue };
                if graph.find(label, "id", &Value::Text(id))?.contains(&node) {
                    nodes.push(node);
                }
            }
        }
    }
    Ok(nodes)
}

/// The nodes with this label whose ids say that they are of the resources that the rows name: `r#a` is of `r`, and no
/// resource has an id with such a character.
pub(super) fn named_nodes(
    graph: &mut dyn PropertyGraph,
    params: &Params,
    label: &str,
) -> Result<Vec<NodeHandle>, GraphFault> {
    let mut nodes = Vec::new();
    for id in ids(params)? {
        let (after, before) = (format!("{id}#"), format!("{id}$"));
        nodes.extend(graph.range(label, "id", TextRange { after: &after, before: Some(&before) }, usize::MAX)?);
    }
    Ok(nodes)
}
