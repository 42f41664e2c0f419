//! A sweep tries every point, goes on where it was interrupted, and says that all is covered only when it is.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::program::{Ran, run, squall};

/// The smallest story: one transaction, and a read that finds it.
const STORY: &str = r#"
steps = [
  { at_ms = 300, client = "writer", do = { submit = { operations = [{ create = { id = "alice", kind = "person" } }] } } },
  { at_ms = 1200, client = "reader", do = { read = { entity = "alice" } } },
]
"#;

/// A graph that acknowledges a commit before it holds it: every power cut in the right place is seen.
const FORGETFUL: &str = "\n[system]\ngraph_forgets = 1\n";

/// A folder with a scenario, and what a sweep leaves there.
struct Place {
    folder: TempDir,
    scenario: PathBuf,
}

impl Place {
    fn new(scenario: &str) -> Place {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("small.toml");
        fs::write(&path, scenario).expect("a file can be written");
        Place { folder, scenario: path }
    }

    fn under(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sweep(&self) -> Ran {
        self.sweep_with(&[])
    }

    fn sweep_with(&self, options: &[&str]) -> Ran {
        let arguments = self.arguments(&self.under("state.jsonl"));
        run(&arguments.iter().map(String::as_str).chain(options.iter().copied()).collect::<Vec<_>>())
    }

    /// The arguments of a sweep that notes what it has finished in this file.
    fn arguments(&self, state: &Path) -> Vec<String> {
        let failures = self.under("failures");
        let arguments = ["sweep", text(&self.scenario), "--state", text(state), "--failures", text(&failures)];
        arguments.map(str::to_owned).into()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// The matrix, which says nothing about how long it took or who ran what.
fn matrix(stdout: &str) -> Vec<&str> {
    let matrix = stdout.lines().skip_while(|line| !line.starts_with("scenario "));
    matrix.take_while(|line| !line.is_empty()).collect()
}

/// The first number that stands in front of some words.
fn figure(stdout: &str, words: &str) -> u64 {
    let number = |line: &str| line.split_once(words)?.0.split_whitespace().next_back()?.parse().ok();
    stdout.lines().find_map(number).unwrap_or_else(|| panic!("no number before {words:?} in\n{stdout}"))
}

#[test]
fn a_small_sweep_covers_every_point_and_goes_on_where_it_was() {
    let place = Place::new(STORY);
    let Ran { code, stdout, stderr } = place.sweep();
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    let points = figure(&stdout, " points covered");
    for part in ["coordinator  effect", "coordinator  disk", "coordinator  network", "graph        network"] {
        assert!(stdout.contains(part), "{part:?} is missing:\n{stdout}");
    }
    // Two runs a point, and the one without a fault.
    assert_eq!(figure(&stdout, " runs in "), 2 * points + 1, "{stdout}");

    // As if it had been interrupted before the last ten, while it wrote the one before them.
    let state = place.under("state.jsonl");
    let journal = fs::read_to_string(&state).expect("it keeps a journal");
    let mut lines: Vec<&str> = journal.lines().collect();
    assert_eq!(lines.len() as u64, 1 + 2 * points);
    lines.truncate(lines.len() - 10);
    let torn = lines.join("\n");
    fs::write(&state, &torn[..torn.len() - 5]).expect("it can be written");
    let Ran { code, stdout, stderr } = place.sweep();
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    assert_eq!(figure(&stdout, " runs in "), 11 + 1, "{stdout}");
    assert_eq!(figure(&stdout, " more were finished earlier"), 2 * points - 11, "{stdout}");
    assert_eq!(figure(&stdout, " points covered"), points);
}

#[test]
fn a_sweep_that_was_killed_goes_on_and_ends_as_one_that_was_not() {
    let place = Place::new(STORY);
    let state = place.under("killed.jsonl");
    let lines = || fs::read_to_string(&state).map_or(0, |journal| journal.lines().count());
    let mut victim = squall().args(place.arguments(&state)).stdout(Stdio::null()).spawn().expect("it can be started");
    while lines() < 50 && victim.try_wait().expect("it can be asked").is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    victim.kill().expect("it runs");
    assert_eq!(victim.wait().expect("it ends").signal(), Some(9), "it was done before it was killed");
    let kept = lines();

    let arguments = place.arguments(&state);
    let resumed = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let whole = place.sweep();
    assert_eq!((resumed.code, whole.code), (0, 0), "{}\n{}", resumed.stdout, whole.stdout);
    assert_eq!(matrix(&resumed.stdout), matrix(&whole.stdout));
    assert_eq!(resumed.stdout.lines().next_back(), whole.stdout.lines().next_back());
    let finished = figure(&resumed.stdout, " more were finished earlier");
    // What was under way when it was killed may have been written after the last look.
    assert!((1..figure(&whole.stdout, " runs in ") - 1).contains(&finished), "{finished} of {kept} lines");
    assert_eq!(finished + figure(&resumed.stdout, " runs in "), figure(&whole.stdout, " runs in "));
}

#[test]
fn samples_take_turns_and_none_says_that_all_is_covered() {
    let place = Place::new(STORY);
    let mut tried = 0;
    for sample in ["1/3", "2/3", "3/3"] {
        let Ran { code, stdout, stderr } = place.sweep_with(&["--sample", sample]);
        assert_eq!(code, 0, "{stdout}\n{stderr}");
        assert!(!stdout.contains("covered") && stdout.contains(&format!("sample {sample}, ")), "{stdout}");
        assert!(matrix(&stdout)[1..].iter().all(|row| row.contains(" of ")), "{stdout}");
        assert!(!stdout.contains("finished earlier"), "two samples tried the same:\n{stdout}");
        tried += figure(&stdout, " points tried");
    }
    let Ran { code, stdout, stderr } = place.sweep();
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    // The run without a fault; the rest was tried by one of the samples.
    assert_eq!(figure(&stdout, " runs in "), 1, "{stdout}");
    assert_eq!(figure(&stdout, " points covered"), tried);
}

#[test]
fn a_sample_of_nothing_does_not_pass() {
    let Ran { code, stdout, stderr } = Place::new(STORY).sweep_with(&["--sample", "1000000/1000000"]);
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    assert!(stdout.contains("missing a point to crash at"), "{stdout}");
    let Ran { code, stderr, .. } = Place::new(STORY).sweep_with(&["--sample", "4/3"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("counted from 1"), "{stderr}");
}

#[test]
fn a_graph_that_forgets_is_caught_and_nothing_is_called_covered() {
    let place = Place::new(&format!("{STORY}{FORGETFUL}"));
    let Ran { code, stdout, stderr } = place.sweep();
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    assert!(stdout.contains("missing small, power_cut at") && stdout.contains("a promise was broken"), "{stdout}");
    assert!(!stdout.contains("points covered"), "{stdout}");
    let command = stdout.lines().next_back().expect("it says something");
    let capsule = command.strip_prefix("squall replay ").unwrap_or_else(|| panic!("no command in\n{stdout}"));
    let Ran { code, stdout, stderr } = run(&["replay", capsule]);
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    assert!(stdout.contains("shows again"), "{stdout}");
}

#[test]
fn a_scenario_that_fails_without_any_crash_is_not_covered() {
    // Nobody waits for a graph that takes a second for each message.
    let slow = "\n[network]\nlatency_ms_min = 1000\nlatency_ms_max = 1000\n";
    let place = Place::new(&format!("{STORY}{slow}"));
    let Ran { code, stdout, stderr } = place.sweep();
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    assert!(stdout.contains("missing small, without a fault"), "{stdout}");
    assert!(!stdout.contains("points covered"), "{stdout}");
}
