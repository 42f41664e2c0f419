//! What whoever runs a projector sees of it: counts, alerts, and how fresh an answer is.
//!
//! | module | what it is |
//! |---|---|
//! | [`metrics`] | counts what the lanes decided; a pure fold over their inputs, effects and marks |
//! | [`alerts`] | judges the counts |
//! | [`exposition`] | writes them in Prometheus' text format |
//!
//! Nothing here is counted where it happens: [`Metrics`] is told, through [`env::Watch`], what the lanes were told and
//! what they answered.

pub mod alerts;
mod exposition;
pub mod metrics;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use env::{Step, Watch};
use graph::Millis;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use alerts::{Alert, AlertKind};
pub use metrics::{Contact, Metrics, Side};

use crate::lanes::{Input, Lanes, LanesEffect, LeftOut, Mark, Status};
use crate::log::{LogId, Unread};

/// What the numbers of one process are kept in, for all who add to them or ask.
#[derive(Debug)]
pub struct Operations {
    config: alerts::Config,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lanes: Metrics,
    /// How many stubs there were when somebody looked last, and when that was.
    stubs: Option<(u64, Millis)>,
    /// Requests that were refused because too many were open.
    overloaded: u64,
    /// The alerts that were firing when their changes were last asked for.
    told: BTreeSet<AlertKind>,
}

/// How far behind the log the graph is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Global positions that were read and whose events are neither in the graph nor parked. What the log has beyond
    /// them nobody here knows; how long ago there was nothing is [`read_to_end`](Self::read_to_end).
    pub positions: u64,
    /// Everything that the log had so long ago is in the graph, or is parked, or behind what is. Null while the log was
    /// not read to its end since the start.
    #[serde(rename = "seconds", with = "optional_seconds")]
    pub shown: Option<Millis>,
    /// How long ago the log was last read to its end.
    #[serde(rename = "read_to_end_seconds", with = "optional_seconds")]
    pub read_to_end: Option<Millis>,
}

/// How a projector is, and whether somebody has to look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The program's version.
    pub version: String,
    /// How the lanes are.
    #[serde(flatten)]
    pub status: Status,
    /// How far behind the log the graph is.
    pub lag: Lag,
    /// The log, as it was last reached.
    pub log: Contact,
    /// Which log the graph is of; null before it was read for the first time.
    pub log_id: Option<LogId>,
    /// How often since the start the log was found to be another one, so that all is rebuilt.
    pub turned: u64,
    /// Events that cannot be read and of which nobody knows whose they are; a hundred at most.
    pub unread_events: Vec<Unread>,
    /// Resources that a rebuild or a comparison of all left as they were, and that are tried again; a hundred at most.
    pub left_out_resources: Vec<LeftOut>,
    /// The graph, as it was last reached.
    pub graph: Contact,
    /// How many stubs there were when they were last counted; null before that.
    pub stubs: Option<u64>,
    /// How often something was not written because somebody else had moved the mark: another projector writes to the
    /// same graph, or did when this one started.
    pub fenced: u64,
    /// Every alert, whether it is firing or not.
    pub alerts: Vec<Alert>,
}

impl Operations {
    /// Of a process that starts now.
    pub fn new(config: alerts::Config) -> Operations {
        Operations { config, started: Instant::now(), state: Mutex::default() }
    }

    /// How far behind the log the graph is.
    pub fn lag(&self) -> Lag {
        let now = self.now();
        self.state().lanes.lag(now)
    }

    /// Whether everything is shown that the log had when it was last read to its end; nothing if it never was.
    pub fn is_complete(&self) -> Option<bool> {
        self.state().lanes.is_complete()
    }

    /// The log that was read last, by this process or by the one that it goes on for: what the next process goes on for.
    pub fn own_log(&self) -> Option<LogId> {
        self.state().lanes.own_log().cloned()
    }

    /// Says how many stubs there are.
    pub(crate) fn counted_stubs(&self, stubs: u64) {
        let now = self.now();
        self.state().stubs = Some((stubs, now));
    }

    /// Says that one of the stores was asked past the lanes, and what became of it.
    pub(crate) fn contacted(&self, side: Side, result: Result<(), String>) {
        let now = self.now();
        self.state().lanes.contacted(now, side, result);
    }

    /// Says that a request was refused because too many were open.
    pub(crate) fn refused_for_overload(&self) {
        self.state().overloaded += 1;
    }

    /// How it is, with what the lanes say of themselves.
    pub fn health(&self, status: Status) -> Health {
        let now = self.now();
        let state = self.state();
        Health {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            status,
            lag: state.lanes.lag(now),
            log: state.lanes.contact(now, Side::Log),
            log_id: state.lanes.log().cloned(),
            turned: state.lanes.marked("turned"),
            unread_events: state.lanes.unread().iter().take(LISTED_MAX).map(unread).collect(),
            left_out_resources: state.lanes.left_out().to_vec(),
            graph: state.lanes.contact(now, Side::Graph),
            stubs: state.stubs.map(|(stubs, _)| stubs),
            fenced: state.lanes.marked("fenced"),
            alerts: alerts::evaluate(self.config, now, &state),
        }
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

    /// All of it in Prometheus' text format.
    pub fn exposition(&self, status: Status) -> String {
        let now = self.now();
        exposition::render(self.config, now, &self.state(), status)
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of something are listed in the status at most.
const LISTED_MAX: usize = 100;

fn unread((position, why): (&u64, &String)) -> Unread {
    Unread { position: *position, place: None, why: why.clone() }
}

/// The lanes' clock starts a moment later than ours; what matters is that there is one clock.
impl Watch<Lanes> for Operations {
    fn input(&self, _: Millis, input: &Input) {
        let now = self.now();
        self.state().lanes.input(now, input);
    }

    fn step(&self, _: Millis, core: &Lanes, step: &Step<LanesEffect, Mark>) {
        let now = self.now();
        self.state().lanes.step(now, core, step);
    }
}

/// A span of time on the wire, or null.
pub(crate) mod optional_seconds {
    use graph::Millis;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Span(#[serde(with = "web::seconds")] Millis);

    pub fn serialize<S: Serializer>(span: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(Span).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Millis>, D::Error> {
        Ok(Option::<Span>::deserialize(deserializer)?.map(|Span(span)| span))
    }
}
