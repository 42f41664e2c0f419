//! Counting what the lanes decided, and knowing how far behind the log they are.

use std::collections::{BTreeMap, VecDeque};

use env::Step;
use graph::Millis;
use serde::{Deserialize, Serialize};

use super::{Lag, optional_seconds};
use crate::lanes::{
    Action, EffectId, Failure, Input, LEFT_OUT_MAX, Lanes, LanesEffect, LeftOut, Listing, Mark, Report,
};
use crate::log::{Fed, LogId};

/// How many ends of the log that the graph does not show yet are remembered. Beyond them the last is forgotten, and
/// what is shown counts as older than it is.
const ENDS_MAX: usize = 64;

/// Something outside of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The event store.
    Log,
    /// The graph.
    Graph,
}

/// How something outside of the process was last reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// How long ago it last did what it was asked to; null if it never did.
    #[serde(rename = "answered_seconds_ago", with = "optional_seconds")]
    pub answered: Option<Millis>,
    /// What went wrong since then, the last time.
    pub trouble: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Reached {
    answered: Option<Millis>,
    trouble: Option<String>,
}

/// What the lanes have done.
#[derive(Clone, Debug)]
pub struct Metrics {
    marks: BTreeMap<&'static str, u64>,
    /// Effects by name and by what became of them.
    effects: BTreeMap<(&'static str, &'static str), u64>,
    /// Events that came into the graph.
    events: u64,
    /// Transactions that have events, each with their number, while they are under way.
    applying: BTreeMap<usize, u64>,
    log: Reached,
    graph: Reached,
    /// When the log was asked for what is next.
    feeding: Option<Millis>,
    /// Ends of the log that the graph does not show yet, oldest first: the position, and when it was the last.
    ends: VecDeque<(u64, Millis)>,
    /// When the log was asked the last time that it was read to its end.
    read_to_end: Option<Millis>,
    /// All that the log had then is in the graph.
    shown: Option<Millis>,
    read: u64,
    low_water: u64,
    parked: u64,
    /// The log that the graph is of, and whether the graph is still being brought to it from another one.
    of: Option<LogId>,
    turning: bool,
    /// The log that was read last.
    own: Option<LogId>,
    unread: BTreeMap<u64, String>,
    left_out: Vec<LeftOut>,
}

const OUTCOMES: [&str; 4] = ["done", "moved", "refused", "unknown"];

impl Default for Metrics {
    fn default() -> Metrics {
        let effects = EffectId::NAMES.into_iter().flat_map(|name| OUTCOMES.map(|outcome| ((name, outcome), 0)));
        Metrics {
            marks: Mark::NAMES.iter().map(|name| (*name, 0)).collect(),
            effects: effects.collect(),
            events: 0,
            applying: BTreeMap::new(),
            log: Reached::default(),
            graph: Reached::default(),
            feeding: None,
            ends: VecDeque::new(),
            read_to_end: None,
            shown: None,
            read: 0,
            low_water: 0,
            parked: 0,
            of: None,
            own: None,
            turning: false,
            unread: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }
}

impl Metrics {
    /// The lanes are told this.
    pub fn input(&mut self, now: Millis, input: &Input) {
        match input {
            Input::Done { effect, report } => {
                self.count(effect, "done");
                self.contacted(now, side(effect), Ok(()));
                match (effect, report) {
                    (EffectId::Apply(slot), _) => self.events += self.applying.remove(slot).unwrap_or(0),
                    (_, Report::Fed(fed)) => self.fed(fed),
                    _ => {}
                }
            }
            Input::Failed { effect, failure } => {
                let (outcome, reached) = match failure {
                    // It did what it was asked to: it looked, and did not write.
                    Failure::Moved | Failure::Turned => ("moved", Ok(())),
                    Failure::Refused { reason, .. } => ("refused", Err(reason.clone())),
                    Failure::Unknown { reason } => ("unknown", Err(reason.clone())),
                };
                let reached = match failure {
                    // A log that says what is damaged of it is there.
                    Failure::Refused { retryable: false, .. } if side(effect) == Side::Log => Ok(()),
                    _ => reached,
                };
                self.count(effect, outcome);
                self.contacted(now, side(effect), reached);
                if let EffectId::Apply(slot) = effect {
                    self.applying.remove(slot);
                }
            }
            _ => {}
        }
    }

