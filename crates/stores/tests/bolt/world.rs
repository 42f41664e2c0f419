//! A Bolt server in memory, and a network in between that breaks on request.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bolt_client::Client;
use bolt_proto::message::{Pull, RunWithMetadata};
use bolt_proto::{Message, Value as Bolt};
use env::{BoxFuture, Connection, Env, Environment, Layer, Production};
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use stores::bolt::server::{BoltServer, Failure, Hooks, Request};
use stores::memory::MemoryGraph;
use stores::{Call, Datum, Expect, GraphFault, Params, PropertyGraph, Rows, Statement, Uniqueness};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// How long a call may take. Simulated time: it passes when nothing else is left to do.
pub const LIMIT: Duration = Duration::from_secs(30);

pub const UNIQUE: Uniqueness = Uniqueness { label: "Name", property: "name" };

pub static ADD: Statement = Statement {
    name: "add",
    cypher: "CREATE (n:Name {name: $name}) RETURN count(n) AS changed",
    columns: &["changed"],
    run: |graph, params| {
        let name = params.get("name").and_then(Datum::to_value).ok_or(GraphFault::Parameter("name".to_owned()))?;
        graph.create(&["Name"], [("name".to_owned(), name)].into())?;
        Ok(vec![vec![Datum::Int(1)]])
    },
};

pub static COUNT: Statement = Statement {
    name: "count",
    cypher: "MATCH (n:Name) RETURN count(n) AS count",
    columns: &["count"],
    run: |graph, _| Ok(vec![vec![Datum::Int(graph.scan("Name")?.len().try_into().unwrap())]]),
};

pub static NAMES: Statement =
    Statement { name: "names", cypher: "MATCH (n:Name) RETURN n.name AS name", columns: &["name"], run: names };

fn names(graph: &mut dyn PropertyGraph, _: &Params) -> Result<Rows, GraphFault> {
    let nodes = graph.scan("Name")?;
    nodes.into_iter().map(|node| Ok(vec![graph.properties(node)?["name"].clone().into()])).collect()
}

/// The server does not know it.
pub static UNHEARD_OF: Statement =
    Statement { name: "unheard_of", cypher: "RETURN 1 AS one", columns: &["one"], run: |_, _| Ok(Rows::new()) };

/// Its text returns another column than it says.
pub static MISNAMED: Statement = Statement {
    name: "misnamed",
    cypher: "MATCH (n:Name) RETURN count(n) AS count",
    columns: &["other"],
    run: |_, _| Ok(Rows::new()),
};

pub static STATEMENTS: &[&Statement] = &[&ADD, &COUNT, &NAMES];

pub fn call(statement: &'static Statement) -> Call {
    Call { statement, params: Params::new(), expect: Expect::Anything }
}

pub fn add(name: &str) -> Call {
    let params = Params::from([("name".to_owned(), Datum::from(name))]);
    Call { statement: &ADD, params, expect: Expect::Changed(1) }
}

pub fn options() -> BoltOptions {
    let url: BoltUrl = "bolt://server".parse().unwrap();
    BoltOptions::new(&url, "secret")
}

/// Knows no statement about constraints, like a server that has none.
pub struct LacksConstraints;

impl Hooks for LacksConstraints {
    fn on_request(&self, request: Request<'_>) -> Option<Failure> {
        let Request::Run(text) = request else { return None };
        text.starts_with("CREATE CONSTRAINT").then(|| Failure {
            code: "Neo.ClientError.Statement.SyntaxError".to_owned(),
            message: "constraints are not supported".to_owned(),
        })
    }
}

/// How the network breaks. Bytes are counted for each connection from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Never,
    /// Nobody listens.
    Refuse,
    /// Connections open, and nothing arrives.
    Silent,
    /// From now on nothing arrives, on connections that are open as well.
    Hold,
    /// The connection ends when so many bytes have reached the server.
    AfterSent(usize),
    /// The connection ends when so many bytes have reached the client.
    AfterReceived(usize),
    /// Nothing arrives any more when so many bytes have reached the client.
    SilentAfterReceived(usize),
}

struct Network {
    server: Arc<BoltServer<MemoryGraph>>,
    /// How the server answers to TLS, if it does.
    tls: Option<TlsAcceptor>,
    cut: watch::Sender<Cut>,
    kill: watch::Sender<()>,
    opened: AtomicUsize,
    sent: Arc<Mutex<Vec<u8>>>,
}

/// A server and the network to it.
pub struct World {
    graph: MemoryGraph,
    network: Arc<Network>,
}

impl World {
    pub fn new() -> World {
        World::with(|server| server)
    }

