//! The same plan gives the same run, in any process and whatever ran before.

use crate::program::{Ran, run};

fn digests(arguments: &[&str]) -> Vec<String> {
    let Ran { code, stdout, stderr } = run(arguments);
    assert_eq!(code, 0, "{arguments:?}\n{stdout}\n{stderr}");
    let digests: Vec<String> = stdout.lines().filter(|line| line.contains("digest ")).map(str::to_owned).collect();
    assert_eq!(digests.len(), 2, "it prints both digests:\n{stdout}");
    digests
}

#[test]
fn a_seed_replays_the_same_in_separate_processes() {
    for seed in ["1", "2"] {
        let arguments = ["replay", "scenarios/swarm.toml", "--seed", seed];
        assert_eq!(digests(&arguments), digests(&arguments));
    }
}

#[test]
fn without_a_fork_a_seed_is_the_same_run() {
    for seed in ["1", "2"] {
        let arguments = ["replay", "scenarios/swarm.toml", "--seed", seed];
        assert_eq!(digests(&arguments), digests(&[&arguments[..], &["--no-fork"]].concat()));
    }
}

#[test]
fn another_seed_is_another_run() {
    let of = |seed| digests(&["replay", "scenarios/swarm.toml", "--seed", seed]);
    assert_ne!(of("1"), of("2"));
}

#[test]
fn looking_closely_changes_nothing() {
    let plain = digests(&["replay", "scenarios/swarm.toml", "--seed", "1"]);
    let told =
        run(&["replay", "scenarios/swarm.toml", "--seed", "1", "--trace", "--messages", "--history", "--log", "trace"]);
    let digests: Vec<String> = told
        .stdout
        .lines()
        .filter(|line| line.starts_with("digest ") || line.starts_with("byte digest "))
        .map(str::to_owned)
        .collect();
    assert_eq!(plain, digests);
}

#[test]
fn runs_beside_each_other_come_out_as_one_after_the_other() {
    let digest = |seeds, jobs| {
        let Ran { stdout, stderr, .. } = run(&[
            "run",
            "scenarios/swarm.toml",
            "scenarios/projection_storm.toml",
            "--seeds",
            seeds,
            "--jobs",
            jobs,
            "--verify",
            "none",
            "--format",
            "json",
        ]);
        let report: serde_json::Value =
            serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        assert_eq!(report["failures"].as_array().map(Vec::len), Some(0), "{stdout}");
        report["digest"].as_str().expect("a digest").to_owned()
    };
    assert_eq!(digest("0..4", "1"), digest("0..4", "2"));
    assert_ne!(digest("0..4", "2"), digest("1..5", "2"), "the digest is over what the runs did");
}

#[test]
fn many_seeds_are_the_same_with_random_addresses_and_in_another_order() {
    let Ran { code, stdout, stderr } =
        run(&["run", "scenarios/swarm.toml", "scenarios/power_cut.toml", "--seeds", "0..8", "--verify", "all"]);
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    assert!(stdout.contains("16 of 16 runs verified: 0 differences"), "{stdout}");
}
