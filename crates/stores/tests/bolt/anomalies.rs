//! What a graph database does not protect from, on the simulated one and on a real one.
//!
//! The graph in memory must let happen whatever a real server lets happen, or simulations
//! would hide it. So each anomaly is provoked step by step on both: it has to be possible on
//! the simulated graph; the real one, if `SQUALL_BOLT_URL` names one, may only refuse where
//! it differs.

use crate::world::{Raw, World};
use bolt_proto::Value as Bolt;
use env::{Env, Production};
use graph::Value;
use stores::{Datum, GraphFault, NodeHandle, Params, Rows, Statement};
use testbed::Server;

const DEADLOCK: &str = "Neo.TransientError.Transaction.DeadlockDetected";

const LABEL: &str = "SquallAnomaly";
const TIMEOUT_MS: i64 = 30_000;

static CREATE: Statement = Statement {
    name: "create",
    cypher: "CREATE (n:SquallAnomaly {value: $value})",
    columns: &[],
    run: |graph, params| {
        graph.create(&[LABEL], [("value".to_owned(), value(params))].into())?;
        Ok(Rows::new())
    },
};

static MERGE: Statement = Statement {
    name: "merge",
    cypher: "MERGE (n:SquallAnomaly {value: $value})",
    columns: &[],
    run: |graph, params| {
        if graph.find(LABEL, "value", &value(params))?.is_empty() {
            graph.create(&[LABEL], [("value".to_owned(), value(params))].into())?;
        }
        Ok(Rows::new())
    },
};

static SET: Statement = Statement {
    name: "set",
    cypher: "MATCH (n:SquallAnomaly) SET n.value = $value",
    columns: &[],
    run: |graph, params| {
        for node in graph.scan(LABEL)? {
            graph.set_properties(node, [("value".to_owned(), value(params))].into())?;
        }
        Ok(Rows::new())
    },
};

static VALUES: Statement = Statement {
    name: "values",
    cypher: "MATCH (n:SquallAnomaly) WHERE n.value <> $value RETURN n.value AS value",
    columns: &["value"],
    run: |graph, _| {
        let nodes: Vec<NodeHandle> = graph.scan(LABEL)?;
        let value = |node| Ok::<_, GraphFault>(vec![Datum::from(graph.properties(node)?["value"].clone())]);
        nodes.into_iter().map(value).collect()
    },
};

static STATEMENTS: &[&Statement] = &[&CREATE, &MERGE, &SET, &VALUES];

fn value(params: &Params) -> Value {
    params["value"].to_value().unwrap()
}

/// No node has it, so that what is compared with it is everything.
const NONE: i64 = -1;

/// Two connections to one graph, without anything of these tests in it.
struct Pair {
    name: &'static str,
    first: Raw,
    second: Raw,
    server: Option<Server>,
}

impl Pair {
    async fn simulated() -> Pair {
        let world = World::serving(STATEMENTS);
        Pair { name: "simulated", first: world.raw().await, second: world.raw().await, server: None }
    }

    async fn real() -> Option<Pair> {
        let server = Server::from_environment("the anomalies").await?;
        let (env, url) = (Env::new(Production), &server.url);
        server.make_ready(&server.open(&env)).await;
        let user = url.user.clone().unwrap_or_default();
        let mut raws = Vec::new();
        for _ in 0..2 {
            let stream = env.connect(&format!("{}:{}", url.host, url.port)).await.unwrap();
            raws.push(Raw::new(stream, url.database.clone(), &user, &server.password).await);
        }
        let (second, first) = (raws.pop()?, raws.pop()?);
        Some(Pair { name: "real", first, second, server: Some(server) })
    }

    /// For whatever test comes next.
    async fn leave_empty(&self) {
        if let Some(server) = &self.server {
            server.leave_empty(&server.open(&Env::new(Production))).await;
        }
    }

    async fn values(&mut self) -> Vec<i64> {
        let rows = self.first.transaction(&VALUES, "value", NONE).await.unwrap();
        let int = |row: Vec<Bolt>| i64::try_from(row[0].clone()).unwrap();
        rows.into_iter().map(int).collect()
    }
}

/// Both add one to what they read before either wrote; returns what is there in the end.
async fn add_one_twice(pair: &mut Pair) -> (Result<(), String>, i64) {
    pair.first.transaction(&CREATE, "value", 0).await.unwrap();
    pair.first.begin(TIMEOUT_MS).await;
    pair.second.begin(TIMEOUT_MS).await;
    for raw in [&mut pair.first, &mut pair.second] {
        assert_eq!(raw.run(&VALUES, "value", NONE).await.unwrap(), [[Bolt::Integer(0)]]);
    }
    pair.first.run(&SET, "value", 1).await.unwrap();
    pair.first.commit().await.unwrap();
    let second = match pair.second.run(&SET, "value", 1).await {
        Ok(_) => pair.second.commit().await,
        Err(code) => Err(code),
    };
    (second, pair.values().await[0])
}

#[tokio::test]
async fn an_update_can_be_lost() {
    assert_eq!(add_one_twice(&mut Pair::simulated().await).await, (Ok(()), 1));
    let Some(mut real) = Pair::real().await else { return };
    let (second, left) = add_one_twice(&mut real).await;
    eprintln!("{}: the second update: {second:?}", real.name);
    assert!(second == Ok(()) || second == Err(DEADLOCK.to_owned()), "{second:?}");
    assert_eq!(left, 1);
    real.leave_empty().await;
}

/// Both merge one node before either committed; returns how the second commit went.
async fn merge_twice(pair: &mut Pair) -> Result<(), String> {
    for raw in [&mut pair.first, &mut pair.second] {
        raw.begin(TIMEOUT_MS).await;
        raw.run(&MERGE, "value", 7).await.unwrap();
    }
    pair.first.commit().await.unwrap();
    pair.second.commit().await
}

#[tokio::test]
async fn a_merge_without_a_constraint_can_create_two() {
    let mut simulated = Pair::simulated().await;
    assert_eq!(merge_twice(&mut simulated).await, Ok(()));
    assert_eq!(simulated.values().await, [7, 7]);

    let Some(mut real) = Pair::real().await else { return };
    let second = merge_twice(&mut real).await;
    let values = real.values().await;
    eprintln!("{}: the second merge: {second:?}, nodes: {}", real.name, values.len());
    assert_eq!(values.len(), if second.is_ok() { 2 } else { 1 });
    real.leave_empty().await;
}
