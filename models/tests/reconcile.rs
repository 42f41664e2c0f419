//! Reconciliation, searched to the end, and refuted without each of its parts.

mod common;

use common::{assert_checked, assert_refuted, complaints, is_large};
use models::reconcile::{Bounds, Flaw, ReconcileModel};
use models::{Size, replay, search, shortest};
use stateright::{Expectation, Model};

#[test]
fn reconciliation_is_correct() {
    assert_checked("reconcile", Size::Small);
}

/// The small model has no fault beside a second pass, one transaction and one change by hand; each of these has
/// more of one of them. They are narrower elsewhere, so not everything happens in them.
#[test]
fn reconciliation_is_correct_with_more_of_one_thing() {
    let changes = Bounds { transactions: 0, changes: 2, passes: 2, crashes: 0, faults: 0 };
    let transactions = Bounds { transactions: 2, changes: 1, passes: 1, crashes: 0, faults: 0 };
    for (bounds, unique) in [(changes, 72_703), (transactions, 68_653)] {
        let mut report = search(ReconcileModel::new(bounds), Some(unique), 1, |_| {});
        report.properties.retain(|finding| finding.expectation == Expectation::Always);
        assert_eq!(complaints(&report), "", "{bounds:?}");
    }
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn reconciliation_is_correct_with_a_fault_as_well() {
    if is_large() {
        assert_checked("reconcile", Size::Large);
    }
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
