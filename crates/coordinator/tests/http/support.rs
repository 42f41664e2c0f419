//! A server in this process, a graph whose mood the test sets, and requests as plain text.

use std::sync::Arc;
use std::time::Duration;

use coordinator::client::Client;
use coordinator::http::{Limits, Serving, serve};
use coordinator::problem::Problem;
use coordinator::service::{Coordinator, Options};
use env::{BoxFuture, Env, Production};
use stores::embedded::EmbeddedGraph;
use stores::sqlite::Check;
use stores::{Call, GraphError, GraphStore, Rows, Uniqueness};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

/// Longer than anything here takes: what runs into it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn production() -> Env {
    Env::new(Production)
}

/// How a graph treats those who ask it for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It works.
    Willing,
    /// It says nothing until the limit, and does nothing either.
    Silent,
    /// It refuses, for good.
    Unwilling,
}

/// An embedded graph with a mood.
pub struct Moody {
    pub graph: EmbeddedGraph,
    mood: watch::Receiver<Mood>,
}

impl GraphStore for Moody {
    fn execute(&self, calls: Vec<Call>, limit: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>> {
        let mood = *self.mood.borrow();
        Box::pin(async move {
            match mood {
                Mood::Willing => self.graph.execute(calls, limit).await,
                Mood::Silent => {
                    tokio::time::sleep(limit).await;
                    Err(GraphError::Unknown { why: "not a word".to_owned() })
                }
                Mood::Unwilling => Err(GraphError::Refused {
                    code: "No".to_owned(),
                    message: "not today".to_owned(),
                    retryable: false,
                }),
            }
        })
    }

    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>> {
        self.graph.ensure_unique(constraints)
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        self.graph.warnings()
    }
}

/// A server in this process; it ends with the test's runtime.
pub struct Server {
    pub address: String,
    pub mood: watch::Sender<Mood>,
    pub data: TempDir,
    pub graph: Arc<Moody>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Server {
    /// A server with the defaults, which outlast any test.
    pub async fn start() -> Server {
        Server::start_with(|_| {}, Limits::default()).await
    }

    /// A server that gives up soon, for graphs that do not answer.
    pub async fn start_impatient() -> Server {
        let impatient = |options: &mut Options| {
            options.commit.answer_timeout_ms.0 = 300;
            options.commit.backoff_ms.0 = 5;
            options.graph_limit = Duration::from_millis(20);
        };
        Server::start_with(impatient, Limits::default()).await
    }

    pub async fn start_with(tune: impl FnOnce(&mut Options), serving: impl Into<Serving>) -> Server {
        let serving = serving.into();
        let (env, data) = (production(), tempfile::tempdir().unwrap());
        let graph = EmbeddedGraph::open(&env, &data.path().join("graph.db"), Check::Skip).await.unwrap();
        let (mood, moods) = watch::channel(Mood::Willing);
        let mut options = Options::new(data.path());
        tune(&mut options);
        let graph = Arc::new(Moody { graph, mood: moods });
        let coordinator = Coordinator::start(env.clone(), options, graph.clone()).await.unwrap();
        let listener = env.listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_address();
        let ((stop, stopped), (end, ended)) = (oneshot::channel(), oneshot::channel());
        env.spawn({
            let env = env.clone();
            async move {
                serve(env, listener, coordinator, serving, stopped).await.unwrap();
                let _ = end.send(());
            }
        });
        Server { address, mood, data, graph, stop, ended }
    }

    pub fn client(&self) -> Client {
        Client::new(production(), &self.address, PATIENCE)
    }

    /// Tells the server to stop; returns what resolves when it has.
    pub fn stop(self) -> oneshot::Receiver<()> {
        self.stop.send(()).unwrap();
        self.ended
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    pub async fn post(&self, key: &str, operations: &str) -> Reply {
        self.post_body(&format!("Idempotency-Key: {key}\r\n{JSON}"), &format!("{{\"operations\": {operations}}}")).await
    }

    /// Posts a transaction with these header lines, each ended by a line break.
    pub async fn post_body(&self, headers: &str, body: &str) -> Reply {
        let length = body.len();
        let head = format!(
            "POST /transactions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        self.send(&(head + body)).await
    }

    /// Posts JSON.
    pub async fn post_to(&self, path: &str, body: &str) -> Reply {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{JSON}Content-Length: {length}\r\n\r\n");
        self.send(&(head + body)).await
    }

    pub async fn send(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Reply::read(&mut stream).await
    }
}

/// The header line of a JSON body.
pub const JSON: &str = "Content-Type: application/json\r\n";

/// An operation that creates an entity of no importance.
pub fn create(id: &str) -> String {
    format!(r#"[{{"create": {{"id": "{id}", "kind": "thing", "properties": {{"n": 1, "x": 1.0}}}}}}]"#)
}

/// A response, as text.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    body: String,
}

impl Reply {
    /// Reads until the server closes the connection.
    pub async fn read(stream: &mut TcpStream) -> Reply {
        let mut text = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("no end of the reply").unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply but {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body of a success.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/json")), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The body of an error.
    #[track_caller]
    pub fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!((problem.status, problem.title.as_str()), (self.status, problem.kind.title()));
        problem
    }

    pub fn body(&self) -> &str {
        &self.body
    }
}
