//! The embedded graph, and what it shares with the memory graph as a `GraphStore`.

use std::time::Duration;

use env::{Env, Production};
use stores::embedded::EmbeddedGraph;
use stores::memory::MemoryGraph;
use stores::sqlite::Check;
use stores::{Datum, Expect, GraphError, GraphStore, Statement, Uniqueness};
use tempfile::TempDir;

use crate::statements::{CREATE, INCREMENT, LIMIT, MERGE, READ, call};

const BY_ID: Uniqueness = Uniqueness { label: "Counter", property: "id" };

async fn open(folder: &TempDir) -> EmbeddedGraph {
    EmbeddedGraph::open(&Env::new(Production), &folder.path().join("graph"), Check::Full).await.unwrap()
}

/// Both stores, each empty.
async fn both() -> (TempDir, [Box<dyn GraphStore>; 2]) {
    let folder = TempDir::new().unwrap();
    let embedded = open(&folder).await;
    (folder, [Box::new(embedded), Box::new(MemoryGraph::new())])
}

async fn values(store: &dyn GraphStore, id: &str) -> Vec<i64> {
    let rows = store.execute(vec![call(&READ, id, Expect::Anything)], LIMIT).await.unwrap();
    rows[0].iter().map(|row| row[0].as_int().unwrap()).collect()
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let (_folder, stores) = both().await;
    for store in stores {
        let one = Expect::Changed(1);
        let calls = vec![call(&CREATE, "a", one), call(&INCREMENT, "a", one), call(&READ, "a", Expect::Anything)];
        let rows = store.execute(calls, LIMIT).await.unwrap();
        assert_eq!(rows[2], [[Datum::Int(1)]], "a statement sees the ones before it");

        let calls = vec![call(&INCREMENT, "a", one), call(&INCREMENT, "missing", one)];
        let refused = store.execute(calls, LIMIT).await;
        assert_eq!(
            refused,
            Err(GraphError::Unexpected { statement: "increment", expected: 1, actual: "[[0]]".to_owned() })
        );
        assert_eq!(values(&*store, "a").await, [1], "compared before the commit");

        let mut unnamed = call(&INCREMENT, "a", one);
        unnamed.params.clear();
        let refused = store.execute(vec![call(&INCREMENT, "a", one), unnamed], LIMIT).await;
        assert!(matches!(refused, Err(GraphError::Refused { retryable: false, .. })), "{refused:?}");
        assert_eq!(values(&*store, "a").await, [1]);
    }
}

#[tokio::test]
async fn a_constraint_is_told_from_a_refusal() {
    let (_folder, stores) = both().await;
    for store in stores {
        store.execute(vec![call(&CREATE, "a", Expect::Anything)], LIMIT).await.unwrap();
        store.ensure_unique(&[BY_ID]).await.unwrap();
        store.ensure_unique(&[BY_ID]).await.unwrap();
        let twice = store.execute(vec![call(&CREATE, "a", Expect::Anything)], LIMIT).await;
        assert!(matches!(twice, Err(GraphError::Constraint { .. })), "{twice:?}");
        let within = store
            .execute(vec![call(&CREATE, "b", Expect::Anything), call(&CREATE, "b", Expect::Anything)], LIMIT)
            .await;
        assert!(matches!(within, Err(GraphError::Constraint { .. })), "{within:?}");
        assert_eq!(values(&*store, "b").await, Vec::<i64>::new());
        store.execute(vec![call(&CREATE, "b", Expect::Anything)], LIMIT).await.unwrap();
    }
}

#[tokio::test]
async fn a_constraint_is_not_created_over_duplicates() {
    let (_folder, stores) = both().await;
    for store in stores {
        for _ in 0..2 {
            store.execute(vec![call(&CREATE, "a", Expect::Anything)], LIMIT).await.unwrap();
        }
        let refused = store.ensure_unique(&[BY_ID]).await;
        assert!(matches!(refused, Err(GraphError::Refused { retryable: false, .. })), "{refused:?}");
        store.execute(vec![call(&CREATE, "a", Expect::Anything)], LIMIT).await.unwrap();
        assert_eq!(values(&*store, "a").await.len(), 3, "half a constraint would have refused the third");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    store.ensure_unique(&[BY_ID]).await.unwrap();
    store.execute(vec![call(&CREATE, "a", Expect::Anything)], LIMIT).await.unwrap();
    let (before, closed) = (store.snapshot().await.unwrap(), store.closed());
    drop(store);
    closed.await;

    let store = open(&folder).await;
    assert_eq!(store.snapshot().await.unwrap(), before);
    let twice = store.execute(vec![call(&CREATE, "a", Expect::Anything)], LIMIT).await;
    assert!(matches!(twice, Err(GraphError::Constraint { .. })), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_transactions_are_serializable() {
    let folder = TempDir::new().unwrap();
    let env = Env::new(Production);
    let store = open(&folder).await;
    let (done, mut all_done) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..8 {
        let (store, done) = (store.clone(), done.clone());
        env.spawn(async move {
            for _ in 0..10 {
                // No constraint: still one node, for nobody comes between the two halves of a merge.
                let calls = vec![call(&MERGE, "a", Expect::Changed(1)), call(&INCREMENT, "a", Expect::Changed(1))];
                store.execute(calls, LIMIT).await.unwrap();
            }
            done.send(()).unwrap();
        });
    }
    for _ in 0..8 {
        all_done.recv().await.unwrap();
    }
    assert_eq!(values(&store, "a").await, [80]);
}

/// Held by the test for as long as the server is to be slow.
static GATE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

static SLOW_CREATE: Statement = Statement {
    name: "slow_create",
    cypher: CREATE.cypher,
    columns: CREATE.columns,
    run: |graph, params| {
        drop(GATE.blocking_lock());
        (CREATE.run)(graph, params)
    },
};

#[tokio::test]
async fn a_time_out_is_an_unknown_outcome() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    let gate = GATE.lock().await;
    let late = store.execute(vec![call(&SLOW_CREATE, "a", Expect::Anything)], Duration::from_millis(1)).await;
    assert!(matches!(late, Err(GraphError::Unknown { .. })), "{late:?}");
    drop(gate);
    // Transactions run in order: by the time of this answer the late one was committed.
    assert_eq!(values(&store, "a").await, [0]);
}
