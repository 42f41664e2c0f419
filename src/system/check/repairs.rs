//! Passes over both stores find and repair what somebody changed, and nothing else.

use coordinator::commit::IdempotencyKey;
use coordinator::reconcile::{Done, Policy, Summary, Task};

use super::{CoordinatorRecord, media_broke, stores};
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::dump::LogLine;
use crate::system::operation::Ret;

/// Where nobody changed a store, a pass finds nothing, however much is under way: a transaction that runs is no
/// difference, and one that just committed is not repaired. Where the events decide, one pass leaves nothing but what it
/// says it could not look at, and the next has nothing left to repair.
#[derive(Clone, Copy, Debug)]
pub struct Repairs;

impl Checker<CoordinatorRecord> for Repairs {
    fn name(&self) -> &'static str {
        "repairs"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        let untouched = !media_broke(record) && record.plan.system.get("graph_hides").is_none();
        let mut verdict = Verdict { checked: dump.log.len() as u64, ..Verdict::default() };
        // Of a pass whose client was not told, the log tells.
        let is_repair = |line: &&LogLine| IdempotencyKey(line.key.clone()).is_repair();
        if let (true, Some(repair)) = (untouched, dump.log.iter().find(is_repair)) {
            verdict.violations.push(
                Violation::new(self.name(), "what nobody changed was repaired")
                    .expected("no repair in the log, because nobody changed a store")
                    .actual(format!("{} {}", repair.tx, repair.key)),
            );
        }
        let mut is_done = false;
        for (index, event) in record.history.events().iter().enumerate() {
            let EventKind::Ok(Ret::Compared(summary)) = &event.kind else { continue };
            if let Some((key, expected)) = wrong(summary, untouched, is_done) {
                verdict.violations.push(
                    Violation::new(self.name(), key)
                        .at_step(index as u64)
                        .about([event.op])
                        .expected(format!("{}: {expected}", event.op))
                        .actual(format!("{summary:?}")),
                );
            }
            is_done |= untouched_since(record, summary);
        }
        verdict
    }
}

fn wrong(summary: &Summary, untouched: bool, is_done: bool) -> Option<(&'static str, &'static str)> {
    let listed = summary.findings.iter().filter(|finding| matches!(finding.done, Done::Repaired { .. })).count();
    if untouched && summary.differences > 0 {
        return Some(("what nobody changed was found to differ", "no finding, because nobody changed a store"));
    }
    if is_done && summary.repaired > 0 {
        return Some(("a second pass found something to repair", "stores that a pass before has made the same"));
    }
    if summary.task == Task::Reconcile(Policy::Log) && summary.undecided > 0 {
        return Some(("the events did not decide", "events that decide about every difference"));
    }
    let few = summary.repaired < 100;
    (few && summary.repaired != listed as u64).then_some((
        "a pass counts repairs that it did not make",
        "as many repairs as it lists with their transactions",
    ))
}

/// Whether the stores are the same after this pass and stay so: it was complete, and only the plan's single change by
/// hand, which it found, could have parted them.
fn untouched_since(record: &CoordinatorRecord, summary: &Summary) -> bool {
    !media_broke(record) && summary.is_clean() && summary.repaired > 0
}

#[cfg(test)]
mod tests {
    use coordinator::reconcile::Finding;
    use graph::TxId;

    use super::super::fixture::{CASTS, Run, caught};
    use super::*;
    use crate::system::operation::Op;

    fn summary(repaired: u64) -> Summary {
        let tx = TxId { incarnation: 1, serial: 9 };
        let finding = Finding {
            subject: "entity alice".to_owned(),
            divergence: None,
            fields: Vec::new(),
            done: Done::Repaired { tx },
        };
        Summary {
            task: Task::Reconcile(Policy::Log),
            complete: true,
            why: None,
            entities: 2,
            links: 1,
            suspects: repaired,
            differences: repaired,
            repaired,
            undecided: 0,
            skipped: 0,
            findings: vec![finding; usize::try_from(repaired).unwrap()],
        }
    }

    /// What is said about these passes.
    fn said(summaries: &[Summary], by_hand: bool) -> Vec<String> {
        let mut run = Run::sound(CASTS[0]);
        for summary in summaries {
            let op = run.invoke(Op::Reconcile { policy: Policy::Log });
            run.ok(op, Ret::Compared(Box::new(summary.clone())));
        }
        let mut record = run.record();
        if by_hand {
            record.plan.system = serde_json::json!({ "graph_hides": { "entity": "alice", "after_ms": 1 } });
        }
        Repairs.check(&record).violations.into_iter().map(|violation| violation.key.to_string()).collect()
    }

    #[test]
    fn nothing_is_repaired_that_nobody_changed() {
        assert_eq!(said(&[summary(0)], false), Vec::<String>::new());
        assert_eq!(said(&[summary(1)], false)[0], "what nobody changed was found to differ");
        assert_eq!(said(&[summary(1), summary(0)], true), Vec::<String>::new());
    }

    #[test]
    fn a_repair_of_which_nobody_was_told_shows_in_the_log() {
        caught(&Repairs, "what nobody changed was repaired", |run| {
            let tx = TxId { incarnation: 1, serial: 9 };
            let key = "repair·policy:graph·tx-1-9".to_owned();
            run.log.push(LogLine { tx, key, state: "committed".to_owned() });
        });
    }

    #[test]
    fn one_pass_reaches_the_fixed_point() {
        assert_eq!(said(&[summary(1), summary(1)], true), ["a second pass found something to repair"]);
    }

    #[test]
    fn repairs_are_counted_by_their_transactions() {
        let boast = Summary { findings: Vec::new(), ..summary(1) };
        assert_eq!(said(&[boast], true), ["a pass counts repairs that it did not make"]);
        let undecided = Summary { undecided: 1, differences: 1, ..summary(0) };
        assert_eq!(said(&[undecided], true), ["the events did not decide"]);
    }
}
