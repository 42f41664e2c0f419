//! The torture program, smaller: what must be lost is, and what must not be is not.

#[path = "../../examples/torture/cycle.rs"]
mod cycle;

use cycle::{Figures, MODES, torture};

const CRASHES: u64 = 250;

fn run(name: &str) -> Figures {
    let mode = MODES.iter().find(|mode| mode.name == name).expect("the mode exists");
    torture(mode, 1, CRASHES)
}

#[test]
fn modes_that_are_said_to_be_safe_lose_nothing() {
    for mode in MODES.iter().filter(|mode| mode.is_safe) {
        let figures = torture(mode, 1, CRASHES);
        assert!(figures.is_clean(), "{}: {figures:?}", mode.name);
        assert!(figures.commits > CRASHES && figures.in_recovery > CRASHES / 10, "{}: {figures:?}", mode.name);
    }
}

#[test]
fn modes_that_sync_too_little_lose_commits_but_stay_whole() {
    for name in ["WAL NORMAL, power cut", "DELETE FULL, power cut"] {
        let figures = run(name);
        assert!(figures.lost > 0, "{name}: {figures:?}");
        assert_eq!((figures.torn, figures.corrupt), (0, 0), "{name}: {figures:?}");
    }
}

#[test]
fn modes_without_syncs_lose_and_corrupt() {
    for name in ["WAL OFF, power cut", "DELETE OFF, power cut", "WAL FULL, syncs lie, power cut"] {
        let figures = run(name);
        assert!(figures.lost > 0 && figures.corrupt > 0, "{name}: {figures:?}");
    }
}
