use graph::{EntityId, Operation, Patch};
use rusqlite::Connection;

use super::*;
use crate::commit::{AbortReason, ContentHash, Decision, IdempotencyKey, Intent, Report};

fn ledger() -> Connection {
    let sql = Connection::open_in_memory().unwrap();
    MIGRATIONS.iter().for_each(|script| sql.execute_batch(script).unwrap());
    sql
}

fn tx(serial: u64) -> TxId {
    TxId { incarnation: 1, serial }
}

fn at(running: u64) -> Moment {
    Moment { utc: Millis::ZERO, running: Millis(running) }
}

fn intent(serial: u64) -> Intent {
    let id: EntityId = format!("e{serial}").parse().unwrap();
    let create = Operation::Create { id, kind: "thing".parse().unwrap(), properties: graph::Properties::new() };
    let (key, hash) = (IdempotencyKey(format!("k{serial}")), ContentHash(format!("h{serial}")));
    Intent { tx: tx(serial), key, hash, patch: Patch { operations: vec![create] } }
}

fn intended(sql: &Connection, serial: u64) {
    assert_eq!(intend(sql, &intent(serial), at(0)).unwrap(), Report::Intended);
}

fn committed(sql: &Connection, serial: u64, running: u64) {
    intended(sql, serial);
    finish(sql, tx(serial), &Decision::Committed, at(running)).unwrap();
}

fn left(sql: &Connection) -> Vec<u64> {
    log_entries(sql).unwrap().into_iter().map(|entry| entry.tx.serial).collect()
}

#[test]
fn a_ledger_that_was_only_written_to_is_sound() {
    let sql = ledger();
    verify(&sql).unwrap();
    start_incarnation(&sql).unwrap();
    set_store_id(&sql, "x").unwrap();
    committed(&sql, 1, 5);
    intended(&sql, 2);
    intended(&sql, 3);
    finish(&sql, tx(3), &Decision::Aborted { reason: AbortReason::Fenced }, at(6)).unwrap();
    let again = Intent { key: IdempotencyKey("other".to_owned()), tx: tx(4), ..intent(1) };
    assert!(matches!(intend(&sql, &again, at(7)).unwrap(), Report::Refused(_)));
    verify(&sql).unwrap();
    let standings = [1, 2, 3, 4, 5].map(|serial| standing(&sql, tx(serial)).unwrap());
    assert_eq!(
        standings,
        [Standing::Committed, Standing::Intended, Standing::Aborted, Standing::Aborted, Standing::Absent]
    );
    assert_eq!((count_committed(&sql, 1).unwrap(), count_committed(&sql, 2).unwrap()), (1, 0));
}

/// Each field, changed as a flipped bit may: to something that would be believed.
#[test]
fn a_changed_field_is_found_and_its_record_named() {
    for change in [
        "UPDATE log SET serial = 9 WHERE serial = 1",
        "UPDATE log SET incarnation = 3 WHERE serial = 1",
        "UPDATE log SET key = 'k7' WHERE serial = 1",
        "UPDATE log SET hash = 'h7' WHERE serial = 1",
        "UPDATE log SET patch = replace(patch, 'e1', 'e2') WHERE serial = 1",
        "UPDATE log SET slots = replace(slots, 'e1', 'e2') WHERE serial = 1",
        "UPDATE log SET state = 'aborted', reason = '\"fenced\"' WHERE serial = 1",
        "UPDATE log SET settled_ms = 4 WHERE serial = 1",
        "UPDATE log SET checksum = checksum + 1 WHERE serial = 1",
        "UPDATE log SET state = 'intended', settled_ms = NULL WHERE serial = 1",
    ] {
        let sql = ledger();
        committed(&sql, 1, 5);
        sql.execute_batch(change).unwrap();
        let error = verify(&sql).unwrap_err();
        assert!(matches!(&error, LedgerError::Damaged { record: Record::Tx(_), .. }), "{change}: {error}");
        assert!(error.is_damage() && error.to_string().contains("restore the data folder"), "{error}");
        assert!(log_entries(&sql).is_err(), "{change}");
    }
    for change in ["UPDATE setting SET value = '2'", "UPDATE setting SET name = 'verified_incarnation'"] {
        let sql = ledger();
        start_incarnation(&sql).unwrap();
        sql.execute_batch(change).unwrap();
        let error = verify(&sql).unwrap_err();
        assert!(matches!(&error, LedgerError::Damaged { record: Record::Setting(_), .. }), "{change}: {error}");
    }
}

