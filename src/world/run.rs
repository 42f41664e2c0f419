//! The phases of a run: work, heal, settle, dump.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use disk::Sectors;
use futures_util::FutureExt;
use interpose::Reading;

use super::client::{self, ClientHost};
use super::disks::Disks;
use super::engine::Engine;
use super::faults::Faults;
use super::host::Host;
use super::log::{self, Log};
use super::network::Network;
use super::panics;
use super::recorder::Recorder;
use super::state::{Down, HostId, How, Shared, lock};
use super::{SETTLER, WORLD};
use crate::history::{ClientId, History};
use crate::plan::{Place, Plan, Reseed, Trigger};
use crate::record::{Points, REFUSED, Record, Struck, UNSYNCED};
use crate::stream::Stream;
use crate::sut::{Exit, System};

/// How much of a run is kept for readers. No choice here but [`bare`](Options::bare) changes what happens in it, or its
/// digests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether messages and disk operations go into the trace: for a replay, too much for a sweep.
    pub detail: bool,
    /// Whether the record has its chain.
    pub chain: bool,
    /// What becomes of what the software logs.
    pub log: Log,
    /// Whether entropy and clocks are left as they are, and nothing is digested. Such a run is good for one thing: to
    /// show what those two cost.
    pub bare: bool,
}

/// Why a plan cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The system does not understand the plan's options.
    #[error("understand the system's options: {0}")]
    System(String),
    /// Two hosts or clients have the same name, or one has the name of the host that waits for the system to settle.
    #[error("tell hosts apart: the name {0} is taken")]
    NameTaken(String),
    /// A fault names a host that does not exist, or one that cannot have that fault: only hosts of the system can be
    /// killed and paused, and only clients duplicate requests.
    #[error("apply fault {fault}: {host} is no {expected}")]
    NoSuchHost {
        /// The fault's place in the plan, counted from 0.
        fault: usize,
        /// The name.
        host: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// The network's figures make no sense.
    #[error("build the network: {0}")]
    Network(&'static str),
}

/// Runs a plan, in simulated time, on this thread.
///
/// The thread's entropy and clocks are simulated for as long as it takes. Two runs of one plan are equal to the byte
/// where each has a fresh thread in a fresh process; what a process keeps (hash seeds, SQLite's statistics) can show.
pub fn run<S: System>(plan: &Plan<S::Op>, options: Options) -> Result<Record<S::Op, S::Ret>, RunError> {
    let system = Arc::new(S::new(&plan.system).map_err(RunError::System)?);
    let cast = Cast::new(&*system, plan)?;
    let network = plan.network;
    if network.tick_ms == 0 {
        return Err(RunError::Network("tick_ms is 0"));
    }
    if network.latency_ms_min > network.latency_ms_max {
        return Err(RunError::Network("latency_ms_min is above latency_ms_max"));
    }
    let faults = Faults::new(plan, |name| cast.find(name).expect("every name was checked"));
    let links = Network::new(plan.seed, (network.latency_ms_min, network.latency_ms_max));
    let names = cast.names.clone();
    let shared = Shared::new(names, plan.seed, links, faults, Recorder::new(options));
    disk::seed_sqlite_prng(Stream::new(plan.seed, "sqlite").bits());
    let clock = || {
        let elapsed = shared.clock.step_began();
        let (utc, elapsed_ns) = (shared.utc_here(elapsed), elapsed.as_nanos() as u64);
        Reading { utc_ns: utc.as_nanos() as u64, monotonic_ns: elapsed_ns }
    };
    let run = || {
        panics::collect(&shared, || log::with(&shared, options.log, || World::new(system, plan, cast, &shared).run()))
    };
    Ok(if options.bare { run() } else { interpose::simulate(plan.seed, &clock, run) })
}

/// Who takes part: the system's hosts, then the clients, then the settler.
struct Cast {
    names: Vec<String>,
    software: usize,
}

impl Cast {
    fn new<S: System>(system: &S, plan: &Plan<S::Op>) -> Result<Cast, RunError> {
        let software: Vec<_> = system.hosts().iter().map(|host| host.name.to_owned()).collect();
        let mut cast = Cast { software: software.len(), names: software };
        cast.names.extend(plan.clients.iter().map(|client| client.name.clone()));
        cast.names.push(SETTLER.to_owned());
        let mut seen = BTreeSet::new();
        if let Some(twice) = cast.names.iter().find(|name| !seen.insert(*name)) {
            return Err(RunError::NameTaken(twice.clone()));
        }
        plan.faults.iter().enumerate().try_for_each(|(index, fault)| {
            if let Trigger::Point { host, .. } | Trigger::Ordinal { host, .. } = &fault.at {
                cast.check(index, host, "host", |_| true)?;
            }
            let software = cast.software;
            match fault.fault.place() {
                Place::Host(host) => cast.check(index, host, "host of the system", |id| id < software),
                Place::Client(client) => cast.check(index, client, "client", |id| id >= software),
                Place::Link { from, to, .. } => {
                    cast.check(index, from, "host", |_| true)?;
                    cast.check(index, to, "other host", |_| from != to)
                }
            }
        })?;
        Ok(cast)
    }

    fn check(
        &self,
        fault: usize,
        host: &str,
        expected: &'static str,
        fits: impl Fn(usize) -> bool,
    ) -> Result<(), RunError> {
        match self.find(host) {
            Some(id) if fits(id.0) && host != SETTLER => Ok(()),
            _ => Err(RunError::NoSuchHost { fault, host: host.to_owned(), expected }),
        }
    }

    fn find(&self, name: &str) -> Option<HostId> {
        self.names.iter().position(|known| known == name).map(HostId)
    }

    fn software(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.software).map(HostId)
    }

    fn settler(&self) -> HostId {
        HostId(self.names.len() - 1)
    }
}

