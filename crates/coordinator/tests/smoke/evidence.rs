//! What both stores hold once no process works on them, and whether it fits together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use coordinator::LEDGER_FILE;
use coordinator::commit::Decision;
use coordinator::ledger::{self, EventEntry, LogEntry};
use coordinator::statements;
use graph::{Diff, Edge, Kind, LINK_TYPE, Node, Snapshot, TxId};
use rusqlite::Connection;
use stores::{Call, Datum, Expect, GraphStore, Params, Rows, Statement};

use super::clients::{Told, expected};
use testbed::LIMIT;

/// How many rows are asked for at a time: few, so that there is more than one page.
const PAGE: i64 = 50;

/// Everything that both stores hold.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Entities and links as the graph has them.
    pub graph: Snapshot,
    /// The markers in the graph and their states; one that stands twice is here twice.
    pub markers: Vec<(TxId, String)>,
    /// Entities and links as SQLite has them.
    pub ledger: Snapshot,
    /// The log, oldest first.
    pub log: Vec<LogEntry>,
    /// The events, in the order in which they were appended.
    pub events: Vec<EventEntry>,
}

impl Evidence {
    /// Reads it. The coordinator must have ended.
    pub async fn read(data: &Path, graph: &dyn GraphStore) -> Evidence {
        let sql = Connection::open(data.join(LEDGER_FILE)).expect("the ledger opens");
        let entities = dump(graph, &statements::DUMP_ENTITIES, &["after"]).await;
        let links = dump(graph, &statements::DUMP_LINKS, &["from", "kind", "to"]).await;
        let markers = dump(graph, &statements::DUMP_MARKERS, &["after"]).await;
        Evidence {
            graph: Snapshot::new(entities.iter().map(node).collect(), links.iter().map(edge).collect()),
            markers: markers.iter().map(marker).collect(),
            ledger: ledger::snapshot(&sql).expect("the rows are readable"),
            log: ledger::log_entries(&sql).expect("the log is readable"),
            events: ledger::event_entries(&sql).expect("the events are readable"),
        }
    }
}

/// The transactions that a killed process has left with an intent and no outcome.
///
/// Read from a copy: closing a ledger would tidy up its write-ahead log, and the next process
/// has to find it as the kill left it.
pub fn in_doubt(data: &Path) -> Vec<TxId> {
    let folder = tempfile::tempdir().expect("a folder for a copy");
    for suffix in ["", "-wal"] {
        let name = format!("{LEDGER_FILE}{suffix}");
        std::fs::copy(data.join(&name), folder.path().join(&name)).expect("a killed process leaves both files");
    }
    let sql = Connection::open(folder.path().join(LEDGER_FILE)).expect("the copy opens");
    let intents = ledger::unresolved(&sql).expect("the intents are readable");
    intents.into_iter().map(|intent| intent.tx).collect()
}

/// Everything that does not fit: the two stores, the log, the markers, the events and what
/// clients were told have to tell one story. The simulation checks the same properties.
pub fn disagreements(evidence: &Evidence, told: &[Told]) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(difference("what was acknowledged", &expected(told), "the ledger", &evidence.ledger));
    found.extend(difference("the ledger", &evidence.ledger, "the graph", &evidence.graph));
    outcomes(evidence, &mut found);
    sequences(evidence, &mut found);
    acknowledgements(evidence, told, &mut found);
    found
}

fn difference<'a>(
    old_name: &'a str,
    old: &Snapshot,
    new_name: &'a str,
    new: &Snapshot,
) -> impl Iterator<Item = String> + use<'a> {
    let changes = Diff::between(old, new).changes().to_vec();
    changes.into_iter().map(move |change| format!("from {old_name} to {new_name}: {change}"))
}

/// Every transaction in the log has an outcome, and the graph's marker says the same.
fn outcomes(evidence: &Evidence, found: &mut Vec<String>) {
    let mut markers = BTreeMap::<TxId, Vec<&str>>::new();
    for (tx, state) in &evidence.markers {
        markers.entry(*tx).or_default().push(state);
    }
    for LogEntry { tx, state, .. } in &evidence.log {
        let markers = markers.remove(tx).unwrap_or_default();
        match (state.as_str(), markers.as_slice()) {
            // A refusal needs no marker; a fenced transaction has one that says so.
            ("committed", ["committed"]) | ("aborted", [] | ["aborted"]) => {}
            _ => found.push(format!("the log says {tx} {state}, the graph has its markers {markers:?}")),
        }
    }
    let strays = markers.into_iter().map(|(tx, states)| format!("{tx} is not in the log, and has markers {states:?}"));
    found.extend(strays);
}

