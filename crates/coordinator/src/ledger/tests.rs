mod keys;
mod stored;

use graph::{Content, EntityId, Operation, Patch, Subject};
use rusqlite::Connection;

use super::*;
use crate::commit::{AbortReason, ContentHash, Decision, Ground, IdempotencyKey, Intent, Report};
use crate::damage::{Ending as Closed, Fate, ISOLATED_MAX};
use crate::reconcile::{Authority, Ending, Evidence, Held, Logged, Order, Policy, Reason};

fn ledger() -> Connection {
    let sql = Connection::open_in_memory().unwrap();
    MIGRATIONS.iter().for_each(|script| sql.execute_batch(script).unwrap());
    start_incarnation(&sql).unwrap();
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
    let create =
        Operation::Create { id, kind: "thing".parse().unwrap(), key: None, properties: graph::Properties::new() };
    let (key, hash) = (IdempotencyKey(format!("k{serial}")), ContentHash(format!("h{serial}")));
    Intent::new(tx(serial), key, hash, &Patch { operations: vec![create] })
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
    assert_eq!((count_committed(&sql, 1..=1).unwrap(), count_committed(&sql, 2..=9).unwrap()), (1, 0));
}

/// Each field, changed as a flipped bit may: to something that would be believed.
#[test]
fn a_changed_field_is_found() {
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
        match verify(&sql) {
            Ok(unsound) => assert_eq!(unsound.len(), 1, "{change}"),
            Err(error) => {
                assert!(change.contains("SET incarnation"), "{change}: {error}");
                assert!(error.is_damage() && error.to_string().contains("start 1 was the last"), "{error}");
            }
        }
        assert!(log_entries(&sql).is_err(), "{change}: it was not set apart");
    }
    for change in ["UPDATE setting SET value = '7'", "UPDATE setting SET name = 'verified_incarnation'"] {
        let sql = ledger();
        start_incarnation(&sql).unwrap();
        sql.execute_batch(change).unwrap();
        let error = verify(&sql).unwrap_err();
        assert!(matches!(&error, LedgerError::Damaged { record: Record::Setting(_), .. }), "{change}: {error}");
    }
}

/// Where a damaged record was set apart, the others are read past it, and nobody believes it.
#[test]
fn a_damaged_record_that_was_set_apart_stands_in_nobodys_way() {
    for (fate, standing_state) in
        [(Fate::Committed, "committed"), (Fate::Aborted, "aborted"), (Fate::GraphOnly, "intended")]
    {
        let sql = ledger();
        for serial in 1..=3 {
            intended(&sql, serial);
        }
        sql.execute_batch("UPDATE log SET patch = 'x' || patch WHERE serial = 2").unwrap();
        let unsound = verify(&sql).unwrap();
        assert_eq!(unsound.iter().map(|unsound| unsound.tx).collect::<Vec<_>>(), [tx(2)]);
        assert_eq!(audited_fate(&sql, tx(2)).unwrap(), None);
        for _ in 0..2 {
            isolate(&sql, tx(2), &unsound[0].why, fate, at(5)).unwrap();
        }
        assert!(verify(&sql).unwrap().is_empty(), "it is set apart once");
        let audited = audit_of(&sql, tx(2), 0, 9).unwrap();
        assert_eq!(audited.iter().filter(|entry| entry.action == AuditAction::Isolated).count(), 1);

        assert_eq!(unresolved(&sql).unwrap().into_iter().map(|intent| intent.tx).collect::<Vec<_>>(), [tx(1), tx(3)]);
        assert_eq!(intend(&sql, &Intent { tx: tx(9), ..intent(2) }, at(6)).unwrap(), Report::Isolated(tx(2)));
        assert_eq!(standing(&sql, tx(2)).unwrap(), Standing::Isolated);
        assert_eq!(log_entries(&sql).unwrap()[1].state, standing_state);
        let outcome = look_up(&sql, tx(2));
        match fate {
            Fate::GraphOnly => assert!(matches!(outcome, Err(LedgerError::Isolated(_))), "{outcome:?}"),
            fate => {
                let committed = outcome.unwrap().unwrap().decision == Decision::Committed;
                assert_eq!(committed, fate == Fate::Committed);
            }
        }
        let record = isolated(&sql, tx(2)).unwrap().unwrap();
        assert!(record.key == "k2" && record.fields["patch"].starts_with("x["), "{record:?}");

        for serial in [1, 3] {
            finish(&sql, tx(serial), &Decision::Committed, at(7)).unwrap();
        }
        assert_eq!(forget(&sql, Millis(99), Some(Millis(99)), tx(99), 9).unwrap(), 1, "it keeps those behind it");
        let ending = Closed { by: "ann".to_owned(), note: "n".to_owned(), at_ms: Millis(8), outcome: None };
        assert!(close_isolated(&sql, tx(2), &ending).unwrap());
        assert!(!close_isolated(&sql, tx(2), &ending).unwrap(), "once");
        assert!(look_up(&sql, tx(2)).unwrap().is_some());
        assert_eq!(forget(&sql, Millis(99), Some(Millis(99)), tx(99), 9).unwrap(), 2);
    }
}

