//! After the faults are healed, everything comes to an end; and nobody gives up without a reason.

use super::{CoordinatorRecord, media_broke};
use crate::check::{Checker, Verdict, Violation, normalise};
use crate::history::EventKind;

/// What a client is told when others held its entities for too long.
const BUSY: &str = "entities are in use";

/// Every operation ended in the time it had, and the system came to rest after the heal. A coordinator whose stores lost
/// or changed what they had acknowledged may refuse to work instead; no other may. Where no fault was planned, nobody waits
/// for entities in vain.
#[derive(Clone, Copy, Debug)]
pub struct Liveness;

impl Checker<CoordinatorRecord> for Liveness {
    fn name(&self) -> &'static str {
        "liveness"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut verdict = Verdict::default();
        if let Err(reason) = &record.settled {
            let awaited = record.awaited.as_ref().map(|awaited| format!("{reason}: {awaited}"));
            verdict.violations.push(
                Violation::new(self.name(), normalise(reason))
                    .expected(format!("nothing left to do {} ms after the faults were healed", record.plan.settle_ms))
                    .actual(awaited.unwrap_or_else(|| reason.clone())),
            );
        }
        if !media_broke(record) {
            verdict.violations.extend(record.refusals.iter().map(|(at_ms, host, why)| {
                Violation::new(self.name(), "refused to work on healthy stores")
                    .expected(format!("{host} works: no store lost or changed anything"))
                    .actual(format!("at {at_ms} ms: {why}"))
            }));
        }
        // One record is no reason: it is set apart, and the others go on.
        let single = record.refusals.iter().filter(|(_, _, why)| why.starts_with("the record of tx-"));
        verdict.violations.extend(single.map(|(at_ms, host, why)| {
            Violation::new(self.name(), "a damaged record stopped all others")
                .expected(format!("{host} sets the record apart and works"))
                .actual(format!("at {at_ms} ms: {why}"))
        }));
        if record.plan.faults.is_empty() {
            let busy = record.history.events().iter().enumerate().filter_map(|(index, event)| match &event.kind {
                EventKind::Fail(reason) if reason.contains(BUSY) => Some((index, event.op, reason)),
                _ => None,
            });
            verdict.violations.extend(busy.map(|(index, op, reason)| {
                Violation::new(self.name(), "waited in vain although nothing went wrong")
                    .at_step(index as u64)
                    .about([op])
                    .expected(format!("{op} gets its entities: nobody holds them for long"))
                    .actual(reason.clone())
            }));
        }
        let planned: usize = record.plan.clients.iter().map(|client| client.steps.len()).sum();
        let ended = record.history.events().iter().filter(|event| !matches!(event.kind, EventKind::Invoke(_))).count();
        verdict.checked = ended as u64;
        if ended < planned {
            verdict.violations.push(
                Violation::new(self.name(), "an operation did not end")
                    .expected(format!("all {planned} operations end within {} ms", record.plan.limit_ms))
                    .actual(format!("{ended} did"))
                    .details(record.stuck_clients.iter().map(|client| format!("{client} was not done"))),
            );
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;
    use crate::plan::{Fault, PlannedFault, Trigger};
    use crate::system::operation::Op;

    #[test]
    fn a_system_that_never_comes_to_rest_is_caught() {
        caught(&Liveness, "not settled # ms after the faults were healed", |run| {
            run.settled = Err(format!("not settled {} ms after the faults were healed", run.value));
        });
    }

    #[test]
    fn what_it_was_waiting_for_is_told() {
        let mut record = Run::sound(CASTS[0]).record();
        record.settled = Err("not settled 5 ms after the faults were healed".to_owned());
        record.awaited = Some("alice cannot be read".to_owned());
        let told = Liveness.check(&record).violations.remove(0).actual;
        assert_eq!(told, "not settled 5 ms after the faults were healed: alice cannot be read");
    }

    #[test]
    fn who_refuses_to_work_needs_a_reason() {
        let mut record = Run::sound(CASTS[0]).record();
        record.refusals.push((70, "coordinator".to_owned(), "the ledger is older than the graph".to_owned()));
        let keys = |record: &CoordinatorRecord| -> Vec<String> {
            Liveness.check(record).violations.into_iter().map(|violation| violation.key).collect()
        };
        assert_eq!(keys(&record), ["refused to work on healthy stores"]);
        let fault = Fault::Forget { host: "graph".to_owned(), commits: 1, restart_after_ms: 1 };
        record.plan.faults.push(PlannedFault { at: Trigger::Ms(1), fault });
        record.fired.push(false);
        assert_eq!(keys(&record).len(), 1, "what was planned and did nothing is no reason");
        record.fired[0] = true;
        assert!(keys(&record).is_empty());
    }

    #[test]
    fn one_damaged_record_is_no_reason() {
        let mut record = Run::sound(CASTS[0]).record();
        let fault = Fault::Forget { host: "graph".to_owned(), commits: 1, restart_after_ms: 1 };
        record.plan.faults.push(PlannedFault { at: Trigger::Ms(1), fault });
        record.fired.push(true);
        for (why, caught) in [
            ("the record of tx-1-5 is damaged: its checksum does not match", true),
            ("the record of setting store_id is damaged: its checksum does not match", false),
        ] {
            record.refusals = vec![(70, "coordinator".to_owned(), why.to_owned())];
            assert_eq!(!Liveness.check(&record).violations.is_empty(), caught, "{why}");
        }
    }

    #[test]
    fn who_waits_in_vain_without_a_fault_is_caught() {
        let busy = |run: &mut Run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            run.fail(op, "The entities are in use: busy; nothing was done: try again later".to_owned());
        };
        caught(&Liveness, "waited in vain although nothing went wrong", busy);
        let mut run = Run::sound(CASTS[0]);
        busy(&mut run);
        let mut record = run.record();
        let fault = Fault::Pause { host: "coordinator".to_owned(), for_ms: 1 };
        record.plan.faults.push(PlannedFault { at: Trigger::Ms(1), fault });
        record.fired.push(true);
        assert!(Liveness.check(&record).holds(), "whoever stands still keeps its locks");
    }

    #[test]
    fn an_operation_that_never_ends_is_caught() {
        caught(&Liveness, "an operation did not end", |run| {
            run.invoke(Op::Read { entity: run.alice.clone() });
        });
    }

    #[test]
    fn an_operation_that_was_never_begun_is_caught_and_its_client_named() {
        let mut record = Run::sound(CASTS[0]).record();
        let step = record.plan.clients[0].steps[0].clone();
        record.plan.clients[0].steps.push(step);
        record.stuck_clients.push("c1".to_owned());
        let verdict = Liveness.check(&record);
        assert_eq!(verdict.violations[0].key, "an operation did not end");
        assert_eq!(verdict.violations[0].details, ["c1 was not done"]);
    }

    #[test]
    fn not_to_know_the_outcome_is_an_end() {
        passed(&Liveness, |run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            run.info(op);
        });
    }
}
