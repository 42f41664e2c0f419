//! The state machine; see the module above for the protocol.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use env::Step;
use graph::{EntityId, Millis};

use super::campaign::{Campaign, Outstanding};
use super::lane::{Lane, Stage};
use super::messages::{
    Action, Answer, EffectId, Failure, Input, LanesEffect, Listing, Mark, Poison, Projection, Rejection, Report,
    RequestId, Status,
};
use crate::log::LogId;

/// What to do about an event of an unknown type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnUnknown {
    /// Park its resource, as for any other event that cannot be applied.
    #[default]
    Park,
    /// Stop everything: a newer program has to go on.
    Halt,
}

/// What to do about a graph that is of another log than the one that is read, where it was not this projector that read it last.
///
/// Where it was, the log was replaced, and the graph is turned in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnForeign {
    /// Take it over as it is at the start. One that somebody else turns later is refused.
    #[default]
    TakeOver,
    /// Stop everything: somebody who reads that log may still write to it.
    Halt,
}

/// How much the lanes do at once, and how patient they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// What to do about an event of an unknown type.
    pub on_unknown: OnUnknown,
    /// What to do about a graph of another log.
    pub on_foreign: OnForeign,
    /// How many lanes share a transaction at most; at least 1.
    pub batch_lanes_max: usize,
    /// How many events of a lane go into a transaction at most; at least 1.
    pub run_max: usize,
    /// How many loads, applications and fetches are under way at most; at least 1.
    pub effects_max: usize,
    /// How many events of a lane wait in memory at most; at least 1.
    pub buffer_max: usize,
    /// Beyond so many lanes, the log is not read any further, but to see whether it is the same log still.
    pub lanes_max: usize,
    /// Nor beyond so many events that wait in memory, in all lanes together. With what one page of the log has, this bounds what
    /// the feed takes of memory: an event is 1 MiB at most, and a page 4 MiB.
    pub buffered_max: usize,
    /// How many events are read from the log at once; at least 1.
    pub page: usize,
    /// How many resources a rebuild of all works on at a time; at least 1.
    pub campaign_page: usize,
    /// The pause after the first failure in a row; it doubles with each further one.
    pub backoff_ms: Millis,
    /// The longest such pause; and the one between two looks at a log that there is no room to read.
    pub backoff_ms_max: Millis,
    /// When a reader that waits for an event is told that it is not there.
    pub barrier_timeout_ms: Millis,
    /// The pause between two checkpoints.
    pub checkpoint_period_ms: Millis,
    /// The pause between two looks at what is parked, each of which tries it once more. Zero: only at the start.
    pub revive_period_ms: Millis,
    /// The pause before what was left out is tried again. Zero: by the next process only.
    pub left_out_period_ms: Millis,
    /// How often in a row something may fail for a resource before a rebuild or a reconciliation leaves it out; at least 1.
    pub attempts_max: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            on_unknown: OnUnknown::Park,
            on_foreign: OnForeign::TakeOver,
            batch_lanes_max: 256,
            run_max: 256,
            effects_max: 4,
            buffer_max: 1_024,
            lanes_max: 4_096,
            buffered_max: 4_096,
            page: 1_024,
            campaign_page: 256,
            backoff_ms: Millis(50),
            backoff_ms_max: Millis(5_000),
            barrier_timeout_ms: Millis(15_000),
            checkpoint_period_ms: Millis(1_000),
            revive_period_ms: Millis(30_000),
            left_out_period_ms: Millis(60_000),
            attempts_max: 20,
        }
    }
}

/// A reader that waits for an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Barrier {
    pub resource: EntityId,
    pub sequence: u64,
    pub answer_by: Millis,
}

/// What a time was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    Lane(EntityId),
    Barrier(RequestId),
    /// What is parked is looked at again.
    Revive,
    /// What was left out is tried again.
    LeftOut,
    /// An effect that is not about resources, after it failed.
    Again(EffectId),
}

/// Something that is done by one effect at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Solo {
    #[default]
    Idle,
    Running,
    Resting,
}

