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
const STEPS: &str = r#"
steps = [
  { at_ms = 450, client = "writer", do = { submit = { operations = [{ create = { id = "alice", kind = "person" } }] } } },
  { at_ms = 1100, client = "reader", do = { read = { entity = "alice" } } },
]
"#;

/// Coarse steps are quick, and a sweep is many runs.
const COARSE: &str = "\n[network]\ntick_ms = 5\nlatency_ms_min = 5\nlatency_ms_max = 5\n";

/// A graph that acknowledges a commit before it holds it: every power cut in the right place is seen.
const FORGETFUL: &str = "\n[system]\ngraph_forgets = 1\n";

/// A folder with a scenario, and what a sweep leaves there.
struct Place {
    folder: TempDir,
    scenario: PathBuf,
}

impl Place {
    /// The smallest story, with what its file says besides.
    fn new(besides: &str) -> Place {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("small.toml");
        fs::write(&path, format!("{STEPS}{besides}")).expect("a file can be written");
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
fn a_small_sweep_covers_every_point_and_so_does_one_that_was_killed_and_goes_on() {
    let place = Place::new(COARSE);
    let Ran { code, stdout: whole, stderr } = place.sweep();
    assert_eq!(code, 0, "{whole}\n{stderr}");
    let points = figure(&whole, " points covered");
    for part in ["coordinator  effect", "coordinator  disk", "coordinator  network", "graph        network"] {
        assert!(whole.contains(part), "{part:?} is missing:\n{whole}");
    }
    // Two runs a point, and the one without a fault.
    assert_eq!(figure(&whole, " runs in "), 2 * points + 1, "{whole}");

    let state = place.under("killed.jsonl");
    let arguments = place.arguments(&state);
    let finished = || fs::read_to_string(&state).map_or(0, |journal| journal.lines().count().saturating_sub(1) as u64);
    let mut victim = squall().args(&arguments).stdout(Stdio::null()).spawn().expect("it can be started");
    while finished() < 50 && victim.try_wait().expect("it can be asked").is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    victim.kill().expect("it can be killed");
    assert_eq!(victim.wait().expect("it ends").signal(), Some(9), "it was done before it was killed");
    // As if it had been killed while it wrote the last line.
    let kept = finished() - 1;
    let journal = fs::read_to_string(&state).expect("it keeps a journal");
    fs::write(&state, &journal[..journal.len() - 5]).expect("it can be written");

    let Ran { code, stdout, stderr } = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    assert_eq!(matrix(&stdout), matrix(&whole));
    assert_eq!(stdout.lines().next_back(), whole.lines().next_back());
    assert_eq!(figure(&stdout, " more were finished earlier"), kept, "{stdout}");
    assert_eq!(figure(&stdout, " runs in "), 2 * points + 1 - kept, "{stdout}");
}

#[test]
fn samples_take_turns_and_none_says_that_all_is_covered() {
    let place = Place::new(COARSE);
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
    let Ran { code, stdout, stderr } = Place::new(COARSE).sweep_with(&["--sample", "1000000/1000000"]);
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    assert!(stdout.contains("missing a point to crash at"), "{stdout}");
    let Ran { code, stderr, .. } = Place::new(COARSE).sweep_with(&["--sample", "4/3"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("counted from 1"), "{stderr}");
}

#[test]
fn a_graph_that_forgets_is_caught_and_nothing_is_called_covered() {
    let place = Place::new(&format!("{COARSE}{FORGETFUL}"));
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
    let place = Place::new(slow);
    let Ran { code, stdout, stderr } = place.sweep();
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    assert!(stdout.contains("missing small, without a fault"), "{stdout}");
    assert!(!stdout.contains("points covered"), "{stdout}");
}
