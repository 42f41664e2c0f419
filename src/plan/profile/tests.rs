use std::collections::BTreeSet;

use super::*;
use crate::plan::{Fault, PointKind, Trigger};

const SEEDS: u64 = 200;
const ACTIVE_MS: u64 = 1_000;

fn hosts() -> Vec<HostSpec> {
    let points = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    vec![
        HostSpec { points: points(&["append.before", "append.after"]), files: vec!["/log"], ..HostSpec::new("leader") },
        HostSpec { points: points(&["append.after"]), ..HostSpec::new("follower") },
        HostSpec { forgets: true, ..HostSpec::new("store") },
    ]
}

fn clients() -> Vec<String> {
    ["c1", "c2"].map(str::to_owned).to_vec()
}

fn over_seeds(profile: Profile, hosts: &[HostSpec], clients: &[String]) -> Vec<Vec<PlannedFault>> {
    let ground = Ground { hosts, clients, active_ms: ACTIVE_MS };
    (0..SEEDS).map(|seed| profile.draw(&ground, seed)).collect()
}

fn kinds_of(faults: &[PlannedFault]) -> BTreeSet<&'static str> {
    faults.iter().map(|planned| planned.fault.name()).collect()
}

#[test]
fn each_profile_draws_all_the_kinds_it_claims_and_no_others() {
    let (hosts, clients) = (hosts(), clients());
    let ground = Ground { hosts: &hosts, clients: &clients, active_ms: ACTIVE_MS };
    for profile in Profile::ALL {
        let claimed: BTreeSet<_> = profile.kinds(&ground).into_iter().collect();
        let drawn = kinds_of(&over_seeds(profile, &hosts, &clients).concat());
        assert_eq!(drawn, claimed, "{}", profile.name());
    }
    let drawable: BTreeSet<_> = Profile::ALL.into_iter().flat_map(|profile| profile.kinds(&ground)).collect();
    let undrawn: Vec<_> = FAULT_KINDS.into_iter().filter(|kind| !drawable.contains(kind)).collect();
    assert_eq!(undrawn, ["forget"], "only steps make it");
    assert_eq!(Profile::Calm.kinds(&ground), [""; 0]);
}

#[test]
fn a_profile_claims_and_draws_only_what_the_ground_allows() {
    let (all, no_clients) = (hosts(), Vec::new());
    // Neither points nor files.
    let bare = [all[2].clone()];
    let with_files: Vec<_> = FAULT_KINDS[9..19].to_vec();
    let without_points = [vec!["pause"], with_files].concat();
    let links = ["stall", "blackhole", "one_way_cut", "delay", "reorder"];
    let without_anybody = [&without_points[..], &links, &["duplicate"]].concat();
    let without_hosts: Vec<_> = FAULT_KINDS.into_iter().filter(|kind| *kind != "duplicate").collect();
    let whole = Ground { hosts: &all, clients: &clients(), active_ms: ACTIVE_MS };
    for (hosts, clients, impossible) in [
        (&all[..], &no_clients, &["duplicate"][..]),
        (&bare, &clients(), &without_points),
        (&bare, &no_clients, &without_anybody),
        (&[], &clients(), &without_hosts),
    ] {
        for profile in Profile::ALL {
            let all = profile.kinds(&whole);
            let possible: BTreeSet<_> = all.into_iter().filter(|kind| !impossible.contains(kind)).collect();
            let ground = Ground { hosts, clients, active_ms: ACTIVE_MS };
            assert_eq!(profile.kinds(&ground).into_iter().collect::<BTreeSet<_>>(), possible);
            assert_eq!(kinds_of(&over_seeds(profile, hosts, clients).concat()), possible);
        }
    }
}

#[test]
fn the_same_seed_draws_the_same_and_another_seed_something_else() {
    let (hosts, clients) = (hosts(), clients());
    let drawn = over_seeds(Profile::Swarm, &hosts, &clients);
    assert_eq!(drawn, over_seeds(Profile::Swarm, &hosts, &clients));
    let distinct: BTreeSet<_> = drawn.iter().collect();
    assert!(distinct.len() > 190, "only {} different draws of {SEEDS}", distinct.len());
}

