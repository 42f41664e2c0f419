//! What the benchmarks of this folder share: a log in memory, and a projector on a graph on a real disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::{BoxFuture, Env, Production};
use graph::EntityId;
use projection::event::Event;
use projection::log::{EventLog, Fed, LogError, Page};
use projection::service::{Options, Projector};
use serde_json::{Value, json};
use stores::GraphStore;
use stores::embedded::EmbeddedGraph;
use stores::sqlite::Check;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

/// How long the log waits for an event: there will be none.
const WAIT: Duration = Duration::from_secs(2);

/// The pause between two looks at a condition.
const LOOK: Duration = Duration::from_millis(2);

/// Long enough never to decide a measurement.
pub const LIMIT: Duration = Duration::from_secs(600);

/// Whether this only shows that the benchmark works. `cargo bench` adds `--bench` to the arguments.
pub fn is_smoke() -> bool {
    !std::env::args().any(|argument| argument == "--bench")
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

/// An embedded graph in a folder.
pub async fn open(folder: &Path) -> Arc<dyn GraphStore> {
    let opened = EmbeddedGraph::open(&Env::new(Production), &folder.join("graph.db"), Check::Quick).await;
    Arc::new(opened.expect("the graph opens"))
}

/// A log in memory, so that what is measured is the projector.
pub struct MemoryLog {
    /// In the order of their positions, from 1.
    pub events: Vec<Arc<Event>>,
    streams: BTreeMap<EntityId, Vec<Arc<Event>>>,
}

impl MemoryLog {
    /// So many events of so many resources, which take turns; of `parked` of them nobody can fold the second event.
    ///
    /// A resource is created; then it gets annotations with two links each, whose bodies change, and tags.
    pub fn new(events: usize, resources: usize, parked: usize) -> MemoryLog {
        let events: Vec<Arc<Event>> = (0..events)
            .map(|n| {
                let (resource, sequence) = (n % resources, n / resources + 1);
                let (kind, payload) = content(resource, sequence, resources, resource < parked);
                let envelope = json!({
                    "id": format!("e{n}"), "type": kind, "timestamp": "2026-11-22T00:00:00Z", "resourceId": name(resource),
                    "userId": "u", "version": 1, "payload": payload, "metadata": { "sequenceNumber": sequence },
                });
                Arc::new(serde_json::from_value(envelope).expect("an event"))
            })
            .collect();
        let mut streams: BTreeMap<EntityId, Vec<Arc<Event>>> = BTreeMap::new();
        for event in &events {
            streams.entry(event.position.resource.clone()).or_default().push(event.clone());
        }
        MemoryLog { events, streams }
    }
}

fn name(resource: usize) -> String {
    format!("resource-{resource:06}")
}

fn content(resource: usize, sequence: usize, resources: usize, parks: bool) -> (&'static str, Value) {
    let link = |by: usize| {
        let source = name((resource * 7 + sequence * by) % resources);
        json!({ "type": "SpecificResource", "source": source, "purpose": "linking" })
    };
    let annotation = format!("a{}", sequence / 4);
    match sequence {
        1 => ("resource.created", json!({ "name": name(resource), "format": "text/plain", "contentChecksum": "c" })),
        2 if parks => ("resource.vanished", json!({})),
        _ => match sequence % 4 {
            0 | 2 => {
                let target = json!({ "source": name(resource) });
                // Two names, so that no update is of an annotation that is not there.
                let annotation = if sequence.is_multiple_of(4) { annotation } else { format!("b{}", sequence / 4) };
                let body = [link(11), link(13)];
                let annotation = json!({ "id": annotation, "motivation": "linking", "target": target, "body": body });
                ("annotation.added", json!({ "annotation": annotation }))
            }
            1 => {
                let operations = json!([{ "op": "add", "item": link(17) }]);
                ("annotation.body.updated", json!({ "annotationId": annotation, "operations": operations }))
            }
            _ => ("entitytag.added", json!({ "entityType": format!("type-{}", sequence % 5) })),
        },
    }
}

impl EventLog for MemoryLog {
    fn stream<'a>(
        &'a self,
        resource: &'a EntityId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Arc<Event>>, LogError>> {
        let events = self.streams.get(resource).map_or(&[][..], Vec::as_slice);
        let rest = &events[position(after).min(events.len())..];
        let page = Page { items: rest.iter().take(limit).cloned().collect(), more: rest.len() > limit };
        Box::pin(async { Ok(page) })
    }

    fn feed(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Fed, LogError>> {
        let events = (1..).zip(self.events.iter().cloned()).skip(position(after)).take(limit);
        let events: Vec<(u64, Arc<Event>)> = events.collect();
        Box::pin(async move {
            if events.is_empty() {
                sleep(WAIT).await;
            }
            let through = events.last().map_or(after, |(position, _)| *position);
            Ok(Fed { events, through, last: self.events.len() as u64, ..Fed::default() })
        })
    }

    fn resources<'a>(
        &'a self,
        after: Option<&'a EntityId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<EntityId>, LogError>> {
        let mut rest = self.streams.keys().skip_while(move |resource| after.is_some_and(|after| *resource <= after));
        let items = rest.by_ref().take(limit).cloned().collect();
        let page = Page { items, more: rest.next().is_some() };
        Box::pin(async { Ok(page) })
    }
}

fn position(after: u64) -> usize {
    usize::try_from(after).expect("a position of a log in memory")
}

/// Starts a projector as the program does, and waits until the graph shows the log. Returns how long that took.
pub async fn project(graph: Arc<dyn GraphStore>, log: Arc<MemoryLog>) -> (Projector, Duration) {
    let end = log.events.len() as u64;
    let options = Options { graph_limit: LIMIT, ..Options::default() };
    let began = Instant::now();
    let projector = Projector::start(Env::new(Production), options, graph, log).await.expect("the graph can be used");
    loop {
        let status = projector.status().await;
        if status.low_water == end && status.lanes == 0 {
            return (projector, began.elapsed());
        }
        sleep(LOOK).await;
    }
}
