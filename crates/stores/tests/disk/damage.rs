//! Files that are not what was written to them.

use std::path::Path;
use std::time::Duration;

use disk::{Disk, IoFault, OpKind, Verdict};
use futures_util::FutureExt;
use stores::batch::Batcher;
use stores::embedded::EmbeddedGraph;
use stores::sqlite::{Check, SqlFailure};
use stores::{Call, Datum, Expect, GraphStore, Params, Statement};

use crate::world::{PATH, SCHEMA, add, env, items, open};

/// The size of a page, SQLite's default.
const PAGE: u64 = 4_096;

/// A store whose file has everything, and whose log is empty.
async fn filled(disk: &Disk) {
    let store = open(disk).await.unwrap();
    for id in 1..50 {
        add(&store, id, 1_000).await.unwrap();
    }
    let closed = store.closed();
    drop(store);
    closed.await;
}

/// Turns the kind of every page but the first into one that there is not.
fn damage_pages(disk: &Disk, path: &str) {
    let (_, len) = disk.files().into_iter().find(|(name, _)| name == path).unwrap();
    for page in 1..len / PAGE {
        disk.corrupt(path, page * PAGE, 1).unwrap();
    }
}

#[tokio::test]
async fn damage_found_at_the_start_is_called_so() {
    let disk = Disk::new(6);
    filled(&disk).await;
    damage_pages(&disk, PATH);
    let error = open(&disk).await.err().expect("the check finds it");
    assert!(error.is_damage() && !error.is_passing(), "{error}");

    disk.truncate_file(PATH, 2 * PAGE).unwrap();
    let error = open(&disk).await.err().expect("the file is too short for what it says");
    assert!(error.is_damage(), "{error}");
    for bit in 0..8 {
        let _ = disk.corrupt(PATH, 0, bit);
    }
    let error = open(&disk).await.err().expect("that is no header");
    assert!(error.is_damage(), "{error}");
}

/// A read that comes up short is damage to SQLite, and is over the next time.
#[tokio::test(start_paused = true)]
async fn what_looks_damaged_only_for_a_while_is_opened() {
    let disk = Disk::new(8);
    let env = env(&disk);
    let open = || EmbeddedGraph::open(&env, Path::new("/data/graph.db"), Check::Quick);
    let graph = open().await.unwrap();
    let closed = graph.closed();
    drop(graph);
    closed.await;
    let mut looked_damaged = 0;
    for nth in 1..40 {
        let mut reads = 0;
        disk.observe(Box::new(move |operation| {
            reads += u64::from(operation.kind == OpKind::Read);
            let short = operation.kind == OpKind::Read && reads == nth;
            if short { Verdict::Fail(IoFault::ShortRead) } else { Verdict::Proceed }
        }));
        let began = tokio::time::Instant::now();
        open().await.unwrap_or_else(|error| panic!("read {nth}: {error}"));
        looked_damaged += u64::from(began.elapsed() > Duration::ZERO);
    }
    disk.stop_observing();
    assert!(looked_damaged > 0, "no short read looked like damage");

    damage_pages(&disk, "/data/graph.db");
    let began = tokio::time::Instant::now();
    let error = open().await.err().expect("what is damaged stays so");
    assert!(error.is_damage(), "{error}");
    assert!(began.elapsed() > Duration::from_secs(3), "it was looked at for {:?}", began.elapsed());
}

/// SQLite's check reports a page that it could not read like one that is wrong.
#[tokio::test]
async fn a_page_that_cannot_be_read_is_not_called_damaged() {
    let disk = Disk::new(7);
    filled(&disk).await;
    let mut passing = 0;
    for nth in 1.. {
        let mut reads = 0;
        disk.observe(Box::new(move |operation| {
            reads += u64::from(operation.kind == OpKind::Read);
            if operation.kind == OpKind::Read && reads == nth { Verdict::Fail(IoFault::Eio) } else { Verdict::Proceed }
        }));
        match open(&disk).await {
            Ok(_) if disk.stats().io_errors < nth => break,
            // SQLite could do without what it was not given.
            Ok(_) => {}
            Err(error) => {
                assert!(error.is_passing() && !error.is_damage(), "read {nth}: {error}");
                passing += 1;
            }
        }
    }
    disk.stop_observing();
    assert!(passing > 5, "{passing}");
    assert_eq!(items(&open(&disk).await.unwrap()).await.unwrap().len(), 49);
}

#[tokio::test]
async fn damage_found_by_a_read_or_a_write_stops_the_store() {
    for by_read in [true, false] {
        let disk = Disk::new(7);
        filled(&disk).await;
        let store = Batcher::open(&env(&disk), Path::new(PATH), &SCHEMA, Check::Skip, 8).await.unwrap();
        damage_pages(&disk, PATH);
        let failure = if by_read { items(&store).await.map(drop) } else { add(&store, 100, 10).await };
        assert!(matches!(failure, Err(SqlFailure::Stopped { damaged: true, .. })), "{failure:?}");
        assert!(store.failed().now_or_never().is_some_and(|why| why.contains("malformed")));
        assert!(items(&store).await.is_err() && add(&store, 101, 10).await.is_err());
    }
}

static CREATE: Statement = Statement {
    name: "create",
    cypher: "",
    columns: &[],
    run: |graph, params| {
        let id = params["id"].to_value().expect("a value");
        graph.create(&["A"], graph::Properties::from([("id".to_owned(), id)]))?;
        Ok(Vec::new())
    },
};

#[tokio::test]
async fn damage_in_an_embedded_graph_stops_it() {
    let disk = Disk::new(8);
    let path = Path::new("/data/graph");
    let create = |id: i64| {
        let params = Params::from([("id".to_owned(), Datum::Int(id))]);
        vec![Call { statement: &CREATE, params, expect: Expect::Anything }]
    };
    let limit = Duration::from_secs(60);
    let graph = EmbeddedGraph::open(&env(&disk), path, Check::Full).await.unwrap();
    graph.execute(create(1), limit).await.unwrap();
    let closed = graph.closed();
    drop(graph);
    closed.await;

    let graph = EmbeddedGraph::open(&env(&disk), path, Check::Skip).await.unwrap();
    damage_pages(&disk, "/data/graph");
    let error = graph.execute(create(2), limit).await.unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert!(graph.failed().now_or_never().is_some());
    assert!(graph.execute(create(3), limit).await.is_err());
}
