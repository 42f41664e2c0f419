//! The search, over runs that are only thought of.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::plan::fake::{Fake, Op, plan as fake_plan};
use crate::plan::{Client, ClientStep, CutKind, Direction, Fault, PlannedFault, Trigger};

/// Judges plans by a rule, and counts.
struct Rule<F> {
    fails: F,
    width: usize,
    ran: u64,
    limit: u64,
}

impl<F: Fn(&Plan<Op>) -> Vec<Violation>> Runner<Op> for Rule<F> {
    type Error = String;

    fn width(&self) -> usize {
        self.width
    }

    fn run(&mut self, candidates: &[Plan<Op>]) -> Result<Vec<Came>, String> {
        self.ran += candidates.len() as u64;
        Ok(candidates.iter().map(|plan| Came::Judged((self.fails)(plan))).collect())
    }

    /// A second a run.
    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.ran)
    }

    fn shrunk_to(&mut self, _: Size, _: u64) {}
}

fn small(plan: &Plan<Op>, width: usize, seconds: u64, fails: impl Fn(&Plan<Op>) -> Vec<Violation>) -> Shrunk<Op> {
    let mut rule = Rule { fails, width, ran: 0, limit: seconds };
    let limit = Duration::from_secs(rule.limit);
    shrink::<Fake, _>(plan, lost().fingerprint(), limit, &mut rule).expect("it has no errors")
}

fn lost() -> Violation {
    Violation::new("durability", "lost")
}

fn torn() -> Violation {
    Violation::new("atomicity", "torn")
}

/// Four clients with ten writes each, one of which stops after its fifth; and a dozen faults.
fn large() -> Plan<Op> {
    let write = |n: u64| ClientStep { at_ms: 437 + 50 * n, op: Op::Create { id: format!("e{n}"), value: 1 } };
    let client = |name: &str| Client { name: name.to_owned(), steps: (0..10).map(write).collect() };
    let mut plan = fake_plan();
    plan.clients = ["c1", "c2", "c3", "c4"].map(client).to_vec();
    plan.clients[2].steps[5].op = Op::Stop;
    let cut = |n: u64| PlannedFault {
        at: Trigger::Ms(100 * n),
        fault: Fault::Cut {
            from: "c1".to_owned(),
            to: "coordinator".to_owned(),
            kind: CutKind::Blackhole,
            direction: Direction::Both,
            heal_after_ms: 700,
        },
    };
    plan.faults = (0..11).map(cut).collect();
    plan.faults.insert(
        7,
        PlannedFault {
            at: Trigger::Point { host: "coordinator".to_owned(), point: "commit.decide.after".to_owned(), nth: 6 },
            fault: Fault::PowerCut { host: "coordinator".to_owned(), restart_after_ms: 630 },
        },
    );
    plan
}

fn stops(plan: &Plan<Op>) -> bool {
    plan.clients.iter().flat_map(|client| &client.steps).any(|step| step.op == Op::Stop)
}

fn dies(plan: &Plan<Op>) -> bool {
    plan.faults.iter().any(|planned| matches!(planned.fault, Fault::PowerCut { .. } | Fault::Kill { .. }))
}

fn when(condition: bool, violation: Violation) -> Vec<Violation> {
    if condition { vec![violation] } else { Vec::new() }
}

#[test]
fn what_the_failure_does_not_need_goes_and_the_rest_gets_simple() {
    let shrunk = small(&large(), 2, 10_000, |plan| when(stops(plan) && dies(plan), lost()));
    assert_eq!(Size::of(&shrunk.plan), Size { clients: 1, operations: 1, faults: 1 });
    assert_eq!(Size::of(&shrunk.plan).to_string(), "1 fault and 1 operation of 1 client");
    let step = &shrunk.plan.clients[0].steps[0];
    assert_eq!((&shrunk.plan.clients[0].name[..], step.at_ms, &step.op), ("c3", 0, &Op::Stop));
    let at = Trigger::Point { host: "coordinator".to_owned(), point: "commit.decide.after".to_owned(), nth: 1 };
    let fault = Fault::Kill { host: "coordinator".to_owned(), restart_after_ms: 10 };
    assert_eq!(shrunk.plan.faults, [PlannedFault { at, fault }]);
    assert!(shrunk.minimal);
    assert!(shrunk.runs < 100, "{} runs", shrunk.runs);
}

#[test]
fn what_passes_without_one_fault_is_the_nearest() {
    let shrunk = small(&large(), 3, 10_000, |plan| when(stops(plan) && dies(plan), lost()));
    let passing = shrunk.passing.expect("without its fault it passes");
    assert_eq!((passing.faults.len(), passing.clients), (0, shrunk.plan.clients));
}

#[test]
fn the_result_does_not_depend_on_how_many_run_at_once() {
    let fails = |plan: &Plan<Op>| {
        when(Part::Operation.count(plan) >= 3 && plan.faults.len() >= 2 && stops(plan) && dies(plan), lost())
    };
    let one = small(&large(), 1, 10_000, fails);
    assert_eq!(Size::of(&one.plan).operations, 3);
    for width in [2, 3, 16] {
        assert_eq!(small(&large(), width, 10_000, fails).plan, one.plan, "{width} at once");
    }
}

