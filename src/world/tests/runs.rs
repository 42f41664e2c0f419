//! How runs begin and end.

use serde_json::json;

use super::*;
use crate::plan::Reseed;
use crate::world::RunError;

fn refused(plan: &Plan<Op>) -> RunError {
    run::<Toy>(plan, Options::default()).expect_err("the plan makes no sense")
}

#[test]
fn a_client_at_the_limit_leaves_its_operation_open() {
    let hanging = Plan { limit_ms: 400, ..patient(plan(&[&[(20, Op::Hang), (30, Op::List)], &[(20, Op::Append(1))]])) };
    let record = ran(&hanging);
    assert_eq!(record.stuck_clients, ["c0"]);
    assert_eq!(outcomes(&record), ["open", "ok"]);
    assert_eq!(record.settled, Ok(()));
    assert!((400..450).contains(&record.simulated_ms), "{}", record.simulated_ms);
}

#[test]
fn a_run_ends_as_soon_as_its_work_is_done() {
    let record = ran(&appends(2));
    assert!(record.stuck_clients.is_empty());
    assert!(record.simulated_ms < 100, "{}", record.simulated_ms);
}

#[test]
fn a_system_that_does_not_settle_is_said_so() {
    let record = ran(&options(json!({ "settles": false }))(appends(1)));
    assert_eq!(record.settled, Err("not settled 1000 ms after the faults were healed".to_owned()));
}

#[test]
fn settling_begins_with_everything_up_and_healed() {
    // Long after the last step.
    let record = ran(&with_faults(appends(2), vec![at_point("append.after", 2, kill(60_000)), at_ms(4_999, kill(1))]));
    assert_eq!((record.settled, kept(&ran(&appends(2)))), (Ok(()), vec![1, 2]));
    assert_eq!(record.faults.values().sum::<u64>(), 1);
    assert!(record.simulated_ms < 1_000);
}

#[test]
fn points_are_counted_on_every_host() {
    let record = ran(&appends(3));
    let counts = |host: &str| record.points[host].clone();
    assert_eq!(counts("server")[&PointKind::Effect], 6);
    assert!(counts("server")[&PointKind::Disk] > 3 && counts("c0")[&PointKind::Network] >= 12);
    assert!(counts("bystander").is_empty());
    assert!(!when(&record, What::Disk, "Sync ").is_empty());
}

#[test]
fn what_was_passed_before_a_crash_is_known_and_whatever_follows_is_a_point_to_crash_at() {
    assert!(ran(&appends(3)).points_at_crash.is_empty());
    for kind in [PointKind::Effect, PointKind::Disk, PointKind::Network] {
        let first = at_ordinal(kind, 4, power_cut(10));
        let record = ran(&with_faults(appends(3), vec![first.clone()]));
        let (before, all) = (&record.points_at_crash["server"], &record.points["server"]);
        assert_eq!(before[&kind], 4, "{before:?}");
        for (then, passed) in before {
            assert!(passed < &all[then], "nothing follows: {before:?}, {all:?}");
            for nth in (passed + 1..=all[then]).step_by(if *then == PointKind::Disk { 5 } else { 1 }) {
                let twice = vec![first.clone(), at_ordinal(*then, nth, kill(10))];
                let record = ran(&with_faults(appends(3), twice));
                assert_eq!((fired(&record, "power_cut"), fired(&record, "kill")), (1, 1), "{kind:?}, {then:?} {nth}");
            }
        }
    }
}

#[test]
fn disk_latency_passes_when_blocking_work_returns() {
    // A commit syncs the log once, which takes 1.5 ms, and writes.
    let record = ran(&patient(plan(&[&[(100, Op::Append(1)), (200, Op::Append(2))]])));
    let input = when(&record, What::Input, "list Append");
    let mark = when(&record, What::Mark, "list Appended");
    assert!(mark[0] > input[0] && mark[1] > input[1], "{input:?} {mark:?}");
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let nobody = Fault::Kill { host: "nobody".to_owned(), restart_after_ms: 1 };
    let client = Fault::Kill { host: "c0".to_owned(), restart_after_ms: 1 };
    let server = Fault::Duplicate { client: "server".to_owned(), for_ms: 1 };
    let itself = Fault::Delay { from: "c0".to_owned(), to: "c0".to_owned(), extra_ms: 1, for_ms: 1 };
    for (fault, host) in [(nobody, "nobody"), (client, "c0"), (server, "server"), (itself, "c0")] {
        let error = refused(&with_faults(appends(1), vec![at_ms(1, fault)]));
        assert!(matches!(&error, RunError::NoSuchHost { fault: 0, host: named, .. } if named == host), "{error}");
    }
    let mut twice = plan(&[&[], &[]]);
    twice.clients[1].name = "server".to_owned();
    assert_eq!(refused(&twice), RunError::NameTaken("server".to_owned()));
    let no_tick = Network { tick_ms: 0, ..Network::default() };
    assert!(matches!(refused(&Plan { network: no_tick, ..appends(1) }), RunError::Network(_)));
    let options = options(json!({ "timeout_ms": "soon" }))(appends(1));
    assert!(matches!(refused(&options), RunError::System(_)));
}

#[test]
fn a_coarser_tick_keeps_what_was_promised() {
    let coarse = |faults| {
        let network = Network { tick_ms: 5, ..Network::default() };
        ran(&Plan { network, ..with_faults(appends(10), faults) })
    };
    let record = coarse(vec![]);
    assert_eq!((outcomes(&record), record.settled), (vec!["ok"; 10], Ok(())));
    let record = coarse(vec![at_point("append.after", 3, kill(40)), at_ms(150, power_cut(40))]);
    assert_eq!((record.faults.values().sum::<u64>(), lost(&record), record.settled), (2, vec![], Ok(())));
}

#[test]
fn a_run_with_another_chance_is_the_same_until_then_and_its_later_faults_may_not_strike() {
    // The first strikes before, the other after it.
    let faults = vec![at_ms(30, power_cut(5)), at_ms(90, kill(20))];
    let plan = with_faults(patient(appends(6)), faults);
    let before = |record: &Record| {
        let mut trace = record.trace.clone();
        trace.retain(|event| event.at_ms < 60);
        trace
    };
    let told = ran(&plan);
    let future = |seed| ran(&Plan { reseed: Some(Reseed { at_ms: 60, seed }), ..plan.clone() });
    let futures: Vec<_> = (0..8).map(future).collect();
    for record in &futures {
        assert_eq!(before(record), before(&told));
        assert!(record.byte_digest != told.byte_digest, "what follows is another chance's");
    }
    assert_eq!(future(3).byte_digest, futures[3].byte_digest, "which is as good as the first");
    let struck = futures.iter().filter(|record| fired(record, "kill") == 1).count();
    assert!((1..8).contains(&struck), "{struck} of 8");
}
