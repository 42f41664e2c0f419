//! A mark tells the truth whenever it is written.

use graph::{EntityId, Snapshot};

use super::super::CoordinatorRecord;
use super::{Before, Harmed, Moment, Scene, difference};
use crate::check::{Checker, Verdict, Violation};
use crate::system::projection::picture::Picture;

/// At every moment, what is a resource's own is what its stream says up to its mark: every event up to it is there, and none
/// behind it. A mark never goes back, in sequence or generation. Between the two passes of
/// a rebuild nothing is missing: whoever reads sees the old graph, or the new one.
#[derive(Clone, Copy, Debug)]
pub struct MarkSoundness;

impl Checker<CoordinatorRecord> for MarkSoundness {
    fn name(&self) -> &'static str {
        "mark_soundness"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict::default();
        let mut harmed = Harmed::default();
        scene.walk(|moment, before, picture| {
            let shows = |resource: &EntityId| {
                let mark = picture.marks.get(resource).cloned().unwrap_or_default();
                let own = picture.own.get(resource).cloned().unwrap_or_default();
                (mark.clone(), scene.said(resource, mark.sequence), own)
            };
            harmed.notice(&moment.sighting, |resource| {
                let (mark, said, own) = shows(resource);
                mark.sequence <= scene.logged(resource) && said.own == own
            });
            for resource in moment.sighting.touched() {
                let (mark, said, own) = shows(resource);
                if harmed.contains(resource) {
                    continue;
                }
                verdict.checked += 1;
                // Between the passes of a rebuild there may be a node more, and nothing less.
                let is_right = if mark.partial { has_all(&own, &said.own) } else { said.own == own };
                if !is_right {
                    verdict.violations.push(
                        Violation::new(self.name(), "a mark says what is not in the graph")
                            .at_step(moment.step)
                            .at_ms(moment.at_ms)
                            .expected(format!("{resource} as its first {} events make it", mark.sequence))
                            .actual("something else:")
                            .details(difference(&said.own, &own)),
                    );
                }
            }
            went_back(&scene, moment, before, picture, &mut verdict, self.name());
        });
        verdict.violations.truncate(1);
        verdict
    }
}

/// Whether a graph has all that another has.
fn has_all(own: &Snapshot, said: &Snapshot) -> bool {
    said.nodes().iter().all(|node| own.nodes().contains(node))
        && said.edges().iter().all(|edge| own.edges().contains(edge))
}

fn went_back(
    scene: &Scene<'_>,
    moment: &Moment,
    before: &Before,
    picture: &Picture,
    verdict: &mut Verdict,
    property: &str,
) {
    if moment.sighting.by_hand {
        return;
    }
    // A mark that says more than there is was made by nobody but a hand, and has to go back.
    for (resource, before) in before.marks.iter().filter(|(resource, mark)| mark.sequence <= scene.logged(resource)) {
        let after = &picture.marks[resource];
        if after.sequence < before.sequence || after.generation < before.generation {
            verdict.violations.push(
                Violation::new(property, "a mark went back")
                    .at_step(moment.step)
                    .at_ms(moment.at_ms)
                    .expected(format!("{resource} at {} of generation {}", before.sequence, before.generation))
                    .actual(format!("{} of generation {}", after.sequence, after.generation)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Tale, caught, passed};
    use super::*;

    #[test]
    fn a_mark_that_is_ahead_of_its_effect_is_caught() {
        caught(&MarkSoundness, "a mark says what is not in the graph", |tale| {
            let first = tale.first();
            tale.archive_without_effect(&first);
        });
    }

    #[test]
    fn an_effect_that_is_ahead_of_its_mark_is_caught() {
        caught(&MarkSoundness, "a mark says what is not in the graph", |tale| {
            let first = tale.first();
            tale.archive_without_mark(&first);
        });
    }

    #[test]
    fn a_rebuild_that_clears_is_caught_between_its_passes() {
        let partial = |tale: &Tale| {
            let mut shown = tale.shown.clone();
            shown.marks.get_mut(&tale.first()).unwrap().partial = true;
            shown
        };
        passed(&MarkSoundness, |tale| tale.see(partial(tale), false));
        caught(&MarkSoundness, "a mark says what is not in the graph", |tale| {
            let mut shown = partial(tale);
            shown.own.remove(&tale.first());
            tale.see(shown, false);
        });
    }

    #[test]
    fn a_mark_that_goes_back_is_caught() {
        caught(&MarkSoundness, "a mark went back", |tale| {
            let first = tale.first();
            let mut before = tale.shown.clone();
            before.marks.get_mut(&first).unwrap().sequence -= 1;
            let sequence = before.marks[&first].sequence;
            let said = tale.said(&first, sequence);
            before.own.insert(first, said);
            tale.see(before, false);
        });
    }

    #[test]
    fn what_was_done_by_hand_is_nobodys_fault_until_it_is_put_right() {
        passed(&MarkSoundness, |tale| {
            let (first, right) = (tale.first(), tale.shown.clone());
            let mut harmed = right.clone();
            harmed.own.remove(&first);
            tale.see(harmed, true);
            tale.see(right, false);
        });
        caught(&MarkSoundness, "a mark says what is not in the graph", |tale| {
            let (first, right) = (tale.first(), tale.shown.clone());
            let mut harmed = right.clone();
            harmed.own.remove(&first);
            tale.see(harmed.clone(), true);
            tale.see(right, false);
            tale.see(harmed, false);
        });
    }
}
