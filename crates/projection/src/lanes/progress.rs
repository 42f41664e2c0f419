//! How a lane goes on: what it does next, and what it makes of what was read.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{EntityId, Millis};

use super::core::{Lanes, LanesStep, OnUnknown, Timer};
use super::lane::{Caution, Lane, Outgoing, Owner, Stage, Task, TaskKind};
use super::messages::{Applied, Found, Mark, Poison, Write};
use crate::event::{Content, Event};
use crate::fold::{self, Folded, Part, Picture, State, changes};

impl Lanes {
    /// Begins whatever an idle lane has to do next, or forgets it.
    pub(super) fn advance(&mut self, now: Millis, resource: &EntityId, step: &mut LanesStep) {
        let Some(lane) = self.lanes.get_mut(resource) else { return };
        if lane.stage == Stage::BetweenPasses && !lane.tasks.is_empty() {
            lane.stage = Stage::Idle;
        }
        if lane.stage != Stage::Idle {
            return;
        }
        lane.on_task = !lane.tasks.is_empty();
        if lane.on_task {
            return self.begin_load(resource);
        }
        let Some(applied) = lane.applied.clone() else {
            let wanted = !lane.buffer.is_empty() || !lane.barriers.is_empty() || lane.curious;
            if wanted {
                self.begin_load(resource);
            } else {
                self.forget_if_done(resource, step);
            }
            return;
        };
        lane.buffer = lane.buffer.split_off(&(applied.sequence + 1));
        lane.release(applied.sequence);
        self.note_hold(resource);
        if let Some(poison) = applied.poison.clone()
            && !self.lanes[resource].retry
            && self.projection.as_ref().is_some_and(|projection| projection.trusts(&applied))
        {
            self.park(resource, poison, step);
            return;
        }
        if applied.partial {
            self.between_passes(now, resource, step);
            return;
        }
        self.answer_barriers(resource, step);
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        let awaited = lane.barriers.iter().any(|request| self.barriers[request].sequence > applied.sequence);
        if lane.buffer.contains_key(&(applied.sequence + 1)) {
            self.begin_load(resource);
        } else if lane.heard > applied.sequence || (lane.curious && (awaited || lane.retry)) {
            if !lane.buffer.is_empty() {
                step.marks.push(Mark::Gap(resource.clone()));
            }
            lane.curious = false;
            lane.stage = Stage::Fetch { after: applied.sequence };
            self.fetches.push_back(resource.clone());
        } else {
            lane.retry = false;
            lane.curious = false;
            match applied.poison {
                Some(poison) => self.park(resource, poison, step),
                None => self.forget_if_done(resource, step),
            }
        }
    }

    fn begin_load(&mut self, resource: &EntityId) {
        self.lanes.get_mut(resource).expect("a lane that goes on exists").stage = Stage::Load;
        self.loads.push_back(resource.clone());
    }

    /// The rebuild that left the resource partial comes by again; if it is another process's, or
    /// none, this one ends it for the resource.
    fn between_passes(&mut self, now: Millis, resource: &EntityId, step: &mut LanesStep) {
        let will_come = self.campaign.as_ref().is_some_and(|campaign| campaign.will_finish_partial());
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        let is_awaited = lane.hold.is_some() || !lane.barriers.is_empty();
        if will_come && is_awaited {
            lane.stage = Stage::BetweenPasses;
        } else if will_come {
            // The second pass reads all of the stream, and there may be more such resources than there is memory for.
            self.forget(resource, step);
        } else {
            let generation = lane.applied.as_ref().expect("just looked at").generation;
            let task = Task { kind: TaskKind::Edges(generation), owner: Owner::Nobody, gathered: None };
            lane.tasks.push_back(task);
            self.advance(now, resource, step);
        }
    }

    pub(super) fn forget_if_done(&mut self, resource: &EntityId, step: &mut LanesStep) {
        let Some(lane) = self.lanes.get(resource) else { return };
        let idle = lane.applied.is_none() && lane.stage == Stage::Idle && lane.buffer.is_empty();
        let unwanted = idle && !lane.curious && lane.barriers.is_empty() && lane.tasks.is_empty();
        if lane.is_done() || unwanted && lane.hold.is_none() {
            self.forget(resource, step);
        }
    }

    fn forget(&mut self, resource: &EntityId, step: &mut LanesStep) {
        if let Some(Lane { noted: Some(position), .. }) = self.lanes.remove(resource) {
            self.holds.remove(&(position, resource.clone()));
        }
        step.marks.push(Mark::Forgotten(resource.clone()));
    }

