//! Every scenario holds on its pinned seeds, and leaves the stores that it always left.

use crate::program::{Ran, regression_files, run, scenario_files};

/// The seeds that a scenario pins, as its file says them.
fn pinned(file: &str) -> Vec<u64> {
    let path = format!("{}/scenarios/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the scenario can be read");
    let table: toml::Table = text.parse().expect("the scenario is TOML");
    let seeds = table["seeds"].as_array().expect("it pins seeds");
    seeds.iter().map(|seed| seed.as_integer().expect("a seed is a number").unsigned_abs()).collect()
}

/// Makes the failure of a scenario small, as `squall run` does: what it prints ends with the command to type next.
fn kept(file: &str, seed: u64) -> String {
    run(&["run", &format!("scenarios/{file}"), "--seeds", &seed.to_string(), "--verify", "none"]).stdout
}

#[test]
fn every_scenario_holds_and_leaves_the_stores_it_always_left() {
    let files = scenario_files();
    assert!(files.len() >= 12, "scenarios have gone missing: {files:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for file in files {
        let seeds = pinned(&file);
        assert!(!seeds.is_empty(), "{file} pins no seed");
        for seed in seeds {
            let Ran { code, stdout, stderr } =
                run(&["replay", &format!("scenarios/{file}"), "--seed", &seed.to_string(), "--stores"]);
            assert_eq!(code, 0, "{file} with seed {seed}:\n{stdout}\n{stderr}{}", kept(&file, seed));
            let stores = stdout.split("scenario    ").next().expect("there is something before the summary");
            settings.bind(|| insta::assert_snapshot!(format!("{}-{seed}", file.trim_end_matches(".toml")), stores));
        }
    }
}

#[test]
fn what_was_found_once_does_not_show_any_more() {
    for file in regression_files() {
        for seed in pinned(&file) {
            let Ran { code, stdout, stderr } =
                run(&["replay", &format!("scenarios/{file}"), "--seed", &seed.to_string()]);
            assert_eq!(code, 0, "{file} with seed {seed}:\n{stdout}\n{stderr}{}", kept(&file, seed));
        }
    }
}
