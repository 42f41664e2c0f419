//! `sweep`: a crash at every point.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::failures::{Concluded, Kinds, ended};
use super::progress;
use super::sources::{Source, find};
use super::{Ended, Failure, PASSED, SweepArgs, VIOLATED};
use crate::campaign::{Campaign, Detail, Setup};
use crate::plan::{Plan, PlannedFault, Topology};
use crate::sut::System;
use crate::sweep::{
    Coverage, DEPTH_MAX, Journal, Line, Matrix, Outcome, Sample, Span, outcome, program_digest, spans, with_crashes,
};
use crate::verdict::Verdict;

/// How many plans are handed to the workers at a time: enough to keep them busy, few enough to keep in memory.
const BATCH: usize = 1_024;

/// How many uncovered points are told one by one.
const TOLD_MAX: usize = 20;

pub fn sweep<S: System>(arguments: SweepArgs) -> Ended {
    let SweepArgs { scenarios, depth, sample, seed, restart_after_ms, jobs, state, failures: folder, isolation } =
        arguments;
    let subjects = subjects::<S>(&scenarios, seed)?;
    let state = state.unwrap_or_else(|| PathBuf::from(format!("target/squall/sweep-{}.jsonl", S::NAME)));
    let program = program_digest().map_err(|error| Failure::harness(format!("cannot read this program: {error}")))?;
    let journal = Journal::open(&state, &program).map_err(Failure::usage)?;
    let setup = isolation.setup(jobs);
    let campaign = Campaign::<S>::start(setup).map_err(Failure::harness)?;
    println!("{} scenarios; {}", subjects.len(), campaign.choice().sentence);

    let started = interpose::real_monotonic();
    let mut sweep = Sweep::<S> {
        subjects,
        setup,
        campaign,
        journal,
        restart_after_ms,
        sample,
        matrix: Matrix::default(),
        resumed: 0,
        runs: 0,
        missing: Vec::new(),
        failed: Kinds::new(&folder),
        broken: Vec::new(),
    };
    let mut cases: Vec<Case> = (0..sweep.subjects.len()).map(|subject| Case { subject, crashes: Vec::new() }).collect();
    for crashes in 0..=usize::from(depth) {
        cases = sweep.level(cases, crashes < usize::from(depth))?;
    }
    let seconds = (interpose::real_monotonic() - started).as_secs_f64().max(0.001);

    print!("{}", sweep.matrix);
    println!("\n{} runs in {seconds:.1} s: {:.1} a second", sweep.runs, sweep.runs as f64 / seconds);
    if sweep.resumed > 0 {
        println!("{} more were finished earlier: {}", sweep.resumed, sweep.journal.path().display());
    }
    sweep.conclude(&folder)
}

/// A scenario that is swept.
struct Subject<Op> {
    /// Its operations, without its faults.
    plan: Plan<Op>,
    /// The hosts of the system: whose points are swept.
    hosts: BTreeSet<String>,
}

fn subjects<S: System>(arguments: &[PathBuf], seed: u64) -> Result<Vec<Subject<S::Op>>, Failure> {
    let mut sources: Vec<Source<S>> = find(arguments)?;
    if arguments.is_empty() {
        sources.retain(Source::is_swept);
        if sources.is_empty() {
            return Err(Failure::usage("no scenario says `sweep = true`; name one"));
        }
    }
    let subject = |source: &Source<S>| {
        let plan = with_crashes(&source.plan(seed)?, &[]);
        let system = S::new(&plan.system).map_err(Failure::usage)?;
        let hosts = Topology::of(&system).hosts.into_iter().map(|host| host.name.to_owned()).collect();
        Ok(Subject { plan, hosts })
    };
    sources.iter().map(subject).collect()
}

/// One run: a subject, and its crashes in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    subject: usize,
    crashes: Vec<PlannedFault>,
}

