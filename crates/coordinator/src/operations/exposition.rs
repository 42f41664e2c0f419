//! The page for Prometheus.
//!
//! Every series that can ever exist is written from the start, with a zero: a counter that
//! appears only with its first event has no increase that anybody could see.

use graph::Millis;
use web::exposition::{Kind, Page};

use super::{State, alerts};
use crate::commit::Status;
use crate::events::Feed;

pub(super) fn render(config: alerts::Config, now: Millis, state: &State, status: Status, feed: &Feed) -> String {
    let mut page = Page::new("coordinator");
    page.metric("build_info", Kind::Gauge, "The version that is running; always 1.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.seconds("uptime_seconds", now, "For how long the process has been serving.");
    decided(&mut page, state);
    under_way(&mut page, now, state, status);
    streams(&mut page, state, feed);
    judged(&mut page, config, now, state);
    page.finish()
}

/// What the protocol has done.
fn decided(page: &mut Page, state: &State) {
    let metrics = &state.commit;
    page.counters("decisions_total", "decision", metrics.decisions(), "Decisions of the commit protocol.");
    page.counters(
        "transactions_total",
        "outcome",
        metrics.settled(),
        "Transactions that got their outcome from this process; all but committed are aborts.",
    );
    let mut requests = page.metric(
        "requests_total",
        Kind::Counter,
        "Requests that the protocol answered. A retry of a settled transaction is answered repeated.",
    );
    for ((kind, answer), count) in metrics.answers() {
        requests.sample(&[("request", kind.name()), ("answer", answer)], *count);
    }
    page.metric(
        "transaction_duration_seconds",
        Kind::Histogram,
        "From holding its locks to its outcome, for transactions that this process began.",
    )
    .histogram(&[], metrics.durations());
    let mut times = page.metric(
        "request_duration_seconds",
        Kind::Histogram,
        "From a request to its answer, waiting for locks included.",
    );
    for (kind, histogram) in metrics.response_times() {
        times.histogram(&[("request", kind.name())], histogram);
    }
    page.counters(
        "id_conflicts_total",
        "kind",
        metrics.conflicts(),
        "Ids of entities that were taken, and idempotency keys that belonged to other operations.",
    );
    page.counters(
        "recovered_total",
        "outcome",
        metrics.recovered(),
        "Transactions of earlier processes that this one settled.",
    );
    page.counter("forgotten_total", state.forgotten, "Records that the retention removed.");
    page.counter("retention_postponed_total", state.postponed, "Passes of the retention that failed.");
    page.counter("overloaded_total", state.overloaded, "Requests refused because too many were open.");
}

/// How it is at the moment.
fn under_way(page: &mut Page, now: Millis, state: &State, status: Status) {
    let metrics = &state.commit;
    let (count, oldest) = metrics.doubt(now);
    page.gauge("in_doubt", count, "Transactions whose intent is durable and that have no outcome yet.");
    page.seconds("in_doubt_oldest_age_seconds", oldest, "For how long the oldest of them has been in doubt.");
    page.gauge("recovering", metrics.recovering(), "Those of them that an earlier process began.");
    page.seconds(
        "recovery_seconds",
        metrics.recovery_time(now),
        "How long it took, or has taken so far, to settle what earlier processes had left.",
    );
    page.gauge("open", status.open, "Transactions that hold their locks.");
    page.gauge("waiting", status.waiting, "Transactions, reads and appends that wait for locks.");
    page.gauge("halted", u64::from(status.halted), "1 when the process is about to end, to recover from its log.");
}

/// The event store.
fn streams(page: &mut Page, state: &State, feed: &Feed) {
    page.counter("events_total", feed.last(), "Events in the store: the last position that is durable.");
    page.gauge("feed_readers_waiting", feed.waiting() as u64, "Readers that wait for events.");
    page.counter(
        "damaged_event_reads_total",
        state.damaged_events,
        "How often a read, or an append that was repeated, met an event which is not what was written.",
    );
}

/// What is wrong with it.
fn judged(page: &mut Page, config: alerts::Config, now: Millis, state: &State) {
    let mut checks = page.metric("checks_total", Kind::Counter, "Checks of the stores, by what became of them.");
    for (name, check) in &state.checks {
        checks.sample(&[("check", name), ("result", "passed")], check.passed);
        checks.sample(&[("check", name), ("result", "failed")], check.failed);
    }
    let mut findings =
        page.metric("check_findings", Kind::Gauge, "What each check found the last time; 0 when it passed.");
    for (name, check) in &state.checks {
        findings.sample(&[("check", name)], check.last.findings);
    }
    page.counter(
        "store_differences_total",
        state.differences,
        "Reads and transactions in the course of which the stores were seen to differ.",
    );
    let mut firing = page.metric("alert_firing", Kind::Gauge, "1 when the alert is firing, as GET /alerts explains.");
    for alert in alerts::evaluate(config, now, state) {
        firing.sample(&[("alert", alert.alert.name())], u64::from(alert.firing));
    }
}
