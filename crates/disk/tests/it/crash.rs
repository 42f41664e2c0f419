//! Death and what comes after.

use std::sync::{Arc, Mutex};

use disk::{Death, Disk, OpKind, Operation, Unsynced, Verdict};
use rusqlite::ErrorCode;

use super::*;

const LOSE_ALL: Death = Death::PowerCut(Unsynced::LoseAll);

#[test]
fn a_kill_keeps_what_was_written_and_a_power_cut_what_was_synced() {
    // How many of two commits are left: with NORMAL, SQLite does not sync the WAL at a commit.
    for (synchronous, death, left) in [
        ("NORMAL", Death::Kill, 2),
        ("NORMAL", Death::PowerCut(Unsynced::KeepAll), 2),
        ("NORMAL", LOSE_ALL, 0),
        ("FULL", Death::Kill, 2),
        ("FULL", LOSE_ALL, 2),
    ] {
        let disk = Disk::new(1);
        with_table(&disk, "WAL");
        let connection = open(&disk, "WAL", synchronous).unwrap();
        insert(&connection, 1).unwrap();
        insert(&connection, 2).unwrap();
        disk.die(death);
        drop(connection);
        disk.revive();
        let found = numbers(&open_wal(&disk)).unwrap();
        assert_eq!(found.len(), left, "{synchronous}, {death:?}");
    }
}

#[test]
fn a_dead_disk_refuses_everything_and_its_last_close_changes_nothing() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    insert(&connection, 1).unwrap();
    let before = disk.snapshot();
    disk.die(Death::Kill);
    assert!(disk.is_dead());
    assert_eq!(code_of(insert(&connection, 2)), ErrorCode::SystemIoFailure);
    assert_eq!(code_of(numbers(&connection)), ErrorCode::SystemIoFailure);
    assert_eq!(code_of(open(&disk, "WAL", "FULL").map(drop)), ErrorCode::CannotOpen);
    drop(connection);
    assert_eq!(disk.snapshot(), before);
}

#[test]
fn without_death_the_last_close_checkpoints_and_deletes_the_wal() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    insert(&connection, 1).unwrap();
    let before = disk.snapshot();
    drop(connection);
    assert!(!has_file(&disk, WAL));
    assert_ne!(disk.snapshot().files[DB], before.files[DB]);
}

#[test]
fn connections_of_before_stay_dead_and_their_locks_are_gone() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let (zombie, reader) = (open_wal(&disk), open_wal(&disk));
    zombie.execute_batch("BEGIN IMMEDIATE").unwrap();
    insert(&zombie, 1).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    numbers(&reader).unwrap();
    disk.die(Death::Kill);
    disk.revive();
    let connection = open_wal(&disk);
    insert(&connection, 2).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert_eq!(code_of(zombie.execute_batch("COMMIT")), ErrorCode::SystemIoFailure);
    drop((zombie, reader));
    insert(&connection, 3).unwrap();
    assert_eq!(numbers(&connection).unwrap(), [2, 3]);
    assert_eq!(integrity(&connection).unwrap(), "ok");
}

#[test]
fn a_half_done_transaction_is_rolled_back_from_its_journal() {
    let disk = Disk::new(1);
    with_table(&disk, "DELETE");
    let connection = open(&disk, "DELETE", "FULL").unwrap();
    insert(&connection, 1).unwrap();
    // The journal is complete and synced; the database is being written.
    kill_at_first(&disk, OpKind::Write, DB, Death::PowerCut(Unsynced::KeepAll));
    assert_eq!(code_of(insert(&connection, 2)), ErrorCode::SystemIoFailure);
    drop(connection);
    disk.stop_observing();
    disk.revive();
    assert!(has_file(&disk, JOURNAL));
    let connection = open(&disk, "DELETE", "FULL").unwrap();
    assert_eq!(numbers(&connection).unwrap(), [1]);
    assert!(!has_file(&disk, JOURNAL));
}

#[test]
fn a_deletion_that_was_not_synced_is_undone() {
    // With FULL the journal's deletion commits, and nothing makes it last; with EXTRA something does.
    for (synchronous, left) in [("FULL", &[][..]), ("EXTRA", &[1][..])] {
        let disk = Disk::new(1);
        with_table(&disk, "DELETE");
        let connection = open(&disk, "DELETE", synchronous).unwrap();
        insert(&connection, 1).unwrap();
        disk.die(LOSE_ALL);
        drop(connection);
        disk.revive();
        assert_eq!(numbers(&open(&disk, "DELETE", synchronous).unwrap()).unwrap(), left, "{synchronous}");
    }
}

