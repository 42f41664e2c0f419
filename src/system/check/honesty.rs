//! What a client was told is what is true.

use std::collections::BTreeMap;

use coordinator::commit::IdempotencyKey;
use graph::TxId;

use super::{CoordinatorRecord, key_of, media_broke, stores, submissions};
use crate::check::{Checker, Verdict, Violation};
use crate::history::{EventKind, OpId};
use crate::system::dump::LogLine;
use crate::system::operation::Ret;

/// "Committed" means committed, under the name that was given; "aborted" means aborted for ever; "failed" means that it
/// never took effect; a read shows what committed transactions wrote; and the log holds what clients asked for, once.
#[derive(Clone, Copy, Debug)]
pub struct Honesty;

impl Checker<CoordinatorRecord> for Honesty {
    fn name(&self) -> &'static str {
        "honesty"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        let submissions = submissions(record, &dump);
        let mut verdict = Verdict::default();
        let mut log: BTreeMap<&str, &LogLine> = BTreeMap::new();
        for line in &dump.log {
            if !submissions.contains_key(&line.key) && !is_repair(&line.key) {
                verdict.violations.push(
                    Violation::new(self.name(), "a transaction that nobody asked for")
                        .expected("transactions of the clients alone")
                        .actual(format!("{} {} under the key {:?}", line.tx, line.state, line.key)),
                );
            }
            if let Some(other) = log.insert(&line.key, line) {
                verdict.violations.push(
                    Violation::new(self.name(), "one request became two transactions")
                        .expected(format!("one transaction under the key {:?}", line.key))
                        .actual(format!("{} {} and {} {}", other.tx, other.state, line.tx, line.state)),
                );
            }
        }
        let by_op = |op: OpId| log.get(key_of(op).as_str()).copied();
        for (index, event) in record.history.events().iter().enumerate() {
            let (key, expected, actual) = match &event.kind {
                EventKind::Ok(Ret::Committed { tx, .. }) => {
                    verdict.checked += 1;
                    let line = by_op(event.op);
                    if line.is_some_and(|line| line.tx == *tx && line.state == "committed") {
                        continue;
                    }
                    ("told committed, and it is not", format!("{} committed as {tx}", event.op), describe(line))
                }
                EventKind::Ok(Ret::Misattributed { tx }) => {
                    verdict.checked += 1;
                    let expected = format!("a refusal: the key of {} is that of other operations", event.op);
                    ("a key was answered for other operations", expected, format!("the outcome of {tx}"))
                }
                EventKind::Ok(Ret::TwoAnswers { first, then }) => {
                    verdict.checked += 1;
                    ("one request was answered in two ways", format!("{first}, for ever"), then.clone())
                }
                EventKind::Ok(Ret::Entity(Some(view))) => {
                    verdict.checked += 1;
                    let line = dump.log.iter().find(|line| line.tx == view.tx);
                    if line.is_some_and(|line| line.state == "committed") {
                        continue;
                    }
                    let expected = format!("{}, which wrote what {} was shown, committed", view.tx, event.op);
                    ("shown what did not commit", expected, describe(line))
                }
                EventKind::Ok(Ret::Refused { tx, .. }) => {
                    verdict.checked += 1;
                    match by_op(event.op) {
                        Some(line) if line.tx == *tx && line.state == "aborted" => continue,
                        // A refusal leaves nothing in the graph by which its loss could be noticed.
                        None if media_broke(record) => continue,
                        // A refusal that is not in the log is forgotten, and the next retry is executed.
                        None => {
                            ("told aborted, and the log forgot it", format!("{tx} aborted for ever"), describe(None))
                        }
                        line => {
                            let expected = format!("{tx} never takes effect: its client was told that it does not fit");
                            ("told that it failed, and it did not", expected, describe(line))
                        }
                    }
                }
                EventKind::Fail(reason) if submissions.contains_key(&key_of(event.op)) => {
                    verdict.checked += 1;
                    let line = by_op(event.op);
                    match (aborted(reason), line) {
                        (Some(tx), Some(line)) if line.tx == tx && line.state == "aborted" => continue,
                        (None, None) => continue,
                        (None, Some(line)) if line.state == "aborted" => continue,
                        (Some(_), None) if media_broke(record) => continue,
                        // An abort that is not in the log is forgotten, and the next retry is executed.
                        (Some(tx), None) => {
                            ("told aborted, and the log forgot it", format!("{tx} aborted for ever"), describe(line))
                        }
                        (_, line) => {
                            let expected = format!("{} never takes effect: its client was told {reason:?}", event.op);
                            ("told that it failed, and it did not", expected, describe(line))
                        }
                    }
                }
                _ => continue,
            };
            let violation = Violation::new(self.name(), key).at_step(index as u64).about([event.op]);
            verdict.violations.push(violation.expected(expected).actual(actual));
        }
        verdict
    }
}

/// The transaction of which a client was told that it is aborted for ever: its answer is `TX aborted: REASON`.
fn aborted(reason: &str) -> Option<TxId> {
    let (tx, _) = reason.split_once(" aborted: ")?;
    tx.parse().ok()
}

/// Whether the coordinator began it itself, to make the stores the same again.
fn is_repair(key: &str) -> bool {
    IdempotencyKey(key.to_owned()).is_repair()
}

fn describe(line: Option<&LogLine>) -> String {
    line.map_or("the log does not know it".to_owned(), |line| format!("the log says {} {}", line.tx, line.state))
}

#[cfg(test)]
mod tests {
    use graph::Refusal;

    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;
    use crate::plan::{Fault, PlannedFault, Trigger};
    use crate::system::operation::Op;

