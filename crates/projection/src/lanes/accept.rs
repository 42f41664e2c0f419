//! What comes in: events, and readers that wait for them.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use graph::{EntityId, Millis};

use super::core::{Barrier, Lanes, LanesStep, StepExt, Timer};
use super::lane::Stage;
use super::messages::{Answer, EffectId, Mark, Projection, RequestId};
use crate::event::{Event, Position};

impl Lanes {
    /// What the projection keeps about itself was read: everything else begins now.
    pub(super) fn opened(&mut self, projection: Projection, step: &mut LanesStep) {
        self.read = projection.position;
        self.reviving = Some(None);
        if projection.rebuilding {
            step.marks.push(Mark::Resumed(projection.generation));
            self.resume(projection.generation);
        }
        self.projection = Some(projection);
    }

    /// An event was heard of; `position` says where it stands in the log, if it came from there.
    pub(super) fn accept(&mut self, now: Millis, event: &Arc<Event>, position: Option<u64>, step: &mut LanesStep) {
        let resource = &event.position.resource;
        let sequence = event.position.sequence;
        // Where the resource was parked the mark is read again: somebody else may have cleared it.
        let lane = self.lanes.entry(resource.clone()).or_default();
        lane.heard = lane.heard.max(sequence);
        if lane.has(sequence, self.projection.as_ref()) {
            step.marks.push(Mark::Duplicate(resource.clone()));
            self.advance(now, resource, step);
            return;
        }
        if let Some(position) = position {
            lane.hold(position, sequence);
        }
        match lane.buffer.entry(sequence) {
            Entry::Occupied(_) => step.marks.push(Mark::Duplicate(resource.clone())),
            Entry::Vacant(vacant) => {
                vacant.insert(event.clone());
            }
        }
        if lane.buffer.len() > self.config.buffer_max {
            // The last one is needed last, and can be fetched.
            lane.buffer.pop_last();
            step.marks.push(Mark::Overflowed(resource.clone()));
        }
        self.note_hold(resource);
        self.advance(now, resource, step);
    }

    /// An event that cannot be read may stand there; the stream says.
    pub(super) fn accept_unread(&mut self, now: Millis, place: Position, position: u64, step: &mut LanesStep) {
        let Position { resource, sequence } = place;
        let lane = self.lanes.entry(resource.clone()).or_default();
        if !lane.has(sequence, self.projection.as_ref()) {
            lane.heard = lane.heard.max(sequence);
            lane.curious = true;
            lane.hold(position, sequence);
            self.note_hold(&resource);
        }
        self.advance(now, &resource, step);
    }

    /// Some of the resources that are parked. What is thought to be and is not among them was cleared by somebody else, or
    /// parked after the list was read: the graph is asked again.
    pub(super) fn listed_parked(&mut self, now: Millis, resources: Vec<EntityId>, more: bool, step: &mut LanesStep) {
        let after = self.reviving.take().flatten();
        let last = resources.last().filter(|_| more).cloned();
        let listed = |resource: &EntityId| {
            after.as_ref().is_none_or(|after| resource > after) && last.as_ref().is_none_or(|last| resource <= last)
        };
        let is_missing = |resource: &&EntityId| listed(resource) && resources.binary_search(resource).is_err();
        let missing: Vec<EntityId> = self.parked.keys().filter(is_missing).cloned().collect();
        for resource in resources.into_iter().chain(missing) {
            self.revive(now, &resource, step);
        }
        self.reviving = last.map(Some);
        if self.reviving.is_none() {
            self.revive_later(now);
        }
    }

    pub(super) fn revive_later(&mut self, now: Millis) {
        if self.config.revive_period_ms > Millis::ZERO {
            self.timers.insert((now + self.config.revive_period_ms, Timer::Revive));
        }
    }

    /// Tries once more what could not be applied.
    fn revive(&mut self, now: Millis, resource: &EntityId, step: &mut LanesStep) {
        let lane = self.lanes.entry(resource.clone()).or_default();
        lane.retry = true;
        lane.curious = true;
        self.advance(now, resource, step);
    }

    /// A reader waits until the graph shows an event.
    pub(super) fn wait(
        &mut self,
        now: Millis,
        request: RequestId,
        resource: EntityId,
        sequence: u64,
        step: &mut LanesStep,
    ) {
        let answer_by = now + self.config.barrier_timeout_ms;
        self.timers.insert((answer_by, Timer::Barrier(request)));
        self.barriers.insert(request, Barrier { resource: resource.clone(), sequence, answer_by });
        let lane = self.lanes.entry(resource.clone()).or_default();
        lane.barriers.insert(request);
        lane.curious = true;
        self.advance(now, &resource, step);
    }

    /// Answers whoever waits for what the graph is now known to show; and everybody, where it
    /// stands still.
    pub(super) fn answer_barriers(&mut self, resource: &EntityId, step: &mut LanesStep) {
        let Some(lane) = self.lanes.get_mut(resource) else { return };
        let Some(applied) = &lane.applied else { return };
        // Of a mark of another log nothing is known here.
        let is_known = self.projection.as_ref().is_some_and(|projection| projection.trusts(applied));
        let shown = if is_known { applied.sequence } else { 0 };
        let poison = self.parked.get(resource).cloned();
        for request in lane.barriers.clone() {
            if self.barriers[&request].sequence <= shown {
                step.marks.push(Mark::Awaited(request));
                step.reply(request, Answer::Applied { sequence: shown });
            } else if poison.is_some() {
                step.marks.push(Mark::GaveUp(request));
                step.reply(request, Answer::NotApplied { sequence: shown, poison: poison.clone() });
            } else {
                continue;
            }
            lane.barriers.remove(&request);
            let barrier = self.barriers.remove(&request).expect("just looked at");
            self.timers.remove(&(barrier.answer_by, Timer::Barrier(request)));
        }
    }

    /// A reader has waited for long enough.
    pub(super) fn give_up(&mut self, now: Millis, request: RequestId, step: &mut LanesStep) {
        let Some(barrier) = self.barriers.remove(&request) else { return };
        let lane = self.lanes.get_mut(&barrier.resource).expect("a lane with a reader is not forgotten");
        lane.barriers.remove(&request);
        let sequence = lane.applied.as_ref().map_or(0, |applied| applied.sequence);
        step.marks.push(Mark::GaveUp(request));
        step.reply(request, Answer::NotApplied { sequence, poison: None });
        if lane.stage == Stage::BetweenPasses {
            // Perhaps nobody waits there any more.
            lane.stage = Stage::Idle;
            return self.advance(now, &barrier.resource, step);
        }
        self.forget_if_done(&barrier.resource, step);
    }

    /// Keeps `holds` what the lane's own hold says.
    pub(super) fn note_hold(&mut self, resource: &EntityId) {
        let Some(lane) = self.lanes.get_mut(resource) else { return };
        let position = lane.hold.map(|hold| hold.position);
        if lane.noted == position {
            return;
        }
        if let Some(before) = std::mem::replace(&mut lane.noted, position) {
            self.holds.remove(&(before, resource.clone()));
        }
        self.holds.extend(position.map(|position| (position, resource.clone())));
    }

    pub(super) fn checkpointed(&mut self, now: Millis, since: u64, step: &mut LanesStep) {
        let position = self.checkpointing;
        let projection = self.projection.as_mut().expect("it was opened before it was written");
        if projection.since != since {
            // Nothing was written.
            return self.turned_by_another();
        }
        projection.position = projection.position.max(position);
        step.marks.push(Mark::Checkpointed(position));
        self.rest_solo(now, EffectId::Checkpoint, self.config.checkpoint_period_ms);
    }
}
