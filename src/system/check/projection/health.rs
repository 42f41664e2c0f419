//! What a projector says of itself is true.

use std::collections::BTreeMap;

use projection::event::system;

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::dump;
use crate::system::operation::{Op, Ret};
use crate::system::projection::operation::Said;
use crate::system::projection::picture::Picture;

/// What a projector says that it shows of a moment, it shows: everything that was acknowledged before. A low-water mark is claimed only once every event up to it is in the graph, or parked, or behind one that is; and when
/// everything has come to rest, a projector that claims to be at the end of the log counts what is parked as it is.
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
        let mut verdict = Verdict::default();
        let events = record.history.events();
        for (index, event) in events.iter().enumerate() {
            let EventKind::Ok(Ret::Said(said)) = &event.kind else { continue };
            let asked = events[..index].iter().rfind(|before| before.op == event.op).map_or(0, |asked| asked.at.0);
            if let Some(violation) = self.late(&scene, said, asked, event.at.0) {
                verdict.violations.push(violation.at_step(index as u64));
            }
            let Some(low_water) = said.low_water() else { continue };
            verdict.checked += 1;
            if let Some((position, place)) = missing(&scene, &scene.at(event.at.0), low_water) {
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
    fn late(&self, scene: &Scene<'_>, said: &Said, asked_ms: u64, told_ms: u64) -> Option<Violation> {
        let shown_ms = asked_ms.checked_sub(said.lag_ms()? + 1)?;
        let picture = scene.at(told_ms);
        let (mut appends, mut missing) = (BTreeMap::new(), None);
        for event in scene.record.history.events().iter().take_while(|event| event.at.0 <= shown_ms) {
            match &event.kind {
                EventKind::Invoke(Op::Append(append)) => drop(appends.insert(event.op, append)),
                EventKind::Ok(Ret::Appended(appended)) => {
                    let resource = appends[&event.op].resource.clone().unwrap_or_else(system);
                    let mark = picture.marks.get(&resource).cloned().unwrap_or_default();
                    let parked = mark.parked.is_some_and(|parked| parked <= appended.last);
                    if mark.sequence < appended.last && !parked {
                        missing = Some((event.at.0, resource, appended.last));
                    }
                }
                _ => {}
            }
        }
        let (at_ms, resource, sequence) = missing.filter(|_| !scene.is_harmed())?;
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
fn missing(scene: &Scene<'_>, picture: &Picture, low_water: u64) -> Option<(u64, String)> {
    let up_to = scene.log.iter().take_while(|stored| stored.position <= low_water);
    let mut missing = up_to.filter(|stored| {
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
