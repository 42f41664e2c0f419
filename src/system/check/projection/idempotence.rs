//! What was applied once is not applied again.

use std::collections::BTreeMap;

use graph::{EntityId, Snapshot};

use super::super::CoordinatorRecord;
use super::{Harmed, Scene, difference};
use crate::check::{Checker, Verdict, Violation};
use crate::system::projection::picture::Mark;

/// While its mark stays where it is, nothing of a resource changes: not by an event that comes again, at once or long after,
/// not by a process that repeats what another has done, and not by what is done to its neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Idempotence;

impl Checker<CoordinatorRecord> for Idempotence {
    fn name(&self) -> &'static str {
        "idempotence"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict::default();
        let mut harmed = Harmed::default();
        // How each resource was shown at each sequence.
        let mut shown: BTreeMap<(EntityId, u64), Snapshot> = BTreeMap::new();
        scene.walk(|moment, _, picture| {
            let at = |resource: &EntityId| {
                let mark = picture.marks.get(resource).cloned().unwrap_or_default();
                let own = picture.own.get(resource).cloned().unwrap_or_default();
                (mark, own)
            };
            let key = |resource: &EntityId, mark: &Mark| (resource.clone(), mark.sequence);
            harmed.notice(&moment.sighting, |resource| {
                let (mark, own) = at(resource);
                match shown.get(&key(resource, &mark)) {
                    Some(before) => *before == own,
                    None => scene.said(resource, mark.sequence).own == own,
                }
            });
            for resource in moment.sighting.touched() {
                let (mark, own) = at(resource);
                if harmed.contains(resource) || mark.partial {
                    continue;
                }
                verdict.checked += 1;
                let before = shown.entry(key(resource, &mark)).or_insert_with(|| own.clone());
                if *before != own {
                    verdict.violations.push(
                        Violation::new(self.name(), "a resource changed and its mark did not")
                            .at_step(moment.step)
                            .at_ms(moment.at_ms)
                            .expected(format!("{resource} as it was at {} before", mark.sequence))
                            .actual("something else:")
                            .details(difference(before, &own)),
                    );
                }
            }
        });
        // What follows is mostly the same once more.
        verdict.violations.truncate(1);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{caught, passed};
    use super::*;

    #[test]
    fn an_event_that_takes_effect_again_is_caught() {
        caught(&Idempotence, "a resource changed and its mark did not", |tale| {
            let first = tale.first();
            tale.archive_without_mark(&first);
        });
    }

    #[test]
    fn somebody_who_changes_it_by_hand_is_another_matter() {
        passed(&Idempotence, |tale| {
            let right = tale.shown.clone();
            let mut harmed = right.clone();
            harmed.own.remove(&tale.first());
            tale.see(harmed, true);
            tale.see(right, false);
        });
    }

    #[test]
    fn so_is_what_somebody_makes_by_hand_of_a_resource_that_was_never_shown() {
        passed(&Idempotence, |tale| {
            let right = tale.shown.clone();
            let mut harmed = right.clone();
            let own = harmed.own[&tale.first()].clone();
            harmed.own.insert(EntityId::new("nobody").expect("an id"), own);
            tale.see(harmed, true);
            tale.see(right, false);
        });
    }
}