    /// The event that stands in the way is written next to the mark: all that is behind it waits
    /// for somebody who clears it, and nothing of that has to be remembered here.
    pub(super) fn park(&mut self, resource: &EntityId, poison: Poison, step: &mut LanesStep) {
        if self.parked.insert(resource.clone(), poison).is_none() {
            step.marks.push(Mark::Parked(resource.clone()));
        }
        self.answer_barriers(resource, step);
        self.forget(resource, step);
    }

    /// Resources were read: each lane folds its next events, or goes on with its task.
    pub(super) fn loaded(&mut self, now: Millis, slot: usize, found: Vec<Found>, step: &mut LanesStep) {
        let resources = self.loading.remove(&slot).expect("what was read was asked for");
        assert_eq!(resources.len(), found.len(), "as many are read as are asked for");
        for (resource, found) in resources.into_iter().zip(found) {
            let lane = self.lanes.get_mut(&resource).expect("a lane that reads is not forgotten");
            let stage = std::mem::take(&mut lane.stage);
            let Stage::Loading { parts } = stage else { panic!("{resource} was read while {stage:?}") };
            if lane.fenced_from.take().is_some_and(|from| from != found.applied) {
                step.marks.push(Mark::Fenced(resource.clone()));
            }
            if lane.on_task {
                self.gather(now, &resource, found, step);
            } else {
                self.fold(now, &resource, found, &parts, step);
            }
            if self.halted {
                return;
            }
        }
    }

    fn fold(&mut self, now: Millis, resource: &EntityId, found: Found, parts: &BTreeSet<Part>, step: &mut LanesStep) {
        let projection = self.projection.as_ref().expect("nothing is read before");
        let (generation, since) = (projection.generation, projection.since);
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        lane.applied = Some(found.applied.clone());
        if found.applied.poison.is_none() {
            // Nothing stood in the way, or somebody else has cleared it.
            self.parked.remove(resource);
        }
        if !projection.trusts(&found.applied) {
            step.marks.push(Mark::Distrusted(resource.clone()));
            let rebuild = Task { kind: TaskKind::Edges(since), owner: Owner::Nobody, gathered: None };
            lane.tasks.push_back(rebuild);
            return self.advance(now, resource, step);
        }
        if let Some(poison) = &found.applied.poison {
            // What stood in the way was heard of, whoever told.
            lane.heard = lane.heard.max(poison.sequence);
        }
        if found.applied.partial || (found.applied.poison.is_some() && !lane.retry) {
            return self.advance(now, resource, step);
        }
        let Ok(state) = found.picture.state() else {
            step.marks.push(Mark::Damaged(resource.clone()));
            let rebuild = Task { kind: TaskKind::Rebuild, owner: Owner::Nobody, gathered: None };
            lane.tasks.push_back(rebuild);
            return self.advance(now, resource, step);
        };
        let limit = if lane.caution == Caution::Single { 1 } else { self.config.run_max };
        let run = Run::fold(lane, &found.applied, state.clone(), parts, limit);
        for _ in 0..run.buried {
            step.marks.push(Mark::Buried(resource.clone()));
        }
        if let (OnUnknown::Halt, Some(event)) = (self.config.on_unknown, &run.unknown) {
            let reason = format!("event {} is of a type that is not known here", event.position);
            step.marks.push(Mark::Halted(resource.clone()));
            return self.halt(reason, step);
        }
        if !run.looked {
            return self.advance(now, resource, step);
        }
        if run.to.sequence == found.applied.sequence && run.to.poison == found.applied.poison {
            // What stood in the way still does.
            lane.retry = false;
            return self.advance(now, resource, step);
        }
        let referenced = found.picture.node.is_some();
        let before = Picture::of(resource, &state, referenced);
        let after = Picture::of(resource, &run.state, referenced);
        let events = run.to.sequence - found.applied.sequence;
        let to = Applied { generation: found.applied.generation.max(first_generation(&found, generation)), ..run.to };
        let first = found.applied.sequence + 1;
        let write = Write { resource: resource.clone(), from: found.applied, to, changes: changes(&before, &after) };
        self.outgoing(resource, Outgoing { write, events, first });
    }

    pub(super) fn outgoing(&mut self, resource: &EntityId, outgoing: Outgoing) {
        let lane = self.lanes.get_mut(resource).expect("a lane that writes exists");
        lane.stage = Stage::Apply(Box::new(outgoing));
        self.applies.push_back(resource.clone());
    }

