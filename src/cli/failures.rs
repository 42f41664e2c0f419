//! Failures: each kind once, made small, with its capsule and the command that replays it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Failure;
use super::page::{self, AT_LENGTH};
use super::shrink::Shrinker;
use super::verify::once;
use crate::campaign::Setup;
use crate::capsule::{Capsule, Expected, decisions};
use crate::check::{Fingerprint, Violation};
use crate::plan::Plan;
use crate::shrink::{Shrunk, Size};
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

/// One failure of each fingerprint, with a capsule written for it; made small where there is a shrinker.
///
/// It is the one with the smallest plan, and the first among equals: that is the easiest to read, and what shrinking has
/// the least to do with. For the same reason the kinds are in the order of their plans' sizes: a bug that breaks much in many
/// ways may leave no time to make all of them small.
pub fn collect<'a, S: System>(
    runs: impl IntoIterator<Item = (&'a Plan<S::Op>, &'a Verdict)>,
    folders: Folders<'_>,
    mut shrinker: Option<&mut Shrinker<S>>,
) -> Result<Vec<Failed>, Failure> {
    let parts = |plan: &Plan<S::Op>| {
        let Size { operations, faults, .. } = Size::of(plan);
        operations + faults
    };
    let mut places: BTreeMap<Fingerprint, usize> = BTreeMap::new();
    let mut kinds: Vec<(&Plan<S::Op>, &Verdict, &Violation)> = Vec::new();
    for (plan, verdict) in runs {
        for violation in &verdict.violations {
            let found = (plan, verdict, violation);
            match places.entry(violation.fingerprint()) {
                Entry::Vacant(entry) => {
                    entry.insert(kinds.len());
                    kinds.push(found);
                }
                Entry::Occupied(entry) => {
                    let smallest = &mut kinds[*entry.get()];
                    if parts(plan) < parts(smallest.0) {
                        *smallest = found;
                    }
                }
            }
        }
    }
    kinds.sort_by_key(|(plan, ..)| parts(plan));
    // What is here already, in full, is not to be replaced by what shrinking something else came across.
    let mut known: BTreeSet<Fingerprint> = places.into_keys().collect();
    let kept =
        |(plan, verdict, violation)| keep::<S>(plan, verdict, violation, folders, &mut known, shrinker.as_deref_mut());
    kinds.into_iter().map(kept).collect()
}

/// Writes the capsule of a failure, and those of failures of unknown kinds that smaller plans have.
pub fn keep<S: System>(
    plan: &Plan<S::Op>,
    verdict: &Verdict,
    violation: &Violation,
    Folders { capsules: folder, reports }: Folders<'_>,
    known: &mut BTreeSet<Fingerprint>,
    shrinker: Option<&mut Shrinker<S>>,
) -> Result<Failed, Failure> {
    let fingerprint = violation.fingerprint();
    let started = interpose::real_monotonic();
    let to_be_shrunk = shrinker.is_some();
    let small = match shrinker {
        Some(shrinker) => shrinker.shrink(plan, fingerprint, &violation.property)?,
        None => None,
    };
    let wall = interpose::real_monotonic() - started;
    let in_full = to_be_shrunk && small.is_none();
    let smallest = small.as_ref().map_or(plan, |shrunk| &shrunk.plan);
    // Once more and at length: the decisions belong into the capsule.
    let told = once::<S>(smallest, AT_LENGTH, Setup::new())?;
    let again = told.violations.iter().find(|again| again.fingerprint() == fingerprint).unwrap_or(violation);
    let mut capsule = Capsule::new::<S>(smallest.clone(), Some(Expected::of(violation)), told.digest.clone());
    capsule.decisions = told.story.iter().flat_map(|story| decisions(&story.trace)).collect();
    let shrunk = match small {
        None => None,
        Some(Shrunk { runs, minimal, others, passing, plan: small }) => {
            capsule.passing = passing;
            let mut beside = Vec::new();
            for other in others {
                if !known.insert(other.violation.fingerprint()) {
                    continue;
                }
                let expected = Expected::of(&other.violation);
                // Its digest is not known; a replay says so by not comparing any.
                let capsule = Capsule::new::<S>(other.plan, Some(expected), String::new());
                beside.push((other.violation, capsule.save(folder).map_err(Failure::harness)?));
            }
            Some(Shrinking { from: Size::of(plan), to: Size::of(&small), runs, wall, minimal, others: beside })
        }
    };
    let path = capsule.save(folder).map_err(Failure::harness)?;
    let report = match reports {
        // A run that was killed has nothing to show.
        Some(reports) if told.story.is_some() => Some(page::of_capsule::<S>(&capsule, &path, &told, reports)?),
        _ => None,
    };
    Ok(Failed {
        scenario: verdict.scenario.clone(),
        seed: verdict.seed,
        violation: again.clone(),
        capsule: path,
        shrunk,
        in_full,
        report,
    })
}
