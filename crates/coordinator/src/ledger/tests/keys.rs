//! Canonical keys in the rows.

use graph::{CanonicalKey, EntityId, Operation, Patch, Refusal};

use super::*;
use crate::reconcile::{Held, Rival};

fn isbn() -> CanonicalKey {
    "isbn:1".parse().unwrap()
}

fn wanting(serial: u64, operations: Vec<Operation>) -> Intent {
    Intent { patch: Patch { operations }, ..intent(serial) }
}

fn create(id: &str, kind: &str) -> Operation {
    let (id, kind) = (id.parse().unwrap(), kind.parse().unwrap());
    Operation::Create { id, kind, key: Some(isbn()), properties: [].into() }
}

fn delete(id: &str) -> Operation {
    Operation::Delete { id: id.parse().unwrap() }
}

fn commit(sql: &Connection, serial: u64, operations: Vec<Operation>) {
    assert_eq!(intend(sql, &wanting(serial, operations), at(0)).unwrap(), Report::Intended);
    finish(sql, tx(serial), &Decision::Committed, at(1)).unwrap();
}

fn held(sql: &Connection) -> Option<EntityId> {
    holder(sql, &"book".parse().unwrap(), &isbn()).unwrap()
}

#[test]
fn a_key_has_one_entity_of_each_kind_and_the_refusal_names_it() {
    let sql = ledger();
    commit(&sql, 1, vec![create("a", "book")]);
    commit(&sql, 2, vec![create("b", "film")]);
    let refusal = Refusal::KeyTaken { kind: "book".parse().unwrap(), key: isbn(), by: "a".parse().unwrap() };
    let report = intend(&sql, &wanting(3, vec![create("c", "book")]), at(2)).unwrap();
    assert_eq!(report, Report::Refused(refusal));
    assert_eq!(load(&sql, &"a".parse().unwrap()).unwrap().unwrap().key, Some(isbn()));
}

#[test]
fn a_deletion_frees_the_key_in_its_own_transaction() {
    let sql = ledger();
    commit(&sql, 1, vec![create("a", "book")]);
    commit(&sql, 2, vec![delete("a"), create("b", "book")]);
    assert_eq!(held(&sql), Some("b".parse().unwrap()));
    commit(&sql, 3, vec![delete("b")]);
    assert_eq!(held(&sql), None);
}

#[test]
fn sqlite_itself_refuses_a_second_holder() {
    let sql = ledger();
    commit(&sql, 1, vec![create("a", "book")]);
    let second = "INSERT INTO entity VALUES ('b', 'book', '{}', 1, 'tx-9-9', 'isbn:1')";
    assert!(sql.execute_batch(second).unwrap_err().to_string().contains("UNIQUE"), "by hand");
    sql.execute_batch(
        "INSERT INTO entity VALUES ('b', 'book', '{}', 1, 'tx-9-9', NULL), ('c', 'book', '{}', 1, 'tx-9-9', NULL)",
    )
    .unwrap();
}

#[test]
fn a_decision_takes_the_key_from_whom_somebody_gave_it_to() {
    let sql = ledger();
    assert_eq!(intend(&sql, &wanting(1, vec![create("a", "book")]), at(0)).unwrap(), Report::Intended);
    sql.execute_batch("INSERT INTO entity VALUES ('b', 'book', '{}', 1, 'tx-9-9', 'isbn:1')").unwrap();
    finish(&sql, tx(1), &Decision::Committed, at(1)).unwrap();
    assert_eq!(held(&sql), Some("a".parse().unwrap()));
    assert_eq!(load(&sql, &"b".parse().unwrap()).unwrap().unwrap().key, None, "it is still there");
    assert!(trail(&sql).iter().any(|(_, action)| *action == AuditAction::Overrode));
}

#[test]
fn evidence_names_who_has_the_key_that_an_entity_had() {
    let sql = ledger();
    commit(&sql, 1, vec![create("a", "book")]);
    sql.execute_batch("DELETE FROM entity WHERE id = 'a'").unwrap();
    commit(&sql, 2, vec![create("b", "book")]);
    let of = |id: &str| {
        evidence(&sql, &Replays::default(), Subject::Entity(id.parse().unwrap()), Held::Absent, false, false).unwrap()
    };
    let rival = Rival { kind: "book".parse().unwrap(), key: isbn(), by: "b".parse().unwrap() };
    assert_eq!((of("a").rivals, of("b").rivals), (vec![rival], vec![]));
    let (_, content) = entities_after(&sql, Some("a"), 9).unwrap().remove(0);
    assert_eq!(content.key, Some(isbn()));
}

#[test]
fn a_ledger_of_an_earlier_release_keeps_its_entities_and_takes_keys() {
    let sql = Connection::open_in_memory().unwrap();
    sql.execute_batch(MIGRATIONS[0]).unwrap();
    sql.execute_batch("INSERT INTO entity VALUES ('old', 'book', '{\"n\":1}', 3, 'tx-1-1')").unwrap();
    sql.execute_batch(MIGRATIONS[1]).unwrap();
    let old = load(&sql, &"old".parse().unwrap()).unwrap().unwrap();
    assert_eq!((old.key, old.version), (None, 3));
    commit(&sql, 2, vec![create("new", "book")]);
    assert_eq!(held(&sql), Some("new".parse().unwrap()));
}
