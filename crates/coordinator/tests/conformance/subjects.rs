//! The graphs that are compared, and a network that breaks at the worst moment.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coordinator::statements::{self, CONSTRAINTS};
use env::{BoxFuture, Connection, Env, Environment, Listener, Observation, Point, Production};
use graph::Millis;
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use stores::bolt::server::BoltServer;
use stores::embedded::EmbeddedGraph;
use stores::memory::MemoryGraph;
use stores::sqlite::Check;
use stores::{Call, Datum, Expect, GraphError, GraphStore, Params, Rows, Statement};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{Mutex, MutexGuard, watch};

/// Long enough never to decide a test.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What the real server's graph has to belong to before anything in it is deleted.
pub const OWNER: &str = "conformance-suite";

/// What breaks, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    Nothing,
    /// The connection ends when a COMMIT is sent, before it arrives.
    BeforeCommit,
    /// The connection ends when the server has answered a COMMIT, before the answer arrives.
    AfterCommit,
}

/// One graph under test.
pub struct Subject {
    pub name: &'static str,
    pub store: Box<dyn GraphStore>,
    network: watch::Sender<Break>,
    _folder: Option<TempDir>,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// Held by the test that uses the real server: there is only one.
static REAL: Mutex<()> = Mutex::const_new(());

impl Subject {
    pub async fn embedded() -> Subject {
        let folder = TempDir::new().unwrap();
        let env = Env::new(Production);
        let store = EmbeddedGraph::open(&env, &folder.path().join("graph.sqlite"), Check::Quick).await.unwrap();
        store.ensure_unique(CONSTRAINTS).await.unwrap();
        let network = watch::Sender::new(Break::Nothing);
        Subject { name: "embedded", store: Box::new(store), network, _folder: Some(folder), _turn: None }
    }

    /// The graph in memory behind the Bolt server, through the Bolt client.
    pub async fn simulated() -> Subject {
        let server = Arc::new(BoltServer::new(MemoryGraph::new(), statements::ALL, CONSTRAINTS));
        let url = "bolt://simulated".parse().unwrap();
        Subject::over_bolt("simulated", Target::Simulated(server), &url, "").await
    }

    /// The server that `SQUALL_BOLT_URL` and `SQUALL_BOLT_PASSWORD` name, emptied; `None`,
    /// and a line that says so, if there is none.
    pub async fn real() -> Option<Subject> {
        let Ok(url) = std::env::var("SQUALL_BOLT_URL") else {
            eprintln!("skipped: real graph server (SQUALL_BOLT_URL is not set; see scripts/real-graph)");
            return None;
        };
        let url = url.parse().unwrap_or_else(|error| panic!("SQUALL_BOLT_URL is {url:?}: {error}"));
        let password = std::env::var("SQUALL_BOLT_PASSWORD").unwrap_or_default();
        let turn = REAL.lock().await;
        let subject = Subject::over_bolt("real", Target::Real, &url, &password).await;
        subject.empty().await;
        Some(Subject { _turn: Some(turn), ..subject })
    }

    async fn over_bolt(name: &'static str, target: Target, url: &BoltUrl, password: &str) -> Subject {
        let network = watch::Sender::new(Break::Nothing);
        let env = Env::new(Breakable { target, network: network.clone() });
        let store = BoltGraph::new(env, BoltOptions::new(url, password)).unwrap();
        store.ensure_unique(CONSTRAINTS).await.unwrap();
        Subject { name, store: Box::new(store), network, _folder: None, _turn: None }
    }

    pub fn set(&self, what: Break) {
        self.network.send_replace(what);
    }

    pub async fn execute(&self, calls: Vec<Call>) -> Result<Vec<Rows>, GraphError> {
        self.store.execute(calls, LIMIT).await
    }

    /// All entities, links and markers, read in pages of `limit`.
    pub async fn dump(&self, limit: i64) -> [Rows; 3] {
        [
            self.pages(&statements::DUMP_ENTITIES, &["after"], limit).await,
            self.pages(&statements::DUMP_LINKS, &["from", "kind", "to"], limit).await,
            self.pages(&statements::DUMP_MARKERS, &["after"], limit).await,
        ]
    }

