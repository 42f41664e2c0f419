//! Every decision is in the audit trail, once.

use std::collections::BTreeMap;

use graph::TxId;

use super::{CoordinatorRecord, stores};
use crate::check::{Checker, Verdict, Violation};

/// The entries of the audit trail are numbered from 1 without a gap. Each transaction in the log has the entries that its
/// state stands for, in their order and once, whatever crashed in between: an entry is written together with what it is
/// about. What is not in the log, because the log forgot it, has no entry that contradicts another; and every event has
/// a transaction whose commit is in the trail.
#[derive(Clone, Copy, Debug)]
pub struct Audit;

impl Checker<CoordinatorRecord> for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict { checked: dump.audit.len() as u64, ..Verdict::default() };
        let mut trail: BTreeMap<TxId, Vec<&str>> = BTreeMap::new();
        for (tx, action) in dump.audit.iter().filter_map(|line| Some((line.tx?, &line.action))) {
            trail.entry(tx).or_default().push(action);
        }
        if let Some((line, number)) = dump.audit.iter().zip(1..).find(|(line, number)| line.entry != *number) {
            verdict.violations.push(
                Violation::new(self.name(), "the entries are not numbered without a gap")
                    .expected(format!("entry {number}"))
                    .actual(format!("entry {line}")),
            );
        }
        for line in &dump.log {
            let entries = trail.get(&line.tx).map(Vec::as_slice).unwrap_or_default();
            if !fits(&line.state, entries) {
                verdict.violations.push(
                    Violation::new(self.name(), "the audit trail does not tell what became of a transaction")
                        .expected(format!("the entries of {}, which is {}, each once", line.tx, line.state))
                        .actual(format!("{entries:?}")),
                );
            }
        }
        let unaccounted = dump.events.iter().find(|event| {
            let entries = trail.get(&event.tx).map(Vec::as_slice).unwrap_or_default();
            !entries.contains(&"committed")
        });
        if let (true, Some(event)) = (verdict.violations.is_empty(), unaccounted) {
            verdict.violations.push(
                Violation::new(self.name(), "an event without a commit in the audit trail")
                    .expected(format!("the commit of {}, which appended to {}", event.tx, event.resource))
                    .actual("there is none"),
            );
        }
        verdict
    }
}

/// Whether these are the entries of a transaction in this state. How it came to its outcome may stand between them.
fn fits(state: &str, entries: &[&str]) -> bool {
    // Of a damaged record the trail has what was certain of it.
    if entries.contains(&"isolated") {
        return true;
    }
    let steps: Vec<&str> =
        entries.iter().copied().filter(|entry| ["intended", "committed", "aborted"].contains(entry)).collect();
    match state {
        "committed" => steps == ["intended", "committed"],
        // What does not fit is never intended.
        "aborted" => steps == ["intended", "aborted"] || steps == ["aborted"],
        _ => steps == ["intended"],
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Run, caught, passed};
    use super::*;
    use crate::system::dump::AuditLine;

    /// Changes the entries and numbers them anew.
    fn with(run: &mut Run, change: impl FnOnce(&mut Vec<AuditLine>)) {
        change(&mut run.audit);
        run.audit.iter_mut().zip(1..).for_each(|(line, number)| line.entry = number);
    }

    #[test]
    fn a_missing_entry_is_a_gap() {
        caught(&Audit, "the entries are not numbered without a gap", |run| {
            let tx = run.audit[0].tx;
            run.audit.insert(2, AuditLine { entry: 9, tx, action: "fenced".to_owned() });
        });
    }

    #[test]
    fn a_transaction_whose_outcome_or_beginning_is_missing_is_caught() {
        let key = "the audit trail does not tell what became of a transaction";
        caught(&Audit, key, |run| with(run, |audit| drop(audit.remove(0))));
        caught(&Audit, key, |run| with(run, |audit| drop(audit.remove(1))));
        caught(&Audit, key, |run| with(run, |audit| drop(audit.pop())));
    }

    #[test]
    fn an_outcome_is_told_once_and_after_the_beginning() {
        let key = "the audit trail does not tell what became of a transaction";
        caught(&Audit, key, |run| with(run, |audit| audit.insert(1, audit[1].clone())));
        caught(&Audit, key, |run| with(run, |audit| audit.swap(0, 1)));
    }

    #[test]
    fn an_event_needs_a_commit() {
        caught(&Audit, "an event without a commit in the audit trail", |run| {
            let tx = TxId { incarnation: 9, serial: 9 };
            run.events[0].tx = tx;
        });
    }

    #[test]
    fn how_it_came_to_its_outcome_and_what_is_forgotten_are_no_contradiction() {
        passed(&Audit, |run| {
            let tx = run.audit[0].tx;
            let between = ["recovered", "fenced"].map(|action| AuditLine { entry: 0, tx, action: action.to_owned() });
            with(run, |audit| drop(audit.splice(1..1, between)));
        });
        passed(&Audit, |run| run.log.clear());
    }

    #[test]
    fn events_that_were_appended_by_themselves_are_about_no_transaction() {
        passed(&Audit, |run| {
            with(run, |audit| audit.insert(1, AuditLine { entry: 0, tx: None, action: "appended".to_owned() }));
        });
    }

    #[test]
    fn of_a_damaged_record_only_what_was_certain_is_told() {
        passed(&Audit, |run| {
            let tx = run.audit[0].tx;
            with(run, |audit| audit[1] = AuditLine { entry: 0, tx, action: "isolated".to_owned() });
            run.events.retain(|event| Some(event.tx) != tx);
        });
    }
}
