//! The graphs that are compared.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::{BoxFuture, Connection, Env, Environment, Listener, Observation, Point, Production};
use graph::Millis;
use projection::dump::{Dump, dump};
use projection::statements::{self, CONSTRAINTS};
use stores::bolt::client::{BoltGraph, BoltOptions};
use stores::bolt::server::BoltServer;
use stores::embedded::EmbeddedGraph;
use stores::memory::MemoryGraph;
use stores::sqlite::Check;
use stores::{Call, Datum, Expect, GraphError, GraphStore, Params, Rows, Statement};
use tempfile::TempDir;
use tokio::io::duplex;
use tokio::sync::{Mutex, MutexGuard};

/// Long enough never to decide a test.
pub const LIMIT: Duration = Duration::from_secs(60);

/// One graph under test.
pub struct Subject {
    pub name: &'static str,
    pub store: Arc<dyn GraphStore>,
    _folder: Option<TempDir>,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// Held by the test that uses the real server: there is only one.
static REAL: Mutex<()> = Mutex::const_new(());

impl Subject {
    async fn new(name: &'static str, store: Arc<dyn GraphStore>) -> Subject {
        store.ensure_unique(CONSTRAINTS).await.expect("the graph takes constraints");
        Subject { name, store, _folder: None, _turn: None }
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

    /// The server that `SQUALL_BOLT_URL` and `SQUALL_BOLT_PASSWORD` name, emptied; `None`,
    /// and a line that says so, if there is none.
    async fn real() -> Option<Subject> {
        let Ok(url) = std::env::var("SQUALL_BOLT_URL") else {
            eprintln!("skipped: real graph server (SQUALL_BOLT_URL is not set; see scripts/real-graph)");
            return None;
        };
        let url = url.parse().unwrap_or_else(|error| panic!("SQUALL_BOLT_URL is {url:?}: {error}"));
        let password = std::env::var("SQUALL_BOLT_PASSWORD").unwrap_or_default();
        let turn = REAL.lock().await;
        let store = BoltGraph::new(Env::new(Production), BoltOptions::new(&url, password)).expect("readable options");
        let subject = Subject::new("real", Arc::new(store)).await;
        subject.empty().await;
        Some(Subject { _turn: Some(turn), ..subject })
    }

    pub async fn execute(&self, calls: Vec<Call>) -> Result<Vec<Rows>, GraphError> {
        self.store.execute(calls, LIMIT).await
    }

    pub async fn dump(&self) -> Dump {
        dump(self.store.as_ref(), 3, LIMIT).await.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Deletes everything of a projection's, in a graph that is the suite's own.
    async fn empty(&self) {
        if self.run(&OURS).await == [[Datum::Int(0)]] {
            let is_empty = self.run(&ANYTHING).await == [[Datum::Int(0)]];
            assert!(is_empty, "a projection uses this graph; the suite deletes all of it: give it another one");
            self.run(&CLAIM).await;
        }
        for statement in &DELETE_ALL {
            self.run(statement).await;
        }
    }

    async fn run(&self, statement: &'static Statement) -> Rows {
        let call = Call { statement, params: Params::new(), expect: Expect::Anything };
        self.execute(vec![call]).await.unwrap_or_else(|error| panic!("{}: {error}", self.name)).remove(0)
    }
}

/// All subjects there are, each empty.
pub async fn all() -> Vec<Subject> {
    let mut subjects = vec![Subject::embedded().await, Subject::simulated().await];
    subjects.extend(Subject::real().await);
    subjects
}

/// Leaves nothing on a real server, not even the claim: for whatever test comes next.
pub async fn leave_empty(subjects: &[Subject]) {
    for subject in subjects.iter().filter(|subject| subject.name == "real") {
        subject.empty().await;
        subject.run(&RELEASE).await;
    }
}

// Only a real server needs these: the others start empty.
static OURS: Statement =
    on_real_servers("MATCH (s:Store {key: 'projection-conformance'}) RETURN count(s) AS count", &["count"]);
static CLAIM: Statement = on_real_servers("CREATE (s:Store {key: 'projection-conformance'})", &[]);
static ANYTHING: Statement = on_real_servers("MATCH (n:Applied) RETURN count(n) AS count", &["count"]);
static RELEASE: Statement = on_real_servers("MATCH (s:Store {key: 'projection-conformance'}) DELETE s", &[]);
static DELETE_ALL: [Statement; 8] = [
    on_real_servers("MATCH ()-[r:BELONGS_TO]->() DELETE r", &[]),
    on_real_servers("MATCH ()-[r:REFERENCES]->() DELETE r", &[]),
    on_real_servers("MATCH (n:Annotation) DELETE n", &[]),
    on_real_servers("MATCH (n:Tombstone) DELETE n", &[]),
    on_real_servers("MATCH (n:Vocabulary) DELETE n", &[]),
    on_real_servers("MATCH (n:Resource) DELETE n", &[]),
    on_real_servers("MATCH (n:Applied) DELETE n", &[]),
    on_real_servers("MATCH (n:Projection) DELETE n", &[]),
];

const fn on_real_servers(cypher: &'static str, columns: &'static [&'static str]) -> Statement {
    Statement { name: "on_real_servers", cypher, columns, run: |_, _| Ok(Rows::new()) }
}

/// Every connection leads to the server.
struct Simulated(Arc<BoltServer<MemoryGraph>>);

impl Environment for Simulated {
    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        let (near, far) = duplex(1 << 16);
        let server = self.0.clone();
        self.spawn(Box::pin(async move {
            // A connection ends when its client does.
            let _ = server.serve_connection(far).await;
        }));
        Box::pin(async move { Ok(Box::new(near) as Connection) })
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Production.listen(address)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        Production.spawn(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        Production.blocking(work)
    }

    fn utc_now(&self) -> Millis {
        Production.utc_now()
    }

    fn entropy(&self, bytes: &mut [u8]) {
        Production.entropy(bytes);
    }

    fn persist(&self, path: &Path) -> io::Result<()> {
        Production.persist(path)
    }

    fn vfs(&self) -> Option<&str> {
        None
    }

    fn point(&self, point: Point) -> BoxFuture<'_, ()> {
        Production.point(point)
    }

    fn observe(&self, core: &'static str, observation: Observation<'_>) {
        Production.observe(core, observation);
    }
}
