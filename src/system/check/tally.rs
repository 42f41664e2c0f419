//! What the commit core did, as its coordinator counts it, read from the trace.

use std::collections::{BTreeMap, BTreeSet};

use super::process::LastProcess;
use crate::record::{What, mark_name};

/// Something that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// When it happened, in simulated milliseconds.
    pub at_ms: u64,
    /// The counter and the values of its labels, as [`dump::read_counters`](crate::system::dump::read_counters) names it.
    pub name: String,
}

/// What the commit core of the last process did, each time that its coordinator counts it.
pub(super) fn events(process: &LastProcess<'_>) -> Vec<Counted> {
    let mut tally = Tally::default();
    for event in &process.events {
        tally.at_ms = event.at_ms;
        if let Some(text) = event.text.strip_prefix("commit ") {
            match event.what {
                What::Input => tally.input(text),
                What::Mark => tally.mark(text),
                What::Effect => tally.effect(text),
                _ => {}
            }
        }
    }
    tally.counted
}

#[derive(Default)]
struct Tally<'a> {
    counted: Vec<Counted>,
    /// The time of what is being read.
    at_ms: u64,
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
        self.counted.push(Counted { at_ms: self.at_ms, name: name.into() });
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
                let conflicts =
                    [("EntityExists(", "entity"), ("KeyTaken ", "canonical_key"), ("EventExists(", "event")];
                for (refusal, kind) in conflicts {
                    if text.contains(&format!("report: Refused({refusal}")) {
                        self.count(format!("id_conflicts_total {kind}"));
                    }
                }
            }
        }
    }

    fn mark(&mut self, text: &'a str) {
        let name = mark_name(text);
        self.count(format!("decisions_total {name}"));
        let tx = tx(text);
        match name.as_str() {
            "joined" => self.joined.extend(self.asking),
            "deduplicated" => drop(self.found.insert(tx)),
            "recovered" => drop(self.recovered.insert(tx)),
            "key_reused" => self.count("id_conflicts_total key"),
            "committed" => self.settled(tx, "committed"),
            "aborted" => {
                let cause = self.causes.get(tx).copied().unwrap_or("without a cause");
                self.settled(tx, cause);
            }
            _ => {}
        }
    }

    fn settled(&mut self, tx: &str, outcome: &str) {
        self.count(format!("transactions_total {outcome}"));
        if self.recovered.contains(tx) {
            self.count(format!("recovered_total {}", if outcome == "committed" { "committed" } else { "aborted" }));
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
        self.count(format!("requests_total {kind} {name}"));
    }
}

/// Why a transaction was aborted, if the text says that it was.
fn cause(text: &str) -> Option<&'static str> {
    let reason = text.split_once("Aborted { reason: ")?.1;
    let causes = [("Refused(", "refused"), ("GraphRefused(", "graph_refused"), ("Fenced", "fenced")];
    causes.iter().find(|(name, _)| reason.starts_with(name)).map(|(_, cause)| *cause)
}

/// The first transaction that the text names.
pub(super) fn tx(text: &str) -> &str {
    within(text, "TxId { ", " }")
}

/// What stands between the first `before` and the next `after`; nothing where either is missing.
pub(super) fn within<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).map_or("", |(_, rest)| rest);
    rest.split_once(after).map_or("", |(found, _)| found)
}
