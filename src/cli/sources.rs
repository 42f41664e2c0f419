//! Where plans come from: scenario files, folders of them, and functions.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::plan::{Expect, Plan, Scenario, Step, Topology, expand, load};
use crate::sut::System;

/// The folder that is searched when no scenario is named.
const FOLDER: &str = "scenarios";

/// A scenario, from whichever place.
pub enum Source<S: System> {
    /// From a file.
    File {
        /// The file.
        path: PathBuf,
        /// What it says.
        scenario: Box<Scenario<S::Op>>,
    },
    /// Written in Rust.
    Function {
        /// Its name.
        name: &'static str,
        /// Makes its plan.
        plan: fn(u64) -> Plan<S::Op>,
    },
}

impl<S: System> Source<S> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Source::File { scenario, .. } => &scenario.name,
            Source::Function { name, .. } => name,
        }
    }

    /// What to call it by on the command line.
    pub fn argument(&self) -> String {
        match self {
            Source::File { path, .. } => path.display().to_string(),
            Source::Function { name, .. } => (*name).to_owned(),
        }
    }

    /// Its first line of explanation.
    pub fn about(&self) -> &str {
        match self {
            Source::File { scenario, .. } => scenario.about.lines().next().unwrap_or_default(),
            Source::Function { .. } => "written in Rust",
        }
    }

    /// The seeds that it pins.
    pub fn pinned(&self) -> &[u64] {
        match self {
            Source::File { scenario, .. } => &scenario.seeds,
            Source::Function { .. } => &[],
        }
    }

    /// The system that its plans are for.
    pub fn system(&self) -> Result<S, Failure> {
        match self {
            Source::File { scenario, .. } => S::new(&scenario.system),
            Source::Function { plan, .. } => S::new(&plan(0).system),
        }
        .map_err(Failure::usage)
    }

    /// Whether it says that each of its crash points is to be tried.
    pub fn is_swept(&self) -> bool {
        match self {
            Source::File { scenario, .. } => scenario.sweep,
            Source::Function { .. } => false,
        }
    }

    /// The plan of one seed.
    pub fn plan(&self, seed: u64) -> Result<Plan<S::Op>, Failure> {
        match self {
            Source::File { path, scenario } => {
                let system = S::new(&scenario.system).map_err(Failure::usage)?;
                expand(scenario, &system, seed)
                    .map_err(|error| Failure::usage(format!("{} with seed {seed}: {error}", path.display())))
            }
            Source::Function { plan, .. } => Ok(plan(seed)),
        }
    }

    /// Whether it says that nothing need be reached.
    pub fn expects_nothing(&self) -> bool {
        match self {
            Source::File { scenario, .. } => scenario.expect == Expect::nothing(),
            Source::Function { .. } => false,
        }
    }

    /// The faults that some run must see take effect.
    pub fn expected_faults(&self) -> Result<Expected, Failure> {
        match self {
            Source::File { scenario, .. } => {
                let system = S::new(&scenario.system).map_err(Failure::usage)?;
                let steps = scenario.steps.iter().filter(|step| matches!(step, Step::Fault(_))).count();
                match &scenario.expect.faults {
                    Some(kinds) => Ok(Expected { steps: 0, kinds: kinds.iter().cloned().collect(), named: true }),
                    None => {
                        let kinds = scenario.expected_faults(&Topology::of(&system));
                        Ok(Expected { steps, kinds, named: false })
                    }
                }
            }
            Source::Function { plan, .. } => {
                Ok(Expected { steps: plan(0).faults.len(), kinds: BTreeSet::new(), named: false })
            }
        }
    }
}

/// The faults that a scenario is there for.
pub struct Expected {
    /// How many of the plan's faults, from the first on, are steps of the scenario: each of them must take effect.
    pub steps: usize,
    /// The kinds that must take effect, whichever fault it is.
    pub kinds: BTreeSet<String>,
    /// Whether the scenario names those kinds, or they are all that it can make.
    pub named: bool,
}

/// Finds and reads what the user named, or everything there is.
pub fn find<S: System>(arguments: &[PathBuf]) -> Result<Vec<Source<S>>, Failure> {
    let functions = S::scenarios();
    if arguments.is_empty() {
        let mut sources = functions.into_iter().map(|(name, plan)| Source::Function { name, plan }).collect::<Vec<_>>();
        if Path::new(FOLDER).is_dir() {
            sources.extend(folder(Path::new(FOLDER))?);
        }
        if sources.is_empty() {
            return Err(Failure::usage(format!("no scenario: there is no folder {FOLDER}/ here; name a file")));
        }
        return Ok(sources);
    }
    let mut sources = Vec::new();
    for argument in arguments {
        let function = functions.iter().find(|(name, _)| argument.as_os_str() == *name);
        if let Some((name, plan)) = function {
            sources.push(Source::Function { name, plan: *plan });
        } else if argument.is_dir() {
            sources.extend(folder(argument)?);
        } else {
            sources.push(file(argument)?);
        }
    }
    Ok(sources)
}

/// Whether a file is a capsule, by its name.
pub fn is_capsule(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "json")
}

/// What is wrong with naming a seed for a capsule, by this option.
pub fn capsule_has_seed(file: &Path, option: &str) -> Failure {
    Failure::usage(format!("{} has its plan with its seed in it: leave out {option}", file.display()))
}

/// The scenario that the user named, where one is wanted.
pub fn one<S: System>(argument: &Path) -> Result<Source<S>, Failure> {
    let mut sources = find::<S>(&[argument.to_owned()])?;
    match (sources.pop(), sources.len()) {
        (Some(source), 0) => Ok(source),
        (None, _) => Err(Failure::usage(format!("{} holds no scenario", argument.display()))),
        (Some(_), others) => {
            Err(Failure::usage(format!("{} holds {} scenarios: name one of them", argument.display(), others + 1)))
        }
    }
}

/// One scenario, by file or name.
fn file<S: System>(path: &Path) -> Result<Source<S>, Failure> {
    let scenario = load::<S>(path).map_err(Failure::usage)?;
    Ok(Source::File { path: path.to_owned(), scenario: Box::new(scenario) })
}

fn folder<S: System>(path: &Path) -> Result<Vec<Source<S>>, Failure> {
    let unreadable = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let mut files = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|path| file(path)).collect()
}
