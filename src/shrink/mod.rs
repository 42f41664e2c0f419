//! Makes a failing plan small: what is left is what the failure needs.
//!
//! This is delta debugging over the plan, coarse before fine: whole clients, then faults, then operations are taken away
//! in ever smaller chunks; then what is left is made simpler, a part at a time (`simplify`). A candidate is taken only if
//! its run breaks the same property in the same way, by the fingerprint. Rounds follow one another until one of them
//! changes nothing: then no client, fault or operation can be taken away, and nothing can be made simpler, without the
//! failure going with it. What candidates fail of otherwise is counted and kept, never taken.
//!
//! Candidates are tried in a fixed order, a few at a time, and the first that fails is taken: the result does not depend
//! on how fast the workers are, only on whether there was time to end. They are made as they are tried: of a plan of ten
//! thousand operations there are as many candidates, each as large as the plan.

mod parts;
mod pin;
mod simplify;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::pin::pinned;

use self::parts::{Part, without};
use self::simplify::{Candidates, simpler_parts, simpler_whole};
use crate::check::{Fingerprint, Violation};
use crate::plan::Plan;
use crate::sut::System;

/// What a candidate's run came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// A verdict with these violations; without any, it passed.
    Judged(Vec<Violation>),
    /// No verdict: the plan cannot be run, or the run's process ended.
    Nowhere,
}

/// A failure of another kind that a candidate had.
#[derive(Clone, Debug, PartialEq)]
pub struct Other<Op> {
    /// What it broke.
    pub violation: Violation,
    /// The plan that did.
    pub plan: Plan<Op>,
}

/// What shrinking came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk<Op> {
    /// The smallest plan that fails in the same way.
    pub plan: Plan<Op>,
    /// How many candidates were run.
    pub runs: u64,
    /// Whether nothing more can be taken away; if not, the time was over.
    pub minimal: bool,
    /// Failures of other kinds that candidates had, each kind once.
    pub others: Vec<Other<Op>>,
    /// A plan that differs from the smallest in one reduction and passes: the nearest to it that was met.
    pub passing: Option<Plan<Op>>,
}

/// How large a plan is: what a person has to read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many clients.
    pub clients: usize,
    /// How many operations they have together.
    pub operations: usize,
    /// How many faults.
    pub faults: usize,
}

impl Size {
    /// Of a plan.
    pub fn of<Op>(plan: &Plan<Op>) -> Size {
        Size { clients: plan.clients.len(), operations: Part::Operation.count(plan), faults: plan.faults.len() }
    }
}

/// `2 faults and 3 operations of 1 client`
impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Size { clients, operations, faults } = self;
        let s = |count: &usize| if *count == 1 { "" } else { "s" };
        write!(
            f,
            "{faults} fault{} and {operations} operation{} of {clients} client{}",
            s(faults),
            s(operations),
            s(clients)
        )
    }
}

/// Runs candidates, and knows when the time is over.
pub trait Runner<Op> {
    /// Why candidates cannot be run at all.
    type Error;

    /// How many candidates are run at once.
    fn width(&self) -> usize;

    /// Runs all of them; what each came to, in their order.
    ///
    /// # Errors
    ///
    /// When the harness fails, not the run.
    fn run(&mut self, candidates: &[Plan<Op>]) -> Result<Vec<Came>, Self::Error>;

    /// How long it has been going on, in real time.
    fn elapsed(&self) -> Duration;

    /// Hears of a smaller plan.
    fn shrunk_to(&mut self, size: Size, runs: u64);
}

/// Makes a plan small whose run fails with this fingerprint. After `limit` of real time it stops with what it has.
///
/// # Errors
///
/// Those of the runner.
pub fn shrink<S: System, R: Runner<S::Op>>(
    plan: &Plan<S::Op>,
    fingerprint: Fingerprint,
    limit: Duration,
    runner: &mut R,
) -> Result<Shrunk<S::Op>, R::Error> {
    let mut search = Search::new(plan, limit, fingerprint, runner);
    let minimal = search.run_rounds::<S>()?;
    let Search { plan, runs, others, passing, .. } = search;
    Ok(Shrunk { plan, runs, minimal, others, passing: passing.map(|(_, plan)| plan) })
}

struct Search<'a, Op, R> {
    runner: &'a mut R,
    limit: Duration,
    fingerprint: Fingerprint,
    /// The smallest plan so far.
    plan: Plan<Op>,
    /// Whether this round has changed it.
    changed: bool,
    /// The candidates that did not fail in the same way, and whether they passed.
    known: BTreeMap<[u8; 32], bool>,
    runs: u64,
    others: Vec<Other<Op>>,
    /// How telling it is, and a candidate of the smallest plan that passes.
    passing: Option<(u8, Plan<Op>)>,
}

