//! What is simpler than a plan by one change.
//!
//! Every change lowers something that cannot fall for ever: a rank of kinds, a number, a count. So a search that only
//! takes these comes to an end.

use serde_json::{Map, Value};

use super::parts::concerns;
use crate::plan::{ClientStep, CutKind, DiskKind, Fault, Plan, PlannedFault, Trigger};
use crate::sut::System;

/// A plan that is not made yet: there may be many, and each as large as the one that it comes from.
pub(super) type Candidate<'a, Op> = Box<dyn FnOnce() -> Plan<Op> + 'a>;

/// Those that are tried, in their order.
pub(super) type Candidates<'a, Op> = Box<dyn Iterator<Item = Candidate<'a, Op>> + 'a>;

/// The plan with a change.
fn candidate<'a, Op: Clone>(plan: &'a Plan<Op>, change: impl FnOnce(&mut Plan<Op>) + 'a) -> Candidate<'a, Op> {
    Box::new(move || {
        let mut plan = plan.clone();
        change(&mut plan);
        plan
    })
}

/// Plans that differ from this one by one simplification of what it says as a whole: its marks, its options, its clients.
pub(super) fn simpler_whole<Op: Clone>(plan: &Plan<Op>) -> Candidates<'_, Op> {
    // The marks are those of the larger story: nothing is judged by them.
    let unmarked = (!plan.marks.is_empty()).then(|| candidate(plan, |plan| plan.marks.clear()));
    let systems = options(&plan.system).into_iter().map(move |system| {
        let is_empty = system.as_object().is_some_and(Map::is_empty);
        candidate(plan, move |plan| plan.system = if is_empty { Value::Null } else { system })
    });
    Box::new(unmarked.into_iter().chain(systems).chain(together(plan)))
}

/// Plans that differ from this one by one simplification of a fault, an operation or a time each, those that say most first.
pub(super) fn simpler_parts<S: System>(plan: &Plan<S::Op>) -> Candidates<'_, S::Op> {
    let faults = plan.faults.iter().enumerate().flat_map(move |(place, planned)| {
        faults(planned).into_iter().map(move |fault| candidate(plan, move |plan| plan.faults[place] = fault))
    });
    let clients = plan.clients.iter().enumerate();
    let steps = clients.flat_map(|(who, client)| client.steps.iter().enumerate().map(move |step| (who, step)));
    let steps = steps.flat_map(move |(who, (place, step))| {
        let ops = S::simpler(&step.op).into_iter().map(|op| (step.at_ms, op));
        let times = earlier(step.at_ms).into_iter().map(|at_ms| (at_ms, step.op.clone()));
        ops.chain(times).map(move |(at_ms, op)| {
            candidate(plan, move |plan| plan.clients[who].steps[place] = ClientStep { at_ms, op })
        })
    });
    Box::new(faults.chain(steps))
}

