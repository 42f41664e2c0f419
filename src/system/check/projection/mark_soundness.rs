//! A mark tells the truth whenever it is written.

use graph::{EntityId, Snapshot};

use super::super::CoordinatorRecord;
use super::{Before, Harmed, Moment, Scene, difference, without_node};
use crate::check::{Checker, Verdict, Violation};
use crate::system::projection::picture::Picture;

/// At every moment, what is a resource's own is what its stream says up to its mark: every event up to it is there, and none
/// behind it. A mark never goes back, in sequence or generation. Between the two passes of a rebuild the same holds but for
/// the resource's node, which may be there early: nothing is missing, and no edge, annotation or tombstone is of a later event.
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
                if said.own != own && !(mark.partial && has_its_node_early(&scene, resource, mark.sequence, &own)) {
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

/// Whether a resource is as its stream says up to this sequence, but for its node, which that does not have yet: it is there
/// as some later event leaves it. So the first pass of a rebuild writes it.
fn has_its_node_early(scene: &Scene<'_>, resource: &EntityId, sequence: u64, own: &Snapshot) -> bool {
    let said = scene.said(resource, sequence);
    let node = |own: &Snapshot| own.nodes().iter().find(|node| node.id == resource.as_str()).cloned();
    let mut later = sequence + 1..=scene.logged(resource);
    !said.created
        && without_node(own, resource) == said.own
        && later.any(|later| node(&scene.said(resource, later).own) == node(own))
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
    use graph::{Edge, Node};

    use super::super::fixture::{Tale, caught, passed};
    use super::*;
    use crate::system::projection::picture::Mark;

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

    /// The first pass of a rebuild has come by a resource of which nothing was applied, and has put down these of its nodes,
    /// with the edges that leave them.
    fn early(tale: &mut Tale, these: impl Fn(&Node) -> bool) {
        let late = tale.written_and_not_applied();
        let whole = tale.said(&late, 2);
        let nodes: Vec<Node> = whole.nodes().iter().filter(|node| these(node)).cloned().collect();
        let has = |id: &str| nodes.iter().any(|node| node.id == id);
        let edges = whole.edges().iter().filter(|edge| has(&edge.from)).cloned().collect();
        let mut shown = tale.shown.clone();
        shown.own.insert(late.clone(), Snapshot::new(nodes, edges));
        shown.marks.insert(late, Mark { partial: true, generation: 1, ..Mark::default() });
        tale.see(shown, false);
    }

    #[test]
    fn between_the_passes_of_a_rebuild_a_node_may_be_early_and_nothing_else() {
        let is_resource = |node: &Node| node.labels.contains("Resource");
        passed(&MarkSoundness, |tale| early(tale, is_resource));
        caught(&MarkSoundness, "a mark says what is not in the graph", |tale| early(tale, |_| true));
        caught(&MarkSoundness, "a mark says what is not in the graph", |tale| early(tale, |node| !is_resource(node)));
    }

    #[test]
    fn a_node_that_no_event_makes_is_caught_between_the_passes_as_well() {
        caught(&MarkSoundness, "a mark says what is not in the graph", |tale| {
            early(tale, |node| node.labels.contains("Resource"));
            let late = tale.late();
            let mut shown = tale.shown.clone();
            let mut nodes = shown.own[&late].nodes().to_vec();
            nodes[0].properties.insert("name".to_owned(), "another".into());
            shown.own.insert(late, Snapshot::new(nodes, Vec::new()));
            tale.see(shown, false);
        });
    }

    #[test]
    fn between_the_passes_of_a_rebuild_what_is_applied_is_there_and_no_edge_more() {
        caught(&MarkSoundness, "a mark says what is not in the graph", |tale| {
            let first = tale.first();
            let mut shown = tale.shown.clone();
            shown.marks.get_mut(&first).unwrap().partial = true;
            let own = &shown.own[&first];
            let mut edges = own.edges().to_vec();
            let link = edges.iter().find(|edge| edge.kind.as_str() == "REFERENCES").expect("it links").clone();
            edges.push(Edge { to: first.as_str().to_owned(), ..link });
            shown.own.insert(first, Snapshot::new(own.nodes().to_vec(), edges));
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
