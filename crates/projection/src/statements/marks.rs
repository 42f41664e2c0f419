//! How far the graph shows each resource, and what the projection keeps about itself.

use graph::{Properties, Value};
use stores::{Datum, GraphFault, NodeHandle, Params, PropertyGraph, Rows, Statement};

use super::{cell, changed, fault, field, ids, int, merge, row as make_row, rows, text};
use crate::lanes::{Applied, Poison, Write};

pub(super) const APPLIED: &str = "Applied";
pub(super) const PROJECTION: &str = "Projection";

/// There is one such node, and this is its `key`.
const KEY: &str = "projection";

/// Counts 1 if the graph is of the log that was begun in this generation, and 0 if it was given to another one.
///
/// A mark alone does not say so: whoever still has events of the old log finds, once somebody else has rebuilt the resource
/// from the new one, a mark that such an event seems to follow.
///
/// It reads and locks nothing, so that transactions do not wait for each other here. That is enough where only what is
/// committed is read, even if the graph is turned right after it: whoever has read a mark that was written since the turn
/// sees the turn as well, and any other mark is taken for one of the old log by all who come.
pub static CHECK_TURN: Statement = Statement {
    name: "check_turn",
    cypher: "OPTIONAL MATCH (p:Projection {key: 'projection'}) WITH coalesce(p.since, 0) AS since \
             WHERE since = $since RETURN count(since) AS changed",
    columns: &["changed"],
    run: |graph, params| {
        let since = params.get("since").and_then(Datum::as_int).ok_or_else(|| fault("since"))?;
        let mut stands = 0;
        for node in graph.find(PROJECTION, "key", &Value::from(KEY))? {
            stands = number(&graph.properties(node)?, "since");
        }
        Ok(changed(usize::from(stands == since)))
    },
};

/// Moves marks, each from exactly where it was read; counts those that it moved. A mark that is not
/// there is one at the very beginning.
pub static ADVANCE_MARKS: Statement = Statement {
    name: "advance_marks",
    cypher: "UNWIND $rows AS row MERGE (m:Applied {resource: row.resource}) \
             ON CREATE SET m.seq = 0, m.generation = 0 \
             SET m.resource = row.resource WITH m, row \
             WHERE m.seq = row.from_seq AND m.generation = row.from_generation \
             AND coalesce(m.partial, false) = row.from_partial AND coalesce(m.parked, 0) = row.from_parked \
             SET m.seq = row.seq, m.generation = row.generation, m.partial = row.partial, \
             m.parked = row.parked, m.why = row.why RETURN count(m) AS changed",
    columns: &["changed"],
    run: advance_marks,
};

/// What [`ADVANCE_MARKS`] does for a write.
pub(super) fn row(write: &Write) -> Datum {
    let Write { resource, from, to, .. } = write;
    let or_null = |datum: Option<Datum>| datum.unwrap_or(Datum::Null);
    make_row([
        ("resource", resource.as_str().into()),
        ("from_seq", int(from.sequence)),
        ("from_generation", int(from.generation)),
        ("from_partial", Datum::Bool(from.partial)),
        ("from_parked", int(from.poison.as_ref().map_or(0, |poison| poison.sequence))),
        ("seq", int(to.sequence)),
        ("generation", int(to.generation)),
        ("partial", or_null(to.partial.then_some(Datum::Bool(true)))),
        ("parked", or_null(to.poison.as_ref().map(|poison| int(poison.sequence)))),
        ("why", or_null(to.poison.as_ref().map(|poison| poison.why.as_str().into()))),
    ])
}

fn advance_marks(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let mut moved = 0;
    for row in rows(params)? {
        let origin = Properties::from([("seq".into(), Value::Int(0)), ("generation".into(), Value::Int(0))]);
        for mark in merge(graph, APPLIED, ("resource", text(row, "resource")?), origin)? {
            let mut properties = graph.properties(mark)?;
            let stands = cell(&properties, "seq") == *field(row, "from_seq")?
                && cell(&properties, "generation") == *field(row, "from_generation")?
                && is_partial(&properties) == (*field(row, "from_partial")? == Datum::Bool(true))
                && properties.get("parked").and_then(Value::as_int).unwrap_or(0)
                    == field(row, "from_parked")?.as_int().ok_or_else(|| fault("from_parked"))?;
            if !stands {
                continue;
            }
            for name in ["seq", "generation", "partial", "parked", "why"] {
                let value = field(row, name)?.to_value().ok_or_else(|| fault(name))?;
                properties.insert(name.to_owned(), value);
            }
            graph.set_properties(mark, properties)?;
            moved += 1;
        }
    }
    Ok(changed(moved))
}

fn is_partial(properties: &Properties) -> bool {
    properties.get("partial") == Some(&Value::Bool(true))
}

const COLUMNS: [&str; 5] = ["seq", "generation", "partial", "parked", "why"];

