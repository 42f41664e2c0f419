use std::collections::BTreeSet;

use super::*;
use crate::plan::fake::{Fake, Op};
use crate::plan::{Fault, Ground, Trigger, parse_for};
use crate::sut::System;

const STORY: &str = r#"
clients = ["writer", "reader"]
profile = "swarm"
checks = ["durability"]
limit_ms = 9_000
steps = [
  { at_ms = 60, client = "reader", do = "stop" },
  { at_ms = 0, client = "reader", do = { read = "first" } },
  { at_ms = 60, client = "reader", do = { read = "after stop" } },
  { at_ms = 5, fault = { kill = { host = "graph", restart_after_ms = 77_777 } } },
]
[workload]
operations = 4
[network]
tick_ms = 5
[system]
shards = 2
[expect]
marks = ["fenced"]
"#;

fn story() -> Scenario<Op> {
    parse_for::<Fake>("story.toml", STORY).unwrap()
}

fn plan(seed: u64) -> Plan<Op> {
    expand(&story(), &Fake, seed).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
    for seed in 0..50 {
        assert_eq!(plan(seed), plan(seed));
    }
    let distinct: BTreeSet<String> = (0..200).map(|seed| serde_json::to_string(&plan(seed).clients).unwrap()).collect();
    assert_eq!(distinct.len(), 200);
}

#[test]
fn a_plan_carries_what_the_scenario_says() {
    let plan = plan(7);
    assert_eq!((plan.format, plan.scenario.as_str(), plan.seed), (PLAN_FORMAT, "story", 7));
    assert_eq!(
        (plan.limit_ms, plan.settle_ms, plan.supervisor_restart_ms, plan.network.tick_ms),
        (9_000, 30_000, 200, 5)
    );
    assert_eq!((plan.checks, plan.marks), (vec!["durability".to_owned()], vec!["fenced".to_owned()]));
    assert_eq!(plan.system, serde_json::json!({ "shards": 2 }));
}

#[test]
fn each_client_has_its_steps_and_its_share_of_the_workload_by_time() {
    for seed in 0..20 {
        let plan = plan(seed);
        let [writer, reader] = &plan.clients[..] else { panic!("{:?}", plan.clients) };
        assert_eq!((writer.name.as_str(), writer.steps.len()), ("writer", 4));
        assert_eq!((reader.name.as_str(), reader.steps.len()), ("reader", 4 + 3));
        for client in &plan.clients {
            assert!(client.steps.is_sorted_by_key(|step| step.at_ms), "{client:?}");
        }
        let explicit: Vec<&Op> =
            reader.steps.iter().map(|step| &step.op).filter(|op| !matches!(op, Op::Create { .. })).collect();
        let read = |key: &str| Op::Read(crate::plan::fake::Key(key.to_owned()));
        // Steps due at the same time keep the file's order.
        assert_eq!(explicit, [&read("first"), &Op::Stop, &read("after stop")]);
    }
}

#[test]
fn faults_are_the_explicit_ones_and_then_those_drawn_in_the_time_clients_are_busy() {
    let explicit = Fault::Kill { host: "graph".to_owned(), restart_after_ms: 77_777 };
    let mut kinds = BTreeSet::new();
    for seed in 0..200 {
        let faults = plan(seed).faults;
        assert_eq!((&faults[0].at, &faults[0].fault), (&Trigger::Ms(5), &explicit));
        for drawn in &faults[1..] {
            assert_ne!(drawn.fault, explicit);
            // Seven operations of 100 ms after a last step due before 200 ms.
            assert!(!matches!(drawn.at, Trigger::Ms(900..)), "{:?}", drawn.at);
            kinds.insert(drawn.fault.name());
        }
    }
    let ground = Ground { hosts: &Fake.hosts(), clients: &["writer".to_owned()], active_ms: 1 };
    assert_eq!(kinds, story().profile.kinds(&ground).into_iter().collect());
}

#[test]
fn what_clients_do_does_not_depend_on_the_profile_nor_points_on_the_workload() {
    let mut calm = story();
    calm.profile = crate::plan::Profile::Calm;
    let mut busier = story();
    busier.workload.as_mut().unwrap().operations = 9;
    let drawn = |plan: Plan<Op>| -> Vec<_> {
        plan.faults.into_iter().filter(|planned| !matches!(planned.at, Trigger::Ms(_))).collect()
    };
    for seed in 0..50 {
        assert_eq!(expand(&calm, &Fake, seed).unwrap().clients, plan(seed).clients);
        assert_eq!(expand(&calm, &Fake, seed).unwrap().faults.len(), 1);
        assert_eq!(drawn(expand(&busier, &Fake, seed).unwrap()), drawn(plan(seed)));
    }
}

#[test]
fn drawn_times_are_before_the_limit() {
    let mut short = story();
    short.limit_ms = 61;
    for seed in 0..200 {
        for drawn in &expand(&short, &Fake, seed).unwrap().faults[1..] {
            assert!(!matches!(drawn.at, Trigger::Ms(61..)), "{:?}", drawn.at);
        }
    }
}

#[test]
fn a_workload_that_is_refused_or_for_strangers_is_an_error() {
    let mut refused = story();
    refused.workload.as_mut().unwrap().options.insert("speed".to_owned(), 3.into());
    let error = expand(&refused, &Fake, 0).unwrap_err();
    assert_eq!(error.to_string(), "unknown option `speed`: the workload takes `keys`");
    let mut strange = story();
    strange.clients.remove(1);
    let error = expand(&strange, &Fake, 0).unwrap_err();
    assert_eq!(error, ExpandError::Stranger("reader".to_owned()));
}

#[test]
fn plans_survive_json() {
    for seed in 0..50 {
        let plan = plan(seed);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan<Op>>(&json).unwrap(), plan);
    }
}