    /// A server of other statements.
    pub fn serving(statements: &[&'static Statement]) -> World {
        let graph = MemoryGraph::new();
        World::over(graph.clone(), BoltServer::new(graph, statements, &[]))
    }

    pub fn with(change: impl FnOnce(BoltServer<MemoryGraph>) -> BoltServer<MemoryGraph>) -> World {
        let graph = MemoryGraph::new();
        World::over(graph.clone(), change(BoltServer::new(graph, STATEMENTS, &[UNIQUE])))
    }

    fn over(graph: MemoryGraph, server: BoltServer<MemoryGraph>) -> World {
        let (cut, kill) = (watch::Sender::new(Cut::Never), watch::Sender::new(()));
        let opened = AtomicUsize::new(0);
        World {
            graph,
            network: Arc::new(Network { server: Arc::new(server), tls: None, cut, kill, opened, sent: Arc::default() }),
        }
    }

    /// The same behind TLS.
    pub fn behind(mut self, tls: TlsAcceptor) -> World {
        Arc::get_mut(&mut self.network).expect("nobody is connected yet").tls = Some(tls);
        self
    }

    pub fn env(&self) -> Env {
        Env::new(InMemory(self.network.clone()))
    }

    pub fn client(&self) -> BoltGraph {
        BoltGraph::new(self.env(), options()).unwrap()
    }

    pub fn cut(&self, cut: Cut) {
        self.network.cut.send_replace(cut);
    }

    pub fn kill_connections(&self) {
        self.network.kill.send_replace(());
    }

    /// How many connections were opened.
    pub fn opened(&self) -> usize {
        self.network.opened.load(Ordering::Relaxed)
    }

    /// Whether these bytes were sent to the server, not across packets.
    pub fn was_sent(&self, bytes: &[u8]) -> bool {
        self.network.sent.lock().unwrap().windows(bytes.len()).any(|window| window == bytes)
    }

    /// What is committed, in the order of creation.
    pub fn names(&self) -> Vec<String> {
        let rows = self.graph.autocommit(|graph| names(graph, &Params::new())).unwrap();
        rows.into_iter().map(|row| row[0].as_text().unwrap().to_owned()).collect()
    }

    /// Lets everything happen that is under way.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// A connection without our client on it.
    pub async fn raw(&self) -> Raw {
        let (near, far) = duplex(1 << 16);
        let server = self.network.server.clone();
        // It ends when the test does.
        Production.spawn(Box::pin(async move { drop(server.serve_connection(far).await) }));
        Raw::new(Box::new(near), None, "", "").await
    }
}

struct InMemory(Arc<Network>);

impl Layer for InMemory {
    fn beneath(&self) -> &dyn Environment {
        &Production
    }

    fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            if *self.0.cut.borrow() == Cut::Refuse {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            self.0.opened.fetch_add(1, Ordering::Relaxed);
            let (client, near) = duplex(1 << 16);
            let (far, server_side) = duplex(1 << 16);
            let (server, tls) = (self.0.server.clone(), self.0.tls.clone());
            Production.spawn(Box::pin(async move {
                // How a connection ends is what the tests are about; the client judges it.
                let _ = match tls {
                    None => server.serve_connection(server_side).await,
                    Some(tls) => match tls.accept(server_side).await {
                        Ok(stream) => server.serve_connection(stream).await,
                        Err(error) => Err(error),
                    },
                };
            }));
            let (cut, kill, sent) = (self.0.cut.subscribe(), self.0.kill.subscribe(), self.0.sent.clone());
            Production.spawn(Box::pin(carry(near, far, cut, kill, sent)));
            Ok(Box::new(client) as Connection)
        })
    }
}

/// Carries bytes both ways until the connection ends, which closes both sides.
async fn carry(
    mut client: DuplexStream,
    mut server: DuplexStream,
    cut: watch::Receiver<Cut>,
    mut kill: watch::Receiver<()>,
    log: Arc<Mutex<Vec<u8>>>,
) {
    let (mut sent, mut received) = (0, 0);
    let (mut out, mut back) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            biased;
            _ = kill.changed() => return,
            count = client.read(&mut out) => {
                let Ok(count @ 1..) = count else { return };
                let rule = *cut.borrow();
                let allowed = match rule {
                    Cut::AfterSent(bytes) => count.min(bytes.saturating_sub(sent)),
                    Cut::Silent | Cut::Hold => return std::future::pending().await,
                    _ => count,
                };
                sent += allowed;
                log.lock().unwrap().extend(&out[..allowed]);
                if server.write_all(&out[..allowed]).await.is_err() || allowed < count {
                    return;
                }
            }
            count = server.read(&mut back) => {
                let Ok(count @ 1..) = count else { return };
                let rule = *cut.borrow();
                let allowed = match rule {
                    Cut::AfterReceived(bytes) | Cut::SilentAfterReceived(bytes) => count.min(bytes.saturating_sub(received)),
                    Cut::Silent | Cut::Hold => return std::future::pending().await,
                    _ => count,
                };
                received += allowed;
                if client.write_all(&back[..allowed]).await.is_err() {
                    return;
                }
                match rule {
                    Cut::SilentAfterReceived(_) if allowed < count => return std::future::pending().await,
                    _ if allowed < count => return,
                    _ => {}
                }
            }
        }
    }
}

