//! The events of streams, as they are kept.

use graph::{NewEvent, Refusal};
use serde_json::{Value, json};

use super::*;
use crate::events::{Append, Appended, Claim, OnDamage, Page, Placed, StoredEvent};

fn event(id: &str) -> NewEvent {
    NewEvent {
        id: id.parse().unwrap(),
        kind: "noted".to_owned(),
        timestamp: None,
        user_id: "ann".to_owned(),
        version: 1,
        payload: json!({ "note": id }).into(),
        correlation_id: None,
    }
}

fn stream(name: &str) -> EntityId {
    name.parse().unwrap()
}

fn plain(name: &str, ids: &[&str]) -> Append {
    Append { stream: stream(name), expected: None, events: ids.iter().map(|id| event(id)).collect() }
}

fn placed(name: &str, first: u64, last: u64, position: u64) -> Placed {
    Placed { stream: stream(name), first, last, position }
}

/// A transaction that appends each of these events to a stream; `None` is the system stream.
fn transaction(serial: u64, appends: &[(Option<&str>, &str)]) -> Intent {
    let append =
        |(resource, id): &(Option<&str>, &str)| Operation::Append { resource: resource.map(stream), event: event(id) };
    let mut intent = intent(serial);
    intent.patch.operations.extend(appends.iter().map(append));
    intent
}

fn feed(sql: &Connection) -> Vec<StoredEvent> {
    feed_after(sql, 0, 99, OnDamage::Stop).unwrap().events
}

fn places(events: &[StoredEvent]) -> Vec<(u64, String, u64)> {
    events.iter().map(|event| (event.position, event.stream.to_string(), event.sequence)).collect()
}

#[test]
fn a_transaction_and_its_events_are_one_write() {
    let sql = ledger();
    let intent = transaction(1, &[(Some("s"), "a"), (None, "b"), (Some("s"), "c"), (Some("e1"), "d")]);
    assert_eq!(intend(&sql, &intent, at(0)).unwrap(), Report::Intended);
    assert!(feed(&sql).is_empty(), "nothing is there before the outcome");
    assert_eq!(finish(&sql, tx(1), &Decision::Committed, at(0)).unwrap(), Some(4));
    let events = feed(&sql);
    let expected = [(1, "s", 1), (2, "__system__", 1), (3, "s", 2), (4, "e1", 1)];
    assert_eq!(places(&events), expected.map(|(position, stream, sequence)| (position, stream.to_owned(), sequence)));
    let envelopes: Vec<Value> =
        events.iter().map(|event| serde_json::from_str(event.envelope.get()).unwrap()).collect();
    let first = json!({
        "id": "a", "type": "noted", "timestamp": "1970-01-01T00:00:00.000Z", "resourceId": "s", "userId": "ann",
        "version": 1, "payload": { "note": "a" }, "metadata": { "sequenceNumber": 1 },
    });
    assert_eq!(envelopes[0], first);
    assert_eq!(envelopes[1].get("resourceId"), None);
    assert_eq!(
        load(&sql, &stream("e1")).unwrap().unwrap().version,
        1,
        "an event of a stream is no change of an entity"
    );
    verify(&sql).unwrap();
}

#[test]
fn the_sequences_of_a_transaction_are_fixed_at_its_intent() {
    let sql = ledger();
    assert!(matches!(append(&sql, &plain("s", &["a", "b"]), at(0)).unwrap(), Appended::New(_)));
    intend(&sql, &transaction(1, &[(Some("s"), "c")]), at(0)).unwrap();
    // Past the lock that the core takes: the slot is taken, and what is damaged is said.
    append(&sql, &plain("s", &["d"]), at(0)).unwrap();
    let error = finish(&sql, tx(1), &Decision::Committed, at(0)).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("c as number 3 of s"), "{error}");
}

