//! What a process needs from its surroundings.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use crate::claim::{Claim, ClaimError};
use graph::Millis;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A byte stream: TCP in production, simulated TCP in simulation.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// An open connection.
pub type Connection = Box<dyn Stream>;

/// A socket that accepts connections.
pub trait Listener: Send + 'static {
    /// Waits for the next connection; also says where it comes from.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Connection, String)>>;

    /// The address that was bound, with the port the system chose if none was asked for.
    fn local_address(&self) -> String;
}

/// Before an effect is carried out, or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum When {
    /// The effect has not begun.
    Before,
    /// The effect has ended, and the core has not been told.
    After,
}

/// A place at which a simulation may stop a process: between an effect and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// The core whose effect it is, for example `commit`.
    pub core: &'static str,
    /// The effect, for example `decide`.
    pub effect: &'static str,
    /// Which side of it.
    pub when: When,
}

/// `commit.decide.before`: how scenarios and reports name a point.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.when {
            When::Before => "before",
            When::After => "after",
        };
        write!(f, "{}.{}.{when}", self.core, self.effect)
    }
}

/// What a core was told, what it asked for, and which decision it made.
///
/// Production logs them; a simulation records and hashes them.
#[derive(Clone, Copy)]
pub enum Observation<'a> {
    /// An input, as given to `handle`.
    Input(&'a dyn fmt::Debug),
    /// An effect, as returned by `handle`.
    Effect(&'a dyn fmt::Debug),
    /// A decision that mattered.
    Mark(&'a dyn fmt::Debug),
}

/// The surroundings of a process; see [`Env`] for what callers use.
pub trait Environment: Send + Sync + 'static {
    /// Opens a connection to `host:port`.
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connection>>;

    /// Listens on `host:port`.
    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;

    /// Runs a task in the background until it ends or the process does.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Runs work that blocks: on a thread in production, inline in simulation, where the
    /// time it took is charged before this returns.
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;

    /// Milliseconds since the Unix epoch. May jump, in either direction.
    fn utc_now(&self) -> Millis;

    /// Fills the buffer with random bytes.
    fn entropy(&self, bytes: &mut [u8]);

    /// The SQLite VFS to open databases with; `None` is SQLite's own.
    fn vfs(&self) -> Option<&str>;

    /// Writes a file's content again, and syncs the file and its directory; see [`Env::persist`].
    fn persist(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder this process's alone; see [`Env::claim`].
    fn claim(&self, folder: &Path) -> Result<Claim, ClaimError>;

    /// Told when a process reaches a point. Returns at once in production; in simulation it
    /// may take its time, or never return.
    fn point(&self, point: Point) -> BoxFuture<'_, ()>;

    /// Told what the core named `core` was given, asked for or decided.
    fn observe(&self, core: &'static str, observation: Observation<'_>);
}

/// The surroundings of a process: a cheap handle.
#[derive(Clone)]
pub struct Env(Arc<dyn Environment>);

impl Env {
    /// Wraps an environment.
    pub fn new(environment: impl Environment) -> Env {
        Env(Arc::new(environment))
    }

    /// Opens a connection to `host:port`. Has no time-out of its own.
    pub async fn connect(&self, address: &str) -> io::Result<Connection> {
        self.0.connect(address).await
    }

    /// Listens on `host:port`.
    pub async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        self.0.listen(address).await
    }

    /// Runs a task in the background until it ends or the process does.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(Box::pin(task));
    }

    /// Runs work that blocks and waits for its result.
    ///
    /// # Panics
    ///
    /// When the work panics: a panic is a defect, never an outcome.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move || {
            // The receiver lives until the end of this function.
            let _ = sender.send(work());
        });
        self.0.blocking(work).await;
        receiver.await.expect("blocking work ended without a result: it panicked")
    }

    /// Milliseconds since the Unix epoch. May jump, in either direction.
    pub fn utc_now(&self) -> Millis {
        self.0.utc_now()
    }

    /// Fills the buffer with random bytes.
    pub fn entropy(&self, bytes: &mut [u8]) {
        self.0.entropy(bytes);
    }

    /// The SQLite VFS to open databases with; `None` is SQLite's own.
    pub fn vfs(&self) -> Option<&str> {
        self.0.vfs()
    }

    /// Makes a file's content and its name durable, whatever became of earlier attempts. Blocks: call it inside
    /// [`blocking`](Self::blocking). Nothing happens where there is no such file.
    ///
    /// A sync that failed may have left the operating system with a cache that shows what the medium does not have, and
    /// that counts as clean (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So the
    /// content is written again before it is synced. The file must not change meanwhile.
    pub fn persist(&self, path: &Path) -> io::Result<()> {
        self.0.persist(path)
    }

    /// Makes a folder this process's alone, and creates it where it is missing. Blocks for as long as the file system
    /// takes, never for who has it.
    ///
    /// # Errors
    ///
    /// See [`ClaimError`].
    pub fn claim(&self, folder: &Path) -> Result<Claim, ClaimError> {
        self.0.claim(folder)
    }

    /// Announces that a point was reached.
    pub async fn point(&self, point: Point) {
        self.0.point(point).await;
    }

    /// Announces what a core was given, asked for or decided.
    pub fn observe(&self, core: &'static str, observation: Observation<'_>) {
        self.0.observe(core, observation);
    }
}
