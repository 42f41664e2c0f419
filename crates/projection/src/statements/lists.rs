//! Pages of everything, sorted.
//!
//! A page is read from the index of what it is sorted by, and takes time by its length. Where it has to look at what
//! does not belong to it, it looks at [`LOOKS_MAX`] nodes at most, says how far it [has come](cursor), and the next one
//! goes on there: a statement that takes longer than a transaction may is never done, however often it is tried.

use graph::{Properties, Value};
use stores::{Datum, Direction, GraphFault, NodeHandle, Params, PropertyGraph, Rows, Statement, TextRange};

use super::edges::{BELONGS_TO, REFERENCES};
use super::marks::{APPLIED, mark_row};
use super::nodes::{ANNOTATION, RESOURCE, TOMBSTONE, WORD};
use super::{cell, fault, find};

/// How many nodes a page looks at before it answers with what it has.
pub const LOOKS_MAX: usize = 4_096;

/// How many nodes are looked up at once where nobody knows how many it takes.
const CHUNK: usize = 64;

/// Where the next page goes on, if the row is no part of its page and only says that. It is the last one of a page that
/// is not full and not the last. Only interpretations have them: a server that reads on by itself needs none.
pub fn cursor(row: &[Datum]) -> Option<&str> {
    match row {
        [Datum::List(after), ..] => after.first().and_then(Datum::as_text),
        _ => None,
    }
}

/// A row that says that the next page goes on after this.
fn cursor_row(after: &str, columns: usize) -> Vec<Datum> {
    let after = Datum::List(vec![after.into()]);
    std::iter::once(after).chain(std::iter::repeat_n(Datum::Null, columns - 1)).collect()
}

/// How many of the first `limit` resources after the one named `after` are linked to and were never created; how many
/// were looked at; and which of them was the last.
pub static COUNT_STUBS: Statement = Statement {
    name: "count_stubs",
    cypher: "MATCH (n:Resource) WHERE n.id > $after WITH n ORDER BY n.id LIMIT $limit \
             RETURN sum(CASE WHEN n.stub = true THEN 1 ELSE 0 END) AS stubs, count(n) AS seen, max(n.id) AS last",
    columns: &["stubs", "seen", "last"],
    run: |graph, params| {
        let (mut stubs, mut seen, mut last) = (0, 0, Datum::Null);
        for node in range(graph, params, RESOURCE, "id")? {
            let properties = graph.properties(node)?;
            stubs += i64::from(is_stub(&properties));
            seen += 1;
            last = cell(&properties, "id");
        }
        Ok(vec![vec![Datum::Int(stubs), Datum::Int(seen), last]])
    },
};

/// Up to `limit` stubs after the one named `after`, sorted by id, and perhaps a [`cursor`].
pub static LIST_STUBS: Statement = Statement {
    name: "list_stubs",
    cypher: "MATCH (n:Resource) WHERE n.stub = true AND n.id > $after RETURN n.id AS id ORDER BY id LIMIT $limit",
    columns: &["id"],
    run: |graph, params| sift(graph, params, RESOURCE, "id", is_stub),
};

fn is_stub(properties: &Properties) -> bool {
    properties.get("stub") == Some(&Value::Bool(true))
}