struct Sweep<S: System> {
    subjects: Vec<Subject<S::Op>>,
    setup: Setup,
    campaign: Campaign<S>,
    journal: Journal,
    restart_after_ms: u64,
    /// The part of the points to try; all without it.
    sample: Option<Sample>,
    matrix: Matrix,
    /// How many runs were finished by an earlier sweep.
    resumed: u64,
    /// How many this one has run.
    runs: u64,
    /// What was run and is not covered, and why.
    missing: Vec<(Case, &'static str)>,
    /// The runs that broke a promise.
    failed: Kinds<S::Op, Case>,
    /// The runs without a verdict, and why.
    broken: Vec<String>,
}

impl<S: System> Sweep<S> {
    /// Runs cases that have the same number of crashes. Returns those with one crash more, if they are wanted.
    fn level(&mut self, cases: Vec<Case>, deeper: bool) -> Result<Vec<Case>, Failure> {
        let (mut left, mut next) = (Vec::new(), Vec::new());
        for case in cases {
            // Runs without a crash are few, and what they fail of may concern the scenario as a whole.
            let known = if case.crashes.is_empty() { None } else { self.journal.recovery(&self.plan(&case)) };
            match known.map(<[Span]>::to_vec) {
                Some(recovery) => {
                    self.resumed += 1;
                    self.count(&case, Outcome::Passed);
                    if deeper {
                        next.extend(self.follow(&case, &recovery));
                    }
                }
                None => left.push(case),
            }
        }
        let progress = progress::bar(left.len() as u64);
        for batch in left.chunks(BATCH) {
            let plans: Vec<Plan<S::Op>> = batch.iter().map(|case| self.plan(case)).collect();
            let mut verdicts = Vec::new();
            let mut unwritten = None;
            let Sweep { campaign, journal, subjects, failed, .. } = self;
            let ran = campaign.run(&plans, Detail::default(), |index, result| {
                progress.inc(1);
                let case = &batch[index];
                let recovery = match &result {
                    Ok(verdict) => spans(verdict, &subjects[case.subject].hosts),
                    Err(_) => Vec::new(),
                };
                let passed = result.as_ref().is_ok_and(|verdict| outcome(&case.crashes, verdict) == Outcome::Passed);
                // Written as it comes: an interrupted sweep has lost what is under way and nothing else.
                if passed && !case.crashes.is_empty() {
                    let kept = if case.crashes.len() < DEPTH_MAX { recovery.clone() } else { Vec::new() };
                    unwritten = journal.finish(&plans[index], kept).map_err(Failure::harness).err();
                } else if let Ok(verdict) = &result {
                    unwritten = failed.add::<S>(case, &plans[index], verdict).err();
                }
                verdicts.push((index, result, recovery));
                if unwritten.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            ran.map_err(Failure::harness)?;
            if let Some(failure) = unwritten {
                return Err(failure);
            }
            for (index, result, recovery) in verdicts {
                let case = &batch[index];
                match result {
                    Ok(verdict) => {
                        if self.judge(case, &verdict) && deeper {
                            next.extend(self.follow(case, &recovery));
                        }
                    }
                    Err(error) => self.broken.push(format!("{}: {error}", self.told(case))),
                }
            }
        }
        progress.finish_and_clear();
        // Runs end in any order; what follows from them is the same each time.
        next.sort();
        Ok(next)
    }

    fn plan(&self, case: &Case) -> Plan<S::Op> {
        with_crashes(&self.subjects[case.subject].plan, &case.crashes)
    }

    fn line(&self, case: &Case) -> Option<Line> {
        Line::of(&self.subjects[case.subject].plan.scenario, &case.crashes)
    }

    fn count(&mut self, case: &Case, outcome: Outcome) {
        if let Some(line) = self.line(case) {
            self.matrix.ended(line, outcome);
        }
    }

    /// Counts a run that ended. Returns whether it passed.
    fn judge(&mut self, case: &Case, verdict: &Verdict) -> bool {
        self.runs += 1;
        let outcome = outcome(&case.crashes, verdict);
        self.count(case, outcome);
        let why = match outcome {
            Outcome::Violated => "a promise was broken",
            Outcome::DidNotStrike => "the crash did not take effect",
            // A run that did nothing has no points worth a crash.
            Outcome::Passed if case.crashes.is_empty() && verdict.operations.ok == 0 => "no operation succeeded",
            Outcome::Passed => return true,
        };
        self.missing.push((case.clone(), why));
        false
    }

    /// Plans the runs with one crash more: at each point of what a run passed after its last one, or at those of them
    /// that belong to the sample.
    fn follow(&mut self, case: &Case, recovery: &[Span]) -> Vec<Case> {
        // What follows a crash belongs to the slice of that crash.
        let sample = self.sample.filter(|_| case.crashes.is_empty());
        let mut next = Vec::new();
        let points = recovery.iter().flat_map(|span| span.crashes(self.restart_after_ms)).collect::<Vec<_>>();
        for (index, at_point) in points.into_iter().enumerate() {
            let cases = at_point.map(|crash| {
                let crashes = case.crashes.iter().cloned().chain([crash]).collect();
                Case { subject: case.subject, crashes }
            });
            let Some(line) = self.line(&cases[0]) else { continue };
            if sample.is_some_and(|sample| !sample.holds(index as u64)) {
                self.matrix.leave_out(line, 1);
            } else {
                self.matrix.plan(line, 1, cases.len() as u64);
                next.extend(cases);
            }
        }
        next
    }

    fn told(&self, case: &Case) -> String {
        let crashes = case.crashes.iter().map(|crash| format!("{} {}", crash.fault.name(), crash.at));
        let crashes: Vec<String> = crashes.collect();
        let scenario = &self.subjects[case.subject].plan.scenario;
        format!(
            "{scenario}, {}",
            if crashes.is_empty() { "without a fault".to_owned() } else { crashes.join(", then ") }
        )
    }

    /// Tells what is not covered and why, or that everything is.
    fn conclude(mut self, folder: &std::path::Path) -> Ended {
        self.missing.sort();
        for (case, why) in self.missing.iter().take(TOLD_MAX) {
            println!("{} {}: {why}", console::style("missing").red().bold(), self.told(case));
        }
        if self.missing.len() > TOLD_MAX {
            println!("… and {} more", self.missing.len() - TOLD_MAX);
        }
        let Concluded { failures, flaws } = self.failed.conclude::<S>(Some(folder), None, self.setup);
        failures.iter().for_each(|failed| print!("{failed}"));
        if let Some(failed) = failures.first() {
            println!("\n{}", failed.command());
        }
        if let Some(flaws) = flaws.into_iter().reduce(|all, one| format!("{all}\n{one}")) {
            return Err(Failure::harness(flaws));
        }
        if let Some(first) = self.broken.first() {
            return Err(Failure::harness(format!("{first} ({} runs in all had no verdict)", self.broken.len())));
        }
        if !failures.is_empty() {
            return ended(&failures);
        }
        let passed = console::style("passed").green().bold();
        match self.matrix.coverage() {
            Coverage::All { points } if self.missing.is_empty() => {
                println!("{passed}: all {points} points covered");
                Ok(PASSED)
            }
            Coverage::Sample { tried, points } if self.missing.is_empty() => {
                let sample = self.sample.map(|sample| sample.to_string()).unwrap_or_default();
                println!("{passed}: sample {sample}, {tried} points tried of {points}; the others were left out");
                Ok(PASSED)
            }
            _ => {
                if self.missing.is_empty() {
                    let what = match self.matrix.unfinished() {
                        0 => "a point to crash at",
                        _ => "a run that ended at every planned point",
                    };
                    println!("{} {what}", console::style("missing").red().bold());
                }
                Ok(VIOLATED)
            }
        }
    }
}
