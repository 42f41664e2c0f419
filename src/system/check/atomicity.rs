//! All or nothing across both stores, once nothing is left to do.

use std::collections::BTreeMap;

use super::CoordinatorRecord;
use crate::check::{Checker, Verdict, Violation};
use crate::system::dump;

/// At quiescence both stores hold the same entities and links, every transaction in the log
/// has an outcome, and the graph's marker says the same as the log.
#[derive(Clone, Copy, Debug)]
pub struct Atomicity;

impl Checker<CoordinatorRecord> for Atomicity {
    fn name(&self) -> &'static str {
        "atomicity"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut verdict = Verdict::default();
        if record.settled.is_err() {
            // Not quiescent: liveness says so, and nothing can be said here.
            return verdict;
        }
        let dumps = &record.dumps;
        let (graph, ledger) = (dump::text(dumps, dump::GRAPH), dump::text(dumps, dump::LEDGER));
        if graph != ledger {
            verdict.violations.push(
                Violation::new(self.name(), "the stores differ")
                    .expected("the same entities and links in the graph and in SQLite")
                    .actual("they differ")
                    .details(difference(graph, ledger)),
            );
        }
        let mut markers: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (tx, state) in dump::markers(dumps) {
            markers.entry(tx).or_default().push(state);
        }
        for line in dump::log(dumps) {
            verdict.checked += 1;
            let states = markers.remove(&line.tx).unwrap_or_default();
            let states: Vec<&str> = states.iter().map(String::as_str).collect();
            let wrong = match (line.state.as_str(), states.as_slice()) {
                // A refusal needs no marker; a fenced transaction has one that says so.
                ("committed", ["committed"]) | ("aborted", [] | ["aborted"]) => None,
                ("intended", _) => Some("a transaction without an outcome"),
                _ => Some("the marker contradicts the log"),
            };
            if let Some(key) = wrong {
                verdict.violations.push(
                    Violation::new(self.name(), key)
                        .expected(format!("one outcome for {}, in the log and in its marker", line.tx))
                        .actual(format!("the log says {}, the graph has markers {states:?}", line.state)),
                );
            }
        }
        for (tx, states) in markers {
            verdict.violations.push(
                Violation::new(self.name(), "a marker without a log entry")
                    .expected(format!("no trace of {tx}, which is not in the log"))
                    .actual(format!("the graph has markers {states:?}")),
            );
        }
        verdict
    }
}

/// The lines that only one of two sorted dumps has.
fn difference(graph: &str, ledger: &str) -> Vec<String> {
    let only = |these: &str, those: &str, where_: &str| {
        let those: Vec<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !those.contains(line));
        lines.map(|line| format!("only in {where_}: {line}")).collect::<Vec<_>>()
    };
    let mut lines = only(graph, ledger, "the graph");
    lines.extend(only(ledger, graph, "SQLite"));
    lines
}
