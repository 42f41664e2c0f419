//! Opening SQLite so that a committed transaction survives a power cut.
//!
//! SQLite's defaults do not promise that: `synchronous=NORMAL` in WAL mode may lose the
//! last transactions, and a rollback journal's deletion is not synced to its directory
//! unless `synchronous=EXTRA`. `journal_mode=WAL` with `synchronous=FULL` syncs the log
//! at each commit, see <https://sqlite.org/pragma.html#pragma_synchronous>. A pragma that
//! cannot be honoured is ignored without a word, so each one is read back.
//!
//! [`SqlFailure`] says what an error means for the transaction it struck.

mod again;
mod failure;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use env::Env;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

pub use again::look_again;
pub use failure::{SqlFailure, is_damage, is_passing};

/// Whose database a file is, and how its tables came to be.
#[derive(Debug)]
pub struct Schema {
    /// Written into the file's header and compared at each start, so that one store's file
    /// is not taken for another's. Not zero, which is what a new file has.
    pub application_id: i32,
    /// Scripts in the order in which they were ever released; only ever appended to. The
    /// file's `user_version` counts how many it has been through.
    pub migrations: &'static [&'static str],
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that writes: creates the file, checks it as told, and migrates it.
    Writer(Check),
    /// One that only reads what a writer has opened before.
    Reader,
}

/// How much of the file to examine before trusting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing beyond what SQLite reads anyway.
    Skip,
    /// All pages, but not whether indexes agree with their tables: linear in the size.
    Quick,
    /// Indexes too: takes several times as long.
    Full,
}

/// Why a database was not opened. Starting again without changing something does not help,
/// except after [`Sqlite`](OpenError::Sqlite) and [`Log`](OpenError::Log).
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite or the file system refused.
    #[error("cannot {action}: {source}")]
    Sqlite {
        /// What was attempted.
        action: &'static str,
        /// The error.
        source: rusqlite::Error,
    },
    /// The write-ahead log of an earlier process could not be made durable.
    #[error("cannot make {log} durable: {source}", log = .log.display())]
    Log {
        /// The log.
        log: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A setting that durability or integrity rests on does not hold; the file system may
    /// lack what it takes (WAL needs shared memory, for example).
    #[error("setting {setting} is {actual:?} and not {expected:?}: refusing to trust this database")]
    Setting {
        /// The pragma or configuration option.
        setting: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What SQLite says it is.
        actual: String,
    },
    /// The check found damage: restore a backup.
    #[error("the database is damaged: {finding}")]
    Damaged {
        /// The first finding.
        finding: String,
    },
    /// The file belongs to somebody else.
    #[error("the file has application id {actual:#x}, expected {expected:#x}: it is another program's database")]
    Foreign {
        /// Ours.
        expected: i32,
        /// The file's.
        actual: i32,
    },
    /// The file was written by a later release; only that one can read it.
    #[error("the database has schema version {found}, this program knows up to {known}")]
    TooNew {
        /// The file's version.
        found: usize,
        /// How many migrations we have.
        known: usize,
    },
    /// A reader came before the writer that migrates.
    #[error("the database has schema version {found}, expected {known}: no writer has opened it yet")]
    NotMigrated {
        /// The file's version.
        found: usize,
        /// How many migrations we have.
        known: usize,
    },
}

impl OpenError {
    /// Whether the file is not what it has to be: trying again is of no use, somebody has to
    /// look.
    pub fn is_damage(&self) -> bool {
        self.looks_damaged() || matches!(self, OpenError::Foreign { .. })
    }

    /// Whether what was read is not what SQLite writes; see [`look_again`].
    pub fn looks_damaged(&self) -> bool {
        match self {
            OpenError::Sqlite { source, .. } => is_damage(source),
            OpenError::Damaged { .. } => true,
            OpenError::Log { .. }
            | OpenError::Setting { .. }
            | OpenError::Foreign { .. }
            | OpenError::TooNew { .. }
            | OpenError::NotMigrated { .. } => false,
        }
    }

    /// Whether the same may succeed later: the disk is full, fails, or is locked.
    pub fn is_passing(&self) -> bool {
        match self {
            OpenError::Sqlite { source, .. } => is_passing(source),
            OpenError::Log { .. } => true,
            _ => false,
        }
    }

    fn sqlite(action: &'static str) -> impl FnOnce(rusqlite::Error) -> OpenError {
        move |source| OpenError::Sqlite { action, source }
    }
}