#[test]
fn nothing_of_a_transaction_that_aborts_is_ever_there() {
    let sql = ledger();
    intend(&sql, &transaction(1, &[(Some("s"), "a")]), at(0)).unwrap();
    let aborted = Decision::Aborted { reason: AbortReason::Fenced };
    assert_eq!(finish(&sql, tx(1), &aborted, at(0)).unwrap(), None);
    assert!(feed(&sql).is_empty());
    let again = append(&sql, &plain("s", &["a"]), at(0)).unwrap();
    assert_eq!(again, Appended::New(placed("s", 1, 1, 1)), "its number and the id are free");
}

#[test]
fn a_transaction_is_refused_an_id_that_is_taken() {
    let sql = ledger();
    append(&sql, &plain("s", &["a"]), at(0)).unwrap();
    let refused = intend(&sql, &transaction(1, &[(Some("other"), "a")]), at(0)).unwrap();
    assert_eq!(refused, Report::Refused(Refusal::EventExists("a".parse().unwrap())));
}

#[test]
fn an_append_is_all_or_nothing_and_counts_per_stream() {
    let sql = ledger();
    assert_eq!(append(&sql, &plain("s", &["a", "b"]), at(0)).unwrap(), Appended::New(placed("s", 1, 2, 2)));
    assert_eq!(append(&sql, &plain("r", &["c"]), at(0)).unwrap(), Appended::New(placed("r", 1, 1, 3)));
    let expecting = |expected, id| Append { expected: Some(expected), ..plain("s", &[id]) };
    for wrong in [0, 1, 3] {
        let conflict = append(&sql, &expecting(wrong, "d"), at(0)).unwrap();
        assert_eq!(conflict, Appended::VersionConflict { actual: 2 });
    }
    assert_eq!(append(&sql, &expecting(2, "d"), at(0)).unwrap(), Appended::New(placed("s", 3, 3, 4)));
    let entries = audit_after(&sql, 0, 99).unwrap();
    let about = |entry: &AuditEntry| (entry.tx, entry.action);
    assert_eq!(entries.iter().map(about).collect::<Vec<_>>(), [(None, AuditAction::Appended); 3]);
    assert_eq!(entries[0].detail, r#"{"position":2,"resource":"s","sequences":[1,2]}"#);
}

#[test]
fn what_is_repeated_is_told_where_it_is_and_what_only_looks_like_it_is_refused() {
    let sql = ledger();
    append(&sql, &plain("s", &["a", "b", "c"]), at(0)).unwrap();
    let again = |append_: &Append| append(&sql, append_, at(0)).unwrap();
    assert_eq!(again(&plain("s", &["a", "b", "c"])), Appended::Repeated(placed("s", 1, 3, 3)));
    let late = Append { expected: Some(0), ..plain("s", &["b", "c"]) };
    assert_eq!(again(&late), Appended::Repeated(placed("s", 2, 3, 3)), "what it expected was so then");
    let other = |append: Append, id: &str| assert_eq!(again(&append), Appended::EventIdReused(id.parse().unwrap()));
    other(plain("r", &["a"]), "a");
    other(plain("s", &["b", "a"]), "a");
    other(plain("s", &["a", "c"]), "c");
    other(plain("s", &["new", "b"]), "b");
    other(plain("s", &["b", "new"]), "b");
    let mut changed = plain("s", &["a"]);
    changed.events[0].payload = json!({ "note": "other" }).into();
    other(changed, "a");
    assert_eq!(feed(&sql).len(), 3);
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let sql = ledger();
    append(&sql, &plain("b", &["1", "2", "3"]), at(0)).unwrap();
    append(&sql, &plain("a", &["4"]), at(0)).unwrap();
    append(&sql, &plain("__system__", &["5"]), at(0)).unwrap();

    let numbers = |page: &Page<StoredEvent>| page.items.iter().map(|event| event.sequence).collect::<Vec<_>>();
    let page = |after, limit| stream_after(&sql, &stream("b"), after, limit).unwrap();
    assert_eq!((numbers(&page(0, 2)), page(0, 2).more), (vec![1, 2], true));
    assert_eq!((numbers(&page(2, 2)), page(2, 2).more), (vec![3], false));
    assert_eq!((numbers(&page(0, 3)), page(0, 3).more), (vec![1, 2, 3], false));
    assert_eq!((numbers(&page(u64::MAX - 1, 3)), page(9, 3).more), (vec![], false));

    let fed = |after, limit| {
        let fed = feed_after(&sql, after, limit, OnDamage::Stop).unwrap();
        (fed.events.iter().map(|event| event.position).collect::<Vec<_>>(), fed.through, fed.last)
    };
    assert_eq!(fed(0, 2), (vec![1, 2], 2, 5));
    assert_eq!(fed(2, 9), (vec![3, 4, 5], 5, 5));
    assert_eq!(fed(5, 9), (vec![], 5, 5));
    assert_eq!(fed(7, 9), (vec![], 5, 5), "a store that is behind its reader says how far it is");

    let streams = |after: Option<&str>, limit| {
        let page = streams_after(&sql, after.map(stream).as_ref(), limit).unwrap();
        (page.items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), page.more)
    };
    assert_eq!(streams(None, 2), ("__system__ a".to_owned(), true));
    assert_eq!(streams(Some("a"), 2), ("b".to_owned(), false));
}

