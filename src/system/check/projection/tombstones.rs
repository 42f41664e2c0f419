//! What was removed stays removed, until it is added again.

use std::collections::BTreeMap;

use graph::{EntityId, Value};
use projection::event::{Content, Payload};

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::system::operation::Op;
use crate::system::projection::event::Happening;

/// An annotation that was removed, by the log or by a tombstone that was seen, is seen again only once an event behind the
/// removal adds it.
#[derive(Clone, Copy, Debug)]
pub struct Tombstones;

impl Checker<CoordinatorRecord> for Tombstones {
    fn name(&self) -> &'static str {
        "tombstones"
    }

    fn applies(&self, record: &CoordinatorRecord) -> bool {
        let mut steps = record.plan.clients.iter().flat_map(|client| &client.steps);
        steps.any(|step| match &step.op {
            Op::Append(append) => append.events.iter().any(|event| matches!(event, Happening::Removed(_))),
            _ => false,
        })
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict::default();
        // Of what was removed, as tombstones or the log say, by its resource and its id: the sequence that removed it.
        let mut removed: BTreeMap<(EntityId, String), u64> = BTreeMap::new();
        scene.walk(|moment, _, picture| {
            let mark = |resource: &EntityId| picture.marks.get(resource).map_or(0, |mark| mark.sequence);
            if moment.sighting.by_hand {
                // A graph that has forgotten the removal has not taken it back.
                let forgotten =
                    |resource: &EntityId, at: u64| moment.sighting.marks.contains_key(resource) && mark(resource) < at;
                removed.retain(|(resource, _), at| !forgotten(resource, *at));
                return;
            }
            // Between the passes of a rebuild there may be more than there should be.
            let is_partial = |resource: &EntityId| picture.marks.get(resource).is_some_and(|mark| mark.partial);
            for (resource, own) in moment.sighting.own.iter().filter(|(resource, _)| !is_partial(resource)) {
                for tombstone in own.nodes().iter().filter(|node| node.labels.contains("Tombstone")) {
                    let sequence = tombstone.properties.get("seq").and_then(Value::as_int).unwrap_or(0);
                    removed.insert((resource.clone(), tombstone.id.clone()), sequence.unsigned_abs());
                }
                let stream = scene.streams.get(resource).map_or(&[][..], Vec::as_slice);
                for event in stream.iter().take_while(|event| event.position.sequence <= mark(resource)) {
                    if let Content::Known(Payload::AnnotationRemoved(id)) = &event.content {
                        let at = removed.entry((resource.clone(), format!("{resource}#{id}"))).or_default();
                        *at = event.position.sequence.max(*at);
                    }
                }
                removed.retain(|(of, id), at| {
                    if of != resource {
                        return true;
                    }
                    verdict.checked += 1;
                    if !own.nodes().iter().any(|node| node.id == *id && node.labels.contains("Annotation")) {
                        return true;
                    }
                    let added_again = stream.iter().any(|event| {
                        let behind = event.position.sequence > *at && event.position.sequence <= mark(resource);
                        behind && adds(&event.content, resource.as_str(), id)
                    });
                    if !added_again {
                        verdict.violations.push(
                            Violation::new(self.name(), "what was removed came back")
                                .at_step(moment.step)
                                .at_ms(moment.at_ms)
                                .expected(format!("no annotation {id}: event {at} removed it"))
                                .actual(format!("it is there at {}, and nothing added it since", mark(resource))),
                        );
                    }
                    false
                });
            }
        });
        verdict.violations.truncate(1);
        verdict
    }
}

/// Whether the event adds the annotation of this node.
fn adds(content: &Content, resource: &str, id: &str) -> bool {
    let Content::Known(Payload::AnnotationAdded(annotation)) = content else { return false };
    id.split_once('#') == Some((resource, annotation.id.as_str()))
}

#[cfg(test)]
mod tests {
    use graph::Snapshot;

    use super::super::fixture::{CASTS, Tale, caught, passed};
    use super::*;

    #[test]
    fn what_comes_back_by_itself_is_caught() {
        caught(&Tombstones, "what was removed came back", |tale| {
            let first = tale.first();
            tale.write(&first, "remove");
            tale.apply(&first);
            let dead = tale.shown.clone();
            let alive = tale.said(&first, dead.marks[&first].sequence - 1);
            let mut resurrected = dead;
            resurrected.own.insert(first, alive);
            tale.see(resurrected, false);
        });
    }

    #[test]
    fn what_was_removed_in_one_step_and_stayed_is_caught() {
        let removed_at_once = |tale: &mut Tale, stays: bool| {
            let first = tale.first();
            let alive = tale.shown.own[&first].clone();
            tale.write(&first, "remove");
            tale.write(&first, "archived");
            let mut shown = tale.shown.clone();
            let sequence = shown.marks[&first].sequence + 2;
            shown.marks.get_mut(&first).unwrap().sequence = sequence;
            let kept = if stays { alive } else { tale.said(&first, sequence) };
            shown.own.insert(first.clone(), Snapshot::default());
            tale.see(shown.clone(), true);
            shown.own.insert(first, kept);
            tale.see(shown, false);
        };
        passed(&Tombstones, |tale| removed_at_once(tale, false));
        caught(&Tombstones, "what was removed came back", |tale| removed_at_once(tale, true));
    }

    #[test]
    fn a_graph_that_forgets_a_removal_is_another_matter() {
        let forget = |tale: &mut Tale, by_hand: bool| {
            let first = tale.first();
            tale.write(&first, "remove");
            let alive = tale.shown.clone();
            tale.apply(&first);
            tale.see(alive.clone(), by_hand);
            let mut rebuilt = alive;
            rebuilt.marks.get_mut(&first).unwrap().generation += 1;
            rebuilt.own.insert(first.clone(), tale.said(&first, 5));
            tale.see(rebuilt, false);
        };
        passed(&Tombstones, |tale| forget(tale, true));
        caught(&Tombstones, "what was removed came back", |tale| forget(tale, false));
    }

    #[test]
    fn a_run_in_which_nothing_was_removed_proves_nothing() {
        let mut tale = Tale::empty(CASTS[0]);
        for what in ["created", "annotated"] {
            tale.write(&tale.first(), what);
            tale.apply(&tale.first());
        }
        assert!(Tombstones.check(&tale.record()).is_vacuous());
    }
}
