//! A sweep tries every point, goes on where it was interrupted, and says that all is covered only when it is.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::program::{Ran, run};

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
        let (state, failures) = (self.under("state.jsonl"), self.under("failures"));
        run(&["sweep", text(&self.scenario), "--state", text(&state), "--failures", text(&failures)])
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
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