/// The lanes of one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lanes {
    pub(super) config: Config,
    /// What the projection keeps about itself, once that was read.
    pub(super) projection: Option<Projection>,
    pub(super) lanes: BTreeMap<EntityId, Lane>,
    /// Lanes that want to load, fetch or apply, in the order in which they came to.
    pub(super) loads: VecDeque<EntityId>,
    pub(super) fetches: VecDeque<EntityId>,
    pub(super) applies: VecDeque<EntityId>,
    /// The loads and applications under way, each with its lanes.
    pub(super) loading: BTreeMap<usize, Vec<EntityId>>,
    pub(super) applying: BTreeMap<usize, Vec<EntityId>>,
    pub(super) fetching: usize,
    pub(super) parked: BTreeMap<EntityId, Poison>,
    pub(super) barriers: BTreeMap<RequestId, Barrier>,
    pub(super) timers: BTreeSet<(Millis, Timer)>,
    pub(super) solos: BTreeMap<EffectId, Solo>,
    /// Every event of the log up to this global position was given to its lane.
    pub(super) read: u64,
    /// Whether there was no room for more of the log when it would have been read.
    pub(super) crowded: bool,
    /// The positions that lanes hold the low-water mark below.
    pub(super) holds: BTreeSet<(u64, EntityId)>,
    /// The position that is being written down, or was last.
    pub(super) checkpointing: u64,
    /// How far the parked resources of earlier processes were listed; none once that is over.
    pub(super) reviving: Option<Option<EntityId>>,
    pub(super) campaign: Option<Campaign>,
    /// What campaigns have left out.
    pub(super) left_out: BTreeMap<EntityId, Outstanding>,
    /// The log that was read last, by this process or by one before it that it goes on for.
    pub(super) own: Option<LogId>,
    /// Whether a graph of any log is taken over: until the log is read for the first time.
    pub(super) takes_over: bool,
    /// The log, if it is another one than the graph is of.
    pub(super) turning: Option<LogId>,
    /// Events that cannot be read and of which nobody knows whose they are, by their positions.
    pub(super) unread: BTreeMap<u64, String>,
    pub(super) halted: bool,
}

pub(super) type LanesStep = Step<LanesEffect, Mark>;

impl env::Core for Lanes {
    const NAME: &'static str = "lanes";
    type Input = Input;
    type Effect = LanesEffect;
    type Mark = Mark;

    fn handle(&mut self, now: Millis, input: Input) -> LanesStep {
        let mut step = Step::new();
        if self.halted {
            self.refuse_while_halted(input, &mut step);
            return step;
        }
        match input {
            Input::Deliver { events } => {
                for event in events {
                    self.accept(now, &event, None, &mut step);
                }
            }
            Input::WhenApplied { request, resource, sequence } => {
                self.wait(now, request, resource, sequence, &mut step);
            }
            Input::Rebuild { request, scope } => self.rebuild(now, request, scope, &mut step),
            Input::Reconcile { request, scope } => self.reconcile(now, request, scope, &mut step),
            Input::Inspect { request } => step.reply(request, Answer::Status(self.status())),
            Input::Done { effect, report } => self.done(now, effect, report, &mut step),
            Input::Failed { effect, failure } => self.failed(now, effect, failure, &mut step),
            Input::Timeout => self.timeout(now, &mut step),
        }
        if !self.halted {
            self.pump(now, &mut step);
        }
        step
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.timers.first().filter(|_| !self.halted).map(|(at, _)| *at)
    }

    fn timeout() -> Input {
        Input::Timeout
    }
}

impl Lanes {
    /// The core of a process that starts and has read no log before, and what it asks for first.
    pub fn start(config: Config) -> (Lanes, LanesStep) {
        Lanes::go_on(config, None)
    }

    /// The core of a process that goes on for one which read this log last, and what it asks for first.
    pub fn go_on(config: Config, own: Option<LogId>) -> (Lanes, LanesStep) {
        let Config { batch_lanes_max, run_max, effects_max, buffer_max, .. } = config;
        let Config { buffered_max, page, campaign_page, attempts_max, .. } = config;
        let counts = [batch_lanes_max, run_max, effects_max, buffer_max];
        let more = [buffered_max, page, campaign_page, attempts_max as usize];
        let mut counts = counts.iter().chain(&more);
        assert!(counts.all(|count| *count > 0), "none of nothing makes progress: {config:?}");
        let mut lanes = Lanes {
            config,
            projection: None,
            lanes: BTreeMap::new(),
            loads: VecDeque::new(),
            fetches: VecDeque::new(),
            applies: VecDeque::new(),
            loading: BTreeMap::new(),
            applying: BTreeMap::new(),
            fetching: 0,
            parked: BTreeMap::new(),
            barriers: BTreeMap::new(),
            timers: BTreeSet::new(),
            solos: BTreeMap::new(),
            read: 0,
            crowded: false,
            holds: BTreeSet::new(),
            checkpointing: 0,
            reviving: None,
            campaign: None,
            left_out: BTreeMap::new(),
            own,
            takes_over: config.on_foreign == OnForeign::TakeOver,
            turning: None,
            unread: BTreeMap::new(),
            halted: false,
        };
        let mut step = Step::new();
        lanes.solo(EffectId::Open, Action::Open, &mut step);
        (lanes, step)
    }