    /// Each page starts after the first cells of the last row of the page before.
    async fn pages(&self, statement: &'static Statement, keys: &[&str], limit: i64) -> Rows {
        let mut rows = Rows::new();
        loop {
            let mut params = Params::from([("limit".to_owned(), Datum::Int(limit))]);
            for (column, key) in keys.iter().enumerate() {
                let after = rows.last().map_or(Datum::from(""), |row: &Vec<Datum>| row[column].clone());
                params.insert((*key).to_owned(), after);
            }
            let page =
                self.execute(vec![Call { statement, params, expect: Expect::Anything }]).await.unwrap().remove(0);
            assert!(page.len() <= usize::try_from(limit).unwrap(), "{}: a page of {}", self.name, page.len());
            if page.is_empty() {
                return rows;
            }
            rows.extend(page);
        }
    }

    /// Deletes everything, in a graph that is the suite's own.
    async fn empty(&self) {
        let read = |statement, params| vec![Call { statement, params, expect: Expect::Anything }];
        let owner = self.execute(statements::read_store()).await.unwrap().remove(0);
        if owner.is_empty() {
            let is_empty = self.dump(1).await.iter().all(Vec::is_empty);
            assert!(is_empty, "this graph is in use; the suite deletes everything: give it an empty one");
        }
        let owner = self.execute(statements::claim_store(OWNER, 1, "")).await.unwrap().remove(0);
        let is_ours = owner.first().is_some_and(|row| row.first() == Some(&Datum::from(OWNER)));
        assert!(is_ours, "this graph belongs to a coordinator; the suite deletes everything");
        // The claim goes last: what is left of an interrupted attempt is the suite's own.
        for statement in [&DELETE_LINKS, &DELETE_ENTITIES, &DELETE_MARKERS, &DELETE_CLAIM] {
            self.execute(read(statement, Params::new())).await.unwrap();
        }
        self.execute(statements::claim_store(OWNER, 1, "")).await.unwrap();
    }
}

/// All subjects there are, each empty.
pub async fn all() -> Vec<Subject> {
    let mut subjects = vec![Subject::embedded().await];
    subjects.extend(over_bolt().await);
    subjects
}

/// Those over Bolt.
pub async fn over_bolt() -> Vec<Subject> {
    let mut subjects = vec![Subject::simulated().await];
    subjects.extend(Subject::real().await);
    subjects
}

// Only a real server needs these: the others start empty.
static DELETE_LINKS: Statement = on_real_servers("MATCH ()-[r:LINK]->() DELETE r");
static DELETE_ENTITIES: Statement = on_real_servers("MATCH (n:Entity) DELETE n");
static DELETE_CLAIM: Statement = on_real_servers("MATCH (s:Store {key: 'coordinator'}) DELETE s");
static DELETE_MARKERS: Statement = on_real_servers("MATCH (t:Tx) DELETE t");

const fn on_real_servers(cypher: &'static str) -> Statement {
    Statement { name: "delete_all", cypher, columns: &[], run: |_, _| Ok(Rows::new()) }
}

enum Target {
    Simulated(Arc<BoltServer<MemoryGraph>>),
    Real,
}

/// Connects through a proxy that can break.
struct Breakable {
    target: Target,
    network: watch::Sender<Break>,
}

impl Environment for Breakable {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            let server: Connection = match &self.target {
                Target::Real => Production.connect(address).await?,
                Target::Simulated(server) => {
                    let (near, far) = duplex(1 << 16);
                    let server = server.clone();
                    self.spawn(Box::pin(async move {
                        // A connection that breaks is what some tests are about.
                        let _ = server.serve_connection(far).await;
                    }));
                    Box::new(near)
                }
            };
            let (near, far) = duplex(1 << 16);
            self.spawn(Box::pin(carry(far, server, self.network.subscribe())));
            Ok(Box::new(near) as Connection)
        })
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

/// A COMMIT: a chunk of two bytes, a structure without fields, its signature, the end.
const COMMIT: [u8; 6] = [0x00, 0x02, 0xB0, 0x12, 0x00, 0x00];

/// Carries bytes both ways until either side ends or the network breaks, which ends both.
///
/// The client waits for an answer before it sends a COMMIT, so the COMMIT comes alone.
async fn carry(mut client: DuplexStream, mut server: Connection, network: watch::Receiver<Break>) {
    let (mut out, mut back) = ([0; 4096], [0; 4096]);
    let mut commit_sent = false;
    loop {
        tokio::select! {
            count = client.read(&mut out) => {
                let Ok(count @ 1..) = count else { return };
                commit_sent = out[..count] == COMMIT;
                if (commit_sent && *network.borrow() == Break::BeforeCommit) || server.write_all(&out[..count]).await.is_err() {
                    return;
                }
            }
            count = server.read(&mut back) => {
                let Ok(count @ 1..) = count else { return };
                if (commit_sent && *network.borrow() == Break::AfterCommit) || client.write_all(&back[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
