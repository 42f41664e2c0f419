//! A coordinator on a simulated disk, with a graph in memory that outlives it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use coordinator::commit::{Answer, Decision, IdempotencyKey, Settled};
use coordinator::service::{Coordinator, Options, StartError};
use disk::{Death, Disk, Image};
use env::{BoxFuture, Env, Environment, Layer, Point, Production};
use graph::{Millis, Patch, TxId};
use rusqlite::OpenFlags;
use stores::memory::MemoryGraph;

pub const LEDGER: &str = "/data/ledger.db";
pub const WAL: &str = "/data/ledger.db-wal";

/// What happens when a point is reached, by its name.
type AtPoint = Box<dyn FnMut(&str) + Send>;

/// The machine and the graph: what is left when a process ends.
#[derive(Clone)]
pub struct World {
    pub disk: Disk,
    pub graph: MemoryGraph,
    /// The time of day, which nothing may depend on.
    pub utc_ms: Arc<AtomicU64>,
    draws: Arc<AtomicU64>,
    at_point: Arc<Mutex<Option<AtPoint>>>,
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            disk: Disk::new(seed),
            graph: MemoryGraph::new(),
            utc_ms: Arc::default(),
            draws: Arc::default(),
            at_point: Arc::default(),
        }
    }

    pub async fn start(&self) -> Result<Coordinator, StartError> {
        self.start_with(Options::new("/data")).await
    }

    pub async fn start_with(&self, options: Options) -> Result<Coordinator, StartError> {
        Coordinator::start(Env::new(self.clone()), options, Arc::new(self.graph.clone())).await
    }

    pub fn at_point(&self, hook: impl FnMut(&str) + Send + 'static) {
        *self.at_point.lock().unwrap() = Some(Box::new(hook));
    }

    /// Ends the process, and the disk is there for the next one.
    pub fn kill(&self, coordinator: Coordinator) {
        *self.at_point.lock().unwrap() = None;
        self.disk.die(Death::Kill);
        drop(coordinator);
        self.disk.revive();
    }

    /// Puts an older copy of the disk in; nothing may be running.
    pub fn put_back(&self, image: &Image) {
        self.disk.restore(image);
        self.disk.revive();
    }

    /// A connection beside the coordinator's, as somebody with a shell has.
    pub fn shell(&self) -> rusqlite::Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        rusqlite::Connection::open_with_flags_and_vfs(LEDGER, flags, self.disk.vfs_name()).unwrap()
    }
}

pub fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey(text.to_owned())
}

pub fn create(id: &str) -> Patch {
    serde_json::from_str(&format!(r#"[{{"create": {{"id": "{id}", "kind": "thing"}}}}]"#)).unwrap()
}

/// Commits a transaction that creates an entity named as its key.
pub async fn commit(coordinator: &Coordinator, name: &str) -> TxId {
    match coordinator.submit(key(name), create(name)).await.unwrap() {
        Answer::Settled(Settled { tx, decision: Decision::Committed }) => tx,
        answer => panic!("{name} was answered {answer:?}"),
    }
}

impl Layer for World {
    fn beneath(&self) -> &dyn Environment {
        &Production
    }

    /// Inline, so that paused time goes on only when everybody waits for it.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        work();
        Box::pin(std::future::ready(()))
    }

    fn utc_now(&self) -> Millis {
        Millis(self.utc_ms.load(Ordering::Relaxed))
    }

    fn entropy(&self, bytes: &mut [u8]) {
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        bytes.fill(u8::try_from(draw % 251).unwrap());
    }

    fn vfs(&self) -> Option<&str> {
        Some(self.disk.vfs_name())
    }

    fn persist(&self, path: &Path) -> io::Result<()> {
        self.disk.rewrite(path.to_str().expect("tests write ASCII")).map(drop)
    }

    fn point(&self, point: Point) -> BoxFuture<'_, ()> {
        if let Some(hook) = self.at_point.lock().unwrap().as_mut() {
            hook(&point.to_string());
        }
        Box::pin(std::future::ready(()))
    }
}