/// A bare connection, for what our client does not do.
pub struct Raw {
    client: Client<Compat<Connection>>,
    database: Option<String>,
}

impl Raw {
    pub async fn new(stream: Connection, database: Option<String>, user: &str, password: &str) -> Raw {
        let mut client = Client::new(stream.compat(), &[0x0404, 0, 0, 0]).await.unwrap();
        let login = [("user_agent", "test/1"), ("scheme", "basic"), ("principal", user), ("credentials", password)];
        let answer = client.hello(login.into_iter().collect()).await.unwrap();
        assert!(matches!(answer, Message::Success(_)), "{answer:?}");
        Raw { client, database }
    }

    pub async fn begin(&mut self, tx_timeout_ms: i64) {
        let database = self.database.clone().map(|name| ("db", Bolt::from(name)));
        let metadata = std::iter::once(("tx_timeout", Bolt::from(tx_timeout_ms))).chain(database).collect();
        let answer = self.client.begin(Some(metadata)).await.unwrap();
        assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    }

    /// Runs a statement with one parameter and returns its rows, or the code of the failure.
    pub async fn run(
        &mut self,
        statement: &Statement,
        name: &str,
        value: impl Into<Bolt>,
    ) -> Result<Vec<Vec<Bolt>>, String> {
        let params = [(name, value.into())].into_iter().collect();
        success(self.client.run(statement.cypher, Some(params), None).await.unwrap())?;
        let (records, end) = self.client.pull(Some([("n", -1)].into_iter().collect())).await.unwrap();
        success(end)?;
        Ok(records.into_iter().map(|record| record.fields().to_vec()).collect())
    }

    /// Commits, or returns the code of the failure.
    pub async fn commit(&mut self) -> Result<(), String> {
        success(self.client.commit().await.unwrap())
    }

    /// One statement in a transaction of its own.
    pub async fn transaction(
        &mut self,
        statement: &Statement,
        name: &str,
        value: impl Into<Bolt>,
    ) -> Result<Vec<Vec<Bolt>>, String> {
        self.begin(30_000).await;
        let rows = self.run(statement, name, value).await?;
        self.commit().await?;
        Ok(rows)
    }

    /// How many records each part had.
    pub async fn pull_in_parts(&mut self, statement: &Statement, size: i64) -> Vec<usize> {
        success(self.client.run(statement.cypher, None, None).await.unwrap()).unwrap();
        let mut parts = Vec::new();
        loop {
            let (records, end) = self.client.pull(Some([("n", size)].into_iter().collect())).await.unwrap();
            parts.push(records.len());
            let Message::Success(success) = end else { panic!("{end:?}") };
            if success.metadata().get("has_more") != Some(&Bolt::Boolean(true)) {
                return parts;
            }
        }
    }

    /// The kinds of the answers to a bad statement, what was sent with it, RESET, and BEGIN.
    pub async fn fail_and_recover(&mut self) -> Vec<&'static str> {
        let run = |text: &str| {
            Message::RunWithMetadata(RunWithMetadata::new(text.to_owned(), Default::default(), Default::default()))
        };
        let pull = Message::Pull(Pull::new(Default::default()));
        let mut answers = self.client.pipeline(vec![run(UNHEARD_OF.cypher), pull, run(COUNT.cypher)]).await.unwrap();
        answers.push(self.client.reset().await.unwrap());
        answers.push(self.client.begin(None).await.unwrap());
        let kind = |message: &Message| match message {
            Message::Success(_) => "SUCCESS",
            Message::Failure(_) => "FAILURE",
            Message::Ignored => "IGNORED",
            _ => "other",
        };
        answers.iter().map(kind).collect()
    }
}

fn success(message: Message) -> Result<(), String> {
    match message {
        Message::Success(_) => Ok(()),
        Message::Failure(failure) => match &failure.metadata()["code"] {
            Bolt::String(code) => Err(code.clone()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
