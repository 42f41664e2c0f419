//! What happened in a run, in one order: lanes, events, operations, and the times in which something was wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::history::{ClientId, EventKind, History, OpId};
use crate::plan::{Place, Plan};
use crate::record::{TraceEvent, What};
use crate::verdict::{Story, Words};
use crate::world::SETTLER;

/// How much of one event's text the page gets: a store's content may travel in an event, again and again.
const TEXT_CHARS_MAX: usize = 1_000;

/// How many of the things that one commit changed the page gets, and how much of each.
const LINES_MAX: usize = 12;
const LINE_CHARS_MAX: usize = 200;

/// How many events a page is given at most, as far as leaving out disk operations, and then messages, can do it.
const EVENTS_MAX: usize = 150_000;

/// What happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timeline {
    /// Who did it, from left to right.
    pub lanes: Vec<Lane>,
    /// The events, a column each: a row would spell every name again. All columns have the same length.
    pub events: Columns,
    /// The texts that the events name by their place.
    pub texts: Vec<String>,
    /// What the clients asked for.
    pub operations: Vec<Operation>,
    /// When something was wrong or down.
    pub spans: Vec<Span>,
    /// How many disk operations and messages were left out, because the run is too long for a page.
    pub left_out: usize,
}

/// One value an event in each column.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Columns {
    /// Simulated time in milliseconds; never falls.
    pub at_ms: Vec<u64>,
    /// Place in [`Timeline::lanes`].
    pub lane: Vec<usize>,
    /// What kind of thing.
    pub kind: Vec<Moment>,
    /// Place in [`Timeline::texts`].
    pub text: Vec<usize>,
    /// The message's number, shared by both of its ends, from 1; 0 for what is none.
    pub message: Vec<u64>,
}

/// What kind of thing an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "u8")]
#[repr(u8)]
pub enum Moment {
    /// A core was given an input.
    Input,
    /// A core asked for an effect.
    Effect,
    /// A core made a decision that mattered.
    Mark,
    /// A fault was applied or healed, or a host started, died or ended.
    Fault,
    /// A message was sent.
    Sent,
    /// A message arrived.
    Delivered,
    /// A message was lost, at either end of its way.
    Lost,
    /// A disk operation.
    Disk,
    /// A line that the software logged.
    Log,
    /// A commit changed a store.
    Change,
    /// A client invoked an operation.
    Invoke,
    /// It took effect.
    Ok,
    /// It did not and never will.
    Fail,
    /// The client does not know.
    Info,
}

impl From<Moment> for u8 {
    fn from(moment: Moment) -> u8 {
        moment as u8
    }
}

/// Who does things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// The host's name.
    pub name: String,
    /// What it is.
    pub kind: LaneKind,
}

/// What a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneKind {
    /// A client of the plan.
    Client,
    /// A host of the system.
    Host,
    /// The client that waits for the system to come to rest.
    Settler,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Its number in the history.
    pub id: u64,
    /// The client's lane.
    pub lane: usize,
    /// The event of its invocation.
    pub invoked: usize,
    /// The event of its end, if it came to one.
    pub ended: Option<usize>,
}

/// A time in which something was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// What.
    pub kind: SpanKind,
    /// In words.
    pub text: String,
    /// The lanes that it concerns: one, or both ends of a link.
    pub lanes: Vec<usize>,
    /// The event it begins with.
    pub from: usize,
    /// The event it ends with; `None` with the run.
    pub to: Option<usize>,
    /// Of a planned fault: whether it did something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired: Option<bool>,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// A planned fault was active.
    Fault,
    /// A host was down, by a planned crash or by itself.
    Down,
}

