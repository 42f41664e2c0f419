//! Nothing but poison keeps a lane.

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::system::projection::picture::Mark;

/// When everything has come to rest, every stream is applied to its end, or to right before the event that nobody can fold:
/// there, and nowhere else, it is parked. What stands in the way of one stands in the way of no other.
#[derive(Clone, Copy, Debug)]
pub struct Progress;

impl Checker<CoordinatorRecord> for Progress {
    fn name(&self) -> &'static str {
        "lane_progress"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        if record.settled.is_err() {
            return Verdict::default();
        }
        let (reference, last) = (scene.reference(), scene.last());
        let mut verdict = Verdict::default();
        for (resource, sequence) in &reference.marks {
            verdict.checked += 1;
            let mark = last.marks.get(resource).cloned().unwrap_or_default();
            let parked = reference.poison.get(resource).copied();
            let expected = Mark { sequence: *sequence, generation: mark.generation, partial: false, parked };
            let key = match &mark {
                _ if mark == expected => continue,
                mark if mark.parked != parked => {
                    "a stream is parked where nothing stands in the way, or not where it does"
                }
                mark if mark.partial => "a rebuild was not brought to its end",
                _ => "a stream was not applied to its end",
            };
            verdict.violations.push(
                Violation::new(self.name(), key)
                    .expected(format!("{resource}: {expected:?}"))
                    .actual(format!("{mark:?}")),
            );
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::caught;
    use super::*;

    #[test]
    fn a_lane_that_stands_still_is_caught() {
        caught(&Progress, "a stream was not applied to its end", |tale| {
            let first = tale.first();
            tale.write(&first, "archived");
        });
        caught(&Progress, "a rebuild was not brought to its end", |tale| {
            let mut shown = tale.shown.clone();
            shown.marks.get_mut(&tale.first()).unwrap().partial = true;
            tale.see(shown, false);
        });
    }

    #[test]
    fn parking_without_poison_and_poison_without_parking_are_caught() {
        let key = "a stream is parked where nothing stands in the way, or not where it does";
        caught(&Progress, key, |tale| {
            let mut shown = tale.shown.clone();
            shown.marks.get_mut(&tale.first()).unwrap().parked = Some(99);
            tale.see(shown, false);
        });
        caught(&Progress, key, |tale| {
            let mut shown = tale.shown.clone();
            shown.marks.get_mut(&tale.poisoned()).unwrap().parked = None;
            tale.see(shown, false);
        });
    }
}
