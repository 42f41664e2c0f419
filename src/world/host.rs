//! What simulated software sees of its host.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use disk::Disk;

use super::engine::{Lifeline, TcpListener, TcpStream, dial};
use super::state::{HostId, Shared};
use crate::record::What;
use crate::record::mark_name;

/// A simulated host, as one run of its software sees it: a cheap handle.
///
/// Timers are tokio's own: simulated time is what they measure. A host dies at any of its `await`s, and may be dead
/// before its software notices: then nothing here returns any more, and what it did is lost. A restarted host is given a
/// new handle.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
    id: HostId,
    lifeline: Lifeline,
}

impl Host {
    pub(super) fn new(shared: &Arc<Shared>, id: HostId) -> Host {
        let lifeline = shared.state().hosts[id.0].lifeline.clone();
        Host { shared: shared.clone(), id, lifeline }
    }

    pub(super) fn id(&self) -> HostId {
        self.id
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Its name, which is also its address.
    pub fn name(&self) -> &str {
        self.shared.name(self.id)
    }

    /// Opens a connection to `host:port`.
    ///
    /// Takes a round trip. Fails when nobody listens there or the host's process is dead. Has no time-out of its own:
    /// through a cut, or to a machine without power, it never returns.
    pub async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        self.lifeline.hold().await;
        let (name, port) = split(address)?;
        let is_local = name == self.name() || name == "localhost";
        let peer = if is_local { Some(self.id) } else { self.shared.find(name) };
        let ip = peer.and_then(|peer| self.shared.state().hosts[peer.0].address);
        let (Some(peer), Some(ip)) = (peer, ip) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no host is named {name}")));
        };
        if is_local {
            return dial(ip, port, &self.lifeline).await;
        }
        // The SYN is sent when `dial` is first polled: right below, before anybody else can send one.
        let refused = self.shared.state().network.call(self.id, peer);
        let result = tokio::select! {
            biased;
            result = dial(ip, port, &self.lifeline) => result,
            () = arrival(refused) => return Err(refusal(address)),
        };
        let answer = self.shared.state().reply(peer, self.id, result.is_ok(), self.shared.clock.now_ms());
        arrival(answer).await;
        self.lifeline.hold().await;
        result.map_err(|_| refusal(address))
    }

    /// Listens on `address:port`. The address is ignored: a host has one. Port 0 lets the host choose.
    pub async fn listen(&self, address: &str) -> io::Result<TcpListener> {
        self.lifeline.hold().await;
        let (_, port) = split(address)?;
        TcpListener::bind(port, &self.lifeline).await
    }

    /// Runs a task until it ends or the process does.
    #[expect(clippy::disallowed_methods, reason = "this is what simulated software is sent to instead")]
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    /// Runs work that blocks: here and now, in no time. The time that the host's disk took for it passes before this
    /// returns.
    pub async fn blocking<T>(&self, work: impl FnOnce() -> T) -> T {
        self.lifeline.hold().await;
        let result = work();
        self.lifeline.hold().await;
        let (latency, pause_ms) = {
            let mut state = self.shared.state();
            let latency = state.hosts[self.id.0].take_disk_latency();
            (latency, state.pause(self.id, "blocking work", self.shared.clock.now_ms()))
        };
        self.stand_still(latency + Duration::from_millis(pause_ms.unwrap_or(0))).await;
        result
    }

    /// What the host takes for the time of day: milliseconds since the Unix epoch. It may be wrong, and go back.
    pub fn utc_now_ms(&self) -> u64 {
        self.shared.utc(self.id).as_millis() as u64
    }

    /// Lets the host's store forget acknowledged commits, if a plan says so: `undo` is given how many, and returns how
    /// many it could. To be called as a process starts, by hosts with [`HostSpec::forgets`](crate::sut::HostSpec).
    pub fn forget(&self, undo: impl Fn(u64) -> u64) {
        let forgets = std::mem::take(&mut self.shared.state().hosts[self.id.0].forgets);
        for (fault, commits) in forgets {
            let undone = undo(commits);
            let mut state = self.shared.state();
            state.event(self.id, format!("forgot {undone} commits"), self.shared.clock.now_ms());
            if undone > 0 {
                state.faults.fire(fault);
            }
        }
    }

    /// Milliseconds since the run began.
    pub fn elapsed_ms(&self) -> u64 {
        self.shared.clock.now_ms()
    }

    /// Fills the buffer with random bytes, from a stream of the host's own.
    pub fn entropy(&self, bytes: &mut [u8]) {
        self.shared.state().entropy(self.id, bytes, self.shared.clock.now_ms());
    }

    /// The host's disk. It outlives the process.
    pub fn disk(&self) -> Disk {
        self.shared.disk(self.id)
    }

    /// Announces that a named point was reached: where a plan may pause whoever is here, or let the host die.
    pub async fn point(&self, name: &str) {
        self.lifeline.hold().await;
        let pause_ms = self.shared.state().reach_named(self.id, name, self.shared.clock.now_ms());
        self.lifeline.hold().await;
        if let Some(ms) = pause_ms {
            self.stand_still(Duration::from_millis(ms)).await;
        }
    }

    /// Announces a named point in code that cannot wait: a plan may let the host die here or cut its links, but not
    /// pause anybody.
    pub fn pass(&self, name: &str) {
        if !self.lifeline.is_cut() {
            self.shared.state().pass(self.id, name, self.shared.clock.now_ms());
        }
    }

    async fn stand_still(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
            self.lifeline.hold().await;
        }
    }

    /// Records what a core was given.
    pub fn input(&self, core: &str, input: &dyn fmt::Debug) {
        self.observe(core, What::Input, input);
    }

    /// Records what a core asked for.
    pub fn effect(&self, core: &str, effect: &dyn fmt::Debug) {
        self.observe(core, What::Effect, effect);
    }

    /// Records what somebody saw who looks at a store, for checks: nothing that the software knows of.
    pub fn seen(&self, what: &str, sighting: &dyn fmt::Debug) {
        self.observe(what, What::Seen, sighting);
    }

    /// Whether the host is down, although its software does not know yet.
    pub fn is_down(&self) -> bool {
        self.lifeline.is_cut()
    }

    /// Tells readers what a commit to a store has changed, a line each.
    pub fn changed(&self, lines: String) {
        if !self.lifeline.is_cut() {
            self.shared.state().recorder.line(self.shared.clock.now_ms(), self.name(), What::Change, lines);
        }
    }

    /// Says what is still to come before the system has settled: should it never come, that is what a report names.
    pub fn awaits(&self, what: impl Into<String>) {
        self.shared.state().recorder.awaited = Some(what.into());
    }

    /// Records and counts a decision of a core that mattered. Its name is the leading identifier of its `Debug` text,
    /// in snake case.
    pub fn mark(&self, core: &str, mark: &dyn fmt::Debug) {
        self.mark_as(core, mark_name(&format!("{mark:?}")), mark);
    }

    /// The same under another name, where cores have one word for different things.
    pub fn mark_as(&self, core: &str, name: String, mark: &dyn fmt::Debug) {
        if !self.lifeline.is_cut() {
            *self.shared.state().recorder.marks.entry(name).or_default() += 1;
            self.observe(core, What::Mark, mark);
        }
    }

    fn observe(&self, core: &str, what: What, value: &dyn fmt::Debug) {
        if self.lifeline.is_cut() {
            return;
        }
        // Before the lock is taken: formatting is the software's code.
        let text = format!("{value:?}");
        self.shared.state().recorder.core(self.shared.clock.now_ms(), self.name(), what, format!("{core} {text}"));
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.name()).finish()
    }
}

fn split(address: &str) -> io::Result<(&str, u16)> {
    address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{address} is not of the form host:port")))
}

fn refusal(address: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, format!("connect to {address}: connection refused"))
}

/// Waits for a message. A message that is lost never arrives.
async fn arrival(message: tokio::sync::oneshot::Receiver<()>) {
    if message.await.is_err() {
        std::future::pending().await
    }
}