/// Up to `limit` marks with an event that cannot be applied, after the resource named `after`, and perhaps a [`cursor`].
pub static LIST_PARKED: Statement = Statement {
    name: "list_parked",
    cypher: "MATCH (m:Applied) WHERE m.parked > 0 AND m.resource > $after \
             RETURN m.resource AS resource ORDER BY resource LIMIT $limit",
    columns: &["resource"],
    run: |graph, params| {
        let is_parked = |mark: &Properties| mark.get("parked").and_then(Value::as_int).is_some_and(|parked| parked > 0);
        sift(graph, params, APPLIED, "resource", is_parked)
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
        let marks = range(graph, params, APPLIED, "resource")?;
        marks.into_iter().map(|mark| mark_row(graph, mark)).collect()
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
                let nodes = range(graph, params, $label, "id")?;
                let row = |node| graph.properties(node).map(|all| vec![cell(&all, "id"), all.into()]);
                nodes.into_iter().map(row).collect()
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

macro_rules! list {
    ($(#[$doc:meta])* $statement:ident, $name:literal, $label:literal) => {
        $(#[$doc])*
        pub static $statement: Statement = Statement {
            name: $name,
            cypher: concat!("MATCH (n:", $label, ") WHERE n.id > $after RETURN n.id AS id ORDER BY id LIMIT $limit"),
            columns: &["id"],
            run: |graph, params| {
                let nodes = range(graph, params, $label, "id")?;
                nodes.into_iter().map(|node| Ok(vec![cell(&graph.properties(node)?, "id")])).collect()
            },
        };
    };
}

list! {
    /// The ids of up to `limit` annotations after the one named `after`, sorted.
    LIST_ANNOTATIONS, "list_annotations", "Annotation"
}
list! {
    /// The ids of up to `limit` tombstones after the one named `after`, sorted.
    LIST_TOMBSTONES, "list_tombstones", "Tombstone"
}

/// Up to `limit` links after the one between `from` and `to`, sorted by them, and perhaps a [`cursor`].
pub static DUMP_REFERENCES: Statement = Statement {
    name: "dump_references",
    cypher: "MATCH (a)-[r:REFERENCES]->(b) WHERE a.id > $from OR (a.id = $from AND b.id > $to) \
             RETURN a.id AS from, b.id AS to, properties(r) AS properties ORDER BY from, to LIMIT $limit",
    columns: &["from", "to", "properties"],
    run: |graph, params| dump_edges(graph, params, REFERENCES),
};

/// Up to `limit` edges to what annotations and tombstones belong to, after the one between `from`
/// and `to`, sorted by them, and perhaps a [`cursor`].
pub static DUMP_OWNERS: Statement = Statement {
    name: "dump_owners",
    cypher: "MATCH (a)-[r:BELONGS_TO]->(b) WHERE a.id > $from OR (a.id = $from AND b.id > $to) \
             RETURN a.id AS from, b.id AS to, properties(r) AS properties ORDER BY from, to LIMIT $limit",
    columns: &["from", "to", "properties"],
    run: |graph, params| dump_edges(graph, params, BELONGS_TO),
};

fn dump_edges(graph: &mut dyn PropertyGraph, params: &Params, kind: &str) -> Result<Rows, GraphFault> {
    let text = |name: &str| params.get(name).and_then(Datum::as_text).ok_or_else(|| fault(name));
    let (first, limit) = (text("from")?, limit(params)?);
    let after = [Datum::from(first), text("to")?.into()];
    let mut found = Rows::new();
    // What is left of the edges of the source that the last page ended in, then source by source.
    let mut sources = Vec::new();
    for label in [ANNOTATION, TOMBSTONE] {
        sources.extend(find(graph, label, first)?);
    }
    let (mut seen, mut last) = (0, first.to_owned());
    loop {
        seen += sources.len();
        for source in sources {
            let from = cell(&graph.properties(source)?, "id");
            for (edge, target) in graph.edges(source, kind, Direction::Out)? {
                let key = [from.clone(), cell(&graph.properties(target)?, "id")];
                if key > after {
                    found.push(key.into_iter().chain([graph.edge_properties(edge)?.into()]).collect());
                }
            }
        }
        let is_full = found.len() >= limit;
        if !is_full && seen >= LOOKS_MAX {
            found.sort();
            found.push(cursor_row(&last, 3));
            return Ok(found);
        }
        sources = if is_full { Vec::new() } else { next_sources(graph, &mut last)? };
        if sources.is_empty() {
            found.sort();
            found.truncate(limit);
            return Ok(found);
        }
    }
}

/// The next annotations and tombstones behind the one named `last`, which becomes the last of them: none is left out
/// before it.
fn next_sources(graph: &mut dyn PropertyGraph, last: &mut String) -> Result<Vec<NodeHandle>, GraphFault> {
    let mut next = Vec::new();
    for label in [ANNOTATION, TOMBSTONE] {
        for node in graph.range(label, "id", TextRange { after: last, before: None }, CHUNK)? {
            next.push((cell(&graph.properties(node)?, "id"), node));
        }
    }
    next.sort();
    // Both have all that they have among the first so many; of two with one id, the second comes along.
    let end = next.iter().take(CHUNK).next_back().map(|(id, _)| id.clone());
    next.retain(|(id, _)| end.as_ref().is_some_and(|end| id <= end));
    if let Some(end) = end.as_ref().and_then(Datum::as_text) {
        end.clone_into(last);
    }
    Ok(next.into_iter().map(|(_, node)| node).collect())
}

/// The nodes of a page: the first behind `after`.
fn range(
    graph: &mut dyn PropertyGraph,
    params: &Params,
    label: &str,
    property: &str,
) -> Result<Vec<NodeHandle>, GraphFault> {
    graph.range(label, property, TextRange { after: after(params)?, before: None }, limit(params)?)
}

/// A page of the keys of those that are wanted.
fn sift(
    graph: &mut dyn PropertyGraph,
    params: &Params,
    label: &str,
    key: &str,
    is_wanted: impl Fn(&Properties) -> bool,
) -> Result<Rows, GraphFault> {
    let (mut last, limit) = (after(params)?.to_owned(), limit(params)?);
    let (mut found, mut seen) = (Rows::new(), 0);
    while found.len() < limit {
        if seen >= LOOKS_MAX {
            found.push(cursor_row(&last, 1));
            break;
        }
        let nodes = graph.range(label, key, TextRange { after: &last, before: None }, CHUNK)?;
        if nodes.is_empty() {
            break;
        }
        seen += nodes.len();
        for node in nodes {
            let properties = graph.properties(node)?;
            if let Some(name) = properties.get(key).and_then(Value::as_text) {
                name.clone_into(&mut last);
            }
            if is_wanted(&properties) && found.len() < limit {
                found.push(vec![cell(&properties, key)]);
            }
        }
    }
    Ok(found)
}

fn after(params: &Params) -> Result<&str, GraphFault> {
    params.get("after").and_then(Datum::as_text).ok_or_else(|| fault("after"))
}

/// How many rows a page has at most.
fn limit(params: &Params) -> Result<usize, GraphFault> {
    let limit = params.get("limit").and_then(Datum::as_int).and_then(|limit| usize::try_from(limit).ok());
    limit.ok_or_else(|| fault("limit"))
}

/// Sorted by the first column, from behind `after`, cut to the page.
pub(super) fn page(mut rows: Rows, params: &Params) -> Result<Rows, GraphFault> {
    let after = params.get("after").ok_or_else(|| fault("after"))?;
    rows.retain(|row| row[0] > *after);
    rows.sort();
    rows.truncate(limit(params)?);
    Ok(rows)
}
