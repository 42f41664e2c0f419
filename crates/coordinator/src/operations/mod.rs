//! What whoever runs a coordinator sees of it: metrics, alerts, how fresh an answer is.
//!
//! | module | what it is |
//! |---|---|
//! | [`metrics`] | counts what the commit core decided; a pure fold over its inputs, effects and marks |
//! | [`alerts`] | judges the counts |
//! | [`exposition`] | writes them in Prometheus' text format |
//!
//! Nothing here is counted where it happens. [`Metrics`] is told, through [`env::Watch`], what the core was told and what
//! it answered, in the same order, so whoever has a record of that comes to the same numbers.

pub mod alerts;
mod exposition;
pub mod metrics;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use env::Step;
use graph::{Millis, TxId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use alerts::{Alert, AlertKind};
pub use metrics::{InDoubt, Metrics, RequestKind};

use crate::commit::{self, Commit, CommitEffect, Status};
use crate::events::Feed;
use crate::retention::{self, Retention, RetentionEffect};

/// What the numbers of one process are kept in, for all who add to them or ask.
pub struct Operations {
    config: alerts::Config,
    started: Instant,
    state: Mutex<State>,
    feed: Feed,
}

/// A check of the stores that has run: what it is called, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// How many differences or defects it found; a check that found none has passed.
    pub findings: u64,
    /// What a person should know about them; empty when it passed.
    pub detail: String,
}

impl CheckResult {
    /// A check that found nothing wrong.
    pub fn passed() -> CheckResult {
        CheckResult { findings: 0, detail: String::new() }
    }

    /// A check that found so many things wrong.
    pub fn failed(findings: u64, detail: impl Into<String>) -> CheckResult {
        CheckResult { findings, detail: detail.into() }
    }
}

/// How often a check passed and failed, and what it found last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// How often it found nothing.
    pub passed: u64,
    /// How often it found something.
    pub failed: u64,
    /// What it found the last time.
    pub last: CheckResult,
}

/// How much of what was acknowledged an answer is sure to show, where it is not linearizable.
///
/// A transaction is in the graph before anybody hears that it committed. So what is read from
/// the graph shows every transaction up to [`indexed_up_to`](Self::indexed_up_to), and may show
/// or lack each one after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The contiguous low-water mark: this transaction and every one before it has its outcome,
    /// and the answer shows it. Serial 0 stands for all that began before that start of the
    /// coordinator.
    pub indexed_up_to: TxId,
    /// For how long the oldest transaction above the mark has been under way; 0 where there is none.
    #[serde(rename = "delay_seconds", with = "web::seconds")]
    pub delay: Millis,
    /// Whether the mark was the last transaction that had begun, so that nothing can be
    /// missing. Null where nobody can say: the graph is known to have lost what it had acknowledged.
    pub complete: Option<bool>,
}

/// Everything that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    commit: Metrics,
    /// Records that the retention removed.
    forgotten: u64,
    /// Passes of the retention that failed.
    postponed: u64,
    /// Requests that were refused because too many were open.
    overloaded: u64,
    /// How often somebody met a damaged event.
    damaged_events: u64,
    checks: BTreeMap<&'static str, Check>,
    /// Where something was seen to differ between the stores, outside of a check.
    differences: u64,
    last_difference: Option<(Millis, String)>,
    low_water: TxId,
    last_begun: TxId,
    /// Since when each transaction above the low-water mark has been under way, oldest first.
    begun: VecDeque<(TxId, Millis)>,
    /// Whether a start found something wrong with the stores, and no pass has found them the same since.
    suspected: bool,
    /// The alerts that were firing when their changes were last asked for.
    told: BTreeSet<AlertKind>,
}

/// How often somebody looks for alerts that begin or end.
const ALERT_PERIOD: Duration = Duration::from_secs(10);

/// Logs each alert that begins or ends, for as long as the process serves.
pub(crate) async fn announce(operations: Weak<Operations>) {
    loop {
        tokio::time::sleep(ALERT_PERIOD).await;
        let Some(operations) = operations.upgrade() else { return };
        for Alert { alert, firing, detail } in operations.changes() {
            let alert = alert.name();
            if firing {
                tracing::error!(alert, "ALERT: {detail}");
            } else {
                tracing::info!(alert, "the alert is over: {detail}");
            }
        }
    }
}

/// The name of the check that every start makes. What it found stands until a pass over both stores has found them the
/// same, whichever process that is.
pub const START_CHECK: &str = "start";

/// The name of the check that every start makes of the records of the log, and that a person makes
/// pass again.
pub const LOG_CHECK: &str = "log";

/// The name of the check for what is left to a person: a start makes it, and whatever opens or closes a case.
pub const CASES_CHECK: &str = "cases";

/// The name of the check that compares both stores.
pub const STORES_CHECK: &str = "stores";

impl Operations {
    /// Of a process that starts with this core.
    pub(crate) fn new(config: alerts::Config, core: &Commit, feed: Feed) -> Operations {
        let last_begun = core.last_begun();
        let state = State {
            commit: Metrics::default(),
            forgotten: 0,
            postponed: 0,
            overloaded: 0,
            damaged_events: 0,
            checks: BTreeMap::new(),
            differences: 0,
            last_difference: None,
            low_water: core.low_water(),
            last_begun,
            begun: core.open().map(|tx| (tx, Millis::ZERO)).collect(),
            suspected: false,
            told: BTreeSet::new(),
        };
        Operations { config, started: Instant::now(), state: Mutex::new(state), feed }
    }

