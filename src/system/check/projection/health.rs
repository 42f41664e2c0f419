//! What a projector says of itself is true.

use std::collections::BTreeMap;

use graph::EntityId;
use projection::event::system;

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::dump;
use crate::system::operation::{Op, Ret};
use crate::system::projection::operation::Said;
use crate::system::projection::picture::Picture;

/// What a projector says that it shows of a moment, it shows: everything that was acknowledged before. A low-water mark is
/// claimed only once every event up to it is in the graph, or parked, or behind one that is; and when everything has come to
/// rest, a projector that claims to be at the end of the log counts what is parked as it is. Resources that somebody has
/// harmed are left out until they are put right.
#[derive(Clone, Copy, Debug)]
pub struct Health;

impl Checker<CoordinatorRecord> for Health {
    fn name(&self) -> &'static str {
        "projection_health"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let (harms, mut verdict) = (scene.harms(), Verdict::default());
        let events = record.history.events();
        for (index, event) in events.iter().enumerate() {
            let EventKind::Ok(Ret::Said(said)) = &event.kind else { continue };
            let asked = events[..index].iter().rfind(|before| before.op == event.op).map_or(0, |asked| asked.at.0);
            let is_harmed = |resource: &EntityId| harms.touch(resource, asked, event.at.0);
            let picture = scene.at(event.at.0);
            verdict.violations.extend(
                self.late(&scene, said, asked, &picture, is_harmed, &mut verdict.checked)
                    .map(|violation| violation.at_step(index as u64)),
            );
            let Some(low_water) = said.low_water() else { continue };
            if let Some((position, place)) = missing(&scene, &picture, low_water, is_harmed, &mut verdict.checked) {
                verdict.violations.push(
                    Violation::new(self.name(), "a low-water mark is above what is in the graph")
                        .at_step(index as u64)
                        .expected(format!("event {place} at {position} in the graph, or parked, at {}", event.at))
                        .actual(format!("{} says that all up to {low_water} are", said.projector)),
                );
            }
        }
        self.at_rest(&scene, &mut verdict);
        verdict
    }
}

impl Health {
    /// What was acknowledged before the moment of which a projector says that it shows all, and is not in the graph when it
    /// has said so.
    fn late(
        &self,
        scene: &Scene<'_>,
        said: &Said,
        asked_ms: u64,
        picture: &Picture,
        is_harmed: impl Fn(&EntityId) -> bool,
        judged: &mut u64,
    ) -> Option<Violation> {
        let shown_ms = asked_ms.checked_sub(said.lag_ms()? + 1)?;
        let (mut appends, mut missing) = (BTreeMap::new(), None);
        for event in scene.record.history.events().iter().take_while(|event| event.at.0 <= shown_ms) {
            match &event.kind {
                EventKind::Invoke(Op::Append(append)) => drop(appends.insert(event.op, append)),
                EventKind::Ok(Ret::Appended(appended)) => {
                    let resource = appends[&event.op].resource.clone().unwrap_or_else(system);
                    if is_harmed(&resource) {
                        continue;
                    }
                    *judged += 1;
                    let mark = picture.marks.get(&resource).cloned().unwrap_or_default();
                    let parked = mark.parked.is_some_and(|parked| parked <= appended.last);
                    if mark.sequence < appended.last && !parked {
                        missing = Some((event.at.0, resource, appended.last));
                    }
                }
                _ => {}
            }
        }
        let (at_ms, resource, sequence) = missing?;
        Some(
            Violation::new(self.name(), "a lag is smaller than it is")
                .expected(format!("{resource} at {sequence}, which was written by {at_ms} ms"))
                .actual(format!("{} says that it shows all that was there at {shown_ms} ms", said.projector)),
        )
    }

    /// When everything has come to rest, a projector has read all of the log, and counts what stands still and what is a stub.
    fn at_rest(&self, scene: &Scene<'_>, verdict: &mut Verdict) {
        let Some(pages) = scene.record.dumps.get(dump::PROJECTORS) else { return };
        let (head, reference) = (scene.log.last().map_or(0, |stored| stored.position), scene.reference());
        let (parked, stubs) = (reference.poison.len() as u64, reference.stubs.len() as u64);
        for said in pages.lines().filter_map(|line| line.parse::<Said>().ok()) {
            verdict.checked += 1;
            let claims = (said.low_water(), said.parked(), said.stubs());
            if claims != (Some(head), Some(parked), Some(stubs)) {
                verdict.violations.push(
                    Violation::new(self.name(), "a projector at rest does not say how it is")
                        .expected(format!("all up to {head} applied, {parked} resources parked, {stubs} stubs"))
                        .actual(said.to_string()),
                );
            }
        }
    }
}

