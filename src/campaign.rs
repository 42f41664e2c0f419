//! Running plans in worker processes.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::time::Duration;

use interpose::process::fault_name;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::check::Violation;
use crate::plan::{Network, PLAN_FORMAT, Plan};
use crate::sut::System;
use crate::verdict::{Verdict, judge};
use crate::worker::{Aslr, Choice, Config, Error, Isolation, Outcome, Pool, Program};
use crate::world::{self, Log};

/// The name under which a run is reported that stopped the simulated clock.
pub const WATCHDOG: &str = "watchdog";

/// The name under which a run is reported whose process died of its own fault.
pub const NO_ABORT: &str = "no-abort";

/// How much of a run is told.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Detail {
    /// Whether the verdict tells the story.
    pub story: bool,
    /// Whether messages and disk operations belong to it.
    pub messages: bool,
    /// Whether the verdict has the chain: what to compare when two runs differ.
    pub chain: bool,
    /// From which level on log lines are printed to the standard error as they come.
    pub log: Option<LogLevel>,
}

/// A level of `tracing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What an operator must see.
    Error,
    /// What may need attention.
    Warn,
    /// What happens.
    Info,
    /// What was decided.
    Debug,
    /// Everything, core inputs and effects among it.
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> tracing::Level {
        match level {
            LogLevel::Error => tracing::Level::ERROR,
            LogLevel::Warn => tracing::Level::WARN,
            LogLevel::Info => tracing::Level::INFO,
            LogLevel::Debug => tracing::Level::DEBUG,
            LogLevel::Trace => tracing::Level::TRACE,
        }
    }
}

/// One run, as it is handed to a worker.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "Op: Serialize", deserialize = "Op: DeserializeOwned"))]
struct Job<Op> {
    plan: Plan<Op>,
    detail: Detail,
}

/// What a worker runs for the system `S`; `main` hands it to
/// [`serve_if_asked`](crate::worker::serve_if_asked) before anything else.
pub fn program<S: System>() -> Program {
    Program { warm_up: warm_up::<S>, run: run_job::<S> }
}

/// Runs an empty plan, so that what happens once in a process has happened.
fn warm_up<S: System>() {
    let plan = Plan::<S::Op> {
        format: PLAN_FORMAT,
        scenario: "warm-up".to_owned(),
        seed: 0,
        network: Network::default(),
        limit_ms: 1_000,
        settle_ms: 1_000,
        supervisor_restart_ms: 100,
        system: serde_json::Value::Null,
        clients: Vec::new(),
        faults: Vec::new(),
        checks: Vec::new(),
        marks: Vec::new(),
        reseed: None,
    };
    // Whether the system settles does not matter here; a panic is recorded, not raised.
    let _ = world::run::<S>(&plan, world::Options::default());
}

fn run_job<S: System>(job: &[u8]) -> Vec<u8> {
    let verdict = serde_json::from_slice::<Job<S::Op>>(job)
        .map_err(|error| format!("the plan does not fit this program: {error}"))
        .and_then(|Job { plan, detail }| run_here::<S>(&plan, detail));
    serde_json::to_vec(&verdict).expect("a verdict is always valid JSON")
}

/// Runs and judges a plan in this process.
fn run_here<S: System>(plan: &Plan<S::Op>, detail: Detail) -> Result<Verdict, String> {
    let system = S::new(&plan.system)?;
    let log = detail.log.map_or(Log::Off, |level| Log::Print(level.into()));
    let options = world::Options { detail: detail.messages, chain: detail.chain, log, bare: false };
    let record = world::run::<S>(plan, options).map_err(|error| format!("failed to {error}"))?;
    Ok(judge(&system, &record, detail.story))
}

/// How runs are isolated from one another.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How many run at once.
    pub jobs: NonZero<usize>,
    /// What separates them.
    pub isolation: Isolation,
    /// Whether the workers' addresses are random.
    pub aslr: Aslr,
    /// How long one run may compute, in processor time; one that stands still has so long in real time.
    pub watchdog: Duration,
}

impl Setup {
    /// The default, with as many workers as there are processors.
    pub fn new() -> Setup {
        let jobs = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        Setup { jobs, isolation: Isolation::Fork, aslr: Aslr::Off, watchdog: Duration::from_secs(60) }
    }
}

impl Default for Setup {
    fn default() -> Setup {
        Setup::new()
    }
}

/// Why a run has no verdict: the harness failed, not the system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The plan cannot be run.
    #[error("{0}")]
    Plan(String),
    /// The run's process ended without a result.
    #[error("the run's process {0}")]
    Process(String),
}

/// Worker processes for runs of the system `S`.
pub struct Campaign<S> {
    pool: Pool,
    system: std::marker::PhantomData<S>,
}

