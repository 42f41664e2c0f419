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
use crate::campaign::{Setup, WATCHDOG};
use crate::capsule::{Capsule, CapsuleError, Expected, decisions};
use crate::check::{Fingerprint, Violation};
use crate::plan::Plan;
use crate::shrink::{Other, Shrunk, Size};
use crate::sut::System;
use crate::verdict::Verdict;

/// A failure, for all of its kind.
#[derive(Clone, Debug)]
pub struct Failed {
    /// How the program is called that found it.
    pub program: &'static str,
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
    /// A failure with its capsule, of which nothing else is known yet.
    fn new<S: System>(plan: &Plan<S::Op>, violation: Violation, capsule: PathBuf) -> Failed {
        Failed {
            program: S::PROGRAM,
            scenario: plan.scenario.clone(),
            seed: plan.seed,
            violation,
            capsule,
            shrunk: None,
            in_full: false,
            report: None,
            unrepeated: None,
        }
    }

    /// The command that replays it.
    pub fn command(&self) -> String {
        format!("{} replay {}", self.program, self.capsule.display())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} with seed {}:\n{}", self.scenario, self.seed, self.violation)?;
        self.shrunk.as_ref().map_or(Ok(()), |shrunk| write!(f, "{shrunk}"))?;
        if self.in_full {
            writeln!(
                f,
                "  in full, because the time was over; to make it small: {} shrink {}",
                self.program,
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

    /// Writes their final capsules; made small where there is a shrinker. Whatever the harness fails at on the way, each kind
    /// is told: its first capsule has been there since it was met.
    ///
    /// In the order of their plans' sizes: a bug that breaks much in many ways may leave no time to make all of them small.
    pub fn conclude<S: System<Op = Op>>(
        self,
        reports: Option<&Path>,
        mut shrinker: Option<&mut Shrinker<S>>,
        setup: Setup,
    ) -> Concluded {
        let folders = Folders { capsules: &self.folder, reports };
        // What is here already, in full, is not to be replaced by what shrinking something else came across.
        let mut known: BTreeSet<Fingerprint> = self.kinds.keys().copied().collect();
        let mut kinds: Vec<Kind<Op, Run>> = self.kinds.into_values().collect();
        kinds.sort_by(|one, other| (parts(&one.found.plan), &one.first).cmp(&(parts(&other.found.plan), &other.first)));
        let mut concluded = Concluded::default();
        for kind in kinds {
            let Kept { failed, flaws } = keep::<S>(kind.found, folders, &mut known, shrinker.as_deref_mut(), setup);
            concluded.failures.push(failed);
            concluded.flaws.extend(flaws);
        }
        concluded
    }
}

/// The failures of a command, and what the harness failed at while it kept them.
#[derive(Debug, Default)]
pub struct Concluded {
    /// One of each kind.
    pub failures: Vec<Failed>,
    /// In words.
    pub flaws: Vec<String>,
}

/// A failure, and what the harness failed at while it kept it.
#[derive(Debug)]
pub struct Kept {
    /// The failure.
    pub failed: Failed,
    /// In words.
    pub flaws: Vec<String>,
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
) -> Kept {
    let fingerprint = violation.fingerprint();
    let one = Setup { jobs: NonZero::<usize>::MIN, ..setup };
    let mut failed = Failed::new::<S>(&plan, violation, found);
    let mut flaws = Vec::new();
    let started = interpose::real_monotonic();
    let small = match shrinker.map(|shrinker| shrinker.shrink(&plan, fingerprint, &failed.violation.property)) {
        None => None,
        Some(Ok(small)) => {
            failed.in_full = small.is_none();
            small
        }
        Some(Err(failure)) => {
            flaws.push(failure.message);
            None
        }
    };
    let wall = interpose::real_monotonic() - started;
    let (mut smallest, mut passing) = (plan.clone(), None);
    if let Some(Shrunk { runs, minimal, others, passing: nearest, plan: small }) = small {
        let mut beside = Vec::new();
        for other in others {
            if !known.insert(other.violation.fingerprint()) {
                continue;
            }
            let (capsule, flaw) = at_length::<S>(&other, one);
            flaws.extend(flaw);
            match save_other::<S>(&capsule, folder) {
                Ok(saved) => beside.push((other.violation, saved)),
                Err(error) => flaws.push(error.to_string()),
            }
        }
        let (from, to) = (Size::of(&plan), Size::of(&small));
        failed.shrunk = Some(Shrinking { from, to, runs, wall, minimal, others: beside });
        (smallest, passing) = (small, nearest);
    }
    // Once more and at length: the decisions belong into the capsule.
    let mut told = once::<S>(&smallest, AT_LENGTH, one);
    let shows = |told: &Result<Verdict, Failure>| told.as_ref().is_ok_and(|told| find(told, fingerprint).is_some());
    if failed.violation.property == WATCHDOG && failed.shrunk.is_some() && told.is_ok() && !shows(&told) {
        // It was given up too early when it was a candidate: what is certain is the plan as it was found.
        failed.shrunk = None;
        failed.in_full = true;
        (smallest, passing) = (plan, None);
        told = once::<S>(&smallest, AT_LENGTH, one);
    }
    let told = match told {
        Ok(told) => told,
        Err(failure) => {
            failed.unrepeated = Some(failure.message);
            return Kept { failed, flaws };
        }
    };
    let Some(again) = find(&told, fingerprint) else {
        failed.unrepeated = Some(format!(
            "{} with seed {} is not deterministic: the violation of {} [{fingerprint}] did not show when its plan was \
             run once more\n{} --twice",
            failed.scenario,
            failed.seed,
            failed.violation.property,
            failed.command(),
        ));
        return Kept { failed, flaws };
    };
    failed.violation = again.clone();
    let mut capsule = of_run::<S>(smallest, again, &told);
    capsule.passing = passing;
    match capsule.save(folder) {
        Ok(saved) => failed.capsule = saved,
        Err(error) => {
            // The capsule that is there has the plan as it was found.
            failed.shrunk = None;
            flaws.push(error.to_string());
            return Kept { failed, flaws };
        }
    }
    // A run that was killed or died has nothing to show.
    if let Some(reports) = reports.filter(|_| told.story.is_some()) {
        match page::of_capsule::<S>(&capsule, &failed.capsule, &told, reports, setup) {
            Ok(page) => failed.report = Some(page),
            // What failed is told without it.
            Err(failure) => eprintln!("there is no page: {}", failure.message),
        }
    }
    Kept { failed, flaws }
}

/// The violation of this kind.
fn find(verdict: &Verdict, fingerprint: Fingerprint) -> Option<&Violation> {
    verdict.violations.iter().find(|violation| violation.fingerprint() == fingerprint)
}

/// The capsule of a run that was told at length.
fn of_run<S: System>(plan: Plan<S::Op>, violation: &Violation, told: &Verdict) -> Capsule<S::Op> {
    let mut capsule = Capsule::new::<S>(plan, Some(Expected::of(violation)), told.digest.clone());
    capsule.decisions = told.story.iter().flat_map(|story| decisions(&story.trace)).collect();
    capsule
}

/// The capsule of a failure that shrinking another came across: its plan is run once more for it. The second is what went
/// wrong with that, if anything did.
fn at_length<S: System>(Other { violation, plan }: &Other<S::Op>, setup: Setup) -> (Capsule<S::Op>, Option<String>) {
    let bare = || Capsule::new::<S>(plan.clone(), Some(Expected::of(violation)), String::new());
    // It would take all that time once more and leave nothing behind.
    if violation.property == WATCHDOG {
        return (bare(), None);
    }
    let fingerprint = violation.fingerprint();
    match once::<S>(plan, AT_LENGTH, setup) {
        Ok(told) if find(&told, fingerprint).is_some() => (of_run::<S>(plan.clone(), violation, &told), None),
        Ok(_) => {
            let why = format!(
                "{} with seed {} is not deterministic: a smaller plan violated {} [{fingerprint}], and did not when it was \
                 run once more",
                plan.scenario, plan.seed, violation.property
            );
            (bare(), Some(why))
        }
        Err(failure) => (bare(), Some(failure.message)),
    }
}

/// Saves the capsule of a failure that shrinking another came across. One of the same name that is smaller, from an earlier
/// run say, stays.
fn save_other<S: System>(capsule: &Capsule<S::Op>, folder: &Path) -> Result<PathBuf, CapsuleError> {
    let path = folder.join(capsule.file_name());
    match Capsule::<S::Op>::load::<S>(&path) {
        Ok(there) if parts(&there.plan) <= parts(&capsule.plan) => Ok(path),
        _ => capsule.save(folder),
    }
}

#[cfg(test)]
mod tests;
