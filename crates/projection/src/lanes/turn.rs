//! When the log is another one than the graph is of.

use std::collections::BTreeMap;

use graph::{EntityId, Millis};

use super::core::{Lanes, LanesStep, Solo, Timer};
use super::lane::{Lane, Owner, Task};
use super::messages::{Action, EffectId, LeftOut, Mark, Projection};
use crate::log::{Fed, LogId, Unread};

/// How many events that cannot be read are remembered. The low-water mark stays below the first; the others are for people.
const UNREAD_MAX: usize = 1_000;

impl Lanes {
    /// The next events of the log came. If they are of another one, nothing is made of them.
    pub(super) fn fed(&mut self, now: Millis, fed: Fed, step: &mut LanesStep) {
        let Fed { log, events, unread, through, last } = fed;
        let known = self.projection.as_ref().and_then(|projection| projection.log.as_ref());
        let is_same = known == Some(&log);
        if let Some(known) = known.filter(|known| !is_same && !self.takes_over && self.own.as_ref() != Some(known)) {
            let reason = format!(
                "the graph is of the log {known}, which this projector has not read last, and the event store has the log \
                 {log}: does a projector of another event store write to this graph? Use another graph, or stop that one \
                 and start this one with --turn, which rebuilds the graph from this event store"
            );
            return self.halt(reason, step);
        }
        self.takes_over = false;
        if self.own.as_ref() != Some(&log) {
            self.own = Some(log.clone());
        }
        if !is_same || last < self.read {
            self.turning = Some(log);
            return;
        }
        if self.crowded && !self.is_open() {
            // It is the log that was read all along. Its events are asked for again once there is room for them.
            return self.rest_solo(now, EffectId::Feed, self.config.backoff_ms_max);
        }
        for (position, event) in events {
            self.accept(now, &event, Some(position), step);
        }
        for unread in unread {
            self.unread(now, unread, step);
        }
        self.read = self.read.max(through);
    }

    /// An event cannot be read. Its stream is asked for it, where that is known; where the hint is wrong, the stream does
    /// not have it, and the low-water mark stays below as well.
    fn unread(&mut self, now: Millis, Unread { position, place, why }: Unread, step: &mut LanesStep) {
        step.marks.push(Mark::Unread(position));
        match place {
            Some(place) => self.accept_unread(now, place, position, step),
            None if self.unread.len() < UNREAD_MAX => {
                self.unread.insert(position, why);
            }
            None => {}
        }
    }

    /// Lets end what is under way, and gives the graph to the log.
    pub(super) fn pump_turn(&mut self, log: LogId, step: &mut LanesStep) {
        let running = |(id, solo): (&EffectId, &Solo)| *solo == Solo::Running && *id != EffectId::Turn;
        if self.under_way() > 0 || self.solos.iter().any(running) {
            return;
        }
        let Projection { log: was, since, .. } = self.projection.clone().expect("the log is read behind its position");
        self.solo(EffectId::Turn, Action::Turn { was, since, log }, step);
    }

    /// The graph is of that log, or somebody else has given it to another one meanwhile.
    pub(super) fn turned(&mut self, now: Millis, projection: Projection, step: &mut LanesStep) {
        self.turning = None;
        let before = self.projection.replace(projection.clone()).expect("it was opened before it was turned");
        if before.since != projection.since {
            step.marks.push(Mark::Turned(projection.since));
        }
        if (before.since, &before.log) != (projection.since, &projection.log) {
            self.begin_anew(now, projection, step);
        }
    }

    /// Somebody else has given the graph to another log. Asking tells to which.
    pub(super) fn turned_by_another(&mut self) {
        self.turning = self.projection.as_ref().and_then(|projection| projection.log.clone());
    }

    /// Nothing that was known is of use but who waits.
    fn begin_anew(&mut self, now: Millis, projection: Projection, step: &mut LanesStep) {
        let before = std::mem::take(&mut self.lanes);
        for queue in [&mut self.loads, &mut self.fetches, &mut self.applies] {
            queue.clear();
        }
        self.timers.retain(|(_, timer)| !matches!(timer, Timer::Lane(_) | Timer::LeftOut | Timer::Revive));
        self.parked.clear();
        self.holds.clear();
        self.unread.clear();
        self.left_out.clear();
        self.read = projection.position;
        self.reviving = Some(None);
        if projection.rebuilding {
            self.resume(projection.generation);
        } else if let Some(campaign) = &mut self.campaign {
            campaign.restart();
        }
        for (resource, lane) in before {
            self.wait_anew(now, resource, lane, step);
        }
    }

    fn wait_anew(&mut self, now: Millis, resource: EntityId, before: Lane, step: &mut LanesStep) {
        let asked = |task: &Task| matches!(task.owner, Owner::Request(_));
        let tasks = before.tasks.into_iter().filter(asked).map(|task| Task { gathered: None, ..task }).collect();
        let curious = !before.barriers.is_empty();
        let lane = Lane { barriers: before.barriers, curious, tasks, ..Lane::default() };
        if lane.curious || !lane.tasks.is_empty() {
            self.lanes.insert(resource.clone(), lane);
            self.advance(now, &resource, step);
        }
    }

    /// The events that cannot be read and of which nobody knows whose they are, by their positions.
    pub fn unread_events(&self) -> &BTreeMap<u64, String> {
        &self.unread
    }

    /// Whether what the feed says last is of another log than the graph.
    pub fn is_between_logs(&self) -> bool {
        self.turning.is_some()
    }

    /// Whether the graph is still being brought from one log to another.
    pub fn is_turning(&self) -> bool {
        let Some(Projection { log, generation, rebuilding, since, .. }) = &self.projection else { return false };
        let rebuilds = *rebuilding && *since > 0 && generation == since;
        rebuilds || (self.turning.is_some() && log.is_some())
    }

    /// The log that was read last, by this process or by the one that it goes on for.
    pub fn own_log(&self) -> Option<&LogId> {
        self.own.as_ref()
    }

    /// The log that the graph is of, once that is known.
    pub fn log(&self) -> Option<&LogId> {
        self.projection.as_ref()?.log.as_ref()
    }

    /// What the last rebuild or reconciliation of all left out, of those that come first by name so many.
    pub fn left_out(&self, max: usize) -> Vec<LeftOut> {
        let named = |(resource, out): (&EntityId, &super::campaign::Outstanding)| LeftOut {
            resource: resource.clone(),
            why: out.why.clone(),
        };
        self.left_out.iter().take(max).map(named).collect()
    }
}
