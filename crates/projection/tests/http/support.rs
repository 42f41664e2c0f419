//! A projector in this process that can be killed, on an embedded graph in a real file; requests as plain text.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use env::{BoxFuture, Env, Environment, Layer, Production};
use futures_util::future::{AbortHandle, abortable};
use graph::{EntityId, Millis};
use projection::client::Client;
use projection::dump::dump;
use projection::event::Event;
use projection::http::{Problem, serve};
use projection::log::{HttpLog, HttpLogOptions};
use projection::service::{Options, Projector};
use serde_json::{Value, json};
use stores::GraphStore;
use stores::embedded::EmbeddedGraph;
use stores::sqlite::Check;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use web::client::NotAToken;
use web::server::Serving;

use crate::store::EventStore;

/// Longer than anything here takes: what runs into it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at a condition.
const LOOK: Duration = Duration::from_millis(5);

/// The surroundings of a process that can be killed: all of its tasks end between one await and the next.
#[derive(Clone, Default)]
struct Mortal(Arc<Mutex<Vec<AbortHandle>>>);

impl Mortal {
    fn kill(&self) {
        self.0.lock().expect("no test panics with it").drain(..).for_each(|task| task.abort());
    }
}

impl Layer for Mortal {
    fn beneath(&self) -> &dyn Environment {
        &Production
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let (task, handle) = abortable(task);
        let mut tasks = self.0.lock().expect("no test panics with it");
        tasks.retain(|task| !task.is_aborted());
        tasks.push(handle);
        Production.spawn(Box::pin(async {
            // Killed or ended: there is nothing to say.
            let _ = task.await;
        }));
    }
}

/// A projector in this process, with its server.
pub struct Running {
    process: Mortal,
    pub projector: Projector,
    pub graph: EmbeddedGraph,
    pub address: String,
}

/// Opens the graph in a folder.
pub async fn open(folder: &Path) -> EmbeddedGraph {
    EmbeddedGraph::open(&Env::new(Production), &folder.join("graph.db"), Check::Skip).await.expect("a graph")
}

/// With short pauses, and small pages, so that there are many.
pub fn options() -> Options {
    let mut options = Options { stubs_period: Duration::from_millis(20), ..Options::default() };
    options.lanes.page = 7;
    options.lanes.buffer_max = 9;
    options.lanes.campaign_page = 2;
    options.lanes.run_max = 4;
    options.lanes.backoff_ms = Millis(1);
    options.lanes.backoff_ms_max = Millis(20);
    options.lanes.checkpoint_period_ms = Millis(5);
    options
}

/// How the log is read here.
pub fn http_log(env: Env, store: &EventStore) -> HttpLog {
    let options = HttpLogOptions {
        wait: Duration::from_millis(50),
        timeout: PATIENCE,
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(10),
    };
    HttpLog::new(env, &store.address, options, Ok::<_, NotAToken>).expect("it needs no token")
}

impl Running {
    pub async fn start(graph: EmbeddedGraph, store: &EventStore) -> Running {
        Running::start_with(graph, store, options(), Serving::default()).await
    }

    pub async fn start_with(graph: EmbeddedGraph, store: &EventStore, options: Options, serving: Serving) -> Running {
        let process = Mortal::default();
        let env = Env::new(process.clone());
        let log = Arc::new(http_log(env.clone(), store));
        let projector =
            Projector::start(env.clone(), options, Arc::new(graph.clone()), log).await.expect("an embedded graph");
        let listener = env.listen("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_address();
        let forever = std::future::pending::<()>();
        env.spawn(serve(env.clone(), listener, projector.clone(), serving, forever));
        Running { process, projector, graph, address }
    }

    /// Ends the process where it stands; returns when its file is closed.
    pub async fn kill(self) {
        let Running { process, projector, graph, .. } = self;
        process.kill();
        let closed = graph.closed();
        drop((projector, graph));
        closed.await;
    }

    pub fn client(&self) -> Client {
        Client::new(Env::new(Production), &self.address, PATIENCE)
    }

    /// Waits until all that the log has is in the graph, or parked.
    pub async fn settle(&self, store: &EventStore) {
        let settled = async {
            loop {
                let status = self.projector.status().await;
                if status.low_water == store.end() && status.lanes == 0 && !status.rebuilding {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            panic!("it never settles: {:?} of {}", self.projector.health().await, store.end());
        }
    }

    /// Waits until something is so.
    pub async fn until(&self, what: impl AsyncFn(&Projector) -> bool) {
        let waited = async {
            while !what(&self.projector).await {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.expect("it never comes");
    }

    /// The graph is what the log says.
    pub async fn check(&self, store: &EventStore) {
        check(&self.graph, store).await;
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.get_with(target, "").await
    }

    /// With these header lines, each ended by a line break.
    pub async fn get_with(&self, target: &str, headers: &str) -> Reply {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")).await
    }

    pub async fn send(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut text = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await;
        read.expect("no end of the reply").expect("a text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply but {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// The graph is what the log says.
pub async fn check(graph: &dyn GraphStore, store: &EventStore) {
    let reference = reference_fold::fold(&store.log());
    let dump = dump(graph, 10_000, PATIENCE).await.expect("it is readable");
    assert_eq!(dump.graph.to_string(), reference.graph.to_string());
    for (resource, mark) in &reference.marks {
        let applied = dump.marks.get(resource).cloned().unwrap_or_default();
        assert_eq!(applied.sequence, *mark, "the mark of {resource}");
        let poison = applied.poison.as_ref().map(|poison| poison.sequence);
        assert_eq!(poison, reference.poison.get(resource).copied(), "the poison of {resource}");
    }
}

/// A response, as text.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body of a success.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/json")), "{self:?}");
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The body of an error.
    #[track_caller]
    pub fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        serde_json::from_str(&self.body).expect("a problem document")
    }
}

pub fn id(text: &str) -> EntityId {
    text.parse().expect("an id")
}

/// An event of a resource.
pub fn event(resource: &str, sequence: u64, kind: &str, payload: &Value) -> Arc<Event> {
    let envelope = json!({
        "id": format!("{resource}-{sequence}"), "type": kind, "timestamp": "t", "resourceId": resource, "userId": "u",
        "version": 1, "payload": payload, "metadata": { "sequenceNumber": sequence },
    });
    Arc::new(serde_json::from_value(envelope).expect("an event"))
}

pub fn created(resource: &str) -> Arc<Event> {
    let payload = json!({ "name": resource, "format": "f", "contentChecksum": "c", "entityTypes": [] });
    event(resource, 1, "resource.created", &payload)
}

/// An annotation `a` of one resource that links to another.
pub fn linked(resource: &str, sequence: u64, target: &str) -> Arc<Event> {
    let body = json!([{ "type": "SpecificResource", "source": target, "purpose": "linking" }]);
    let annotation = json!({ "id": "a", "motivation": "m", "target": { "source": resource }, "body": body });
    event(resource, sequence, "annotation.added", &json!({ "annotation": annotation }))
}

pub fn unlinked(resource: &str, sequence: u64) -> Arc<Event> {
    event(resource, sequence, "annotation.removed", &json!({ "annotationId": "a" }))
}

/// An event of a type that nobody knows.
pub fn unknown(resource: &str, sequence: u64) -> Arc<Event> {
    event(resource, sequence, "resource.vanished", &json!({}))
}
