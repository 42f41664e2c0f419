//! Bad input gets a clear error and the right exit code.

use std::fs;

use crate::program::{Ran, run};

#[test]
fn a_broken_scenario_is_pointed_at() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("broken.toml");
    let text = "steps = [\n  { at_ms = 1, client = \"c\", do = { read = { entity = \"a\" } } },\n  { at_ms = 1, fault = { kill = { host = \"cordinator\", restart_after_ms = 5 } } },\n]\n";
    fs::write(&file, text).expect("a file can be written");
    let Ran { code, stderr, .. } = run(&["run", file.to_str().expect("the path is text")]);
    assert_eq!(code, 2, "{stderr}");
    for part in [":3:", "cordinator", "^", "coordinator"] {
        assert!(stderr.contains(part), "{part:?} is missing:\n{stderr}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let Ran { code, stderr, .. } = run(&["replay", "scenarios/no_such_story.toml"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("no_such_story.toml"), "{stderr}");
}

#[test]
fn a_capsule_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("x.capsule.json");
    fs::write(&file, "{ \"format\": 1").expect("a file can be written");
    let Ran { code, stderr, .. } = run(&["replay", file.to_str().expect("the path is text")]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("x.capsule.json"), "{stderr}");
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    for arguments in [&["run", "--seeds", "9..3"][..], &["run", "--jobs", "0"], &["fly"]] {
        let Ran { code, stderr, .. } = run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
    }
}

#[test]
fn what_there_is_can_be_listed() {
    let Ran { code, stdout, .. } = run(&["list"]);
    assert_eq!(code, 0);
    for part in ["scenarios/swarm.toml", "linearizability", "rolled_forward", "commit.decide.after", "partitions"] {
        assert!(stdout.contains(part), "{part:?} is missing:\n{stdout}");
    }
}

#[test]
fn what_programs_read_is_all_that_the_standard_output_has() {
    let run = |format| run(&["run", "scenarios/refused_operation.toml", "--seeds", "0..20", "--format", format]);
    let Ran { code, stdout, stderr } = run("json");
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("it is one document");
    assert_eq!((code, &report["runs"], &report["exit_code"]), (0, &20.into(), &0.into()), "{report}");
    assert_eq!(report["scenarios"][0]["name"], "refused_operation");
    assert!(stderr.contains("20 plans"), "{stderr}");
    let Ran { code, stdout, .. } = run("junit");
    assert_eq!(code, 0);
    assert!(stdout.starts_with("<?xml") && stdout.trim_end().ends_with("</testsuites>"), "{stdout}");
    assert!(stdout.contains(r#"<testsuite name="refused_operation""#) && !stdout.contains("<failure"), "{stdout}");
    let Ran { stdout, .. } = run("github");
    assert!(stdout.ends_with("passed\n") && !stdout.contains("::error"), "{stdout}");
}
