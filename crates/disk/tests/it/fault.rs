//! Faults short of death, and faults at rest.

use disk::{Death, Disk, Image, IoFault, NotThere, OpKind, Unsynced, Verdict};
use rusqlite::{ErrorCode, ffi};

use super::*;

const LOSE_ALL: Death = Death::PowerCut(Unsynced::LoseAll);

/// Gives every operation of a kind the same verdict.
fn always(disk: &Disk, kind: OpKind, verdict: Verdict) {
    disk.observe(Box::new(move |operation| if operation.kind == kind { verdict } else { Verdict::Proceed }));
}

#[test]
fn a_full_disk_refuses_keeps_what_it_has_and_recovers_when_there_is_room() {
    for journal in ["WAL", "DELETE"] {
        let disk = Disk::new(1);
        with_table(&disk, journal);
        let connection = open(&disk, journal, "FULL").unwrap();
        insert(&connection, 0).unwrap();
        disk.set_capacity(disk.used() + 20_000);
        let (count, refused) = (1..1000)
            .map(|n| (n, insert(&connection, n)))
            .find(|(_, outcome)| outcome.is_err())
            .expect("20,000 bytes do not hold a thousand rows");
        assert_eq!(code_of(refused), ErrorCode::DiskFull);
        assert!(disk.stats().full > 0);
        assert_eq!(numbers(&connection).unwrap(), (0..count).collect::<Vec<_>>());
        disk.set_capacity(1 << 20);
        insert(&connection, count).unwrap();
        drop(connection);
        let connection = open(&disk, journal, "FULL").unwrap();
        assert_eq!(numbers(&connection).unwrap(), (0..=count).collect::<Vec<_>>());
        assert_eq!(integrity(&connection).unwrap(), "ok");
    }
}

#[test]
fn a_file_that_goes_makes_room() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    let ballast = "/data/ballast";
    disk.restore_file(&Image { files: [(ballast.to_owned(), vec![0; 10_000])].into() }, ballast);
    disk.set_capacity(disk.used());
    assert_eq!(code_of(insert(&connection, 1)), ErrorCode::DiskFull);
    disk.restore_file(&Image::default(), ballast);
    insert(&connection, 1).unwrap();
    assert_eq!(numbers(&connection).unwrap(), [1]);
}

#[test]
fn an_operation_fails_with_the_error_that_it_is_given() {
    let code = |kind, fault| {
        let disk = Disk::new(1);
        with_table(&disk, "WAL");
        let connection = open_wal(&disk);
        always(&disk, kind, Verdict::Fail(fault));
        let code = code_of(insert(&connection, 1));
        disk.stop_observing();
        insert(&connection, 2).unwrap();
        drop(connection);
        let connection = open_wal(&disk);
        assert_eq!(numbers(&connection).unwrap(), [2], "{kind:?} {fault:?}");
        assert_eq!(integrity(&connection).unwrap(), "ok");
        (code, disk.stats().io_errors, disk.stats().no_space)
    };
    assert_eq!(code(OpKind::Write, IoFault::Eio), (ErrorCode::SystemIoFailure, 1, 0));
    assert_eq!(code(OpKind::Write, IoFault::NoSpace), (ErrorCode::DiskFull, 0, 1));
    assert_eq!(code(OpKind::Sync, IoFault::Eio), (ErrorCode::SystemIoFailure, 1, 0));
}

#[test]
fn each_kind_of_operation_has_its_own_error() {
    let code = |kind, journal, act: fn(&Disk, &Connection) -> rusqlite::Result<()>| {
        let disk = Disk::new(1);
        with_table(&disk, journal);
        let connection = open(&disk, journal, "EXTRA").unwrap();
        insert(&connection, 1).unwrap();
        always(&disk, kind, Verdict::Fail(IoFault::Eio));
        let error = act(&disk, &connection).unwrap_err();
        assert!(disk.stats().io_errors > 0);
        disk.stop_observing();
        drop(connection);
        assert_eq!(integrity(&open(&disk, journal, "EXTRA").unwrap()).unwrap(), "ok");
        error.sqlite_error().unwrap().extended_code
    };
    let again = |_: &Disk, connection: &Connection| insert(connection, 2);
    let open_another = |disk: &Disk, _: &Connection| open(disk, "WAL", "FULL").map(drop);
    let truncate = |_: &Disk, connection: &Connection| connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(code(OpKind::Open, "WAL", open_another), ffi::SQLITE_CANTOPEN);
    assert_eq!(code(OpKind::Write, "WAL", again), ffi::SQLITE_IOERR_WRITE);
    assert_eq!(code(OpKind::Sync, "WAL", again), ffi::SQLITE_IOERR_FSYNC);
    assert_eq!(code(OpKind::Truncate, "WAL", truncate), ffi::SQLITE_IOERR_TRUNCATE);
    assert_eq!(code(OpKind::Delete, "DELETE", again), ffi::SQLITE_IOERR_DELETE);
    // Of the two directory syncs of a transaction SQLite ignores the first, and this one it does not.
    assert_eq!(code(OpKind::SyncDirectory, "DELETE", again), ffi::SQLITE_IOERR_DIR_FSYNC);
}

