//! Transactions and strong reads take effect one after another, each while it runs.

use std::collections::{BTreeMap, BTreeSet};

use graph::{EntityId, Patch, TxId};

use super::{CoordinatorRecord, key_of, stores};
use crate::check::linearizability::{Linearizability, Model};
use crate::check::{Checker, Verdict};
use crate::history::{ClientId, Event, EventKind, History, Millis, OpId};
use crate::system::dump::Dump;
use crate::system::model::{Entities, Part};
use crate::system::operation::{Op, Ret};

/// How many steps of the model a component may cost before the search gives up.
const BUDGET: u64 = 5_000_000;

/// Linearizability of what the clients saw, and of what the stores held in the end: that
/// counts as one more read of every entity, so that a lost update shows even if nobody
/// looked.
///
/// Counts what clients were told, and not those last reads: they show little where no
/// transaction committed.
#[derive(Clone, Copy, Debug)]
pub struct Linearizable;

impl Checker<CoordinatorRecord> for Linearizable {
    fn name(&self) -> &'static str {
        "linearizability"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        check(record, BUDGET)
    }
}

/// The mark of a log that has removed records.
const FORGOT: &str = "forgot";

fn check(record: &CoordinatorRecord, budget: u64) -> Verdict {
    let dump = match stores(Linearizable.name(), record) {
        Ok(dump) => Some(dump),
        // What clients were told is judged all the same.
        Err(_) if !record.refusals.is_empty() => None,
        Err(verdict) => return verdict,
    };
    let history = resolved(&record.history, dump.as_ref());
    let history = match dump {
        Some(dump) if record.settled.is_ok() => completed(record, &history, dump),
        _ => history,
    };
    let verdict = Linearizability { model: Entities, budget }.check(&history);
    let told = |event: &&Event<Op, Ret>| matches!(event.kind, EventKind::Ok(Ret::Committed { .. } | Ret::Entity(_)));
    Verdict { checked: record.history.events().iter().filter(told).count() as u64, ..verdict }
}

/// The history under the ids that transactions made, in the place of labels: those that clients were told, or those that
/// the name makes which the log has. What has no name anywhere gets ids of its own: nobody else can have used them.
fn resolved(told: &History<Op, Ret>, dump: Option<&Dump<'_>>) -> History<Op, Ret> {
    let made = told.events().iter().filter_map(|event| match &event.kind {
        EventKind::Ok(Ret::Committed { created, .. }) => Some((event.op, created)),
        _ => None,
    });
    let made: BTreeMap<OpId, &BTreeMap<EntityId, EntityId>> = made.collect();
    let mut history = History::new();
    for event in told.events() {
        let mut event = event.clone();
        if let EventKind::Invoke(Op::Submit { operations, .. }) = &mut event.kind {
            let patch = Patch { operations: std::mem::take(operations) };
            let key = key_of(event.op);
            let logged = dump.and_then(|dump| dump.log.iter().find(|line| line.key == key)).map(|line| line.tx);
            let name = logged.unwrap_or(TxId { incarnation: 0, serial: event.op.0 });
            let patch = match made.get(&event.op) {
                Some(created) => patch.renamed(created),
                None => patch.resolved(name),
            };
            *operations = patch.operations;
        }
        history.push(event).expect("it was a history before");
    }
    history
}

/// The history, and what the stores know better at rest. Its events keep their places.
fn completed(record: &CoordinatorRecord, told: &History<Op, Ret>, dump: Dump<'_>) -> History<Op, Ret> {
    let states: BTreeMap<&str, &str> = dump.log.iter().map(|line| (line.key.as_str(), line.state.as_str())).collect();
    // Of a transaction whose client was not told the outcome: whether it never took effect, nor ever will.
    // A log that forgets what is old says nothing by what it lacks.
    let forgets = record.marks.contains_key(FORGOT);
    let in_vain = |op: OpId| states.get(key_of(op).as_str()).map_or(!forgets, |state| *state == "aborted");
    let mut open = BTreeSet::new();
    let mut named = BTreeSet::new();
    let mut history = History::new();
    for event in told.events() {
        let mut event = event.clone();
        match &event.kind {
            EventKind::Invoke(op) => {
                named.extend(Entities.keys(op).into_iter().filter_map(Part::entity));
                if matches!(op, Op::Submit { .. }) {
                    open.insert(event.op);
                }
            }
            EventKind::Info(reason) if open.remove(&event.op) && in_vain(event.op) => {
                event.kind = EventKind::Fail(reason.clone());
            }
            _ => drop(open.remove(&event.op)),
        }
        history.push(event).expect("it was a history before");
    }
    let at = Millis(record.simulated_ms);
    for op in open.into_iter().filter(|op| in_vain(*op)) {
        history.fail(at, op, "it is not in the log").expect("it is open");
    }
    let mut last = dump.entities;
    named.extend(last.keys().cloned());
    for entity in named {
        read(&mut history, at, entity, &mut last);
    }
    history
}

