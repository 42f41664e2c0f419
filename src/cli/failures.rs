//! Telling failures: each kind once, with its capsule and the command that replays it.

use std::collections::BTreeSet;
use std::path::Path;

use super::Failure;
use crate::capsule::{Capsule, Expected};
use crate::check::Fingerprint;
use crate::plan::Plan;
use crate::sut::System;
use crate::verdict::Verdict;

/// Tells the first failure of each fingerprint, writes its capsule, and returns the commands that replay them.
pub fn tell<'a, S: System>(
    runs: impl IntoIterator<Item = (&'a Plan<S::Op>, &'a Verdict)>,
    folder: &Path,
) -> Result<Vec<String>, Failure> {
    let mut seen: BTreeSet<Fingerprint> = BTreeSet::new();
    let mut commands = Vec::new();
    for (plan, verdict) in runs {
        for violation in &verdict.violations {
            if !seen.insert(violation.fingerprint()) {
                continue;
            }
            println!("\n{} with seed {}:\n{violation}", console::style(&verdict.scenario).bold(), verdict.seed);
            let expected = Expected { property: violation.property.clone(), fingerprint: violation.fingerprint() };
            let capsule = Capsule::new::<S>(plan.clone(), Some(expected), verdict.digest.clone());
            let path = capsule.save(folder).map_err(Failure::harness)?;
            commands.push(format!("squall replay {}", path.display()));
        }
    }
    Ok(commands)
}
