//! What an SQLite error means for the transaction it struck.

use rusqlite::{Error, ErrorCode};

/// Why a transaction was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlFailure {
    /// It certainly left no trace.
    #[error("not done: {why}")]
    NotDone {
        /// What happened.
        why: String,
        /// Whether the disk was full: the same may succeed once there is room.
        full: bool,
    },
    /// It may be there after the next start, or not.
    ///
    /// The only way to learn which is to stop using the connection and to open the database
    /// again in a new process. Repeating the commit proves nothing: after a failed fsync
    /// the kernel may have dropped the dirty pages, so that a second fsync succeeds without
    /// having written them (Rebello et al., "Can Applications Recover from fsync Failures?",
    /// USENIX ATC 2020).
    #[error("outcome unknown: {why}")]
    Unknown {
        /// What happened.
        why: String,
    },
}

impl SqlFailure {
    /// What an error means that came before `COMMIT` was sent.
    ///
    /// Always that nothing was done: what makes a WAL transaction valid is the commit mark on
    /// its last frame (<https://sqlite.org/fileformat2.html#walformat>), which only `COMMIT`
    /// writes. That holds where SQLite rolled back by itself, as it may after `FULL`, `IOERR`,
    /// `NOMEM`, `BUSY` and `INTERRUPT` (<https://sqlite.org/lang_transaction.html>), and where
    /// it left that to us.
    pub fn before_commit(error: &Error) -> SqlFailure {
        SqlFailure::NotDone { why: error.to_string(), full: is_full(error) }
    }

    /// What an error means that `COMMIT` itself returned.
    ///
    /// Certainly not committed:
    /// - `BUSY`: the transaction stays open (<https://sqlite.org/lang_transaction.html>) and
    ///   the caller rolls it back.
    /// - `CONSTRAINT`: a deferred foreign key or a commit hook, both asked before anything is
    ///   written.
    /// - `FULL`: only a write to the log returns it, so the commit frame, which is the last to
    ///   be written, is incomplete and fails its checksum. On a VFS that does not claim
    ///   `SQLITE_IOCAP_POWERSAFE_OVERWRITE` the log is padded behind the commit frame
    ///   (`walFrames` in SQLite's `wal.c`), and this would not be so.
    ///
    /// Everything else is unknown. `IOERR` from the sync comes when the commit frame is
    /// written and only its durability is in doubt: SQLite rolls back in memory, and a
    /// recovery that reads the log may commit it after all. `NOMEM` can come after the sync,
    /// when the log's index grows.
    pub fn at_commit(error: &Error) -> SqlFailure {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation | ErrorCode::DiskFull) => {
                SqlFailure::before_commit(error)
            }
            _ => SqlFailure::Unknown { why: error.to_string() },
        }
    }

    /// Whether the transaction may have been committed.
    pub fn is_unknown(&self) -> bool {
        matches!(self, SqlFailure::Unknown { .. })
    }
}

fn is_full(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}