#[test]
fn what_was_finished_is_known_from_the_audit_trail_although_its_record_is_damaged() {
    let sql = ledger();
    committed(&sql, 1, 5);
    intended(&sql, 2);
    finish(&sql, tx(2), &Decision::Aborted { reason: AbortReason::Fenced }, at(6)).unwrap();
    assert_eq!(audited_fate(&sql, tx(1)).unwrap(), Some(Fate::Committed));
    assert_eq!(audited_fate(&sql, tx(2)).unwrap(), Some(Fate::Aborted));
    assert_eq!(audited_fate(&sql, tx(3)).unwrap(), None);
}

#[test]
fn a_log_of_which_much_is_damaged_is_not_to_be_trusted() {
    let sql = ledger();
    for serial in 1..=u64::try_from(ISOLATED_MAX).unwrap() + 1 {
        intended(&sql, serial);
    }
    sql.execute_batch("UPDATE log SET hash = 'x' || hash WHERE serial > 1").unwrap();
    assert_eq!(verify(&sql).unwrap().len(), ISOLATED_MAX);
    sql.execute_batch("UPDATE log SET hash = 'x' || hash WHERE serial = 1").unwrap();
    assert!(matches!(verify(&sql), Err(LedgerError::Damaged { record: Record::Table("log"), .. })));
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
        forget(&sql, Millis(9), Some(Millis(9)), tx(99), 5).err(),
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
    assert_eq!(forget(&sql, Millis(100), None, tx(99), 9).unwrap(), 0);
    assert_eq!(forget(&sql, Millis(100), Some(Millis(9)), tx(99), 9).unwrap(), 0);
    assert_eq!((left(&sql), forgotten(&sql).unwrap()), (vec![1, 2, 3], None));
    assert_eq!(forget(&sql, Millis(100), Some(Millis(20)), tx(99), 9).unwrap(), 1, "the second keeps the third");
    assert_eq!((left(&sql), forgotten(&sql).unwrap()), (vec![2, 3], Some(tx(1))));
    assert_eq!(forget(&sql, Millis(100), Some(Millis(30)), tx(99), 1).unwrap(), 1, "a batch of one");
    assert_eq!(forget(&sql, Millis(100), Some(Millis(30)), tx(99), 9).unwrap(), 1);
    assert_eq!((left(&sql), forgotten(&sql).unwrap()), (vec![], Some(tx(3))));
    assert_eq!(forget(&sql, Millis(100), Some(Millis(30)), tx(99), 9).unwrap(), 0);
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
    assert_eq!(forget(&sql, Millis(1 << 40), Some(Millis(1 << 39)), tx(99), 9).unwrap(), 1);
    assert_eq!(left(&sql), [2, 3]);
}