impl Timeline {
    /// Puts together what a run told.
    pub fn new<Op>(plan: &Plan<Op>, fired: &[bool], story: &Story) -> Timeline {
        let clients: Vec<&str> = plan.clients.iter().map(|client| client.name.as_str()).collect();
        let lanes = lanes(&clients, &story.trace);
        let mut builder = Builder {
            places: lanes.iter().enumerate().map(|(place, lane)| (lane.name.clone(), place)).collect(),
            texts: BTreeMap::new(),
            timeline: Timeline { lanes, ..Timeline::default() },
            open: BTreeMap::new(),
            clients,
        };
        builder.merge(&story.trace, &story.history);
        builder.spans(plan, fired);
        builder.timeline
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.at_ms.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last mark of a core or change of a store, or the last event where there is neither.
    pub fn last_decision(&self) -> usize {
        let decides = |kind: &Moment| matches!(kind, Moment::Mark | Moment::Change);
        let marked = self.events.kind.iter().rposition(decides);
        marked.unwrap_or(self.len().saturating_sub(1))
    }

    /// The last thing that a core was told, asked for or decided, or that changed in a store, up to a time.
    pub fn last_step(&self, at_ms: u64) -> Option<usize> {
        let end = self.events.at_ms.partition_point(|at| *at <= at_ms);
        let is_step = |kind: &Moment| matches!(kind, Moment::Input | Moment::Effect | Moment::Mark | Moment::Change);
        self.events.kind[..end].iter().rposition(is_step)
    }

    /// The event with which an operation ended, or began if it never did.
    pub fn event_of(&self, operation: OpId) -> Option<usize> {
        let operation = self.operations.iter().find(|known| known.id == operation.0)?;
        Some(operation.ended.unwrap_or(operation.invoked))
    }
}

/// Clients first, then hosts: those that have the most to do with clients next to them.
fn lanes(clients: &[&str], trace: &[TraceEvent]) -> Vec<Lane> {
    let is_client = |name: &str| clients.contains(&name) || name == SETTLER;
    let mut talk: BTreeMap<&str, usize> = BTreeMap::new();
    for event in trace.iter().filter(|event| !clients.contains(&event.host.as_str())) {
        let with_client = event.what == What::Network && peer(&event.text).is_some_and(is_client);
        *talk.entry(&event.host).or_default() += usize::from(with_client);
    }
    let mut lanes: Vec<(LaneKind, std::cmp::Reverse<usize>, &str)> = talk
        .into_iter()
        .map(|(name, talk)| {
            let kind = if name == SETTLER { LaneKind::Settler } else { LaneKind::Host };
            (kind, std::cmp::Reverse(talk), name)
        })
        .collect();
    lanes.sort();
    let clients = clients.iter().map(|name| (LaneKind::Client, *name));
    let others = lanes.into_iter().map(|(kind, _, name)| (kind, name));
    clients.chain(others).map(|(kind, name)| Lane { name: name.to_owned(), kind }).collect()
}

/// The other end, as the world writes it down.
fn peer(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(" to ").or_else(|| text.split_once(" from "))?;
    rest.split_once(':').map(|(peer, _)| peer)
}

struct Builder<'a> {
    timeline: Timeline,
    places: BTreeMap<String, usize>,
    texts: BTreeMap<String, usize>,
    /// Operations without an end, by id: their places.
    open: BTreeMap<OpId, usize>,
    clients: Vec<&'a str>,
}

