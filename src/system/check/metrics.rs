//! What the coordinator counts is what it did.

use std::collections::{BTreeMap, BTreeSet};

use super::CoordinatorRecord;
use crate::check::{Checker, Verdict, Violation};
use crate::record::{TraceEvent, What, mark_name};
use crate::system::{COORDINATOR, dump};

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
        let counted: BTreeMap<String, u64> = counters.lines().filter_map(counter).collect();
        let derived = derive(&record.trace);
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

/// `coordinator_NAME_total{LABEL="VALUE"} COUNT`, or with several labels, as `NAME VALUE VALUE` and the count.
fn counter(line: &str) -> Option<(String, u64)> {
    let (series, count) = line.rsplit_once(' ')?;
    let (name, labels) = series.strip_suffix('}')?.split_once('{')?;
    let name = name.strip_prefix("coordinator_")?.strip_suffix("_total")?;
    let values = labels.split(',').filter_map(|label| Some(label.split_once('=')?.1.trim_matches('"')));
    let name = std::iter::once(name).chain(values).collect::<Vec<_>>().join(" ");
    Some((name, count.parse().ok()?))
}

/// What the last process of the coordinator did until it was asked for its counters.
fn derive(trace: &[TraceEvent]) -> BTreeMap<String, u64> {
    let trace: Vec<&TraceEvent> = trace.iter().filter(|event| event.host == COORDINATOR).collect();
    let started = trace.iter().rposition(|event| event.what == What::Fault && event.text == "restarted");
    let trace = &trace[started.unwrap_or(0)..];
    let asked = trace.iter().rposition(|event| event.what == What::Input && event.text.starts_with("commit Inspect"));
    let mut tally = Tally::default();
    for event in &trace[..asked.unwrap_or(trace.len())] {
        if let Some(text) = event.text.strip_prefix("commit ") {
            match event.what {
                What::Input => tally.input(text),
                What::Mark => tally.mark(text),
                What::Effect => tally.effect(text),
                _ => {}
            }
        }
    }
    tally.counts
}

#[derive(Default)]
struct Tally<'a> {
    counts: BTreeMap<String, u64>,
    /// What each request that has no answer yet asks for.
    asked: BTreeMap<&'a str, &'static str>,
    /// The requests that joined a transaction under way.
    joined: BTreeSet<&'a str>,
    /// The request that the last input was.
    asking: Option<&'a str>,
    /// The transactions whose outcome the last input found in the log.
    found: BTreeSet<&'a str>,
    /// Transactions of earlier processes.
    recovered: BTreeSet<&'a str>,
    /// Why each transaction is being aborted.
    causes: BTreeMap<&'a str, &'static str>,
}

impl<'a> Tally<'a> {
    fn count(&mut self, name: impl Into<String>) {
        *self.counts.entry(name.into()).or_default() += 1;
    }

    fn input(&mut self, text: &'a str) {
        self.found.clear();
        self.asking = None;
        let kinds = [
            ("Submit ", "transaction"),
            ("Read ", "read"),
            ("Find ", "read"),
            ("Outcome ", "outcome"),
            ("Examine ", "examination"),
            ("Repair ", "repair"),
            ("Append ", "append"),
        ];
        if let Some((_, kind)) = kinds.iter().find(|(name, _)| text.starts_with(name)) {
            let request = within(text, "RequestId(", ")");
            self.asked.insert(request, kind);
            self.asking = Some(request);
        }
        if text.starts_with("Done { effect: Intend(") {
            let tx = tx(text);
            if text.contains("report: Refused(") {
                self.causes.insert(tx, "refused");
                for (refusal, kind) in [("EntityExists(", "entity"), ("KeyTaken ", "canonical_key")] {
                    if text.contains(&format!("report: Refused({refusal}")) {
                        self.count(format!("id_conflicts {kind}"));
                    }
                }
            }
        }
    }

    fn mark(&mut self, text: &'a str) {
        let name = mark_name(text);
        self.count(format!("decisions {name}"));
        let tx = tx(text);
        match name.as_str() {
            "joined" => self.joined.extend(self.asking),
            "deduplicated" => drop(self.found.insert(tx)),
            "recovered" => drop(self.recovered.insert(tx)),
            "key_reused" => self.count("id_conflicts key"),
            "committed" => self.settled(tx, "committed"),
            "aborted" => {
                let cause = self.causes.get(tx).copied().unwrap_or("without a cause");
                self.settled(tx, cause);
            }
            _ => {}
        }
    }

    fn settled(&mut self, tx: &str, outcome: &str) {
        self.count(format!("transactions {outcome}"));
        if self.recovered.contains(tx) {
            self.count(format!("recovered {}", if outcome == "committed" { "committed" } else { "aborted" }));
        }
    }

    fn effect(&mut self, text: &'a str) {
        if text.starts_with("Do { id: Finish(") {
            self.causes.extend(cause(text).map(|cause| (tx(text), cause)));
        }
        if !text.starts_with("Reply ") {
            return;
        }
        let request = within(text, "RequestId(", ")");
        // What the counters do not count was not asked for by anybody who is counted.
        let Some(kind) = self.asked.remove(request) else { return };
        let answer = text.split_once("answer: ").map_or("", |(_, answer)| answer);
        let repeated = self.joined.contains(request) || self.found.contains(tx(answer));
        let name = match mark_name(answer).as_str() {
            "settled" if kind == "outcome" => "settled",
            "settled" if kind == "transaction" && repeated => "repeated",
            "settled" => cause(answer).unwrap_or("committed"),
            "unknown" if matches!(kind, "outcome" | "read") => "undecided",
            "unknown" => "unknown",
            "key_reused" => "key_reused",
            "entity" if answer.starts_with("Entity(None)") => "absent",
            "entity" => "found",
            "no_such_transaction" => "absent",
            "examined" => "examined",
            "reviewed" if answer.contains("Reviewed(Agreed)") => "agreed",
            "reviewed" => "left_to_a_person",
            "appended" if answer.starts_with("Appended(New(") => "appended",
            "appended" if answer.starts_with("Appended(Repeated(") => "repeated",
            "appended" if answer.starts_with("Appended(VersionConflict") => "version_conflict",
            "appended" if answer.starts_with("Appended(Damaged") => "event_damaged",
            "appended" => "event_id_reused",
            "rejected" if answer.contains("Rejected(Busy)") => "busy",
            "rejected" if answer.contains("Rejected(Halted)") => "halted",
            "rejected" => "unavailable",
            _ => "of another kind",
        };
        self.count(format!("requests {kind} {name}"));
    }
}

/// Why a transaction was aborted, if the text says that it was.
fn cause(text: &str) -> Option<&'static str> {
    let reason = text.split_once("Aborted { reason: ")?.1;
    let causes = [("Refused(", "refused"), ("GraphRefused(", "graph_refused"), ("Fenced", "fenced")];
    causes.iter().find(|(name, _)| reason.starts_with(name)).map(|(_, cause)| *cause)
}

/// The first transaction that the text names.
fn tx(text: &str) -> &str {
    within(text, "TxId { ", " }")
}

fn within<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).map_or("", |(_, rest)| rest);
    rest.split_once(after).map_or("", |(found, _)| found)
}

#[cfg(test)]
mod tests {
    use coordinator::commit::{Answer, CommitEffect, Decision, Input, Mark, Rejection, RequestId};
    use coordinator::events::{Append, Appended};
    use graph::{EntityId, TxId};

    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;

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