#[test]
fn a_forgotten_transaction_is_one_that_never_began() {
    let sql = ledger();
    committed(&sql, 1, 1);
    assert!(look_up(&sql, tx(1)).unwrap().is_some());
    forget(&sql, Millis(9), Some(Millis(9)), tx(99), 9).unwrap();
    assert_eq!(look_up(&sql, tx(1)).unwrap(), None);
    let other = Intent { tx: tx(2), ..intent(1) };
    assert!(matches!(intend(&sql, &other, at(9)).unwrap(), Report::Refused(_)), "its entity is still there");
    let other = Intent { key: IdempotencyKey("k1".to_owned()), tx: tx(3), ..intent(7) };
    forget(&sql, Millis(99), Some(Millis(99)), tx(99), 9).unwrap();
    assert_eq!(intend(&sql, &other, at(99)).unwrap(), Report::Intended, "its key is free");
}

#[test]
fn running_time_never_goes_back() {
    let sql = ledger();
    set_running(&sql, Millis(7)).unwrap();
    forget(&sql, Millis(5), None, tx(99), 1).unwrap();
    assert_eq!(running(&sql).unwrap(), Millis(7));
    forget(&sql, Millis(8), None, tx(99), 1).unwrap();
    assert_eq!(running(&sql).unwrap(), Millis(8));
}

/// Commits these operations, and returns how the log then sees the subject.
fn logged(sql: &Connection, serial: u64, operations: &str, subject: &str) -> Logged {
    let patch = serde_json::from_str(operations).unwrap();
    let intent = Intent { patch, ..intent(serial) };
    assert_eq!(intend(sql, &intent, at(0)).unwrap(), Report::Intended);
    finish(sql, tx(serial), &Decision::Committed, at(0)).unwrap();
    replayed(sql, subject)
}

fn replayed(sql: &Connection, subject: &str) -> Logged {
    history::Replay::default().of(sql, &subject_of(subject)).unwrap()
}

fn subject_of(text: &str) -> Subject {
    serde_json::from_str(text).unwrap()
}

fn content(json: &str) -> Content {
    serde_json::from_str(json).unwrap()
}

const A: &str = r#"{"entity":"a"}"#;
const LINK: &str = r#"{"link":{"from":"a","kind":"knows","to":"b"}}"#;

