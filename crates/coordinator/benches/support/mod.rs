//! What the benchmarks of this folder share: a data folder on a real disk.

use std::path::Path;
use std::sync::Arc;

use coordinator::service::{Coordinator, Options, StartError};
use env::{Env, Production};
use stores::GraphStore;
use stores::embedded::EmbeddedGraph;
use stores::sqlite::Check;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Whether this only shows that the benchmark works. `cargo bench` adds `--bench` to the arguments.
pub fn is_smoke() -> bool {
    let arguments: Vec<_> = std::env::args().collect();
    !arguments.iter().any(|argument| argument == "--bench") || arguments.iter().any(|argument| argument == "--test")
}

/// The first number among the arguments, or `full`; `smoke` if this only shows that the benchmark works.
pub fn figure(full: usize, smoke: usize) -> usize {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    asked.unwrap_or(if is_smoke() { smoke } else { full })
}

/// A new folder where cargo builds, which is a disk; what is in memory syncs in no time.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is room for a folder")
}

/// A runtime as the program has it. What runs on it ends with it.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started")
}

/// The surroundings of a real process.
pub fn production() -> Env {
    Env::new(Production)
}

/// The embedded graph of a data folder.
pub async fn open_graph(env: &Env, data: &Path) -> EmbeddedGraph {
    EmbeddedGraph::open(env, &data.join("graph.db"), Check::Quick).await.expect("it can be opened")
}

/// `coordinator serve` without its socket.
pub async fn start(env: Env, data: &Path, graph: impl GraphStore) -> Result<Coordinator, StartError> {
    Coordinator::start(env, Options::new(data), Arc::new(graph)).await
}