#[test]
fn a_damaged_record_is_never_believed_when_it_is_looked_up() {
    let sql = ledger();
    committed(&sql, 1, 5);
    intended(&sql, 2);
    sql.execute_batch("UPDATE log SET patch = replace(patch, 'thing', 'thong')").unwrap();
    let decision = Decision::Committed;
    let damaged = [
        look_up(&sql, tx(1)).err(),
        intend(&sql, &intent(1), at(9)).err(),
        finish(&sql, tx(2), &decision, at(9)).err(),
        unresolved(&sql).err(),
        standing(&sql, tx(1)).err(),
        forget(&sql, Millis(9), Some(Millis(9)), 5).err(),
    ];
    for (number, error) in damaged.into_iter().enumerate() {
        assert!(error.is_some_and(|error| error.is_damage()), "{number}");
    }
}

#[test]
fn an_index_that_does_not_fit_its_table_is_found() {
    let sql = ledger();
    committed(&sql, 1, 5);
    committed(&sql, 2, 5);
    // The entry of one key goes, behind SQLite's back: the index of keys is replaced
    // by one that has fewer rows.
    sql.execute_batch(
        "PRAGMA writable_schema = ON;
         CREATE INDEX partial ON log (key) WHERE serial = 1;
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'partial')
             WHERE name = 'sqlite_autoindex_log_1';
         DELETE FROM sqlite_schema WHERE name = 'partial';
         PRAGMA writable_schema = RESET;",
    )
    .unwrap();
    let error = verify(&sql).unwrap_err();
    assert!(matches!(&error, LedgerError::Damaged { record: Record::Table("log"), .. }), "{error}");
}

#[test]
fn records_go_when_they_are_due_and_in_order() {
    let sql = ledger();
    for (serial, running) in [(1, 10), (2, 30), (3, 20)] {
        committed(&sql, serial, running);
    }
    assert_eq!(forget(&sql, Millis(100), None, 9).unwrap(), 0);
    assert_eq!(forget(&sql, Millis(100), Some(Millis(9)), 9).unwrap(), 0);
    assert_eq!((left(&sql), forgotten(&sql).unwrap()), (vec![1, 2, 3], None));
    assert_eq!(forget(&sql, Millis(100), Some(Millis(20)), 9).unwrap(), 1, "the second keeps the third");
    assert_eq!((left(&sql), forgotten(&sql).unwrap()), (vec![2, 3], Some(tx(1))));
    assert_eq!(forget(&sql, Millis(100), Some(Millis(30)), 1).unwrap(), 1, "a batch of one");
    assert_eq!(forget(&sql, Millis(100), Some(Millis(30)), 9).unwrap(), 1);
    assert_eq!((left(&sql), forgotten(&sql).unwrap()), (vec![], Some(tx(3))));
    assert_eq!(forget(&sql, Millis(100), Some(Millis(30)), 9).unwrap(), 0);
    verify(&sql).unwrap();
    let kept = |table: &str| sql.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    assert_eq!((kept("event").unwrap(), kept("audit").unwrap(), kept("entity").unwrap()), (3, 6, 3));
}

#[test]
fn what_is_not_settled_is_never_forgotten() {
    let sql = ledger();
    committed(&sql, 1, 1);
    intended(&sql, 2);
    committed(&sql, 3, 1);
    assert_eq!(forget(&sql, Millis(1 << 40), Some(Millis(1 << 39)), 9).unwrap(), 1);
    assert_eq!(left(&sql), [2, 3]);
}

