//! Markers: the decision about each transaction.

use graph::{Properties, Value};
use stores::{Datum, GraphFault, Params, PropertyGraph, Rows, Statement, TextRange};

use super::{cell, changed, find, limit, store, text};

pub(super) const LABEL: &str = "Tx";

/// The state of a marker whose transaction took effect.
pub const COMMITTED: &str = "committed";
/// The state of a marker whose transaction never will.
pub const ABORTED: &str = "aborted";

/// Decides for a transaction. Fails on the uniqueness of `Tx.id` when it was decided before, and
/// changes nothing, which its caller must not commit, when it is not above the floor below which
/// markers are removed; see [`collection`](crate::collection) for the order of the two.
pub static CREATE_MARKER: Statement = Statement {
    name: "create_marker",
    cypher: "CREATE (t:Tx {id: $id, state: 'committed'}) WITH t \
             OPTIONAL MATCH (s:Store {key: 'coordinator'}) WHERE s.floor_incarnation > $incarnation \
             OR (s.floor_incarnation = $incarnation AND s.floor_serial >= $serial) \
             RETURN count(t) - count(s) AS changed",
    columns: &["changed"],
    run: create_marker,
};

fn create_marker(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    graph.create(&[LABEL], marker(text(params, "id")?, COMMITTED))?;
    let position = store::position(params)?;
    let collected = store::floor(graph)?.is_some_and(|floor| floor >= position);
    Ok(changed(usize::from(!collected)))
}

/// Puts a marker back, of a transaction that was decided when the graph was backed up.
pub static RESTORE_MARKER: Statement = Statement {
    name: "restore_marker",
    cypher: "CREATE (t:Tx {id: $id, state: $state}) RETURN count(t) AS changed",
    columns: &["changed"],
    run: restore_marker,
};

fn restore_marker(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    graph.create(&[LABEL], marker(text(params, "id")?, text(params, "state")?))?;
    Ok(changed(1))
}

/// Removes a marker.
pub static DELETE_MARKER: Statement = Statement {
    name: "delete_marker",
    cypher: "MATCH (t:Tx {id: $id}) DELETE t RETURN count(*) AS changed",
    columns: &["changed"],
    run: delete_marker,
};

fn delete_marker(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let markers = find(graph, LABEL, "id", text(params, "id")?)?;
    for node in &markers {
        graph.delete(*node)?;
    }
    Ok(changed(markers.len()))
}

/// Decides against a transaction unless it was decided before; returns the decision.
pub static FENCE: Statement = Statement {
    name: "fence",
    cypher: "MERGE (t:Tx {id: $id}) ON CREATE SET t.state = 'aborted' RETURN t.state AS state",
    columns: &["state"],
    run: fence,
};

fn fence(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let id = text(params, "id")?;
    let mut markers = find(graph, LABEL, "id", id)?;
    if markers.is_empty() {
        markers.push(graph.create(&[LABEL], marker(id, ABORTED))?);
    }
    markers.into_iter().map(|node| Ok(vec![cell(&graph.properties(node)?, "state")])).collect()
}

/// Up to `limit` markers after the one named `after`, sorted by id.
pub static DUMP_MARKERS: Statement = Statement {
    name: "dump_markers",
    cypher: "MATCH (t:Tx) WHERE t.id > $after \
             RETURN t.id AS id, t.state AS state ORDER BY id, state LIMIT $limit",
    columns: &["id", "state"],
    run: dump_markers,
};

fn dump_markers(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    markers_in(graph, TextRange { after: text(params, "after")?, before: None }, limit(params)?)
}

/// A marker's state; no row where there is none. Says nothing about what may still come: for
/// that there is [`FENCE`].
pub static READ_MARKER: Statement = Statement {
    name: "read_marker",
    cypher: "MATCH (t:Tx {id: $id}) RETURN t.state AS state",
    columns: &["state"],
    run: read_marker,
};

fn read_marker(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let markers = find(graph, LABEL, "id", text(params, "id")?)?;
    markers.into_iter().map(|node| Ok(vec![cell(&graph.properties(node)?, "state")])).collect()
}

/// Up to `limit` markers whose ids are between `after` and `before`, both left out, sorted by
/// id.
///
/// Ids are text and so is their order: `tx-1-10` comes before `tx-1-2`. It is good for paging all
/// the same, and the ids of one incarnation stand together, see
/// [`markers_of`](super::markers_of). An index on `id` comes with its constraint; a number for
/// the incarnation would need one of its own to be better.
pub static MARKERS_BETWEEN: Statement = Statement {
    name: "markers_between",
    cypher: "MATCH (t:Tx) WHERE t.id > $after AND t.id < $before \
             RETURN t.id AS id, t.state AS state ORDER BY id, state LIMIT $limit",
    columns: &["id", "state"],
    run: markers_between,
};

fn markers_between(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let range = TextRange { after: text(params, "after")?, before: Some(text(params, "before")?) };
    markers_in(graph, range, limit(params)?)
}

fn markers_in(graph: &mut dyn PropertyGraph, range: TextRange<'_>, limit: usize) -> Result<Rows, GraphFault> {
    let markers = graph.range(LABEL, "id", range, limit)?;
    let row = |node| -> Result<Vec<Datum>, GraphFault> {
        let properties = graph.properties(node)?;
        Ok(vec![cell(&properties, "id"), cell(&properties, "state")])
    };
    markers.into_iter().map(row).collect()
}

fn marker(id: &str, state: &str) -> Properties {
    Properties::from([("id".to_owned(), Value::from(id)), ("state".to_owned(), Value::from(state))])
}
