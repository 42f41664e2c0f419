//! Streams of events, searched to the end, and refuted without each part of the argument.

mod common;

use common::{assert_refuted, complaints};
use models::append::{AppendModel, Bounds, Flaw};
use models::{Size, check};

#[test]
fn streams_are_as_promised() {
    let report = check("append", Size::Small, 1, |_| {}).expect("it exists");
    assert!(report.ok, "{}", complaints(&report));
    assert_eq!(Some(report.unique), report.pinned);
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn streams_are_as_promised_with_more_crashes() {
    if std::env::var("MODELS").as_deref() != Ok("large") {
        return;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = check("append", Size::Large, threads, |_| {}).expect("it exists");
    assert!(report.ok, "{}", complaints(&report));
}

/// Each part of the argument is needed: without it, these steps break a promise, and no fewer do.
#[test]
fn no_part_can_be_left_out() {
    for (flaw, name) in Flaw::ALL {
        assert_refuted(AppendModel::flawed(Bounds::SMALL, flaw), name);
    }
}
