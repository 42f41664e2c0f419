//! A disk without room.

use std::path::Path;

use disk::Disk;
use futures_util::FutureExt;
use stores::embedded::EmbeddedGraph;
use stores::sqlite::{Check, OpenError, SqlFailure};
use stores::{GraphError, GraphStore};

use crate::world::{POWER_CUT, add, end, env, items, open};

#[tokio::test]
async fn a_full_disk_refuses_reads_go_on_and_room_is_all_it_takes() {
    let disk = Disk::new(3);
    let store = open(&disk).await.unwrap();
    add(&store, 1, 10_000).await.unwrap();
    disk.set_capacity(disk.used() + 50_000);
    let mut acknowledged = vec![1];
    for id in 2..20 {
        match add(&store, id, 10_000).await {
            Ok(()) => acknowledged.push(id),
            Err(SqlFailure::NotDone { full: true, why }) => assert!(why.contains("disk is full"), "{why}"),
            Err(failure) => panic!("{failure}"),
        }
    }
    assert!(acknowledged.len() < 10, "it was never full");
    assert_eq!(items(&store).await.unwrap(), acknowledged);
    assert!(store.failed().now_or_never().is_none());

    disk.set_capacity(u64::MAX);
    add(&store, 100, 10_000).await.unwrap();
    acknowledged.push(100);
    end(&disk, store, POWER_CUT);
    disk.revive();
    assert_eq!(items(&open(&disk).await.unwrap()).await.unwrap(), acknowledged);
}

#[tokio::test]
async fn a_new_file_that_finds_no_room_is_refused_for_the_moment() {
    let disk = Disk::new(4);
    disk.set_capacity(3_000);
    let error = open(&disk).await.err().expect("there is no room for a table");
    assert!(error.is_passing() && !error.is_damage(), "{error}");
    assert!(matches!(&error, OpenError::Sqlite { .. }) && error.to_string().contains("disk is full"), "{error}");
    disk.set_capacity(u64::MAX);
    assert_eq!(items(&open(&disk).await.unwrap()).await.unwrap(), [] as [i64; 0]);
}

#[tokio::test]
async fn an_embedded_graph_says_that_its_disk_is_full() {
    let disk = Disk::new(5);
    let graph = EmbeddedGraph::open(&env(&disk), Path::new("/data/graph"), Check::Full).await.unwrap();
    disk.set_capacity(disk.used());
    let unique = [stores::Uniqueness { label: "A", property: "id" }];
    let error = graph.ensure_unique(&unique).await.unwrap_err();
    assert!(matches!(&error, GraphError::Refused { code, retryable: true, .. } if code == "StorageFull"), "{error}");
    disk.set_capacity(u64::MAX);
    graph.ensure_unique(&unique).await.unwrap();
}
