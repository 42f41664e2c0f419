//! What the parts of a world share: which hosts live, what each has passed, and how they die.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use disk::{Death, Disk, Image, Operation, Unsynced, Verdict};

use super::engine::{Clock, Lifeline};
use super::faults::{Faults, Target};
use super::network::Network;
use super::recorder::Recorder;
use super::{EPOCH_MS, WORLD};
use crate::plan::{Fault, PointKind};
use crate::record::{BEFORE_THE_FIRST, Points, What};
use crate::stream::Stream;

/// A host, by its place in the list of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostId(pub usize);

/// Everything that simulated software and the world both reach.
pub(super) struct Shared {
    pub clock: Clock,
    /// Panics so far: host and message. Apart from the rest, since code that holds the other lock may panic.
    pub panics: Mutex<Vec<(String, String)>>,
    /// The host whose turn it is; out of range between turns.
    running: AtomicUsize,
    names: Vec<String>,
    /// Whether the plan has faults of clocks at all.
    clocks_go_wrong: bool,
    state: Mutex<State>,
}

/// The shared state.
pub(super) struct State {
    pub hosts: Vec<HostState>,
    pub network: Network,
    pub faults: Faults,
    pub recorder: Recorder,
    /// How many points had been passed when the last planned crash took effect.
    pub points_at_crash: Points,
    /// The stage at which each fault was applied.
    pub stages: BTreeMap<usize, String>,
    /// What disks held when a fault will want them to have come back to, by the fault.
    pub images: BTreeMap<usize, Image>,
    seed: u64,
    /// Set while a disk asks what becomes of an operation: whose it is, and how it died of it.
    operation: Option<(HostId, Option<Death>)>,
}

/// One host.
pub(super) struct HostState {
    pub name: String,
    pub address: Option<IpAddr>,
    life: Life,
    pub lifeline: Lifeline,
    disk: Option<Disk>,
    /// Time that the disk took and that was not let pass yet: less than a millisecond.
    owed: Duration,
    entropy: Stream,
    /// The faults that show in what its disk or store holds when it comes back.
    pub damage: Vec<usize>,
    /// How many commits its store is to forget, and by which fault.
    pub forgets: Vec<(usize, u64)>,
    passed: BTreeMap<PointKind, u64>,
    named: BTreeMap<String, u64>,
    /// The last named point that it reached, in this life or an earlier one; empty before the first.
    stage: String,
}

/// Whether a host's process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Up,
    /// It died within a step: its tasks are dropped at the end of the step.
    Dying(Down),
    Down(Down),
}

/// How a process ended, and when it is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Down {
    pub how: How,
    pub restart_at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Kill,
    PowerCut,
    /// By itself, or because the world has no more use for it.
    Exit,
    /// Because it does not trust its stores: nobody starts it again.
    Refusal,
    /// With the run: nothing that was not synced counts.
    End,
}

