use coordinator::commit::{ContentHash, Decision, IdempotencyKey, Intent};
use graph::{Edge, Millis, Operation, Patch};

use super::fixture::alone;
use super::*;

fn tx(serial: u64) -> TxId {
    TxId { incarnation: 3, serial }
}

fn id(text: &str) -> EntityId {
    EntityId::new(text).unwrap()
}

fn word(text: &str) -> Kind {
    Kind::new(text).unwrap()
}

fn properties(value: i64) -> Properties {
    Properties::from([("value".to_owned(), Value::Int(value))])
}

/// Two entities, and a link from the first to the second.
fn patch() -> Patch {
    let create = |name| Operation::Create { id: id(name), kind: word("thing"), key: None, properties: properties(1) };
    let link = Operation::Link { from: id("a"), kind: word("knows"), to: id("b"), properties: properties(2) };
    Patch { operations: vec![create("a"), create("b"), link] }
}

/// A ledger that holds the patch, committed.
fn written() -> Connection {
    let sql = fixture::ledger();
    let (key, hash) = (IdempotencyKey("op-0".to_owned()), ContentHash("some hash".to_owned()));
    let intent = Intent::new(tx(1), key, hash, &patch());
    let now = ledger::Moment { utc: Millis(1), running: Millis(1) };
    ledger::intend(&sql, &intent, now).unwrap();
    ledger::finish(&sql, tx(1), &Decision::Committed, now).unwrap();
    sql
}

fn node(id: &str, labels: &[&str], state: Option<&str>) -> Node {
    let properties = state.map(|state| ("state".to_owned(), Value::from(state)));
    Node {
        id: id.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        properties: properties.into_iter().collect(),
    }
}

/// The graph that belongs to [`written`], with what the coordinator keeps there besides, and something more.
fn graph_with(more: impl IntoIterator<Item = Node>) -> Snapshot {
    let mut entities = Snapshot::default();
    patch().apply(&mut entities).unwrap();
    let bookkeeping = [node("tx-3-1", &["Tx"], Some("committed")), node("coordinator", &["Store"], None)];
    let nodes = entities.nodes().iter().cloned().chain(bookkeeping).chain(more);
    Snapshot::new(nodes.collect(), entities.edges().to_vec())
}

fn dumped(graph: &Snapshot, sql: &Connection) -> BTreeMap<String, String> {
    stores(graph, Ledger::read(Some(sql), graph))
}

#[test]
fn lines_are_read_back_as_they_were_written() {
    let log = LogLine { tx: tx(7), state: "intended".to_owned(), key: "op-4".to_owned() };
    let marker = MarkerLine { tx: tx(7), state: "aborted".to_owned() };
    let event = EventLine { resource: id("a:b/c"), sequence: u64::MAX, tx: tx(7) };
    assert_eq!(log.to_string().parse(), Ok(log));
    assert_eq!(marker.to_string().parse(), Ok(marker));
    assert_eq!(event.to_string().parse(), Ok(event));
}

#[test]
fn what_was_dumped_is_read_back() {
    alone(|| {
        let dumps = dumped(&graph_with([]), &written());
        let dump = Dump::read(&dumps).unwrap();
        assert_eq!(dump.graph, dump.ledger);
        assert_eq!(
            dump.graph,
            "node a :Entity {\"kind\":\"thing\",\"value\":1}\n\
         node b :Entity {\"kind\":\"thing\",\"value\":1}\n\
         edge a -[LINK {\"kind\":\"knows\",\"value\":2}]-> b\n"
        );
        assert_eq!(dump.log, [LogLine { tx: tx(1), state: "committed".to_owned(), key: "op-0".to_owned() }]);
        assert_eq!(dump.markers, [MarkerLine { tx: tx(1), state: "committed".to_owned() }]);
        let event = |resource, sequence| EventLine { resource: id(resource), sequence, tx: tx(1) };
        assert_eq!(dump.events, [event("a", 1), event("b", 1), event("a", 2)]);
        let view = |name, version, links: &[LinkView]| {
            let links = links.to_vec();
            EntityView {
                id: id(name),
                kind: word("thing"),
                key: None,
                properties: properties(1),
                links,
                version,
                tx: tx(1),
            }
        };
        let link = LinkView { kind: word("knows"), to: id("b"), properties: properties(2) };
        let entities = [view("a", 2, &[link]), view("b", 1, &[])].map(|view| (view.id.clone(), view));
        assert_eq!(dump.entities, BTreeMap::from(entities));
    });
}

#[test]
fn what_the_coordinator_does_not_write_shows_in_the_dump_of_the_graph() {
    alone(|| {
        let dumps = dumped(&graph_with([node("stray", &[], None)]), &written());
        let dump = Dump::read(&dumps).unwrap();
        assert!(dump.graph.contains("node stray {}\n"));
        assert_ne!(dump.graph, dump.ledger);
    });
}

