//! How often a transaction waits for the disk: counted, since nothing else decides what it costs.

use std::path::Path;
use std::sync::Arc;

use coordinator::service::{Coordinator, Options};
use disk::OpKind;
use env::Env;
use futures_util::future::join_all;
use stores::embedded::EmbeddedGraph;
use stores::sqlite::Check;

use crate::world::{World, commit};

/// A coordinator with both of its stores on the simulated disk.
async fn start(world: &World) -> Coordinator {
    let env = Env::new(world.clone());
    let graph = EmbeddedGraph::open(&env, Path::new("/data/graph.db"), Check::Quick).await.unwrap();
    Coordinator::start(env, Options::new("/data"), Arc::new(graph)).await.unwrap()
}

/// How many syncs so many clients cause that commit one transaction each at the same time.
async fn syncs(clients: usize) -> u64 {
    let world = World::new(1);
    let coordinator = start(&world).await;
    commit(&coordinator, "first").await;
    let before = world.disk.stats().operations(OpKind::Sync);
    let names: Vec<String> = (0..clients).map(|client| format!("client-{client}")).collect();
    join_all(names.iter().map(|name| commit(&coordinator, name))).await;
    world.disk.stats().operations(OpKind::Sync) - before
}

/// Intent, decision, outcome: one more than a commit to each of two files.
#[tokio::test]
async fn a_lone_transaction_costs_one_sync_more_than_two_commits() {
    assert_eq!(syncs(1).await, 3);
}

/// Whoever comes while others are being synced shares the next sync with everybody else who does.
#[tokio::test]
async fn clients_at_the_same_time_share_their_syncs() {
    assert!(syncs(8).await < 8, "less than one sync a transaction");
    assert!(syncs(64).await <= syncs(8).await + 3, "hardly more for eight times as many");
}
