//! What was acknowledged survives.

use graph::EntityId;

use super::{CoordinatorRecord, key_of, stores, submissions};
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::operation::{Ret, resources};

/// Every transaction that a client was told is committed is committed in the log at the
/// end, with all its events.
///
/// What it did to entities is for linearizability to judge, which reads them all at the end.
#[derive(Clone, Copy, Debug)]
pub struct Durability;

impl Checker<CoordinatorRecord> for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        let submissions = submissions(record, &dump);
        let mut verdict = Verdict::default();
        for (index, event) in record.history.events().iter().enumerate() {
            let EventKind::Ok(Ret::Committed { tx, .. }) = &event.kind else { continue };
            verdict.checked += 1;
            let state = dump.log.iter().find(|line| line.tx == *tx).map(|line| line.state.as_str());
            if state != Some("committed") {
                verdict.violations.push(
                    Violation::new(self.name(), "an acknowledged transaction is lost")
                        .at_step(index as u64)
                        .about([event.op])
                        .expected(format!("{tx}, acknowledged at {}, committed in the log", event.at))
                        .actual(format!("the log says {}", state.unwrap_or("nothing"))),
                );
                continue;
            }
            let operations = submissions.get(&key_of(event.op)).map(Vec::as_slice).unwrap_or_default();
            let expected: Vec<&EntityId> = resources(operations).collect();
            let found: Vec<&EntityId> =
                dump.events.iter().filter(|line| line.tx == *tx).map(|line| &line.resource).collect();
            if found != expected {
                verdict.violations.push(
                    Violation::new(self.name(), "the events of an acknowledged transaction are lost")
                        .at_step(index as u64)
                        .about([event.op])
                        .expected(format!("events of {expected:?} by {tx}"))
                        .actual(format!("events of {found:?}")),
                );
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;

    #[test]
    fn an_acknowledged_transaction_must_be_committed_in_the_log() {
        let key = "an acknowledged transaction is lost";
        caught(&Durability, key, |run| drop(run.log.remove(0)));
        caught(&Durability, key, |run| run.log[0].state = "aborted".to_owned());
        caught(&Durability, key, |run| run.log[0].state = "intended".to_owned());
    }

    #[test]
    fn an_acknowledged_transaction_must_have_every_one_of_its_events() {
        let key = "the events of an acknowledged transaction are lost";
        caught(&Durability, key, |run| drop(run.events.remove(0)));
        caught(&Durability, key, |run| {
            let tx = run.log[0].tx;
            run.events.retain(|event| event.tx != tx);
        });
    }

    #[test]
    fn what_was_never_acknowledged_may_be_lost() {
        passed(&Durability, |run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            run.info(op);
        });
    }

    #[test]
    fn a_run_without_acknowledgement_proves_nothing() {
        let mut run = Run::empty(CASTS[0]);
        run.refuse(vec![run.create(&run.alice, 0)]);
        assert!(Durability.check(&run.record()).is_vacuous());
    }
}
