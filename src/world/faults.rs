//! The planned faults: which wait, which are active, which are over, and which took effect.
//!
//! A fault is *applied* when its trigger comes, and has *fired* once it made a difference: a machine that was up went
//! down, a message was held, lost or late, somebody stood still, a request was sent twice, an operation on a disk went
//! wrong, a file was damaged, a wrong clock was read. A cut on a link without traffic is applied and never fires.

use std::collections::BTreeMap;

use disk::{IoFault, OpKind, Verdict};

use super::state::HostId;
use crate::plan::{CutKind, Direction, DiskKind, Fault, Place, Plan, PlannedFault, PointKind, Trigger};
use crate::stream::Stream;

/// All faults of a plan, in its order.
pub(super) struct Faults(Vec<Planned>);

/// One planned fault.
pub(super) struct Planned {
    pub plan: PlannedFault,
    trigger: When,
    target: Target,
    phase: Phase,
    fired: bool,
    /// How often it did something that is counted.
    times: u64,
    /// Draws of this fault alone, so that two reorderings do not share their delays.
    random: Stream,
}

/// A [`Trigger`] with its host resolved.
#[derive(Clone, Copy)]
enum When {
    Ms(u64),
    Point { host: HostId, nth: u64 },
    Ordinal { host: HostId, kind: PointKind, nth: u64 },
}

/// A [`Fault`]'s host or link, resolved.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Host(HostId),
    Link { from: HostId, to: HostId, direction: Direction },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Active { until_ms: u64 },
    Over,
}

/// What becomes of a message that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Pass,
    Wait,
    Lost,
}

fn draws(seed: u64, fault: usize) -> Stream {
    Stream::new(seed, &format!("fault/{fault}"))
}

impl Target {
    fn concerns(self, from: HostId, to: HostId) -> bool {
        match self {
            Target::Host(_) => false,
            Target::Link { from: a, to: b, direction } => {
                (from, to) == (a, b) || (direction == Direction::Both && (from, to) == (b, a))
            }
        }
    }
}

impl Faults {
    /// The faults of a plan. `resolve` finds a host by name; every name has been checked before.
    pub fn new<Op>(plan: &Plan<Op>, resolve: impl Fn(&str) -> HostId) -> Faults {
        let planned = plan.faults.iter().enumerate().map(|(index, fault)| Planned {
            plan: fault.clone(),
            trigger: match &fault.at {
                Trigger::Ms(ms) => When::Ms(*ms),
                Trigger::Point { host, nth, .. } => When::Point { host: resolve(host), nth: *nth },
                Trigger::Ordinal { host, kind, nth } => When::Ordinal { host: resolve(host), kind: *kind, nth: *nth },
            },
            target: match fault.fault.place() {
                Place::Host(name) | Place::Client(name) => Target::Host(resolve(name)),
                Place::Link { from, to, direction } => Target::Link { from: resolve(from), to: resolve(to), direction },
            },
            phase: Phase::Waiting,
            fired: false,
            times: 0,
            random: draws(plan.seed, index),
        });
        Faults(planned.collect())
    }

    /// Draws are another seed's from here on, and a fault that still waits is over with even odds.
    pub fn reseed(&mut self, seed: u64) {
        for (index, planned) in self.0.iter_mut().enumerate() {
            planned.random = draws(seed, index);
            let strikes = Stream::new(seed, &format!("fault/{index}/strikes")).percent(50);
            if planned.phase == Phase::Waiting && !strikes {
                planned.phase = Phase::Over;
            }
        }
    }

    /// The fault with its target.
    pub fn get(&self, index: usize) -> (&Fault, Target) {
        (&self.0[index].plan.fault, self.0[index].target)
    }

    /// The faults whose time has come.
    pub fn due(&self, now_ms: u64) -> Vec<usize> {
        self.waiting(|planned| matches!(planned.trigger, When::Ms(ms) if ms <= now_ms))
    }

    /// The faults that wait for the nth point of a kind on a host.
    pub fn at_ordinal(&self, host: HostId, kind: PointKind, nth: u64) -> Vec<usize> {
        self.waiting(|planned| {
            matches!(planned.trigger, When::Ordinal { host: h, kind: k, nth: n } if (h, k, n) == (host, kind, nth))
        })
    }

    /// The faults that wait for a host to reach a named point for the nth time.
    pub fn at_point(&self, host: HostId, point: &str, nth: u64) -> Vec<usize> {
        self.waiting(|planned| {
            matches!(planned.trigger, When::Point { host: h, nth: n } if (h, n) == (host, nth))
                && matches!(&planned.plan.at, Trigger::Point { point: named, .. } if named == point)
        })
    }