#[test]
fn the_events_say_what_each_subject_is() {
    let sql = ledger();
    assert_eq!(replayed(&sql, A), Logged::Never);
    let create =
        r#"[{"create":{"id":"a","kind":"thing","properties":{"x":1,"n":null}}},{"create":{"id":"b","kind":"thing"}}]"#;
    let a = |properties: &str, serial| Logged::Present {
        content: content(&format!(r#"{{"kind":"thing","properties":{properties}}}"#)),
        tx: tx(serial),
    };
    assert_eq!(logged(&sql, 1, create, A), a(r#"{"x":1}"#, 1));
    assert_eq!(logged(&sql, 2, r#"[{"update":{"id":"a","set":{"x":null,"y":2}}}]"#, A), a(r#"{"y":2}"#, 2));
    let link = r#"[{"link":{"from":"a","kind":"knows","to":"b","properties":{"since":3}}}]"#;
    let is_there = content(r#"{"kind":"knows","properties":{"since":3}}"#);
    assert_eq!(logged(&sql, 3, link, LINK), Logged::Present { content: is_there, tx: tx(3) });
    assert_eq!(replayed(&sql, A), a(r#"{"y":2}"#, 2), "a link is not the entity");
    let other = r#"{"link":{"from":"a","kind":"likes","to":"b"}}"#;
    assert_eq!(replayed(&sql, other), Logged::Never);
    let unlink = r#"[{"unlink":{"from":"a","kind":"knows","to":"b"}}]"#;
    assert_eq!(logged(&sql, 4, unlink, LINK), Logged::Removed { tx: tx(4) });
    assert_eq!(logged(&sql, 5, r#"[{"delete":{"id":"a"}}]"#, A), Logged::Removed { tx: tx(5) });
    assert_eq!(logged(&sql, 6, r#"[{"create":{"id":"a","kind":"thing"}}]"#, A), a("{}", 6));
}

#[test]
fn events_that_are_not_what_was_written_are_told_from_absence() {
    for change in [
        "UPDATE event SET payload = replace(payload, 'update', 'date')",
        "UPDATE event SET payload = replace(payload, 'update', 'delete') WHERE sequence = 2",
        "UPDATE event SET tx = 'x' WHERE sequence = 2",
        "DELETE FROM event WHERE sequence = 1",
        "UPDATE event SET sequence = 4 WHERE sequence = 2",
    ] {
        let sql = ledger();
        logged(&sql, 1, r#"[{"create":{"id":"a","kind":"thing"}}]"#, A);
        assert!(matches!(logged(&sql, 2, r#"[{"update":{"id":"a","set":{"x":1}}}]"#, A), Logged::Present { .. }));
        sql.execute_batch(change).unwrap();
        let unreadable = replayed(&sql, A);
        assert!(matches!(unreadable, Logged::Unreadable(_)), "{change}: {unreadable:?}");
    }
}

/// The log has what the client sent: what its labels became follows from it and the name.
#[test]
fn what_the_labels_of_a_transaction_became_is_known_as_long_as_its_record() {
    let sql = ledger();
    let sent = r#"[{"create":{"id":"_:x","kind":"thing"}},{"create":{"id":"y","kind":"thing"}},
                   {"link":{"from":"y","kind":"knows","to":"_:x"}}]"#;
    let sent: Patch = serde_json::from_str(sent).unwrap();
    let labelled = |serial| {
        let Intent { tx, key, hash, .. } = intent(serial);
        Intent::new(tx, key, hash, &sent)
    };
    assert_eq!(intend(&sql, &labelled(1), at(0)).unwrap(), Report::Intended);
    assert_eq!(unresolved(&sql).unwrap(), [labelled(1)], "for the next process");
    assert_eq!(created(&sql, tx(1)).unwrap(), [].into(), "nobody knows yet whether there are any");
    finish(&sql, tx(1), &Decision::Committed, at(0)).unwrap();
    let (label, id) = ("_:x".parse().unwrap(), "e-1-1-0".parse().unwrap());
    assert_eq!(created(&sql, tx(1)).unwrap(), [(label, id)].into());
    assert!(load(&sql, &"e-1-1-0".parse().unwrap()).unwrap().is_some());
    intend(&sql, &labelled(2), at(0)).unwrap();
    assert_eq!(created(&sql, tx(2)).unwrap(), [].into(), "it was refused: y is there");
    forget(&sql, Millis(9), Some(Millis(9)), tx(9), 9).unwrap();
    assert_eq!(created(&sql, tx(1)).unwrap(), [].into());
}

/// A pass asks for each link of an entity in turn: what it has read of the events it does not read again.
#[test]
fn a_replay_goes_on_where_it_ended_for_as_long_as_a_pass() {
    let sql = ledger();
    let replays = Replays::default();
    let logged = |replays: &Replays, subject: &str| replays.of(&sql, &subject_of(subject)).unwrap();
    replays.begin();
    let create = r#"[{"create":{"id":"a","kind":"thing"}},{"create":{"id":"b","kind":"thing"}}]"#;
    let is_there = self::logged(&sql, 1, create, A);
    assert_eq!((logged(&replays, A), logged(&replays, LINK)), (is_there.clone(), Logged::Never));
    // Somebody tears the first event, and transactions append others.
    sql.execute_batch("UPDATE event SET payload = '?' WHERE resource = 'a'").unwrap();
    self::logged(&sql, 2, r#"[{"link":{"from":"a","kind":"knows","to":"b"}}]"#, A);
    let linked = Logged::Present { content: content(r#"{"kind":"knows","properties":{}}"#), tx: tx(2) };
    assert_eq!((logged(&replays, LINK), logged(&replays, A)), (linked, is_there));
    for again in [|replays: &Replays| replays.begin(), |replays: &Replays| replays.end()] {
        again(&replays);
        assert!(matches!(logged(&replays, LINK), Logged::Unreadable(_)), "from the events as they are");
    }
}

/// Runs a repair up to its end.
fn repaired(sql: &Connection, serial: u64, subject: &str, content: Option<Content>, logged: bool) {
    let restore = Operation::Restore { subject: subject_of(subject), content, logged };
    let evidence = evidence(sql, &Replays::default(), subject_of(subject), Held::Absent, false, false).unwrap();
    let ground = Ground { order: Order::Policy(Policy::Log), evidence };
    let intent = Intent { patch: Patch { operations: vec![restore] }, ..intent(serial) };
    assert_eq!(intend_repair(sql, &intent, &ground, at(0)).unwrap(), Report::Intended);
    finish(sql, tx(serial), &Decision::Committed, at(0)).unwrap();
}

fn events(sql: &Connection) -> usize {
    event_entries(sql).unwrap().len()
}

#[test]
fn what_the_events_say_is_restored_with_its_version_and_without_an_event() {
    let sql = ledger();
    logged(&sql, 1, r#"[{"create":{"id":"a","kind":"thing"}},{"create":{"id":"b","kind":"thing"}}]"#, A);
    logged(&sql, 2, r#"[{"link":{"from":"a","kind":"knows","to":"b"}}]"#, A);
    let (before, count) = (load(&sql, &"a".parse().unwrap()).unwrap().unwrap(), events(&sql));
    assert_eq!((before.version, before.tx), (2, tx(2)));
    sql.execute_batch("DELETE FROM link; DELETE FROM entity WHERE id = 'a'").unwrap();
    let thing = |kind: &str| content(&format!(r#"{{"kind":"{kind}","properties":{{}}}}"#));
    repaired(&sql, 3, A, Some(thing("thing")), true);
    repaired(&sql, 4, LINK, Some(thing("knows")), true);
    assert_eq!(load(&sql, &"a".parse().unwrap()).unwrap(), Some(before));
    assert_eq!(events(&sql), count);
    let link_tx: String = sql.query_row("SELECT tx FROM link", [], |row| row.get(0)).unwrap();
    assert_eq!(link_tx, tx(2).to_string());
    let audited: i64 =
        sql.query_row("SELECT count(*) FROM audit WHERE action = 'repairing'", [], |row| row.get(0)).unwrap();
    assert_eq!(audited, 2);
    // A stranger that goes is no event either.
    sql.execute_batch("INSERT INTO entity VALUES ('c', 'thing', '{}', 1, 'tx-1-1', NULL)").unwrap();
    repaired(&sql, 5, r#"{"entity":"c"}"#, None, true);
    assert_eq!((load(&sql, &"c".parse().unwrap()).unwrap(), events(&sql)), (None, count));
}

#[test]
fn what_the_events_do_not_say_becomes_one_of_them() {
    let sql = ledger();
    logged(&sql, 1, r#"[{"create":{"id":"a","kind":"thing"}}]"#, A);
    let new = content(r#"{"kind":"robot","properties":{"x":1}}"#);
    repaired(&sql, 2, A, Some(new.clone()), false);
    let row = load(&sql, &"a".parse().unwrap()).unwrap().unwrap();
    assert_eq!((row.kind, row.version, row.tx), (new.kind.clone(), 2, tx(2)));
    assert_eq!(replayed(&sql, A), Logged::Present { content: new, tx: tx(2) });
    repaired(&sql, 3, A, None, false);
    assert_eq!(replayed(&sql, A), Logged::Removed { tx: tx(3) });
    assert!(matches!(logged(&sql, 4, r#"[{"create":{"id":"a","kind":"thing"}}]"#, A), Logged::Present { .. }));
    assert_eq!(load(&sql, &"a".parse().unwrap()).unwrap().unwrap().version, 4);
}

#[test]
fn there_is_one_open_case_a_subject_and_its_end_is_documented() {
    let sql = ledger();
    committed(&sql, 1, 1);
    let evidence = |sql_has: Option<Content>| Evidence {
        subject: subject_of(A),
        graph: Held::Absent,
        sql: sql_has,
        log: Logged::Never,
        linked: false,
        loose: false,
        rivals: Vec::new(),
        unaccounted: Vec::new(),
    };
    let found = evidence(Some(content(r#"{"kind":"thing","properties":{}}"#)));
    let open = |evidence: &Evidence| open_case(&sql, evidence, &Reason::Quarantined, Millis(5)).unwrap();
    assert_eq!((open_cases(&sql, 0, 9).unwrap(), case(&sql, 1).unwrap()), (vec![], None));
    assert_eq!((open(&evidence(None)), open(&found)), (1, 1));
    let listed = open_cases(&sql, 0, 9).unwrap();
    assert_eq!((listed.len(), &listed[0].evidence, listed[0].found_ms), (1, &found, Millis(5)));
    let (by, note) = ("ann".to_owned(), "looked".to_owned());
    let ending = Ending { authority: Authority::Sql, by, note, tx: Some(tx(1)), at_ms: Millis(7) };
    assert!(close_case(&sql, 1, &ending, Some(tx(1)), Millis(7)).unwrap());
    assert!(!close_case(&sql, 1, &ending, Some(tx(1)), Millis(7)).unwrap(), "once");
    assert_eq!(open_cases(&sql, 0, 9).unwrap(), []);
    assert_eq!(case(&sql, 1).unwrap().unwrap().ending, Some(ending));
    let detail: String = sql
        .query_row("SELECT detail FROM audit WHERE action = 'resolved' AND tx = 'tx-1-1'", [], |row| row.get(0))
        .unwrap();
    assert!(detail.starts_with(r#"{"case":1,"ending":{"authority":"sql","by":"ann""#), "{detail}");
    assert_eq!(open(&found), 2, "what is found anew is a new case");
    assert_eq!(case(&sql, 3).unwrap(), None);
}

#[test]
fn pages_are_in_order_and_go_on_where_the_last_one_ended() {
    let sql = ledger();
    let create = |id: &str| format!(r#"{{"create":{{"id":"{id}","kind":"thing"}}}}"#);
    let ids = ["a", "a-b", "a.b", "a/b", "aa", "b"];
    logged(&sql, 1, &format!("[{}]", ids.map(create).join(",")), A);
    let link = |kind: &str, to: &str| format!(r#"{{"link":{{"from":"a","kind":"{kind}","to":"{to}"}}}}"#);
    logged(&sql, 2, &format!("[{},{},{}]", link("z", "a"), link("k", "b"), link("k", "aa")), A);
    let (mut after, mut seen) = (None::<String>, Vec::new());
    loop {
        let page = entities_after(&sql, after.as_deref(), 4).unwrap();
        let Some((Subject::Entity(last), _)) = page.last() else { break };
        after = Some(last.as_str().to_owned());
        seen.extend(page.into_iter().map(|(subject, _)| subject.resource().to_string()));
    }
    assert_eq!(seen, ids);
    let links =
        |after| links_after(&sql, after, 2).unwrap().into_iter().map(|(link, _)| link.to_string()).collect::<Vec<_>>();
    assert_eq!(links(None), ["link a -[k]-> aa", "link a -[k]-> b"]);
    assert_eq!(links(Some(["a", "k", "b"])), ["link a -[z]-> a"]);
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
    sql.execute_batch("INSERT INTO entity VALUES ('e1', 'thing', '{}', 7, 'tx-9-9', NULL)").unwrap();
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
