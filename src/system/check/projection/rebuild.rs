//! What was rebuilt is what a replay of the log makes.

use std::collections::BTreeMap;

use graph::EntityId;

use super::super::CoordinatorRecord;
use super::{Before, Moment, Scene, difference, without_node};
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::operation::{Op, Ret};
use crate::system::projection::picture::Picture;

/// A resource that comes out of a rebuild is what its stream says up to its mark, which did not go back. A rebuild that says
/// that it has ended, and failed nowhere, has raised the generation of all that it was asked for, and made them whole.
///
/// A rebuild of all comes by every resource twice. The first time it writes the resource's node and no edge, nor anything that
/// has one; and nothing is taken away.
#[derive(Clone, Copy, Debug)]
pub struct Rebuild;

impl Checker<CoordinatorRecord> for Rebuild {
    fn name(&self) -> &'static str {
        "rebuild_equals_replay"
    }

    fn applies(&self, record: &CoordinatorRecord) -> bool {
        record.plan.clients.iter().flat_map(|client| &client.steps).any(|step| matches!(step.op, Op::Rebuild(_)))
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict::default();
        scene.walk(|moment, before, picture| {
            self.judge_first_pass(moment, before, picture, &mut verdict);
            for (resource, before) in before.marks.iter().filter(|_| !moment.sighting.by_hand) {
                let mark = &picture.marks[resource];
                let rebuilt = mark.generation > before.generation || before.partial;
                if !rebuilt || mark.partial || before.sequence > scene.logged(resource) {
                    continue;
                }
                verdict.checked += 1;
                let (said, own) = (scene.said(resource, mark.sequence), picture.own.get(resource).cloned());
                let own = own.unwrap_or_default();
                if said.own != own {
                    verdict.violations.push(
                        Violation::new(self.name(), "a rebuild made something else than a replay does")
                            .at_step(moment.step)
                            .at_ms(moment.at_ms)
                            .expected(format!("{resource} as its first {} events make it", mark.sequence))
                            .actual("something else:")
                            .details(difference(&said.own, &own)),
                    );
                }
                if mark.sequence < before.sequence {
                    verdict.violations.push(
                        Violation::new(self.name(), "a rebuild lost what was applied")
                            .at_step(moment.step)
                            .at_ms(moment.at_ms)
                            .expected(format!("{resource} at {} or behind", before.sequence))
                            .actual(mark.sequence.to_string()),
                    );
                }
            }
        });
        self.judge_answers(&scene, &mut verdict);
        verdict.violations.truncate(1);
        verdict
    }
}

impl Rebuild {
    /// A resource is partial, and of a higher generation, from the transaction on in which the first pass came by it.
    fn judge_first_pass(&self, moment: &Moment, before: &Before, picture: &Picture, verdict: &mut Verdict) {
        if moment.sighting.by_hand {
            return;
        }
        for (resource, old) in &before.marks {
            let mark = &picture.marks[resource];
            if !mark.partial || mark.generation <= old.generation {
                continue;
            }
            verdict.checked += 1;
            let (Some(was), Some(is)) = (before.own.get(resource), picture.own.get(resource)) else { continue };
            if without_node(was, resource) != without_node(is, resource) {
                verdict.violations.push(
                    Violation::new(self.name(), "the first pass of a rebuild wrote more than a node")
                        .at_step(moment.step)
                        .expected(format!("nothing of {resource} but its node to change"))
                        .actual("more:")
                        .details(difference(was, is)),
                );
            }
        }
    }

    fn judge_answers(&self, scene: &Scene<'_>, verdict: &mut Verdict) {
        let events = scene.record.history.events();
        for (index, event) in events.iter().enumerate() {
            let EventKind::Ok(Ret::Ended(done)) = &event.kind else { continue };
            let asked = events[..index].iter().rfind(|before| before.op == event.op);
            let Some(asked) = asked.filter(|asked| matches!(asked.kind, EventKind::Invoke(Op::Rebuild(_)))) else {
                continue;
            };
            if done.ended.failed > 0 {
                continue;
            }
            let before = scene.at(asked.at.0.saturating_sub(1));
            if done.resource.is_none() && before.rebuilding {
                // It is the one that was under way already, and may have been to some.
                continue;
            }
            let newest = newest_whole(scene, asked.at.0, event.at.0);
            let meant = before.marks.iter().filter(|(id, _)| done.resource.as_ref().is_none_or(|one| one == *id));
            for (resource, old) in meant {
                verdict.checked += 1;
                let new = newest.get(resource).copied();
                if new.is_none_or(|new| new <= old.generation) {
                    verdict.violations.push(
                        Violation::new(self.name(), "a rebuild that ended did not rebuild")
                            .at_step(index as u64)
                            .expected(format!("{resource} of a generation above {}", old.generation))
                            .actual(new.map_or("nothing was written".to_owned(), |new| format!("generation {new}"))),
                    );
                }
            }
        }
    }
}

