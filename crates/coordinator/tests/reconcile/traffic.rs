//! Passes while everything goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coordinator::commit::{Answer, Decision, Settled};
use coordinator::reconcile::{Order, Policy, Repaired};
use coordinator::service::{Coordinator, Options};
use env::{BoxFuture, Env};
use futures_util::future::{join, join_all};
use graph::Millis;
use stores::memory::MemoryGraph;
use stores::{Call, GraphError, GraphStore, Rows, Uniqueness};

use crate::stores_by_hand::{both, in_graph, patch, submit, two_friends};
use crate::world::{World, key};

/// A client that creates, changes, links and deletes, on entities that it shares with others;
/// returns how many of its transactions committed.
async fn client(coordinator: &Coordinator, number: u32) -> u32 {
    let mut committed = 0;
    for step in 0..30 {
        let (one, other) = ((number + step) % 7, (number * step + 1) % 7);
        let json = match step % 5 {
            0 => format!(r#"[{{"create":{{"id":"e{one}","kind":"thing","properties":{{"n":{step}}}}}}}]"#),
            1 | 2 => format!(r#"[{{"update":{{"id":"e{one}","set":{{"n":{step}}}}}}}]"#),
            3 => format!(r#"[{{"link":{{"from":"e{one}","kind":"k","to":"e{other}"}}}}]"#),
            _ => format!(r#"[{{"delete":{{"id":"e{one}"}}}}]"#),
        };
        let answer = coordinator.submit(key(&format!("{number}-{step}")), patch(&json)).await.unwrap();
        committed += u32::from(matches!(answer, Answer::Settled(Settled { decision: Decision::Committed, .. })));
        tokio::task::yield_now().await;
    }
    committed
}

#[tokio::test(start_paused = true)]
async fn a_running_transaction_is_never_found_and_nothing_is_ever_repaired() {
    let world = World::new(400);
    let mut options = Options::new("/data");
    options.reconcile.page = 2;
    let coordinator = world.start_with(options).await.unwrap();
    let clients = join_all((0..6).map(|number| client(&coordinator, number)));
    let mut suspects = 0;
    let passes = async {
        for policy in [Policy::Log, Policy::Graph, Policy::Sql, Policy::Log, Policy::Graph, Policy::Sql] {
            let validated = coordinator.validate().await;
            assert!(validated.is_clean(), "{validated:#?}");
            let reconciled = coordinator.reconcile(policy).await;
            assert!(reconciled.is_clean() && reconciled.repaired == 0, "{reconciled:#?}");
            suspects += validated.suspects + reconciled.suspects;
        }
    };
    let (committed, ()) = join(clients, passes).await;
    assert!(committed.iter().sum::<u32>() > 40, "{committed:?}");
    assert!(suspects > 0, "the scans saw nothing in motion: the test has tested nothing");
    both(&world);
    world.kill(coordinator);
}

#[tokio::test(start_paused = true)]
async fn repairs_and_traffic_on_the_same_entities_do_not_take_back_from_each_other() {
    let world = World::new(401);
    let coordinator = world.start().await.unwrap();
    two_friends(&coordinator).await;
    in_graph(&world, r#"[{"update":{"id":"a","set":{"x":7}}}]"#);
    let writers = join_all((0..10).map(|number| {
        let coordinator = &coordinator;
        async move {
            let json = format!(r#"[{{"update":{{"id":"a","set":{{"w{number}":{number}}}}}}}]"#);
            submit(coordinator, &format!("w{number}"), &json).await
        }
    }));
    let (_, repaired) = join(writers, coordinator.reconcile(Policy::Log)).await;
    assert_eq!((repaired.is_clean(), repaired.repaired), (true, 1), "{repaired:#?}");
    let both = both(&world);
    let a = &both.nodes()[0];
    assert_eq!(
        (a.properties.len(), a.properties["x"].as_int()),
        (12, Some(1)),
        "every write, and what was committed: {a:?}"
    );
    world.kill(coordinator);
}

#[tokio::test(start_paused = true)]
async fn reconcilers_of_opposite_policies_do_not_fight() {
    let world = World::new(402);
    let coordinator = world.start().await.unwrap();
    two_friends(&coordinator).await;
    in_graph(&world, r#"[{"update":{"id":"a","set":{"x":7}}}]"#);
    let a = graph::Subject::Entity("a".parse().unwrap());
    let orders = [Policy::Graph, Policy::Sql, Policy::Log, Policy::Sql].map(Order::Policy);
    let repaired = join_all(orders.map(|order| coordinator.repair(a.clone(), order))).await;
    assert!(matches!(repaired[0], Repaired::Committed(_)), "{repaired:?}");
    assert_eq!(repaired[1..], [Repaired::Agreed, Repaired::Agreed, Repaired::Agreed]);
    assert_eq!(both(&world).nodes()[0].properties["x"].as_int(), Some(7), "the first one decided");
    world.kill(coordinator);
}

#[tokio::test(start_paused = true)]
async fn validations_come_by_themselves() {
    let world = World::new(403);
    let mut options = Options::new("/data");
    options.reconcile.period = Some(Millis(60_000));
    let coordinator = world.start_with(options).await.unwrap();
    two_friends(&coordinator).await;
    assert_eq!(coordinator.last_summary(), None);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(coordinator.last_summary().unwrap().is_clean());
    in_graph(&world, r#"[{"update":{"id":"a","set":{"x":7}}}]"#);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(coordinator.last_summary().unwrap().differences, 1);
    world.kill(coordinator);
}

/// A graph whose connections break, so many times in a row.
struct Flaky {
    graph: MemoryGraph,
    breaks: Arc<AtomicU64>,
}

impl GraphStore for Flaky {
    fn execute(&self, calls: Vec<Call>, limit: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>> {
        let fewer = |left: u64| left.checked_sub(1);
        if self.breaks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
            return Box::pin(async { Err(GraphError::Unknown { why: "the connection broke".to_owned() }) });
        }
        self.graph.execute(calls, limit)
    }

    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>> {
        self.graph.ensure_unique(constraints)
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        self.graph.warnings()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_outlives_a_broken_connection_and_not_a_graph_that_is_gone() {
    let world = World::new(410);
    let breaks = Arc::<AtomicU64>::default();
    let graph = Arc::new(Flaky { graph: world.graph.clone(), breaks: breaks.clone() });
    let coordinator = Coordinator::start(Env::new(world.clone()), Options::new("/data"), graph).await.unwrap();
    two_friends(&coordinator).await;
    for (in_a_row, complete) in [(1, true), (4, true), (5, false)] {
        breaks.store(in_a_row, Ordering::Relaxed);
        let summary = coordinator.validate().await;
        assert_eq!((summary.complete, summary.is_clean()), (complete, complete), "{in_a_row}: {summary:#?}");
        assert_eq!(breaks.load(Ordering::Relaxed), 0);
    }
    world.kill(coordinator);
}
