//! Which ledger the graph belongs to, and which of its starts was the last.

use graph::{Properties, Value};
use stores::{Datum, GraphFault, Params, PropertyGraph, Rows, Statement};

use super::{cell, changed, find, param, text};

pub(super) const LABEL: &str = "Store";

/// There is one such node, and this is its `key`.
const KEY: &str = "coordinator";

/// Claims the graph for a start of a ledger: `id` is the ledger's, `incarnation` counts its
/// starts and `nonce` is drawn for each, so that a start knows its own claim again. Returns
/// who has claimed the graph then: the caller compares.
///
/// A claim takes effect where the graph has no owner yet, or the same one and a smaller
/// incarnation. So a claim that was delayed, of a process that is no more, changes nothing.
///
/// It is one statement, and it writes to the node before it compares: where transactions read
/// what is committed and lock what they write (Neo4j), two claims would both find the old
/// incarnation otherwise. `nonce` is set first, while the old incarnation is still there to be
/// compared with.
pub static CLAIM_STORE: Statement = Statement {
    name: "claim_store",
    cypher: "MERGE (s:Store {key: 'coordinator'}) \
             ON CREATE SET s.id = $id, s.incarnation = $incarnation, s.nonce = $nonce \
             SET s.claimed = true WITH s \
             SET s.nonce = CASE WHEN s.id = $id AND s.incarnation < $incarnation THEN $nonce ELSE s.nonce END, \
             s.incarnation = CASE WHEN s.id = $id AND s.incarnation < $incarnation THEN $incarnation \
             ELSE s.incarnation END \
             RETURN s.id AS id, s.incarnation AS incarnation, s.nonce AS nonce",
    columns: &["id", "incarnation", "nonce"],
    run: claim_store,
};

fn claim_store(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let (id, nonce) = (text(params, "id")?, text(params, "nonce")?);
    let incarnation = param(params, "incarnation")?.as_int();
    let incarnation = incarnation.ok_or_else(|| GraphFault::Parameter("incarnation".to_owned()))?;
    let claim = [
        ("id".to_owned(), Value::from(id)),
        ("incarnation".to_owned(), Value::Int(incarnation)),
        ("nonce".to_owned(), Value::from(nonce)),
        ("claimed".to_owned(), Value::Bool(true)),
    ];
    let found = find(graph, LABEL, "key", KEY)?;
    if found.is_empty() {
        let key = ("key".to_owned(), Value::from(KEY));
        graph.create(&[LABEL], Properties::from_iter(claim.into_iter().chain([key])))?;
        return read_store(graph, params);
    }
    for node in found {
        let mut properties = graph.properties(node)?;
        let is_older = matches!(properties.get("incarnation"), Some(Value::Int(last)) if *last < incarnation);
        if is_older && properties.get("id").and_then(Value::as_text) == Some(id) {
            properties.extend(claim.clone());
        }
        graph.set_properties(node, properties)?;
    }
    read_store(graph, params)
}

/// Raises the floor below which markers are removed, where the graph belongs to that ledger and
/// the floor is lower. A late one of a process that is no more does not lower it again.
///
/// It writes to the node before it compares, for the same reason as [`CLAIM_STORE`].
pub static RAISE_FLOOR: Statement = Statement {
    name: "raise_floor",
    cypher: "MATCH (s:Store {key: 'coordinator', id: $id}) SET s.claimed = true WITH s \
             WHERE s.floor_incarnation IS NULL OR s.floor_incarnation < $incarnation \
             OR (s.floor_incarnation = $incarnation AND s.floor_serial < $serial) \
             SET s.floor_incarnation = $incarnation, s.floor_serial = $serial RETURN count(s) AS changed",
    columns: &["changed"],
    run: raise_floor,
};

fn raise_floor(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let (id, position) = (text(params, "id")?, position(params)?);
    let mut raised = 0;
    for node in find(graph, LABEL, "key", KEY)? {
        let mut properties = graph.properties(node)?;
        if properties.get("id").and_then(Value::as_text) != Some(id) {
            continue;
        }
        properties.insert("claimed".to_owned(), Value::Bool(true));
        if floor_of(&properties).is_none_or(|floor| floor < position) {
            properties.insert("floor_incarnation".to_owned(), Value::Int(position.0));
            properties.insert("floor_serial".to_owned(), Value::Int(position.1));
            raised += 1;
        }
        graph.set_properties(node, properties)?;
    }
    Ok(changed(raised))
}

/// The floor below which markers are removed, as incarnation and serial; null where there is none
/// yet, and no row if nobody has claimed the graph.
pub static READ_FLOOR: Statement = Statement {
    name: "read_floor",
    cypher: "MATCH (s:Store {key: 'coordinator'}) \
             RETURN s.floor_incarnation AS incarnation, s.floor_serial AS serial",
    columns: &["incarnation", "serial"],
    run: read_floor,
};

fn read_floor(graph: &mut dyn PropertyGraph, _: &Params) -> Result<Rows, GraphFault> {
    let nodes = find(graph, LABEL, "key", KEY)?;
    let row = |node| -> Result<Vec<Datum>, GraphFault> {
        let properties = graph.properties(node)?;
        Ok(["floor_incarnation", "floor_serial"].map(|name| cell(&properties, name)).into())
    };
    nodes.into_iter().map(row).collect()
}

/// The highest floor that stands in the graph.
pub(super) fn floor(graph: &mut dyn PropertyGraph) -> Result<Option<(i64, i64)>, GraphFault> {
    let mut highest = None;
    for node in find(graph, LABEL, "key", KEY)? {
        highest = highest.max(floor_of(&graph.properties(node)?));
    }
    Ok(highest)
}

/// Where a transaction stands among all, from a statement's parameters.
pub(super) fn position(params: &Params) -> Result<(i64, i64), GraphFault> {
    let number = |name: &str| param(params, name)?.as_int().ok_or_else(|| GraphFault::Parameter(name.to_owned()));
    Ok((number("incarnation")?, number("serial")?))
}

fn floor_of(properties: &Properties) -> Option<(i64, i64)> {
    let number = |name: &str| match properties.get(name) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    };
    Some((number("floor_incarnation")?, number("floor_serial")?))
}

/// Who has claimed the graph; no row if nobody has.
pub static READ_STORE: Statement = Statement {
    name: "read_store",
    cypher: "MATCH (s:Store {key: 'coordinator'}) \
             RETURN s.id AS id, s.incarnation AS incarnation, s.nonce AS nonce",
    columns: &["id", "incarnation", "nonce"],
    run: read_store,
};

fn read_store(graph: &mut dyn PropertyGraph, _: &Params) -> Result<Rows, GraphFault> {
    let nodes = find(graph, LABEL, "key", KEY)?;
    let row = |node| -> Result<Vec<Datum>, GraphFault> {
        let properties = graph.properties(node)?;
        Ok(["id", "incarnation", "nonce"].map(|name| cell(&properties, name)).into())
    };
    nodes.into_iter().map(row).collect()
}