    /// The lanes answered this, and are like that now.
    pub fn step(&mut self, now: Millis, lanes: &Lanes, step: &Step<LanesEffect, Mark>) {
        for mark in &step.marks {
            *self.marks.entry(mark.name()).or_default() += 1;
        }
        for effect in &step.effects {
            match effect {
                LanesEffect::Do { id: EffectId::Apply(slot), action: Action::Apply { writes, .. } } => {
                    let events = |from: u64, to: u64| to.saturating_sub(from);
                    let events = writes.iter().map(|write| events(write.from.sequence, write.to.sequence)).sum();
                    self.applying.insert(*slot, events);
                }
                LanesEffect::Do { action: Action::Feed { .. }, .. } => self.feeding = Some(now),
                _ => {}
            }
        }
        if step.marks.iter().any(|mark| matches!(mark, Mark::Turned(_))) {
            // What was known is of the log before.
            (self.read_to_end, self.shown) = (None, None);
            self.ends.clear();
        }
        if lanes.is_between_logs() {
            // Its end is no position of the log that the graph is of.
            self.ends.clear();
        }
        (self.read, self.low_water, self.parked) = (lanes.read(), lanes.low_water(), lanes.parked().len() as u64);
        self.turning = lanes.is_turning();
        if self.of.as_ref() != lanes.log() {
            self.of = lanes.log().cloned();
        }
        if self.own.as_ref() != lanes.own_log() {
            self.own = lanes.own_log().cloned();
        }
        if self.unread.len() != lanes.unread_events().len() {
            self.unread.clone_from(lanes.unread_events());
        }
        self.left_out = lanes.left_out(LEFT_OUT_MAX);
        while let Some((end, at)) = self.ends.front().copied()
            && end <= self.low_water
        {
            self.shown = Some(at);
            self.ends.pop_front();
        }
    }

    /// One of the sides did what it was asked to, or did not.
    pub fn contacted(&mut self, now: Millis, side: Side, result: Result<(), String>) {
        let reached = match side {
            Side::Log => &mut self.log,
            Side::Graph => &mut self.graph,
        };
        match result {
            Ok(()) => *reached = Reached { answered: Some(now), trouble: None },
            Err(why) => reached.trouble = Some(why),
        }
    }

    /// The log was read. Where it says that this was its end, it was when it was asked, or later. A page may be short for
    /// other reasons.
    fn fed(&mut self, Fed { through, last, .. }: &Fed) {
        let (through, last) = (*through, *last);
        let Some(asked) = self.feeding.take() else { return };
        if through < last {
            return;
        }
        self.read_to_end = Some(asked);
        match self.ends.back_mut() {
            // The same end, known for longer.
            Some((end, at)) if *end == through => *at = asked,
            _ => {
                if self.ends.len() == ENDS_MAX {
                    self.ends.pop_back();
                }
                self.ends.push_back((through, asked));
            }
        }
    }

    fn count(&mut self, effect: &EffectId, outcome: &'static str) {
        *self.effects.entry((effect.name(), outcome)).or_default() += 1;
    }

    /// How far behind the log the graph is.
    pub fn lag(&self, now: Millis) -> Lag {
        let ago = |at: Option<Millis>| at.map(|at| now - at);
        let positions = self.read.saturating_sub(self.low_water);
        Lag { positions, shown: ago(self.shown), read_to_end: ago(self.read_to_end) }
    }

    /// Whether everything is shown that the log had when it was last read to its end.
    pub fn is_complete(&self) -> Option<bool> {
        self.read_to_end.map(|_| self.ends.is_empty())
    }

    /// How a side was last reached.
    pub fn contact(&self, now: Millis, side: Side) -> Contact {
        let reached = match side {
            Side::Log => &self.log,
            Side::Graph => &self.graph,
        };
        Contact { answered: reached.answered.map(|at| now - at), trouble: reached.trouble.clone() }
    }

    /// How often the lanes made the decision of that name, one of [`Mark::NAMES`].
    pub fn marked(&self, name: &str) -> u64 {
        self.marks.get(name).copied().unwrap_or(0)
    }

    /// All decisions, by their names.
    pub fn marks(&self) -> &BTreeMap<&'static str, u64> {
        &self.marks
    }

    /// All effects, by their names and by what became of them.
    pub fn effects(&self) -> &BTreeMap<(&'static str, &'static str), u64> {
        &self.effects
    }

    /// Resources with an event that cannot be applied.
    pub fn parked(&self) -> u64 {
        self.parked
    }

    /// The log that the graph is of, once that is known.
    pub fn log(&self) -> Option<&LogId> {
        self.of.as_ref()
    }

