//! A few named statements, as a protocol crate would have them.

use std::time::Duration;

use graph::{Properties, Value};
use stores::{Call, Datum, Expect, GraphFault, Params, PropertyGraph, Rows, Statement};

/// Longer than any test should take; none waits for it.
pub const LIMIT: Duration = Duration::from_secs(60);

fn id(params: &Params) -> Result<Value, GraphFault> {
    params.get("id").and_then(Datum::to_value).ok_or_else(|| GraphFault::Parameter("id".to_owned()))
}

fn with_id(id: Value, more: &[(&str, Value)]) -> Properties {
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    std::iter::once(("id".to_owned(), id)).chain(more).collect()
}

pub static CREATE: Statement = Statement {
    name: "create",
    cypher: "CREATE (n:Counter {id: $id, value: 0}) RETURN 1 AS changed",
    columns: &["changed"],
    run: |graph, params| {
        graph.create(&["Counter"], with_id(id(params)?, &[("value", Value::Int(0))]))?;
        Ok(vec![vec![Datum::Int(1)]])
    },
};

pub static MERGE: Statement = Statement {
    name: "merge",
    cypher: "MERGE (n:Counter {id: $id}) ON CREATE SET n.value = 0 RETURN count(n) AS changed",
    columns: &["changed"],
    run: |graph, params| {
        let found = graph.find("Counter", "id", &id(params)?)?;
        if found.is_empty() {
            graph.create(&["Counter"], with_id(id(params)?, &[("value", Value::Int(0))]))?;
        }
        Ok(vec![vec![Datum::from(i64::try_from(found.len().max(1)).expect("few nodes"))]])
    },
};

pub static READ: Statement = Statement {
    name: "read",
    cypher: "MATCH (n:Counter {id: $id}) RETURN n.value AS value",
    columns: &["value"],
    run: |graph, params| {
        let found = graph.find("Counter", "id", &id(params)?)?;
        found.into_iter().map(|node| Ok(vec![graph.properties(node)?["value"].clone().into()])).collect()
    },
};

pub static WRITE: Statement = Statement {
    name: "write",
    cypher: "MATCH (n:Counter {id: $id}) SET n.value = $value RETURN count(n) AS changed",
    columns: &["changed"],
    run: |graph, params| {
        let value = params["value"].to_value().expect("a value");
        set(graph, params, |_| value.clone())
    },
};

pub static INCREMENT: Statement = Statement {
    name: "increment",
    cypher: "MATCH (n:Counter {id: $id}) SET n.value = n.value + 1 RETURN count(n) AS changed",
    columns: &["changed"],
    run: |graph, params| set(graph, params, |value| Value::Int(value.as_int().expect("a number") + 1)),
};

fn set(graph: &mut dyn PropertyGraph, params: &Params, change: impl Fn(&Value) -> Value) -> Result<Rows, GraphFault> {
    let found = graph.find("Counter", "id", &id(params)?)?;
    for node in &found {
        let mut properties = graph.properties(*node)?;
        let value = change(&properties["value"]);
        properties.insert("value".to_owned(), value);
        graph.set_properties(*node, properties)?;
    }
    Ok(vec![vec![Datum::from(i64::try_from(found.len()).expect("few nodes"))]])
}

pub fn params(id: &str) -> Params {
    Params::from([("id".to_owned(), Datum::from(id))])
}

pub fn call(statement: &'static Statement, id: &str, expect: Expect) -> Call {
    Call { statement, params: params(id), expect }
}
