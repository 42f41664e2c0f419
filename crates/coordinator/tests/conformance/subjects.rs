//! The graphs that are compared, and a network that breaks at the worst moment.

use std::io;
use std::sync::Arc;

use coordinator::statements::{self, CONSTRAINTS};
use env::{BoxFuture, Connection, Env, Environment, Layer, Production};
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use stores::bolt::server::BoltServer;
use stores::embedded::EmbeddedGraph;
use stores::memory::MemoryGraph;
use stores::sqlite::Check;
use stores::{Call, Datum, Expect, GraphError, GraphStore, Params, Rows, Statement};
use tempfile::TempDir;
use testbed::{LIMIT, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;

/// Who claims the graphs.
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
    _server: Option<Server>,
}

impl Subject {
    pub async fn embedded() -> Subject {
        let folder = TempDir::new().unwrap();
        let env = Env::new(Production);
        let store = EmbeddedGraph::open(&env, &folder.path().join("graph.sqlite"), Check::Quick).await.unwrap();
        store.ensure_unique(CONSTRAINTS).await.unwrap();
        let network = watch::Sender::new(Break::Nothing);
        Subject { name: "embedded", store: Box::new(store), network, _folder: Some(folder), _server: None }
    }

    /// The graph in memory behind the Bolt server, through the Bolt client.
    pub async fn simulated() -> Subject {
        let server = Arc::new(BoltServer::new(MemoryGraph::new(), statements::ALL, CONSTRAINTS));
        let url = "bolt://simulated".parse().unwrap();
        Subject::over_bolt("simulated", Target::Simulated(server), &url, "").await
    }

    /// The server that the environment names, emptied.
    pub async fn real() -> Option<Subject> {
        let server = Server::from_environment("conformance of the coordinator's statements").await?;
        server.make_ready(&server.open(&Env::new(Production))).await;
        let subject = Subject::over_bolt("real", Target::Real, &server.url, &server.password).await;
        Some(Subject { _server: Some(server), ..subject })
    }

    async fn over_bolt(name: &'static str, target: Target, url: &BoltUrl, password: &str) -> Subject {
        let network = watch::Sender::new(Break::Nothing);
        let env = Env::new(Breakable { target, network: network.clone() });
        let store = BoltGraph::new(env, BoltOptions::new(url, password)).unwrap();
        store.ensure_unique(CONSTRAINTS).await.unwrap();
        Subject { name, store: Box::new(store), network, _folder: None, _server: None }
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

enum Target {
    Simulated(Arc<BoltServer<MemoryGraph>>),
    Real,
}

/// Connects through a proxy that can break.
struct Breakable {
    target: Target,
    network: watch::Sender<Break>,
}

impl Layer for Breakable {
    fn beneath(&self) -> &dyn Environment {
        &Production
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            let server: Connection = match &self.target {
                Target::Real => Production.connect(address).await?,
                Target::Simulated(server) => {
                    let (near, far) = duplex(1 << 16);
                    let server = server.clone();
                    Production.spawn(Box::pin(async move {
                        // A connection that breaks is what some tests are about.
                        let _ = server.serve_connection(far).await;
                    }));
                    Box::new(near)
                }
            };
            let (near, far) = duplex(1 << 16);
            Production.spawn(Box::pin(carry(far, server, self.network.subscribe())));
            Ok(Box::new(near) as Connection)
        })
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
