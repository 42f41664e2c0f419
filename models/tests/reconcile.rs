//! Reconciliation, searched to the end, and refuted without each of its parts.

mod common;

use common::{assert_refuted, complaints};
use models::reconcile::{Bounds, Flaw, ReconcileModel};
use models::{Size, check, replay, search, shortest};
use stateright::{Expectation, Model};

#[test]
fn reconciliation_is_correct() {
    let report = check("reconcile", Size::Small, 1, |_| {}).expect("it exists");
    assert!(report.ok, "{}", complaints(&report));
    assert_eq!(Some(report.unique), report.pinned);
}

/// The small model has no fault, one transaction and one change by hand; each of these has more
/// of one of them. They are narrower elsewhere, so not everything happens in them.
#[test]
fn reconciliation_is_correct_with_more_of_one_thing() {
    let faults = Bounds { transactions: 1, changes: 1, passes: 1, crashes: 1, faults: 1 };
    let changes = Bounds { transactions: 0, changes: 2, passes: 2, crashes: 0, faults: 0 };
    let transactions = Bounds { transactions: 2, changes: 1, passes: 1, crashes: 0, faults: 0 };
    for (bounds, unique) in [(faults, 164_870), (changes, 72_703), (transactions, 68_653)] {
        let mut report = search(ReconcileModel::new(bounds), Some(unique), 1, |_| {});
        report.properties.retain(|finding| finding.expectation == Expectation::Always);
        assert_eq!(complaints(&report), "", "{bounds:?}");
    }
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn reconciliation_is_correct_with_a_fault_as_well() {
    if std::env::var("MODELS").as_deref() != Ok("large") {
        return;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = check("reconcile", Size::Large, threads, |_| {}).expect("it exists");
    assert!(report.ok, "{}", complaints(&report));
}

/// Each part of the argument is needed: without it, these steps break it, and no fewer do. With
/// all of it they are impossible, or break nothing.
#[test]
fn no_part_of_reconciliation_can_be_left_out() {
    let bounds = Bounds { transactions: 1, changes: 1, passes: 1, crashes: 0, faults: 0 };
    for (flaw, name) in Flaw::ALL {
        let flawed = ReconcileModel::flawed(bounds, flaw);
        assert_refuted(flawed.clone(), name);
        let (property, actions) = shortest(flawed).expect("it is refuted");
        let sound = ReconcileModel::new(bounds);
        let path = replay(&sound, &actions);
        assert!(path.is_none_or(|path| (sound.property(property).condition)(&sound, path.last_state())), "{name}");
    }
}
