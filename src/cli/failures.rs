//! Failures: each kind once, with its capsule and the command that replays it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::capsule::{Capsule, Expected};
use crate::check::{Fingerprint, Violation};
use crate::plan::Plan;
use crate::sut::System;
use crate::verdict::Verdict;

/// The first failure of its kind.
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
}

impl Failed {
    /// The command that replays it.
    pub fn command(&self) -> String {
        format!("squall replay {}", self.capsule.display())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} with seed {}:\n{}", self.scenario, self.seed, self.violation)
    }
}

/// The first failure of each fingerprint, with a capsule written for it.
pub fn collect<'a, S: System>(
    runs: impl IntoIterator<Item = (&'a Plan<S::Op>, &'a Verdict)>,
    folder: &Path,
) -> Result<Vec<Failed>, Failure> {
    let mut seen: BTreeSet<Fingerprint> = BTreeSet::new();
    let mut failures = Vec::new();
    for (plan, verdict) in runs {
        for violation in &verdict.violations {
            let fingerprint = violation.fingerprint();
            if !seen.insert(fingerprint) {
                continue;
            }
            let expected = Expected { property: violation.property.clone(), fingerprint };
            let capsule = Capsule::new::<S>(plan.clone(), Some(expected), verdict.digest.clone());
            failures.push(Failed {
                scenario: verdict.scenario.clone(),
                seed: verdict.seed,
                violation: violation.clone(),
                capsule: capsule.save(folder).map_err(Failure::harness)?,
            });
        }
    }
    Ok(failures)
}