    /// Says what a check of the stores found. It counts as failed until a check of the same
    /// name passes.
    pub fn report_check(&self, name: &'static str, result: CheckResult) {
        if result.findings > 0 {
            tracing::error!(check = name, findings = result.findings, "a check failed: {}", result.detail);
        }
        let mut state = self.state();
        let check = state.checks.entry(name).or_insert(Check { passed: 0, failed: 0, last: CheckResult::passed() });
        if result.findings > 0 {
            check.failed += 1;
        } else {
            check.passed += 1;
        }
        check.last = result;
    }

    /// Says what starts found to be wrong with the stores and no pass has cleared since.
    pub(crate) fn report_start(&self, suspicion: Option<&str>) {
        self.state().suspected = suspicion.is_some();
        let result = suspicion.map_or_else(CheckResult::passed, |detail| CheckResult::failed(1, detail));
        self.report_check(START_CHECK, result);
    }

    /// Whether a start found something wrong with the stores, and no pass has found them the same since.
    pub(crate) fn is_suspected(&self) -> bool {
        self.state().suspected
    }

    /// Says how many cases are open: a process before may have left them.
    pub(crate) fn report_cases(&self, open: u64) {
        let result = match open {
            0 => CheckResult::passed(),
            open => CheckResult::failed(open, format!("{open} cases are left to a person, see `coordinator resolve`")),
        };
        self.report_check(CASES_CHECK, result);
    }

    /// Says that the stores were seen to differ, in the course of other work.
    pub(crate) fn report_difference(&self, detail: &str) {
        let now = self.now();
        let mut state = self.state();
        state.differences += 1;
        state.last_difference = Some((now, detail.to_owned()));
    }

    /// Says that a request was refused because too many were open.
    pub(crate) fn refused_for_overload(&self) {
        self.state().overloaded += 1;
    }

    /// Says that somebody who reads or appends has met a damaged event.
    pub(crate) fn damaged_event_met(&self) {
        self.state().damaged_events += 1;
    }

    /// How fresh an answer is that is read from the graph after this call.
    pub fn freshness(&self) -> Freshness {
        let now = self.now();
        let state = self.state();
        let oldest = state.begun.front().map(|(_, begun)| *begun);
        Freshness {
            indexed_up_to: state.low_water,
            delay: oldest.map_or(Millis::ZERO, |begun| now - begun),
            complete: (!state.suspected).then_some(state.low_water == state.last_begun),
        }
    }

    /// The contiguous low-water mark: this transaction and every one before it is over.
    pub(crate) fn low_water(&self) -> TxId {
        self.state().low_water
    }

    /// The last transaction that began, if none is under way.
    pub(crate) fn quiet(&self) -> Option<TxId> {
        let state = self.state();
        (state.low_water == state.last_begun).then_some(state.last_begun)
    }

    /// Every alert, whether it is firing or not.
    pub fn alerts(&self) -> Vec<Alert> {
        let now = self.now();
        alerts::evaluate(self.config, now, &self.state())
    }

    /// The alerts that began or ended since the last call.
    pub(crate) fn changes(&self) -> Vec<Alert> {
        let now = self.now();
        let mut state = self.state();
        let mut alerts = alerts::evaluate(self.config, now, &state);
        alerts.retain(|alert| alert.firing != state.told.contains(&alert.alert));
        for Alert { alert, firing, .. } in &alerts {
            if *firing {
                state.told.insert(*alert)
            } else {
                state.told.remove(alert)
            };
        }
        alerts
    }

    /// What the commit protocol has decided so far.
    pub fn metrics(&self) -> Metrics {
        self.state().commit.clone()
    }

    /// The transactions whose intent is durable and whose outcome is not, each with its age.
    pub fn in_doubt(&self) -> Vec<InDoubt> {
        let now = self.now();
        self.state().commit.in_doubt(now)
    }

    /// All of it in Prometheus' text format.
    pub fn exposition(&self, status: Status) -> String {
        let now = self.now();
        exposition::render(self.config, now, &self.state(), status, &self.feed)
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Follows the marks of the core: what has begun, and up to where all is over.
    fn follow(&mut self, now: Millis, core: &Commit) {
        self.low_water = core.low_water();
        while self.last_begun < core.last_begun() {
            self.last_begun.serial += 1;
            self.begun.push_back((self.last_begun, now));
        }
        while self.begun.front().is_some_and(|(tx, _)| *tx <= self.low_water) {
            self.begun.pop_front();
        }
    }
}

impl env::Watch<Commit> for Operations {
    fn input(&self, now: Millis, input: &commit::Input) {
        self.state().commit.input(now, input);
    }

    fn step(&self, now: Millis, core: &Commit, step: &Step<CommitEffect, commit::Mark>) {
        let mut state = self.state();
        state.commit.step(now, step);
        state.follow(now, core);
    }
}

impl env::Watch<Retention> for Operations {
    fn input(&self, _: Millis, _: &retention::Input) {}

    fn step(&self, _: Millis, _: &Retention, step: &Step<RetentionEffect, retention::Mark>) {
        let mut state = self.state();
        for mark in &step.marks {
            match mark {
                retention::Mark::Forgot(records) => state.forgotten += u64::from(*records),
                retention::Mark::Postponed => state.postponed += 1,
            }
        }
    }
}
