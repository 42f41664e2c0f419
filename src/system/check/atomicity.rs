//! All or nothing across both stores.

use std::collections::BTreeMap;

use graph::{EntityId, TxId};

use super::{CoordinatorRecord, Liveness, media_broke, stores, submissions};
use crate::check::{Checker, Verdict, Violation};
use crate::history::EventKind;
use crate::system::dump::{Dump, LogLine};
use crate::system::operation::resources;

/// What the coordinator says when it holds an entity's lock and finds the stores apart: they differ about the entity, or
/// the graph has something that no transaction can have left.
const APART: [&str; 2] = ["the stores were changed by somebody else", "which the coordinator did not write"];

/// No strong read ever finds an entity in one store alone; the log, the graph's markers and the events tell the same
/// about every transaction; and once nothing is left to do, every transaction has an outcome and both stores hold the
/// same entities and links.
#[derive(Clone, Copy, Debug)]
pub struct Atomicity;

impl Checker<CoordinatorRecord> for Atomicity {
    fn name(&self) -> &'static str {
        "atomicity"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        // What is nearest to the cause comes first: it is what a report is about.
        let mut violations = self.markers(record, &dump);
        violations.extend(self.events(record, &dump));
        violations.extend(self.rest(record, &dump));
        violations.extend(self.reads(record));
        Verdict { violations, checked: dump.log.len() as u64 }
    }
}

impl Atomicity {
    /// The refusals that admit to a split: they are honest, and there must be none unless a store lost something.
    fn reads(&self, record: &CoordinatorRecord) -> Vec<Violation> {
        if media_broke(record) {
            return Vec::new();
        }
        let refused = record.history.events().iter().enumerate().filter_map(|(index, event)| match &event.kind {
            EventKind::Fail(reason) if APART.iter().any(|apart| reason.contains(apart)) => Some((index, event, reason)),
            _ => None,
        });
        let violation = |(index, event, reason): (usize, &crate::history::Event<_, _>, &String)| {
            Violation::new(self.name(), "a read found the stores apart")
                .at_step(index as u64)
                .about([event.op])
                .expected(format!("{} finds the entity in both stores or in none", event.op))
                .actual(reason.clone())
        };
        refused.map(violation).collect()
    }

    /// The two stores at rest.
    fn rest(&self, record: &CoordinatorRecord, dump: &Dump<'_>) -> Option<Violation> {
        match &record.settled {
            // Liveness reports it, unless the plan leaves that out: then nobody else would.
            Err(reason) => {
                let checks = &record.plan.checks;
                let unreported = !checks.is_empty() && !checks.iter().any(|check| check == Liveness.name());
                unreported.then(|| {
                    Violation::new(self.name(), "the stores never came to rest")
                        .expected("a moment at which the stores can be compared")
                        .actual(reason.clone())
                })
            }
            Ok(()) if dump.graph != dump.ledger => Some(
                Violation::new(self.name(), "the stores differ")
                    .expected("the same entities and links in the graph and in SQLite")
                    .actual("they differ")
                    .details(difference(dump.graph, dump.ledger)),
            ),
            Ok(()) => None,
        }
    }

    /// The log against the markers, which decide.
    fn markers(&self, record: &CoordinatorRecord, dump: &Dump<'_>) -> Vec<Violation> {
        let mut markers: BTreeMap<TxId, Vec<&str>> = BTreeMap::new();
        for marker in &dump.markers {
            markers.entry(marker.tx).or_default().push(&marker.state);
        }
        let mut violations = Vec::new();
        for line in &dump.log {
            let states = markers.remove(&line.tx).unwrap_or_default();
            let wrong = match (line.state.as_str(), states.as_slice()) {
                // A refusal needs no marker; a fenced transaction has one that says so.
                ("committed", ["committed"]) | ("aborted", [] | ["aborted"]) => None,
                ("intended", [] | ["committed"] | ["aborted"]) if record.settled.is_err() => None,
                ("intended", _) => Some("a transaction without an outcome"),
                _ => Some("the marker contradicts the log"),
            };
            violations.extend(wrong.map(|key| {
                Violation::new(self.name(), key)
                    .expected(format!("one outcome for {}, in the log and in its marker", line.tx))
                    .actual(format!("the log says {}, the graph has markers {states:?}", line.state))
            }));
        }
        violations.extend(markers.into_iter().map(|(tx, states)| {
            Violation::new(self.name(), "a marker without a log entry")
                .expected(format!("no trace of {tx}, which is not in the log"))
                .actual(format!("the graph has markers {states:?}"))
        }));
        violations
    }

