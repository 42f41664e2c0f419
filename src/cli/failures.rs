//! Failures: each kind once, made small, with its capsule and the command that replays it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::page::{self, AT_LENGTH};
use super::shrink::Shrinker;
use super::verify::once;
use super::{Ended, Failure, PASSED, VIOLATED};
use crate::campaign::Setup;
use crate::capsule::{Capsule, CapsuleError, Expected, decisions};
use crate::check::{Fingerprint, Violation};
use crate::plan::Plan;
use crate::shrink::{Other, Shrunk, Size};
use crate::sut::System;
use crate::verdict::Verdict;

/// A failure, for all of its kind.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// What was broken.
    pub violation: Violation,
    /// The file that replays it.
    pub capsule: PathBuf,
    /// What became of its plan, if it was shrunk.
    pub shrunk: Option<Shrinking>,
    /// Whether it was to be shrunk, and there was no time left.
    pub in_full: bool,
    /// The page that shows it, if one was made.
    pub report: Option<PathBuf>,
    /// Why it did not show when its plan was run once more; then the capsule has the plan as it was found.
    pub unrepeated: Option<String>,
}

/// Where failures are kept.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// Where capsules go.
    pub capsules: &'a Path,
    /// Where reports go, if they are made.
    pub reports: Option<&'a Path>,
}

/// What shrinking a plan came to, for people.
#[derive(Clone, Debug)]
pub struct Shrinking {
    /// What it was.
    pub from: Size,
    /// What is left.
    pub to: Size,
    /// How many runs it took.
    pub runs: u64,
    /// How long it took, in real time.
    pub wall: Duration,
    /// Whether nothing more can be taken away.
    pub minimal: bool,
    /// Failures of kinds that were not known before and that smaller plans had, each with the file that replays it.
    pub others: Vec<(Violation, PathBuf)>,
}

impl Failed {
    /// The command that replays it.
    pub fn command(&self) -> String {
        format!("squall replay {}", self.capsule.display())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} with seed {}:\n{}", self.scenario, self.seed, self.violation)?;
        self.shrunk.as_ref().map_or(Ok(()), |shrunk| write!(f, "{shrunk}"))?;
        if self.in_full {
            writeln!(
                f,
                "  in full, because the time was over; to make it small: squall shrink {}",
                self.capsule.display()
            )?;
        }
        self.report.as_ref().map_or(Ok(()), |report| writeln!(f, "  report: {}", report.display()))
    }
}

impl fmt::Display for Shrinking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shrinking { from, to, runs, wall: _, minimal, others } = self;
        let rest = if *minimal { "nothing more can be taken away" } else { "the time was over" };
        writeln!(f, "  shrunk from {from}\n      to {to} in {runs} runs: {rest}")?;
        for (violation, capsule) in others {
            let (property, fingerprint) = (&violation.property, violation.fingerprint());
            writeln!(f, "  a smaller plan violated {property} [{fingerprint}] instead: {}", capsule.display())?;
        }
        Ok(())
    }
}

/// What a command ends in that has told of these.
///
/// # Errors
///
/// When one of them did not show again: no run of a plan may differ from another.
pub fn ended(failures: &[Failed]) -> Ended {
    match failures.iter().find_map(|failed| failed.unrepeated.as_ref()) {
        Some(why) => Err(Failure::harness(why)),
        None => Ok(if failures.is_empty() { PASSED } else { VIOLATED }),
    }
}

/// One run that failed in some way, to be kept.
#[derive(Clone, Debug)]
pub struct Found<Op> {
    /// What was run.
    pub plan: Plan<Op>,
    /// What it broke.
    pub violation: Violation,
    /// The capsule that has the plan already.
    pub capsule: PathBuf,
}

/// The failures that runs came to so far: of each fingerprint the one with the smallest plan, and the first among equals.
/// That is the easiest to read, and what shrinking has the least to do with.
///
/// Each has a capsule from the moment on in which it is met, whatever may go wrong afterwards.
pub struct Kinds<Op, Run> {
    folder: PathBuf,
    kinds: BTreeMap<Fingerprint, Kind<Op, Run>>,
}

struct Kind<Op, Run> {
    /// The first run that showed it, and which of its violations it was.
    first: (Run, usize),
    /// The run that `found` is of.
    run: Run,
    found: Found<Op>,
}