    /// How the lanes are.
    pub fn status(&self) -> Status {
        let projection = self.projection.clone().unwrap_or_default();
        Status {
            lanes: self.lanes.len() as u64,
            buffered: self.buffered() as u64,
            parked: self.parked.len() as u64,
            waiting: self.barriers.len() as u64,
            read: self.read,
            low_water: self.low_water(),
            unread: self.unread.len() as u64,
            left_out: self.left_out.len() as u64,
            generation: projection.generation,
            rebuilding: projection.rebuilding,
            halted: self.halted,
        }
    }

    /// Whether there is room for more of the log.
    pub(super) fn is_open(&self) -> bool {
        self.lanes.len() < self.config.lanes_max && self.buffered() < self.config.buffered_max
    }

    /// How many events wait in memory.
    fn buffered(&self) -> usize {
        self.lanes.values().map(|lane| lane.buffer.len()).sum()
    }

    /// The resources that stand still, each with the event that stands in the way.
    pub fn parked(&self) -> &BTreeMap<EntityId, Poison> {
        &self.parked
    }

    /// Every event of the log up to this global position was given to its lane.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Every event up to this global position is in the graph, or is parked, or is behind one that is.
    pub fn low_water(&self) -> u64 {
        let held = self.holds.first().map(|(position, _)| *position);
        let unread = self.unread.first_key_value().map(|(position, _)| *position);
        held.into_iter().chain(unread).min().map_or(self.read, |position| position - 1)
    }

    /// What is begun without being asked for.
    fn pump(&mut self, now: Millis, step: &mut LanesStep) {
        let Some(projection) = &self.projection else { return };
        let (since, written) = (projection.since, projection.position);
        if let Some(log) = self.turning.clone() {
            return self.pump_turn(log, step);
        }
        if projection.log.is_none() || projection.log != self.own {
            // What is applied has to be of the log that the graph is said to be of, and which that is here is not known yet.
            return self.solo(EffectId::Feed, Action::Feed { after: self.read, limit: self.config.page }, step);
        }
        if let (true, Some(after)) = (self.lanes.len() < self.config.lanes_max, self.reviving.clone()) {
            let limit = self.config.campaign_page;
            let list = Action::List { listing: Listing::Parked, after, limit };
            self.solo(EffectId::List(Listing::Parked), list, step);
        }
        self.pump_feed(now, step);
        let position = self.low_water();
        if position > written && !self.solos.contains_key(&EffectId::Checkpoint) {
            self.checkpointing = position;
            self.solo(EffectId::Checkpoint, Action::Checkpoint { since, position }, step);
        }
        self.pump_campaign(now, step);
        self.dispatch(step);
    }

    /// Reads the log as long as there is room. Where there has been none for a while, it is looked whether that is the log still:
    /// if it was replaced, all that there is room for may wait for what never comes.
    fn pump_feed(&mut self, now: Millis, step: &mut LanesStep) {
        let feed = self.solos.get(&EffectId::Feed).copied();
        // Events are counted where the log would be read, and not at every step.
        let is_free = feed.is_none() || (self.crowded && feed == Some(Solo::Resting));
        if is_free && self.is_open() {
            if feed.is_some() {
                self.timers.retain(|(_, timer)| *timer != Timer::Again(EffectId::Feed));
                self.solos.remove(&EffectId::Feed);
            }
            self.crowded = false;
            self.solo(EffectId::Feed, Action::Feed { after: self.read, limit: self.config.page }, step);
        } else if feed.is_none() && self.crowded {
            self.solo(EffectId::Feed, Action::Feed { after: self.read, limit: 1 }, step);
        } else if feed.is_none() {
            self.crowded = true;
            self.rest_solo(now, EffectId::Feed, self.config.backoff_ms_max);
        }
    }

    /// Begins an effect of which there is one at a time, unless it is under way or rests.
    pub(super) fn solo(&mut self, id: EffectId, action: Action, step: &mut LanesStep) {
        let solo = self.solos.entry(id.clone()).or_default();
        if *solo == Solo::Idle {
            *solo = Solo::Running;
            step.act(id, action);
        }
    }

    /// Lets such an effect begin again after a while, or at once.
    pub(super) fn rest_solo(&mut self, now: Millis, id: EffectId, pause: Millis) {
        if pause == Millis::ZERO {
            self.solos.remove(&id);
        } else {
            self.timers.insert((now + pause, Timer::Again(id.clone())));
            self.solos.insert(id, Solo::Resting);
        }
    }