/// When a host is started again that nobody starts again.
const NEVER: u64 = u64::MAX;

struct World<'a, S: System> {
    system: Arc<S>,
    plan: &'a Plan<S::Op>,
    cast: Cast,
    shared: &'a Arc<Shared>,
    engine: Engine,
    history: Rc<RefCell<History<S::Op, S::Ret>>>,
    /// The clients that are not done, in the order of the plan.
    busy: Rc<RefCell<BTreeSet<HostId>>>,
    /// How many points each host had passed when all faults were ended.
    points: Points,
    /// What is still to come of the plan's own.
    reseed: Option<Reseed>,
}

impl<'a, S: System> World<'a, S> {
    fn new(system: Arc<S>, plan: &'a Plan<S::Op>, cast: Cast, shared: &'a Arc<Shared>) -> World<'a, S> {
        let engine = Engine::new(shared.clone(), Stream::new(plan.seed, "turmoil").bits(), plan.network.tick_ms);
        let (history, busy) = (Rc::default(), Rc::default());
        World { system, plan, cast, shared, engine, history, busy, points: Points::new(), reseed: plan.reseed }
    }

    fn run(mut self) -> Record<S::Op, S::Ret> {
        // The engine itself panics when software asks too much of it (ports, connections that wait): that is a finding
        // like any other panic. There is nothing to go on with after it.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.boot();
            let stuck = self.work();
            (stuck, self.settle())
        }));
        let (stuck, settled) = ran.unwrap_or_else(|_| (Vec::new(), Err("the run ended in a panic".to_owned())));
        self.finish(stuck, settled)
    }

    fn boot(&mut self) {
        for host in self.cast.software() {
            let (system, shared, supervised_ms) =
                (self.system.clone(), self.shared.clone(), self.plan.supervisor_restart_ms);
            self.engine.add(host, move || supervise(system.clone(), shared.clone(), host, supervised_ms));
        }
        for (index, client) in self.plan.clients.iter().enumerate() {
            let host = HostId(self.cast.software + index);
            let (id, steps) = (ClientId(index as u64), client.steps.clone());
            let (system, shared, history, busy) =
                (self.system.clone(), self.shared.clone(), self.history.clone(), self.busy.clone());
            busy.borrow_mut().insert(host);
            self.engine.add(host, move || {
                let (system, history, busy, steps) = (system.clone(), history.clone(), busy.clone(), steps.clone());
                let client = ClientHost::new(Host::new(&shared, host));
                async move {
                    client::work(system, client, id, steps, history).await;
                    busy.borrow_mut().remove(&host);
                }
            });
        }
    }

    /// Runs until every client is done or the limit is reached. Returns the clients that were not done.
    fn work(&mut self) -> Vec<String> {
        while !self.busy.borrow().is_empty() && self.now_ms() < self.plan.limit_ms {
            self.step();
        }
        let stuck: Vec<_> = self.busy.borrow().iter().copied().collect();
        for client in &stuck {
            self.shared.state().event(*client, "ended by the limit".to_owned(), self.now_ms());
            self.end(*client);
        }
        stuck.into_iter().map(|client| self.shared.name(client).to_owned()).collect()
    }

    /// Ends every fault, starts what is down, and waits until the system says that nothing is left to do.
    fn settle(&mut self) -> Result<(), String> {
        {
            let mut state = self.shared.state();
            state.heal_all(self.now_ms());
            self.points = state.points();
        }
        for host in self.cast.software() {
            if self.shared.state().hosts[host.0].restart_at_ms().is_some_and(|at_ms| at_ms != NEVER) {
                self.restart(host);
            }
        }
        let deadline_ms = self.now_ms() + self.plan.settle_ms;
        // Nothing is over while messages of before are under way: a request that was given up long ago may be the one
        // that does the damage.
        let last_due_ms = self.shared.state().network.last_due_ms().unwrap_or_default();
        while self.now_ms() <= last_due_ms.min(deadline_ms) {
            self.step();
        }
        // Who refused to work is not asked whether work is left. Time to refuse is given to those that have just started.
        let refused = |world: &World<'_, S>| !world.shared.state().recorder.refusals.is_empty();
        if refused(self) {
            return Ok(());
        }
        let result = Rc::new(Cell::new(None));
        let (system, plan, shared) = (self.system.clone(), Rc::new(self.plan.clone()), self.shared.clone());
        let (settler, answer) = (self.cast.settler(), result.clone());
        self.engine.add(settler, move || {
            let (system, plan, answer) = (system.clone(), plan.clone(), answer.clone());
            let client = ClientHost::new(Host::new(&shared, settler));
            async move {
                let settled = AssertUnwindSafe(async { system.settle(client, &plan).await }).catch_unwind().await;
                answer.set(Some(settled.unwrap_or_else(|_| Err("settling ended in a panic".to_owned()))));
            }
        });
        while self.now_ms() < deadline_ms {
            self.step();
            if refused(self) {
                return Ok(());
            }
            if let Some(settled) = result.take() {
                return settled;
            }
        }
        Err(format!("not settled {} ms after the faults were healed", self.plan.settle_ms))
    }

    fn now_ms(&self) -> u64 {
        self.shared.clock.now_ms()
    }

    /// One step of simulated time, and what happens before it.
    fn step(&mut self) {
        let now_ms = self.now_ms();
        self.engine.collect();
        {
            let mut state = self.shared.state();
            if let Some(Reseed { seed, .. }) = self.reseed.take_if(|reseed| reseed.at_ms <= now_ms) {
                state.reseed(seed);
            }
            state.heal(now_ms);
            state.keep_images(now_ms);
            for fault in state.faults.due(now_ms) {
                state.strike(fault, now_ms);
            }
            state.route(now_ms);
        }
        self.bury();
        for host in self.cast.software() {
            let restart_at_ms = self.shared.state().hosts[host.0].restart_at_ms();
            if restart_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                self.restart(host);
            }
        }
        self.engine.deliver();
        self.engine.step();
        self.bury();
    }

    /// Drops all that still runs on hosts that died.
    fn bury(&mut self) {
        for host in self.cast.software() {
            if self.shared.state().hosts[host.0].bury() {
                self.engine.crash(host);
            }
        }
    }

    fn restart(&mut self, host: HostId) {
        {
            let mut state = self.shared.state();
            state.damage(host, self.now_ms());
            state.hosts[host.0].revive();
            state.event(host, "restarted".to_owned(), self.now_ms());
        }
        self.engine.restart(host);
    }

    /// Ends a host for good.
    fn end(&mut self, host: HostId) {
        self.shared.state().die(host, Down { how: How::Exit, restart_at_ms: NEVER });
        self.shared.state().hosts[host.0].bury();
        self.engine.crash(host);
    }

    fn finish(self, stuck_clients: Vec<String>, settled: Result<(), String>) -> Record<S::Op, S::Ret> {
        let World { system, plan, cast, shared, engine, history, points, .. } = self;
        let simulated_ms = shared.clock.now_ms();
        // Not a clean shutdown: what closes cleanly would repair what a check has to see. And without power: what was
        // acknowledged before it was synced is gone in every run, not only in one with a power cut at the right moment.
        for host in cast.software() {
            let mut state = shared.state();
            let stats = state.hosts[host.0].disk().map(|disk| disk.stats()).unwrap_or_default();
            let Sectors { kept, dropped, torn } = stats.sectors;
            for (mark, sectors) in UNSYNCED.into_iter().zip([kept, dropped, torn]).filter(|(_, sectors)| *sectors > 0) {
                *state.recorder.marks.entry(mark.to_owned()).or_default() += sectors;
            }
            // Where syncs lied, that would be a power cut after which nobody could notice.
            let lied = stats.lies > 0;
            state.die(host, Down { how: if lied { How::Exit } else { How::End }, restart_at_ms: NEVER });
        }
        drop(engine);
        let disks: BTreeMap<_, _> =
            shared.state().hosts.iter().filter_map(|host| Some((host.name.clone(), host.disk()?.clone()))).collect();
        for (host, disk) in &disks {
            disk.stop_observing();
            let digest = disk.digest().to_le_bytes();
            shared.state().recorder.fold(simulated_ms, host, &digest, || "Disk all that was done to it".to_owned());
            disk.revive();
        }
        let dumps = catch_unwind(AssertUnwindSafe(|| system.dump(&Disks::new(disks)))).unwrap_or_default();
        let history = history.take();
        let mut state = shared.state();
        for event in history.events() {
            let line = event.to_string();
            state.recorder.fold(simulated_ms, WORLD, line.as_bytes(), || format!("History {line}"));
        }
        if let Some(counts) = interpose::counts() {
            let draws = counts.entropy_draws;
            let text = || format!("Entropy {draws} draws through libc in all");
            state.recorder.fold(simulated_ms, WORLD, &draws.to_le_bytes(), text);
        }
        let (digest, byte_digest) = state.recorder.digests();
        Record {
            plan: plan.clone(),
            history,
            trace: std::mem::take(&mut state.recorder.trace),
            faults: state.faults.fired(),
            fired: state.faults.fired_each(),
            marks: std::mem::take(&mut state.recorder.marks),
            points,
            struck: struck(plan, &state.faults.fired_each(), &state.stages),
            points_at_crash: std::mem::take(&mut state.points_at_crash),
            exits: std::mem::take(&mut state.recorder.exits),
            refusals: std::mem::take(&mut state.recorder.refusals),
            panics: std::mem::take(&mut lock(&shared.panics)),
            stuck_clients,
            settled,
            awaited: state.recorder.awaited.take(),
            dumps,
            digest,
            byte_digest,
            chain: state.recorder.take_chain(),
            simulated_ms,
        }
    }
}

