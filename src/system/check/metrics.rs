//! What the coordinator counts is what it did.

use std::collections::{BTreeMap, BTreeSet};

use super::process::LastProcess;
use super::{CoordinatorRecord, tally};
use crate::check::{Checker, Verdict, Violation};
use crate::system::dump;

/// The counters of the last process equal what its record says: every decision by its name, every answer, every
/// transaction that it settled, recovered ones apart, and every conflict. One success is counted once, however often it
/// was asked for.
///
/// The counts are derived here from the trace of the commit core and from nothing that the coordinator computes.
#[derive(Clone, Copy, Debug)]
pub struct Metrics;

impl Checker<CoordinatorRecord> for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut verdict = Verdict::default();
        // A run that did not come to rest has no counters, which is for liveness to judge.
        if record.settled.is_err() || !record.refusals.is_empty() {
            return verdict;
        }
        let Some(counters) = record.dumps.get(dump::COUNTERS) else {
            verdict.violations.push(
                Violation::new(self.name(), "there are no counters")
                    .expected("a coordinator at rest that says what it has counted")
                    .actual("no dump of counters"),
            );
            return verdict;
        };
        let mut counted = dump::read_counters(counters);
        counted.retain(|name, _| dump::is_decided(name));
        let mut derived: BTreeMap<String, u64> = BTreeMap::new();
        for event in tally::events(&LastProcess::of(&record.trace)) {
            *derived.entry(event.name).or_default() += 1;
        }
        verdict.checked = derived.values().sum();
        let names: BTreeSet<&String> = counted.keys().chain(derived.keys()).collect();
        for name in names {
            let of = |counts: &BTreeMap<String, u64>| counts.get(name).copied().unwrap_or(0);
            if of(&counted) != of(&derived) {
                verdict.violations.push(
                    Violation::new(self.name(), "a counter differs from the record")
                        .expected(format!("{name} {}, as in the record", of(&derived)))
                        .actual(format!("{name} {}", of(&counted))),
                );
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use coordinator::commit::{Answer, CommitEffect, Decision, EffectId, Input, Mark, Rejection, Report, RequestId};
    use coordinator::events::{Append, Appended};
    use graph::{EntityId, EventId, Refusal, TxId};

    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;
    use crate::record::{TraceEvent, What};

    const DIFFERS: &str = "a counter differs from the record";

    fn first(run: &Run) -> TxId {
        run.log[0].tx
    }

    /// The client of the first transaction asks again, and is answered from the log.
    fn ask_again(run: &mut Run) {
        let (request, tx) = (RequestId(90), first(run));
        run.told(Input::Outcome { request, tx });
        run.answered(crate::history::OpId(request.0), tx, Decision::Committed);
    }

    #[test]
    fn a_counter_that_is_off_by_one_is_seen() {
        for (counted, instead) in [
            (r#"{decision="committed"} 3"#, r#"{decision="committed"} 4"#),
            (r#"{outcome="fenced"} 1"#, r#"{outcome="fenced"} 2"#),
            (r#"answer="committed"} 2"#, r#"answer="committed"} 3"#),
            (r#"{kind="entity"} 1"#, r#"{kind="entity"} 0"#),
        ] {
            caught(&Metrics, DIFFERS, |run| {
                assert!(run.counters.contains(counted), "{counted}");
                run.counters = run.counters.replace(counted, instead);
            });
        }
    }

    #[test]
    fn what_is_in_the_record_and_was_not_counted_is_seen() {
        caught(&Metrics, DIFFERS, |run| run.decided(Mark::Fenced(first(run))));
        caught(&Metrics, DIFFERS, ask_again);
        caught(&Metrics, DIFFERS, |run| {
            let request = RequestId(91);
            run.told(Input::Read { request, entity: EntityId::new("x").unwrap() });
            run.did(CommitEffect::Reply { request, answer: Answer::Rejected(Rejection::Busy) });
        });
    }

    #[test]
    fn an_append_is_counted_by_its_answer() {
        let append = |run: &mut Run, counted: &str| {
            let request = RequestId(92);
            let stream = run.alice.clone();
            let append = Append { stream, expected: Some(7), events: Vec::new() };
            run.told(Input::Append { request, append });
            let answer = Answer::Appended(Appended::VersionConflict { actual: 3 });
            run.did(CommitEffect::Reply { request, answer });
            run.counters += counted;
        };
        caught(&Metrics, DIFFERS, |run| append(run, ""));
        passed(&Metrics, |run| {
            append(run, "coordinator_requests_total{request=\"append\",answer=\"version_conflict\"} 1\n");
        });
    }

    #[test]
    fn an_id_of_an_event_that_was_taken_is_a_conflict() {
        let taken = |run: &mut Run| {
            let refusal = Refusal::EventExists(EventId::new("event-1").unwrap());
            let report = Report::Refused(refusal);
            run.told(Input::Done { effect: EffectId::Intend(first(run)), report });
        };
        caught(&Metrics, DIFFERS, taken);
        passed(&Metrics, |run| {
            taken(run);
            run.counters += "coordinator_id_conflicts_total{kind=\"event\"} 1\n";
        });
    }

    #[test]
    fn what_was_counted_as_it_is_in_the_record_passes() {
        passed(&Metrics, |run| {
            ask_again(run);
            run.counters += "coordinator_requests_total{request=\"outcome\",answer=\"settled\"} 1\n";
        });
        passed(&Metrics, |run| {
            run.decided(Mark::Fenced(first(run)));
            run.counters += "coordinator_decisions_total{decision=\"fenced\"} 1\n";
        });
    }

    #[test]
    fn a_process_counts_from_its_start_to_the_question() {
        passed(&Metrics, |run| {
            run.told(Input::Inspect { request: RequestId(92) });
            run.decided(Mark::Fenced(first(run)));
        });
        passed(&Metrics, |run| {
            let before = run.trace.clone();
            run.trace.insert(0, TraceEvent { what: What::Fault, text: "restarted".to_owned(), ..before[0].clone() });
            run.trace.splice(0..0, before);
        });
    }

    #[test]
    fn without_counters_nobody_can_see_that_they_are_right() {
        caught(&Metrics, "there are no counters", |run| run.damage = Some(|dumps| drop(dumps.remove(dump::COUNTERS))));
        let mut unsettled = Run::sound(CASTS[0]);
        unsettled.settled = Err("it never came to rest".to_owned());
        assert!(Metrics.check(&unsettled.record()).is_vacuous(), "that is for liveness to judge");
    }
}
