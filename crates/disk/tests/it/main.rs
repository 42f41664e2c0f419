//! Real SQLite on the simulated disk.

mod crash;
mod fault;
mod sqlite;
mod torture;

use disk::Disk;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

const DB: &str = "/data/ledger.db";
const WAL: &str = "/data/ledger.db-wal";
const JOURNAL: &str = "/data/ledger.db-journal";

/// A connection that does not wait for locks.
fn open(disk: &Disk, journal: &str, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags_and_vfs(DB, OpenFlags::default(), disk.vfs_name())?;
    connection.busy_timeout(std::time::Duration::ZERO)?;
    let mode: String = connection.query_row(&format!("PRAGMA journal_mode = {journal}"), [], |row| row.get(0))?;
    assert_eq!(mode, journal.to_lowercase());
    connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
    Ok(connection)
}

/// A connection as production opens it.
fn open_wal(disk: &Disk) -> Connection {
    open(disk, "WAL", "FULL").unwrap()
}

/// A database with an empty table, all of it durable.
fn with_table(disk: &Disk, journal: &str) {
    let connection = open(disk, journal, "EXTRA").unwrap();
    connection.execute_batch("CREATE TABLE entry (n INTEGER PRIMARY KEY, text TEXT)").unwrap();
}

fn insert(connection: &Connection, n: i64) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO entry VALUES (?, hex(zeroblob(200)))", [n]).map(|_| ())
}

fn numbers(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    connection.prepare("SELECT n FROM entry ORDER BY n")?.query_map([], |row| row.get(0))?.collect()
}

fn integrity(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))
}

/// The primary code of a failure.
fn code_of<T: std::fmt::Debug>(result: rusqlite::Result<T>) -> ErrorCode {
    match result {
        Err(Error::SqliteFailure(error, _)) => error.code,
        other => panic!("expected a failure of SQLite, got {other:?}"),
    }
}

fn has_file(disk: &Disk, path: &str) -> bool {
    disk.files().iter().any(|(name, _)| name == path)
}