impl<Op: Clone + Serialize, Run: Ord + Clone> Kinds<Op, Run> {
    /// None so far. Their capsules go into this folder.
    pub fn new(folder: &Path) -> Kinds<Op, Run> {
        Kinds { folder: folder.to_owned(), kinds: BTreeMap::new() }
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Adds what a run broke. Runs may end in any order: `run` is the place of this one among them.
    ///
    /// # Errors
    ///
    /// When the capsule of a new kind, or of a smaller plan, cannot be written.
    pub fn add<S: System<Op = Op>>(&mut self, run: &Run, plan: &Plan<Op>, verdict: &Verdict) -> Result<(), Failure> {
        for (place, violation) in verdict.violations.iter().enumerate() {
            let met = (run.clone(), place);
            let found = || {
                let expected = Some(Expected::of(violation));
                let capsule = Capsule::new::<S>(plan.clone(), expected, verdict.digest.clone()).save(&self.folder);
                let capsule = capsule.map_err(|error| Failure::harness(format!("{violation}\n{error}")))?;
                Ok(Found { plan: plan.clone(), violation: violation.clone(), capsule })
            };
            match self.kinds.entry(violation.fingerprint()) {
                Entry::Vacant(entry) => {
                    entry.insert(Kind { first: met, run: run.clone(), found: found()? });
                }
                Entry::Occupied(mut entry) => {
                    let kind = entry.get_mut();
                    if met < kind.first {
                        kind.first = met;
                    }
                    if (parts(plan), run) < (parts(&kind.found.plan), &kind.run) {
                        let larger = std::mem::replace(&mut kind.found, found()?);
                        kind.run = run.clone();
                        // That of another scenario has another name. Whether it goes or not, the failure is kept.
                        if larger.capsule != kind.found.capsule {
                            let _ = fs::remove_file(&larger.capsule);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes their final capsules; made small where there is a shrinker.
    ///
    /// In the order of their plans' sizes: a bug that breaks much in many ways may leave no time to make all of them small.
    pub fn conclude<S: System<Op = Op>>(
        self,
        reports: Option<&Path>,
        mut shrinker: Option<&mut Shrinker<S>>,
        setup: Setup,
    ) -> Result<Vec<Failed>, Failure> {
        let folders = Folders { capsules: &self.folder, reports };
        // What is here already, in full, is not to be replaced by what shrinking something else came across.
        let mut known: BTreeSet<Fingerprint> = self.kinds.keys().copied().collect();
        let mut kinds: Vec<Kind<Op, Run>> = self.kinds.into_values().collect();
        kinds.sort_by(|one, other| (parts(&one.found.plan), &one.first).cmp(&(parts(&other.found.plan), &other.first)));
        let kept = |kind: Kind<Op, Run>| keep::<S>(kind.found, folders, &mut known, shrinker.as_deref_mut(), setup);
        kinds.into_iter().map(kept).collect()
    }
}

/// How much there is to read of a plan.
fn parts<Op>(plan: &Plan<Op>) -> usize {
    let Size { operations, faults, .. } = Size::of(plan);
    operations + faults
}

/// Writes the final capsule of a failure, and those of failures of unknown kinds that smaller plans have.
pub fn keep<S: System>(
    Found { plan, violation, capsule: found }: Found<S::Op>,
    Folders { capsules: folder, reports }: Folders<'_>,
    known: &mut BTreeSet<Fingerprint>,
    shrinker: Option<&mut Shrinker<S>>,
    setup: Setup,
) -> Result<Failed, Failure> {
    let fingerprint = violation.fingerprint();
    let started = interpose::real_monotonic();
    let to_be_shrunk = shrinker.is_some();
    let small = match shrinker {
        Some(shrinker) => shrinker.shrink(&plan, fingerprint, &violation.property).map_err(|failure| {
            let message = format!("{}\nwhat it was to make small: squall replay {}", failure.message, found.display());
            Failure { message, ..failure }
        })?,
        None => None,
    };
    let wall = interpose::real_monotonic() - started;
    let in_full = to_be_shrunk && small.is_none();
    let smallest = small.as_ref().map_or(&plan, |shrunk| &shrunk.plan).clone();
    let (mut shrunk, mut passing) = (None, None);
    if let Some(Shrunk { runs, minimal, others, passing: nearest, plan: small }) = small {
        passing = nearest;
        let mut beside = Vec::new();
        for other in others {
            if known.insert(other.violation.fingerprint()) {
                let saved = save_other::<S>(&other, folder).map_err(Failure::harness)?;
                beside.push((other.violation, saved));
            }
        }
        shrunk = Some(Shrinking { from: Size::of(&plan), to: Size::of(&small), runs, wall, minimal, others: beside });
    }
    let mut failed = Failed {
        scenario: plan.scenario.clone(),
        seed: plan.seed,
        violation,
        capsule: found,
        shrunk,
        in_full,
        report: None,
        unrepeated: None,
    };
    // Once more and at length: the decisions belong into the capsule.
    let one = Setup { jobs: NonZero::<usize>::MIN, ..setup };
    let told = match once::<S>(&smallest, AT_LENGTH, one) {
        Ok(told) => told,
        Err(failure) => return Ok(Failed { unrepeated: Some(failure.message), ..failed }),
    };
    let Some(again) = told.violations.iter().find(|again| again.fingerprint() == fingerprint) else {
        let why = format!(
            "{} with seed {} is not deterministic: the violation of {} [{fingerprint}] did not show when its plan was \
             run once more\n{} --twice",
            failed.scenario,
            failed.seed,
            failed.violation.property,
            failed.command(),
        );
        return Ok(Failed { unrepeated: Some(why), ..failed });
    };
    let mut capsule = Capsule::new::<S>(smallest, Some(Expected::of(again)), told.digest.clone());
    capsule.decisions = told.story.iter().flat_map(|story| decisions(&story.trace)).collect();
    capsule.passing = passing;
    failed.violation = again.clone();
    failed.capsule = capsule.save(folder).map_err(Failure::harness)?;
    // A run that was killed has nothing to show.
    if let Some(reports) = reports.filter(|_| told.story.is_some()) {
        match page::of_capsule::<S>(&capsule, &failed.capsule, &told, reports, setup) {
            Ok(page) => failed.report = Some(page),
            // What failed is told without it.
            Err(failure) => eprintln!("there is no page: {}", failure.message),
        }
    }
    Ok(failed)
}

/// Saves a failure that shrinking another came across. One of the same name that is smaller, from an earlier run say,
/// stays.
fn save_other<S: System>(other: &Other<S::Op>, folder: &Path) -> Result<PathBuf, CapsuleError> {
    // Its digest is not known; a replay says so by not comparing any.
    let capsule = Capsule::new::<S>(other.plan.clone(), Some(Expected::of(&other.violation)), String::new());
    let path = folder.join(capsule.file_name());
    match Capsule::<S::Op>::load::<S>(&path) {
        Ok(there) if parts(&there.plan) <= parts(&other.plan) => Ok(path),
        _ => capsule.save(folder),
    }
}

#[cfg(test)]
mod tests;
