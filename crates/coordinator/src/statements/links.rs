//! Links between entities.

use graph::{Properties, Value};
use stores::{Datum, Direction, EdgeHandle, GraphFault, NodeHandle, Params, PropertyGraph, Rows, Statement, TextRange};

use super::{cell, changed, entities, find, limit, page, property_map, text};

pub(super) const TYPE: &str = "LINK";

/// How many entities [`DUMP_LINKS`] looks up at once while it has no page of links yet.
const SOURCES: usize = 64;

/// Connects two entities. Changes nothing where one is missing or the link exists.
pub static LINK: Statement = Statement {
    name: "link",
    cypher: "MATCH (a:Entity {id: $from}), (b:Entity {id: $to}) \
             OPTIONAL MATCH (a)-[old:LINK {kind: $kind}]->(b) \
             WITH a, b, count(old) AS existing WHERE existing = 0 \
             CREATE (a)-[r:LINK {kind: $kind}]->(b) SET r += $properties RETURN count(r) AS changed",
    columns: &["changed"],
    run: link,
};

fn link(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let (from, kind, to) = (text(params, "from")?, text(params, "kind")?, text(params, "to")?);
    let mut properties = Properties::from([("kind".to_owned(), Value::from(kind))]);
    properties.extend(property_map(params, "properties")?);
    let targets = find(graph, entities::LABEL, "id", to)?;
    let mut created = 0;
    for source in find(graph, entities::LABEL, "id", from)? {
        for target in &targets {
            if between(graph, source, kind, *target)?.is_empty() {
                graph.relate(source, TYPE, *target, properties.clone())?;
                created += 1;
            }
        }
    }
    Ok(changed(created))
}

/// Removes a link. Changes nothing where there is none.
pub static UNLINK: Statement = Statement {
    name: "unlink",
    cypher: "MATCH (a:Entity {id: $from})-[r:LINK {kind: $kind}]->(b:Entity {id: $to}) \
             DELETE r RETURN count(*) AS changed",
    columns: &["changed"],
    run: unlink,
};

fn unlink(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let (from, kind, to) = (text(params, "from")?, text(params, "kind")?, text(params, "to")?);
    let targets = find(graph, entities::LABEL, "id", to)?;
    let mut removed = 0;
    for source in find(graph, entities::LABEL, "id", from)? {
        for target in &targets {
            for edge in between(graph, source, kind, *target)? {
                graph.unrelate(edge)?;
                removed += 1;
            }
        }
    }
    Ok(changed(removed))
}

/// A link's properties, `kind` among them; no row where there is none.
pub static READ_LINK: Statement = Statement {
    name: "read_link",
    cypher: "MATCH (a:Entity {id: $from})-[r:LINK {kind: $kind}]->(b:Entity {id: $to}) \
             RETURN properties(r) AS properties",
    columns: &["properties"],
    run: read_link,
};

fn read_link(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let (from, kind, to) = (text(params, "from")?, text(params, "kind")?, text(params, "to")?);
    let targets = find(graph, entities::LABEL, "id", to)?;
    let mut rows = Rows::new();
    for source in find(graph, entities::LABEL, "id", from)? {
        for target in &targets {
            for edge in between(graph, source, kind, *target)? {
                rows.push(vec![graph.edge_properties(edge)?.into()]);
            }
        }
    }
    Ok(rows)
}

/// The links that leave an entity, sorted by kind and end.
pub static READ_LINKS_OUT: Statement = Statement {
    name: "read_links_out",
    cypher: "MATCH (:Entity {id: $id})-[r:LINK]->(b:Entity) \
             RETURN r.kind AS kind, b.id AS to, properties(r) AS properties ORDER BY kind, to",
    columns: &["kind", "to", "properties"],
    run: |graph, params| read_links(graph, params, Direction::Out),
};

/// The links that enter an entity, sorted by kind and start.
pub static READ_LINKS_IN: Statement = Statement {
    name: "read_links_in",
    cypher: "MATCH (a:Entity)-[r:LINK]->(:Entity {id: $id}) \
             RETURN r.kind AS kind, a.id AS from, properties(r) AS properties ORDER BY kind, from",
    columns: &["kind", "from", "properties"],
    run: |graph, params| read_links(graph, params, Direction::In),
};

fn read_links(graph: &mut dyn PropertyGraph, params: &Params, direction: Direction) -> Result<Rows, GraphFault> {
    let mut rows = Rows::new();
    for node in find(graph, entities::LABEL, "id", text(params, "id")?)? {
        for (edge, other) in graph.edges(node, TYPE, direction)? {
            let properties = graph.edge_properties(edge)?;
            let other = cell(&graph.properties(other)?, "id");
            rows.push(vec![cell(&properties, "kind"), other, properties.into()]);
        }
    }
    rows.sort();
    Ok(rows)
}

/// How many entities [`DUMP_LINKS`] looks at before it answers with what it has: a page of entities without links must
/// not keep others from the graph for longer than one of links.
const SOURCES_MAX: usize = 4_096;

/// Sorts after every kind: stands in the last row of a page that ended with its entity although it was not full.
const BEYOND: &str = "\u{10FFFF}";

/// Whether the row only says how far a page of links has come.
pub fn is_cursor(row: &[Datum]) -> bool {
    matches!(row, [_, kind, ..] if kind.as_text() == Some(BEYOND))
}

