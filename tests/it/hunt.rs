//! Hunts and coverage, as people ask for them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{Ran, run, squall};

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

fn capsules(folder: &Path) -> usize {
    let is_capsule = |file: fs::DirEntry| text(&file.path()).ends_with(".capsule.json");
    fs::read_dir(folder).map_or(0, |files| files.filter_map(Result::ok).map(is_capsule).filter(|is| *is).count())
}

#[test]
fn a_hunt_keeps_what_reached_something_new_and_the_next_one_begins_with_it() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (corpus, failures) = (folder.path().join("corpus"), folder.path().join("failures"));
    let arguments = ["hunt", "scenarios/swarm.toml", "--for", "3s"];
    let hunt = |more: &[&str]| {
        run(&[&arguments[..], &["--corpus", text(&corpus), "--failures", text(&failures)], more].concat())
    };
    let first = hunt(&[]);
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    for part in ["the time is over", "reached ", "coverage "] {
        assert!(first.stdout.contains(part), "{part:?} is missing:\n{}", first.stdout);
    }
    assert!(capsules(&corpus) > 0, "{}", first.stdout);
    assert_eq!(capsules(&failures), 0);
    let again = hunt(&["--seed", "1000"]);
    assert_eq!((again.code, again.stderr.contains("cannot be read")), (0, false), "{}", again.stderr);
    fs::write(corpus.join("old-seed-1.capsule.json"), "{\"format\": 0}").expect("it can be written");
    let Ran { code, stderr, .. } = hunt(&[]);
    assert_eq!(code, 0, "one old file stops no hunt: {stderr}");
    assert!(stderr.starts_with("1 of the ") && stderr.contains("old-seed-1"), "{stderr}");
}

#[test]
fn a_hunt_ends_with_its_first_failure() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let arguments = ["hunt", "canary", "--for", "10m", "--shrink-seconds", "1", "--failures", text(folder.path())];
    let Ran { code, stdout, stderr } = run(&arguments);
    assert_eq!(code, 1, "{stderr}");
    assert!(stdout.contains("it found a failure"), "{stdout}");
    let last = stdout.lines().last().and_then(|line| line.strip_prefix("squall replay ")).expect("a command");
    assert!(Path::new(last).exists() && capsules(folder.path()) > 0);
}

#[test]
fn a_hunt_that_is_interrupted_says_what_it_came_to() {
    let mut hunt = squall()
        .args(["hunt", "scenarios/one_commit.toml", "--for", "10m"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let mut lines = BufReader::new(hunt.stdout.take().expect("it was piped")).lines();
    let first = lines.next().expect("it says what it does").expect("it is text");
    assert!(first.starts_with("hunting for 10 min"), "{first}");
    let told = Command::new("kill").args(["-INT", &hunt.id().to_string()]).status().expect("kill can be run");
    assert!(told.success());
    let rest: Vec<String> = lines.map(|line| line.expect("it is text")).collect();
    assert!(rest.iter().any(|line| line.ends_with(": interrupted")), "{rest:?}");
    assert_eq!(hunt.wait().expect("it ends").code(), Some(0));
}

#[test]
fn coverage_names_the_marks_that_nothing_reaches() {
    let Ran { code, stdout, stderr } = run(&["coverage", "scenarios/crash_after_decide.toml", "--seeds", "0..2"]);
    assert_eq!(code, 1, "{stderr}");
    for part in [
        "commit.decide.after",
        "rolled_forward",
        "no scenario reaches the mark refused_to_work",
        "no run was crashed at start",
        "2 runs reached ",
    ] {
        assert!(stdout.contains(part), "{part:?} is missing:\n{stdout}");
    }
    assert!(!stdout.contains("no scenario reaches the mark rolled_forward"), "{stdout}");
}

#[test]
fn a_time_without_a_unit_is_refused() {
    let Ran { code, stderr, .. } = run(&["hunt", "--for", "10"]);
    assert_eq!((code, stderr.contains("10m")), (2, true), "{stderr}");
}
