//! After the faults are healed, everything comes to an end.

use super::CoordinatorRecord;
use crate::check::{Checker, Verdict, Violation, normalise};
use crate::history::EventKind;

/// Every operation ended in the time it had, and the system came to rest after the heal.
#[derive(Clone, Copy, Debug)]
pub struct Liveness;

impl Checker<CoordinatorRecord> for Liveness {
    fn name(&self) -> &'static str {
        "liveness"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut verdict = Verdict::default();
        if let Err(reason) = &record.settled {
            verdict.violations.push(
                Violation::new(self.name(), normalise(reason))
                    .expected(format!("nothing left to do {} ms after the faults were healed", record.plan.settle_ms))
                    .actual(reason.clone()),
            );
        }
        let planned: usize = record.plan.clients.iter().map(|client| client.steps.len()).sum();
        let ended = record.history.events().iter().filter(|event| !matches!(event.kind, EventKind::Invoke(_))).count();
        verdict.checked = ended as u64;
        if ended < planned {
            verdict.violations.push(
                Violation::new(self.name(), "an operation did not end")
                    .expected(format!("all {planned} operations end within {} ms", record.plan.limit_ms))
                    .actual(format!("{ended} did")),
            );
        }
        verdict
    }
}