#[test]
fn reads_fail_or_are_cut_short() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    insert(&open_wal(&disk), 1).unwrap();
    let connection = open_wal(&disk);
    always(&disk, OpKind::Read, Verdict::Fail(IoFault::Eio));
    assert_eq!(code_of(numbers(&connection)), ErrorCode::SystemIoFailure);
    always(&disk, OpKind::Read, Verdict::Fail(IoFault::ShortRead));
    // SQLite takes a short read for the end of the file and the rest of the page for zeros: an error or a wrong answer.
    assert_ne!(numbers(&connection).ok(), Some(vec![1]));
    disk.stop_observing();
    assert_eq!(numbers(&open_wal(&disk)).unwrap(), [1]);
    assert!(disk.stats().io_errors > 0 && disk.stats().short_reads > 0);
}

#[test]
fn a_lying_sync_loses_what_was_acknowledged_and_an_honest_one_does_not() {
    for (verdict, left) in [(Verdict::Lie, &[][..]), (Verdict::Proceed, &[1, 2][..])] {
        let disk = Disk::new(1);
        with_table(&disk, "WAL");
        let connection = open_wal(&disk);
        always(&disk, OpKind::Sync, verdict);
        insert(&connection, 1).unwrap();
        insert(&connection, 2).unwrap();
        disk.die(LOSE_ALL);
        drop(connection);
        disk.stop_observing();
        disk.revive();
        assert_eq!(numbers(&open_wal(&disk)).unwrap(), left);
        assert_eq!(disk.stats().lies > 0, verdict == Verdict::Lie);
    }
}

#[test]
fn a_verdict_that_makes_no_sense_changes_and_counts_nothing() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    for verdict in [Verdict::Lie, Verdict::Fail(IoFault::ShortRead)] {
        always(&disk, OpKind::Write, verdict);
        insert(&connection, if verdict == Verdict::Lie { 1 } else { 2 }).unwrap();
    }
    assert_eq!(numbers(&connection).unwrap(), [1, 2]);
    assert_eq!((disk.stats().lies, disk.stats().short_reads), (0, 0));
}

#[test]
fn rot_is_found() {
    let disk = Disk::new(1);
    with_table(&disk, "DELETE");
    let connection = open(&disk, "DELETE", "FULL").unwrap();
    (1..200).try_for_each(|n| insert(&connection, n)).unwrap();
    assert_eq!(integrity(&connection).unwrap(), "ok");
    drop(connection);
    // The second page's header: what kind of page it is.
    disk.corrupt(DB, 4096, 1).unwrap();
    let connection = open(&disk, "DELETE", "FULL").unwrap();
    let found = integrity(&connection);
    assert!(found.as_deref() != Ok("ok"), "{found:?}");
    assert_eq!(disk.stats().at_rest, 1);
}

#[test]
fn a_lost_tail_is_found() {
    let disk = Disk::new(1);
    with_table(&disk, "DELETE");
    let connection = open(&disk, "DELETE", "FULL").unwrap();
    (1..200).try_for_each(|n| insert(&connection, n)).unwrap();
    drop(connection);
    let len = disk.read_file(DB).unwrap().len() as u64;
    disk.truncate_file(DB, len / 2).unwrap();
    let connection = open(&disk, "DELETE", "FULL");
    let found = connection.and_then(|connection| integrity(&connection));
    assert!(found.as_deref() != Ok("ok"), "{found:?}");
}

