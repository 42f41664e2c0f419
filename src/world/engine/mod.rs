//! The seam to turmoil: nothing outside this folder names it.
//!
//! We keep to a small part of turmoil 0.7.2, because the rest does not compose (`release` lifts partitions, `hold` then
//! `repair` strands messages, a lost TCP segment is never sent again). Every link is put on hold once and for ever, so
//! turmoil never delivers anything by itself; our link table decides when, and names the message. Its random failures
//! are off. Every machine is a turmoil *host*, clients too, because crashing a turmoil client panics.

mod clock;
mod socket;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use turmoil::{Protocol, Segment};

use super::EPOCH_MS;
use super::network::{Kind, Message};
use super::state::{HostId, Shared};

pub(super) use clock::Clock;
pub(super) use socket::{Lifeline, dial};
pub use socket::{TcpListener, TcpStream};

/// How many connections may wait at a listener, and segments at a socket. turmoil panics at the first and blocks the
/// writer at the second.
const TCP_CAPACITY: usize = 4096;

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The running simulation.
pub(super) struct Engine {
    sim: turmoil::Sim<'static>,
    shared: Arc<Shared>,
    tick_ms: u64,
    /// By address. turmoil numbers hosts from 192.168.0.1.
    hosts: BTreeMap<IpAddr, HostId>,
}

impl Engine {
    /// An engine without hosts. `seed` feeds what randomness turmoil may draw by itself.
    pub fn new(shared: Arc<Shared>, seed: u64, tick_ms: u64) -> Engine {
        let sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(UNIX_EPOCH + Duration::from_millis(EPOCH_MS))
            .tick_duration(Duration::from_millis(tick_ms))
            .simulation_duration(FOR_EVER)
            .tcp_capacity(TCP_CAPACITY)
            .build();
        Engine { sim, shared, tick_ms, hosts: BTreeMap::new() }
    }

    /// Adds a machine and starts its software at the next step; `software` is called again after each crash. Hosts run
    /// in the order in which they were added.
    pub fn add<F>(&mut self, host: HostId, software: impl Fn() -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let name = self.shared.name(host);
        let address = self.sim.lookup(name);
        self.sim.host(name, move || {
            let running = software();
            async move {
                running.await;
                // turmoil would stop the host; its end is our business.
                std::future::pending().await
            }
        });
        self.shared.state().hosts[host.0].address = Some(address);
        for other in self.hosts.keys() {
            self.sim.hold(*other, address);
            self.shared.state().network.add_link();
        }
        self.hosts.insert(address, host);
    }

    /// Runs every host for one tick.
    pub fn step(&mut self) {
        self.shared.clock.begin_step();
        let stepped = self.sim.step();
        self.shared.clock.end_step(self.sim.elapsed());
        // Only software that returns an error, or that panics outside of `run`'s guard, ends up here.
        stepped.expect("simulated software never ends");
    }

    /// Drops all that runs on a host. Its sockets close as the operating system would close them.
    pub fn crash(&mut self, host: HostId) {
        // Destructors may panic, and log.
        self.shared.set_running(Some(host));
        self.sim.crash(self.shared.name(host));
        self.shared.set_running(None);
    }

    /// Starts the software of a crashed host.
    pub fn restart(&mut self, host: HostId) {
        self.sim.bounce(self.shared.name(host));
    }

    /// Tells the link table of every message that was sent since it was last told.
    ///
    /// turmoil keeps held messages in the order in which they were sent, and takes out only those that were delivered:
    /// what is longer than our mirror of it is new. Never call it between [`deliver`](Self::deliver) and
    /// [`step`](Self::step): turmoil takes messages out during the step.
    pub fn collect(&mut self) {
        let mut state = self.shared.state();
        let hosts = &self.hosts;
        // During the step that has just ended; when it began, as far as anybody can tell.
        let at_ms = self.shared.clock.now_ms().saturating_sub(self.tick_ms);
        self.sim.links(|links| {
            for (index, link) in links.enumerate() {
                let known = state.network.in_flight(index);
                for sent in link.skip(known) {
                    let (from, to) = sent.pair();
                    let (from, to) = (hosts[&from.ip()], hosts[&to.ip()]);
                    state.sent(index, Message { from, to, kind: kind(sent.protocol()) }, at_ms);
                }
            }
        });
    }

    /// Hands over the messages that the link table has chosen. They arrive in the next step.
    pub fn deliver(&mut self) {
        let mut state = self.shared.state();
        self.sim.links(|links| {
            for (index, link) in links.enumerate() {
                // Says of each message in turmoil's queue whether it is to be delivered.
                let chosen = state.network.take_chosen(index);
                for (sent, deliver) in link.zip(chosen) {
                    if deliver {
                        sent.deliver();
                    }
                }
            }
        });
    }
}

fn kind(protocol: &Protocol) -> Kind<'_> {
    match protocol {
        Protocol::Tcp(Segment::Syn(_)) => Kind::Syn,
        Protocol::Tcp(Segment::Data(_, bytes)) => Kind::Data(bytes),
        Protocol::Tcp(Segment::Fin(_)) => Kind::Fin,
        Protocol::Tcp(Segment::Rst) => Kind::Rst,
        // No handle for datagrams is offered.
        Protocol::Udp(datagram) => Kind::Data(&datagram.0),
    }
}