    fn waiting(&self, wanted: impl Fn(&Planned) -> bool) -> Vec<usize> {
        let matching =
            |(index, planned): (usize, &Planned)| (planned.phase == Phase::Waiting && wanted(planned)).then_some(index);
        self.0.iter().enumerate().filter_map(matching).collect()
    }

    /// Applies a fault that lasts until `until_ms`.
    pub fn activate(&mut self, index: usize, until_ms: u64) {
        self.0[index].phase = Phase::Active { until_ms };
    }

    /// A fault that struck and is done, or that came too late.
    pub fn finish(&mut self, index: usize) {
        self.0[index].phase = Phase::Over;
    }

    /// Records that a fault made a difference.
    pub fn fire(&mut self, index: usize) {
        self.0[index].fired = true;
    }

    /// Ends the faults whose time is over, and returns them.
    pub fn heal(&mut self, now_ms: u64) -> Vec<usize> {
        self.end(|phase| matches!(phase, Phase::Active { until_ms } if until_ms <= now_ms))
    }

    /// Ends all faults: none will strike any more. Returns those that were active.
    pub fn heal_all(&mut self) -> Vec<usize> {
        let active = self.end(|phase| matches!(phase, Phase::Active { .. }));
        self.end(|_| true);
        active
    }

    fn end(&mut self, ends: impl Fn(Phase) -> bool) -> Vec<usize> {
        let mut ended = Vec::new();
        for (index, planned) in self.0.iter_mut().enumerate() {
            if planned.phase != Phase::Over && ends(planned.phase) {
                planned.phase = Phase::Over;
                ended.push(index);
            }
        }
        ended
    }

    /// What a message meets as it is sent: how much longer it takes, in milliseconds, or `None` when it is lost.
    pub fn on_send(&mut self, from: HostId, to: HostId) -> Option<u64> {
        let mut extra_ms = Some(0);
        for planned in self.active_on(from, to) {
            let added_ms = match planned.plan.fault {
                Fault::Cut { kind: CutKind::Blackhole, .. } => None,
                Fault::Delay { extra_ms, .. } => Some(extra_ms),
                Fault::Reorder { spread_ms, .. } => Some(planned.random.between(0, spread_ms)),
                _ => continue,
            };
            planned.fired |= added_ms != Some(0);
            extra_ms = extra_ms.zip(added_ms).map(|(sum, added)| sum + added);
        }
        extra_ms
    }

    /// What a message meets as it is due. A cut concerns what was under way when it came, too.
    pub fn on_arrival(&mut self, from: HostId, to: HostId) -> Arrival {
        let mut arrival = Arrival::Pass;
        for planned in self.active_on(from, to) {
            match planned.plan.fault {
                Fault::Cut { kind: CutKind::Blackhole, .. } => arrival = Arrival::Lost,
                Fault::Cut { kind: CutKind::Stall, .. } if arrival == Arrival::Pass => arrival = Arrival::Wait,
                Fault::Cut { .. } => {}
                _ => continue,
            }
            planned.fired = true;
        }
        arrival
    }

    fn active_on(&mut self, from: HostId, to: HostId) -> impl Iterator<Item = &mut Planned> {
        self.0
            .iter_mut()
            .filter(move |planned| matches!(planned.phase, Phase::Active { .. }) && planned.target.concerns(from, to))
    }

    /// How long whoever asks must stand still: an active pause of the host catches one, and is over.
    pub fn take_pause(&mut self, host: HostId) -> Option<u64> {
        self.0.iter_mut().find_map(|planned| match (&planned.plan.fault, planned.target, planned.phase) {
            (Fault::Pause { for_ms, .. }, Target::Host(target), Phase::Active { .. }) if target == host => {
                (planned.phase, planned.fired) = (Phase::Over, true);
                Some(*for_ms)
            }
            _ => None,
        })
    }

    /// Whether requests of a client are to be sent twice now. Whoever asks does so.
    pub fn take_duplicate(&mut self, client: HostId) -> bool {
        let mut duplicating = false;
        for planned in &mut self.0 {
            let here = matches!(planned.target, Target::Host(host) if host == client);
            let active = matches!(planned.phase, Phase::Active { .. });
            if here && active && matches!(planned.plan.fault, Fault::Duplicate { .. }) {
                (planned.fired, duplicating) = (true, true);
            }
        }
        duplicating
    }

