//! What became of effects.

use graph::{EntityId, Millis};

use super::core::{Lanes, LanesStep};
use super::lane::{Caution, Outgoing, Stage};
use super::messages::{Failure, Mark, Poison};

impl Lanes {
    /// A transaction was committed: the marks of all its lanes have moved.
    pub(super) fn applied(&mut self, now: Millis, slot: usize, step: &mut LanesStep) {
        let resources = self.applying.remove(&slot).expect("what was written was asked for");
        for resource in resources {
            let Outgoing { write, events, .. } = self.take_outgoing(&resource);
            let lane = self.lanes.get_mut(&resource).expect("a lane that writes is not forgotten");
            lane.attempts = 0;
            lane.caution = Caution::None;
            lane.condemned = None;
            if events > 0 {
                step.marks.push(Mark::Applied(resource.clone()));
            }
            if write.from.poison.is_some() && write.to.poison.is_none() {
                step.marks.push(Mark::Unparked(resource.clone()));
            }
            match write.to.poison {
                Some(_) => lane.retry = false,
                None => drop(self.parked.remove(&resource)),
            }
            if write.to.sequence < write.from.sequence {
                // It was ahead of the log, and what was heard of was the mark alone.
                lane.heard = lane.told();
            }
            lane.heard = lane.heard.max(write.to.sequence);
            lane.applied = Some(write.to.clone());
            if lane.on_task {
                self.task_done(&resource, &write, step);
            }
            self.advance(now, &resource, step);
        }
    }

    /// Nothing was written, or nobody knows. Either way the mark is read again before anything
    /// else, and what has to be done follows from that.
    pub(super) fn apply_failed(&mut self, now: Millis, slot: usize, failure: &Failure, step: &mut LanesStep) {
        let resources = self.applying.remove(&slot).expect("what failed was asked for");
        let together = resources.len() > 1;
        if *failure == Failure::Turned {
            self.turned_by_another();
        }
        for resource in resources {
            let outgoing = self.take_outgoing(&resource);
            let lane = self.lanes.get_mut(&resource).expect("a lane that writes is not forgotten");
            lane.applied = None;
            if *failure == Failure::Moved {
                // One of those that share the transaction: reading the mark tells whether it was this one's.
                lane.fenced_from = Some(outgoing.write.from.clone());
            }
            match failure {
                Failure::Unknown { .. } => {
                    // Perhaps one of them was slow: it must not make the others wait again.
                    lane.caution = lane.caution.max(Caution::Alone);
                    step.marks.push(Mark::Unknown(resource.clone()));
                    self.again(now, &resource, failure, step);
                }
                Failure::Moved | Failure::Refused { retryable: false, .. } if together => {
                    lane.caution = lane.caution.max(Caution::Alone);
                    step.marks.push(Mark::Separated(resource.clone()));
                    self.restart(now, &resource, step);
                }
                Failure::Moved => {
                    self.again(now, &resource, failure, step);
                }
                Failure::Turned => {
                    step.marks.push(Mark::Fenced(resource.clone()));
                    self.restart(now, &resource, step);
                }
                Failure::Refused { retryable: true, .. } => {
                    step.marks.push(Mark::Retried(resource.clone()));
                    self.again(now, &resource, failure, step);
                }
                Failure::Refused { reason, retryable: false } => {
                    self.refused(now, &resource, &outgoing, reason, failure, step);
                }
            }
        }
    }

    /// The graph refused for good what one lane wrote alone. If that was one event, it is the poison.
    fn refused(
        &mut self,
        now: Millis,
        resource: &EntityId,
        outgoing: &Outgoing,
        reason: &str,
        failure: &Failure,
        step: &mut LanesStep,
    ) {
        let lane = self.lanes.get_mut(resource).expect("a lane that writes is not forgotten");
        if lane.on_task {
            self.leave_out(resource, reason, step);
            return self.again(now, resource, failure, step);
        }
        match outgoing.events {
            // Not even the poison could be written next to the mark.
            0 => {}
            1 => lane.condemned = Some(Poison { sequence: outgoing.first, why: reason.to_owned() }),
            _ => lane.caution = Caution::Single,
        }
        if outgoing.events == 0 { self.again(now, resource, failure, step) } else { self.restart(now, resource, step) }
    }

    pub(super) fn load_failed(&mut self, now: Millis, slot: usize, failure: &Failure, step: &mut LanesStep) {
        let resources = self.loading.remove(&slot).expect("what failed was asked for");
        let together = resources.len() > 1;
        for resource in resources {
            let lane = self.lanes.get_mut(&resource).expect("a lane that reads is not forgotten");
            lane.stage = Stage::Idle;
            lane.applied = None;
            if !matches!(failure, Failure::Refused { retryable: true, .. }) && together {
                lane.caution = lane.caution.max(Caution::Alone);
                step.marks.push(Mark::Separated(resource.clone()));
            } else {
                step.marks.push(Mark::Retried(resource.clone()));
            }
            if let (Failure::Refused { reason, retryable: false }, true, false) = (failure, lane.on_task, together) {
                // What the graph has there is nothing that could be read.
                self.leave_out(&resource, reason, step);
            }
            self.again(now, &resource, failure, step);
        }
    }

    pub(super) fn fetch_failed(&mut self, now: Millis, resource: &EntityId, failure: &Failure, step: &mut LanesStep) {
        self.fetching -= 1;
        self.lanes.get_mut(resource).expect("a lane that reads is not forgotten").stage = Stage::Idle;
        if let Failure::Refused { reason, retryable: false } = failure {
            return self.stream_damaged(now, resource, reason, step);
        }
        step.marks.push(Mark::Retried(resource.clone()));
        self.again(now, resource, failure, step);
    }

    /// From the beginning, after a pause; without what it was for, if that has failed often enough.
    fn again(&mut self, now: Millis, resource: &EntityId, failure: &Failure, step: &mut LanesStep) {
        self.rest(now, resource);
        let lane = &self.lanes[resource];
        if lane.on_task && lane.attempts >= self.config.attempts_max {
            self.leave_out(resource, &failure.to_string(), step);
        }
        self.restart(now, resource, step);
    }

    /// From the beginning, unless it rests.
    fn restart(&mut self, now: Millis, resource: &EntityId, step: &mut LanesStep) {
        let lane = self.lanes.get_mut(resource).expect("a lane that failed exists");
        if let Some(task) = lane.tasks.front_mut() {
            task.gathered = None;
        }
        self.advance(now, resource, step);
    }

    fn take_outgoing(&mut self, resource: &EntityId) -> Outgoing {
        let lane = self.lanes.get_mut(resource).expect("a lane that writes is not forgotten");
        let stage = std::mem::take(&mut lane.stage);
        let Stage::Applying(outgoing) = stage else { panic!("{resource} was written while {stage:?}") };
        *outgoing
    }
}
