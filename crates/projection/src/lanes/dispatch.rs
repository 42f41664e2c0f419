//! Which of the lanes that wait go on, and which of them share a transaction.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use graph::EntityId;

use super::core::{Lanes, LanesStep, StepExt};
use super::lane::{Caution, Lane, Stage, TaskKind};
use super::messages::{Action, EffectId, Mark, Parts, Want, Write};
use crate::fold::{self, Part};

impl Lanes {
    /// Begins effects as long as there is room: of each kind in turn, so that none waits for ever.
    pub(super) fn dispatch(&mut self, step: &mut LanesStep) {
        loop {
            let before = self.under_way();
            if self.has_room() && !self.applies.is_empty() {
                self.dispatch_apply(step);
            }
            if self.has_room() && !self.fetches.is_empty() {
                self.dispatch_fetch(step);
            }
            if self.has_room() && !self.loads.is_empty() {
                self.dispatch_load(step);
            }
            if self.under_way() == before {
                return;
            }
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.loading.len() + self.applying.len() + self.fetching
    }

    fn has_room(&self) -> bool {
        self.under_way() < self.config.effects_max
    }

    fn dispatch_apply(&mut self, step: &mut LanesStep) {
        let resources = batch(&mut self.applies, &self.lanes, self.config.batch_lanes_max);
        let write = |resource: &EntityId| -> Write {
            let lane = self.lanes.get_mut(resource).expect("a lane that waits is not forgotten");
            let stage = std::mem::take(&mut lane.stage);
            let Stage::Apply(outgoing) = stage else { panic!("{resource} is to write while {stage:?}") };
            let write = outgoing.write.clone();
            lane.stage = Stage::Applying(outgoing);
            write
        };
        let writes: Vec<Write> = resources.iter().map(write).collect();
        if writes.len() > 1 {
            step.marks.push(Mark::Batched(writes.len()));
        }
        let slot = free(&self.applying);
        self.applying.insert(slot, resources);
        let since = self.projection.as_ref().expect("nothing is written before").since;
        step.act(EffectId::Apply(slot), Action::Apply { since, writes });
    }

    fn dispatch_load(&mut self, step: &mut LanesStep) {
        let resources = batch(&mut self.loads, &self.lanes, self.config.batch_lanes_max);
        let run_max = self.config.run_max;
        let want = |resource: &EntityId| -> Want {
            let lane = self.lanes.get_mut(resource).expect("a lane that waits is not forgotten");
            let stage = std::mem::take(&mut lane.stage);
            assert_eq!(stage, Stage::Load, "{resource} is to read");
            let next = lane.buffer.values().take(run_max).filter_map(|event| fold::touches(event));
            let (parts, wanted) = match lane.tasks.front().filter(|_| lane.on_task).map(|task| task.kind) {
                None => {
                    let parts: BTreeSet<Part> = next.collect();
                    (parts.clone(), Parts::Some(parts))
                }
                Some(TaskKind::Nodes(_)) => (BTreeSet::new(), Parts::Some(BTreeSet::new())),
                Some(_) => (BTreeSet::new(), Parts::All),
            };
            lane.stage = Stage::Loading { parts };
            Want { resource: resource.clone(), parts: wanted }
        };
        let wants = resources.iter().map(want).collect();
        let slot = free(&self.loading);
        self.loading.insert(slot, resources);
        step.act(EffectId::Load(slot), Action::Load { wants });
    }

    fn dispatch_fetch(&mut self, step: &mut LanesStep) {
        let resource = self.fetches.pop_front().expect("somebody waits");
        let lane = self.lanes.get_mut(&resource).expect("a lane that waits is not forgotten");
        let stage = std::mem::replace(&mut lane.stage, Stage::Fetching);
        let Stage::Fetch { after } = stage else { panic!("{resource} is to fetch while {stage:?}") };
        self.fetching += 1;
        let limit = self.config.page.min(self.config.buffer_max);
        step.act(EffectId::Fetch(resource.clone()), Action::Fetch { resource, after, limit });
    }
}

/// The first that wait and may share a transaction; or the first alone, if it is to be alone.
fn batch(queue: &mut VecDeque<EntityId>, lanes: &BTreeMap<EntityId, Lane>, max: usize) -> Vec<EntityId> {
    let shares = |resource: &EntityId| lanes[resource].caution == Caution::None;
    let first = queue.pop_front().expect("somebody waits");
    let mut batch = vec![first];
    if shares(&batch[0]) {
        while batch.len() < max && queue.front().is_some_and(shares) {
            batch.extend(queue.pop_front());
        }
    }
    batch
}

/// The lowest number that is not in use.
fn free(slots: &BTreeMap<usize, Vec<EntityId>>) -> usize {
    (0..).find(|slot| !slots.contains_key(slot)).expect("few are in use")
}
