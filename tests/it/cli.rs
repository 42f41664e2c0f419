//! Bad input gets a clear error and the right exit code.

use std::fs;
use std::process::Stdio;

use crate::program::{Ran, run, squall};

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

/// A capsule of a run that fails, to be edited.
fn capsule(folder: &std::path::Path) -> (String, serde_json::Value) {
    let ran = run(&["run", "canary", "--seeds", "0", "--no-shrink", "--no-report", "--failures", text(folder)]);
    let path = ran.stdout.lines().last().and_then(|line| line.strip_prefix("squall replay ")).expect("a command");
    let stored = fs::read(path).expect("it is there");
    (path.to_owned(), serde_json::from_slice(&stored).expect("it is JSON"))
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("the path is text")
}

#[test]
fn a_capsule_that_names_what_is_not_there_is_refused_at_the_place() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (path, stored) = capsule(folder.path());
    let kill =
        serde_json::json!([{ "at": { "ms": 5 }, "fault": { "kill": { "host": "grap", "restart_after_ms": 5 } } }]);
    let edits = [("faults", kill, "host"), ("checks", serde_json::json!(["atomicty"]), "checks[0]")];
    for (part, value, place) in edits.into_iter().chain([("network", network(0), "tick_ms")]) {
        let mut edited = stored.clone();
        edited["plan"][part] = value;
        fs::write(&path, edited.to_string()).expect("it can be written");
        for command in ["replay", "shrink", "report"] {
            let Ran { code, stderr, .. } = run(&[command, &path]);
            assert_eq!((code, stderr.contains(&path), stderr.contains(place)), (2, true, true), "{command}: {stderr}");
        }
    }
}

fn network(tick_ms: u64) -> serde_json::Value {
    serde_json::json!({ "tick_ms": tick_ms, "latency_ms_min": 1, "latency_ms_max": 5 })
}

#[test]
fn what_would_be_passed_over_in_silence_is_refused() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (path, _) = capsule(folder.path());
    for arguments in
        [&["replay", &path, "--seed", "7"][..], &["report", &path, "--seed", "7"], &["replay", "scenarios"]]
    {
        let Ran { code, stderr, .. } = run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
    }
}

#[test]
fn nobody_who_reads_on_is_no_failure_of_the_program() {
    let arguments = ["replay", "scenarios/swarm.toml", "--seed", "1", "--trace", "--messages"];
    let mut child =
        squall().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(141), ""));
}

/// A commit, a change by hand and what was forgotten, each once, and each as what it is.
#[test]
fn a_trace_tells_what_changed_in_the_graph() {
    let changes = |scenario: &str| -> Vec<String> {
        let Ran { code, stdout, .. } = run(&["replay", scenario, "--seed", "1", "--trace"]);
        assert_eq!(code, 0, "{stdout}");
        let told = stdout.lines().filter_map(|line| line.split_once(" graph        Change "));
        told.map(|(_, change)| change.to_owned()).filter(|change| change.contains("node alice")).collect()
    };
    let alice = r#"node alice :Entity {"kind":"person","value":1}"#;
    let committed = format!(r#"+ node tx-1-1 :Tx {{"state":"committed"}}; + {alice}"#);
    let by_hand = ["-", "+"].map(|sign| format!("by hand: {sign} {alice}"));
    assert_eq!(
        changes("scenarios/graph_changed_by_hand.toml"),
        [committed.clone(), by_hand[0].clone(), by_hand[1].clone()]
    );
    let forgotten = changes("scenarios/graph_forgets.toml");
    assert_eq!(forgotten[0], committed);
    assert_eq!(forgotten[1], format!(r#"forgot: - {alice}; - node tx-1-1 :Tx {{"state":"committed"}}"#));
}

#[test]
fn the_seeds_that_a_scenario_pins_are_run_besides_those_that_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let below = folder.path().join("regressions/of_last_week");
    fs::create_dir_all(&below).expect("a folder can be made");
    let step = "{ at_ms = 450, client = \"c\", do = { read = { entity = \"a\" } } }";
    fs::write(below.join("found.toml"), format!("seeds = [1, 4711]\nsteps = [{step}]\n")).expect("it can be written");
    let seeds = |seeds| run(&["run", text(folder.path()), "--seeds", seeds, "--verify", "none"]).stdout;
    assert!(seeds("0..3").contains("4 plans"), "{}", seeds("0..3"));
    assert!(seeds("7").contains("1 plans"), "one seed is one seed: {}", seeds("7"));
}

#[test]
fn a_page_or_a_summary_that_cannot_be_written_hides_no_failure() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("it can be written");
    let (failures, file) = (folder.path().join("failures"), text(&file));
    let arguments = ["run", "canary", "--seeds", "0", "--no-shrink", "--report", file, "--failures", text(&failures)];
    let Ran { code, stdout, stderr } = run(&[&arguments[..], &["--summary", "no/such/folder.md"]].concat());
    assert_eq!(code, 1, "{stderr}");
    assert!(stdout.lines().last().is_some_and(|line| line.starts_with("squall replay ")), "{stdout}");
    assert!(stderr.contains("there is no page") && stderr.contains("there is no summary"), "{stderr}");
}
