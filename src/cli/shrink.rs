//! Shrinking failures: with workers, and with a line that says how far it is.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::failures::{Folders, Found, Kept, ended, keep};
use super::{Ended, Failure, PASSED, ShrinkArgs};
use crate::campaign::{Campaign, Detail, Setup, WATCHDOG};
use crate::capsule::Capsule;
use crate::check::{Fingerprint, Violation};
use crate::plan::Plan;
use crate::shrink::{Came, Runner, Shrunk, Size, pinned, shrink};
use crate::sut::System;

/// How many failures may take all the time that one is given: a bug that breaks much is no reason to wait for long.
const ALL_OF_THEM: u32 = 4;

/// How long a candidate may compute where the failure is that a run does not end: each that still fails takes all of it.
const WATCHDOG_OF_CANDIDATES: Duration = Duration::from_secs(3);

/// Workers for the candidates of one failure after the other, each with so much time.
pub struct Shrinker<S: System> {
    campaign: Campaign<S>,
    /// Workers of little patience, for failures of the watchdog, once there was one.
    impatient: Option<Campaign<S>>,
    setup: Setup,
    limit: Duration,
    left: Duration,
}

impl<S: System> Shrinker<S> {
    /// Starts the workers. Each failure gets `limit` of real time, and all of them four times as much.
    pub fn start(setup: Setup, limit: Duration) -> Result<Shrinker<S>, Failure> {
        let campaign = Campaign::start(setup).map_err(Failure::harness)?;
        Ok(Shrinker { campaign, impatient: None, setup, limit, left: limit.saturating_mul(ALL_OF_THEM) })
    }

    /// Makes a plan small that fails with this fingerprint; none when the time for all is over.
    pub fn shrink(
        &mut self,
        plan: &Plan<S::Op>,
        fingerprint: Fingerprint,
        property: &str,
    ) -> Result<Option<Shrunk<S::Op>>, Failure> {
        if self.left.is_zero() {
            return Ok(None);
        }
        let limit = self.limit.min(self.left);
        let line = line();
        line.set_message(format!("shrinking {property} [{fingerprint}]: {}", Size::of(plan)));
        let mut candidates = Candidates {
            width: self.setup.jobs,
            campaign: self.campaign_for(property)?,
            line: &line,
            what: format!("shrinking {property} [{fingerprint}]"),
            started: Duration::ZERO,
        };
        // What the failure itself costs is no reason to leave it large.
        let pinned = candidates.pinned(plan, fingerprint);
        let started = interpose::real_monotonic();
        candidates.started = started;
        let shrunk = pinned.and_then(|plan| shrink::<S, _>(&plan, fingerprint, limit, &mut candidates));
        line.finish_and_clear();
        self.left = self.left.saturating_sub(interpose::real_monotonic() - started);
        shrunk.map(Some)
    }

    fn campaign_for(&mut self, property: &str) -> Result<&mut Campaign<S>, Failure> {
        if property != WATCHDOG {
            return Ok(&mut self.campaign);
        }
        let campaign = match self.impatient.take() {
            Some(campaign) => campaign,
            None => {
                let watchdog = self.setup.watchdog.min(WATCHDOG_OF_CANDIDATES);
                Campaign::start(Setup { watchdog, ..self.setup }).map_err(Failure::harness)?
            }
        };
        Ok(self.impatient.insert(campaign))
    }
}

struct Candidates<'a, S: System> {
    campaign: &'a mut Campaign<S>,
    width: NonZero<usize>,
    line: &'a ProgressBar,
    what: String,
    started: Duration,
}

impl<S: System> Candidates<'_, S> {
    /// The plan with its operations at the times at which they were asked for, if that fails in the same way.
    fn pinned(&mut self, plan: &Plan<S::Op>, fingerprint: Fingerprint) -> Result<Plan<S::Op>, Failure> {
        let mut history = None;
        let detail = Detail { story: true, ..Detail::default() };
        let ran = self.campaign.run(std::slice::from_ref(plan), detail, |_, result| {
            history = result.ok().and_then(|verdict| verdict.story).map(|story| story.history);
            ControlFlow::Continue(())
        });
        ran.map_err(Failure::harness)?;
        let Some(history) = history else { return Ok(plan.clone()) };
        let pinned = pinned(plan, &history);
        let came = self.run(std::slice::from_ref(&pinned))?;
        let fails = |came: &Came| {
            let Came::Judged(violations) = came else { return false };
            violations.iter().any(|violation| violation.fingerprint() == fingerprint)
        };
        Ok(if came.iter().any(fails) { pinned } else { plan.clone() })
    }
}

impl<S: System> Runner<S::Op> for Candidates<'_, S> {
    type Error = Failure;

    fn width(&self) -> usize {
        self.width.get()
    }

    fn run(&mut self, candidates: &[Plan<S::Op>]) -> Result<Vec<Came>, Failure> {
        let mut came = vec![Came::Nowhere; candidates.len()];
        let ran = self.campaign.run(candidates, Detail::default(), |index, result| {
            // A plan that cannot be run any more is none that fails.
            if let Ok(verdict) = result {
                came[index] = Came::Judged(verdict.violations);
            }
            ControlFlow::Continue(())
        });
        ran.map_err(Failure::harness)?;
        Ok(came)
    }

    fn elapsed(&self) -> Duration {
        interpose::real_monotonic() - self.started
    }

    fn shrunk_to(&mut self, size: Size, runs: u64) {
        self.line.set_message(format!("{}: {size}, after {runs} runs", self.what));
    }
}

fn line() -> ProgressBar {
    // Draws nothing unless the standard error is a terminal.
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is valid");
    let line = ProgressBar::new_spinner().with_style(style);
    line.enable_steady_tick(Duration::from_millis(200));
    line
}

/// `shrink`: one capsule, made small.
pub fn command<S: System>(arguments: ShrinkArgs) -> Ended {
    let ShrinkArgs { file, output, seconds, jobs, isolation } = arguments;
    let capsule = Capsule::<S::Op>::load::<S>(&file).map_err(Failure::usage)?;
    let Some(expected) = &capsule.expected else {
        return Err(Failure::usage(format!("{} records no violation, so there is nothing to keep", file.display())));
    };
    let setup = isolation.setup(jobs);
    let detail = Detail::default();
    let verdict = super::verify::once::<S>(&capsule.plan, detail, setup)?;
    let again = |violation: &&Violation| violation.fingerprint() == expected.fingerprint;
    let Some(violation) = verdict.violations.iter().find(again) else {
        println!("the recorded violation of {} [{}] does not show", expected.property, expected.fingerprint);
        return Ok(PASSED);
    };
    let folder = output.as_deref().or(file.parent()).unwrap_or(Path::new("."));
    let folders = Folders { capsules: folder, reports: Some(folder) };
    let mut shrinker = Shrinker::start(setup, Duration::from_secs(seconds))?;
    let mut known = verdict.violations.iter().map(Violation::fingerprint).collect();
    let found = Found { plan: capsule.plan, violation: violation.clone(), capsule: file.clone() };
    let Kept { failed, flaws } = keep::<S>(found, folders, &mut known, Some(&mut shrinker), setup);
    print!("{failed}");
    println!("\n{}", failed.command());
    match flaws.into_iter().reduce(|all, one| format!("{all}\n{one}")) {
        Some(flaws) => Err(Failure::harness(flaws)),
        None => ended(&[failed]),
    }
}
