//! Whatever comes in whatever order, and whatever happens meanwhile, the graph is what the log says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use env::{BoxFuture, Env, Production};
use projection::event::Event;
use projection::lanes::{OnUnknown, Scope};
use projection::log::LogId;
use projection::operations::AlertKind;
use projection::service::Projector;
use projection::statements::ADVANCE_MARKS;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stores::embedded::EmbeddedGraph;
use stores::{Call, GraphError, GraphStore, Rows, Uniqueness};
use tempfile::tempdir;
use web::server::Serving;

use crate::logs;
use crate::store::{EventStore, Mood};
use crate::support::{PATIENCE, Running, check, created, http_log, id, linked, open, options, unknown};

type Log = Vec<Arc<Event>>;

/// Random logs, the same in every run: with a permutation of each in which events are repeated.
fn samples(count: usize) -> Vec<(Log, Log)> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"squall projector over HTTP, seed");
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let log = logs::poisoned_log(80).prop_flat_map(|log| {
        let repeated: Vec<_> = log.iter().chain(log.iter().step_by(3)).cloned().collect();
        (Just(log), Just(repeated).prop_shuffle())
    });
    (0..count).map(|_| log.new_tree(&mut runner).expect("nothing is filtered out").current()).collect()
}

#[tokio::test]
async fn events_in_any_order_and_repeated_come_to_what_the_log_says() {
    for (_, displaced) in samples(6) {
        let (store, folder) = (EventStore::start().await, tempdir().unwrap());
        let projector = Running::start(open(folder.path()).await, &store).await;
        for some in displaced.chunks(5) {
            store.append(some.iter().cloned());
            tokio::task::yield_now().await;
        }
        projector.settle(&store).await;
        projector.check(&store).await;
    }
}

#[tokio::test]
async fn a_killed_projector_goes_on_where_the_graph_says() {
    for (log, _) in samples(6) {
        let (store, folder) = (EventStore::start().await, tempdir().unwrap());
        for (number, some) in log.chunks(9).enumerate() {
            let projector = Running::start(open(folder.path()).await, &store).await;
            store.append(some.iter().cloned());
            // Killed at another moment each time: at once, in the middle, or when all is done.
            match number % 3 {
                0 => projector.until(async |projector| projector.status().await.read > 0).await,
                1 => tokio::task::yield_now().await,
                _ => projector.settle(&store).await,
            }
            projector.kill().await;
        }
        let projector = Running::start(open(folder.path()).await, &store).await;
        projector.settle(&store).await;
        projector.check(&store).await;
    }
}

#[tokio::test]
async fn two_projectors_on_one_graph_do_no_harm() {
    for (log, _) in samples(4) {
        let (store, folder) = (EventStore::start().await, tempdir().unwrap());
        let graph = open(folder.path()).await;
        let projectors = [Running::start(graph.clone(), &store).await, Running::start(graph, &store).await];
        for some in log.chunks(3) {
            store.append(some.iter().cloned());
            tokio::task::yield_now().await;
        }
        for projector in &projectors {
            projector.settle(&store).await;
            projector.check(&store).await;
            let health = projector.projector.health().await;
            let metrics = projector.get("/metrics").await.body;
            let line = format!("projector_decisions_total{{decision=\"fenced\"}} {}", health.fenced);
            assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
        }
    }
}

/// A graph into which somebody else writes the same right before this projector does, once.
struct Rival {
    graph: EmbeddedGraph,
    was_there: AtomicBool,
}

impl GraphStore for Rival {
    fn execute(&self, calls: Vec<Call>, limit: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>> {
        Box::pin(async move {
            let writes = calls.iter().any(|call| call.statement.name == ADVANCE_MARKS.name);
            if writes && !self.was_there.swap(true, Ordering::Relaxed) {
                self.graph.execute(calls.clone(), limit).await?;
            }
            self.graph.execute(calls, limit).await
        })
    }

    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>> {
        self.graph.ensure_unique(constraints)
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        self.graph.warnings()
    }
}

#[tokio::test]
async fn a_projector_that_is_not_alone_says_so() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    store.append([created("p"), linked("p", 2, "q")]);
    let graph = open(folder.path()).await;
    let rival = Arc::new(Rival { graph: graph.clone(), was_there: AtomicBool::new(false) });
    let env = Env::new(Production);
    let log = Arc::new(http_log(env.clone(), &store));
    let projector = Projector::start(env, options(), rival, log).await.unwrap();
    let barrier = projector.when_applied(&id("p"), 2, Duration::from_secs(15)).await.unwrap();
    assert!(barrier.applied, "{barrier:?}");
    assert_eq!(projector.health().await.fenced, 1);
    check(&graph, &store).await;
}