/// The events of every entity are numbered from 1, in the order in which they were appended.
fn sequences(evidence: &Evidence, found: &mut Vec<String>) {
    let mut last = BTreeMap::new();
    for EventEntry { resource, sequence, tx } in &evidence.events {
        let last = last.entry(resource).or_insert(0);
        if *sequence != *last + 1 {
            found.push(format!("event {sequence} of {resource}, by {tx}, follows event {last}"));
        }
        *last = *sequence;
    }
}

/// What each client was told is what the log says, under one entry for each key; and what
/// committed took effect once: it appended an event for each of its operations.
fn acknowledgements(evidence: &Evidence, told: &[Told], found: &mut Vec<String>) {
    let mut known = BTreeSet::new();
    for Told { key, patch, settled, .. } in told {
        known.insert(key.0.as_str());
        let (state, events) = match settled.decision {
            Decision::Committed => ("committed", patch.operations.len()),
            Decision::Aborted { .. } => ("aborted", 0),
        };
        let told = format!("{} {state}", settled.tx);
        let entries = evidence.log.iter().filter(|entry| entry.key == key.0);
        let entries: Vec<String> = entries.map(|entry| format!("{} {}", entry.tx, entry.state)).collect();
        if entries != [told.as_str()] {
            found.push(format!("the client of {key} was told {told}, the log says {entries:?}"));
        }
        let appended = evidence.events.iter().filter(|event| event.tx == settled.tx).count();
        if appended != events {
            found.push(format!("{told} appended {appended} events, expected {events}"));
        }
    }
    let strays = evidence.log.iter().filter(|entry| !known.contains(entry.key.as_str()));
    found.extend(
        strays.map(|entry| format!("{} is in the log under {}, which nobody was told about", entry.tx, entry.key)),
    );
}