/// Adds a read by somebody who is none of the clients.
fn read(
    history: &mut History<Op, Ret>,
    at: Millis,
    entity: EntityId,
    last: &mut BTreeMap<EntityId, coordinator::commit::EntityView>,
) {
    let view = last.remove(&entity);
    let read = history.invoke(at, ClientId::AFTERWARDS, Op::Read { entity });
    history.ok(at, read, Ret::Entity(view)).expect("it was invoked just now");
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;

    #[test]
    fn a_stale_read_is_caught() {
        caught(&Linearizable, "Read", |run| {
            let before = run.entities[&run.alice].clone();
            run.commit(vec![run.update(&run.alice, 7)]);
            let op = run.invoke(Op::Read { entity: run.alice.clone() });
            run.ok(op, Ret::Entity(Some(before)));
        });
    }

    #[test]
    fn a_read_torn_between_the_stores_is_caught() {
        caught(&Linearizable, "Read", |run| {
            let before = run.entities[&run.alice].clone();
            run.commit(vec![run.update(&run.alice, 7)]);
            let mut torn = run.entities[&run.alice].clone();
            (torn.version, torn.tx) = (before.version, before.tx);
            let op = run.invoke(Op::Read { entity: run.alice.clone() });
            run.ok(op, Ret::Entity(Some(torn)));
        });
    }

    #[test]
    fn a_read_that_shows_another_writer_or_another_entity_is_caught() {
        for [wrong_tx, wrong_id] in [[true, false], [false, true]] {
            caught(&Linearizable, "Read", |run| {
                let mut view = run.entities[&run.alice].clone();
                if wrong_tx {
                    view.tx = run.log[0].tx;
                }
                if wrong_id {
                    view.id = run.bob.clone();
                }
                let op = run.invoke(Op::Read { entity: run.alice.clone() });
                run.ok(op, Ret::Entity(Some(view)));
            });
        }
    }

    #[test]
    fn a_transaction_that_cannot_have_fitted_is_caught() {
        caught(&Linearizable, "Submit", |run| {
            let op = run.submit(vec![run.create(&run.alice, 7)]);
            let tx = run.abort(op);
            run.ok(op, Ret::Committed { tx, created: BTreeMap::new() });
        });
    }

    #[test]
    fn a_lost_update_shows_although_nobody_looked() {
        let lose = |run: &mut Run| {
            let before = run.entities.clone();
            run.commit(vec![run.update(&run.alice, 7)]);
            run.entities = before;
        };
        caught(&Linearizable, "Read", lose);
        // At rest alone: what is under way may still come.
        passed(&Linearizable, |run| {
            lose(run);
            run.settled = Err("not settled".to_owned());
        });
    }

    #[test]
    fn an_entity_that_nobody_named_is_caught() {
        caught(&Linearizable, "Read", |run| {
            let mut view = run.entities[&run.bob].clone();
            view.id = EntityId::new("stranger").unwrap();
            run.entities.insert(view.id.clone(), view);
        });
    }

    #[test]
    fn an_aborted_transaction_has_no_effect_even_if_its_client_was_not_told() {
        for forgotten in [true, false] {
            for open in [true, false] {
                caught(&Linearizable, "Read", |run| {
                    let op = run.submit(vec![run.update(&run.alice, 7)]);
                    run.land(op);
                    run.log.last_mut().unwrap().state = "aborted".to_owned();
                    if forgotten {
                        run.log.pop();
                    }
                    if !open {
                        run.info(op);
                    }
                });
            }
        }
    }

    #[test]
    fn a_transaction_that_was_not_told_may_take_effect_late() {
        for told in [true, false] {
            passed(&Linearizable, |run| {
                let op = run.submit(vec![run.update(&run.alice, 7)]);
                if told {
                    run.info(op);
                }
                run.read(&run.alice.clone());
                run.land(op);
                run.read(&run.alice.clone());
            });
        }
    }

    #[test]
    fn a_search_that_gives_up_is_no_pass() {
        let verdict = check(&Run::sound(CASTS[0]).record(), 1);
        assert_eq!(verdict.violations[0].key, "undecided");
    }

    #[test]
    fn the_step_is_the_place_in_the_history_that_clients_saw() {
        let mut run = Run::sound(CASTS[0]);
        let op = run.invoke(Op::Read { entity: run.alice.clone() });
        let mut view = run.entities[&run.alice].clone();
        view.version += 1;
        run.ok(op, Ret::Entity(Some(view)));
        let last = run.history.len() - 1;
        run.commit(vec![run.update(&run.bob, 7)]);
        assert_eq!(Linearizable.check(&run.record()).violations[0].step, Some(last as u64));
    }

    #[test]
    fn what_a_log_forgot_may_have_happened() {
        let mut run = Run::sound(CASTS[0]);
        let op = run.submit(vec![run.update(&run.alice, 7)]);
        run.land(op);
        run.info(op);
        run.read(&run.alice.clone());
        run.log.clear();
        let mut record = run.record();
        assert!(!Linearizable.check(&record).holds());
        record.marks.insert(FORGOT.to_owned(), 1);
        assert!(Linearizable.check(&record).holds());
    }

    #[test]
    fn a_run_in_which_nothing_was_told_proves_nothing() {
        let mut run = Run::empty(CASTS[0]);
        run.refuse(vec![run.update(&run.alice, 0)]);
        let op = run.invoke(Op::Peek { entity: run.alice.clone() });
        run.ok(op, Ret::Peeked { found: false });
        let op = run.submit(vec![run.create(&run.alice, 0)]);
        assert_eq!(run.land(op), TxId { incarnation: 1, serial: 2 });
        run.info(op);
        assert!(Linearizable.check(&run.record()).is_vacuous());
    }
}
