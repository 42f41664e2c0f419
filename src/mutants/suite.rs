//! What finds a mutant: `squall run`, built from the copy of the tree.

use std::fmt;
use std::fs;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use serde::Deserialize;

use super::shown;
use super::tree::Tree;
use crate::capsule::Expected;
use crate::cli::Failure;

/// What a header asks to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What follows `squall run`.
    words: Vec<String>,
    /// The seeds to use instead of those in `words`.
    seeds: Option<Range<u64>>,
    /// How many runs at once.
    jobs: Option<NonZero<usize>>,
}

impl Command {
    /// Reads `squall run …`. There is no shell: words are separated by blanks.
    pub fn parse(text: &str) -> Result<Command, String> {
        let mut words = text.split_whitespace().map(str::to_owned);
        if (words.next().as_deref(), words.next().as_deref()) != (Some("squall"), Some("run")) {
            return Err(format!("a command starts with `squall run`, unlike {text:?}"));
        }
        Ok(Command { words: words.collect(), seeds: None, jobs: None })
    }

    /// The same with other seeds, where some are given, and with so many runs at once.
    #[must_use]
    pub fn with(&self, seeds: Option<Range<u64>>, jobs: Option<NonZero<usize>>) -> Command {
        Command { words: self.words.clone(), seeds, jobs }
    }

    /// How long the name of the longest scenario is that it names by its file.
    pub fn scenario_width(&self) -> usize {
        let stems = self.words.iter().filter_map(|word| word.strip_suffix(".toml"));
        stems.map(|stem| stem.rsplit('/').next().unwrap_or(stem).len()).max().unwrap_or_default()
    }

    /// The words after `squall`.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["run".to_owned()];
        let mut words = self.words.iter();
        while let Some(word) = words.next() {
            if word == "--seeds" && self.seeds.is_some() {
                words.next();
            } else {
                arguments.push(word.clone());
            }
        }
        if let Some(seeds) = &self.seeds {
            arguments.extend(["--seeds".to_owned(), format!("{}..{}", seeds.start, seeds.end)]);
        }
        if let Some(jobs) = self.jobs {
            arguments.extend(["--jobs".to_owned(), jobs.to_string()]);
        }
        arguments
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "squall {}", self.arguments().join(" "))
    }
}

/// A violation that a run reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What was violated.
    pub property: String,
    /// Under which scenario.
    pub scenario: String,
    /// With which seed: the first of those that violated it in the same way.
    pub seed: u64,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it reported, one a fingerprint, lowest seeds first.
    pub found: Vec<Found>,
    /// What it printed.
    pub output: String,
}

/// The program squall of the copy.
pub struct Program {
    source: PathBuf,
    target: PathBuf,
    failures: PathBuf,
    jobs: Option<NonZero<usize>>,
    optimised: bool,
}

impl Program {
    /// The program that is built from the tree's copy.
    pub fn new(tree: &Tree, jobs: Option<NonZero<usize>>, optimised: bool) -> Program {
        let under = |name| tree.base().join(name);
        let (target, failures) = (under("target"), under("failures"));
        Program { source: tree.copy_folder().to_owned(), target, failures, jobs, optimised }
    }

    /// Builds it. The inner error is what the compiler said.
    ///
    /// Without optimisation of our own crates, unless it is asked for: a few seeds find each mutant, and compiling takes
    /// most of the time.
    pub fn build(&self) -> Result<Result<(), String>, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = process::Command::new(cargo);
        // A mutant changes a file or two: what was made of the others is used again, whatever the environment prefers.
        command.env("CARGO_INCREMENTAL", "1");
        command.args(["build", "--quiet", "--package", "squall", "--bin", "squall", "--target-dir"]).arg(&self.target);
        if self.optimised {
            command.arg("--release");
        }
        if let Some(jobs) = self.jobs {
            command.args(["--jobs", &jobs.to_string()]);
        }
        let output = output(command.current_dir(&self.source))?;
        Ok(if output.status.success() { Ok(()) } else { Err(text(&output.stderr)) })
    }

    /// Runs a command of it, each run once, and collects the capsules that it wrote.
    pub fn run(&self, command: &Command) -> Result<Ran, Failure> {
        let unwritable = |error| Failure::harness(format!("cannot empty {}: {error}", shown(&self.failures)));
        match fs::remove_dir_all(&self.failures) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(error)),
            _ => {}
        }
        let output = self.output(command, &["--no-shrink"])?;
        Ok(Ran {
            code: output.status.code(),
            found: found(&self.failures)?,
            output: text(&output.stdout) + &text(&output.stderr),
        })
    }
}

