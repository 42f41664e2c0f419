//! Which ledger the graph belongs to.

use graph::{Properties, Value};
use stores::{GraphFault, Params, PropertyGraph, Rows, Statement};

use super::{cell, find, text};

pub(super) const LABEL: &str = "Store";

/// There is one such node, and this is its `key`.
const KEY: &str = "coordinator";

/// Gives the graph an id unless it has one; returns the one it has then.
pub static CLAIM_STORE: Statement = Statement {
    name: "claim_store",
    cypher: "MERGE (s:Store {key: 'coordinator'}) ON CREATE SET s.id = $id RETURN s.id AS id",
    columns: &["id"],
    run: claim_store,
};

fn claim_store(graph: &mut dyn PropertyGraph, params: &Params) -> Result<Rows, GraphFault> {
    let id = text(params, "id")?;
    if find(graph, LABEL, "key", KEY)?.is_empty() {
        let properties = [("key".to_owned(), Value::from(KEY)), ("id".to_owned(), Value::from(id))];
        graph.create(&[LABEL], Properties::from(properties))?;
    }
    read_store(graph, params)
}

/// The graph's id; no row if it has none.
pub static READ_STORE: Statement = Statement {
    name: "read_store",
    cypher: "MATCH (s:Store {key: 'coordinator'}) RETURN s.id AS id",
    columns: &["id"],
    run: read_store,
};

fn read_store(graph: &mut dyn PropertyGraph, _: &Params) -> Result<Rows, GraphFault> {
    let nodes = find(graph, LABEL, "key", KEY)?;
    nodes.into_iter().map(|node| Ok(vec![cell(&graph.properties(node)?, "id")])).collect()
}
