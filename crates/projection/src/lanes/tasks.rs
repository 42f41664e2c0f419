//! What is done to a whole resource: rebuilding it, and comparing it with the log.

use std::sync::Arc;

use graph::{EntityId, Millis};

use super::core::{Lanes, LanesStep, StepExt};
use super::lane::{Gathered, Outgoing, Owner, Stage, Task, TaskKind};
use super::messages::{Answer, Applied, Ended, Found, LeftOut, Mark, Poison, RequestId, Write};
use crate::event::Event;
use crate::fold::{Change, Picture, State, changes, node_only};

impl Lanes {
    /// The clients that wait for a task or for the campaign.
    pub(super) fn requests(&self) -> impl Iterator<Item = RequestId> + '_ {
        let of_tasks = self.lanes.values().flat_map(|lane| &lane.tasks).filter_map(|task| match task.owner {
            Owner::Request(request) => Some(request),
            Owner::Nobody | Owner::Campaign => None,
        });
        of_tasks.chain(self.campaign.iter().filter_map(|campaign| campaign.request))
    }

    pub(super) fn assign(
        &mut self,
        now: Millis,
        resource: &EntityId,
        kind: TaskKind,
        owner: Owner,
        step: &mut LanesStep,
    ) {
        let lane = self.lanes.entry(resource.clone()).or_default();
        lane.tasks.push_back(Task { kind, owner, gathered: None });
        self.advance(now, resource, step);
    }

    /// What the graph has of the resource was read.
    pub(super) fn gather(&mut self, now: Millis, resource: &EntityId, found: Found, step: &mut LanesStep) {
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        let task = lane.tasks.front_mut().expect("a task was read for");
        lane.applied = Some(found.applied.clone());
        if found.applied.poison.is_none() {
            self.parked.remove(resource);
        }
        let Applied { generation, partial, .. } = found.applied;
        let done = match task.kind {
            TaskKind::Edges(wanted) => generation >= wanted && !partial,
            TaskKind::Nodes(wanted) => generation >= wanted,
            TaskKind::Rebuild | TaskKind::Reconcile => false,
        };
        if done {
            self.task_ended(resource, Ok(false), step);
            return self.advance(now, resource, step);
        }
        let is_made = found.picture.state().is_ok_and(|state| state.facets.is_some());
        let kind = task.kind;
        task.gathered = Some(Gathered { found, state: State::default(), sequence: 0, poison: None });
        match kind {
            TaskKind::Nodes(wanted) if is_made => self.node_gathered(resource, wanted, None),
            _ => self.fetch_more(resource, 0),
        }
    }

    fn fetch_more(&mut self, resource: &EntityId, after: u64) {
        self.lanes.get_mut(resource).expect("just looked at").stage = Stage::Fetch { after };
        self.fetches.push_back(resource.clone());
    }

    /// More of the stream was read.
    pub(super) fn gathered(
        &mut self,
        now: Millis,
        resource: &EntityId,
        events: &[Arc<Event>],
        more: bool,
        step: &mut LanesStep,
    ) {
        let projection = self.projection.as_ref().expect("nothing is read before");
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        let task = lane.tasks.front_mut().expect("the task that was read for");
        let gathered = task.gathered.as_mut().expect("the graph is read before the log");
        let through = match task.kind {
            // Of a log before this one the mark says nothing of how far to compare.
            TaskKind::Reconcile if projection.trusts(&gathered.found.applied) => gathered.found.applied.sequence,
            _ => u64::MAX,
        };
        let mut stopped = !more;
        for event in events {
            let sequence = event.position.sequence;
            // No stream has holes; what is behind one is not looked at all the same.
            if sequence > through || sequence != gathered.sequence + 1 {
                stopped = true;
                break;
            }
            if let Err(why) = gathered.state.fold(event) {
                gathered.poison = Some(Poison { sequence, why: why.to_string() });
                stopped = true;
                break;
            }
            gathered.sequence = sequence;
        }
        lane.heard = lane.heard.max(gathered.sequence);
        if gathered.sequence == through && (more || events.last().is_some_and(|last| last.position.sequence > through))
        {
            // The log goes on, and perhaps nobody will tell: a graph that has forgotten what it had is behind a log that was
            // read long ago.
            lane.heard = lane.heard.max(through + 1);
        }
        if !stopped && gathered.sequence < through {
            let after = gathered.sequence;
            return self.fetch_more(resource, after);
        }
        match task.kind {
            TaskKind::Nodes(wanted) => {
                let state = gathered.state.clone();
                self.node_gathered(resource, wanted, Some(&state));
            }
            TaskKind::Rebuild | TaskKind::Edges(_) | TaskKind::Reconcile => self.whole_gathered(now, resource, step),
        }
    }

    /// The first pass: the generation is raised, and whatever was created gets its node if it has
    /// none. The mark stays where it is, and says that this is not all.
    fn node_gathered(&mut self, resource: &EntityId, generation: u64, state: Option<&State>) {
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        let gathered = lane.tasks.front().and_then(|task| task.gathered.as_ref()).expect("it was read");
        let Found { applied, picture } = gathered.found.clone();
        let wanted = state.map(|state| Picture::of(resource, state, picture.referenced));
        let put = wanted.and_then(|wanted| node_only(&picture, &wanted));
        let changes = put.filter(|change| matches!(change, Change::PutResource { .. })).into_iter().collect();
        let to = Applied { generation, partial: true, ..applied.clone() };
        let write = Write { resource: resource.clone(), from: applied, to, changes };
        self.outgoing(resource, Outgoing { write, events: 0, first: 0 });
    }

    /// All of the resource was read, from the graph and from the log: what differs is written.
    fn whole_gathered(&mut self, now: Millis, resource: &EntityId, step: &mut LanesStep) {
        let projection = self.projection.as_ref().expect("nothing is read before");
        let all = projection.generation;
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        let task = lane.tasks.front_mut().expect("the task that was read for");
        let Gathered { found, state, sequence, poison } = task.gathered.take().expect("it was read");
        let wanted = Picture::of(resource, &state, found.picture.referenced);
        let changes = changes(&found.picture, &wanted);
        let is_known = projection.trusts(&found.applied);
        match &poison {
            Some(poison) if is_known && poison.sequence <= found.applied.sequence => {
                // Whoever has applied it knew more than this process does. What it left stays.
                return self.cannot_follow(now, resource, found.applied, poison, step);
            }
            None if sequence < found.applied.sequence => step.marks.push(Mark::AheadOfLog(resource.clone())),
            _ => {}
        }
        let generation = match task.kind {
            TaskKind::Edges(wanted) => wanted.max(found.applied.generation),
            _ => all.max(found.applied.generation + 1),
        };
        let poison = if task.kind == TaskKind::Reconcile && poison.is_none() && is_known {
            // What is behind what was compared was not looked at.
            found.applied.poison.clone().filter(|poison| poison.sequence > sequence)
        } else {
            poison
        };
        let stays = poison == found.applied.poison;
        let to = Applied { sequence, generation, partial: false, poison };
        let same = changes.is_empty() && sequence == found.applied.sequence && !found.applied.partial && stays;
        if task.kind == TaskKind::Reconcile && same {
            self.task_ended(resource, Ok(false), step);
            return self.advance(now, resource, step);
        }
        let events = sequence.saturating_sub(found.applied.sequence);
        let write = Write { resource: resource.clone(), from: found.applied, to, changes };
        self.outgoing(resource, Outgoing { write, events, first: 0 });
    }

    /// The resource cannot be written anew here: an event of it is in the graph, and cannot be applied by this process. Whoever
    /// asked for a task is told; a lane that cannot go on without is parked there, and shows what it did.
    fn cannot_follow(
        &mut self,
        now: Millis,
        resource: &EntityId,
        applied: Applied,
        poison: &Poison,
        step: &mut LanesStep,
    ) {
        let Poison { sequence, why } = poison;
        let why = format!("event {sequence} is in the graph and cannot be applied here, but by another release: {why}");
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        if lane.tasks.front().is_some_and(|task| task.owner != Owner::Nobody) {
            self.leave_out(resource, &why, step);
            return self.advance(now, resource, step);
        }
        lane.tasks.pop_front();
        lane.on_task = false;
        self.stand_still(now, resource, applied, Poison { sequence: *sequence, why }, step);
    }

    /// Writes down what stands in the way, unless that is known.
    fn stand_still(
        &mut self,
        now: Millis,
        resource: &EntityId,
        applied: Applied,
        poison: Poison,
        step: &mut LanesStep,
    ) {
        if applied.poison.as_ref().is_some_and(|known| known.sequence == poison.sequence) {
            let lane = self.lanes.get_mut(resource).expect("just looked at");
            lane.retry = false;
            if lane.tasks.is_empty() {
                // Whichever log the mark is of, this is of the one that is read.
                return self.park(resource, poison, step);
            }
            return self.advance(now, resource, step);
        }
        let first = poison.sequence;
        let to = Applied { poison: Some(poison), ..applied.clone() };
        let write = Write { resource: resource.clone(), from: applied, to, changes: Vec::new() };
        self.outgoing(resource, Outgoing { write, events: 0, first });
    }

    /// What a task wrote is in the graph.
    pub(super) fn task_done(&mut self, resource: &EntityId, written: &Write, step: &mut LanesStep) {
        let task = self.lanes[resource].tasks.front().expect("a task has written");
        step.marks.push(match task.kind {
            TaskKind::Rebuild | TaskKind::Edges(_) => Mark::Rebuilt(resource.clone()),
            TaskKind::Nodes(_) => Mark::NodeMade(resource.clone()),
            TaskKind::Reconcile => Mark::Healed(resource.clone()),
        });
        self.task_ended(resource, Ok(!written.changes.is_empty()), step);
    }

    /// The first task cannot be done, and will not be by itself. It is over, and somebody is told; unless it is
    /// nobody's but the lane's own, which cannot do without.
    pub(super) fn leave_out(&mut self, resource: &EntityId, why: &str, step: &mut LanesStep) {
        let lane = self.lanes.get_mut(resource).expect("a lane that failed exists");
        if lane.tasks.front().is_some_and(|task| task.owner != Owner::Nobody) {
            lane.attempts = 0;
            step.marks.push(Mark::LeftOut(resource.clone()));
            self.task_ended(resource, Err(why.to_owned()), step);
        }
    }

    /// A task is over: whether it found a difference, or why it was not done.
    fn task_ended(&mut self, resource: &EntityId, outcome: Result<bool, String>, step: &mut LanesStep) {
        let lane = self.lanes.get_mut(resource).expect("just looked at");
        let task = lane.tasks.pop_front().expect("a task has ended");
        match task.owner {
            Owner::Nobody => {}
            Owner::Campaign => self.campaign_worked(resource, task.kind, outcome),
            Owner::Request(request) => {
                let differing = u64::from(outcome == Ok(true));
                let left_out = outcome.err().map(|why| LeftOut { resource: resource.clone(), why });
                let (failed, left_out) = (u64::from(left_out.is_some()), left_out.into_iter().collect());
                step.reply(request, Answer::Ended(Ended { resources: 1, differing, failed, left_out }));
            }
        }
    }

    /// The log has an event of the stream damaged: right behind what was read of it.
    ///
    /// Whoever asked for a task is told. A lane that cannot go on is parked, as it is for an event that cannot be
    /// applied: others do not wait for it.
    pub(super) fn stream_damaged(&mut self, now: Millis, resource: &EntityId, why: &str, step: &mut LanesStep) {
        step.marks.push(Mark::StreamDamaged(resource.clone()));
        let lane = self.lanes.get_mut(resource).expect("a lane that reads is not forgotten");
        let applied = lane.applied.clone().expect("the mark is read before the log");
        let mut sequence = applied.sequence + 1;
        if lane.on_task {
            let task = lane.tasks.front().expect("the task that was read for");
            if task.owner != Owner::Nobody {
                self.leave_out(resource, why, step);
                return self.advance(now, resource, step);
            }
            sequence = task.gathered.as_ref().expect("the graph is read before the log").sequence + 1;
            lane.tasks.pop_front();
            lane.on_task = false;
        }
        self.stand_still(now, resource, applied, Poison { sequence, why: why.to_owned() }, step);
    }
}