    /// The next events of a stream came from the log.
    pub(super) fn fetched(
        &mut self,
        now: Millis,
        resource: &EntityId,
        events: Vec<Arc<Event>>,
        more: bool,
        step: &mut LanesStep,
    ) {
        self.fetching -= 1;
        let lane = self.lanes.get_mut(resource).expect("a lane that reads is not forgotten");
        assert_eq!(lane.stage, Stage::Fetching, "{resource} was fetched and did not ask for it");
        lane.stage = Stage::Idle;
        if lane.on_task {
            return self.gathered(now, resource, &events, more, step);
        }
        let applied = lane.applied.as_ref().expect("a lane fetches behind its mark");
        let (next, is_parked) = (applied.sequence + 1, applied.poison.is_some());
        if let Some(last) = events.last().filter(|_| more) {
            // The feed may have told of what follows long ago, and told nobody who remembers it.
            lane.heard = lane.heard.max(last.position.sequence + 1);
        }
        for event in events {
            lane.heard = lane.heard.max(event.position.sequence);
            lane.buffer.entry(event.position.sequence).or_insert(event);
        }
        while lane.buffer.len() > self.config.buffer_max {
            lane.buffer.pop_last();
        }
        if lane.buffer.contains_key(&next) || lane.heard < next {
            lane.attempts = 0;
            return self.advance(now, resource, step);
        }
        step.marks.push(Mark::Missing(resource.clone()));
        let is_open = self.is_open();
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        if lane.hold.is_none() && (!is_open || (lane.buffer.is_empty() && !is_parked)) {
            // The feed has not told of it: a mark did, of the log before this one, or whoever is faster than the feed. Should
            // the log come to have it, the feed will tell; and what nobody else told of must not keep the feed out.
            lane.buffer.clear();
            lane.heard = next - 1;
            lane.retry = false;
            lane.attempts = 0;
            return self.advance(now, resource, step);
        }
        // Somebody heard of an event that the log does not have yet. It is waited for.
        self.rest(now, resource);
        self.advance(now, resource, step);
    }

    /// Lets a lane rest for a while, the longer the more often something failed.
    pub(super) fn rest(&mut self, now: Millis, resource: &EntityId) {
        let lane = &self.lanes[resource];
        let attempts = lane.attempts.saturating_add(1);
        let pause = self.backoff(attempts);
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        if pause == Millis::ZERO {
            lane.stage = Stage::Idle;
            return;
        }
        let until = now + pause;
        lane.attempts = attempts;
        lane.stage = Stage::Resting { until };
        self.timers.insert((until, Timer::Lane(resource.clone())));
    }
}

/// A resource that is new to the graph begins in the generation of all.
fn first_generation(found: &Found, generation: u64) -> u64 {
    if found.applied == Applied::default() { generation } else { 0 }
}

/// What the next events of a lane come to.
struct Run {
    state: State,
    to: Applied,
    /// Whether there was an event to look at, or nothing stands in the way that is said to.
    looked: bool,
    buried: usize,
    /// The event of an unknown type that ended it, if one did.
    unknown: Option<Arc<Event>>,
}

impl Run {
    /// Folds the events right behind the mark, as far as what they touch was read.
    fn fold(lane: &Lane, applied: &Applied, mut state: State, parts: &BTreeSet<Part>, limit: usize) -> Run {
        let mut to = Applied { poison: None, ..applied.clone() };
        let (mut buried, mut unknown) = (0, None);
        for (&sequence, event) in lane.buffer.range(applied.sequence + 1..).take(limit) {
            let is_next = sequence == to.sequence + 1;
            if !is_next || fold::touches(event).is_some_and(|part| !parts.contains(&part)) {
                break;
            }
            let condemned = lane.condemned.as_ref().filter(|poison| poison.sequence == sequence);
            if let Some(poison) = condemned {
                to.poison = Some(poison.clone());
                break;
            }
            match state.fold(event) {
                Ok(folded) => {
                    to.sequence = sequence;
                    buried += usize::from(folded == Folded::Buried);
                }
                Err(why) => {
                    unknown = matches!(event.content, Content::Unknown { .. }).then(|| event.clone());
                    to.poison = Some(Poison { sequence, why: why.to_string() });
                    break;
                }
            }
        }
        // What stood in the way of a rebuild does not stand in the way of what follows the mark.
        let is_past = applied.poison.as_ref().is_some_and(|poison| poison.sequence <= applied.sequence);
        let looked = to.sequence > applied.sequence || to.poison.is_some() || is_past;
        Run { state, to, looked, buried, unknown }
    }
}