    #[test]
    fn a_key_that_answers_for_other_operations_is_caught() {
        caught(&Honesty, "a key was answered for other operations", |run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            let tx = run.land(op);
            run.ok(op, Ret::Misattributed { tx });
        });
    }

    #[test]
    fn a_retry_that_is_told_something_else_is_caught() {
        caught(&Honesty, "one request was answered in two ways", |run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            run.land(op);
            run.ok(op, Ret::TwoAnswers { first: "committed".to_owned(), then: "refused".to_owned() });
        });
    }

    #[test]
    fn committed_means_committed_under_that_name() {
        let key = "told committed, and it is not";
        let untold = |run: &mut Run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            (op, run.land(op))
        };
        caught(&Honesty, key, |run| {
            let (op, tx) = untold(run);
            run.ok(op, Ret::Committed { tx, created: BTreeMap::new() });
            run.log.pop();
        });
        caught(&Honesty, key, |run| {
            let (op, tx) = untold(run);
            run.ok(op, Ret::Committed { tx, created: BTreeMap::new() });
            run.log.last_mut().unwrap().state = "intended".to_owned();
        });
        caught(&Honesty, key, |run| {
            let (op, _) = untold(run);
            run.ok(op, Ret::Committed { tx: run.log[0].tx, created: BTreeMap::new() });
        });
    }

    #[test]
    fn failed_means_that_it_never_takes_effect() {
        let key = "told that it failed, and it did not";
        for reason in ["The entities are in use: nothing was done", "not sent: failed to connect to coordinator:7400"] {
            caught(&Honesty, key, |run| {
                let op = run.submit(vec![run.update(&run.alice, 7)]);
                run.land(op);
                run.fail(op, reason.to_owned());
            });
            passed(&Honesty, |run| {
                let op = run.submit(vec![run.update(&run.alice, 7)]);
                run.fail(op, reason.to_owned());
            });
        }
        caught(&Honesty, key, |run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            let tx = run.land(op);
            run.fail(op, format!("{tx} aborted: the graph did not confirm it in time, and it was fenced off"));
        });
        caught(&Honesty, key, |run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            run.abort(op);
            run.log.last_mut().unwrap().state = "intended".to_owned();
            run.fail(op, "The coordinator cannot do this at the moment".to_owned());
        });
    }

    #[test]
    fn an_abort_that_was_told_stays_in_the_log_under_its_name() {
        caught(&Honesty, "told aborted, and the log forgot it", |run| {
            run.refuse(vec![run.create(&run.bob, 7)]);
            run.log.pop();
        });
        caught(&Honesty, "told that it failed, and it did not", |run| {
            let op = run.submit(vec![run.create(&run.bob, 7)]);
            run.abort(op);
            let refusal = Refusal::EntityExists(run.bob.clone());
            run.ok(op, Ret::Refused { tx: run.log[0].tx, refusal });
        });
    }

    /// Nothing but the log knows that a refused transaction was there.
    #[test]
    fn a_log_that_was_lost_may_have_forgotten_a_refusal_and_no_commit() {
        let broken = |change: fn(&mut Run)| {
            let mut run = Run::sound(CASTS[0]);
            change(&mut run);
            let mut record = run.record();
            let fault = Fault::Truncation {
                host: "coordinator".to_owned(),
                file: "log".to_owned(),
                keep_percent: 0,
                restart_after_ms: 1,
            };
            record.plan.faults.push(PlannedFault { at: Trigger::Ms(1), fault });
            record.fired.push(true);
            Honesty.check(&record)
        };
        let refused = broken(|run| {
            run.refuse(vec![run.create(&run.bob, 7)]);
            run.log.pop();
        });
        assert!(refused.violations.is_empty(), "{refused:?}");
        let committed = broken(|run| run.log.clear());
        assert!(!committed.violations.is_empty());
    }

    #[test]
    fn a_read_shows_what_committed() {
        let key = "shown what did not commit";
        let show = |run: &mut Run, tx: TxId| {
            let mut view = run.entities[&run.alice].clone();
            view.tx = tx;
            let op = run.invoke(Op::Read { entity: run.alice.clone() });
            run.ok(op, Ret::Entity(Some(view)));
        };
        caught(&Honesty, key, |run| {
            let tx = run.refuse(vec![run.create(&run.alice, 7)]);
            show(run, tx);
        });
        caught(&Honesty, key, |run| show(run, TxId { incarnation: 9, serial: 9 }));
    }

    #[test]
    fn one_request_is_one_transaction() {
        caught(&Honesty, "one request became two transactions", |run| {
            let again = LogLine { tx: TxId { incarnation: 2, serial: 1 }, ..run.log[0].clone() };
            run.log.insert(0, again);
        });
    }

    #[test]
    fn the_log_holds_nothing_that_no_client_asked_for() {
        let key = "a transaction that nobody asked for";
        let line = |key: &str| LogLine {
            tx: TxId { incarnation: 2, serial: 1 },
            state: "committed".to_owned(),
            key: key.to_owned(),
        };
        caught(&Honesty, key, |run| run.log.push(line("op-999")));
        // The second operation is a read.
        caught(&Honesty, key, |run| run.log.push(line("op-1")));
    }

    #[test]
    fn only_answers_that_claim_something_count() {
        let mut run = Run::empty(CASTS[0]);
        let op = run.submit(vec![run.create(&run.alice, 0)]);
        run.land(op);
        run.info(op);
        let op = run.invoke(Op::Read { entity: run.alice.clone() });
        run.fail(op, "not sent".to_owned());
        assert!(Honesty.check(&run.record()).is_vacuous());
    }
}