#[test]
fn a_forgotten_transaction_is_one_that_never_began() {
    let sql = ledger();
    committed(&sql, 1, 1);
    assert!(look_up(&sql, tx(1)).unwrap().is_some());
    forget(&sql, Millis(9), Some(Millis(9)), 9).unwrap();
    assert_eq!(look_up(&sql, tx(1)).unwrap(), None);
    let other = Intent { tx: tx(2), ..intent(1) };
    assert!(matches!(intend(&sql, &other, at(9)).unwrap(), Report::Refused(_)), "its entity is still there");
    let other = Intent { key: IdempotencyKey("k1".to_owned()), tx: tx(3), ..intent(7) };
    forget(&sql, Millis(99), Some(Millis(99)), 9).unwrap();
    assert_eq!(intend(&sql, &other, at(99)).unwrap(), Report::Intended, "its key is free");
}

#[test]
fn running_time_never_goes_back() {
    let sql = ledger();
    set_running(&sql, Millis(7)).unwrap();
    forget(&sql, Millis(5), None, 1).unwrap();
    assert_eq!(running(&sql).unwrap(), Millis(7));
    forget(&sql, Millis(8), None, 1).unwrap();
    assert_eq!(running(&sql).unwrap(), Millis(8));
}

/// The actions and numbers of the whole audit trail.
fn trail(sql: &Connection) -> Vec<(u64, AuditAction)> {
    audit_after(sql, 0, 1_000).unwrap().into_iter().map(|entry| (entry.entry, entry.action)).collect()
}

#[test]
fn the_audit_trail_says_how_it_came_to_an_outcome() {
    let sql = ledger();
    intended(&sql, 1);
    let resolution = Resolution { recovered_by: Some(2), fenced: Some(true) };
    audit_resolution(&sql, tx(1), resolution, at(5)).unwrap();
    finish(&sql, tx(1), &Decision::Committed, at(5)).unwrap();
    let told: Vec<(AuditAction, String)> =
        audit_of(&sql, tx(1), 0, 10).unwrap().into_iter().map(|entry| (entry.action, entry.detail)).collect();
    assert_eq!(
        told,
        [
            (AuditAction::Intended, String::new()),
            (AuditAction::Recovered, "by start 2".to_owned()),
            (AuditAction::Fenced, "its marker says committed".to_owned()),
            (AuditAction::Committed, String::new()),
        ]
    );
    assert_eq!(audit_of(&sql, tx(2), 0, 10).unwrap(), []);
}

#[test]
fn what_is_rolled_back_leaves_no_gap_in_the_audit_trail() {
    let sql = ledger();
    committed(&sql, 1, 1);
    for undo in ["ROLLBACK", "ROLLBACK TO work; RELEASE work; COMMIT"] {
        sql.execute_batch("BEGIN; SAVEPOINT work").unwrap();
        committed(&sql, 2, 2);
        sql.execute_batch(undo).unwrap();
    }
    intended(&sql, 3);
    let expected = [AuditAction::Intended, AuditAction::Committed, AuditAction::Intended];
    assert_eq!(trail(&sql), (1..).zip(expected).collect::<Vec<_>>());
}

#[test]
fn a_decision_that_had_to_override_rows_is_in_the_audit_trail() {
    let sql = ledger();
    intended(&sql, 1);
    sql.execute_batch("INSERT INTO entity VALUES ('e1', 'thing', '{}', 7, 'tx-9-9')").unwrap();
    finish(&sql, tx(1), &Decision::Committed, at(5)).unwrap();
    assert_eq!(trail(&sql)[1..], [(2, AuditAction::Overrode), (3, AuditAction::Committed)]);
}

#[test]
fn pages_of_the_audit_trail_follow_each_other() {
    let sql = ledger();
    (1..=5).for_each(|serial| committed(&sql, serial, serial));
    let numbers = |after, limit| -> Vec<u64> {
        audit_after(&sql, after, limit).unwrap().into_iter().map(|entry| entry.entry).collect()
    };
    assert_eq!((numbers(0, 3), numbers(3, 3), numbers(9, 3)), (vec![1, 2, 3], vec![4, 5, 6], vec![10]));
    assert!(numbers(u64::MAX, 3).is_empty());
}

#[test]
fn an_audit_entry_that_nobody_wrote_is_damage() {
    let sql = ledger();
    committed(&sql, 1, 1);
    sql.execute_batch("UPDATE audit SET action = 'blessed' WHERE entry = 2").unwrap();
    let error = audit_of(&sql, tx(1), 0, 10).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("audit entry 2"), "{error}");
}
