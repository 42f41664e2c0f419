//! The commit protocol, searched to the end, and refuted without each of its parts.

mod common;

use common::{assert_checked, assert_refuted, complaints, is_large};
use models::commit::{Bounds, CommitModel, Flaw};
use models::{Counterexample, ExploreError, Size, UnknownModel, check, explore, registry, replay, search, shortest};
use stateright::Expectation;

#[test]
fn the_protocol_is_correct() {
    assert_checked("commit", Size::Small);
}

/// The small model has one fault; what takes two (a verdict lost, and then a refusal) needs
/// these. They are narrower elsewhere, so not everything happens in them.
#[test]
fn the_protocol_is_correct_under_two_faults() {
    let crash = Bounds { writers: 1, attempts: 2, reads: 1, crashes: 1, faults: 2 };
    let conflict = Bounds { writers: 2, attempts: 2, reads: 0, crashes: 0, faults: 2 };
    for (bounds, unique) in [(crash, 12_240), (conflict, 10_452)] {
        let mut report = search(CommitModel::new(bounds), Some(unique), 1, |_| {});
        report.properties.retain(|finding| finding.expectation == Expectation::Always);
        assert_eq!(complaints(&report), "");
    }
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn the_protocol_is_correct_with_more_crashes_and_faults() {
    if is_large() {
        assert_checked("commit", Size::Large);
    }
}

/// Each part of the argument is needed: without it, these steps break the protocol, and no
/// fewer do.
#[test]
fn no_part_of_the_protocol_can_be_left_out() {
    for (flaw, name) in Flaw::ALL {
        assert_refuted(CommitModel::flawed(Bounds::SMALL, flaw), name);
    }
}

#[test]
fn the_protocol_itself_does_not_allow_what_refutes_its_variants() {
    let flawed = CommitModel::flawed(Bounds::SMALL, Flaw::MarkerTakenAsRefusal);
    let (_, actions) = shortest(flawed).expect("it is refuted");
    assert!(replay(&CommitModel::new(Bounds::SMALL), &actions).is_none());
}

#[test]
fn a_search_that_fails_tells_the_shortest_path() {
    let bounds = Bounds { writers: 1, attempts: 1, reads: 1, crashes: 1, faults: 0 };
    let model = CommitModel::flawed(bounds, Flaw::ReadWithoutLock);
    let report = search(model.clone(), None, 1, |_| {});
    let (property, actions) = shortest(model).expect("it is refuted");
    let torn = report.properties.iter().find(|finding| finding.name == property).expect("it is a property");
    assert!(!report.ok && !torn.ok());
    assert_eq!(torn.discovered, Some(Counterexample::new(property, &actions)));
}

#[test]
fn a_model_in_which_too_little_happens_does_not_pass() {
    let tiny = Bounds { writers: 1, attempts: 1, reads: 0, crashes: 0, faults: 0 };
    let report = search(CommitModel::new(tiny), None, 1, |_| {});
    assert!(!report.ok);
    let idle = report.taken.iter().filter(|(_, count)| *count == 0).map(|(kind, _)| *kind);
    assert_eq!(idle.collect::<Vec<_>>(), ["read", "lose", "refuse", "arrive", "time out", "crash", "exit", "restart"]);
    let missed = report.properties.iter().filter(|finding| !finding.ok());
    assert!(missed.clone().count() > 0 && missed.clone().all(|finding| finding.expectation == Expectation::Sometimes));
}

#[test]
fn a_model_of_another_size_than_written_down_does_not_pass() {
    let bounds = Bounds { writers: 1, attempts: 1, reads: 1, crashes: 0, faults: 0 };
    let count = search(CommitModel::new(bounds), None, 1, |_| {}).unique;
    let report = search(CommitModel::new(bounds), Some(count + 1), 1, |_| {});
    assert_eq!((report.unique, report.ok), (count, false));
    assert!(complaints(&report).contains(&format!("{count} states, not Some({})", count + 1)));
}

#[test]
fn an_unknown_model_is_named_with_those_that_exist() {
    let error = check("comit", Size::Small, 1, |_, _| {}).expect_err("a typo");
    assert_eq!(error, UnknownModel("comit".to_owned()));
    assert_eq!(
        error.to_string(),
        "there is no model \"comit\"; there is: append, commit, identity, projection, reconcile"
    );
    for entry in registry() {
        let states = |size| entry.spaces(size).iter().map(|space| space.pinned).sum::<usize>();
        assert!(states(Size::Small) < states(Size::Large), "{}", entry.name);
    }
}

#[test]
fn what_cannot_be_explored_says_why() {
    let unknown = explore("comit", Size::Small, "127.0.0.1:0").expect_err("a typo");
    assert!(matches!(unknown, ExploreError::Unknown(_)));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let error = explore("commit", Size::Small, &address).expect_err("the port is taken");
    assert!(error.to_string().starts_with(&format!("cannot listen on {address}: ")), "{error}");
}