#[test]
fn a_page_is_bounded_in_bytes_and_never_empty_for_it() {
    let sql = ledger();
    for id in ["a", "b", "c", "d", "e", "f"] {
        let mut large = plain("s", &[id]);
        large.events[0].payload = json!("x".repeat(1 << 20)).into();
        append(&sql, &large, at(0)).unwrap();
    }
    let fed = feed_after(&sql, 0, 99, OnDamage::Stop).unwrap();
    assert_eq!((fed.events.len(), fed.through, fed.last), (4, 4, 6), "and says that it is not the end");
    let page = stream_after(&sql, &stream("s"), 4, 99).unwrap();
    assert_eq!((page.items.len(), page.more), (2, false));
}

/// Each field, changed as a flipped bit may: readers get what is before it, and then are told.
#[test]
fn a_damaged_event_is_refused_and_never_passed() {
    for change in [
        "UPDATE stored_event SET id = 'y' WHERE position = 2",
        "UPDATE stored_event SET resource = 'r' WHERE position = 2",
        "UPDATE stored_event SET sequence = 7 WHERE position = 2",
        "UPDATE stored_event SET hash = 'h' || hash WHERE position = 2",
        "UPDATE stored_event SET body = replace(body, 'noted', 'voted') WHERE position = 2",
        "UPDATE stored_event SET body = '' WHERE position = 2",
        "UPDATE stored_event SET tx = 'tx-1-1' WHERE position = 2",
        "UPDATE stored_event SET checksum = checksum + 1 WHERE position = 2",
        "UPDATE stored_event SET position = 9 WHERE position = 2",
        "DELETE FROM stored_event WHERE position = 2",
    ] {
        let sql = ledger();
        append(&sql, &plain("s", &["a", "b", "c"]), at(0)).unwrap();
        sql.execute_batch(change).unwrap();
        let fed = feed_after(&sql, 0, 99, OnDamage::Stop).unwrap();
        assert_eq!((fed.events.len(), fed.through, fed.last), (1, 1, 3), "{change}");
        let refused = [
            feed_after(&sql, 1, 99, OnDamage::Stop).map(|fed| fed.through).unwrap_err(),
            stream_after(&sql, &stream("s"), 1, 99).map(|page| page.more).unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error, LedgerError::DamagedEvent(_)) && !error.is_damage(), "{change}: {error}");
        }
        let before = stream_after(&sql, &stream("s"), 0, 99).unwrap();
        assert_eq!((before.items.len(), before.more), (1, true), "{change}");
    }
}