#[test]
fn another_failure_is_told_and_not_taken() {
    // Without a crash it fails of something else.
    let shrunk = small(&large(), 2, 10_000, |plan| {
        if stops(plan) && dies(plan) { vec![lost()] } else { when(plan.faults.is_empty(), torn()) }
    });
    assert!(dies(&shrunk.plan));
    let [other] = &shrunk.others[..] else { panic!("{:?}", shrunk.others) };
    assert_eq!((&other.violation, other.plan.faults.len()), (&torn(), 0));
}

#[test]
fn when_the_time_is_over_it_has_what_it_has() {
    let fails = |plan: &Plan<Op>| when(stops(plan) && dies(plan), lost());
    let shrunk = small(&large(), 1, 4, fails);
    assert!(!shrunk.minimal);
    assert_eq!(shrunk.runs, 4);
    assert_eq!(fails(&shrunk.plan), [lost()]);
}

#[test]
fn a_plan_that_needs_all_of_itself_stays() {
    let plan = large();
    let same = plan.clone();
    let shrunk = small(&plan, 2, 10_000, move |plan| when(*plan == same, lost()));
    assert_eq!((shrunk.plan, shrunk.minimal), (plan, true));
}

#[test]
fn a_client_takes_its_faults_with_it() {
    let plan = without(&large(), Part::Client, 0..1);
    assert_eq!((plan.clients.len(), plan.faults.len()), (3, 1));
}

#[test]
fn no_more_candidates_are_made_than_are_run_and_none_once_the_time_is_over() {
    let made = std::cell::Cell::new(0);
    let plan = large();
    let mut rule = Rule { fails: |_: &Plan<Op>| Vec::new(), width: 3, ran: 0, limit: 6 };
    let limit = Duration::from_secs(rule.limit);
    let mut search = Search::new(&plan, limit, lost().fingerprint(), &mut rule);
    let endless = |seed| {
        let (made, plan) = (&made, &plan);
        move || {
            made.set(made.get() + 1);
            Plan { seed, ..plan.clone() }
        }
    };
    assert_eq!(search.first_that_fails((0..).map(endless), 1), Ok(None));
    assert_eq!((made.get(), search.runs), (6, 6));
}

#[test]
fn a_plan_that_passed_when_it_was_next_to_another_is_offered_again() {
    // Without its fault it is the same plan, whatever became of the fault meanwhile.
    let mut plan = fake_plan();
    let steps = vec![ClientStep { at_ms: 0, op: Op::Stop }];
    plan.clients = vec![Client { name: "c1".to_owned(), steps }];
    plan.faults = vec![large().faults.remove(7)];
    let shrunk = small(&plan, 2, 10_000, |plan| when(stops(plan) && dies(plan), lost()));
    assert_ne!(shrunk.plan.faults, plan.faults);
    assert_eq!(shrunk.passing, Some(Plan { faults: Vec::new(), ..shrunk.plan }));
}

#[test]
fn options_lose_what_can_go_without_it_to_their_innermost() {
    let mut plan = large();
    plan.system = json!({
        "projectors": 2,
        "limit_ms": 900,
        "harm": [{ "do": "wipe", "after_ms": 5 }, { "do": "cut", "after_ms": 7 }],
        "delivery": { "duplicate_percent": 40, "drop_percent": 20 },
    });
    let shrunk = small(&plan, 2, 10_000, |plan| {
        let options = &plan.system;
        let needed = options["projectors"].as_u64() > Some(0)
            && options["harm"].as_array().is_some_and(|harm| harm.iter().any(|harm| harm["do"] == "cut"))
            && options["delivery"]["drop_percent"].is_u64();
        when(needed, lost())
    });
    assert_eq!(
        shrunk.plan.system,
        json!({ "projectors": 1, "harm": [{ "do": "cut" }], "delivery": { "drop_percent": 20 } })
    );
}

#[test]
fn one_client_does_what_two_did_where_no_fault_tells_them_apart() {
    let step = |at_ms, op| ClientStep { at_ms, op };
    let mut plan = fake_plan();
    let write = Op::Scale(1.0);
    plan.clients = vec![
        Client { name: "c1".to_owned(), steps: vec![step(0, write.clone()), step(20, Op::Stop)] },
        Client { name: "c2".to_owned(), steps: vec![step(10, Op::Scale(2.0))] },
    ];
    let all_three = |plan: &Plan<Op>| when(Part::Operation.count(plan) == 3, lost());
    let shrunk = small(&plan, 2, 10_000, all_three).plan;
    let [client] = &shrunk.clients[..] else { panic!("{:?}", shrunk.clients) };
    assert_eq!(client.steps.iter().map(|step| &step.op).collect::<Vec<_>>(), [&write, &Op::Scale(2.0), &Op::Stop]);

    plan.faults = vec![PlannedFault {
        at: Trigger::Ms(5),
        fault: Fault::Delay { from: "c2".to_owned(), to: "coordinator".to_owned(), extra_ms: 10, for_ms: 10 },
    }];
    let with_fault = |plan: &Plan<Op>| when(Part::Operation.count(plan) == 3 && plan.faults.len() == 1, lost());
    assert_eq!(small(&plan, 2, 10_000, with_fault).plan.clients.len(), 2);
}
