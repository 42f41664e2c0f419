//! What the cores were told and decided in eleven plans, as digests that are committed.

use std::fmt::Write;
use std::fs;

use crate::program::{Ran, run};

/// The digests, and with which words to renew them.
const FILE: &str = "tests/data/golden_digests.txt";

/// With this variable in its environment the test writes the file instead of comparing.
const RENEW: &str = "SQUALL_RENEW_GOLDEN";

const HEADER: &str = "\
# The digest over core inputs, effects and marks of eleven plans: scenario, seed, digest. Debug and release agree on it.
# After a change of what the cores are told or decide: SQUALL_RENEW_GOLDEN=1 cargo test --test it golden
";

const PLANS: [(&str, u64); 11] = [
    ("crash_after_decide", 0),
    ("crash_in_recovery", 0),
    ("duplicate_requests", 0),
    ("graph_dies", 0),
    ("lost_commit_ack", 0),
    ("power_cut", 0),
    ("projection_storm", 0),
    ("reordered_messages", 0),
    ("swarm", 1),
    ("swarm", 2),
    ("swarm", 3),
];

/// The digest over core inputs, effects and marks.
fn digest(scenario: &str, seed: u64) -> String {
    let arguments = ["replay", &format!("scenarios/{scenario}.toml"), "--seed", &seed.to_string()];
    let Ran { code, stdout, stderr } = run(&arguments);
    assert_eq!(code, 0, "{arguments:?}\n{stdout}\n{stderr}");
    let digest = stdout.lines().find_map(|line| line.strip_prefix("digest "));
    digest.expect("it prints the digest").trim().to_owned()
}

#[test]
fn golden_digests_are_what_they_were() {
    let mut now = HEADER.to_owned();
    for (scenario, seed) in PLANS {
        writeln!(now, "{scenario} {seed} {}", digest(scenario, seed)).expect("a string takes everything");
    }
    let path = format!("{}/{FILE}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os(RENEW).is_some() {
        fs::write(path, now).expect("the file can be written");
        return;
    }
    let golden = fs::read_to_string(path).expect("the file can be read");
    let changed: Vec<_> = golden.lines().zip(now.lines()).filter(|(golden, now)| golden != now).collect();
    assert!(
        golden == now,
        "what the cores were told or decided has changed in {} of {} plans (golden, now):\n{changed:#?}\n\
         If that is meant, because a core, a driver, a scenario or what a plan draws was changed, review the difference \
         with `squall replay scenarios/… --seed … --trace`, then: {RENEW}=1 cargo test --test it golden\n\
         If it is not meant, something that should not matter does. If debug and release differ, a core depends on \
         the build profile.",
        changed.len(),
        PLANS.len()
    );
}