/// The marks of resources; no row where there is none.
pub static READ_MARKS: Statement = Statement {
    name: "read_marks",
    cypher: "UNWIND $rows AS id MATCH (m:Applied {resource: id}) RETURN id AS resource, m.seq AS seq, \
             m.generation AS generation, m.partial AS partial, m.parked AS parked, m.why AS why",
    columns: &["resource", "seq", "generation", "partial", "parked", "why"],
    run: read_marks,
};

fn read_marks(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let mut found = Rows::new();
    for id in ids(params)? {
        for mark in graph.find(APPLIED, "resource", &Value::from(id))? {
            found.push(mark_row(graph, mark)?);
        }
    }
    Ok(found)
}

/// A mark as a row: its resource, and then what there is to say.
pub(super) fn mark_row(graph: &mut dyn PropertyGraph, mark: NodeHandle) -> Result<Vec<Datum>, GraphFault> {
    let properties = graph.properties(mark)?;
    let cells = COLUMNS.iter().map(|name| cell(&properties, name));
    Ok([cell(&properties, "resource")].into_iter().chain(cells).collect())
}

/// What such a row says, behind the resource; nothing if it is none.
pub(super) fn applied(row: &[Datum]) -> Option<Applied> {
    let [_, sequence, generation, partial, parked, why] = row else { return None };
    let number = |datum: &Datum| u64::try_from(datum.as_int()?).ok();
    let poison = match parked {
        Datum::Null => None,
        parked => Some(Poison { sequence: number(parked)?, why: why.as_text().unwrap_or_default().to_owned() }),
    };
    Some(Applied {
        sequence: number(sequence)?,
        generation: number(generation)?,
        partial: *partial == Datum::Bool(true),
        poison,
    })
}

/// What the projection keeps about itself; no row where it has not begun.
pub static READ_PROJECTION: Statement = Statement {
    name: "read_projection",
    cypher: "MATCH (p:Projection {key: 'projection'}) \
             RETURN p.generation AS generation, p.rebuilding AS rebuilding, p.position AS position, \
             p.log AS log, p.since AS since",
    columns: &ITSELF,
    run: |graph, _| {
        let mut found = Rows::new();
        for node in graph.find(PROJECTION, "key", &Value::from(KEY))? {
            let properties = graph.properties(node)?;
            found.push(ITSELF.map(|name| cell(&properties, name)).into());
        }
        Ok(found)
    },
};

/// All that the projection keeps about itself.
const ITSELF: [&str; 5] = ["generation", "rebuilding", "position", "log", "since"];

/// Writes down how far the log was read, unless it was read further, or another log has begun since; returns the
/// generation in which the log was begun that the graph is of.
pub static CHECKPOINT: Statement = Statement {
    name: "checkpoint",
    cypher: "MERGE (p:Projection {key: 'projection'}) \
             ON CREATE SET p.generation = 0, p.rebuilding = false, p.position = 0 \
             SET p.key = 'projection' WITH p \
             SET p.position = CASE WHEN coalesce(p.since, 0) = $since AND p.position < $position THEN $position \
             ELSE p.position END \
             RETURN coalesce(p.since, 0) AS since",
    columns: &["since"],
    run: |graph, params| {
        let position = params.get("position").and_then(Datum::as_int).ok_or_else(|| fault("position"))?;
        let since = params.get("since").and_then(Datum::as_int).ok_or_else(|| fault("since"))?;
        about_itself(graph, |properties| {
            let stands = number(properties, "since");
            if stands == since {
                let position = number(properties, "position").max(position);
                properties.insert("position".to_owned(), Value::Int(position));
            }
            vec![Datum::Int(stands)]
        })
    },
};