    /// The log against the events, which SQLite takes together with the outcome.
    fn events(&self, record: &CoordinatorRecord, dump: &Dump<'_>) -> Vec<Violation> {
        let submissions = submissions(record, dump);
        let expected = |line: &LogLine| -> Option<Vec<&EntityId>> {
            match line.state.as_str() {
                "committed" => submissions.get(&line.key).map(|operations| resources(operations).collect()),
                _ => Some(Vec::new()),
            }
        };
        let mut events: BTreeMap<TxId, Vec<&EntityId>> = BTreeMap::new();
        for event in &dump.events {
            events.entry(event.tx).or_default().push(&event.resource);
        }
        let mut violations = Vec::new();
        for line in &dump.log {
            let found = events.remove(&line.tx).unwrap_or_default();
            // What nobody asked for is honesty's business.
            let Some(expected) = expected(line) else { continue };
            if found != expected {
                violations.push(
                    Violation::new(self.name(), "the events contradict the log")
                        .expected(format!("events of {expected:?}, because {} is {}", line.tx, line.state))
                        .actual(format!("events of {found:?}")),
                );
            }
        }
        violations.extend(events.into_iter().map(|(tx, found)| {
            Violation::new(self.name(), "events without a log entry")
                .expected(format!("no trace of {tx}, which is not in the log"))
                .actual(format!("events of {found:?}"))
        }));
        violations
    }
}