/// All rows of a statement that returns a page after the keys that it is given.
async fn dump(graph: &dyn GraphStore, statement: &'static Statement, keys: &[&str]) -> Rows {
    let mut rows = Rows::new();
    loop {
        let mut params = Params::from([("limit".to_owned(), Datum::Int(PAGE))]);
        for (column, key) in keys.iter().enumerate() {
            let after = rows.last().map_or(Datum::from(""), |row: &Vec<Datum>| row[column].clone());
            params.insert((*key).to_owned(), after);
        }
        let call = Call { statement, params, expect: Expect::Anything };
        let page = graph.execute(vec![call], LIMIT).await.expect("the graph can be read").remove(0);
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

/// From its row, with whatever properties it has.
fn node(row: &Vec<Datum>) -> Node {
    let [id, properties] = row.as_slice() else { panic!("an entity of {row:?}") };
    let mut properties = properties.to_properties().unwrap_or_else(|| panic!("an entity of {row:?}"));
    properties.remove(graph::ID_PROPERTY);
    Node { id: text(id), labels: [graph::ENTITY_LABEL.to_owned()].into(), properties }
}

fn edge(row: &Vec<Datum>) -> Edge {
    let [from, _, to, properties] = row.as_slice() else { panic!("a link of {row:?}") };
    let properties = properties.to_properties().unwrap_or_else(|| panic!("a link of {row:?}"));
    let kind = Kind::new(LINK_TYPE).expect("the relationship type is a kind");
    Edge { from: text(from), kind, to: text(to), properties }
}

fn marker(row: &Vec<Datum>) -> (TxId, String) {
    let [id, state] = row.as_slice() else { panic!("a marker of {row:?}") };
    let id = text(id);
    (id.parse().unwrap_or_else(|error| panic!("a marker {id:?}: {error}")), text(state))
}

fn text(datum: &Datum) -> String {
    datum.as_text().unwrap_or_else(|| panic!("{datum:?} where a text belongs")).to_owned()
}

/// The comparison reports each kind of wrong, and nothing where nothing is wrong.
mod tests {
    use coordinator::commit::{AbortReason, IdempotencyKey, Settled};
    use graph::{EntityId, Operation, Patch, Properties, Value};

    use super::*;

    const KEPT: TxId = TxId { incarnation: 1, serial: 1 };
    const FENCED: TxId = TxId { incarnation: 1, serial: 2 };

    /// One transaction that committed two operations, and one that was fenced.
    fn clean() -> (Evidence, Vec<Told>) {
        let id = EntityId::new("a").unwrap();
        let create = Operation::Create {
            id: id.clone(),
            kind: Kind::new("k").unwrap(),
            key: None,
            properties: Properties::new(),
        };
        let update = Operation::Update { id: id.clone(), set: [("n".to_owned(), Value::from(1))].into() };
        let patch = Patch { operations: vec![create, update] };
        let told = [(KEPT, Decision::Committed), (FENCED, Decision::Aborted { reason: AbortReason::Fenced })];
        let told = told.map(|(tx, decision)| Told {
            key: IdempotencyKey(format!("key-{}", tx.serial)),
            patch: patch.clone(),
            settled: Settled { tx, decision },
            by: 1,
        });
        let entry = |tx, key: &str, state: &str| LogEntry { tx, key: key.to_owned(), state: state.to_owned() };
        let evidence = Evidence {
            graph: expected(&told),
            markers: vec![(KEPT, "committed".to_owned()), (FENCED, "aborted".to_owned())],
            ledger: expected(&told),
            log: vec![entry(KEPT, "key-1", "committed"), entry(FENCED, "key-2", "aborted")],
            events: [1, 2].map(|sequence| EventEntry { resource: id.clone(), sequence, tx: KEPT }).into(),
        };
        (evidence, told.into())
    }

    fn found(damage: impl FnOnce(&mut Evidence)) -> Vec<String> {
        let (mut evidence, told) = clean();
        damage(&mut evidence);
        disagreements(&evidence, &told)
    }

    #[test]
    fn one_story_has_no_disagreement() {
        assert_eq!(found(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn an_entity_that_one_store_lost_is_reported() {
        let node = r#"node a :Entity {"kind":"k","n":1}"#;
        assert_eq!(found(|held| held.graph = Snapshot::default()), [format!("from the ledger to the graph: - {node}")]);
        assert_eq!(
            found(|held| held.ledger = Snapshot::default()),
            [
                format!("from what was acknowledged to the ledger: - {node}"),
                format!("from the ledger to the graph: + {node}")
            ]
        );
    }

    #[test]
    fn a_marker_that_contradicts_the_log_is_reported() {
        assert_eq!(
            found(|held| drop(held.markers.remove(0))),
            [r#"the log says tx-1-1 committed, the graph has its markers []"#]
        );
        assert_eq!(
            found(|held| held.markers[1].1 = "committed".to_owned()),
            [r#"the log says tx-1-2 aborted, the graph has its markers ["committed"]"#]
        );
        assert_eq!(
            found(|held| held.markers.push((KEPT, "committed".to_owned()))),
            [r#"the log says tx-1-1 committed, the graph has its markers ["committed", "committed"]"#]
        );
        let stray = TxId { incarnation: 9, serial: 9 };
        assert_eq!(
            found(|held| held.markers.push((stray, "aborted".to_owned()))),
            [r#"tx-9-9 is not in the log, and has markers ["aborted"]"#]
        );
    }

    #[test]
    fn a_transaction_without_an_outcome_is_reported() {
        assert_eq!(
            found(|held| {
                held.log[1].state = "intended".to_owned();
                held.markers.truncate(1);
            }),
            [
                "the log says tx-1-2 intended, the graph has its markers []",
                r#"the client of key-2 was told tx-1-2 aborted, the log says ["tx-1-2 intended"]"#
            ]
        );
    }

    #[test]
    fn an_acknowledgement_that_the_log_does_not_know_is_reported() {
        assert_eq!(
            found(|held| held.log[0].key = "key-9".to_owned()),
            [
                "the client of key-1 was told tx-1-1 committed, the log says []",
                "tx-1-1 is in the log under key-9, which nobody was told about"
            ]
        );
    }

    #[test]
    fn a_transaction_that_took_effect_twice_is_reported() {
        assert_eq!(
            found(|held| {
                let event = held.events[1].clone();
                held.events.push(EventEntry { sequence: 3, ..event });
            }),
            ["tx-1-1 committed appended 3 events, expected 2"]
        );
    }

    #[test]
    fn a_gap_and_a_repetition_among_events_are_reported() {
        assert_eq!(found(|held| held.events[1].sequence = 3), ["event 3 of a, by tx-1-1, follows event 1"]);
        assert_eq!(found(|held| held.events[1].sequence = 1), ["event 1 of a, by tx-1-1, follows event 1"]);
    }
}
