//! What the documents show is what the program takes.

use std::collections::BTreeSet;
use std::path::Path;

use squall::plan::{FAULT_KINDS, Plan, expand, parse_for};
use squall::sut::System;
use squall::system::{BiStore, Op};

use crate::program::scenario_files;

/// The plan of the first scenario that a document shows.
fn shown(document: &str) -> Plan<Op> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("```toml\n").expect("a scenario begins");
    let (scenario, _) = rest.split_once("```").expect("and ends");
    let scenario = parse_for::<BiStore>(document, scenario).unwrap_or_else(|error| panic!("{error}"));
    expand(&scenario, &BiStore::new(&scenario.system).unwrap(), 0).unwrap()
}

#[test]
fn the_fault_list_is_accepted_and_complete() {
    let kinds: BTreeSet<&str> = shown("docs/faults.md").faults.iter().map(|planned| planned.fault.name()).collect();
    let missing: Vec<_> = FAULT_KINDS.into_iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "not shown: {missing:?}");
}

#[test]
fn the_readme_shows_a_scenario() {
    assert_eq!(shown("README.md").faults.len(), 1);
}

/// The words in backquotes of a column of a table, from 0.
fn column(table: &str, column: usize) -> BTreeSet<String> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(column));
    rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The files of a folder with this ending, without it.
fn stems(folder: &str, ending: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

#[test]
fn the_table_of_failures_has_every_scenario_and_every_planted_bug() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md");
    let table = std::fs::read_to_string(path).unwrap();
    let scenarios = scenario_files();
    let stem = |name: &String| Path::new(name).file_stem().expect("it has a name").to_string_lossy().into_owned();
    assert_eq!(column(&table, 1), scenarios.iter().map(stem).collect());
    assert_eq!(column(&table, 2), stems("mutants", ".patch"));
}