/// The highest generation that each resource had, whole, at some moment of these milliseconds. The graph may have forgotten
/// it since: that is no fault of whoever rebuilt.
fn newest_whole(scene: &Scene<'_>, from_ms: u64, to_ms: u64) -> BTreeMap<EntityId, u64> {
    let mut newest = BTreeMap::new();
    scene.walk(|moment, _, picture| {
        if moment.sighting.by_hand || !(from_ms..=to_ms).contains(&moment.at_ms) {
            return;
        }
        for resource in moment.sighting.marks.keys() {
            let mark = &picture.marks[resource];
            if !mark.partial {
                let newest = newest.entry(resource.clone()).or_default();
                *newest = mark.generation.max(*newest);
            }
        }
    });
    newest
}

#[cfg(test)]
mod tests {
    use graph::Snapshot;
    use projection::lanes::Ended;

    use super::super::fixture::{CASTS, Tale, caught, passed};
    use super::*;
    use crate::system::projection::operation::{Done, Whole};

    fn raised(tale: &Tale) -> Picture {
        let mut shown = tale.shown.clone();
        shown.marks.get_mut(&tale.first()).unwrap().generation += 1;
        shown
    }

    #[test]
    fn a_rebuild_that_clears_or_changes_a_resource_is_caught() {
        let key = "a rebuild made something else than a replay does";
        caught(&Rebuild, key, |tale| {
            let mut shown = raised(tale);
            shown.own.remove(&tale.first());
            tale.see(shown, false);
        });
        passed(&Rebuild, |tale| tale.see(raised(tale), false));
    }

    #[test]
    fn a_rebuild_that_forgets_live_events_is_caught() {
        caught(&Rebuild, "a rebuild lost what was applied", |tale| {
            let mut shown = raised(tale);
            let mark = shown.marks.get_mut(&tale.first()).unwrap();
            mark.sequence -= 1;
            let said = tale.said(&tale.first(), mark.sequence);
            shown.own.insert(tale.first(), said);
            tale.see(shown, false);
        });
    }

    #[test]
    fn a_first_pass_that_draws_or_cuts_an_edge_is_caught_and_one_that_makes_a_node_is_not() {
        let key = "the first pass of a rebuild wrote more than a node";
        // A hand has taken all of the first resource away; the first pass puts this much of it back.
        let first_pass = |tale: &mut Tale, back: &dyn Fn(&str) -> bool| {
            let (first, right) = (tale.first(), tale.shown.clone());
            let mut wiped = right.clone();
            wiped.own.remove(&first);
            tale.see(wiped.clone(), true);
            let whole = &right.own[&first];
            let nodes = whole.nodes().iter().filter(|node| back(&node.id)).cloned().collect();
            let edges = whole.edges().iter().filter(|edge| back(&edge.from)).cloned().collect();
            wiped.own.insert(first.clone(), Snapshot::new(nodes, edges));
            let mark = wiped.marks.get_mut(&first).unwrap();
            (mark.partial, mark.generation) = (true, mark.generation + 1);
            tale.see(wiped, false);
        };
        passed(&Rebuild, |tale| first_pass(tale, &|id| !id.contains('#')));
        caught(&Rebuild, key, |tale| first_pass(tale, &|_| true));
        caught(&Rebuild, key, |tale| {
            let mut shown = raised(tale);
            shown.marks.get_mut(&tale.first()).unwrap().partial = true;
            let own = &shown.own[&tale.first()];
            let without_edges = Snapshot::new(own.nodes().to_vec(), Vec::new());
            shown.own.insert(tale.first(), without_edges);
            tale.see(shown, false);
        });
    }

    #[test]
    fn a_rebuild_that_only_says_so_is_caught() {
        let rebuild = |tale: &mut Tale, raise: bool| {
            let ended = Ended { resources: 1, differing: 0, failed: 0, left_out: Vec::new() };
            let op = tale.run.invoke(Op::Rebuild(Whole { resource: Some(tale.first()), ..Whole::default() }));
            if raise {
                tale.see(raised(tale), false);
            }
            tale.run.ok(op, Ret::Ended(Box::new(Done { resource: Some(tale.first()), ended })));
        };
        passed(&Rebuild, |tale| rebuild(tale, true));
        caught(&Rebuild, "a rebuild that ended did not rebuild", |tale| rebuild(tale, false));
    }

    #[test]
    fn a_graph_that_forgets_a_rebuild_is_another_matter() {
        let rebuild = |tale: &mut Tale, raise: bool| {
            let op = tale.run.invoke(Op::Rebuild(Whole { resource: Some(tale.first()), ..Whole::default() }));
            let (before, mut other) = (tale.shown.clone(), tale.shown.clone());
            other.marks.get_mut(&tale.first()).unwrap().generation += u64::from(raise);
            other.position += 1;
            tale.see(other, false);
            tale.see(before, true);
            let ended = Ended { resources: 1, differing: 0, failed: 0, left_out: Vec::new() };
            tale.run.ok(op, Ret::Ended(Box::new(Done { resource: Some(tale.first()), ended })));
        };
        passed(&Rebuild, |tale| rebuild(tale, true));
        caught(&Rebuild, "a rebuild that ended did not rebuild", |tale| rebuild(tale, false));
    }

    #[test]
    fn a_run_without_a_rebuild_proves_nothing() {
        let mut tale = Tale::empty(CASTS[0]);
        tale.write(&tale.first(), "created");
        tale.apply(&tale.first());
        assert!(Rebuild.check(&tale.record()).is_vacuous());
    }
}