/// What makes it a swarm: seeds differ in which kinds they have, and hardly any has all or none.
#[test]
fn a_swarm_enables_a_random_subset_of_kinds() {
    let drawn = over_seeds(Profile::Swarm, &hosts(), &clients());
    let subsets: BTreeSet<_> = drawn.iter().map(|faults| kinds_of(faults)).collect();
    assert!(subsets.len() > 100, "only {} different subsets", subsets.len());
    let sizes: Vec<usize> = drawn.iter().map(|faults| kinds_of(faults).len()).collect();
    assert!(sizes.iter().filter(|size| (3..=9).contains(*size)).count() > 150, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 13), "{sizes:?}");
}

/// A kind more in a profile, or clients that it needs, must not shift what other kinds draw.
#[test]
fn kinds_draw_independently_of_one_another() {
    let hosts = hosts();
    let only = |faults: Vec<Vec<PlannedFault>>, kind: &str| -> Vec<PlannedFault> {
        faults.concat().into_iter().filter(|planned| planned.fault.name() == kind).collect()
    };
    for kind in ["kill", "power_cut", "pause"] {
        let with = only(over_seeds(Profile::Swarm, &hosts, &clients()), kind);
        let without = only(over_seeds(Profile::Swarm, &hosts, &[]), kind);
        assert!(!with.is_empty());
        assert_eq!(with, without, "{kind}");
    }
}

#[test]
fn triggers_are_of_all_forms_and_name_what_exists() {
    let (hosts, clients) = (hosts(), clients());
    let (mut times, mut points, mut ordinals) = (0, BTreeSet::new(), BTreeSet::new());
    for PlannedFault { at, .. } in over_seeds(Profile::Swarm, &hosts, &clients).concat() {
        match at {
            Trigger::Ms(ms) => {
                assert!(ms < ACTIVE_MS);
                times += 1;
            }
            Trigger::Point { host, point, nth } => {
                let spec = hosts.iter().find(|spec| spec.name == host).unwrap();
                assert!(spec.points.contains(&point) && (1..=4).contains(&nth));
                points.insert((host, point));
            }
            Trigger::Ordinal { host, kind, nth } => {
                let spec = hosts.iter().find(|spec| spec.name == host).unwrap();
                assert!((1..=300).contains(&nth));
                assert!(kind != PointKind::Effect || !spec.points.is_empty(), "{host} has no effects to count");
                ordinals.insert((host, kind));
            }
        }
    }
    assert!(times > 0);
    assert_eq!((points.len(), ordinals.len()), (3, 8), "{points:?} {ordinals:?}");
}

#[test]
fn durations_are_from_shorter_than_a_request_to_longer_than_a_time_out() {
    let faults = over_seeds(Profile::Swarm, &hosts(), &clients()).concat();
    let durations: Vec<u64> = faults
        .iter()
        .map(|planned| match &planned.fault {
            Fault::Delay { extra_ms, for_ms, .. } => {
                assert!((5..=500).contains(extra_ms));
                *for_ms
            }
            Fault::Reorder { spread_ms, for_ms, .. } => {
                assert!((5..=100).contains(spread_ms));
                *for_ms
            }
            fault => fault.lasts_ms(),
        })
        .collect();
    assert!(durations.iter().all(|ms| (20..=2_000).contains(ms)));
    assert!(durations.iter().any(|ms| *ms < 50) && durations.iter().any(|ms| *ms > 1_500));
}

#[test]
fn links_join_a_host_and_somebody_else_and_sometimes_a_host_is_alone() {
    let (hosts, clients) = (hosts(), clients());
    let is_host = |name: &str| hosts.iter().any(|host| host.name == name);
    let mut alone = 0;
    for faults in over_seeds(Profile::Partitions, &hosts, &clients) {
        for planned in &faults {
            let Fault::Cut { from, to, .. } = &planned.fault else { panic!("{planned:?} is no cut") };
            assert!(from != to && (is_host(from) || is_host(to)), "{from} {to}");
            alone += usize::from(faults.iter().filter(|other| other.at == planned.at).count() == 4);
        }
    }
    assert!(alone > 0, "no host ever lost all of its four links at once");
}

#[test]
fn names_are_those_of_scenario_files() {
    for profile in Profile::ALL {
        assert_eq!(serde_json::to_value(profile).unwrap(), profile.name());
    }
}
