//! A plan that is much like another.

use crate::plan::{Plan, PlannedFault, Topology, Trigger, may_have};
use crate::stream::Stream;
use crate::sut::System;

/// How many things are changed at most.
const CHANGES_MAX: u64 = 3;
/// How far a time is moved at most, in simulated milliseconds.
const SHIFT_MS_MAX: u64 = 300;
/// Which passing of a point a fault may be moved to at most.
const NTH_MAX: u64 = 4;
/// How long a fault lasts at most after it was made longer.
const LASTS_MS_MAX: u64 = 5_000;

/// A variation of a plan, under a seed of its own. Faults may come from `other`, where their hosts are in the plan too.
///
/// What a scenario may not say, no variation says: what it finds can be adopted.
///
/// Harm is not varied. Where a store loses or changes what it had acknowledged, by a fault or [by hand](System::may_vary),
/// what the checks may still ask depends on what else the plan has: a restart at which the loss is noticed, a pass that
/// repairs it, nothing acknowledged since. So a plan with harm is run with other seeds, and no other plan gets any.
pub fn mutate<S: System>(plan: &Plan<S::Op>, other: &Plan<S::Op>, random: &mut Stream) -> Plan<S::Op> {
    let mut varied = plan.clone();
    varied.seed = random.below(1 << 32);
    // Whoever varies a plan has run it, so its system takes its options.
    let Ok(system) = S::new(&plan.system) else { return varied };
    if !system.may_vary() || plan.faults.iter().any(|planned| planned.fault.breaks_media()) {
        return varied;
    }
    let topology = Topology::of(&system);
    for _ in 0..random.between(0, CHANGES_MAX) {
        change(&mut varied, other, &topology, random);
    }
    varied
}

fn change<Op>(plan: &mut Plan<Op>, other: &Plan<Op>, topology: &Topology, random: &mut Stream) {
    let last_ms = plan.limit_ms.saturating_sub(1);
    match random.below(6) {
        0 => drop(take(&mut plan.faults, random)),
        1 => {
            let fits = |planned: &&PlannedFault| !planned.fault.breaks_media() && may_have(plan, planned, topology);
            if let Some(planned) = random.pick(&other.faults).filter(fits) {
                plan.faults.push(planned.clone());
            }
        }
        2 => {
            if let Some(fault) = one_of(&mut plan.faults, random)
                && let Trigger::Ms(at_ms) = &mut fault.at
            {
                *at_ms = at_ms.saturating_add(random.below(2 * SHIFT_MS_MAX)).saturating_sub(SHIFT_MS_MAX).min(last_ms);
            }
        }
        3 => {
            let places: Vec<(&str, &String)> =
                topology.hosts.iter().flat_map(|host| host.points.iter().map(|point| (host.name, point))).collect();
            let place = random.pick(&places).copied();
            let index = random.below(plan.faults.len() as u64) as usize;
            if let (Some(planned), Some((host, point))) = (plan.faults.get(index), place) {
                let nth = random.between(1, NTH_MAX);
                let at = Trigger::Point { host: host.to_owned(), point: point.clone(), nth };
                let moved = PlannedFault { at, fault: planned.fault.clone() };
                if may_have(plan, &moved, topology) {
                    plan.faults[index] = moved;
                }
            }
        }
        4 => {
            if let Some(PlannedFault { fault, .. }) = one_of(&mut plan.faults, random) {
                let lasts_ms = fault.lasts_ms();
                fault.set_lasts_ms(if random.percent(50) { lasts_ms / 2 } else { lasts_ms * 2 }.clamp(1, LASTS_MS_MAX));
            }
        }
        _ => {
            if let Some(client) = one_of(&mut plan.clients, random) {
                let (from, by_ms) = (random.below(client.steps.len() as u64) as usize, random.below(SHIFT_MS_MAX));
                for step in client.steps.iter_mut().skip(from) {
                    step.at_ms = (step.at_ms + by_ms).min(last_ms).max(step.at_ms);
                }
            }
        }
    }
}

fn one_of<'a, T>(items: &'a mut [T], random: &mut Stream) -> Option<&'a mut T> {
    let place = random.below(items.len() as u64) as usize;
    items.get_mut(place)
}

