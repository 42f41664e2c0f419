//! What somebody has to look at.
//!
//! Alerts are judged when they are asked for, from the counts alone. The same conditions stand
//! in `docs/prometheus-rules.yml`, for those who collect the counts.

use graph::Millis;
use serde::{Deserialize, Serialize};

use super::State;
use super::window::WINDOW;

/// When alerts fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// How many of 1,000 transactions may fail; one more and it is said.
    pub failures_per_mille_max: u64,
    /// How many transactions there have to be before their rate of failure means anything.
    pub attempts_min: u64,
    /// For how long a transaction may be in doubt, and a recovery take.
    pub in_doubt_max: Millis,
}

impl Default for Config {
    fn default() -> Config {
        Config { failures_per_mille_max: 10, attempts_min: 100, in_doubt_max: Millis(30_000) }
    }
}

/// The kinds of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Of the transactions of the last five minutes too many failed. Those whose operations did
    /// not fit, and retries that were answered from the log, count as neither failed nor not.
    FailureRate,
    /// A check found something and has not passed since, or the stores were seen to differ in
    /// the last five minutes.
    CheckFailed,
    /// In the last five minutes somebody wanted an id or an idempotency key that was taken.
    IdConflict,
    /// A transaction has been in doubt for too long, or was when it got its outcome in the last
    /// five minutes. Those that a process finds when it starts are in doubt from then on.
    RecoverySlow,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [AlertKind; 4] =
        [AlertKind::FailureRate, AlertKind::CheckFailed, AlertKind::IdConflict, AlertKind::RecoverySlow];

    /// As a label has it.
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::FailureRate => "failure_rate",
            AlertKind::CheckFailed => "check_failed",
            AlertKind::IdConflict => "id_conflict",
            AlertKind::RecoverySlow => "recovery_slow",
        }
    }
}

/// An alert, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Which.
    pub alert: AlertKind,
    /// Whether somebody has to look.
    pub firing: bool,
    /// The figures that it was judged by.
    pub detail: String,
}

pub(super) fn evaluate(config: Config, now: Millis, state: &State) -> Vec<Alert> {
    let evaluate = |alert| {
        let (firing, detail) = match alert {
            AlertKind::FailureRate => failure_rate(config, now, state),
            AlertKind::CheckFailed => check_failed(now, state),
            AlertKind::IdConflict => id_conflict(now, state),
            AlertKind::RecoverySlow => recovery_slow(config, now, state),
        };
        Alert { alert, firing, detail }
    };
    AlertKind::ALL.into_iter().map(evaluate).collect()
}

fn failure_rate(config: Config, now: Millis, state: &State) -> (bool, String) {
    let recent = state.commit.window.sum(now);
    // In whole numbers: exactly the limit is not over it.
    let over = recent.failures * 1_000 > recent.attempts * config.failures_per_mille_max;
    let detail = format!(
        "{} of {} transactions failed in the last {}; the limit is {} in 1000, from {} transactions on",
        recent.failures,
        recent.attempts,
        span(WINDOW),
        config.failures_per_mille_max,
        config.attempts_min
    );
    (over && recent.attempts >= config.attempts_min, detail)
}

fn check_failed(now: Millis, state: &State) -> (bool, String) {
    let failed = state.checks.iter().find(|(_, check)| check.last.findings > 0);
    if let Some((name, check)) = failed {
        return (true, format!("check {name} found {}: {}", check.last.findings, check.last.detail));
    }
    match &state.last_difference {
        Some((at, detail)) if now - *at < WINDOW => (true, format!("the stores differ: {detail}")),
        _ => (false, format!("{} checks are in force, and none of them failed", state.checks.len())),
    }
}

fn id_conflict(now: Millis, state: &State) -> (bool, String) {
    let conflicts = state.commit.window.sum(now).conflicts;
    (conflicts > 0, format!("{conflicts} ids or idempotency keys were taken in the last {}", span(WINDOW)))
}

fn recovery_slow(config: Config, now: Millis, state: &State) -> (bool, String) {
    let (count, oldest) = state.commit.doubt(now);
    let settled = state.commit.window.sum(now).in_doubt_max;
    let limit = config.in_doubt_max;
    let detail = format!(
        "{count} transactions are in doubt, the oldest for {}; of those settled in the last {} the slowest was for {}; \
         the limit is {}",
        span(oldest),
        span(WINDOW),
        span(settled),
        span(limit)
    );
    (oldest.max(settled) > limit, detail)
}

fn span(span: Millis) -> String {
    format!("{}.{:03} s", span.0 / 1_000, span.0 % 1_000)
}