/// A pragma, how it is set, and how it then reads.
struct Setting {
    name: &'static str,
    value: &'static str,
    reads: &'static str,
}

/// What every connection has to have.
const SETTINGS: &[Setting] = &[
    // Milliseconds. A data folder has one process, so nobody should hold a lock for long
    // but a person with a shell. Waiting goes through the VFS, so a simulated one decides
    // how long a second takes.
    Setting { name: "busy_timeout", value: "1000", reads: "1000" },
    Setting { name: "synchronous", value: "FULL", reads: "2" },
    // Without these two an fsync on macOS reaches the drive's cache and no further.
    Setting { name: "fullfsync", value: "ON", reads: "1" },
    Setting { name: "checkpoint_fullfsync", value: "ON", reads: "1" },
    Setting { name: "foreign_keys", value: "ON", reads: "1" },
    Setting { name: "trusted_schema", value: "OFF", reads: "0" },
    // Finds a damaged page before its content is believed.
    Setting { name: "cell_size_check", value: "ON", reads: "1" },
    // Temporary files have random names and no durability: keep them out of the disk.
    Setting { name: "temp_store", value: "MEMORY", reads: "2" },
    // Not EXCLUSIVE: readers have connections of their own. That no second process is
    // there is the business of whoever locks the data folder.
    Setting { name: "locking_mode", value: "NORMAL", reads: "normal" },
];

const QUERY_ONLY: Setting = Setting { name: "query_only", value: "ON", reads: "1" };

/// Only a writer sets it: it is a property of the file and changing it takes every lock.
const JOURNAL_MODE: Setting = Setting { name: "journal_mode", value: "WAL", reads: "wal" };

/// Configuration options, and what each has to be.
const OPTIONS: &[(&str, DbConfig, bool)] = &[
    // Nobody may turn the journal off or write to the schema table later on.
    ("defensive", DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    // "x" is a column or an error, never a string.
    ("dqs_dml", DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    ("dqs_ddl", DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
];

/// Opens the database at `path`. Blocks: call it inside [`Env::blocking`].
///
/// The connection goes through the environment's VFS. That VFS has to claim
/// `SQLITE_IOCAP_POWERSAFE_OVERWRITE`, as SQLite's own does by default; see
/// [`SqlFailure::at_commit`] for what rests on it.
///
/// # Errors
///
/// See [`OpenError`]; nothing has been changed in a file that is refused, except that a
/// writer may have created an empty one or switched it to WAL.
pub fn open(env: &Env, path: &Path, role: Role, schema: &Schema) -> Result<Connection, OpenError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if matches!(role, Role::Writer(_)) {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    // Before SQLite reads it and builds on what it reads, see `log_of`.
    let log = log_of(path);
    if matches!(role, Role::Writer(_)) {
        env.persist(&log).map_err(|source| OpenError::Log { log: log.clone(), source })?;
    }
    let mut connection = match env.vfs() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    }
    .map_err(OpenError::sqlite("open the file"))?;

    configure(&connection, role)?;
    verify(&connection, role)?;
    match role {
        Role::Writer(check) => {
            examine(&connection, check)?;
            migrate(&mut connection, schema)?;
            // SQLite may have made it just now, and does not look whether its name was synced.
            env.persist(&log).map_err(|source| OpenError::Log { log, source })?;
        }
        Role::Reader => {
            let found = identify(&connection, schema)?;
            let known = schema.migrations.len();
            if found < known {
                return Err(OpenError::NotMigrated { found, known });
            }
        }
    }
    Ok(connection)
}

/// The write-ahead log of a database.
///
/// It is what a commit syncs. When that fails, the process that asked has to end; but the next one finds the whole log
/// in the operating system's cache, hole or no hole, appends to it, and syncs what it appended. A power cut then shows
/// the hole, and SQLite takes everything behind it for a tail that was never written: commits that were acknowledged in
/// between are gone. So a log is made durable before anybody builds on it.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn settings(role: Role) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(match role {
        Role::Writer(_) => None,
        Role::Reader => Some(&QUERY_ONLY),
    })
}

