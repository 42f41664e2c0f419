//! Processes that die, are stopped, end by themselves, and panic.

use serde_json::json;

use super::*;

#[test]
fn a_killed_process_refuses_connections_and_comes_back_with_all_it_wrote() {
    let record = ran(&with_faults(appends(10), vec![at_ms(70, kill(60))]));
    assert_eq!(fired(&record, "kill"), 1);
    assert_eq!(when(&record, What::Fault, "restarted"), [130]);
    let outcomes = outcomes(&record);
    assert!(outcomes.contains(&"fail"), "{outcomes:?}");
    // Refusals come back within a round trip, not by a time-out.
    assert!(durations_ms(&record).into_iter().all(|ms| ms <= 20), "{:?}", durations_ms(&record));
    assert_eq!(outcomes.last(), Some(&"ok"));
    assert!(lost(&record).is_empty());
}

#[test]
fn without_a_fault_nothing_dies_and_nothing_fails() {
    let record = ran(&appends(10));
    assert!(record.faults.is_empty() && record.exits.is_empty() && record.panics.is_empty());
    assert_eq!(outcomes(&record), ["ok"; 10]);
    assert_eq!(kept(&record), (1..=10).collect::<Vec<_>>());
    assert_eq!((record.settled, record.marks["appended"]), (Ok(()), 10));
}

#[test]
fn a_machine_without_power_is_silent() {
    let record = ran(&with_faults(appends(10), vec![at_ms(70, power_cut(100))]));
    assert_eq!(fired(&record, "power_cut"), 1);
    assert!(outcomes(&record).contains(&"info") && !outcomes(&record).contains(&"fail"), "{:?}", outcomes(&record));
    let speaks =
        |e: &record::TraceEvent| e.host == "server" && e.text.starts_with("sent") && (71..170).contains(&e.at_ms);
    assert!(!record.trace.iter().any(speaks));
    assert!(lost(&record).is_empty());
}

/// Asked while the run goes on: at its end nothing counts that was not synced.
#[test]
fn what_was_not_synced_survives_a_kill_and_not_a_power_cut() {
    let forgotten = |fault: &Fault, seed| {
        let mut plan = options(json!({ "synchronous": "OFF" }))(appends(10));
        plan.clients[0].steps.push(ClientStep { at_ms: 1_000, op: Op::List });
        let record = ran(&Plan { seed, ..with_faults(plan, vec![at_ms(150, fault.clone())]) });
        let listed = record.history.events().iter().rev().find_map(|event| match &event.kind {
            EventKind::Ok(Ret::Numbers(numbers)) => Some(numbers.clone()),
            _ => None,
        });
        let listed = listed.unwrap_or_default();
        acknowledged(&record).into_iter().filter(|number| !listed.contains(number)).count()
    };
    assert!((0..10).all(|seed| forgotten(&kill(50), seed) == 0));
    assert!((0..10).any(|seed| forgotten(&power_cut(50), seed) > 0));
}

#[test]
fn a_kill_at_any_point_of_any_kind_strikes_there_and_loses_nothing() {
    let clean = ran(&appends(3));
    for (kind, name) in [(PointKind::Effect, "effect"), (PointKind::Disk, "disk"), (PointKind::Network, "network")] {
        let points = clean.points["server"][&kind];
        assert!(points >= 6, "{name}: {points}");
        for nth in (1..=points).step_by(if kind == PointKind::Disk { 5 } else { 1 }) {
            for fault in [kill(30), power_cut(30)] {
                let record = ran(&with_faults(appends(3), vec![at_ordinal(kind, nth, fault)]));
                assert_eq!(record.faults.values().sum::<u64>(), 1, "{name} {nth}");
                assert_eq!((lost(&record), &record.settled), (vec![], &Ok(())), "{name} {nth}");
                assert!(record.panics.is_empty(), "{name} {nth}: {:?}", record.panics);
            }
        }
        let record = ran(&with_faults(appends(3), vec![at_ordinal(kind, points + 1_000, kill(30))]));
        assert_eq!(fired(&record, "kill"), 0, "{name}");
    }
}

#[test]
fn a_kill_at_a_point_separates_what_is_before_it_from_what_is_after() {
    let at = |point: &str| ran(&with_faults(appends(1), vec![at_point(point, 1, kill(30))]));
    let (before, after) = (at("append.before"), at("append.after"));
    assert_eq!((outcomes(&before), kept(&before)), (vec!["info"], vec![]));
    assert_eq!((outcomes(&after), kept(&after)), (vec!["info"], vec![1]));
    // The mark comes after the point.
    assert!(!after.marks.contains_key("appended"));
}

#[test]
fn killing_who_is_down_has_no_effect() {
    let record = ran(&with_faults(appends(10), vec![at_ms(70, power_cut(60)), at_ms(80, kill(10))]));
    assert_eq!((fired(&record, "power_cut"), fired(&record, "kill")), (1, 0));
    assert_eq!(when(&record, What::Fault, "restarted"), [130]);
}

#[test]
fn whoever_reaches_the_point_stands_still_and_nobody_else() {
    let pause = Fault::Pause { host: "server".to_owned(), for_ms: 300 };
    let quiet = patient(plan(&[&[(20, Op::Append(1))], &[(60, Op::Append(2)), (100, Op::List)]]));
    let record = ran(&with_faults(quiet, vec![at_point("append.before", 1, pause)]));
    assert_eq!(fired(&record, "pause"), 1);
    assert_eq!(kept(&record), [2, 1]);
    let durations = durations_ms(&record);
    assert!(durations[0] >= 300 && durations[1..].iter().all(|ms| *ms < 50), "{durations:?}");
}

#[test]
fn a_pause_at_a_time_catches_the_next_one_who_comes_and_expires_without() {
    let pause = |at| at_ms(at, Fault::Pause { host: "server".to_owned(), for_ms: 100 });
    let caught = ran(&with_faults(patient(plan(&[&[(50, Op::Append(1))]])), vec![pause(40)]));
    assert_eq!(fired(&caught, "pause"), 1);
    assert!(durations_ms(&caught)[0] >= 100);
    let late = ran(&with_faults(patient(plan(&[&[(250, Op::Append(1))]])), vec![pause(40)]));
    assert_eq!(fired(&late, "pause"), 0);
    assert!(durations_ms(&late)[0] < 50);
}

#[test]
fn a_process_that_ends_is_recorded_and_started_again() {
    let record = ran(&plan(&[&[(20, Op::Append(1)), (40, Op::Exit), (60, Op::List), (300, Op::List)]]));
    let (at_ms, host, why) = &record.exits[0];
    assert_eq!((record.exits.len(), host.as_str(), why.as_str()), (1, "server", "asked to"));
    assert_eq!(when(&record, What::Fault, "restarted"), [at_ms + 100]);
    assert_eq!(outcomes(&record), ["ok", "info", "fail", "ok"]);
    assert_eq!(kept(&record), [1]);
    assert!(record.panics.is_empty());
}

#[test]
fn a_panic_is_recorded_with_its_host_wherever_it_happens() {
    let record = ran(&plan(&[&[(20, Op::Panic), (60, Op::Append(1))], &[(20, Op::PanicHere), (60, Op::Append(2))]]));
    let panics: Vec<_> = record.panics.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(panics, ["c1", "server"]);
    assert!(record.panics.iter().all(|(_, message)| message.contains("as asked") && message.contains("toy.rs:")));
    // The server's task is gone and the server goes on; the client is gone with its operation open.
    assert_eq!(kept(&record), [1]);
    assert!(outcomes(&record).contains(&"open"));
    assert!(record.stuck_clients.is_empty());
}
