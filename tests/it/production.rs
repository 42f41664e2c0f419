//! Production knows nothing of simulation: the same crates, built the same way, run in both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates that the programs in production are made of.
const PRODUCTION: [&str; 6] = ["coordinator", "env", "graph", "projection", "stores", "web"];

/// What only the harness, the models and tests may need.
const HARNESS: [&str; 8] =
    ["squall", "turmoil", "disk", "interpose", "stateright", "models", "testbed", "reference-fold"];

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// The names of all that goes into a crate of the workspace, directly or not; what only its tests need is left out.
fn ingredients(metadata: &Value, root: &str) -> BTreeSet<String> {
    let names: BTreeMap<&str, &str> =
        list(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let needs: BTreeMap<&str, Vec<&str>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let is_built = |need: &&Value| list(&need["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            let needs = list(&node["deps"]).iter().filter(is_built).map(|need| text(&need["pkg"]));
            (text(&node["id"]), needs.collect())
        })
        .collect();
    let members = list(&metadata["workspace_members"]).iter().map(text);
    let mut open: Vec<&str> = members.filter(|id| names[id] == root).collect();
    assert_eq!(open.len(), 1, "{root} is in the workspace");
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(&needs[id]);
        }
    }
    found.into_iter().map(|id| names[id].to_owned()).collect()
}

#[test]
fn nothing_of_the_harness_goes_into_a_production_crate() {
    let metadata = metadata();
    for name in PRODUCTION {
        let ingredients = ingredients(&metadata, name);
        let of_the_harness: Vec<_> = HARNESS.iter().filter(|name| ingredients.contains(**name)).collect();
        assert!(of_the_harness.is_empty(), "{name} is made of {of_the_harness:?}");
        let package = list(&metadata["packages"]).iter().find(|package| package["name"] == name).expect("it is there");
        assert_eq!(package["features"], serde_json::json!({}), "{name} is the same for everybody");
    }
    // And what does go into something is found.
    let harness = ingredients(&metadata, "squall");
    for name in ["turmoil", "disk", "interpose", "stateright", "coordinator"] {
        assert!(harness.contains(name), "squall is made of {harness:?}");
    }
}

/// The files of a folder and of those in it.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The conditions in a source under which a part of it is compiled.
fn conditions(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let condition = |line: &'_ str| -> Option<usize> {
        ["cfg(", "cfg!(", "cfg_attr("].into_iter().filter_map(|word| Some(line.find(word)? + word.len())).min()
    };
    code.filter_map(|line| line[condition(line)?..].split([')', ',']).next()).collect()
}

#[test]
fn no_production_crate_is_compiled_otherwise_for_a_simulation() {
    let mut files = Vec::new();
    for name in PRODUCTION {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(name).join("src"), &mut files);
    }
    assert!(files.len() > 100, "{}", files.len());
    for file in files {
        let source = std::fs::read_to_string(&file).expect("it is text");
        let others: Vec<&str> = conditions(&source).into_iter().filter(|condition| *condition != "test").collect();
        assert!(others.is_empty(), "{}: {others:?}", file.display());
    }
    assert_eq!(
        conditions(
            "#[cfg(test)]\n// cfg(x)\nif cfg!(simulated) {\n#[cfg_attr(turmoil, path = \"x\")]\n#[cfg(any(sim, y))]"
        ),
        ["test", "simulated", "turmoil", "any(sim"]
    );
}
