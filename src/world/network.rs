//! The link table: which messages are in flight, when each is due, and what becomes of it.
//!
//! turmoil holds every message; this table decides. A message's latency is drawn from the stream of its directed link:
//! the nth message takes the nth draw, so that traffic on one link never shifts the draws of another. Faults are looked
//! up when a message is sent and again when it is due, from the list of active faults: overlapping faults compose, and
//! a heal has nothing to restore.
//!
//! Messages of one TCP stream may overtake each other here; turmoil puts them back in order, as a receiver does. What
//! travels outside of turmoil's queue travels here too: the answer to a SYN (which turmoil gives at once, through any
//! partition) and the refusal by a machine whose process is dead (which turmoil leaves out).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::faults::Arrival;
use super::state::{HostId, State};
use crate::plan::PointKind;
use crate::stream::Stream;

/// A message as it is sent.
pub(super) struct Message<'a> {
    pub from: HostId,
    pub to: HostId,
    pub kind: Kind<'a>,
}

/// What a message is.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    Syn,
    SynAck,
    Data(&'a [u8]),
    Fin,
    Rst,
}

/// Messages in flight, and what is needed to time them.
pub(super) struct Network {
    seed: u64,
    latency_ms: (u64, u64),
    latencies: BTreeMap<(HostId, HostId), Stream>,
    /// A mirror of turmoil's queue for each link, in turmoil's order.
    links: Vec<Link>,
    /// Answers to SYNs, which turmoil does not queue.
    replies: Vec<Flight>,
    /// Who waits for the fate of a SYN that was not collected yet, in the order of the SYNs.
    calls: BTreeMap<(HostId, HostId), VecDeque<oneshot::Sender<()>>>,
    /// How many messages were sent.
    sent: u64,
}

struct Link {
    flights: Vec<Flight>,
    /// Whether a flight of it was chosen for delivery.
    chosen: bool,
}

struct Flight {
    from: HostId,
    to: HostId,
    summary: Summary,
    due_ms: u64,
    fate: Fate,
    /// Told when a reply arrives; a SYN keeps it for the reply.
    caller: Option<oneshot::Sender<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Flying,
    Chosen,
    /// It stays in turmoil's queue for ever: dropping a SYN there would refuse the connection.
    Lost,
}

impl Network {
    pub fn new(seed: u64, latency_ms: (u64, u64)) -> Network {
        Network {
            seed,
            latency_ms,
            latencies: BTreeMap::new(),
            links: Vec::new(),
            replies: Vec::new(),
            calls: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Latencies are another seed's from here on; what is under way keeps its own.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.latencies.clear();
    }

    /// Adds a link. Called in the order in which turmoil makes its own, since both are known by their index.
    pub fn add_link(&mut self) {
        self.links.push(Link { flights: Vec::new(), chosen: false });
    }

    /// How many messages turmoil has queued on a link, lost ones included.
    pub fn in_flight(&self, link: usize) -> usize {
        self.links[link].flights.len()
    }

    /// When the last of the messages that are under way is due; `None` when there is none.
    pub fn last_due_ms(&self) -> Option<u64> {
        let flights = self.links.iter().flat_map(|link| &link.flights).chain(&self.replies);
        flights.filter(|flight| flight.fate == Fate::Flying).map(|flight| flight.due_ms).max()
    }

    /// Which messages of a link were chosen for delivery, by their place in the queue; empty when none was. They are
    /// forgotten here.
    pub fn take_chosen(&mut self, link: usize) -> Vec<bool> {
        let link = &mut self.links[link];
        if !std::mem::take(&mut link.chosen) {
            return Vec::new();
        }
        let chosen = link.flights.iter().map(|flight| flight.fate == Fate::Chosen).collect();
        link.flights.retain(|flight| flight.fate != Fate::Chosen);
        chosen
    }

    /// Announces that `from` sends a SYN to `to` now. The answer comes when the SYN was refused by a machine whose
    /// process is dead; it never comes otherwise.
    pub fn call(&mut self, from: HostId, to: HostId) -> oneshot::Receiver<()> {
        let (caller, refused) = oneshot::channel();
        self.calls.entry((from, to)).or_default().push_back(caller);
        refused
    }

    fn latency_ms(&mut self, from: HostId, to: HostId, names: impl FnOnce() -> String) -> u64 {
        let seed = self.seed;
        let stream =
            self.latencies.entry((from, to)).or_insert_with(|| Stream::new(seed, &format!("network/{}", names())));
        stream.between(self.latency_ms.0, self.latency_ms.1)
    }
}

impl State {
    /// A message was found in turmoil's queue. It was sent at `at_ms`.
    pub fn sent(&mut self, link: usize, message: Message<'_>, at_ms: u64) {
        let route = (message.from, message.to);
        let caller = match message.kind {
            Kind::Syn => self.network.calls.get_mut(&route).and_then(VecDeque::pop_front),
            _ => None,
        };
        let flight = self.launch(message, caller, at_ms);
        self.network.links[link].flights.push(flight);
    }

