//! The log has what it said that it has, once and in order.

use std::collections::{BTreeMap, BTreeSet};

use graph::{EntityId, Operation};
use projection::event::system;

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::history::Outcome;
use crate::system::operation::{Op, Ret};
use crate::system::projection::event_id;
use crate::system::projection::log::Stored;

/// Positions rise; the events of a stream are numbered from 1 without gap and without duplicate, in the order of the
/// positions; no id is there twice. What a client was told that it is written is where it was told, and what it was told that
/// it is not written is nowhere. What goes with a transaction is written if that committed, and not if it was refused.
#[derive(Clone, Copy, Debug)]
pub struct NoEventLost;

impl Checker<CoordinatorRecord> for NoEventLost {
    fn name(&self) -> &'static str {
        "no_event_lost"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict { checked: scene.log.len() as u64, ..Verdict::default() };
        verdict.violations.extend(self.disorder(&scene.log));
        let by_id: BTreeMap<&str, &Stored> =
            scene.log.iter().map(|stored| (stored.event.id.0.as_str(), stored)).collect();
        for operation in record.history.operations() {
            verdict.checked += 1;
            let wrong = match (operation.op, &operation.outcome) {
                (Op::Append(append), Outcome::Ok(Ret::Appended(appended))) => {
                    let stream = append.resource.clone().unwrap_or_else(system);
                    let last = by_id.get(event_id(operation.id, append.events.len() - 1).as_str());
                    let there = (0..append.events.len()).all(|nth| {
                        let stored = by_id.get(event_id(operation.id, nth).as_str());
                        stored.is_some_and(|stored| {
                            let place = &stored.event.position;
                            place.resource == stream && place.sequence == appended.first + nth as u64
                        })
                    });
                    let placed = last.is_some_and(|stored| stored.position == appended.position);
                    (!there || !placed)
                        .then_some(("an acknowledged event is not where it was said to be", format!("{appended:?}")))
                }
                (Op::Append(append), Outcome::Ok(Ret::Conflict { .. }) | Outcome::Fail) => {
                    let mut written = (0..append.events.len()).map(|nth| event_id(operation.id, nth));
                    let written = written.find(|id| by_id.contains_key(id.as_str()));
                    written.map(|id| ("an event was written that was refused", id))
                }
                (Op::Submit { operations, .. }, Outcome::Ok(Ret::Committed { .. })) => {
                    let missing = attached(operations).find(|id| !by_id.contains_key(id));
                    missing.map(|id| ("an event of a committed transaction is missing", id.to_owned()))
                }
                (Op::Submit { operations, .. }, Outcome::Ok(Ret::Refused { .. }) | Outcome::Fail) => {
                    let written = attached(operations).find(|id| by_id.contains_key(id));
                    written.map(|id| ("an event of an aborted transaction was written", id.to_owned()))
                }
                (Op::Append(_), Outcome::Ok(Ret::TwoAnswers { first, then })) => {
                    Some(("one append was told in two ways", format!("{first}, and then {then}")))
                }
                _ => continue,
            };
            if let Some((key, actual)) = wrong {
                verdict.violations.push(
                    Violation::new(self.name(), key)
                        .at_step(operation.invoked.index as u64)
                        .expected(format!("{} as its client was told", operation.id))
                        .actual(actual),
                );
            }
        }
        verdict
    }
}

/// The ids of the events that a transaction appends.
fn attached(operations: &[Operation]) -> impl Iterator<Item = &str> {
    operations.iter().filter_map(|operation| match operation {
        Operation::Append { event, .. } => Some(event.id.as_str()),
        _ => None,
    })
}

