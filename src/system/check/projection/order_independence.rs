//! The order in which streams come does not matter.

use std::collections::BTreeSet;

use super::super::CoordinatorRecord;
use super::{Harmed, Scene};
use crate::check::{Checker, Verdict, Violation};
use crate::system::projection::picture::Picture;

/// At every moment the graph follows from how far each stream has been applied, and from nothing else: with what is each
/// resource's own (see [`MarkSoundness`](super::MarkSoundness)), there is a stub for whatever is linked to and was not created
/// yet, and for nothing else. So it cannot matter which of two resources came first.
#[derive(Clone, Copy, Debug)]
pub struct OrderIndependence;

impl Checker<CoordinatorRecord> for OrderIndependence {
    fn name(&self) -> &'static str {
        "order_independence"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict::default();
        let (mut harmed, mut stubs_harmed) = (Harmed::default(), false);
        scene.walk(|moment, _, picture| {
            harmed.notice(&moment.sighting, |resource| {
                let mark = picture.marks.get(resource).cloned().unwrap_or_default();
                let own = picture.own.get(resource).cloned().unwrap_or_default();
                !mark.partial && scene.said(resource, mark.sequence).own == own
            });
            stubs_harmed |= moment.sighting.by_hand;
            let expected = stubs(&scene, picture);
            if expected == picture.stubs {
                stubs_harmed = false;
            }
            let partial = picture.marks.values().any(|mark| mark.partial);
            if stubs_harmed || !harmed.0.is_empty() || partial {
                return;
            }
            verdict.checked += 1;
            if expected != picture.stubs {
                let marks: Vec<String> =
                    picture.marks.iter().map(|(resource, mark)| format!("{resource} at {}", mark.sequence)).collect();
                verdict.violations.push(
                    Violation::new(self.name(), "the stubs do not follow from the marks")
                        .at_step(moment.step)
                        .at_ms(moment.at_ms)
                        .expected(format!("stubs {expected:?}"))
                        .actual(format!("{:?}", picture.stubs))
                        .details(marks),
                );
            }
        });
        verdict.violations.truncate(1);
        verdict
    }
}

/// What has to be a stub when each stream has been applied up to its mark.
fn stubs(scene: &Scene<'_>, picture: &Picture) -> BTreeSet<String> {
    let (mut linked, mut created) = (BTreeSet::new(), BTreeSet::new());
    for (resource, mark) in &picture.marks {
        let said = scene.said(resource, mark.sequence);
        linked.extend(said.links.iter().cloned());
        if said.created {
            created.insert(resource.to_string());
        }
    }
    linked.difference(&created).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::caught;
    use super::*;

    #[test]
    fn a_stub_that_depends_on_who_came_first_is_caught() {
        let key = "the stubs do not follow from the marks";
        caught(&OrderIndependence, key, |tale| {
            let mut shown = tale.shown.clone();
            shown.stubs.clear();
            tale.see(shown, false);
        });
        caught(&OrderIndependence, key, |tale| {
            let mut shown = tale.shown.clone();
            shown.stubs.insert(tale.first().to_string());
            tale.see(shown, false);
        });
    }
}