#[tokio::test]
async fn everything_is_rebuilt_while_events_arrive() {
    for (log, _) in samples(4) {
        let (store, folder) = (EventStore::start().await, tempdir().unwrap());
        let projector = Running::start(open(folder.path()).await, &store).await;
        let (first, second) = log.split_at(log.len() / 2);
        store.append(first.iter().cloned());
        let client = projector.client();
        let rebuild = client.rebuild(&Scope::All);
        let arrive = async {
            for some in second.chunks(2) {
                store.append(some.iter().cloned());
                tokio::task::yield_now().await;
            }
        };
        let (ended, ()) = tokio::join!(rebuild, arrive);
        assert_eq!(ended.unwrap().failed, 0);
        projector.settle(&store).await;
        projector.check(&store).await;
        let again = client.reconcile(&Scope::All).await.unwrap();
        assert_eq!((again.differing, again.failed), (0, 0), "a reconciliation finds nothing to do");
    }
}

#[tokio::test]
async fn one_resource_is_rebuilt_and_its_neighbours_are_left_alone() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    store.append([created("p"), created("q"), linked("p", 2, "q")]);
    projector.settle(&store).await;
    let before = projector.client().resource(&id("q")).await.unwrap();
    let ended = projector.client().rebuild(&Scope::One(id("p"))).await.unwrap();
    assert_eq!((ended.resources, ended.failed), (1, 0));
    let after = projector.client().resource(&id("q")).await.unwrap();
    assert_eq!((before.annotations, before.freshness.generation), (after.annotations, after.freshness.generation));
    assert_eq!(projector.client().resource(&id("p")).await.unwrap().freshness.generation, 1);
    projector.check(&store).await;
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_parks_its_resource_and_no_other() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    store.append([created("p"), unknown("p", 2), linked("p", 3, "q"), created("q")]);
    projector.settle(&store).await;
    projector.check(&store).await;
    let parked = projector.client().parked("").await.unwrap().parked;
    let [parked] = parked.as_slice() else { panic!("one is parked: {parked:?}") };
    assert_eq!((parked.resource.as_str(), parked.poison.sequence), ("p", 2));
    let health = projector.client().status().await.unwrap();
    let firing: Vec<AlertKind> = health.alerts.iter().filter(|alert| alert.firing).map(|alert| alert.alert).collect();
    assert_eq!((health.status.parked, firing), (1, vec![AlertKind::Parked]));
    let view = projector.client().resource(&id("p")).await.unwrap();
    assert_eq!(view.parked.as_ref(), Some(&parked.poison));
    assert_eq!((view.freshness.indexed_up_to, view.freshness.complete), (1, Some(false)));
    // The next process tries once more what this one could not, and says the same.
    projector.kill().await;
    let projector = Running::start(open(folder.path()).await, &store).await;
    projector.until(async |projector| projector.status().await.parked == 1).await;
    projector.check(&store).await;
}

#[tokio::test]
async fn an_unknown_event_stops_a_projector_that_was_told_to() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let mut options = options();
    options.lanes.on_unknown = OnUnknown::Halt;
    let projector = Running::start_with(open(folder.path()).await, &store, options, Serving::default()).await;
    store.append([created("p"), unknown("p", 2)]);
    let reason = projector.projector.halted().await;
    assert!(reason.contains("p@2"), "{reason}");
    let health = projector.get("/healthz").await;
    assert_eq!(health.status, 503, "{health:?}");
    assert_eq!(projector.get("/status").await.json()["halted"], true);
    let refused = projector.client().rebuild(&Scope::All).await.unwrap_err().to_string();
    assert!(refused.contains("is stopping"), "{refused}");
}

#[tokio::test]
async fn a_log_that_is_down_shows_and_comes_back() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let mut options = options();
    options.alerts.lag_max.0 = 0;
    let projector = Running::start_with(open(folder.path()).await, &store, options, Serving::default()).await;
    store.append([created("p")]);
    projector.settle(&store).await;
    for (mood, word) in [(Mood::Down, "Down"), (Mood::Confused, "contradicts itself")] {
        store.set(mood);
        store.append([created(&format!("while-{word}").replace(' ', "-"))]);
        projector
            .until(async |projector| {
                let health = projector.health().await;
                let lagging = health.alerts.iter().any(|alert| alert.alert == AlertKind::Lagging && alert.firing);
                lagging && health.log.trouble.is_some_and(|trouble| trouble.contains(word))
            })
            .await;
        // The graph is still there, and what is read says how old it is.
        assert!(projector.client().resource(&id("p")).await.unwrap().freshness.delay.is_some());
        store.set(Mood::Willing);
        projector.settle(&store).await;
        projector.check(&store).await;
        projector.until(async |projector| projector.health().await.log.trouble.is_none()).await;
    }
}

#[tokio::test]
async fn a_log_that_was_restored_is_shown_instead_of_the_old_one() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    store.append([created("p"), linked("p", 2, "q"), created("q"), linked("p", 3, "r"), created("gone")]);
    projector.settle(&store).await;
    let health = projector.client().status().await.unwrap();
    assert_eq!((health.turned, health.log_id.map(|log| log.0)), (0, Some("first".to_owned())));
    store.replace("restored", [created("p"), linked("p", 2, "s"), created("s")]);
    projector.until(async |projector| projector.health().await.turned == 1).await;
    projector.settle(&store).await;
    projector.check(&store).await;
    let health = projector.client().status().await.unwrap();
    assert_eq!(health.log_id.map(|log| log.0), Some("restored".to_owned()));
    projector.until(async |projector| projector.health().await.lag.shown.is_some()).await;
    assert!(projector.client().resource(&id("p")).await.unwrap().freshness.complete.unwrap());
    // What is written there now is read, and the next process knows where it is.
    store.append([created("t")]);
    projector.settle(&store).await;
    projector.kill().await;
    let projector = Running::start(open(folder.path()).await, &store).await;
    store.append([linked("t", 2, "p")]);
    projector.settle(&store).await;
    projector.check(&store).await;
    assert_eq!(projector.projector.health().await.turned, 0);
}

