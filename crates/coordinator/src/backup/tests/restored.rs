//! What a pair that was restored owes to the one that was backed up, which may still be there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use env::{Env, Production};
use graph::EntityId;
use stores::{GraphError, GraphStore};

use super::super::*;
use super::support::{Graph, LIMIT, commit, create, start};
use crate::collection;
use crate::commit::Answer;
use crate::service::Options;

/// A pair with three transactions, and its backup put into a new folder and a new graph.
struct Restored {
    root: tempfile::TempDir,
    graph: Graph,
    /// Of the pair that was backed up.
    old: Vec<TxId>,
}

impl Restored {
    async fn new() -> Restored {
        let root = tempfile::tempdir().unwrap();
        let (env, to) = (Env::new(Production), root.path().join("backup"));
        let coordinator = start(&root.path().join("old"), &Graph::default()).await;
        let mut old = Vec::new();
        for id in ["a", "b", "c"] {
            old.push(commit(&coordinator, id).await);
        }
        coordinator.backup(&to).await.unwrap();
        let graph = Graph::default();
        std::fs::create_dir(root.path().join("new")).unwrap();
        restore(&env, &to, &root.path().join("new"), &graph, LIMIT).await.unwrap();
        Restored { root, graph, old }
    }

    async fn start(&self, options: impl FnOnce(&mut Options)) -> Coordinator {
        let mut chosen = Options::new(self.root.path().join("new"));
        options(&mut chosen);
        Coordinator::start(Env::new(Production), chosen, Arc::new(self.graph.clone())).await.unwrap()
    }
}

#[tokio::test]
async fn a_late_decide_of_the_old_pair_does_not_land_in_the_restored_graph() {
    let restored = Restored::new().await;
    let last = *restored.old.last().unwrap();
    let after_the_backup = TxId { serial: last.serial + 1, ..last };
    let after_a_restart = TxId { incarnation: last.incarnation + 9, serial: 1 };
    for started in [false, true] {
        let coordinator = if started { Some(restored.start(|_| {}).await) } else { None };
        for late in [after_the_backup, after_a_restart] {
            let calls = statements::decide(late, &create("late"));
            let answer = restored.graph.execute(calls, LIMIT).await;
            assert!(matches!(answer, Err(GraphError::Unexpected { .. })), "{late}: {answer:?}");
        }
        if let Some(coordinator) = coordinator {
            let late: EntityId = "late".parse().unwrap();
            assert!(matches!(coordinator.read(late).await, Answer::Entity(None)));
            commit(&coordinator, "d").await;
        }
    }
}

/// The first may have acknowledged something under a name that the second must not give again.
#[tokio::test]
async fn one_backup_restored_twice_is_two_pairs() {
    let restored = Restored::new().await;
    let (env, root) = (Env::new(Production), restored.root.path());
    let first = commit(&restored.start(|_| {}).await, "d").await;
    // The clock may be coarse.
    std::thread::sleep(Duration::from_millis(5));
    std::fs::create_dir(root.join("again")).unwrap();
    let graph = Graph::default();
    restore(&env, &root.join("backup"), &root.join("again"), &graph, LIMIT).await.unwrap();
    let second = commit(&start(&root.join("again"), &graph).await, "d").await;
    assert!(second.incarnation > first.incarnation && first.incarnation > RESTORE_GAP, "{first} and {second}");
    let late = graph.execute(statements::decide(TxId { serial: 9, ..first }, &create("late")), LIMIT).await;
    assert!(matches!(late, Err(GraphError::Unexpected { .. })), "what the first sent is below its floor: {late:?}");
}

const COLLECTION: collection::Config = collection::Config { period: Millis(1_000), grace: Millis(100), batch: 8 };

/// The floor of the restored graph is above the markers of records that its log still has.
#[tokio::test(start_paused = true)]
async fn markers_of_records_that_are_not_forgotten_stay() {
    let restored = Restored::new().await;
    let coordinator = restored
        .start(|options| {
            options.collection = Some(COLLECTION);
            options.retention.keep = Millis(60_000);
            options.retention.period = Millis(1_000);
        })
        .await;
    commit(&coordinator, "d").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(restored.graph.markers().await.len(), 4);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(restored.graph.markers().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn collecting_does_not_try_the_incarnations_that_a_restore_leaves_out() {
    let restored = Restored::new().await;
    let coordinator = restored
        .start(|options| {
            options.collection = Some(COLLECTION);
            options.retention.keep = Millis(1_000);
            options.retention.period = Millis(1_000);
        })
        .await;
    commit(&coordinator, "d").await;
    let before = restored.graph.transactions.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(restored.graph.markers().await, Vec::<String>::new());
    let transactions = restored.graph.transactions.load(Ordering::Relaxed) - before;
    assert!(transactions < 100, "{transactions} transactions for four markers");
}