impl Program {
    /// Runs a command of it, makes small what it finds, and returns what it printed as JSON.
    pub fn shrink(&self, command: &Command) -> Result<String, Failure> {
        Ok(text(&self.output(command, &["--format", "json"])?.stdout))
    }

    fn output(&self, command: &Command, more: &[&str]) -> Result<process::Output, Failure> {
        let profile = if self.optimised { "release" } else { "debug" };
        let mut process = process::Command::new(self.target.join(profile).join("squall"));
        process.args(command.arguments()).args(more);
        process.args(["--no-report", "--verify", "none", "--failures"]).arg(&self.failures);
        output(process.current_dir(&self.source))
    }
}

fn output(command: &mut process::Command) -> Result<process::Output, Failure> {
    let started = command.stdin(Stdio::null()).output();
    started
        .map_err(|error| Failure::harness(format!("cannot start {}: {error}", command.get_program().to_string_lossy())))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What of a capsule is of interest here: readable whatever the plan's operations are.
#[derive(Deserialize)]
struct Capsule {
    expected: Expected,
    plan: Plan,
}

#[derive(Deserialize)]
struct Plan {
    scenario: String,
    seed: u64,
}

fn found(folder: &Path) -> Result<Vec<Found>, Failure> {
    let unreadable = |path: &Path, why: String| Failure::harness(format!("cannot read {}: {why}", shown(path)));
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error.to_string()))? {
        let path = entry.map_err(|error| unreadable(folder, error.to_string()))?.path();
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, error.to_string()))?;
        let capsule: Capsule = serde_json::from_slice(&bytes).map_err(|error| unreadable(&path, error.to_string()))?;
        let Capsule { expected: Expected { property, .. }, plan: Plan { scenario, seed } } = capsule;
        found.push(Found { property, scenario, seed });
    }
    found.sort_by(|a, b| (a.seed, &a.property).cmp(&(b.seed, &b.property)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_can_be_replaced() {
        let command = Command::parse("squall run scenarios/a.toml --seeds 0..5").unwrap();
        assert_eq!(command.arguments(), ["run", "scenarios/a.toml", "--seeds", "0..5"]);
        let other = command.with(Some(7..9), NonZero::new(2));
        assert_eq!(other.to_string(), "squall run scenarios/a.toml --seeds 7..9 --jobs 2");
        assert_eq!(command.with(None, None), command);
    }

    #[test]
    fn no_other_program_is_run() {
        assert!(Command::parse("squall replay x").is_err());
        assert!(Command::parse("sh -c true").is_err());
    }

    #[test]
    fn capsules_say_what_was_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(found(&folder.path().join("none")).unwrap(), []);
        let capsule = r#"{ "expected": { "property": "atomicity", "fingerprint": "00000000000000ff" },
                           "plan": { "scenario": "story", "seed": 3, "clients": [] }, "digest": "" }"#;
        fs::write(folder.path().join("story.capsule.json"), capsule).unwrap();
        let expected = Found { property: "atomicity".to_owned(), scenario: "story".to_owned(), seed: 3 };
        assert_eq!(found(folder.path()).unwrap(), [expected]);
        fs::write(folder.path().join("other.capsule.json"), "{").unwrap();
        assert!(found(folder.path()).is_err());
    }
}