/// Without one of the options, or with one that asks for less: fewer elements of a list, a lower count.
fn options(options: &Value) -> Vec<Value> {
    match options {
        Value::Object(fields) => {
            let mut simpler = Vec::new();
            for name in fields.keys() {
                let mut fields = fields.clone();
                fields.remove(name);
                simpler.push(Value::Object(fields));
            }
            for (name, value) in fields {
                for value in self::options(value) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), value);
                    simpler.push(Value::Object(fields));
                }
            }
            simpler
        }
        Value::Array(list) => {
            let mut simpler = Vec::new();
            for place in 0..list.len() {
                let mut list = list.clone();
                list.remove(place);
                simpler.push(Value::Array(list));
            }
            for (place, value) in list.iter().enumerate() {
                for value in self::options(value) {
                    let mut list = list.clone();
                    list[place] = value;
                    simpler.push(Value::Array(list));
                }
            }
            simpler
        }
        // What is larger is a time or a share: less of it is not simpler.
        Value::Number(number) => {
            let count = number.as_u64().filter(|count| (2..=COUNT_MAX).contains(count));
            count.map(|count| Value::from(count - 1)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Two clients that become one, with the operations of both in the order of their times. No fault may concern the one that
/// goes.
fn together<Op: Clone>(plan: &Plan<Op>) -> impl Iterator<Item = Candidate<'_, Op>> {
    let may_go = |goes: &usize| !plan.faults.iter().any(|fault| concerns(fault, &plan.clients[*goes].name));
    let goers: Vec<usize> = (0..plan.clients.len()).filter(may_go).collect();
    let pairs = (0..plan.clients.len()).flat_map(move |stays| {
        let goers = goers.clone();
        goers.into_iter().filter(move |goes| *goes > stays).map(move |goes| (stays, goes))
    });
    pairs.map(move |(stays, goes)| {
        candidate(plan, move |plan| {
            let gone = plan.clients.remove(goes);
            let steps = &mut plan.clients[stays].steps;
            steps.extend(gone.steps);
            steps.sort_by_key(|step| step.at_ms);
        })
    })
}

/// Simpler kinds first, then what is shorter, then what is earlier.
fn faults(planned: &PlannedFault) -> Vec<PlannedFault> {
    let with = |fault| PlannedFault { fault, ..planned.clone() };
    let mut simpler: Vec<PlannedFault> = kinds(&planned.fault).into_iter().map(with).collect();
    for ms in shorter(planned.fault.lasts_ms()) {
        let mut fault = planned.fault.clone();
        fault.set_lasts_ms(ms);
        simpler.push(with(fault));
    }
    simpler.extend(amounts(&planned.fault).into_iter().map(with));
    let fault = &planned.fault;
    simpler.extend(triggers(&planned.at).into_iter().map(|at| PlannedFault { at, fault: fault.clone() }));
    simpler
}

/// What does less of the same sort.
fn kinds(fault: &Fault) -> Vec<Fault> {
    match fault.clone() {
        Fault::PowerCut { host, restart_after_ms } => vec![Fault::Kill { host, restart_after_ms }],
        Fault::BitRot { host, restart_after_ms, .. }
        | Fault::Truncation { host, restart_after_ms, .. }
        | Fault::StaleImage { host, restart_after_ms, .. }
        | Fault::Forget { host, restart_after_ms, .. } => {
            let (same, both) = (host.clone(), restart_after_ms);
            vec![Fault::Kill { host, restart_after_ms }, Fault::PowerCut { host: same, restart_after_ms: both }]
        }
        Fault::Cut { from, to, kind: CutKind::Blackhole, direction, heal_after_ms } => {
            vec![Fault::Cut { from, to, kind: CutKind::Stall, direction, heal_after_ms }]
        }
        Fault::Reorder { from, to, spread_ms, for_ms } => vec![Fault::Delay { from, to, extra_ms: spread_ms, for_ms }],
        Fault::Disk { host, kind: DiskKind::SyncError | DiskKind::DiskFull, percent, at_most, for_ms } => {
            vec![Fault::Disk { host, kind: DiskKind::WriteError, percent, at_most, for_ms }]
        }
        Fault::ClockDrift { host, ppm, for_ms } => {
            vec![Fault::ClockSkew { host, by_ms: 1_000 * ppm.signum(), for_ms }]
        }
        _ => Vec::new(),
    }
}

/// Smaller numbers where there are any beside the duration.
fn amounts(fault: &Fault) -> Vec<Fault> {
    let mut simpler = Vec::new();
    match fault {
        Fault::Delay { extra_ms: ms, .. }
        | Fault::Reorder { spread_ms: ms, .. }
        | Fault::SlowDisk { extra_ms: ms, .. } => {
            for less in shorter(*ms) {
                let mut fault = fault.clone();
                if let Fault::Delay { extra_ms: ms, .. }
                | Fault::Reorder { spread_ms: ms, .. }
                | Fault::SlowDisk { extra_ms: ms, .. } = &mut fault
                {
                    *ms = less;
                }
                simpler.push(fault);
            }
        }
        Fault::Disk { host, kind, percent, at_most, for_ms } if *at_most != Some(1) => {
            let (host, kind, percent, for_ms) = (host.clone(), *kind, *percent, *for_ms);
            simpler.push(Fault::Disk { host, kind, percent, at_most: Some(1), for_ms });
        }
        Fault::BitRot { host, file, after, bits, restart_after_ms } if *bits > 1 => {
            let (host, file, after) = (host.clone(), file.clone(), after.clone());
            simpler.push(Fault::BitRot { host, file, after, bits: 1, restart_after_ms: *restart_after_ms });
        }
        Fault::Forget { host, commits, restart_after_ms } if *commits > 1 => {
            simpler.push(Fault::Forget { host: host.clone(), commits: 1, restart_after_ms: *restart_after_ms });
        }
        _ => {}
    }
    simpler
}

/// Earlier ones of the same sort.
fn triggers(at: &Trigger) -> Vec<Trigger> {
    match at {
        Trigger::Ms(ms) => earlier(*ms).into_iter().map(Trigger::Ms).collect(),
        Trigger::Point { host, point, nth } => {
            let trigger = |nth| Trigger::Point { host: host.clone(), point: point.clone(), nth };
            fewer(*nth).into_iter().map(trigger).collect()
        }
        Trigger::Ordinal { host, kind, nth } => {
            let trigger = |nth| Trigger::Ordinal { host: host.clone(), kind: *kind, nth };
            fewer(*nth).into_iter().map(trigger).collect()
        }
    }
}

/// The largest option that is taken for a count.
const COUNT_MAX: u64 = 9;

/// A duration that nobody needs to be shorter.
const SHORT_MS: u64 = 10;

fn shorter(ms: u64) -> Vec<u64> {
    distinct([SHORT_MS.min(ms), ms / 4, ms / 2, round(ms)], |less| less < ms && less >= SHORT_MS.min(ms))
}

fn earlier(ms: u64) -> Vec<u64> {
    distinct([0, ms / 2, round(ms)], |less| less < ms)
}

/// Counted from 1.
fn fewer(nth: u64) -> Vec<u64> {
    distinct([1, nth / 2, nth.saturating_sub(1)], |less| less < nth && less > 0)
}

/// The same with one digit less that is not zero: 437 is 430, and that is 400.
fn round(number: u64) -> u64 {
    let mut unit = 10;
    while number.is_multiple_of(unit) && unit < number {
        unit *= 10;
    }
    number / unit * unit
}

fn distinct<const N: usize>(candidates: [u64; N], fits: impl Fn(u64) -> bool) -> Vec<u64> {
    let mut numbers = Vec::new();
    for candidate in candidates {
        if fits(candidate) && !numbers.contains(&candidate) {
            numbers.push(candidate);
        }
    }
    numbers
}
