//! Counting what the lanes decided, and knowing how far behind the log they are.

use std::collections::{BTreeMap, VecDeque};

use env::Step;
use graph::Millis;
use serde::{Deserialize, Serialize};

use super::{Lag, optional_seconds};
use crate::lanes::{Action, EffectId, Failure, Input, Lanes, LanesEffect, Listing, Mark, Report};

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
    /// When the log was asked for what is next, and for how much.
    feeding: Option<(Millis, usize)>,
    /// Ends of the log that the graph does not show yet, oldest first: the position, and when it was the last.
    ends: VecDeque<(u64, Millis)>,
    /// When the log was asked the last time that it was read to its end.
    read_to_end: Option<Millis>,
    /// All that the log had then is in the graph.
    shown: Option<Millis>,
    read: u64,
    low_water: u64,
    parked: u64,
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
                    (_, Report::Fed { events, through }) => self.fed(events.len(), *through),
                    _ => {}
                }
            }
            Input::Failed { effect, failure } => {
                let (outcome, reached) = match failure {
                    // It did what it was asked to: it looked, and did not write.
                    Failure::Moved => ("moved", Ok(())),
                    Failure::Refused { reason, .. } => ("refused", Err(reason.clone())),
                    Failure::Unknown { reason } => ("unknown", Err(reason.clone())),
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
                LanesEffect::Do { id: EffectId::Apply(slot), action: Action::Apply { writes } } => {
                    let events = |from: u64, to: u64| to.saturating_sub(from);
                    let events = writes.iter().map(|write| events(write.from.sequence, write.to.sequence)).sum();
                    self.applying.insert(*slot, events);
                }
                LanesEffect::Do { action: Action::Feed { limit, .. }, .. } => self.feeding = Some((now, *limit)),
                _ => {}
            }
        }
        (self.read, self.low_water, self.parked) = (lanes.read(), lanes.low_water(), lanes.parked().len() as u64);
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

    /// The log was read. With less than it was asked for, it had no more when it was asked, or later.
    fn fed(&mut self, events: usize, through: u64) {
        let Some((asked, limit)) = self.feeding.take() else { return };
        if events >= limit {
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
        | EffectId::List(Listing::Parked | Listing::Graph)
        | EffectId::Raise
        | EffectId::Close => Side::Graph,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Config;

    fn fed(metrics: &mut Metrics, lanes: &Lanes, asked: u64, answered: u64, events: usize, through: u64) {
        let feed = Action::Feed { after: 0, limit: 2 };
        let effects = vec![LanesEffect::Do { id: EffectId::Feed, action: feed }];
        metrics.step(Millis(asked), lanes, &Step { effects, marks: Vec::new() });
        let event = |position| {
            let json = format!(
                r#"{{"id":"e","type":"t","timestamp":"","userId":"u","version":1,"metadata":{{"sequenceNumber":{position}}}}}"#
            );
            (position, std::sync::Arc::new(serde_json::from_str(&json).expect("an event")))
        };
        let events = (1..=events as u64).map(event).collect();
        metrics
            .input(Millis(answered), &Input::Done { effect: EffectId::Feed, report: Report::Fed { events, through } });
    }

    #[test]
    fn the_end_of_the_log_is_known_since_it_was_asked_for() {
        let (mut metrics, (lanes, _)) = (Metrics::default(), Lanes::start(Config::default()));
        assert_eq!(metrics.lag(Millis(5)), Lag::default());
        assert_eq!(metrics.is_complete(), None);
        // A full page says nothing about the end.
        fed(&mut metrics, &lanes, 10, 20, 2, 2);
        assert_eq!(metrics.is_complete(), None);
        // There is an end, and the lanes, who have read nothing, do not show it.
        fed(&mut metrics, &lanes, 30, 45, 1, 3);
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
