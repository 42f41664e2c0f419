//! Pages of everything, sorted.

use graph::Value;
use stores::{Datum, Direction, GraphFault, NodeHandle, Params, PropertyGraph, Rows, Statement};

use super::edges::{BELONGS_TO, REFERENCES};
use super::marks::{APPLIED, mark_row};
use super::nodes::{ANNOTATION, RESOURCE, TOMBSTONE, WORD};
use super::{cell, fault};

/// How many resources are linked to and were never created.
pub static COUNT_STUBS: Statement = Statement {
    name: "count_stubs",
    cypher: "MATCH (n:Resource) WHERE n.stub = true RETURN count(n) AS stubs",
    columns: &["stubs"],
    run: |graph, _| {
        let mut count = 0;
        for node in graph.scan(RESOURCE)? {
            count += i64::from(is_stub(graph, node)?);
        }
        Ok(vec![vec![Datum::Int(count)]])
    },
};

/// Up to `limit` stubs after the one named `after`, sorted by id.
pub static LIST_STUBS: Statement = Statement {
    name: "list_stubs",
    cypher: "MATCH (n:Resource) WHERE n.stub = true AND n.id > $after RETURN n.id AS id ORDER BY id LIMIT $limit",
    columns: &["id"],
    run: |graph, params| {
        let mut found = Rows::new();
        for node in graph.scan(RESOURCE)? {
            if is_stub(graph, node)? {
                found.push(vec![cell(&graph.properties(node)?, "id")]);
            }
        }
        page(found, params)
    },
};

fn is_stub(graph: &mut dyn PropertyGraph, node: NodeHandle) -> Result<bool, GraphFault> {
    Ok(graph.properties(node)?.get("stub") == Some(&Value::Bool(true)))
}

/// Up to `limit` marks with an event that cannot be applied, after the resource named `after`.
pub static LIST_PARKED: Statement = Statement {
    name: "list_parked",
    cypher: "MATCH (m:Applied) WHERE m.parked > 0 AND m.resource > $after \
             RETURN m.resource AS resource ORDER BY resource LIMIT $limit",
    columns: &["resource"],
    run: |graph, params| {
        let mut found = Rows::new();
        for node in graph.scan(APPLIED)? {
            let properties = graph.properties(node)?;
            if properties.contains_key("parked") {
                found.push(vec![cell(&properties, "resource")]);
            }
        }
        page(found, params)
    },
};

/// Up to `limit` marks after the resource named `after`, sorted by it.
pub static DUMP_MARKS: Statement = Statement {
    name: "dump_marks",
    cypher: "MATCH (m:Applied) WHERE m.resource > $after RETURN m.resource AS resource, m.seq AS seq, \
             m.generation AS generation, m.partial AS partial, m.parked AS parked, m.why AS why \
             ORDER BY resource LIMIT $limit",
    columns: &["resource", "seq", "generation", "partial", "parked", "why"],
    run: |graph, params| {
        let mut found = Rows::new();
        for node in graph.scan(APPLIED)? {
            found.push(mark_row(graph, node)?);
        }
        page(found, params)
    },
};

macro_rules! dump {
    ($(#[$doc:meta])* $statement:ident, $name:literal, $label:expr, $text:literal) => {
        $(#[$doc])*
        pub static $statement: Statement = Statement {
            name: $name,
            cypher: concat!(
                "MATCH (n:", $text, ") WHERE n.id > $after ",
                "RETURN n.id AS id, properties(n) AS properties ORDER BY id LIMIT $limit"
            ),
            columns: &["id", "properties"],
            run: |graph, params| {
                let mut found = Rows::new();
                for node in graph.scan($label)? {
                    let properties = graph.properties(node)?;
                    found.push(vec![cell(&properties, "id"), properties.into()]);
                }
                page(found, params)
            },
        };
    };
}

dump! {
    /// Up to `limit` resources after the one named `after`, sorted by id.
    DUMP_RESOURCES, "dump_resources", RESOURCE, "Resource"
}
dump! {
    /// Up to `limit` annotations after the one named `after`, sorted by id.
    DUMP_ANNOTATIONS, "dump_annotations", ANNOTATION, "Annotation"
}
dump! {
    /// Up to `limit` tombstones after the one named `after`, sorted by id.
    DUMP_TOMBSTONES, "dump_tombstones", TOMBSTONE, "Tombstone"
}
dump! {
    /// Up to `limit` words after the one named `after`, sorted by id.
    DUMP_VOCABULARY, "dump_vocabulary", WORD, "Vocabulary"
}

/// Up to `limit` links after the one between `from` and `to`, sorted by them.
pub static DUMP_REFERENCES: Statement = Statement {
    name: "dump_references",
    cypher: "MATCH (a)-[r:REFERENCES]->(b) WHERE a.id > $from OR (a.id = $from AND b.id > $to) \
             RETURN a.id AS from, b.id AS to, properties(r) AS properties ORDER BY from, to LIMIT $limit",
    columns: &["from", "to", "properties"],
    run: |graph, params| dump_edges(graph, params, REFERENCES),
};

/// Up to `limit` edges to what annotations and tombstones belong to, after the one between `from`
/// and `to`, sorted by them.
pub static DUMP_OWNERS: Statement = Statement {
    name: "dump_owners",
    cypher: "MATCH (a)-[r:BELONGS_TO]->(b) WHERE a.id > $from OR (a.id = $from AND b.id > $to) \
             RETURN a.id AS from, b.id AS to, properties(r) AS properties ORDER BY from, to LIMIT $limit",
    columns: &["from", "to", "properties"],
    run: |graph, params| dump_edges(graph, params, BELONGS_TO),
};

fn dump_edges(graph: &mut dyn PropertyGraph, params: &Params, kind: &str) -> Result<Rows, GraphFault> {
    let text = |name: &str| params.get(name).cloned().ok_or_else(|| fault(name));
    let after = [text("from")?, text("to")?];
    let mut found = Rows::new();
    for label in [ANNOTATION, TOMBSTONE] {
        for source in graph.scan(label)? {
            let from = cell(&graph.properties(source)?, "id");
            for (edge, target) in graph.edges(source, kind, Direction::Out)? {
                let key = [from.clone(), cell(&graph.properties(target)?, "id")];
                if key > after {
                    found.push(key.into_iter().chain([graph.edge_properties(edge)?.into()]).collect());
                }
            }
        }
    }
    found.sort();
    found.truncate(limit(params)?);
    Ok(found)
}

/// Sorted by the first column, from behind `after`, cut to the page.
pub(super) fn page(mut rows: Rows, params: &Params) -> Result<Rows, GraphFault> {
    let after = params.get("after").ok_or_else(|| fault("after"))?;
    rows.retain(|row| row[0] > *after);
    rows.sort();
    rows.truncate(limit(params)?);
    Ok(rows)
}

fn limit(params: &Params) -> Result<usize, GraphFault> {
    let limit = params.get("limit").and_then(Datum::as_int).and_then(|limit| usize::try_from(limit).ok());
    limit.ok_or_else(|| fault("limit"))
}