impl NoEventLost {
    /// The first thing that is out of order in the log.
    fn disorder(&self, log: &[Stored]) -> Option<Violation> {
        let mut heads: BTreeMap<&EntityId, u64> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        let mut position = 0;
        for (index, stored) in log.iter().enumerate() {
            let wrong = |key: &str, expected: String| {
                Some(
                    Violation::new(self.name(), key)
                        .at_step(index as u64)
                        .expected(expected)
                        .actual(stored.to_string()),
                )
            };
            if stored.position <= position {
                return wrong("positions do not rise", format!("a position above {position}"));
            }
            position = stored.position;
            let place = &stored.event.position;
            let head = heads.entry(&place.resource).or_default();
            if place.sequence != *head + 1 {
                return wrong(
                    "a stream has a gap or a duplicate",
                    format!("event {} of {}", *head + 1, place.resource),
                );
            }
            *head = place.sequence;
            if !ids.insert(&stored.event.id) {
                return wrong("an event is there twice", format!("one event {}", stored.event.id));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Tale, caught, passed};
    use super::*;
    use crate::history::OpId;
    use crate::system::projection::event::Happening;
    use crate::system::projection::operation::{Append, Appended};

    fn append(tale: &mut Tale, written: bool) -> OpId {
        let first = tale.first();
        let append = Append { resource: Some(first.clone()), events: vec![Happening::Updated], ..Append::default() };
        let op = tale.run.invoke(Op::Append(append));
        if written {
            tale.write_as(&first, &Happening::Updated, event_id(op, 0));
        }
        op
    }

    fn told(tale: &Tale) -> Ret {
        let last = tale.log.last().unwrap();
        let sequence = last.event.position.sequence;
        Ret::Appended(Box::new(Appended { first: sequence, last: sequence, position: last.position, seen: None }))
    }

    #[test]
    fn what_was_acknowledged_has_to_be_there() {
        passed(&NoEventLost, |tale| {
            let op = append(tale, true);
            tale.run.ok(op, told(tale));
        });
        caught(&NoEventLost, "an acknowledged event is not where it was said to be", |tale| {
            let op = append(tale, false);
            tale.run.ok(op, told(tale));
        });
    }

    #[test]
    fn what_was_refused_must_not_be_there() {
        passed(&NoEventLost, |tale| {
            let op = append(tale, false);
            tale.run.ok(op, Ret::Conflict { actual: 9 });
        });
        caught(&NoEventLost, "an event was written that was refused", |tale| {
            let op = append(tale, true);
            tale.run.ok(op, Ret::Conflict { actual: 9 });
        });
        caught(&NoEventLost, "an event was written that was refused", |tale| {
            let op = append(tale, true);
            tale.run.fail(op, "refused".to_owned());
        });
        passed(&NoEventLost, |tale| {
            let op = append(tale, true);
            tale.run.info(op);
        });
    }

    #[test]
    fn events_go_with_their_transactions() {
        let submit = |tale: &mut Tale, is_written: bool| {
            let (first, happening) = (tale.first(), Happening::Updated);
            let event = happening.sent("attached-1".to_owned(), Some(&first), "t".to_owned());
            let operation = Operation::Append { resource: Some(first.clone()), event };
            if is_written {
                tale.write_as(&first, &happening, "attached-1".to_owned());
            }
            tale.run.submit(vec![operation])
        };
        let tx = graph::TxId { incarnation: 1, serial: 1 };
        let committed = || Ret::Committed { tx, created: BTreeMap::new() };
        let refused = |tale: &Tale| Ret::Refused { tx, refusal: graph::Refusal::EntityExists(tale.first()) };
        passed(&NoEventLost, |tale| {
            let op = submit(tale, true);
            tale.run.ok(op, committed());
        });
        caught(&NoEventLost, "an event of a committed transaction is missing", |tale| {
            let op = submit(tale, false);
            tale.run.ok(op, committed());
        });
        passed(&NoEventLost, |tale| {
            let op = submit(tale, false);
            tale.run.ok(op, refused(tale));
        });
        caught(&NoEventLost, "an event of an aborted transaction was written", |tale| {
            let op = submit(tale, true);
            tale.run.ok(op, refused(tale));
        });
    }

    #[test]
    fn two_answers_to_one_append_are_caught() {
        caught(&NoEventLost, "one append was told in two ways", |tale| {
            let op = append(tale, true);
            tale.run.ok(op, Ret::TwoAnswers { first: "at 1".to_owned(), then: "at 2".to_owned() });
        });
    }

    #[test]
    fn gaps_duplicates_and_disorder_are_caught() {
        caught(&NoEventLost, "a stream has a gap or a duplicate", |tale| drop(tale.log.remove(1)));
        caught(&NoEventLost, "positions do not rise", |tale| tale.log[1].position = tale.log[0].position);
        caught(&NoEventLost, "an event is there twice", |tale| tale.log[1].event.id = tale.log[0].event.id.clone());
    }
}
