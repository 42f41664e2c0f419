//! What was removed stays removed, until it is added again.

use std::collections::BTreeMap;

use graph::Value;
use projection::event::{Content, Payload};

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::system::projection::picture::Picture;

/// An annotation of which a tombstone was seen is seen again only once an event behind the removal adds it.
#[derive(Clone, Copy, Debug)]
pub struct Tombstones;

impl Checker<CoordinatorRecord> for Tombstones {
    fn name(&self) -> &'static str {
        "tombstones"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict { checked: scene.moments.len() as u64, ..Verdict::default() };
        // By the node's id: the sequence that removed it.
        let mut removed: BTreeMap<String, u64> = BTreeMap::new();
        scene.walk(|moment, _, picture| {
            for (resource, own) in moment.sighting.own.iter().filter(|_| !moment.sighting.by_hand) {
                let mark = picture.marks.get(resource).map_or(0, |mark| mark.sequence);
                for node in own.nodes() {
                    if node.labels.contains("Tombstone") {
                        let sequence = node.properties.get("seq").and_then(Value::as_int).unwrap_or(0);
                        removed.insert(node.id.clone(), sequence.unsigned_abs());
                    }
                    let Some(at) = removed.get(&node.id).filter(|_| node.labels.contains("Annotation")) else {
                        continue;
                    };
                    verdict.checked += 1;
                    let stream = scene.streams.get(resource).map_or(&[][..], Vec::as_slice);
                    let added_again = stream.iter().any(|event| {
                        let behind = event.position.sequence > *at && event.position.sequence <= mark;
                        behind && adds(&event.content, resource.as_str(), &node.id)
                    });
                    if !added_again {
                        verdict.violations.push(
                            Violation::new(self.name(), "what was removed came back")
                                .at_step(moment.step)
                                .expected(format!("no annotation {}: event {at} removed it", node.id))
                                .actual(format!("it is there at {mark}, and nothing added it since")),
                        );
                    }
                }
                removed.retain(|id, _| !is_annotation(picture, resource, id));
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

fn is_annotation(picture: &Picture, resource: &graph::EntityId, id: &str) -> bool {
    let own = picture.own.get(resource);
    own.is_some_and(|own| own.nodes().iter().any(|node| node.id == id && node.labels.contains("Annotation")))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::caught;
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
}
