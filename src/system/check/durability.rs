//! What was acknowledged survives.

use super::CoordinatorRecord;
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::dump;
use crate::system::operation::Ret;

/// Every transaction that a client was told is committed is committed in the log at the
/// end, with all its events.
#[derive(Clone, Copy, Debug)]
pub struct Durability;

impl Checker<CoordinatorRecord> for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut verdict = Verdict::default();
        let log = dump::log(&record.dumps);
        let events = dump::events(&record.dumps);
        for (index, event) in record.history.events().iter().enumerate() {
            let EventKind::Ok(Ret::Committed { tx }) = &event.kind else { continue };
            verdict.checked += 1;
            let state = log.iter().find(|line| line.tx == *tx).map(|line| line.state.as_str());
            if state != Some("committed") {
                verdict.violations.push(
                    Violation::new(self.name(), "an acknowledged transaction is lost")
                        .at_step(index as u64)
                        .expected(format!("{tx}, acknowledged at {}, committed in the log", event.at))
                        .actual(format!("the log says {}", state.unwrap_or("nothing"))),
                );
            } else if !events.iter().any(|line| line.tx == *tx) {
                verdict.violations.push(
                    Violation::new(self.name(), "the events of an acknowledged transaction are lost")
                        .at_step(index as u64)
                        .expected(format!("events of {tx}"))
                        .actual("none"),
                );
            }
        }
        verdict
    }
}
