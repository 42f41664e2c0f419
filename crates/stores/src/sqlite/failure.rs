//! What an SQLite error means for the transaction it struck.

use rusqlite::{Error, ErrorCode, ffi};

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
    /// It certainly left no trace, and the store is not to be used any more: the process has
    /// to end.
    #[error("not done, and the store cannot be used any more: {why}")]
    Stopped {
        /// What happened.
        why: String,
        /// Whether what the file holds is not what was written to it, so that a new process
        /// cannot use it either. Otherwise a sync failed.
        damaged: bool,
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
    ///
    /// After damage or a failed sync the store is not to be used any more. SQLite itself would
    /// go on: a sync before `COMMIT` is one of a log that is written anew, which the next
    /// transaction writes and syncs again. But the medium has failed, and nobody should have
    /// to argue like that about what it still holds.
    pub fn before_commit(error: &Error) -> SqlFailure {
        let (why, damaged) = (error.to_string(), is_damage(error));
        if damaged || is_failed_sync(error) {
            SqlFailure::Stopped { why, damaged }
        } else {
            SqlFailure::NotDone { why, full: is_full(error) }
        }
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

/// Whether an error says that a file is not what SQLite wrote, or no database at all: trying
/// again is of no use, somebody has to look.
pub fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether an error is one of the medium, of its room or of a lock: it may be gone later.
pub fn is_passing(error: &Error) -> bool {
    let passing = [ErrorCode::DiskFull, ErrorCode::SystemIoFailure, ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked];
    error.sqlite_error_code().is_some_and(|code| passing.contains(&code))
}

fn is_failed_sync(error: &Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    matches!(extended, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

fn is_full(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}