impl Shared {
    pub fn new(names: Vec<String>, seed: u64, network: Network, faults: Faults, recorder: Recorder) -> Arc<Shared> {
        let host = |name: &String| HostState {
            name: name.clone(),
            address: None,
            life: Life::Up,
            lifeline: Lifeline::default(),
            disk: None,
            owed: Duration::ZERO,
            entropy: entropy(seed, name),
            damage: Vec::new(),
            forgets: Vec::new(),
            passed: BTreeMap::new(),
            named: BTreeMap::new(),
            stage: String::new(),
        };
        let hosts = names.iter().map(host).collect();
        Arc::new(Shared {
            clock: Clock::default(),
            panics: Mutex::new(Vec::new()),
            running: AtomicUsize::new(usize::MAX),
            names,
            clocks_go_wrong: faults.concern_clocks(),
            state: Mutex::new(State {
                hosts,
                network,
                faults,
                recorder,
                points_at_crash: Points::new(),
                stages: BTreeMap::new(),
                images: BTreeMap::new(),
                seed,
                operation: None,
            }),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn name(&self, host: HostId) -> &str {
        &self.names[host.0]
    }

    /// Finds a host by name.
    pub fn find(&self, name: &str) -> Option<HostId> {
        self.names.iter().position(|known| known == name).map(HostId)
    }

    /// Says whose turn it is.
    pub fn set_running(&self, host: Option<HostId>) {
        self.running.store(host.map_or(usize::MAX, |host| host.0), Relaxed);
    }

    /// Whose turn it is; `world` between turns.
    pub fn running(&self) -> &str {
        self.names.get(self.running.load(Relaxed)).map_or(WORLD, String::as_str)
    }

    /// Whether what happens now is done by a host that is dead already: between its death and its burial, or by the
    /// destructors of its tasks. Nobody may see it.
    pub fn is_posthumous(&self) -> bool {
        // Whoever holds the lock is the world, which is alive.
        let Ok(state) = self.state.try_lock() else { return false };
        state.hosts.get(self.running.load(Relaxed)).is_some_and(|host| !host.is_up())
    }

    /// What a host takes for the time of day: since the Unix epoch.
    pub fn utc(&self, host: HostId) -> Duration {
        let elapsed = self.clock.now();
        let error_ms = self.state().faults.clock_error_ms(host, elapsed.as_millis() as u64, true);
        time_of_day(elapsed, error_ms)
    }

    /// The same for the host whose turn it is, and for code that may hold the lock: then it is the world's own.
    pub fn utc_here(&self, elapsed: Duration) -> Duration {
        if !self.clocks_go_wrong {
            return time_of_day(elapsed, 0);
        }
        let host = HostId(self.running.load(Relaxed));
        let error_ms = match self.state.try_lock() {
            Ok(mut state) => state.faults.clock_error_ms(host, elapsed.as_millis() as u64, false),
            Err(_) => 0,
        };
        time_of_day(elapsed, error_ms)
    }

    /// The host's disk, made when it is first asked for.
    pub fn disk(self: &Arc<Self>, host: HostId) -> Disk {
        let mut state = self.state();
        if let Some(disk) = &state.hosts[host.0].disk {
            return disk.clone();
        }
        let disk = Disk::new(disk_seed(state.seed, self.name(host)));
        // Weak, since the disk is part of what it refers to.
        let shared = Arc::downgrade(self);
        disk.observe(Box::new(move |operation| {
            shared.upgrade().map_or(Verdict::Proceed, |shared| {
                let now_ms = shared.clock.now_ms();
                shared.state().disk_operation(host, operation, now_ms)
            })
        }));
        let shared = Arc::downgrade(self);
        disk.set_clock(Box::new(move || {
            shared.upgrade().map_or(Duration::from_millis(EPOCH_MS), |shared| shared.utc(host))
        }));
        state.hosts[host.0].disk = Some(disk.clone());
        disk
    }
}

fn entropy(seed: u64, host: &str) -> Stream {
    Stream::new(seed, &format!("entropy/{host}"))
}

fn disk_seed(seed: u64, host: &str) -> u64 {
    Stream::new(seed, &format!("disk/{host}")).bits()
}

/// The time since the Unix epoch on a clock that is wrong by so much. There is no time before it.
fn time_of_day(elapsed: Duration, error_ms: i64) -> Duration {
    let error = Duration::from_millis(error_ms.unsigned_abs());
    let right = Duration::from_millis(EPOCH_MS) + elapsed;
    if error_ms < 0 { right.saturating_sub(error) } else { right + error }
}

/// What a panic left behind is consistent enough: the run is a violation anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HostState {
    pub fn is_up(&self) -> bool {
        self.life == Life::Up
    }

    fn down(&self) -> Option<&Down> {
        match &self.life {
            Life::Up => None,
            Life::Dying(down) | Life::Down(down) => Some(down),
        }
    }

    /// Whether the machine is there and its process is not: it answers a SYN with a RST.
    pub fn refuses(&self) -> bool {
        self.down().is_some_and(|down| down.how != How::PowerCut)
    }

    pub fn lost_power(&self) -> bool {
        self.down().is_some_and(|down| down.how == How::PowerCut)
    }

    /// When the host is to be started again, if it is down.
    pub fn restart_at_ms(&self) -> Option<u64> {
        match &self.life {
            Life::Down(down) => Some(down.restart_at_ms),
            Life::Up | Life::Dying(_) => None,
        }
    }

    /// Whether the host died in this step and is not buried yet; now it is.
    pub fn bury(&mut self) -> bool {
        let Life::Dying(down) = &self.life else { return false };
        self.life = Life::Down(down.clone());
        true
    }

    /// Makes the host ready for another start of its software.
    pub fn revive(&mut self) {
        self.life = Life::Up;
        self.lifeline = Lifeline::default();
        self.owed = Duration::ZERO;
        if let Some(disk) = &self.disk {
            disk.revive();
        }
    }

    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// How long the disk kept its caller waiting, in whole milliseconds; the rest is carried over.
    pub fn take_disk_latency(&mut self) -> Duration {
        if let Some(disk) = &self.disk {
            self.owed += disk.take_latency();
        }
        let whole = Duration::from_millis(self.owed.as_millis() as u64);
        self.owed -= whole;
        whole
    }
}

impl State {
    /// How many points of each kind each host has passed.
    pub fn points(&self) -> Points {
        self.hosts.iter().map(|host| (host.name.clone(), host.passed.clone())).collect()
    }

    /// A host passes a point: counts it, and lets the faults strike that wait for it.
    ///
    /// What a process wrote before it died may be found on its way afterwards. That is no point: nobody could die there.
    pub fn reach(&mut self, host: HostId, kind: PointKind, named: Option<&str>, now_ms: u64) {
        let state = &mut self.hosts[host.0];
        if !state.is_up() {
            return;
        }
        let nth = state.passed.entry(kind).or_default();
        *nth += 1;
        let mut struck = self.faults.at_ordinal(host, kind, *nth);
        if let Some(point) = named {
            state.stage.clear();
            state.stage.push_str(point);
            // Not `entry`: a point is reached much more often than for the first time.
            let nth = match state.named.get_mut(point) {
                Some(nth) => {
                    *nth += 1;
                    *nth
                }
                None => {
                    state.named.insert(point.to_owned(), 1);
                    1
                }
            };
            struck.extend(self.faults.at_point(host, point, nth));
        }
        for fault in struck {
            self.strike(fault, now_ms);
        }
    }

    /// A host reaches a named point. Returns for how many milliseconds whoever did must stand still.
    pub fn reach_named(&mut self, host: HostId, point: &str, now_ms: u64) -> Option<u64> {
        self.pass(host, point, now_ms);
        self.pause(host, point, now_ms)
    }

    /// The same where nobody can stand still.
    pub fn pass(&mut self, host: HostId, point: &str, now_ms: u64) {
        self.reach(host, PointKind::Effect, Some(point), now_ms);
    }

    /// For how many milliseconds whoever is at `place` must stand still.
    pub fn pause(&mut self, host: HostId, place: &str, now_ms: u64) -> Option<u64> {
        let for_ms = self.faults.take_pause(host)?;
        self.event(host, format!("paused for {for_ms} ms at {place}"), now_ms);
        Some(for_ms)
    }

    fn disk_operation(&mut self, host: HostId, operation: &Operation<'_>, now_ms: u64) -> Verdict {
        let Operation { kind, path, offset, len, .. } = operation;
        // The digest over everything takes the disk's own digest in at the end, which covers this operation.
        let HostState { name, disk, .. } = &self.hosts[host.0];
        self.recorder.detail(now_ms, name, What::Disk, &[], || {
            let before = disk.as_ref().map_or(0, Disk::digest);
            format!("{kind:?} {path} at {offset}, {len} bytes, after {before:016x}")
        });
        self.operation = Some((host, None));
        self.reach(host, PointKind::Disk, None, now_ms);
        if let Some((_, Some(death))) = self.operation.take() {
            return Verdict::Die(death);
        }
        let (verdict, slower_ms) = self.faults.on_disk(host, *kind);
        self.hosts[host.0].owed += Duration::from_millis(slower_ms);
        if verdict != Verdict::Proceed {
            self.event(host, format!("{verdict:?}: {kind:?} {path} at {offset}, {len} bytes"), now_ms);
        }
        verdict
    }

    /// From here on chance is another seed's: all streams, and whether a fault strikes that has not yet.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.network.reseed(seed);
        self.faults.reseed(seed);
        for host in &mut self.hosts {
            host.entropy = entropy(seed, &host.name);
            if let Some(disk) = &host.disk {
                disk.reseed(disk_seed(seed, &host.name));
            }
        }
    }

    /// Applies a fault.
    pub fn strike(&mut self, index: usize, now_ms: u64) {
        let (fault, target) = self.faults.get(index);
        let (fault, Target::Host(host) | Target::Link { from: host, .. }) = (fault.clone(), target);
        self.event(host, format!("applied: {fault}"), now_ms);
        // Of a link the end at which there are stages: clients have none.
        let other = if let Target::Link { to, .. } = target { to } else { host };
        let stage = [host, other].map(|host| &self.hosts[host.0].stage).into_iter().find(|stage| !stage.is_empty());
        self.stages.insert(index, stage.cloned().unwrap_or_else(|| BEFORE_THE_FIRST.to_owned()));
        let ends_ms = now_ms + fault.lasts_ms();
        let how = match fault {
            Fault::Kill { .. } => How::Kill,
            Fault::PowerCut { .. }
            | Fault::BitRot { .. }
            | Fault::Truncation { .. }
            | Fault::StaleImage { .. }
            | Fault::Forget { .. } => How::PowerCut,
            Fault::Cut { .. }
            | Fault::Pause { .. }
            | Fault::Delay { .. }
            | Fault::Reorder { .. }
            | Fault::Duplicate { .. }
            | Fault::Disk { .. }
            | Fault::SlowDisk { .. }
            | Fault::ClockSkew { .. }
            | Fault::ClockDrift { .. } => return self.faults.activate(index, ends_ms),
        };
        self.faults.finish(index);
        if self.die(host, Down { how, restart_at_ms: ends_ms }) {
            self.points_at_crash = self.points();
            match fault {
                Fault::Kill { .. } | Fault::PowerCut { .. } => self.faults.fire(index),
                _ => self.hosts[host.0].damage.push(index),
            }
        }
    }

    /// A host's process ends here and now; returns whether it was up.
    pub fn die(&mut self, host: HostId, down: Down) -> bool {
        if !self.hosts[host.0].is_up() {
            return false;
        }
        let death = match down.how {
            How::Kill | How::Exit | How::Refusal => Death::Kill,
            How::PowerCut => Death::PowerCut(Unsynced::default()),
            How::End => Death::PowerCut(Unsynced::LoseAll),
        };
        let state = &mut self.hosts[host.0];
        state.life = Life::Dying(down);
        state.lifeline.cut();
        match (&mut self.operation, &state.disk) {
            // The disk carries out what it can of the operation that it is asking about.
            (Some((asking, verdict)), _) if *asking == host => *verdict = Some(death),
            (_, Some(disk)) => disk.die(death),
            (_, None) => {}
        }
        true
    }

    /// Ends the faults whose time is over.
    pub fn heal(&mut self, now_ms: u64) {
        let healed = self.faults.heal(now_ms);
        self.note_healed(&healed, now_ms);
    }

    /// Ends all faults for the rest of the run.
    pub fn heal_all(&mut self, now_ms: u64) {
        let healed = self.faults.heal_all();
        self.note_healed(&healed, now_ms);
    }

    fn note_healed(&mut self, healed: &[usize], now_ms: u64) {
        for index in healed {
            let (fault, target) = self.faults.get(*index);
            let (Target::Host(host) | Target::Link { from: host, .. }) = target;
            let text = format!("healed: {fault}");
            self.event(host, text, now_ms);
        }
    }

    /// Writes down what happened to a host as a whole.
    pub fn event(&mut self, host: HostId, text: String, now_ms: u64) {
        self.recorder.event(now_ms, &self.hosts[host.0].name, What::Fault, text);
    }

    /// Random bytes of a host's own.
    pub fn entropy(&mut self, host: HostId, bytes: &mut [u8], now_ms: u64) {
        let state = &mut self.hosts[host.0];
        state.entropy.fill(bytes);
        let len = bytes.len();
        self.recorder.fold(now_ms, &state.name, bytes, || format!("Entropy {len} bytes"));
    }
}
