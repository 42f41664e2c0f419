//! The program itself, against a real graph, killed while it works.
//!
//! Clients submit transactions over HTTP to the real binary, and it is killed with SIGKILL
//! again and again, each time after a number of acknowledged transactions, and started again
//! on the same data folder. When all clients are done and the process has ended, both stores
//! are read from outside and compared with each other, with the log, and with what the
//! clients were told. Nothing in here waits for a clock to decide what is right.
//!
//! It runs on the embedded graph, that is on two SQLite files, and on the server that
//! `SQUALL_BOLT_URL` names, if there is one: see `docs/real-graph.md`.
//!
//! What simulation does with the same program in its thousands of seeds is done here once
//! with everything real: sockets, processes, file system and graph database.

#[path = "smoke/clients.rs"]
mod clients;
#[path = "smoke/evidence.rs"]
mod evidence;
#[path = "smoke/process.rs"]
mod process;

use std::collections::BTreeMap;

use clients::{CLIENTS, Link, STEPS, Told};
use coordinator::commit::Decision;
use coordinator::statements;
use env::{Env, Production};
use evidence::{Evidence, disagreements};
use futures_util::future::{join, join_all};
use graph::{EntityId, Node, Operation, Patch, TxId, Value};
use process::Server;
use testbed::{Server as GraphServer, Target, say};
use tokio::time::Instant;

/// How often the process is killed.
const KILLS: u64 = 7;

/// How many transactions are acknowledged from one kill to the next.
const ACKNOWLEDGED_BETWEEN_KILLS: u64 = 32;

// The last kill falls while clients are still at work.
const _: () = assert!(KILLS * ACKNOWLEDGED_BETWEEN_KILLS < CLIENTS * STEPS);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_survives_sigkill_on_the_embedded_graph() {
    smoke(Target::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_survives_sigkill_on_a_real_server() {
    if let Some(server) = GraphServer::from_environment("the smoke test").await {
        smoke(Target::Server(server)).await;
    }
}

async fn smoke(target: Target) {
    let started = Instant::now();
    let mut folder = tempfile::tempdir().expect("a folder for the test");
    folder.disable_cleanup(true);
    eprintln!("{} is kept if this fails: the data folder and the log of each process", folder.path().display());
    let data = folder.path().join("data");
    let env = Env::new(Production);
    target.make_ready(&env).await;

    let mut server = Server::new(env.clone(), &data, &target);
    server.start().await;
    let link = Link::new(env.clone(), server.address());
    let setup = clients::set_up(&link).await;
    let (series, doubts) = join(
        join_all((0..CLIENTS).map(|client| clients::run(&link, client))),
        kill_again_and_again(&mut server, &link),
    )
    .await;
    let told: Vec<Told> = std::iter::once(setup).chain(series.into_iter().flatten()).collect();

    // Through the API, by the last process.
    for told in &told {
        let again = link.settle(told.key.clone(), told.patch.clone()).await;
        assert_eq!(again.settled, told.settled, "{} asked for again", told.key);
    }
    let expected = clients::expected(&told);
    for node in expected.nodes() {
        let id = EntityId::new(node.id.clone()).expect("the workload's ids are ids");
        let view = link.read(&id).await.unwrap_or_else(|| panic!("{id} is committed, and a strong read finds nothing"));
        assert_eq!(Node::entity(&view.id, &view.kind, &view.properties), *node, "a strong read of {id}");
    }
    server.stop().await;

    // From outside, past the process.
    let store = target.open(&env, &data).await;
    let evidence = Evidence::read(&data, store.as_ref()).await;
    assert_eq!(disagreements(&evidence, &told), Vec::<String>::new(), "on {}", target.name());
    let early: Vec<&Told> = told.iter().filter(|told| doubts.contains(&(told.by, told.settled.tx))).collect();
    assert!(early.is_empty(), "acknowledged by a process that left them without an outcome: {early:#?}");
    let outcomes = outcomes_of(&doubts, &evidence);
    assert!(!doubts.is_empty(), "no kill left a transaction in doubt: the test has tested nothing");

    // The comparison can fail: somebody changes one property behind the coordinator's back.
    let victim = EntityId::new("client/0").expect("an id");
    let set = [("n".to_owned(), Value::from(-1))].into();
    let corruption = Patch { operations: vec![Operation::Update { id: victim, set }] };
    store.execute(statements::calls_for(&corruption), testbed::LIMIT).await.expect("the graph takes any change");
    let corrupted = Evidence::read(&data, store.as_ref()).await;
    let last = STEPS - 1;
    assert_eq!(
        disagreements(&corrupted, &told),
        [format!("from the ledger to the graph: ~ node client/0 n: {last} -> -1")],
        "on {}",
        target.name()
    );

    target.leave_empty(&env).await;
    folder.disable_cleanup(false);
    say(&format!(
        "smoke on {}: {} transactions of {CLIENTS} clients ({}), {KILLS} kills left {} in doubt, of which {}; {}; {} ms",
        target.name(),
        told.len(),
        count(told.iter().map(|told| state(&told.settled.decision))),
        doubts.len(),
        count(outcomes.iter().map(String::as_str)),
        link.troubles(),
        started.elapsed().as_millis()
    ));
}

/// Kills the process after every so many acknowledged transactions and starts it again.
/// Returns the transactions that had an intent and no outcome at a kill, and whose kill.
async fn kill_again_and_again(server: &mut Server, link: &Link) -> Vec<(u32, TxId)> {
    let mut doubts = Vec::new();
    let mut acknowledged = link.acknowledged();
    for kill in 1..=KILLS {
        acknowledged.wait_for(|count| *count >= kill * ACKNOWLEDGED_BETWEEN_KILLS).await.expect("clients are at work");
        let killed = server.kill();
        doubts.extend(evidence::in_doubt(server.data()).into_iter().map(|tx| (killed, tx)));
        server.start().await;
    }
    doubts
}

fn outcomes_of(doubts: &[(u32, TxId)], evidence: &Evidence) -> Vec<String> {
    let log = evidence.log.iter();
    log.filter(|entry| doubts.iter().any(|(_, tx)| *tx == entry.tx)).map(|entry| entry.state.clone()).collect()
}

fn state(decision: &Decision) -> &'static str {
    match decision {
        Decision::Committed => "committed",
        Decision::Aborted { .. } => "aborted",
    }
}

/// `12 committed, 3 aborted`.
fn count<'a>(states: impl Iterator<Item = &'a str>) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    counts.iter().rev().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}
