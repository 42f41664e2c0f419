//! What somebody does to a store behind the coordinator's back, and what is in both then.

use coordinator::commit::{Answer, Decision, Settled};
use coordinator::ledger;
use coordinator::reconcile::Summary;
use coordinator::service::Coordinator;
use coordinator::statements;
use graph::{Diff, Patch, Snapshot, TxId};
use stores::{GraphError, run_calls};

use crate::world::{World, key};

pub fn patch(json: &str) -> Patch {
    serde_json::from_str(json).unwrap()
}

pub async fn submit(coordinator: &Coordinator, name: &str, json: &str) -> TxId {
    match coordinator.submit(key(name), patch(json)).await.unwrap() {
        Answer::Settled(Settled { tx, decision: Decision::Committed }) => tx,
        answer => panic!("{name} was answered {answer:?}"),
    }
}

/// a and b, and a link between them.
pub async fn two_friends(coordinator: &Coordinator) {
    let create = r#"[{"create":{"id":"a","kind":"thing","properties":{"x":1}}},{"create":{"id":"b","kind":"thing"}}]"#;
    submit(coordinator, "create", create).await;
    let link = r#"[{"link":{"from":"a","kind":"knows","to":"b","properties":{"since":3}}}]"#;
    submit(coordinator, "link", link).await;
}

/// Changes the graph by hand.
pub fn in_graph(world: &World, json: &str) {
    let calls = statements::calls_for(&patch(json));
    world.graph.autocommit(|graph| run_calls(graph, &calls).map_err(Fault)).unwrap();
}

#[derive(Debug)]
struct Fault(#[expect(dead_code, reason = "shown when a test fails")] GraphError);

impl From<stores::GraphFault> for Fault {
    fn from(fault: stores::GraphFault) -> Fault {
        Fault(fault.into())
    }
}

/// Changes SQLite by hand.
pub fn in_sql(world: &World, script: &str) {
    world.shell().execute_batch(script).unwrap();
}

/// The entities and links of the graph.
pub fn graph(world: &World) -> Snapshot {
    let all = world.graph.snapshot();
    let nodes = all.nodes().iter().filter(|node| node.labels.contains(graph::ENTITY_LABEL)).cloned().collect();
    Snapshot::new(nodes, all.edges().to_vec())
}

/// What both stores have.
#[track_caller]
pub fn both(world: &World) -> Snapshot {
    let sql = ledger::snapshot(&world.shell()).unwrap();
    assert_eq!(Diff::between(&graph(world), &sql).to_string(), "", "the stores differ");
    sql
}

/// Versions and transactions of all rows.
pub fn versions(world: &World) -> Vec<(String, i64, String)> {
    let shell = world.shell();
    let mut rows = shell
        .prepare("SELECT id, version, tx FROM entity UNION SELECT source || kind || target, 0, tx FROM link ORDER BY 1")
        .unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The subjects of all findings.
pub fn subjects(summary: &Summary) -> Vec<&str> {
    summary.findings.iter().map(|finding| finding.subject.as_str()).collect()
}
