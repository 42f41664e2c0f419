//! Incarnations that no marker is of are passed over, however many they are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use env::{Env, Production};
use graph::TxId;
use stores::GraphStore;
use stores::batch::Batcher;
use stores::memory::MemoryGraph;
use stores::sqlite::{Check, Schema};

use crate::collection::CollectionExecutor;
use crate::{ledger, statements};

static SCHEMA: Schema = Schema { application_id: 1, migrations: ledger::MIGRATIONS };

const LIMIT: Duration = Duration::from_secs(5);

/// A graph with markers of these incarnations, and whoever collects them.
async fn executor(incarnations: &BTreeSet<u64>, folder: &std::path::Path) -> CollectionExecutor {
    let graph = MemoryGraph::new();
    graph.ensure_unique(statements::CONSTRAINTS).await.unwrap();
    for incarnation in incarnations {
        for serial in [1, 12] {
            let tx = TxId { incarnation: *incarnation, serial };
            graph.execute(statements::restore_marker(tx, true), LIMIT).await.unwrap();
        }
    }
    let env = Env::new(Production);
    let ledger = Batcher::open(&env, &folder.join("ledger.db"), &SCHEMA, Check::Quick, 1).await.unwrap();
    CollectionExecutor { ledger, graph: Arc::new(graph), graph_limit: LIMIT }
}

#[tokio::test]
async fn the_next_incarnation_is_found_whatever_the_order_of_text() {
    // Of every length, with and without others that begin alike.
    let all: BTreeSet<u64> =
        [1, 2, 9, 10, 12, 19, 25, 99, 100, 120, 199, 250, 251, 1_000, 2_500, 99_999, 100_002, 100_003, 250_000].into();
    for left_out in 0..3 {
        let some: BTreeSet<u64> = all.iter().enumerate().filter(|(n, _)| n % 3 != left_out).map(|(_, i)| *i).collect();
        let folder = tempfile::tempdir().unwrap();
        let executor = executor(&some, folder.path()).await;
        let end = 300_000;
        for after in some.iter().flat_map(|one| [one - 1, *one, one + 1]) {
            let expected = some.range(after + 1..).next().copied().unwrap_or(end);
            assert_eq!(executor.next_incarnation(after, end).await, Ok(expected), "after {after} in {some:?}");
        }
        assert_eq!(executor.next_incarnation(3, 8).await, Ok(8), "as far as the floor and no farther");
    }
}

#[tokio::test]
async fn a_marker_that_names_no_transaction_is_an_error_and_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let executor = executor(&[5].into(), folder.path()).await;
    let foreign = stores::Call {
        params: [("id".to_owned(), "tx-2x".into()), ("state".to_owned(), statements::COMMITTED.into())].into(),
        ..statements::restore_marker(TxId { incarnation: 1, serial: 1 }, true).remove(0)
    };
    executor.graph.execute(vec![foreign], LIMIT).await.unwrap();
    assert!(executor.next_incarnation(1, 9).await.unwrap_err().contains("tx-2x"));
}