    /// The log that was read last, by this process or by the one that it goes on for.
    pub fn own_log(&self) -> Option<&LogId> {
        self.own.as_ref()
    }

    /// Whether the graph is still being brought to that log from another one.
    pub fn is_turning(&self) -> bool {
        self.turning
    }

    /// Events of the log that cannot be read and of which nobody knows whose they are, by their positions.
    pub fn unread(&self) -> &BTreeMap<u64, String> {
        &self.unread
    }

    /// Resources that a rebuild or a comparison of all left out, the first by name.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Events that came into the graph.
    pub fn events(&self) -> u64 {
        self.events
    }
}

/// Whom an effect asks.
fn side(effect: &EffectId) -> Side {
    match effect {
        EffectId::Fetch(_) | EffectId::Feed | EffectId::List(Listing::Log) => Side::Log,
        EffectId::Open
        | EffectId::Load(_)
        | EffectId::Apply(_)
        | EffectId::Checkpoint
        | EffectId::Turn
        | EffectId::List(Listing::Parked | Listing::Graph)
        | EffectId::Raise
        | EffectId::Close => Side::Graph,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Config;

    /// The log is asked for what is next, and answers: up to where it was read, and where it ends.
    fn fed(metrics: &mut Metrics, lanes: &Lanes, asked: u64, answered: u64, through: u64, last: u64) {
        let feed = Action::Feed { after: 0, limit: 2 };
        let effects = vec![LanesEffect::Do { id: EffectId::Feed, action: feed }];
        metrics.step(Millis(asked), lanes, &Step { effects, marks: Vec::new() });
        let report = Report::Fed(Fed { through, last, ..Fed::default() });
        metrics.input(Millis(answered), &Input::Done { effect: EffectId::Feed, report });
    }

    #[test]
    fn the_end_of_the_log_is_known_since_it_was_asked_for() {
        let (mut metrics, (lanes, _)) = (Metrics::default(), Lanes::start(Config::default()));
        assert_eq!(metrics.lag(Millis(5)), Lag::default());
        assert_eq!(metrics.is_complete(), None);
        // A page is not the last one because it is short: it may be cut in bytes, or end before a damaged event.
        fed(&mut metrics, &lanes, 10, 20, 1, 3);
        assert_eq!((metrics.is_complete(), metrics.lag(Millis(20)).read_to_end), (None, None));
        // There is an end, and the lanes, who have read nothing, do not show it.
        fed(&mut metrics, &lanes, 30, 45, 3, 3);
        assert_eq!(metrics.lag(Millis(50)).read_to_end, Some(Millis(20)));
        assert_eq!((metrics.lag(Millis(50)).shown, metrics.is_complete()), (None, Some(false)));
    }

    #[test]
    fn what_the_lanes_show_is_as_old_as_the_question() {
        let (mut metrics, (lanes, _)) = (Metrics::default(), Lanes::start(Config::default()));
        fed(&mut metrics, &lanes, 10, 20, 0, 0);
        metrics.step(Millis(21), &lanes, &Step::new());
        assert_eq!((metrics.lag(Millis(25)).shown, metrics.is_complete()), (Some(Millis(15)), Some(true)));
    }

    #[test]
    fn a_log_that_says_what_is_damaged_of_it_is_reached() {
        let mut metrics = Metrics::default();
        let mut failed = |retryable| {
            let resource = "r".parse().expect("an id");
            let failure = Failure::Refused { reason: "no".to_owned(), retryable };
            metrics.input(Millis(1), &Input::Failed { effect: EffectId::Fetch(resource), failure });
            metrics.contact(Millis(1), Side::Log).trouble
        };
        assert_eq!(failed(false), None);
        assert_eq!(failed(true).as_deref(), Some("no"));
        assert_eq!(failed(false), None);
    }

    #[test]
    fn trouble_lasts_until_the_next_answer() {
        let mut metrics = Metrics::default();
        metrics.contacted(Millis(1), Side::Log, Ok(()));
        metrics.contacted(Millis(3), Side::Log, Err("gone".to_owned()));
        let contact = metrics.contact(Millis(5), Side::Log);
        assert_eq!(contact, Contact { answered: Some(Millis(4)), trouble: Some("gone".to_owned()) });
        assert_eq!(metrics.contact(Millis(5), Side::Graph), Contact::default());
        metrics.contacted(Millis(6), Side::Log, Ok(()));
        assert_eq!(metrics.contact(Millis(6), Side::Log).trouble, None);
    }
}