/// Gives the graph to another log, unless that was done already: it is read from its beginning, and its generation is above
/// that of every resource, which all have to be rebuilt. A graph that is of no log so far is of this one, and nothing else
/// changes. Returns what the projection keeps about itself.
///
/// The generation is raised by two: a rebuild of one resource from the old log may still be on its way, and raises the
/// generation of that by one.
pub static TURN: Statement = Statement {
    name: "turn",
    cypher: "MERGE (p:Projection {key: 'projection'}) \
             ON CREATE SET p.generation = 0, p.rebuilding = false, p.position = 0 \
             SET p.key = 'projection' WITH p \
             OPTIONAL MATCH (m:Applied) WITH p, coalesce(max(m.generation), 0) AS top \
             WITH p, CASE WHEN top > p.generation THEN top + 2 ELSE p.generation + 2 END AS next, \
             coalesce(p.since, 0) = $since AND p.log IS NOT NULL = $known AND coalesce(p.log, '') = $was AS stands \
             WITH p, next, stands, stands AND $known AS begins \
             SET p.log = CASE WHEN stands THEN $log ELSE p.log END, \
             p.position = CASE WHEN begins THEN 0 ELSE p.position END, \
             p.generation = CASE WHEN begins THEN next ELSE p.generation END, \
             p.since = CASE WHEN begins THEN next ELSE p.since END, \
             p.rebuilding = CASE WHEN begins THEN true ELSE p.rebuilding END \
             RETURN p.generation AS generation, p.rebuilding AS rebuilding, p.position AS position, \
             p.log AS log, p.since AS since",
    columns: &ITSELF,
    run: |graph, params| {
        let text = |name| params.get(name).and_then(Datum::as_text).ok_or_else(|| fault(name));
        let (was, log) = (text("was")?, text("log")?);
        let is_known = params.get("known") == Some(&Datum::Bool(true));
        let since = params.get("since").and_then(Datum::as_int).ok_or_else(|| fault("since"))?;
        let top = top_generation(graph)?;
        about_itself(graph, |properties| {
            let known = properties.get("log").and_then(Value::as_text);
            let stands =
                number(properties, "since") == since && known.is_some() == is_known && known.unwrap_or_default() == was;
            let next = number(properties, "generation").max(top) + 2;
            let mut set = |name: &str, value| properties.insert(name.to_owned(), value);
            if stands {
                set("log", Value::from(log));
            }
            if stands && is_known {
                set("position", Value::Int(0));
                set("generation", Value::Int(next));
                set("since", Value::Int(next));
                set("rebuilding", Value::Bool(true));
            }
            ITSELF.map(|name| cell(properties, name)).into()
        })
    },
};

/// Raises the generation of all above that of every resource, and writes down that a rebuild is under way, unless one is;
/// returns the generation. A resource that was rebuilt alone is ahead of the others, and must not be taken for one that this
/// rebuild has been to.
pub static RAISE_GENERATION: Statement = Statement {
    name: "raise_generation",
    cypher: "MERGE (p:Projection {key: 'projection'}) \
             ON CREATE SET p.generation = 0, p.rebuilding = false, p.position = 0 \
             SET p.key = 'projection' WITH p \
             OPTIONAL MATCH (m:Applied) WITH p, coalesce(max(m.generation), 0) AS top \
             SET p.generation = CASE WHEN p.rebuilding THEN p.generation \
             WHEN top > p.generation THEN top + 1 ELSE p.generation + 1 END, \
             p.rebuilding = true RETURN p.generation AS generation",
    columns: &["generation"],
    run: |graph, _| {
        let top = top_generation(graph)?;
        about_itself(graph, |properties| {
            let under_way = properties.get("rebuilding") == Some(&Value::Bool(true));
            let before = number(properties, "generation");
            let raised = if under_way { before } else { before.max(top) + 1 };
            properties.insert("generation".to_owned(), Value::Int(raised));
            properties.insert("rebuilding".to_owned(), Value::Bool(true));
            vec![Datum::Int(raised)]
        })
    },
};

/// Writes down that the rebuild of this generation has ended; says nothing about any other.
pub static CLOSE_REBUILD: Statement = Statement {
    name: "close_rebuild",
    cypher: "MERGE (p:Projection {key: 'projection'}) \
             ON CREATE SET p.generation = 0, p.rebuilding = false, p.position = 0 \
             SET p.key = 'projection' WITH p \
             SET p.rebuilding = CASE WHEN p.generation = $generation THEN false ELSE p.rebuilding END \
             RETURN p.rebuilding AS rebuilding",
    columns: &["rebuilding"],
    run: |graph, params| {
        let generation = params.get("generation").ok_or_else(|| fault("generation"))?.clone();
        about_itself(graph, |properties| {
            if cell(properties, "generation") == generation {
                properties.insert("rebuilding".to_owned(), Value::Bool(false));
            }
            vec![cell(properties, "rebuilding")]
        })
    },
};

/// The highest generation that a resource has.
fn top_generation(graph: &mut dyn PropertyGraph) -> Result<i64, GraphFault> {
    Ok(graph.greatest(APPLIED, "generation")?.unwrap_or(0).max(0))
}

/// A number that is 0 where it is not there.
fn number(properties: &Properties, name: &str) -> i64 {
    properties.get(name).and_then(Value::as_int).unwrap_or(0)
}

/// Changes what the projection keeps about itself, and returns a row of it.
fn about_itself(
    graph: &mut dyn PropertyGraph,
    change: impl Fn(&mut Properties) -> Vec<Datum>,
) -> Result<Rows, GraphFault> {
    let origin = [("generation", Value::Int(0)), ("rebuilding", Value::Bool(false)), ("position", Value::Int(0))];
    let origin = origin.map(|(name, value)| (name.to_owned(), value)).into();
    let mut found = Rows::new();
    for node in merge(graph, PROJECTION, ("key", KEY), origin)? {
        let mut properties = graph.properties(node)?;
        found.push(change(&mut properties));
        graph.set_properties(node, properties)?;
    }
    Ok(found)
}