#[test]
fn a_fault_at_rest_that_hits_nothing_says_so() {
    let disk = Disk::new(1);
    with_table(&disk, "DELETE");
    let missing = || NotThere::File { path: "/none".to_owned() };
    assert_eq!(disk.corrupt("/none", 0, 0), Err(missing()));
    assert_eq!(disk.truncate_file("/none", 0), Err(missing()));
    let len = disk.read_file(DB).unwrap().len() as u64;
    let beyond = NotThere::Byte { path: DB.to_owned(), offset: len, len };
    assert_eq!(disk.corrupt(DB, len, 0), Err(beyond));
    assert!(disk.truncate_file(DB, len + 1).is_err());
    assert_eq!(disk.stats().at_rest, 0);
}

#[test]
fn an_older_medium_holds_what_it_held() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    insert(&connection, 1).unwrap();
    let old = disk.snapshot();
    insert(&connection, 2).unwrap();
    disk.restore(&old);
    assert!(disk.is_dead(), "nobody takes the medium from under a process and lets it live");
    drop(connection);
    disk.revive();
    assert_eq!(numbers(&open_wal(&disk)).unwrap(), [1]);
    disk.die(LOSE_ALL);
    disk.revive();
    assert_eq!(numbers(&open_wal(&disk)).unwrap(), [1], "the older medium is durable");
}

#[test]
fn one_file_comes_back_older() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    insert(&connection, 1).unwrap();
    let old = disk.snapshot();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    insert(&connection, 2).unwrap();
    disk.die(Death::Kill);
    drop(connection);
    // The database forgets the first commit, whose WAL is gone; the second one's is there.
    disk.restore_file(&old, DB);
    disk.restore_file(&Image::default(), WAL);
    disk.revive();
    assert!(!has_file(&disk, WAL));
    assert!(numbers(&open_wal(&disk)).unwrap().is_empty());
}

#[test]
fn a_panic_of_the_observer_is_an_error_to_sqlite() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    disk.observe(Box::new(|_| panic!("this test lets the observer panic")));
    assert_eq!(code_of(insert(&connection, 1)), ErrorCode::SystemIoFailure);
    disk.stop_observing();
    insert(&connection, 2).unwrap();
    assert_eq!(numbers(&connection).unwrap(), [2]);
}

/// A process whose sync failed ends; the next one builds on a log that the medium does not have, and loses what it
/// acknowledges, unless it writes the log again first.
#[test]
fn what_a_failed_sync_lost_takes_later_commits_with_it_unless_the_file_is_rewritten() {
    let survivors = |rewrite: bool, seed: u64| {
        let disk = Disk::new(seed);
        with_table(&disk, "WAL");
        let connection = open_wal(&disk);
        insert(&connection, 1).unwrap();
        always(&disk, OpKind::Sync, Verdict::Fail(IoFault::Eio));
        insert(&connection, 2).unwrap_err();
        disk.stop_observing();
        disk.die(Death::Kill);
        drop(connection);
        disk.revive();
        if rewrite {
            assert!(disk.rewrite(WAL).unwrap());
        }
        let connection = open_wal(&disk);
        insert(&connection, 3).unwrap();
        disk.die(LOSE_ALL);
        drop(connection);
        disk.revive();
        numbers(&open_wal(&disk)).unwrap()
    };
    assert!((0..20).any(|seed| !survivors(false, seed).contains(&3)), "the disk must be able to show it");
    assert!((0..20).all(|seed| survivors(true, seed).contains(&3)));
}

#[test]
fn a_rewrite_fails_like_any_operation_and_finds_nothing_where_nothing_is() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let path = disk.files().into_iter().map(|(path, _)| path).next().expect("there are files");
    assert!(!disk.rewrite("/data/nothing").unwrap());
    for (kind, fault) in [
        (OpKind::Read, IoFault::Eio),
        (OpKind::Read, IoFault::ShortRead),
        (OpKind::Write, IoFault::NoSpace),
        (OpKind::Sync, IoFault::Eio),
        (OpKind::SyncDirectory, IoFault::Eio),
    ] {
        always(&disk, kind, Verdict::Fail(fault));
        disk.rewrite(&path).unwrap_err();
        disk.stop_observing();
        assert!(disk.rewrite(&path).unwrap());
    }
    disk.die(Death::Kill);
    disk.rewrite(&path).unwrap_err();
}