/// The same changes, for a reader that asks to be told: it misses that one event and no other.
#[test]
fn whoever_asks_to_be_told_goes_on_behind_a_damaged_event() {
    let claims = |stream_: &str, sequence| Some(Claim { stream: stream(stream_), sequence });
    for (change, claims) in [
        ("UPDATE stored_event SET id = 'y' WHERE position = 2", claims("s", 2)),
        ("UPDATE stored_event SET resource = 'r' WHERE position = 2", claims("r", 2)),
        ("UPDATE stored_event SET resource = char(1) WHERE position = 2", None),
        ("UPDATE stored_event SET sequence = 7 WHERE position = 2", claims("s", 7)),
        ("UPDATE stored_event SET body = '' WHERE position = 2", claims("s", 2)),
        ("UPDATE stored_event SET position = 9 WHERE position = 2", None),
        ("DELETE FROM stored_event WHERE position = 2", None),
    ] {
        let sql = ledger();
        append(&sql, &plain("s", &["a", "b", "c"]), at(0)).unwrap();
        sql.execute_batch(change).unwrap();
        let fed = |after, limit| feed_after(&sql, after, limit, OnDamage::Tell).unwrap();
        let all = fed(0, 99);
        assert_eq!(places(&all.events), [(1, "s".to_owned(), 1), (3, "s".to_owned(), 3)], "{change}");
        assert_eq!((all.through, all.last), (3, 3), "{change}");
        let [damaged] = all.damaged.as_slice() else { panic!("{change}: {:?}", all.damaged) };
        assert_eq!((damaged.position, &damaged.claims), (2, &claims), "{change}: {}", damaged.why);
        // It counts like any other where pages are cut.
        assert_eq!((fed(0, 2).events.len(), fed(0, 2).damaged.len(), fed(0, 2).through), (1, 1, 2), "{change}");
        assert_eq!((fed(1, 1).events.len(), fed(1, 1).damaged.len(), fed(1, 1).through), (0, 1, 2), "{change}");
    }
}

#[test]
fn a_stream_without_a_name_hides_no_other() {
    let sql = ledger();
    append(&sql, &plain("a", &["1"]), at(0)).unwrap();
    append(&sql, &plain("b", &["2"]), at(0)).unwrap();
    append(&sql, &plain("c", &["3"]), at(0)).unwrap();
    sql.execute_batch("UPDATE stored_event SET resource = 'b\u{1}' WHERE position = 2").unwrap();
    let page = streams_after(&sql, None, 9).unwrap();
    assert_eq!((page.items, page.more), (vec![stream("a"), stream("c")], false));
}

#[test]
fn the_last_event_is_missed_as_well() {
    let sql = ledger();
    append(&sql, &plain("s", &["a", "b"]), at(0)).unwrap();
    sql.execute_batch("DELETE FROM stored_event WHERE position = 2").unwrap();
    assert_eq!(feed_after(&sql, 0, 99, OnDamage::Stop).unwrap().through, 1);
    let error = feed_after(&sql, 1, 99, OnDamage::Stop).unwrap_err();
    assert!(error.to_string().contains("at position 2 is damaged: it is missing"), "{error}");
    append(&sql, &plain("r", &["c"]), at(0)).unwrap();
    assert!(feed_after(&sql, 1, 99, OnDamage::Stop).is_err(), "its position is not given to another");
    sql.execute_batch("DELETE FROM stored_event WHERE position = 3").unwrap();
    let told = feed_after(&sql, 0, 99, OnDamage::Tell).unwrap();
    let missing: Vec<u64> = told.damaged.iter().map(|damaged| damaged.position).collect();
    assert_eq!((told.events.len(), missing, told.through), (1, vec![2, 3], 3));
}

#[test]
fn a_repetition_of_a_damaged_event_is_not_answered() {
    let sql = ledger();
    append(&sql, &plain("s", &["a"]), at(0)).unwrap();
    sql.execute_batch("UPDATE stored_event SET hash = 'x'").unwrap();
    let Appended::Damaged(damaged) = append(&sql, &plain("s", &["a"]), at(0)).unwrap() else { panic!("it is damaged") };
    assert_eq!(damaged.place, "at position 1");
    assert_eq!(append(&sql, &plain("s", &["b"]), at(0)).unwrap(), Appended::New(placed("s", 2, 2, 2)), "others go on");
}