fn configure(connection: &Connection, role: Role) -> Result<(), OpenError> {
    let set = |setting: &Setting| {
        connection
            .execute_batch(&format!("PRAGMA {} = {}", setting.name, setting.value))
            .map_err(OpenError::sqlite("configure the connection"))
    };
    // Synchronous comes before the journal mode, so that the very first write is synced.
    settings(role).try_for_each(&set)?;
    if matches!(role, Role::Writer(_)) {
        set(&JOURNAL_MODE)?;
    }
    for &(_, option, value) in OPTIONS {
        connection.set_db_config(option, value).map_err(OpenError::sqlite("configure the connection"))?;
    }
    Ok(())
}

/// Reads back everything that [`configure`] has set.
fn verify(connection: &Connection, role: Role) -> Result<(), OpenError> {
    for setting in settings(role).chain([&JOURNAL_MODE]) {
        let actual = pragma(connection, setting.name)?;
        if actual != setting.reads {
            return Err(OpenError::Setting { setting: setting.name, expected: setting.reads, actual });
        }
    }
    for &(name, option, expected) in OPTIONS {
        let actual = connection.db_config(option).map_err(OpenError::sqlite("read a setting back"))?;
        if actual != expected {
            let expected = if expected { "true" } else { "false" };
            return Err(OpenError::Setting { setting: name, expected, actual: actual.to_string() });
        }
    }
    Ok(())
}

/// The value of a pragma as text; empty when it has none.
fn pragma(connection: &Connection, name: &str) -> Result<String, OpenError> {
    let value = connection.query_row(&format!("PRAGMA {name}"), (), |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Integer(int) => int.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        })
    });
    match value {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(String::new()),
        value => value.map_err(OpenError::sqlite("read a setting back")),
    }
}

fn examine(connection: &Connection, check: Check) -> Result<(), OpenError> {
    let name = match check {
        Check::Skip => return Ok(()),
        Check::Quick => "quick_check(1)",
        Check::Full => "integrity_check(1)",
    };
    match finding(connection, name).map_err(OpenError::sqlite("check the database for damage"))? {
        None => Ok(()),
        Some(finding) => Err(OpenError::Damaged { finding }),
    }
}

/// The first thing that `quick_check` or `integrity_check` finds wrong; the pragma is given with its argument.
///
/// Where a page cannot be read, SQLite calls that a finding as well and puts the code of the error into its text. A page
/// that could not be read is not a damaged one: it may be read next time.
///
/// # Errors
///
/// What kept SQLite from looking.
pub fn finding(connection: &Connection, check: &str) -> rusqlite::Result<Option<String>> {
    let finding: String = connection.query_row(&format!("PRAGMA {check}"), (), |row| row.get(0))?;
    if finding == "ok" {
        return Ok(None);
    }
    let code = finding.split("error code=").nth(1).and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    match code.map(|code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(finding.clone()))) {
        Some(error) if is_passing(&error) => Err(error),
        _ => Ok(Some(finding)),
    }
}

/// The schema version of the file, once it is known to be ours or new.
fn identify(connection: &Connection, schema: &Schema) -> Result<usize, OpenError> {
    let int = |sql: &str| {
        connection.query_row(sql, (), |row| row.get::<_, i32>(0)).map_err(OpenError::sqlite("read the schema version"))
    };
    let actual = int("PRAGMA application_id")?;
    let found = int("PRAGMA user_version")?;
    let is_new = actual == 0 && found == 0 && int("SELECT count(*) FROM sqlite_schema")? == 0;
    if actual != schema.application_id && !is_new {
        return Err(OpenError::Foreign { expected: schema.application_id, actual });
    }
    // We never write a negative version.
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    let known = schema.migrations.len();
    if found > known {
        return Err(OpenError::TooNew { found, known });
    }
    Ok(found)
}

/// Brings the file to the newest version, in one transaction.
fn migrate(connection: &mut Connection, schema: &Schema) -> Result<(), OpenError> {
    assert_ne!(schema.application_id, 0, "an application id of zero does not tell our file from any other");
    let found = identify(connection, schema)?;
    let missing = &schema.migrations[found..];
    if missing.is_empty() {
        return Ok(());
    }
    let failed = || OpenError::sqlite("migrate the schema");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed())?;
    for script in missing {
        transaction.execute_batch(script).map_err(failed())?;
    }
    transaction
        .execute_batch(&format!(
            "PRAGMA application_id = {}; PRAGMA user_version = {};",
            schema.application_id,
            schema.migrations.len()
        ))
        .map_err(failed())?;
    transaction.commit().map_err(failed())
}
