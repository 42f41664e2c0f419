//! Nobody who follows the feed passes an event.

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::operation::{Op, Ret};

/// Who reads the feed, and goes on from where it says that it is, is told of every event up to there, once and in the order
/// of the log: a position that was passed is not filled later. An event whose transaction came to its end behind others is
/// told behind them.
#[derive(Clone, Copy, Debug)]
pub struct FeedOrder;

impl Checker<CoordinatorRecord> for FeedOrder {
    fn name(&self) -> &'static str {
        "feed_order"
    }

    fn applies(&self, record: &CoordinatorRecord) -> bool {
        record.plan.clients.iter().flat_map(|client| &client.steps).any(|step| matches!(step.op, Op::Follow { .. }))
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict::default();
        for (index, event) in record.history.events().iter().enumerate() {
            let EventKind::Ok(Ret::Followed(followed)) = &event.kind else { continue };
            let up_to = scene.log.iter().take_while(|stored| stored.position <= followed.through);
            let logged: Vec<(u64, String)> =
                up_to.map(|stored| (stored.position, stored.event.id.to_string())).collect();
            verdict.checked += logged.len().max(followed.events.len()) as u64;
            let told = |place: usize| followed.events.get(place);
            let longest = logged.len().max(followed.events.len());
            let Some(place) = (0..longest).find(|place| logged.get(*place) != told(*place)) else { continue };
            let name = |event: Option<&(u64, String)>| {
                event.map_or("nothing".to_owned(), |(position, id)| format!("{id} at {position}"))
            };
            verdict.violations.push(
                Violation::new(self.name(), "the feed told something else than the log has")
                    .at_step(index as u64)
                    .about([event.op])
                    .expected(format!("{}, of all up to {}", name(logged.get(place)), followed.through))
                    .actual(name(told(place))),
            );
        }
        verdict
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::fixture::{Tale, caught, passed};
    use super::*;
    use crate::system::projection::operation::Followed;

    /// Somebody follows the feed, and is told what the log has by now.
    pub fn followed(tale: &mut Tale, change: impl Fn(&mut Followed)) {
        let op = tale.run.invoke(Op::Follow { for_ms: 100 });
        let events = tale.log.iter().map(|stored| (stored.position, stored.event.id.to_string()));
        let mut followed = Followed { events: events.collect(), through: tale.log.last().unwrap().position };
        change(&mut followed);
        tale.run.ok(op, Ret::Followed(Box::new(followed)));
    }

    #[test]
    fn an_event_that_was_passed_told_twice_or_told_too_early_is_caught() {
        let key = "the feed told something else than the log has";
        let plants: [fn(&mut Followed); 4] = [
            |followed| drop(followed.events.remove(2)),
            |followed| drop(followed.events.pop()),
            |followed| followed.events.push(followed.events[0].clone()),
            |followed| followed.events.swap(1, 2),
        ];
        for plant in plants {
            caught(&FeedOrder, key, |tale| followed(tale, plant));
        }
    }

    #[test]
    fn who_stops_early_has_passed_nothing() {
        passed(&FeedOrder, |tale| {
            followed(tale, |followed| {
                followed.events.truncate(3);
                followed.through = followed.events[2].0;
            });
        });
        passed(&FeedOrder, |tale| {
            followed(tale, |_| {});
            let first = tale.first();
            tale.write(&first, "archived");
        });
    }
}