impl<S: System> Campaign<S> {
    /// Starts the workers.
    pub fn start(setup: Setup) -> Result<Campaign<S>, Error> {
        let config =
            Config { workers: setup.jobs, isolation: setup.isolation, aslr: setup.aslr, watchdog: setup.watchdog };
        Ok(Campaign { pool: Pool::start(program::<S>(), config)?, system: std::marker::PhantomData })
    }

    /// How the runs are isolated, and why.
    pub fn choice(&self) -> &Choice {
        self.pool.choice()
    }

    /// Runs the plans and hands over each verdict with the plan's position, as they come.
    pub fn run(
        &mut self,
        plans: &[Plan<S::Op>],
        detail: Detail,
        mut on_verdict: impl FnMut(usize, Result<Verdict, Broken>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let jobs = plans.iter().map(|plan| {
            let job = Job { plan: plan.clone(), detail };
            serde_json::to_vec(&job).expect("a plan is always valid JSON")
        });
        self.pool.run(jobs, |index, outcome| on_verdict(index, verdict(&plans[index], outcome)))
    }
}

fn verdict<Op>(plan: &Plan<Op>, outcome: Outcome) -> Result<Verdict, Broken> {
    match outcome {
        Outcome::Finished(bytes) => serde_json::from_slice::<Result<Verdict, String>>(&bytes)
            .map_err(|error| Broken::Process(format!("sent what is no verdict: {error}")))?
            .map_err(Broken::Plan),
        // Only software that never awaits, or blocks its thread, can stop the simulated clock: that is its fault.
        Outcome::TimedOut { watchdog } => Ok(stuck(plan, watchdog)),
        Outcome::Panicked { message, location } => {
            let place = location.unwrap_or_else(|| "an unknown place".to_owned());
            Err(Broken::Process(format!("panicked at {place}: {message}")))
        }
        // What the machine does to a process says nothing about the software; this does.
        Outcome::Died { signal } => match fault_name(signal) {
            Some(name) => Ok(died(plan, signal, name)),
            None => Err(Broken::Process(format!("died of signal {signal}"))),
        },
        Outcome::Exited { code } => Err(Broken::Process(format!("exited with code {code} before it had a result"))),
        Outcome::WorkerLost { reason } => Err(Broken::Process(format!("was lost: {reason}"))),
    }
}

fn stuck<Op>(plan: &Plan<Op>, watchdog: Duration) -> Verdict {
    let violation = Violation::new(WATCHDOG, "simulated time stands still")
        .expected(format!("the run ends before it has computed for {} s", watchdog.as_secs()))
        .actual("it was killed: some task never awaits, or waits for what is not simulated");
    cut_short(plan, violation)
}

fn died<Op>(plan: &Plan<Op>, signal: i32, name: &str) -> Verdict {
    let violation = Violation::new(NO_ABORT, format!("the process dies of {name}"))
        .expected("the run's process lives until the run ends")
        .actual(format!(
            "it died of signal {signal} ({name}): an abort, a panic within a panic, a stack that overflowed, or an invalid \
             access; its last words are on the standard error"
        ));
    cut_short(plan, violation)
}

/// The verdict on a run that left nothing behind.
fn cut_short<Op>(plan: &Plan<Op>, violation: Violation) -> Verdict {
    Verdict { scenario: plan.scenario.clone(), seed: plan.seed, violations: vec![violation], ..Verdict::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fake;

    fn came(outcome: Outcome) -> Result<Vec<String>, Broken> {
        let verdict = verdict(&fake::plan(), outcome)?;
        Ok(verdict.violations.into_iter().map(|violation| violation.property).collect())
    }

    #[test]
    fn what_a_process_does_to_itself_is_the_software_s_fault_and_what_others_do_to_it_is_not() {
        for signal in [4, 5, 6, 8, 11] {
            assert_eq!(came(Outcome::Died { signal }), Ok(vec![NO_ABORT.to_owned()]), "signal {signal}");
        }
        for signal in [2, 9, 15] {
            assert!(matches!(came(Outcome::Died { signal }), Err(Broken::Process(_))), "signal {signal}");
        }
        let watchdog = Duration::from_secs(1);
        assert_eq!(came(Outcome::TimedOut { watchdog }), Ok(vec![WATCHDOG.to_owned()]));
        assert!(matches!(came(Outcome::Exited { code: 0 }), Err(Broken::Process(_))));
    }

    #[test]
    fn deaths_of_different_signals_are_different_failures() {
        let fingerprint =
            |signal| verdict(&fake::plan(), Outcome::Died { signal }).unwrap().violations[0].fingerprint();
        assert_eq!(fingerprint(6), fingerprint(6));
        assert_ne!(fingerprint(6), fingerprint(11));
    }
}