    /// `from` answers the SYN of `to`: the receiver is told when the answer arrives, and never if it is lost.
    pub fn reply(&mut self, from: HostId, to: HostId, accepted: bool, now_ms: u64) -> oneshot::Receiver<()> {
        let (caller, arrived) = oneshot::channel();
        let kind = if accepted { Kind::SynAck } else { Kind::Rst };
        let flight = self.launch(Message { from, to, kind }, Some(caller), now_ms);
        self.network.replies.push(flight);
        arrived
    }

    fn launch(&mut self, message: Message<'_>, caller: Option<oneshot::Sender<()>>, at_ms: u64) -> Flight {
        let Message { from, to, kind } = message;
        self.network.sent += 1;
        let summary = Summary::of(self.network.sent, kind, self.recorder.wants_detail());
        let mut flight = Flight { from, to, summary, due_ms: u64::MAX, fate: Fate::Lost, caller };
        // Data was written while the process lived. The rest may come from the destructors of its tasks: the operating
        // system closes the sockets of a killed process, and a machine without power is silent.
        let by_process = matches!(kind, Kind::Syn | Kind::Data(_)) || self.hosts[from.0].is_up();
        if !by_process && self.hosts[from.0].lost_power() {
            return flight;
        }
        let hosts = &self.hosts;
        let names = || format!("{}>{}", hosts[from.0].name, hosts[to.0].name);
        let latency_ms = self.network.latency_ms(from, to, names);
        self.note(from, to, "sent", kind, summary, at_ms);
        if by_process {
            self.reach(from, PointKind::Network, None, at_ms);
        }
        match self.faults.on_send(from, to) {
            None => self.note(from, to, "lost", kind, summary, at_ms),
            Some(extra_ms) => {
                flight.due_ms = at_ms + latency_ms + extra_ms;
                flight.fate = Fate::Flying;
            }
        }
        flight
    }