/// At which stages the faults took effect that did.
fn struck<Op>(plan: &Plan<Op>, fired: &[bool], stages: &BTreeMap<usize, String>) -> Struck {
    let mut struck = Struck::new();
    for (index, stage) in stages.iter().filter(|(index, _)| fired[**index]) {
        let kind = plan.faults[*index].fault.name().to_owned();
        *struck.entry(kind).or_default().entry(stage.clone()).or_default() += 1;
    }
    struck
}

/// The life of one process of a host: the system's software, and what its supervisor does when it ends.
async fn supervise<S: System>(system: Arc<S>, shared: Arc<Shared>, host: HostId, restart_ms: u64) {
    let handle = Host::new(&shared, host);
    let ended = AssertUnwindSafe(async { system.boot(handle).await }).catch_unwind().await;
    let now_ms = shared.clock.now_ms();
    let again = Down { how: How::Exit, restart_at_ms: now_ms + restart_ms };
    let (down, why) = match ended {
        Ok(Exit::Clean) => (again, "clean".to_owned()),
        Ok(Exit::Failed(reason)) => (again, reason),
        Ok(Exit::Refused(reason)) => (Down { how: How::Refusal, restart_at_ms: NEVER }, reason),
        Err(_) => (again, "panicked".to_owned()),
    };
    let refused = down.how == How::Refusal;
    let mut state = shared.state();
    // What a dead process does ends nothing.
    if state.die(host, down) {
        let name = shared.name(host).to_owned();
        let list = if refused {
            *state.recorder.marks.entry(REFUSED.to_owned()).or_default() += 1;
            &mut state.recorder.refusals
        } else {
            &mut state.recorder.exits
        };
        list.push((now_ms, name, why.clone()));
        let how = if refused { "refused to work" } else { "ended by itself" };
        state.event(host, format!("{how}: {why}"), now_ms);
    }
}