/// Up to `limit` links after the one that `from`, `kind` and `to` name, sorted by them. A page that ends before it is full,
/// and is not the last one, has a last row that [`is_cursor`].
pub static DUMP_LINKS: Statement = Statement {
    name: "dump_links",
    cypher: "MATCH (a:Entity)-[r:LINK]->(b:Entity) WHERE a.id >= $from \
             AND (a.id > $from OR r.kind > $kind OR (r.kind = $kind AND b.id > $to)) \
             RETURN a.id AS from, r.kind AS kind, b.id AS to, properties(r) AS properties \
             ORDER BY from, kind, to LIMIT $limit",
    columns: &["from", "kind", "to", "properties"],
    run: dump_links,
};

fn dump_links(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let first = text(params, "from")?;
    let after = [first, text(params, "kind")?, text(params, "to")?].map(Datum::from);
    let limit = limit(params)?;
    let mut rows = Rows::new();
    // What is left of the links of the source that the last page ended in, then source by source.
    let mut sources = find(graph, entities::LABEL, "id", first)?;
    let mut seen = 0;
    loop {
        seen += sources.len();
        let mut last = None;
        for source in sources {
            let from = cell(&graph.properties(source)?, "id");
            for (edge, target) in graph.edges(source, TYPE, Direction::Out)? {
                let properties = graph.edge_properties(edge)?;
                let key = [from.clone(), cell(&properties, "kind"), cell(&graph.properties(target)?, "id")];
                if key > after {
                    rows.push(key.into_iter().chain([Datum::from(properties)]).collect());
                }
            }
            last = Some(from);
        }
        let next = last.as_ref().and_then(Datum::as_text).unwrap_or(first);
        sources = graph.range(entities::LABEL, "id", TextRange { after: next, before: None }, SOURCES)?;
        if rows.len() >= limit || sources.is_empty() {
            return Ok(page(rows, limit));
        }
        if seen >= SOURCES_MAX {
            let cursor = vec![next.into(), BEYOND.into(), "".into(), Datum::Null];
            return Ok(page(rows, limit).into_iter().chain([cursor]).collect());
        }
    }
}

fn between(
    graph: &mut dyn PropertyGraph,
    source: NodeHandle,
    kind: &str,
    target: NodeHandle,
) -> Result<Vec<EdgeHandle>, GraphFault> {
    let mut found = Vec::new();
    for edge in graph.edges_between(source, TYPE, target)? {
        if cell(&graph.edge_properties(edge)?, "kind").as_text() == Some(kind) {
            found.push(edge);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use graph::Value;
    use stores::memory::MemoryGraph;
    use stores::{GraphFault, run_calls};

    use super::*;
    use crate::statements::{calls_for, examine, links_after};

    #[derive(Debug)]
    struct Fault(#[expect(dead_code, reason = "shown when the test fails")] String);

    impl From<GraphFault> for Fault {
        fn from(fault: GraphFault) -> Fault {
            Fault(fault.to_string())
        }
    }

    fn run(graph: &MemoryGraph, calls: &[stores::Call]) -> Vec<Rows> {
        graph.autocommit(|graph| run_calls(graph, calls).map_err(|error| Fault(format!("{error:?}")))).unwrap()
    }

    #[test]
    fn a_link_is_examined_without_the_other_links_of_its_ends() {
        let graph = MemoryGraph::new();
        let patch = |operations: &str| calls_for(&serde_json::from_str(operations).unwrap());
        run(&graph, &patch(r#"[{"create":{"id":"hub","kind":"thing"}}]"#));
        for n in 0..50 {
            let create = format!(r#"{{"create":{{"id":"e{n}","kind":"thing"}}}}"#);
            let link = |kind: &str| format!(r#"{{"link":{{"from":"hub","kind":"{kind}","to":"e{n}"}}}}"#);
            run(&graph, &patch(&format!("[{create},{},{}]", link("knows"), link("likes"))));
        }
        let subject = |kind: &str| graph::Subject::Link {
            from: "hub".parse().unwrap(),
            kind: kind.parse().unwrap(),
            to: "e7".parse().unwrap(),
        };
        let rows = |kind: &str| run(&graph, &examine(&subject(kind))).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(rows("knows"), [1, 1, 1], "its start, itself, its end");
        assert_eq!(rows("hates"), [1, 0, 1]);
    }

    #[test]
    fn a_page_ends_after_so_many_entities_and_the_next_one_goes_on_there() {
        let graph = MemoryGraph::new();
        let last = 2 * SOURCES_MAX;
        // Not by the statement, which looks for the id first: without an index that takes long.
        for n in 0..=last {
            let properties = [("id".to_owned(), Value::from(format!("e{n:06}").as_str()))].into();
            graph.autocommit(|graph| graph.create(&[entities::LABEL], properties).map_err(Fault::from)).unwrap();
        }
        let link = format!(r#"[{{"link":{{"from":"e{last:06}","kind":"knows","to":"e000000"}}}}]"#);
        run(&graph, &calls_for(&serde_json::from_str(&link).unwrap()));
        let (mut after, mut pages, mut links): (Option<[String; 3]>, usize, Vec<String>) = (None, 0, Vec::new());
        loop {
            let from = after.as_ref().map(|key| key.each_ref().map(String::as_str));
            let rows = run(&graph, &links_after(from, 10)).remove(0);
            let Some(row) = rows.last() else { break };
            let key = [0, 1, 2].map(|index| row[index].as_text().unwrap().to_owned());
            pages += 1;
            links.extend(rows.iter().filter(|row| !is_cursor(row)).map(|row| row[0].as_text().unwrap().to_owned()));
            after = Some(key);
        }
        assert_eq!(links, [format!("e{last:06}")]);
        assert!(pages >= 3, "{pages} pages for {last} entities: each is bounded");
    }
}