    /// What becomes of an operation on a host's disk, and how much longer it takes, in milliseconds.
    pub fn on_disk(&mut self, host: HostId, operation: OpKind) -> (Verdict, u64) {
        let (mut verdict, mut slower_ms) = (Verdict::Proceed, 0);
        for planned in self.active_at(host) {
            match planned.plan.fault {
                Fault::SlowDisk { extra_ms, .. } => slower_ms += extra_ms,
                // The first that strikes decides.
                Fault::Disk { kind, percent, at_most, .. } if verdict == Verdict::Proceed => {
                    let Some(failure) = failure(kind, operation) else { continue };
                    if at_most.is_some_and(|most| planned.times >= most) || !planned.random.percent(percent) {
                        continue;
                    }
                    verdict = failure;
                    planned.times += 1;
                }
                _ => continue,
            }
            planned.fired = true;
        }
        (verdict, slower_ms)
    }

    /// Whether any of them concerns a clock.
    pub fn concern_clocks(&self) -> bool {
        let concerns =
            |planned: &Planned| matches!(planned.plan.fault, Fault::ClockSkew { .. } | Fault::ClockDrift { .. });
        self.0.iter().any(concerns)
    }

    /// How far a host's time of day is ahead of the true one, in milliseconds. `seen` says that somebody goes by it:
    /// those who read two clocks at once may want the other.
    pub fn clock_error_ms(&mut self, host: HostId, now_ms: u64, seen: bool) -> i64 {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        self.active_at(host).fold(0, |sum: i64, planned| {
            let Phase::Active { until_ms } = planned.phase else { return sum };
            let error_ms = match planned.plan.fault {
                Fault::ClockSkew { by_ms, .. } => by_ms,
                Fault::ClockDrift { ppm, for_ms, .. } => {
                    let elapsed_ms = signed(now_ms.saturating_sub(until_ms - for_ms));
                    elapsed_ms.saturating_mul(ppm) / 1_000_000
                }
                _ => 0,
            };
            planned.fired |= seen && error_ms != 0;
            sum.saturating_add(error_ms)
        })
    }

    /// The images that are to be kept for later: the fault, and whose.
    pub fn images_due(&self, now_ms: u64) -> Vec<(usize, HostId)> {
        let due = |(index, planned): (usize, &Planned)| match (&planned.plan.fault, planned.target) {
            (Fault::StaleImage { as_of_ms, .. }, Target::Host(host))
                if *as_of_ms <= now_ms && planned.phase == Phase::Waiting =>
            {
                Some((index, host))
            }
            _ => None,
        };
        self.0.iter().enumerate().filter_map(due).collect()
    }

    /// A place in a file, drawn for this fault.
    pub fn draw_below(&mut self, index: usize, bound: u64) -> u64 {
        self.0[index].random.below(bound)
    }

    fn active_at(&mut self, host: HostId) -> impl Iterator<Item = &mut Planned> {
        self.0.iter_mut().filter(move |planned| {
            matches!(planned.phase, Phase::Active { .. }) && matches!(planned.target, Target::Host(at) if at == host)
        })
    }

    /// Which faults took effect, in the plan's order.
    pub fn fired_each(&self) -> Vec<bool> {
        self.0.iter().map(|planned| planned.fired).collect()
    }

    /// How many faults of each kind took effect.
    pub fn fired(&self) -> BTreeMap<String, u64> {
        let mut fired = BTreeMap::new();
        for planned in self.0.iter().filter(|planned| planned.fired) {
            *fired.entry(planned.plan.fault.name().to_owned()).or_default() += 1;
        }
        fired
    }
}

/// How a kind of disk fault fails an operation; `None` where it does not concern it.
fn failure(kind: DiskKind, operation: OpKind) -> Option<Verdict> {
    let (concerned, verdict): (&[OpKind], _) = match kind {
        DiskKind::ReadError => (&[OpKind::Read], Verdict::Fail(IoFault::Eio)),
        DiskKind::ShortRead => (&[OpKind::Read], Verdict::Fail(IoFault::ShortRead)),
        DiskKind::WriteError => (&[OpKind::Write, OpKind::Truncate], Verdict::Fail(IoFault::Eio)),
        DiskKind::SyncError => (&[OpKind::Sync, OpKind::SyncDirectory], Verdict::Fail(IoFault::Eio)),
        DiskKind::DiskFull => (&[OpKind::Write], Verdict::Fail(IoFault::NoSpace)),
        DiskKind::LyingSync => (&[OpKind::Sync, OpKind::SyncDirectory], Verdict::Lie),
    };
    concerned.contains(&operation).then_some(verdict)
}