/// The lines that one of two dumps has more often than the other.
fn difference(graph: &str, ledger: &str) -> Vec<String> {
    let mut surplus: BTreeMap<&str, i64> = BTreeMap::new();
    graph.lines().for_each(|line| *surplus.entry(line).or_default() += 1);
    ledger.lines().for_each(|line| *surplus.entry(line).or_default() -= 1);
    let told = surplus.into_iter().filter(|(_, surplus)| *surplus != 0).map(|(line, surplus)| {
        let place = if surplus > 0 { "the graph" } else { "SQLite" };
        format!("more in {place}: {line}")
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use graph::Snapshot;

    use super::super::fixture::{CASTS, Run, caught, passed};
    use super::*;
    use crate::system::dump::{EventLine, MarkerLine};
    use crate::system::operation::Op;

    #[test]
    fn an_entity_that_one_store_has_alone_is_told_line_by_line() {
        caught(&Atomicity, "the stores differ", |run| run.ledger = Snapshot::default());
        caught(&Atomicity, "the stores differ", |run| run.graph = Snapshot::default());
        let mut run = Run::sound(CASTS[0]);
        let nodes = run.graph.nodes().to_vec();
        run.ledger = Snapshot::new(nodes, Vec::new());
        let verdict = Atomicity.check(&run.record());
        assert_eq!(verdict.violations[0].details, [r#"more in the graph: edge alice -[LINK {"kind":"knows"}]-> bob"#]);
    }

    #[test]
    fn a_copy_of_an_entity_is_a_difference_too() {
        let double = |run: &mut Run| {
            let mut nodes = run.graph.nodes().to_vec();
            nodes.push(nodes[0].clone());
            run.graph = Snapshot::new(nodes, run.graph.edges().to_vec());
        };
        caught(&Atomicity, "the stores differ", double);
        let mut run = Run::sound(CASTS[0]);
        double(&mut run);
        assert_eq!(Atomicity.check(&run.record()).violations[0].details.len(), 1);
    }

    #[test]
    fn a_transaction_left_open_has_no_outcome() {
        let open = |run: &mut Run| {
            let op = run.submit(vec![run.update(&run.alice, 7)]);
            run.abort(op);
            run.log.last_mut().unwrap().state = "intended".to_owned();
        };
        caught(&Atomicity, "a transaction without an outcome", open);
        passed(&Atomicity, |run| {
            open(run);
            run.settled = Err("not settled".to_owned());
        });
    }

    #[test]
    fn a_marker_that_says_otherwise_contradicts_the_log() {
        let key = "the marker contradicts the log";
        caught(&Atomicity, key, |run| run.markers[0].state = "aborted".to_owned());
        caught(&Atomicity, key, |run| drop(run.markers.remove(0)));
        caught(&Atomicity, key, |run| run.markers.push(run.markers[0].clone()));
        caught(&Atomicity, key, |run| run.markers.last_mut().unwrap().state = "committed".to_owned());
        caught(&Atomicity, key, |run| {
            run.settled = Err("not settled".to_owned());
            run.markers[0].state = "aborted".to_owned();
        });
    }

    #[test]
    fn a_marker_needs_a_log_entry() {
        caught(&Atomicity, "a marker without a log entry", |run| {
            let tx = TxId { incarnation: 2, serial: 1 };
            run.markers.push(MarkerLine { tx, state: "committed".to_owned() });
        });
    }

    #[test]
    fn a_committed_transaction_has_its_events_and_no_other_has_any() {
        let key = "the events contradict the log";
        caught(&Atomicity, key, |run| drop(run.events.remove(0)));
        caught(&Atomicity, key, |run| drop(run.events.pop()));
        caught(&Atomicity, key, |run| {
            let tx = run.log.iter().find(|line| line.state == "aborted").unwrap().tx;
            run.events.push(EventLine { resource: run.alice.clone(), sequence: 9, tx });
        });
        caught(&Atomicity, "events without a log entry", |run| {
            let tx = TxId { incarnation: 2, serial: 1 };
            run.events.push(EventLine { resource: run.alice.clone(), sequence: 9, tx });
        });
    }

    #[test]
    fn a_read_that_was_refused_because_the_stores_are_apart_gives_them_away() {
        for reason in [
            "only the graph has entity e1: the stores were changed by somebody else",
            "only SQLite has entity e1: the stores were changed by somebody else",
            "the graph holds 2 entities of one id, which the coordinator did not write",
        ] {
            caught(&Atomicity, "a read found the stores apart", |run| {
                let op = run.invoke(Op::Read { entity: run.alice.clone() });
                run.fail(
                    op,
                    format!("The coordinator cannot do this at the moment: refused: {reason}; nothing was done"),
                );
            });
        }
        passed(&Atomicity, |run| {
            let op = run.invoke(Op::Read { entity: run.alice.clone() });
            run.fail(op, "The entities are in use: nothing was done".to_owned());
        });
    }

    #[test]
    fn what_the_graph_cannot_be_read_for_is_said_in_these_words() {
        let twice = vec![Vec::new(), Vec::new()];
        let error = coordinator::view::GraphView::from_rows(&twice, &Vec::new()).unwrap_err();
        assert!(APART.iter().any(|apart| error.to_string().contains(apart)), "{error}");
    }

    #[test]
    fn a_run_that_never_came_to_rest_is_no_pass_where_liveness_is_left_out() {
        let restless = |run: &mut Run| {
            run.settled = Err("not settled 5000 ms after the faults were healed".to_owned());
            run.ledger = Snapshot::default();
        };
        passed(&Atomicity, restless);
        passed(&Atomicity, |run| {
            restless(run);
            run.checks = ["atomicity", "liveness"].map(str::to_owned).to_vec();
        });
        caught(&Atomicity, "the stores never came to rest", |run| {
            restless(run);
            run.checks = vec!["atomicity".to_owned()];
        });
    }
}