#[test]
fn an_entity_that_one_store_has_alone_is_not_shown_as_an_entity() {
    alone(|| {
        let lonely = Node::entity(&id("lonely"), &word("thing"), &properties(1));
        let dumps = dumped(&graph_with([lonely]), &written());
        assert_eq!(Dump::read(&dumps).unwrap().entities.len(), 2);
        let nothing = Snapshot::default();
        let dumps = dumped(&nothing, &written());
        assert_eq!(Dump::read(&dumps).unwrap().entities, BTreeMap::new());
    });
}

#[test]
fn an_entity_is_shown_with_the_kind_that_the_graph_has() {
    alone(|| {
        let graph = Snapshot::new(vec![Node::entity(&id("a"), &word("other"), &properties(5))], Vec::new());
        let dumps = dumped(&graph, &written());
        let shown = &Dump::read(&dumps).unwrap().entities[&id("a")];
        assert_eq!((&shown.kind, &shown.properties), (&word("other"), &properties(5)));
    });
}

#[test]
fn an_entity_with_a_link_that_nobody_can_read_is_not_shown() {
    alone(|| {
        let entities = graph_with([]);
        let odd = Edge { from: "a".into(), kind: word("LINK"), to: "b".into(), properties: Properties::new() };
        let graph = Snapshot::new(entities.nodes().to_vec(), vec![odd]);
        let dumps = dumped(&graph, &written());
        assert_eq!(Dump::read(&dumps).unwrap().entities.keys().collect::<Vec<_>>(), [&id("b")]);
    });
}

#[test]
fn a_marker_without_a_state_says_so() {
    alone(|| {
        let dumps = dumped(&graph_with([node("tx-3-2", &["Tx"], None)]), &written());
        let markers = Dump::read(&dumps).unwrap().markers;
        assert_eq!(markers[1], MarkerLine { tx: tx(2), state: "without-state".to_owned() });
    });
}

#[test]
fn a_coordinator_that_never_made_its_tables_has_written_nothing() {
    alone(|| {
        let sql = Connection::open_in_memory().unwrap();
        let graph = Snapshot::default();
        for ledger in [None, Some(&sql)] {
            let dumps = stores(&graph, Ledger::read(ledger, &graph));
            let dump = Dump::read(&dumps).unwrap();
            assert_eq!((dump.ledger, dump.log, dump.events, dump.entities), ("", vec![], vec![], BTreeMap::new()));
        }
    });
}

#[test]
fn a_damaged_ledger_is_told_and_the_graph_is_dumped_all_the_same() {
    alone(|| {
        for damage in [
            "UPDATE entity SET properties = '{'",
            "UPDATE entity SET kind = 'no kind'",
            "UPDATE entity SET tx = 'tx'",
            "UPDATE link SET target = ''",
            "UPDATE event SET tx = 'tx'",
            "DROP TABLE log",
        ] {
            let sql = written();
            sql.execute_batch(damage).unwrap();
            let dumps = dumped(&graph_with([]), &sql);
            assert!(dumps[GRAPH].starts_with("node a "), "{damage}");
            let error = Dump::read(&dumps).unwrap_err();
            assert!(matches!(&error, DumpError::Unreadable(why) if !why.is_empty()), "{damage}: {error}");
        }
    });
}

#[test]
fn a_damaged_line_is_told_with_its_dump_and_its_reason() {
    alone(|| {
        for (name, line, why) in [
            (LOG, "tx-1-1 committed", "it has 2 words instead of 3"),
            (LOG, "tx-1-1 committed op 1", "it has 4 words instead of 3"),
            (LOG, "", "it has 1 words instead of 3"),
            (
                LOG,
                "tx-01-1 committed op-1",
                "\"tx-01-1\": \"tx-01-1\" is not a transaction id: expected tx-INCARNATION-SERIAL, as in tx-3-17",
            ),
            (MARKERS, "tx-1-1", "it has 1 words instead of 2"),
            (EVENTS, "a -1 tx-1-1", "\"-1\": invalid digit found in string"),
            (EVENTS, " 1 tx-1-1", "\"\": an id must not be empty"),
            (ENTITIES, "{}", "missing field `id` at line 1 column 2"),
        ] {
            let mut dumps = dumped(&graph_with([]), &written());
            dumps.insert(name.to_owned(), format!("{line}\n"));
            let error = DumpError::Line { dump: name, line: line.to_owned(), why: why.to_owned() };
            assert_eq!(Dump::read(&dumps), Err(error));
        }
    });
}

#[test]
fn a_dump_that_is_not_there_is_told_by_name() {
    alone(|| {
        for name in [GRAPH, LEDGER, LOG, MARKERS, EVENTS, ENTITIES] {
            let mut dumps = dumped(&graph_with([]), &written());
            dumps.remove(name);
            assert_eq!(Dump::read(&dumps), Err(DumpError::Missing(name)));
        }
    });
}