impl Builder<'_> {
    /// Both have times and an order of their own. A client's invocation comes before what it sends of it, and its end
    /// after what told of it: so what a client saw at some time waits for everything of that time, but for what that
    /// client sends.
    fn merge(&mut self, trace: &[TraceEvent], history: &History<Words, Words>) {
        let events = history.events();
        let mut next = 0;
        // What only checks want to know stands beside it as a change, for readers.
        let mut trace: Vec<&TraceEvent> = trace.iter().filter(|event| event.what != What::Seen).collect();
        let all = trace.len();
        for minor in [What::Disk, What::Network] {
            if trace.len() > EVENTS_MAX {
                trace.retain(|event| event.what != minor);
            }
        }
        self.timeline.left_out = all - trace.len();
        // A message is written down when it is collected, a step after it was sent.
        trace.sort_by_key(|event| event.at_ms);
        for event in trace {
            let sends = event.what == What::Network && event.text.starts_with("sent ");
            let until = |at_ms: u64| next + events[next..].partition_point(|seen| seen.at.0 < at_ms);
            let earlier = until(event.at_ms);
            let mut due = earlier;
            if sends {
                let now = &events[earlier..until(event.at_ms + 1)];
                let last = now.iter().rposition(|seen| self.client(seen.client) == Some(&event.host));
                due += last.map_or(0, |last| last + 1);
            }
            for event in &events[next..due] {
                self.seen(event);
            }
            next = due;
            let moment = match event.what {
                What::Input => Moment::Input,
                What::Effect => Moment::Effect,
                What::Mark => Moment::Mark,
                What::Fault => Moment::Fault,
                What::Disk => Moment::Disk,
                What::Log => Moment::Log,
                What::Change => Moment::Change,
                What::Seen => unreachable!("it was left out"),
                What::Network if sends => Moment::Sent,
                What::Network if event.text.starts_with("delivered ") => Moment::Delivered,
                What::Network => Moment::Lost,
            };
            if let Some(lane) = self.places.get(&event.host).copied() {
                self.push(event.at_ms, lane, moment, &event.text, event.message);
            }
        }
        for event in &events[next..] {
            self.seen(event);
        }
    }

    fn client(&self, client: ClientId) -> Option<&str> {
        self.clients.get(usize::try_from(client.0).ok()?).copied()
    }

    /// Something that a client did or learnt.
    fn seen(&mut self, event: &crate::history::Event<Words, Words>) {
        // By their places in the plan; the history has no others.
        let Some(lane) = self.client(event.client).and_then(|name| self.places.get(name).copied()) else { return };
        let place = self.timeline.len();
        let (moment, text) = match &event.kind {
            EventKind::Invoke(Words(op)) => (Moment::Invoke, op),
            EventKind::Ok(Words(ret)) => (Moment::Ok, ret),
            EventKind::Fail(reason) => (Moment::Fail, reason),
            EventKind::Info(reason) => (Moment::Info, reason),
        };
        if moment == Moment::Invoke {
            self.open.insert(event.op, self.timeline.operations.len());
            self.timeline.operations.push(Operation { id: event.op.0, lane, invoked: place, ended: None });
        } else if let Some(operation) = self.open.remove(&event.op) {
            self.timeline.operations[operation].ended = Some(place);
        }
        self.push(event.at.0, lane, moment, text, None);
    }

    fn push(&mut self, at_ms: u64, lane: usize, kind: Moment, text: &str, message: Option<u64>) {
        let text = if kind == Moment::Change { shortened_lines(text) } else { shortened(text, TEXT_CHARS_MAX) };
        let texts = &mut self.timeline.texts;
        let text = *self.texts.entry(text).or_insert_with_key(|text| {
            texts.push(text.clone());
            texts.len() - 1
        });
        let events = &mut self.timeline.events;
        events.at_ms.push(at_ms);
        events.lane.push(lane);
        events.kind.push(kind);
        events.text.push(text);
        events.message.push(message.unwrap_or_default());
    }

    /// What the world writes down about hosts as a whole tells when they were down and faults active.
    fn spans<Op>(&mut self, plan: &Plan<Op>, fired: &[bool]) {
        let names: Vec<String> = plan.faults.iter().map(|planned| planned.fault.to_string()).collect();
        let mut applied: BTreeSet<usize> = BTreeSet::new();
        let mut spans: Vec<Span> = Vec::new();
        // Spans without an end, and what their end is called.
        let mut open: Vec<(usize, String)> = Vec::new();
        let Timeline { events, texts, .. } = &self.timeline;
        for event in (0..events.kind.len()).filter(|event| events.kind[*event] == Moment::Fault) {
            let (lane, text) = (events.lane[event], texts[events.text[event]].as_str());
            let restart = || format!("restarted {lane}");
            let begun = if let Some(name) = text.strip_prefix("applied: ") {
                // Two faults of a plan may be the same, at different times.
                let Some(place) = (0..names.len()).find(|place| names[*place] == name && !applied.contains(place))
                else {
                    continue;
                };
                applied.insert(place);
                let fault = &plan.faults[place].fault;
                let lanes = match fault.place() {
                    Place::Host(name) | Place::Client(name) => vec![name],
                    Place::Link { from, to, .. } => vec![from, to],
                };
                let lanes = lanes.into_iter().filter_map(|name| self.places.get(name).copied()).collect();
                let end = if fault.is_crash() { restart() } else { format!("healed: {name}") };
                let kind = if fault.is_crash() { SpanKind::Down } else { SpanKind::Fault };
                Some((kind, name, lanes, fired.get(place).copied(), end))
            } else if text.starts_with("ended by itself") || text.starts_with("refused to work") {
                Some((SpanKind::Down, text, vec![lane], None, restart()))
            } else {
                let end = if text == "restarted" { restart() } else { text.to_owned() };
                for (span, _) in open.extract_if(.., |(_, name)| *name == end) {
                    spans[span].to = Some(event);
                }
                None
            };
            if let Some((kind, text, lanes, fired, end)) = begun {
                open.push((spans.len(), end));
                spans.push(Span { kind, text: text.to_owned(), lanes, from: event, to: None, fired });
            }
        }
        self.timeline.spans = spans;
    }
}

/// A text in part, with how much is missing, if it is long.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} … ({} bytes more)", &text[..end], text.len() - end),
        None => text.to_owned(),
    }
}

/// So many lines, and of each so much: one that is long hides no other.
fn shortened_lines(text: &str) -> String {
    let lines = text.lines().take(LINES_MAX).map(|line| shortened(line, LINE_CHARS_MAX));
    let more = text.lines().count().saturating_sub(LINES_MAX);
    let more = (more > 0).then(|| format!("and {more} more"));
    lines.chain(more).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
