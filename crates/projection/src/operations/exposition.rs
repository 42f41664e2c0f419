//! The page for Prometheus.
//!
//! Every series that can ever exist is written from the start, with a zero: a counter that
//! appears only with its first event has no increase that anybody could see.

use graph::Millis;
use web::exposition::{Kind, Page};

use super::{Side, State, alerts};
use crate::lanes::Status;

pub(super) fn render(config: alerts::Config, now: Millis, state: &State, status: Status) -> String {
    let mut page = Page::new("projector");
    page.metric("build_info", Kind::Gauge, "The version that is running; always 1.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.seconds("uptime_seconds", now, "For how long the process has been running.");
    done(&mut page, state);
    under_way(&mut page, now, state, status);
    judged(&mut page, config, now, state);
    page.finish()
}

fn done(page: &mut Page, state: &State) {
    let metrics = &state.lanes;
    page.counter("events_applied_total", metrics.events(), "Events that came into the graph.");
    page.counters(
        "decisions_total",
        "decision",
        metrics.marks(),
        "Decisions of the lanes: among them duplicate, gap, parked, fenced and rebuilt.",
    );
    let mut effects = page.metric("effects_total", Kind::Counter, "What the lanes asked for, by what became of it.");
    for ((effect, outcome), count) in metrics.effects() {
        effects.sample(&[("effect", effect), ("outcome", outcome)], count);
    }
    page.counter("overloaded_total", state.overloaded, "Requests refused because too many were open.");
}

fn under_way(page: &mut Page, now: Millis, state: &State, status: Status) {
    let lag = state.lanes.lag(now);
    page.gauge("lag_positions", lag.positions, "Positions that were read and are neither in the graph nor parked.");
    // Before it is known, it is as long as the process runs: a series that is not there alerts nobody.
    let known = |span: Option<Millis>| span.unwrap_or(now);
    page.seconds("lag_seconds", known(lag.shown), "Everything that the log had so long ago is in the graph or parked.");
    page.seconds("log_read_age_seconds", known(lag.read_to_end), "How long ago the log was last read to its end.");
    let mut ages =
        page.metric("contact_age_seconds", Kind::Gauge, "How long ago a side last did what it was asked to.");
    for (name, side) in [("log", Side::Log), ("graph", Side::Graph)] {
        let age = known(state.lanes.contact(now, side).answered);
        ages.sample(&[("side", name)], web::exposition::Seconds(age));
    }
    page.gauge("log_position", status.read, "The global position up to which the log was read.");
    page.gauge("low_water", status.low_water, "The global position up to which all is in the graph or parked.");
    page.gauge("lanes", status.lanes, "Lanes in memory.");
    page.gauge("buffered", status.buffered, "Events in memory.");
    page.gauge("parked", status.parked, "Resources with an event that cannot be applied.");
    page.gauge("waiting", status.waiting, "Reads that wait for an event.");
    page.gauge("generation", status.generation, "The generation of the last rebuild of all.");
    page.gauge(
        "turning",
        u64::from(state.lanes.is_turning()),
        "1 while the graph is rebuilt from another log than it was of.",
    );
    page.gauge("unread", status.unread, "Events that cannot be read and of which nobody knows whose they are.");
    page.gauge("left_out", status.left_out, "Resources that a rebuild or a comparison of all left out.");
    page.gauge("rebuilding", u64::from(status.rebuilding), "1 while that rebuild has not ended.");
    page.gauge(
        "stubs",
        state.stubs.map_or(0, |(stubs, _)| stubs),
        "Resources that are linked to and were never created.",
    );
    page.gauge("halted", u64::from(status.halted), "1 when the process is about to end.");
}

fn judged(page: &mut Page, config: alerts::Config, now: Millis, state: &State) {
    let mut firing = page.metric("alert_firing", Kind::Gauge, "1 when the alert is firing, as GET /status explains.");
    for alert in alerts::evaluate(config, now, state) {
        firing.sample(&[("alert", alert.alert.name())], u64::from(alert.firing));
    }
}
