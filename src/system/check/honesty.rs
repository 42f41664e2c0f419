//! What a client was told is what is true.

use std::collections::BTreeMap;

use super::CoordinatorRecord;
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::dump;
use crate::system::operation::{Op, Ret};

/// "Committed" means committed, under the name that was given; "failed" means that it never
/// took effect; nobody is told anything that the log contradicts in the end.
#[derive(Clone, Copy, Debug)]
pub struct Honesty;

impl Checker<CoordinatorRecord> for Honesty {
    fn name(&self) -> &'static str {
        "honesty"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut verdict = Verdict::default();
        let log: BTreeMap<String, dump::LogLine> =
            dump::log(&record.dumps).into_iter().map(|line| (line.key.clone(), line)).collect();
        let mut submitted = Vec::new();
        for (index, event) in record.history.events().iter().enumerate() {
            match &event.kind {
                EventKind::Invoke(Op::Submit { .. }) => submitted.push(event.op),
                EventKind::Ok(Ret::Committed { tx }) => {
                    verdict.checked += 1;
                    let line = log.get(&super::super::key(event.op.0));
                    if line.is_none_or(|line| line.tx != *tx || line.state != "committed") {
                        verdict.violations.push(
                            Violation::new(self.name(), "told committed, and it is not")
                                .at_step(index as u64)
                                .expected(format!("{} committed as {tx}", event.op))
                                .actual(describe(line)),
                        );
                    }
                }
                EventKind::Fail(reason) if submitted.contains(&event.op) => {
                    verdict.checked += 1;
                    let line = log.get(&super::super::key(event.op.0));
                    if line.is_some_and(|line| line.state != "aborted") {
                        verdict.violations.push(
                            Violation::new(self.name(), "told that it failed, and it did not")
                                .at_step(index as u64)
                                .expected(format!("{} never takes effect: the client was told {reason:?}", event.op))
                                .actual(describe(line)),
                        );
                    }
                }
                _ => {}
            }
        }
        verdict
    }
}

fn describe(line: Option<&dump::LogLine>) -> String {
    line.map_or("the log does not know it".to_owned(), |line| format!("the log says {} {}", line.tx, line.state))
}
