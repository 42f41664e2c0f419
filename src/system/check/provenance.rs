//! Whatever stands in SQLite was written by a transaction that committed.

use std::collections::{BTreeMap, BTreeSet};

use graph::Operation;

use super::{CoordinatorRecord, stores, submissions};
use crate::check::{Checker, Verdict, Violation};
use crate::system::dump::RowLine;
use crate::system::operation::resources;

/// Each row of an entity and of a link names a transaction whose commit is in the audit trail and, where the log still has it, that
/// the log has as committed and that a client sent to write this very entity or link.
///
/// Of events the checks `atomicity` and `audit` say the same, and of the graph's entities and links `atomicity`: at rest they are
/// SQLite's. A file that lost its end or came back older has rows, log and trail of one moment all the same.
#[derive(Clone, Copy, Debug)]
pub struct Provenance;

impl Checker<CoordinatorRecord> for Provenance {
    fn name(&self) -> &'static str {
        "provenance"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        let in_trail = dump.audit.iter().filter(|line| line.action == "committed");
        let committed: BTreeSet<String> = in_trail.filter_map(|line| Some(line.tx?.to_string())).collect();
        let log: BTreeMap<String, _> = dump.log.iter().map(|line| (line.tx.to_string(), line)).collect();
        let submissions = submissions(record, &dump);
        let mut verdict = Verdict { checked: dump.rows.len() as u64, ..Verdict::default() };
        for row in &dump.rows {
            let line = log.get(&row.tx);
            let wrong = if !committed.contains(&row.tx) || line.is_some_and(|line| line.state != "committed") {
                Some("a row names no transaction that committed")
            } else {
                // A repair is the coordinator's own: what it did, it says in its summary.
                let operations = line.and_then(|line| submissions.get(&line.key));
                let elsewhere = operations.is_some_and(|operations| !writes(operations, row));
                elsewhere.then_some("a row names a transaction that did not write it")
            };
            verdict.violations.extend(wrong.map(|key| {
                Violation::new(self.name(), key)
                    .expected(format!("a transaction that committed and wrote {}", row.subject))
                    .actual(format!("{}, which is {:?}", row.tx, line.map(|line| &line.state)))
            }));
        }
        verdict
    }
}

/// Whether one of these operations writes this row.
fn writes(operations: &[Operation], row: &RowLine) -> bool {
    let links = operations.iter().any(|operation| match operation {
        Operation::Link { from, kind, to, .. } => format!("{from} {kind} {to}") == row.subject,
        _ => false,
    });
    links || resources(operations).any(|id| id.as_str() == row.subject)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Run, caught, passed};
    use super::*;

    const UNCOMMITTED: &str = "a row names no transaction that committed";
    const ELSEWHERE: &str = "a row names a transaction that did not write it";

    fn row<'a>(run: &'a mut Run, subject: &str) -> &'a mut RowLine {
        run.rows.iter_mut().find(|row| row.subject == subject).expect("it is there")
    }

    fn tx_of(run: &Run, subject: &str) -> String {
        run.rows.iter().find(|row| row.subject == subject).expect("it is there").tx.clone()
    }

    fn link(run: &Run) -> String {
        format!("{} knows {}", run.alice, run.bob)
    }

    #[test]
    fn a_row_without_a_transaction_is_caught() {
        for tx in ["tx-9-9", "", "by hand"] {
            caught(&Provenance, UNCOMMITTED, |run| {
                let subject = link(run);
                row(run, &subject).tx = tx.to_owned();
            });
        }
        caught(&Provenance, UNCOMMITTED, |run| {
            let (alice, tx) = (run.alice.to_string(), run.log.last().unwrap().tx.to_string());
            row(run, &alice).tx = tx;
        });
    }

    #[test]
    fn a_row_that_another_transaction_wrote_is_caught() {
        caught(&Provenance, ELSEWHERE, |run| {
            let (alice, bobs) = (run.alice.to_string(), tx_of(run, run.bob.as_str()));
            row(run, &alice).tx = bobs;
        });
        caught(&Provenance, ELSEWHERE, |run| {
            let (subject, second) = (link(run), run.log[1].tx.to_string());
            row(run, &subject).tx = second;
        });
    }

    #[test]
    fn what_the_log_has_forgotten_the_audit_trail_knows() {
        passed(&Provenance, |run| run.log.clear());
        caught(&Provenance, UNCOMMITTED, |run| {
            let first = run.log.remove(0).tx;
            run.audit.retain(|line| line.tx != Some(first));
        });
    }

    #[test]
    fn what_a_repair_wrote_passes() {
        passed(&Provenance, |run| run.log[0].key = "repair·policy:log·tx-1-1".to_owned());
    }
}
