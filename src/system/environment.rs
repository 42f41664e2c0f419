//! The production crates' seam to the outside, filled by a simulated host.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use env::{BoxFuture, Claim, ClaimError, Connection, Core, Environment, Holder, Listener, Observation, Point};
use graph::Millis;
use projection::lanes::Lanes;

use crate::record::mark_name;
use crate::world::{Host, TcpListener};

/// A simulated host as the production crates see their surroundings.
pub struct Simulated {
    host: Host,
    vfs: String,
    claims: Claims,
}

/// Which folders of a machine are claimed. What holds a claim goes with its process.
pub type Claims = Arc<Mutex<BTreeMap<PathBuf, Weak<()>>>>;

impl Simulated {
    /// The surroundings of a process on this host, which shares no folder with others.
    pub fn new(host: Host) -> Simulated {
        Simulated::beside(host, Claims::default())
    }

    /// The surroundings of one of several processes on this host.
    pub fn beside(host: Host, claims: Claims) -> Simulated {
        let vfs = host.disk().vfs_name().to_owned();
        Simulated { host, vfs, claims }
    }
}

impl Environment for Simulated {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move { Ok(Box::new(self.host.connect(address).await?) as Connection) })
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = self.host.listen(address).await?;
            Ok(Box::new(Socket { listener, address: address.to_owned() }) as Box<dyn Listener>)
        })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.host.spawn(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let host = self.host.clone();
        Box::pin(async move { host.blocking(work).await })
    }

    fn utc_now(&self) -> Millis {
        Millis(self.host.utc_now_ms())
    }

    fn entropy(&self, bytes: &mut [u8]) {
        self.host.entropy(bytes);
    }

    fn vfs(&self) -> Option<&str> {
        Some(&self.vfs)
    }

    fn persist(&self, path: &Path) -> io::Result<()> {
        let path = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        self.host.disk().rewrite(path).map(drop)
    }

    fn claim(&self, folder: &Path) -> Result<Claim, ClaimError> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.get(folder).is_some_and(|held| held.strong_count() > 0) {
            return Err(ClaimError::InUse { path: folder.to_owned(), holder: Holder::Unnamed });
        }
        let held = Arc::new(());
        claims.insert(folder.to_owned(), Arc::downgrade(&held));
        Ok(Claim::new(folder, held))
    }

    fn point(&self, point: Point) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.host.point(&point.to_string()).await })
    }

    fn observe(&self, core: &'static str, observation: Observation<'_>) {
        match observation {
            Observation::Input(input) => self.host.input(core, input),
            Observation::Effect(effect) => self.host.effect(core, effect),
            Observation::Mark(mark) if core == Lanes::NAME => {
                self.host.mark_as(core, of_the_lanes(&mark_name(&format!("{mark:?}"))), mark);
            }
            Observation::Mark(mark) => self.host.mark(core, mark),
        }
    }
}

/// The name of a mark of the lanes: the coordinator has some of the same words for other things.
pub fn of_the_lanes(mark: &str) -> String {
    format!("{}.{mark}", Lanes::NAME)
}

struct Socket {
    listener: TcpListener,
    address: String,
}

impl Listener for Socket {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Connection, String)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            Ok((Box::new(stream) as Connection, peer.to_string()))
        })
    }

    fn local_address(&self) -> String {
        self.address.clone()
    }
}