    fn timeout(&mut self, now: Millis, step: &mut LanesStep) {
        while let Some((at, timer)) = self.timers.first().cloned()
            && at <= now
        {
            self.timers.remove(&(at, timer.clone()));
            match timer {
                Timer::Lane(resource) => self.rested(now, &resource, step),
                Timer::Barrier(request) => self.give_up(now, request, step),
                Timer::Revive => self.reviving = Some(None),
                Timer::LeftOut => self.retry_left_out(now),
                Timer::Again(EffectId::Open) => {
                    self.solos.remove(&EffectId::Open);
                    self.solo(EffectId::Open, Action::Open, step);
                }
                Timer::Again(id) => {
                    self.solos.remove(&id);
                }
            }
        }
    }

    fn rested(&mut self, now: Millis, resource: &EntityId, step: &mut LanesStep) {
        let Some(lane) = self.lanes.get_mut(resource) else { return };
        // A lane that rests again since then has another timer.
        if matches!(lane.stage, Stage::Resting { until } if until <= now) {
            lane.stage = Stage::Idle;
            self.advance(now, resource, step);
        }
    }

    pub(super) fn backoff(&self, attempts: u32) -> Millis {
        let doublings = attempts.saturating_sub(1).min(16);
        Millis(self.config.backoff_ms.0 << doublings).min(self.config.backoff_ms_max)
    }

    /// Tells everybody that nothing more is done, and asks for the end of the process.
    pub(super) fn halt(&mut self, reason: String, step: &mut LanesStep) {
        self.halted = true;
        let mut waiting: BTreeSet<RequestId> = std::mem::take(&mut self.barriers).into_keys().collect();
        waiting.extend(self.requests());
        for request in waiting {
            step.reply(request, Answer::Rejected(Rejection::Halted));
        }
        step.effects.push(LanesEffect::Halt { reason });
    }

    fn refuse_while_halted(&self, input: Input, step: &mut LanesStep) {
        match input {
            Input::WhenApplied { request, .. } | Input::Rebuild { request, .. } | Input::Reconcile { request, .. } => {
                step.reply(request, Answer::Rejected(Rejection::Halted));
            }
            Input::Inspect { request } => step.reply(request, Answer::Status(self.status())),
            Input::Deliver { .. } | Input::Done { .. } | Input::Failed { .. } | Input::Timeout => {}
        }
    }

    fn done(&mut self, now: Millis, effect: EffectId, report: Report, step: &mut LanesStep) {
        match (effect, report) {
            (EffectId::Load(slot), Report::Loaded(found)) => self.loaded(now, slot, found, step),
            (EffectId::Apply(slot), Report::Applied) => self.applied(now, slot, step),
            (EffectId::Fetch(resource), Report::Fetched { events, more }) => {
                self.fetched(now, &resource, events, more, step);
            }
            (effect, report) => {
                self.solos.remove(&effect);
                self.solo_done(now, effect, report, step);
            }
        }
    }

    fn solo_done(&mut self, now: Millis, effect: EffectId, report: Report, step: &mut LanesStep) {
        match (effect, report) {
            (EffectId::Open, Report::Opened(projection)) => self.opened(projection, step),
            (EffectId::Feed, Report::Fed(fed)) => self.fed(now, fed, step),
            (EffectId::Checkpoint, Report::Checkpointed { since }) => self.checkpointed(now, since, step),
            (EffectId::Turn, Report::Turned(projection)) => self.turned(now, projection, step),
            (EffectId::List(Listing::Parked), Report::Listed { resources, more }) => {
                self.listed_parked(now, resources, more, step);
            }
            (EffectId::List(listing), Report::Listed { resources, more }) => {
                self.listed(now, listing, resources, more, step);
            }
            (EffectId::Raise, Report::Raised(generation)) => self.raised(generation, step),
            (EffectId::Close, Report::Closed) => self.closed(now, step),
            (effect, report) => panic!("{effect:?} cannot end in {report:?}"),
        }
    }

    fn failed(&mut self, now: Millis, effect: EffectId, failure: Failure, step: &mut LanesStep) {
        match effect {
            EffectId::Load(slot) => self.load_failed(now, slot, &failure, step),
            EffectId::Apply(slot) => self.apply_failed(now, slot, &failure, step),
            EffectId::Fetch(resource) => self.fetch_failed(now, &resource, &failure, step),
            // None of the others does anything twice that is done again.
            solo => self.rest_solo(now, solo, self.config.backoff_ms),
        }
    }
}

/// Shorthands for the two things a step is mostly made of.
pub(super) trait StepExt {
    fn act(&mut self, id: EffectId, action: Action);
    fn reply(&mut self, request: RequestId, answer: Answer);
}

impl StepExt for LanesStep {
    fn act(&mut self, id: EffectId, action: Action) {
        self.effects.push(LanesEffect::Do { id, action });
    }

    fn reply(&mut self, request: RequestId, answer: Answer) {
        self.effects.push(LanesEffect::Reply { request, answer });
    }
}
