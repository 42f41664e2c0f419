//! The graphs that are compared.

use std::io;
use std::sync::Arc;

use env::{BoxFuture, Connection, Env, Environment, Layer, Production};
use projection::dump::{Dump, dump};
use projection::statements::{self, CONSTRAINTS};
use stores::bolt::client::{BoltGraph, BoltOptions};
use stores::bolt::server::BoltServer;
use stores::embedded::EmbeddedGraph;
use stores::memory::MemoryGraph;
use stores::sqlite::Check;
use stores::{Call, GraphError, GraphStore, Rows};
use tempfile::TempDir;
use testbed::Server;
use tokio::io::duplex;

pub use testbed::LIMIT;

/// One graph under test.
pub struct Subject {
    pub name: &'static str,
    pub store: Arc<dyn GraphStore>,
    _folder: Option<TempDir>,
    real: Option<Server>,
}

impl Subject {
    async fn new(name: &'static str, store: Arc<dyn GraphStore>) -> Subject {
        store.ensure_unique(CONSTRAINTS).await.expect("the graph takes constraints");
        Subject { name, store, _folder: None, real: None }
    }

    async fn embedded() -> Subject {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("graph.sqlite");
        let store = EmbeddedGraph::open(&Env::new(Production), &path, Check::Quick).await.expect("an empty folder");
        Subject { _folder: Some(folder), ..Subject::new("embedded", Arc::new(store)).await }
    }

    /// The graph in memory behind the Bolt server, through the Bolt client.
    async fn simulated() -> Subject {
        let server = Arc::new(BoltServer::new(MemoryGraph::new(), statements::ALL, CONSTRAINTS));
        let options = BoltOptions::new(&"bolt://simulated".parse().expect("a URL"), "");
        let store = BoltGraph::new(Env::new(Simulated(server)), options).expect("it needs no certificates");
        Subject::new("simulated", Arc::new(store)).await
    }

    /// The server that the environment names, emptied.
    async fn real() -> Option<Subject> {
        let server = Server::from_environment("conformance of the projection's statements").await?;
        let store = server.open(&Env::new(Production));
        server.make_ready(&store).await;
        let subject = Subject::new("real", Arc::new(store)).await;
        Some(Subject { real: Some(server), ..subject })
    }

    pub async fn execute(&self, calls: Vec<Call>) -> Result<Vec<Rows>, GraphError> {
        self.store.execute(calls, LIMIT).await
    }

    pub async fn dump(&self) -> Dump {
        dump(self.store.as_ref(), 3, LIMIT).await.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// All subjects there are, each empty.
pub async fn all() -> Vec<Subject> {
    let mut subjects = vec![Subject::embedded().await, Subject::simulated().await];
    subjects.extend(Subject::real().await);
    subjects
}

/// Leaves nothing on a real server: for whatever test comes next.
pub async fn leave_empty(subjects: &[Subject]) {
    for subject in subjects {
        if let Some(server) = &subject.real {
            server.leave_empty(subject.store.as_ref()).await;
        }
    }
}

/// Every connection leads to the server.
struct Simulated(Arc<BoltServer<MemoryGraph>>);

impl Layer for Simulated {
    fn beneath(&self) -> &dyn Environment {
        &Production
    }

    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        let (near, far) = duplex(1 << 16);
        let server = self.0.clone();
        Production.spawn(Box::pin(async move {
            // A connection ends when its client does.
            let _ = server.serve_connection(far).await;
        }));
        Box::pin(async move { Ok(Box::new(near) as Connection) })
    }
}
