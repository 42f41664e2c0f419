//! What SQLite must find on any disk: locks, journals, the WAL, temporary files, the clock.

use std::time::Duration;

use disk::{Disk, OpKind};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::*;

#[test]
fn connections_in_wal_mode_share_one_database() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let (writer, reader) = (open_wal(&disk), open_wal(&disk));
    insert(&writer, 1).unwrap();
    assert_eq!(numbers(&reader).unwrap(), [1]);

    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(numbers(&reader).unwrap(), [1]);
    insert(&writer, 2).unwrap();
    assert_eq!(numbers(&reader).unwrap(), [1], "a reader keeps its snapshot");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(numbers(&reader).unwrap(), [1, 2]);
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_done() {
    for journal in ["WAL", "DELETE"] {
        let disk = Disk::new(1);
        with_table(&disk, journal);
        let (a, b) = (open(&disk, journal, "FULL").unwrap(), open(&disk, journal, "FULL").unwrap());
        a.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(code_of(b.execute_batch("BEGIN IMMEDIATE")), ErrorCode::DatabaseBusy);
        insert(&a, 1).unwrap();
        a.execute_batch("COMMIT").unwrap();
        insert(&b, 2).unwrap();
        assert_eq!(numbers(&a).unwrap(), [1, 2]);
    }
}

#[test]
fn in_delete_mode_a_reader_holds_up_the_commit_and_the_commit_new_readers() {
    let disk = Disk::new(1);
    with_table(&disk, "DELETE");
    let [writer, reader, late] = [(); 3].map(|()| open(&disk, "DELETE", "FULL").unwrap());
    reader.execute_batch("BEGIN").unwrap();
    numbers(&reader).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    insert(&writer, 1).unwrap();
    assert!(has_file(&disk, JOURNAL));
    assert_eq!(code_of(writer.execute_batch("COMMIT")), ErrorCode::DatabaseBusy);
    assert_eq!(code_of(numbers(&late)), ErrorCode::DatabaseBusy, "the writer is pending");
    reader.execute_batch("COMMIT").unwrap();
    writer.execute_batch("COMMIT").unwrap();
    assert!(!has_file(&disk, JOURNAL));
    assert_eq!(numbers(&late).unwrap(), [1]);
}

#[test]
fn an_exclusive_lock_keeps_everybody_out() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connect = || Connection::open_with_flags_and_vfs(DB, OpenFlags::default(), disk.vfs_name()).unwrap();
    let owner = connect();
    owner.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT").unwrap();
    let other = connect();
    other.busy_timeout(Duration::ZERO).unwrap();
    assert_eq!(code_of(numbers(&other)), ErrorCode::DatabaseBusy);
    drop(owner);
    assert!(numbers(&other).is_ok());
}

#[test]
fn waiting_for_a_lock_costs_simulated_time_only() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let (a, b) = (open_wal(&disk), open_wal(&disk));
    a.execute_batch("BEGIN IMMEDIATE").unwrap();
    b.busy_timeout(Duration::from_secs(1000)).unwrap();
    disk.take_latency();
    assert_eq!(code_of(b.execute_batch("BEGIN IMMEDIATE")), ErrorCode::DatabaseBusy);
    let waited = disk.take_latency();
    assert!(waited >= Duration::from_secs(990), "waited {waited:?}");
    assert_eq!(disk.take_latency(), Duration::ZERO);
}

#[test]
fn a_checkpoint_moves_the_wal_into_the_database() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    insert(&connection, 1).unwrap();
    let before = disk.read_file(DB).unwrap();
    assert!(!disk.read_file(WAL).unwrap().is_empty());
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert!(disk.read_file(WAL).unwrap().is_empty());
    assert_ne!(disk.read_file(DB).unwrap(), before);
    assert_eq!(numbers(&connection).unwrap(), [1]);
}

#[test]
fn a_transaction_over_two_files_is_atomic_through_a_super_journal() {
    let disk = Disk::new(1);
    let connection = open(&disk, "DELETE", "FULL").unwrap();
    connection
        .execute_batch(
            "ATTACH '/other/second.db' AS second;
             CREATE TABLE main.a (n); CREATE TABLE second.b (n);
             BEGIN; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); COMMIT",
        )
        .unwrap();
    let files: Vec<_> = disk.files().into_iter().map(|(path, _)| path).collect();
    assert_eq!(files, [DB, "/other/second.db"], "no journal is left");
    assert_eq!(disk.stats().operations(OpKind::Delete), 5, "two journals for each of two files, and the super-journal");
}

#[test]
fn vacuum_and_large_sorts_use_files_without_a_name() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    connection.execute_batch("PRAGMA temp_store = FILE; PRAGMA cache_size = 4").unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)
             INSERT INTO entry SELECT n, hex(zeroblob(300)) FROM c;
             CREATE TEMP TABLE sorted AS SELECT n, text FROM entry ORDER BY text, n DESC;
             DELETE FROM entry WHERE n > 10; VACUUM;",
        )
        .unwrap();
    assert_eq!(numbers(&connection).unwrap(), (1..=10).collect::<Vec<_>>());
    assert!(disk.files().iter().all(|(path, _)| path.starts_with(DB)), "{:?}", disk.files());
    let with_temporary = disk.used();
    drop(connection);
    assert!(disk.used() < with_temporary, "temporary files are freed when they are closed");
}

#[test]
fn the_time_comes_from_the_clock() {
    let disk = Disk::new(1);
    let connection = open_wal(&disk);
    let now = || connection.query_row("SELECT strftime('%F %T', 'now')", [], |row| row.get::<_, String>(0)).unwrap();
    assert!(now().starts_with("2000-01-01 00:00:"), "{}", now());
    disk.set_clock(Box::new(|| Duration::from_secs(1_767_225_600)));
    assert_eq!(now(), "2026-01-01 00:00:00");
}

#[test]
fn every_operation_costs_what_it_is_said_to_cost() {
    let disk = Disk::new(1);
    with_table(&disk, "WAL");
    let connection = open_wal(&disk);
    insert(&connection, 1).unwrap();
    disk.set_latency(disk::Latency { sync: Duration::from_millis(7), ..disk::Latency::default() });
    let cost = |n| {
        let before = disk.stats();
        disk.take_latency();
        insert(&connection, n).unwrap();
        let after = disk.stats();
        let count = |kind| u32::try_from(after.operations(kind) - before.operations(kind)).unwrap();
        (disk.take_latency(), count(OpKind::Write), count(OpKind::Sync), count(OpKind::Read))
    };
    let (time, writes, syncs, reads) = cost(2);
    assert_eq!((syncs, reads), (1, 0));
    assert_eq!(time, Duration::from_millis(7) + writes * Duration::from_micros(20));
}

#[test]
fn a_connection_may_outlive_the_handle_of_its_disk() {
    let connection = {
        let disk = Disk::new(1);
        with_table(&disk, "WAL");
        open_wal(&disk)
    };
    insert(&connection, 1).unwrap();
    assert_eq!(numbers(&connection).unwrap(), [1]);
}
