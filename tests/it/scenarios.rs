//! Every scenario holds on its pinned seeds, and leaves the stores that it always left.

use crate::program::{Ran, run, scenario_files};

/// The seeds that a scenario pins, as its file says them.
fn pinned(file: &str) -> Vec<u64> {
    let path = format!("{}/scenarios/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the scenario can be read");
    let table: toml::Table = text.parse().expect("the scenario is TOML");
    let seeds = table["seeds"].as_array().expect("it pins seeds");
    seeds.iter().map(|seed| seed.as_integer().expect("a seed is a number").unsigned_abs()).collect()
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
            assert_eq!(code, 0, "{file} with seed {seed}:\n{stdout}\n{stderr}");
            let stores = stdout.split("scenario    ").next().expect("there is something before the summary");
            settings.bind(|| insta::assert_snapshot!(format!("{}-{seed}", file.trim_end_matches(".toml")), stores));
        }
    }
}
