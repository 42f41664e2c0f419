//! The log has what it said that it has, once and in order.

use std::collections::{BTreeMap, BTreeSet};

use graph::{EntityId, Operation};
use projection::event::system;

use super::super::{CoordinatorRecord, key_of, stores};
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::history::{OpId, Outcome};
use crate::system::operation::{Op, Ret};
use crate::system::projection::event_id;
use crate::system::projection::log::Stored;
use crate::system::projection::operation::Append;

/// Positions are numbered from 1 without gap; the events of a stream are as well, in the order of the positions; no id is there
/// twice. What a client was told that it is written is where it was told, and what it was told that it is not written is
/// nowhere; of what it was told nothing, all is there or nothing. What goes with a transaction is written if that committed, by
/// the coordinator's own log or by what its client was told, and not if it was refused or never came to its end.
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
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        let states: BTreeMap<&str, &str> =
            dump.log.iter().map(|line| (line.key.as_str(), line.state.as_str())).collect();
        let written = Written(scene.log.iter().map(|stored| (stored.event.id.0.as_str(), stored)).collect());
        for operation in record.history.operations() {
            let wrong = match operation.op {
                Op::Append(append) => written.wrong_append(operation.id, append, &operation.outcome),
                Op::Submit { operations, .. } => {
                    let attached: Vec<&str> = attached(operations).collect();
                    if attached.is_empty() {
                        continue;
                    }
                    let state = states.get(key_of(operation.id).as_str()).copied();
                    written.wrong_transaction(&attached, state, &operation.outcome)
                }
                _ => continue,
            };
            verdict.checked += 1;
            if let Some((key, actual)) = wrong {
                verdict.violations.push(
                    Violation::new(self.name(), key)
                        .at_step(operation.invoked.index as u64)
                        .about([operation.id])
                        .expected(format!("{} as the log or its client was told", operation.id))
                        .actual(actual),
                );
            }
        }
        verdict
    }
}

/// The events that are in the log, by their ids.
struct Written<'a>(BTreeMap<&'a str, &'a Stored>);