/// What the graph says of a resource that is not rebuilt yet is no answer to who asks for an event.
#[tokio::test]
async fn a_mark_of_another_log_is_no_answer() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    store.append([created("p"), linked("p", 2, "q")]);
    projector.settle(&store).await;
    projector.kill().await;
    let graph = open(folder.path()).await;
    store.set(Mood::Down);
    let turn = projection::statements::turn(Some(&LogId("first".to_owned())), 0, &LogId("second".to_owned()));
    graph.execute(turn, PATIENCE).await.unwrap();
    let projector = Running::start(graph, &store).await;
    let barrier = projector.client().when_applied(&id("p"), 2, Duration::ZERO).await.unwrap();
    assert_eq!((barrier.applied, barrier.degraded, barrier.sequence), (false, true, Some(2)));
    let view = projector.client().resource(&id("p")).await.unwrap();
    assert!(view.freshness.rebuilding, "{view:?}");
    let health = projector.projector.health().await;
    assert!(health.alerts.iter().any(|alert| alert.alert == AlertKind::Turning && alert.firing), "{health:?}");
    store.replace("second", [created("p"), linked("p", 2, "r")]);
    store.set(Mood::Willing);
    projector.settle(&store).await;
    projector.check(&store).await;
    assert!(projector.client().when_applied(&id("p"), 2, Duration::ZERO).await.unwrap().applied);
}

#[tokio::test]
async fn damage_of_the_log_is_shown_and_nobody_waits_for_it() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    store.damage(2);
    store.append([created("p"), linked("p", 2, "q"), created("q"), linked("q", 2, "p")]);
    projector.settle(&store).await;
    let health = projector.client().status().await.unwrap();
    let firing: Vec<AlertKind> = health.alerts.iter().filter(|alert| alert.firing).map(|alert| alert.alert).collect();
    assert_eq!((health.status.parked, health.log.trouble, firing), (1, None, vec![AlertKind::Parked]));
    assert!(projector.get("/metrics").await.body.contains("\nprojector_decisions_total{decision=\"stream_damaged\"} "));
    assert_eq!(projector.client().resource(&id("q")).await.unwrap().freshness.indexed_up_to, 2);
    // A rebuild of all says what it left as it was, and so does the status.
    let ended = projector.client().rebuild(&Scope::All).await.unwrap();
    assert_eq!((ended.failed, ended.left_out[0].resource.as_str()), (1, "p"));
    let health = projector.client().status().await.unwrap();
    assert_eq!((health.status.left_out, health.left_out_resources), (1, ended.left_out));
    assert!(health.alerts.iter().any(|alert| alert.alert == AlertKind::LeftOut && alert.firing));
    store.repair();
    let ended = projector.client().rebuild(&Scope::All).await.unwrap();
    assert_eq!(ended.failed, 0);
    projector.settle(&store).await;
    projector.check(&store).await;
    // One of which nobody knows whose it is.
    store.send_raw(5, "{}");
    store.append([created("s"), created("t")]);
    projector.until(async |projector| projector.health().await.status.read == 6).await;
    let health = projector.client().status().await.unwrap();
    assert_eq!(health.unread_events.iter().map(|unread| unread.position).collect::<Vec<_>>(), [5]);
    assert!(health.alerts.iter().any(|alert| alert.alert == AlertKind::Unread && alert.firing));
}

#[tokio::test]
async fn a_reader_waits_for_its_event_or_is_told_that_it_has_to_do_without() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    let client = projector.client();
    let p = id("p");
    let (barrier, ()) = tokio::join!(client.when_applied(&p, 2, Duration::from_secs(15)), async {
        store.append([created("p"), linked("p", 2, "q")]);
    });
    let barrier = barrier.unwrap();
    assert!(barrier.applied && !barrier.degraded, "{barrier:?}");
    assert_eq!(client.resource(&id("p")).await.unwrap().annotations.len(), 1, "what is read then shows the event");
    for wait in [0, 20] {
        let barrier = client.when_applied(&id("p"), 3, Duration::from_millis(wait)).await.unwrap();
        assert_eq!((barrier.applied, barrier.degraded, barrier.sequence), (false, true, Some(2)), "{barrier:?}");
    }
    store.append([unknown("p", 3)]);
    let barrier = client.when_applied(&id("p"), 3, Duration::from_secs(15)).await.unwrap();
    assert_eq!(barrier.poison.map(|poison| poison.sequence), Some(3), "there is no use in waiting");
}
