//! A plan that is much like another.

use crate::plan::{Place, Plan, PlannedFault, Topology, Trigger};
use crate::stream::Stream;

/// How many things are changed at most.
const CHANGES_MAX: u64 = 3;
/// How far a time is moved at most, in simulated milliseconds.
const SHIFT_MS_MAX: u64 = 300;
/// Which passing of a point a fault may be moved to at most.
const NTH_MAX: u64 = 4;
/// How long a fault lasts at most after it was made longer.
const LASTS_MS_MAX: u64 = 5_000;

/// A variation of a plan, under a seed of its own. Faults may come from `other`, where their hosts are in the plan too.
pub fn mutate<Op: Clone>(plan: &Plan<Op>, other: &Plan<Op>, topology: &Topology, random: &mut Stream) -> Plan<Op> {
    let mut varied = plan.clone();
    varied.seed = random.below(1 << 32);
    for _ in 0..random.between(0, CHANGES_MAX) {
        change(&mut varied, other, topology, random);
    }
    varied
}

fn change<Op>(plan: &mut Plan<Op>, other: &Plan<Op>, topology: &Topology, random: &mut Stream) {
    match random.below(6) {
        0 => drop(take(&mut plan.faults, random)),
        1 => {
            if let Some(fault) = random.pick(&other.faults).filter(|fault| fits(fault, plan, topology)) {
                plan.faults.push(fault.clone());
            }
        }
        2 => {
            if let Some(fault) = one_of(&mut plan.faults, random)
                && let Trigger::Ms(at_ms) = &mut fault.at
            {
                *at_ms = at_ms.saturating_add(random.below(2 * SHIFT_MS_MAX)).saturating_sub(SHIFT_MS_MAX);
            }
        }
        3 => {
            let places: Vec<(&str, &String)> =
                topology.hosts.iter().flat_map(|host| host.points.iter().map(|point| (host.name, point))).collect();
            let place = random.pick(&places).copied();
            if let (Some(fault), Some((host, point))) = (one_of(&mut plan.faults, random), place) {
                let nth = random.between(1, NTH_MAX);
                fault.at = Trigger::Point { host: host.to_owned(), point: point.clone(), nth };
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
                client.steps.iter_mut().skip(from).for_each(|step| step.at_ms += by_ms);
            }
        }
    }
}

/// Whether a fault's hosts are there.
fn fits<Op>(fault: &PlannedFault, plan: &Plan<Op>, topology: &Topology) -> bool {
    let is_client = |name: &str| plan.clients.iter().any(|client| client.name == name);
    let known = |name: &str| topology.host(name).is_some() || is_client(name);
    let strikes = match fault.fault.place() {
        Place::Host(host) => topology.host(host).is_some(),
        Place::Client(client) => is_client(client),
        Place::Link { from, to, .. } => known(from) && known(to),
    };
    strikes
        && match &fault.at {
            Trigger::Ms(_) => true,
            Trigger::Point { host, .. } | Trigger::Ordinal { host, .. } => known(host),
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
    use crate::plan::{Client, ClientStep, CutKind, Direction, Fault};

    fn planned(fault: Fault) -> PlannedFault {
        PlannedFault { at: Trigger::Ms(1_000), fault }
    }

    fn plan() -> Plan<Op> {
        let steps = vec![ClientStep { at_ms: 10, op: Op::Stop }, ClientStep { at_ms: 20, op: Op::Stop }];
        let kill = Fault::Kill { host: "coordinator".to_owned(), restart_after_ms: 100 };
        let clients = vec![Client { name: "c1".to_owned(), steps }];
        Plan { clients, faults: vec![planned(kill)], ..fake::plan() }
    }

    fn cut(from: &str) -> PlannedFault {
        let (kind, direction) = (CutKind::Stall, Direction::Both);
        planned(Fault::Cut { from: from.to_owned(), to: "graph".to_owned(), kind, direction, heal_after_ms: 9 })
    }

    #[test]
    fn everything_that_can_be_varied_is_varied_some_time_and_nothing_else() {
        let (plan, topology, mut random) = (plan(), Topology::of(&Fake), Stream::new(1, "test"));
        let other = Plan { faults: vec![cut("coordinator")], ..plan.clone() };
        let varied: Vec<_> = (0..400).map(|_| mutate(&plan, &other, &topology, &mut random)).collect();
        let some = |holds: &dyn Fn(&Plan<Op>) -> bool| varied.iter().any(holds);
        assert!(some(&|varied| varied.faults.is_empty()));
        assert!(some(&|varied| varied.faults.len() > 1));
        assert!(some(&|varied| varied.faults.first().is_some_and(|f| matches!(f.at, Trigger::Ms(ms) if ms != 1_000))));
        assert!(some(&|varied| varied.faults.first().is_some_and(|f| matches!(f.at, Trigger::Point { .. }))));
        assert!(some(&|varied| varied.faults.first().is_some_and(|f| f.fault.lasts_ms() != 100)));
        assert!(some(&|varied| varied.clients[0].steps[1].at_ms > 20));
        for varied in &varied {
            assert_eq!((&varied.scenario, varied.limit_ms), (&plan.scenario, plan.limit_ms));
            let ops = |plan: &Plan<Op>| plan.clients[0].steps.iter().map(|step| step.op.clone()).collect::<Vec<_>>();
            assert_eq!(ops(varied), ops(&plan));
            assert!(varied.clients[0].steps.is_sorted_by_key(|step| step.at_ms));
            assert!(varied.faults.iter().all(|fault| fits(fault, varied, &topology)));
        }
    }

    #[test]
    fn a_fault_of_a_stranger_is_not_taken_over() {
        let (plan, topology, mut random) = (plan(), Topology::of(&Fake), Stream::new(1, "test"));
        let other = Plan { faults: vec![cut("stranger")], ..plan.clone() };
        for _ in 0..200 {
            assert!(mutate(&plan, &other, &topology, &mut random).faults.len() <= 1);
        }
    }
}