/// What is wrong, and what there is instead.
type Wrong = Option<(&'static str, String)>;

impl Written<'_> {
    fn wrong_append(&self, id: OpId, append: &Append, outcome: &Outcome<&Ret>) -> Wrong {
        let stream = append.resource.clone().unwrap_or_else(system);
        let events: Vec<Option<&Stored>> =
            (0..append.events.len()).map(|nth| self.0.get(event_id(id, nth).as_str()).copied()).collect();
        let there = events.iter().flatten().count();
        // Whether they are one after the other, from this sequence on.
        let from = |first: u64| {
            (first..).zip(&events).all(|(sequence, stored)| {
                let place = stored.map(|stored| &stored.event.position);
                place.is_some_and(|place| place.resource == stream && place.sequence == sequence)
            })
        };
        match outcome {
            Outcome::Ok(Ret::Appended(appended)) => {
                let placed = events.last().copied().flatten().is_some_and(|last| last.position == appended.position);
                let key = "an acknowledged event is not where it was said to be";
                (!placed || !from(appended.first)).then(|| (key, format!("{appended:?}")))
            }
            Outcome::Ok(Ret::TwoAnswers { first, then }) => {
                Some(("one append was told in two ways", format!("{first}, and then {then}")))
            }
            Outcome::Ok(Ret::Conflict { .. }) | Outcome::Fail => {
                (there > 0).then(|| ("an event was written that was refused", format!("{there} of {}", events.len())))
            }
            _ => {
                let first = events.iter().flatten().map(|stored| stored.event.position.sequence).min();
                let half = first.is_some_and(|first| !from(first));
                half.then(|| ("an append was written in part", format!("{there} of {}", events.len())))
            }
        }
    }

    /// `state` is what the coordinator's log says of the transaction; it says nothing of one that never began, or that it has
    /// forgotten.
    fn wrong_transaction(&self, attached: &[&str], state: Option<&str>, outcome: &Outcome<&Ret>) -> Wrong {
        let there = attached.iter().filter(|id| self.0.contains_key(**id)).count();
        let actual = || format!("{there} of {} events; the log says {state:?}", attached.len());
        let committed = state == Some("committed") || matches!(outcome, Outcome::Ok(Ret::Committed { .. }));
        let not = state.is_some_and(|state| state != "committed")
            || matches!(outcome, Outcome::Ok(Ret::Refused { .. }) | Outcome::Fail);
        if committed && there < attached.len() {
            return Some(("an event of a committed transaction is missing", actual()));
        }
        if not && there > 0 {
            return Some(("an event of an aborted transaction was written", actual()));
        }
        let half = there > 0 && there < attached.len();
        half.then(|| ("a transaction was written in part", actual()))
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
            position += 1;
            if stored.position != position {
                return wrong("positions have a gap or do not rise", format!("an event at {position}"));
            }
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
    use super::super::fixture::{CASTS, Tale, caught, passed};
    use super::*;
    use crate::system::dump::LogLine;
    use crate::system::projection::event::Happening;
    use crate::system::projection::operation::Appended;

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
    fn the_log_says_which_transactions_committed_where_nobody_was_told() {
        let submit = |tale: &mut Tale, written: usize, state: Option<&str>| {
            let (first, happening) = (tale.first(), Happening::Updated);
            let attach = |nth: usize| {
                let event = happening.sent(format!("attached-{nth}"), Some(&first), "t".to_owned());
                Operation::Append { resource: Some(first.clone()), event }
            };
            let op = tale.run.submit((0..2).map(attach).collect());
            (0..written).for_each(|nth| tale.write_as(&first, &happening, format!("attached-{nth}")));
            tale.run.info(op);
            let (tx, key) = (graph::TxId { incarnation: 1, serial: 7 }, key_of(op));
            tale.run.log.extend(state.map(|state| LogLine { tx, state: state.to_owned(), key }));
        };
        let (committed, aborted) = (Some("committed"), Some("aborted"));
        passed(&NoEventLost, |tale| submit(tale, 2, committed));
        caught(&NoEventLost, "an event of a committed transaction is missing", |tale| submit(tale, 0, committed));
        caught(&NoEventLost, "an event of a committed transaction is missing", |tale| submit(tale, 1, committed));
        passed(&NoEventLost, |tale| submit(tale, 0, aborted));
        caught(&NoEventLost, "an event of an aborted transaction was written", |tale| submit(tale, 2, aborted));
        caught(&NoEventLost, "an event of an aborted transaction was written", |tale| {
            submit(tale, 2, Some("intended"));
        });
        passed(&NoEventLost, |tale| submit(tale, 2, None));
        passed(&NoEventLost, |tale| submit(tale, 0, None));
        caught(&NoEventLost, "a transaction was written in part", |tale| submit(tale, 1, None));
    }

    #[test]
    fn an_append_of_which_nobody_was_told_is_there_or_is_not() {
        let append = |tale: &mut Tale, written: usize| {
            let (first, happening) = (tale.first(), Happening::Updated);
            let events = vec![happening.clone(); 2];
            let op = tale.run.invoke(Op::Append(Append { resource: Some(first.clone()), events, ..Append::default() }));
            (0..written).for_each(|nth| tale.write_as(&first, &happening, event_id(op, nth)));
            tale.run.info(op);
        };
        passed(&NoEventLost, |tale| append(tale, 0));
        passed(&NoEventLost, |tale| append(tale, 2));
        caught(&NoEventLost, "an append was written in part", |tale| append(tale, 1));
    }

    #[test]
    fn what_has_no_events_is_not_counted() {
        let mut tale = Tale::sound(CASTS[0]);
        let counted = |tale: &Tale| NoEventLost.check(&tale.record()).checked;
        let before = counted(&tale);
        let op = tale.run.submit(vec![tale.run.create(&tale.first(), 0)]);
        tale.run.info(op);
        assert_eq!(counted(&tale), before);
        let op = append(&mut tale, false);
        tale.run.info(op);
        assert_eq!(counted(&tale), before + 1);
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
        caught(&NoEventLost, "a stream has a gap or a duplicate", |tale| {
            tale.log.remove(1);
            (1..).zip(&mut tale.log).for_each(|(position, stored)| stored.position = position);
        });
        let key = "positions have a gap or do not rise";
        caught(&NoEventLost, key, |tale| tale.log[1].position = tale.log[0].position);
        caught(&NoEventLost, key, |tale| tale.log.last_mut().unwrap().position += 1);
        caught(&NoEventLost, key, |tale| drop(tale.log.remove(0)));
        caught(&NoEventLost, "an event is there twice", |tale| tale.log[1].event.id = tale.log[0].event.id.clone());
    }
}
