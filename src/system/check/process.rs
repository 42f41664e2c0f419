//! The part of a trace that the coordinator's last process has made.

use crate::record::{TraceEvent, What};
use crate::system::COORDINATOR;

/// What the cores of the coordinator's last process were told, decided and asked for, oldest first.
///
/// What it has counted starts with it, and is told when somebody asks.
pub(super) struct LastProcess<'a> {
    /// Until it was asked for its counters.
    pub events: Vec<&'a TraceEvent>,
    /// From then on.
    pub afterwards: Vec<&'a TraceEvent>,
    /// When it was asked, in simulated milliseconds.
    pub asked_ms: u64,
}

impl LastProcess<'_> {
    /// The last process in a trace.
    pub(super) fn of(trace: &[TraceEvent]) -> LastProcess<'_> {
        let mut events: Vec<&TraceEvent> = trace.iter().filter(|event| event.host == COORDINATOR).collect();
        let started = events.iter().rposition(|event| event.what == What::Fault && event.text == "restarted");
        events.drain(..started.unwrap_or(0));
        let is_question = |event: &&TraceEvent| event.what == What::Input && event.text.starts_with("commit Inspect");
        let asked = events.iter().rposition(is_question).unwrap_or(events.len());
        let afterwards = events.split_off(asked);
        let asked_ms = afterwards.first().or(events.last()).map_or(0, |event| event.at_ms);
        LastProcess { events, afterwards, asked_ms }
    }
}