impl<'a, Op: Clone + Serialize, R: Runner<Op>> Search<'a, Op, R> {
    fn new(plan: &Plan<Op>, limit: Duration, fingerprint: Fingerprint, runner: &'a mut R) -> Search<'a, Op, R> {
        Search {
            runner,
            limit,
            fingerprint,
            plan: plan.clone(),
            changed: false,
            known: BTreeMap::new(),
            runs: 0,
            others: Vec::new(),
            passing: None,
        }
    }

    /// Returns whether it got there before the time was over.
    fn run_rounds<S: System<Op = Op>>(&mut self) -> Result<bool, R::Error> {
        loop {
            self.changed = false;
            for part in Part::COARSE_TO_FINE {
                self.remove(part)?;
            }
            self.simplify(simpler_whole, 0)?;
            self.simplify(simpler_parts::<S>, 2)?;
            if self.is_over() {
                return Ok(false);
            }
            if !self.changed {
                return Ok(true);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.runner.elapsed() >= self.limit
    }

    /// Takes parts of one kind away: all at once, then halves, and so on to single ones.
    fn remove(&mut self, part: Part) -> Result<(), R::Error> {
        let mut size = part.count(&self.plan);
        while size > 0 && !self.is_over() {
            let mut from = 0;
            while from < part.count(&self.plan) {
                let plan = self.plan.clone();
                let starts = (from..part.count(&plan)).step_by(size);
                let candidates = starts.map(|start| {
                    let plan = &plan;
                    move || without(plan, part, start..start + size)
                });
                match self.first_that_fails(candidates, part.is_telling())? {
                    // What stood behind it stands there now.
                    Some(taken) => from += taken * size,
                    None => break,
                }
            }
            size /= 2;
        }
        Ok(())
    }

    /// Tries what `simpler` makes of the plan; `telling` is how much one that passes tells of the failure.
    fn simplify(&mut self, simpler: fn(&Plan<Op>) -> Candidates<'_, Op>, telling: u8) -> Result<(), R::Error> {
        let mut from = 0;
        loop {
            let plan = self.plan.clone();
            match self.first_that_fails(simpler(&plan).skip(from), telling)? {
                Some(taken) => from += taken,
                None => return Ok(()),
            }
        }
    }

    /// Makes and runs candidates in their order until one of them fails in the same way, and takes it. Returns its index;
    /// `None` as well when the time is over.
    fn first_that_fails<C: FnOnce() -> Plan<Op>>(
        &mut self,
        candidates: impl Iterator<Item = C>,
        telling: u8,
    ) -> Result<Option<usize>, R::Error> {
        let width = self.runner.width().max(1);
        let mut candidates = candidates.enumerate();
        loop {
            let mut batch = Vec::new();
            while batch.len() < width && !self.is_over() {
                let Some((index, candidate)) = candidates.next() else { break };
                let plan = candidate();
                let digest = digest(&plan);
                match self.known.get(&digest) {
                    // It was next to another plan then, and is next to this one now.
                    Some(true) => self.passes(telling, plan),
                    Some(false) => {}
                    None => batch.push((index, digest, plan)),
                }
            }
            if batch.is_empty() || self.is_over() {
                return Ok(None);
            }
            let plans: Vec<Plan<Op>> = batch.iter().map(|(_, _, plan)| plan.clone()).collect();
            let came = self.runner.run(&plans)?;
            self.runs += plans.len() as u64;
            let mut taken = None;
            for ((index, digest, plan), came) in batch.into_iter().zip(came) {
                let Came::Judged(violations) = came else {
                    self.known.insert(digest, false);
                    continue;
                };
                if violations.iter().any(|violation| violation.fingerprint() == self.fingerprint) {
                    taken = taken.or(Some((index, plan)));
                    continue;
                }
                self.known.insert(digest, violations.is_empty());
                if violations.is_empty() {
                    self.passes(telling, plan);
                } else {
                    self.note(violations, &plan);
                }
            }
            if let Some((index, plan)) = taken {
                self.plan = plan;
                self.changed = true;
                // It was next to a plan that is no more.
                self.passing = None;
                self.runner.shrunk_to(Size::of(&self.plan), self.runs);
                return Ok(Some(index));
            }
        }
    }

    fn passes(&mut self, telling: u8, plan: Plan<Op>) {
        if self.passing.as_ref().is_none_or(|(best, _)| telling > *best) {
            self.passing = Some((telling, plan));
        }
    }

    fn note(&mut self, violations: Vec<Violation>, plan: &Plan<Op>) {
        for violation in violations {
            if self.others.iter().all(|other| other.violation.fingerprint() != violation.fingerprint()) {
                self.others.push(Other { violation, plan: plan.clone() });
            }
        }
    }
}

fn digest<Op: Serialize>(plan: &Plan<Op>) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(plan).expect("a plan is always valid JSON")).into()
}