    /// Decides about every message that is due: deliver it, lose it, or let it wait.
    pub fn route(&mut self, now_ms: u64) {
        for link in 0..self.network.links.len() {
            for index in 0..self.network.links[link].flights.len() {
                let Some(flight) = due(&mut self.network.links[link].flights[index], now_ms) else { continue };
                let (from, to, summary) = (flight.from, flight.to, flight.summary);
                let (arrival, fate) = self.arrive(from, to, summary, now_ms);
                let flight = &mut self.network.links[link].flights[index];
                flight.fate = fate;
                let reached_the_dead = arrival == Arrival::Pass && fate == Fate::Lost;
                // Only a SYN has somebody who waits for an answer.
                if reached_the_dead
                    && self.hosts[to.0].refuses()
                    && let Some(caller) = flight.caller.take()
                {
                    let refusal = Message { from: to, to: from, kind: Kind::Rst };
                    let refusal = self.launch(refusal, Some(caller), now_ms);
                    self.network.replies.push(refusal);
                }
                self.network.links[link].chosen |= fate == Fate::Chosen;
            }
        }
        for index in 0..self.network.replies.len() {
            let Some(flight) = due(&mut self.network.replies[index], now_ms) else { continue };
            let (from, to, summary) = (flight.from, flight.to, flight.summary);
            let (_, fate) = self.arrive(from, to, summary, now_ms);
            let flight = &mut self.network.replies[index];
            flight.fate = fate;
            if fate == Fate::Chosen {
                // A caller that gave up is not there any more.
                let _ = flight.caller.take().map(|caller| caller.send(()));
            }
        }
        self.network.replies.retain(|flight| flight.fate != Fate::Chosen);
        // A host may have died since a message to it was chosen: then it never saw that message.
        for link in &mut self.network.links {
            for flight in link.flights.iter_mut().filter(|flight| flight.fate == Fate::Chosen) {
                if !self.hosts[flight.to.0].is_up() {
                    flight.fate = Fate::Lost;
                }
            }
        }
    }

    /// A message is due: what the link lets it do, and what becomes of it.
    fn arrive(&mut self, from: HostId, to: HostId, summary: Summary, now_ms: u64) -> (Arrival, Fate) {
        let arrival = self.faults.on_arrival(from, to);
        if arrival == Arrival::Wait {
            return (arrival, Fate::Flying);
        }
        if arrival == Arrival::Pass && self.hosts[to.0].is_up() {
            self.reach(to, PointKind::Network, None, now_ms);
        }
        // The process may die of this very message.
        let delivered = arrival == Arrival::Pass && self.hosts[to.0].is_up();
        let what = if delivered { "delivered" } else { "lost" };
        let (host, peer) = (&self.hosts[to.0].name, &self.hosts[from.0].name);
        let content = [what.as_bytes(), peer.as_bytes(), summary.kind.as_bytes()];
        self.recorder.message(now_ms, host, summary.number, &content, || format!("{what} from {peer}: {summary}"));
        (arrival, if delivered { Fate::Chosen } else { Fate::Lost })
    }

    /// Writes down what happens to a message at its sender.
    fn note(&mut self, from: HostId, to: HostId, what: &str, kind: Kind<'_>, summary: Summary, at_ms: u64) {
        let bytes = if let Kind::Data(bytes) = kind { bytes } else { &[] };
        let (host, peer) = (&self.hosts[from.0].name, &self.hosts[to.0].name);
        let content = [what.as_bytes(), peer.as_bytes(), summary.kind.as_bytes(), bytes];
        self.recorder.message(at_ms, host, summary.number, &content, || format!("{what} to {peer}: {summary}"));
    }
}

fn due(flight: &mut Flight, now_ms: u64) -> Option<&mut Flight> {
    (flight.fate == Fate::Flying && flight.due_ms <= now_ms).then_some(flight)
}

/// A message in a few words, for the trace.
#[derive(Clone, Copy)]
struct Summary {
    /// Counts the messages of a run, from 1.
    number: u64,
    kind: &'static str,
    len: usize,
    /// The first bytes of a hash of the content; 0 when nobody will read it.
    hash: u32,
}

impl Summary {
    fn of(number: u64, kind: Kind<'_>, hashed: bool) -> Summary {
        let (kind, bytes): (_, &[u8]) = match kind {
            Kind::Syn => ("SYN", &[]),
            Kind::SynAck => ("SYN-ACK", &[]),
            Kind::Data(bytes) => ("DATA", bytes),
            Kind::Fin => ("FIN", &[]),
            Kind::Rst => ("RST", &[]),
        };
        let hash = if hashed { u32::from_be_bytes(Sha256::digest(bytes)[..4].try_into().expect("4 bytes")) } else { 0 };
        Summary { number, kind, len: bytes.len(), hash }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            "DATA" => write!(f, "DATA {} bytes #{:08x}", self.len, self.hash),
            kind => f.write_str(kind),
        }
    }
}
