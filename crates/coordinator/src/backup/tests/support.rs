//! A coordinator in a folder, with a graph in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::{BoxFuture, Env, Production};
use graph::{Patch, TxId};
use stores::memory::MemoryGraph;
use stores::{Call, GraphError, GraphStore, Rows, Uniqueness};

use crate::backup::text;
use crate::commit::{Answer, Decision, IdempotencyKey, Settled};
use crate::service::{Coordinator, Options};
use crate::statements;

pub const LIMIT: Duration = Duration::from_secs(5);

/// A graph that counts the transactions it is asked for, and outlives the coordinators on it.
#[derive(Clone, Default)]
pub struct Graph {
    pub memory: MemoryGraph,
    pub transactions: Arc<AtomicU64>,
}

impl GraphStore for Graph {
    fn execute(&self, calls: Vec<Call>, limit: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>> {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.memory.execute(calls, limit)
    }

    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>> {
        self.memory.ensure_unique(constraints)
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        self.memory.warnings()
    }
}

impl Graph {
    pub async fn markers(&self) -> Vec<String> {
        let rows = self.memory.execute(statements::markers_after(None, 1_000), LIMIT).await.unwrap();
        rows.iter().flatten().map(|row| text(row, 0)).collect()
    }
}

pub fn create(id: &str) -> Patch {
    serde_json::from_str(&format!(r#"[{{"create": {{"id": "{id}", "kind": "thing"}}}}]"#)).unwrap()
}

pub async fn commit(coordinator: &Coordinator, id: &str) -> TxId {
    match coordinator.submit(IdempotencyKey(id.to_owned()), create(id)).await.unwrap() {
        Answer::Settled(Settled { tx, decision: Decision::Committed }) => tx,
        answer => panic!("{id} was answered {answer:?}"),
    }
}

/// Starts a coordinator in a folder, which is made if it is missing.
pub async fn start(folder: &Path, graph: &Graph) -> Coordinator {
    std::fs::create_dir_all(folder).unwrap();
    Coordinator::start(Env::new(Production), Options::new(folder), Arc::new(graph.clone())).await.unwrap()
}