/// The first event up to this position that is neither in the graph nor parked.
fn missing(
    scene: &Scene<'_>,
    picture: &Picture,
    low_water: u64,
    is_harmed: impl Fn(&EntityId) -> bool,
    judged: &mut u64,
) -> Option<(u64, String)> {
    let up_to = scene.log.iter().take_while(|stored| stored.position <= low_water);
    let mut missing = up_to.filter(|stored| !is_harmed(&stored.event.position.resource)).filter(|stored| {
        *judged += 1;
        let place = &stored.event.position;
        let mark = picture.marks.get(&place.resource).cloned().unwrap_or_default();
        let parked = mark.parked.is_some_and(|parked| parked <= place.sequence);
        mark.sequence < place.sequence && !parked
    });
    missing.next().map(|stored| (stored.position, stored.event.position.to_string()))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::super::fixture::{Tale, caught, passed};
    use super::*;
    use crate::system::projection::event::Happening;
    use crate::system::projection::operation::{Append, Appended, Projector};

    /// The page of a projector.
    pub fn status(low_water: u64, parked: u64) -> Value {
        json!({ "low_water": low_water, "parked": parked, "stubs": 1 })
    }

    /// A client asks, and is told this.
    pub fn said(tale: &mut Tale, status: Value) {
        let op = tale.run.invoke(Op::Status { at: Projector::First });
        tale.run.ok(op, Ret::Said(Box::new(Said { projector: "projector".to_owned(), status })));
    }

    #[test]
    fn a_low_water_mark_above_an_event_that_is_not_applied_is_caught() {
        let late = |tale: &mut Tale, low_water: u64| {
            let first = tale.first();
            tale.write(&first, "archived");
            let position = tale.log.last().unwrap().position;
            said(tale, status(position - 1 + low_water, 1));
        };
        passed(&Health, |tale| late(tale, 0));
        caught(&Health, "a low-water mark is above what is in the graph", |tale| late(tale, 1));
    }

    #[test]
    fn a_lag_that_is_too_small_is_caught() {
        let claim = |tale: &mut Tale, lag_seconds: f64| {
            let first = tale.first();
            let append =
                Append { resource: Some(first.clone()), events: vec![Happening::Updated], ..Append::default() };
            let op = tale.run.invoke(Op::Append(append));
            tale.run.ok(op, Ret::Appended(Box::new(Appended { first: 7, last: 7, position: 99, seen: None })));
            said(tale, json!({ "lag": { "seconds": lag_seconds } }));
        };
        caught(&Health, "a lag is smaller than it is", |tale| claim(tale, 0.0));
        passed(&Health, |tale| claim(tale, 0.05));
        let harm = |tale: &mut Tale, whom: &EntityId| {
            let mut harmed = tale.shown.clone();
            harmed.own.remove(whom);
            tale.see(harmed, true);
        };
        passed(&Health, |tale| {
            harm(tale, &tale.first());
            claim(tale, 0.0);
        });
        caught(&Health, "a lag is smaller than it is", |tale| {
            harm(tale, &tale.poisoned());
            claim(tale, 0.0);
        });
    }

    #[test]
    fn of_what_the_graph_forgot_no_low_water_mark_is_judged_until_it_is_back() {
        let forget = |tale: &mut Tale, by_hand: bool| {
            tale.forget(4, by_hand);
            let position = tale.log.last().unwrap().position;
            said(tale, status(position, 1));
        };
        passed(&Health, |tale| forget(tale, true));
        caught(&Health, "a low-water mark is above what is in the graph", |tale| forget(tale, false));
    }

    #[test]
    fn a_projector_that_miscounts_what_stands_still_is_caught() {
        let key = "a projector at rest does not say how it is";
        caught(&Health, key, |tale| tale.at_rest = Some((0, 0)));
        caught(&Health, key, |tale| tale.at_rest = Some((1, 1)));
        passed(&Health, |tale| tale.at_rest = Some((0, 1)));
    }

    #[test]
    fn what_is_behind_poison_is_passed() {
        passed(&Health, |tale| {
            let poisoned = tale.poisoned();
            tale.write(&poisoned, "archived");
            let position = tale.log.last().unwrap().position;
            said(tale, status(position, 1));
        });
    }
}
