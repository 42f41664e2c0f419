//! Streams of events, searched to the end, and refuted without each part of the argument.

mod common;

use common::{assert_checked, assert_refuted, is_large};
use models::Size;
use models::append::{AppendModel, Bounds, Flaw};

#[test]
fn streams_are_as_promised() {
    assert_checked("append", Size::Small);
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn streams_are_as_promised_with_more_crashes() {
    if is_large() {
        assert_checked("append", Size::Large);
    }
}

/// Each part of the argument is needed: without it, these steps break a promise, and no fewer do.
#[test]
fn no_part_can_be_left_out() {
    for (flaw, name) in Flaw::ALL {
        assert_refuted(AppendModel::flawed(Bounds::SMALL, flaw), name);
    }
}