#[test]
fn a_death_falls_on_the_very_operation() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let at = disk.ordinal() + 3;
    disk.observe(Box::new(move |operation: &Operation<'_>| {
        record.lock().unwrap().push(operation.ordinal);
        if operation.ordinal == at { Verdict::Die(LOSE_ALL) } else { Verdict::Proceed }
    }));
    assert!(insert(&connection, 1).is_err());
    drop(connection);
    assert_eq!(*seen.lock().unwrap(), [at - 2, at - 1, at], "a dead disk does nothing more that could be seen");
    disk.revive();
    open_wal(&disk);
    assert_eq!(seen.lock().unwrap()[3], at + 1, "a restart does not reset the ordinals");
}

#[test]
fn an_observer_may_ask_the_disk_and_let_it_die() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    let handle = disk.clone();
    disk.observe(Box::new(move |operation| {
        assert_eq!(handle.ordinal(), operation.ordinal);
        if operation.kind == OpKind::Sync {
            handle.die(LOSE_ALL);
        }
        Verdict::Proceed
    }));
    assert!(insert(&connection, 1).is_err());
    disk.stop_observing();
    disk.revive();
    drop(connection);
    assert!(numbers(&open_wal(&disk)).unwrap().is_empty());
}

#[test]
fn a_power_cut_after_a_kill_loses_what_the_cache_held() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open(&disk, "WAL", "NORMAL").unwrap();
    insert(&connection, 1).unwrap();
    disk.die(Death::Kill);
    disk.die(LOSE_ALL);
    drop(connection);
    disk.die(Death::Kill);
    let stats = disk.stats();
    assert_eq!((stats.kills, stats.power_cuts), (1, 1));
    disk.revive();
    assert!(numbers(&open_wal(&disk)).unwrap().is_empty());
}

#[test]
fn a_kill_in_the_middle_of_a_write_leaves_a_part_of_it() {
    let mut lens = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = Disk::new(seed);
        with_table(&disk, "WAL");
        let connection = open_wal(&disk);
        kill_at_first(&disk, OpKind::Write, WAL, Death::Kill);
        // The header is the first write to a WAL, the frames follow; the header has 32 bytes, so it is whole or absent.
        assert!(insert(&connection, 1).is_err());
        lens.insert(disk.read_file(WAL).unwrap().len());
    }
    assert_eq!(lens.into_iter().collect::<Vec<_>>(), [0, 32]);
}

/// A small life of a database. Returns the rows whose commit was acknowledged before the disk died.
fn small_life(disk: &Disk, journal: &str) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    let mut live = || -> rusqlite::Result<()> {
        let connection = open(disk, journal, "EXTRA")?;
        connection.execute_batch("CREATE TABLE entry (n INTEGER PRIMARY KEY, text TEXT)")?;
        for n in 1..=3 {
            insert(&connection, n)?;
            acknowledged.push(n);
        }
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        insert(&connection, 4)?;
        acknowledged.push(4);
        Ok(())
    };
    let outcome = live();
    assert_eq!(outcome.is_err(), disk.is_dead() && acknowledged.len() < 4, "{outcome:?}");
    acknowledged
}

#[test]
fn at_every_operation_of_a_small_life_a_death_loses_nothing_acknowledged() {
    for journal in ["WAL", "DELETE"] {
        let fault_free = Disk::new(1);
        assert_eq!(small_life(&fault_free, journal), [1, 2, 3, 4]);
        let mut reached = std::collections::BTreeSet::new();
        let unsynced = [Unsynced::LoseAll, Unsynced::KeepAll, Unsynced::Mixed].map(Death::PowerCut);
        for (death, at) in unsynced
            .into_iter()
            .chain([Death::Kill])
            .flat_map(|death| (1..=fault_free.ordinal()).map(move |at| (death, at)))
        {
            let disk = Disk::new(at);
            let (sender, kinds) = std::sync::mpsc::channel();
            disk.observe(Box::new(move |operation| {
                if operation.ordinal != at {
                    return Verdict::Proceed;
                }
                sender.send(operation.kind).unwrap();
                Verdict::Die(death)
            }));
            let acknowledged = small_life(&disk, journal);
            reached.extend(kinds.try_recv());
            assert!(disk.is_dead(), "{journal}, {death:?} at {at}");
            disk.revive();
            let connection = open(&disk, journal, "EXTRA").unwrap();
            assert_eq!(integrity(&connection).unwrap(), "ok", "{journal}, {death:?} at {at}");
            let found = numbers(&connection).unwrap_or_default();
            assert!(
                found.starts_with(&acknowledged),
                "{journal}, {death:?} at {at}: {acknowledged:?} became {found:?}"
            );
        }
        let not_reached: Vec<_> = OpKind::ALL.into_iter().filter(|kind| !reached.contains(kind)).collect();
        let expected: &[OpKind] = if journal == "WAL" { &[] } else { &[OpKind::Truncate] };
        assert_eq!(not_reached, expected);
    }
}

/// Lets the disk die at the first operation of a kind on a file.
fn kill_at_first(disk: &Disk, kind: OpKind, path: &'static str, death: Death) {
    disk.observe(Box::new(move |operation| {
        if operation.kind == kind && operation.path == path { Verdict::Die(death) } else { Verdict::Proceed }
    }));
}