fn take<T>(items: &mut Vec<T>, random: &mut Stream) -> Option<T> {
    let place = random.below(items.len() as u64) as usize;
    (place < items.len()).then(|| items.remove(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fake::{self, Fake, Op};
    use crate::plan::{Client, ClientStep, CutKind, Direction, Fault, Scenario, parse_for};

    fn planned(fault: Fault) -> PlannedFault {
        PlannedFault { at: Trigger::Ms(990), fault }
    }

    fn plan() -> Plan<Op> {
        let steps = vec![ClientStep { at_ms: 10, op: Op::Stop }, ClientStep { at_ms: 900, op: Op::Stop }];
        let kill = Fault::Kill { host: "coordinator".to_owned(), restart_after_ms: 100 };
        let clients = vec![Client { name: "c1".to_owned(), steps }];
        Plan { clients, faults: vec![planned(kill)], ..fake::plan() }
    }

    fn cut(from: &str) -> PlannedFault {
        let (kind, direction) = (CutKind::Stall, Direction::Both);
        planned(Fault::Cut { from: from.to_owned(), to: "graph".to_owned(), kind, direction, heal_after_ms: 9 })
    }

    /// Many variations of a plan.
    fn vary(plan: &Plan<Op>, other: &Plan<Op>) -> Vec<Plan<Op>> {
        let mut random = Stream::new(1, "test");
        (0..400).map(|_| mutate::<Fake>(plan, other, &mut random)).collect()
    }

    #[test]
    fn everything_that_can_be_varied_is_varied_some_time_and_nothing_else() {
        let plan = plan();
        let other = Plan { faults: vec![cut("coordinator")], ..plan.clone() };
        let varied = vary(&plan, &other);
        let some = |holds: &dyn Fn(&Plan<Op>) -> bool| varied.iter().any(holds);
        assert!(some(&|varied| varied.faults.is_empty()));
        assert!(some(&|varied| varied.faults.len() > 1));
        assert!(some(&|varied| varied.faults.first().is_some_and(|f| matches!(f.at, Trigger::Ms(ms) if ms != 990))));
        assert!(some(&|varied| varied.faults.first().is_some_and(|f| matches!(f.at, Trigger::Point { .. }))));
        assert!(some(&|varied| varied.faults.first().is_some_and(|f| f.fault.lasts_ms() != 100)));
        assert!(some(&|varied| varied.clients[0].steps[1].at_ms > 900));
        for varied in &varied {
            assert_eq!((&varied.scenario, varied.limit_ms), (&plan.scenario, plan.limit_ms));
            let ops = |plan: &Plan<Op>| plan.clients[0].steps.iter().map(|step| step.op.clone()).collect::<Vec<_>>();
            assert_eq!(ops(varied), ops(&plan));
            assert!(varied.clients[0].steps.is_sorted_by_key(|step| step.at_ms));
        }
    }

    #[test]
    fn harm_is_neither_varied_nor_brought_from_elsewhere() {
        let forget = planned(Fault::Forget { host: "graph".to_owned(), commits: 1, restart_after_ms: 9 });
        let plan = plan();
        let harmed = Plan { faults: vec![plan.faults[0].clone(), forget], ..plan.clone() };
        let varied = vary(&harmed, &plan);
        assert!(varied.iter().all(|varied| *varied == Plan { seed: varied.seed, ..harmed.clone() }));
        assert_ne!(varied[0].seed, varied[1].seed);
        let varied = vary(&plan, &harmed);
        assert!(varied.iter().any(|varied| varied.faults.len() > 1), "what is no harm is");
        assert!(varied.iter().flat_map(|varied| &varied.faults).all(|planned| !planned.fault.breaks_media()));
    }

    #[test]
    fn what_a_hunt_finds_can_be_written_as_a_scenario() {
        // A pause belongs to a point of its own host; nothing is due when the run is over.
        let pause = |point: &str| PlannedFault {
            at: Trigger::Point { host: "coordinator".to_owned(), point: point.to_owned(), nth: 1 },
            fault: Fault::Pause { host: "coordinator".to_owned(), for_ms: 9 },
        };
        let plan = Plan { faults: vec![pause("begin.before"), cut("c1")], ..plan() };
        let late = PlannedFault { at: Trigger::Ms(5_000), ..cut("coordinator") };
        let graph = Fault::Pause { host: "graph".to_owned(), for_ms: 9 };
        let astray = PlannedFault { fault: graph, ..pause("begin.before") };
        let other = Plan { faults: vec![late, astray, cut("stranger"), cut("graph")], ..plan.clone() };
        for varied in vary(&plan, &other) {
            assert!(varied.faults.len() <= 2, "none of the others may come");
            let scenario = Scenario::from_plan(&varied).to_toml().unwrap_or_else(|error| panic!("{error}: {varied:?}"));
            parse_for::<Fake>("story.toml", &scenario).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
