//! From a failure to a small capsule, and from there to a scenario, as people type it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{Ran, run};

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// The only file of a folder with this ending.
fn only(folder: &Path, ending: &str) -> std::path::PathBuf {
    let files = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it can be read").path());
    let files: Vec<_> = files.filter(|path| text(path).ends_with(ending)).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    file.clone()
}

#[test]
fn the_alarm_rings_and_what_is_left_of_it_is_small() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let failures = folder.path().join("failures");
    let rung = run(&["run", "canary", "--seeds", "0..3", "--failures", text(&failures)]);
    assert_eq!(rung.code, 1, "{}{}", rung.stdout, rung.stderr);
    assert!(rung.stdout.contains("nothing more can be taken away"), "{}", rung.stdout);
    let last = rung.stdout.lines().last().expect("it says what to type next");
    let capsule = Path::new(last.strip_prefix("squall replay ").expect("it is a command")).to_owned();

    let stored: Value = serde_json::from_slice(&fs::read(&capsule).expect("it is there")).expect("it is JSON");
    let plan = &stored["plan"];
    let steps: usize =
        plan["clients"].as_array().expect("clients").iter().map(|c| c["steps"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!((plan["faults"].as_array().map(Vec::len), steps), (Some(0), 1), "{plan}");
    assert!(stored["passing"].is_object(), "without its operation it passes");
    assert!(stored["decisions"].as_array().is_some_and(|decisions| !decisions.is_empty()));

    let Ran { code, stdout, stderr } = run(&["replay", text(&capsule)]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stdout.contains("shows again") && !stdout.contains("differs"), "{stdout}");

    // Smaller than this it does not get.
    let Ran { code, stdout, .. } = run(&["shrink", text(&capsule), "--output", text(&folder.path().join("again"))]);
    assert_eq!(code, 1);
    assert!(stdout.contains("shrunk from 0 faults and 1 operation of 1 client\n"), "{stdout}");

    let scenarios = folder.path().join("regressions");
    let adopt = ["adopt", text(&capsule), "--name", "lying_client", "--folder", text(&scenarios)];
    let Ran { code, stdout, stderr } = run(&adopt);
    assert_eq!(code, 0, "{stderr}");
    let adopted = only(&scenarios, "lying_client.toml");
    let written = fs::read_to_string(&adopted).expect("it is there");
    assert!(stdout.starts_with(&written) && written.starts_with("# Found a violation of "), "{stdout}");
    assert!(written.contains("[expect]\nfaults = []\n"), "what is mended need not be reached any more: {written}");
    assert_eq!(run(&["run", text(&adopted), "--no-shrink", "--failures", text(&failures)]).code, 1);
    let again = run(&adopt);
    assert_eq!((again.code, again.stderr.contains("is there already")), (2, true), "{}", again.stderr);
}

#[test]
fn a_run_that_departs_from_the_recorded_decisions_names_the_first() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    run(&["run", "canary", "--seeds", "0", "--no-shrink", "--no-report", "--failures", text(folder.path())]);
    let capsule =
        fs::read_dir(folder.path()).expect("it is there").next().expect("a capsule").expect("it can be read").path();
    let mut stored: Value = serde_json::from_slice(&fs::read(&capsule).expect("it is there")).expect("it is JSON");
    // As if the code had changed since.
    stored["digest"] = "0".into();
    stored["decisions"][2] = "77 ms coordinator input another one".into();
    fs::write(&capsule, serde_json::to_vec(&stored).expect("JSON")).expect("it can be written");
    let Ran { code, stdout, .. } = run(&["replay", text(&capsule)]);
    assert_eq!(code, 1);
    for part in
        ["the code has changed since", "decision 3 of ", "recorded: 77 ms coordinator input another one", "now:      "]
    {
        assert!(stdout.contains(part), "{part:?} is missing:\n{stdout}");
    }
}

#[test]
fn a_plan_that_was_edited_is_not_blamed_on_the_code() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let rung = run(&["run", "canary", "--seeds", "0", "--no-shrink", "--no-report", "--failures", text(folder.path())]);
    let last = rung.stdout.lines().last().expect("it says what to type next");
    let capsule = Path::new(last.strip_prefix("squall replay ").expect("it is a command"));
    let mut stored: Value = serde_json::from_slice(&fs::read(capsule).expect("it is there")).expect("it is JSON");
    for client in stored["plan"]["clients"].as_array_mut().expect("clients") {
        for step in client["steps"].as_array_mut().expect("steps") {
            step["at_ms"] = (step["at_ms"].as_u64().expect("a time") + 7).into();
        }
    }
    fs::write(capsule, serde_json::to_vec(&stored).expect("JSON")).expect("it can be written");
    let Ran { stdout, .. } = run(&["replay", text(capsule)]);
    assert!(stdout.contains("the plan was edited since") && !stdout.contains("the code has changed"), "{stdout}");
}
