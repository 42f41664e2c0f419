//! One record of the log, as it is kept.

use graph::{Millis, TxId};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::Checksum;
use super::{LedgerError, Record};
use crate::commit::{Decision, Settled};

pub(super) const INTENDED: &str = "intended";
pub(super) const COMMITTED: &str = "committed";
pub(super) const ABORTED: &str = "aborted";

/// A record of the log. Whoever has one knows that its checksum matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogRecord {
    pub tx: TxId,
    pub key: String,
    pub hash: String,
    pub patch: String,
    pub slots: String,
    pub state: String,
    pub reason: Option<String>,
    /// When it was settled, in running time; see [`Moment`](super::Moment).
    pub settled: Option<Millis>,
}

/// What [`LogRecord::checked`] takes.
const COLUMNS: &str = "incarnation, serial, key, hash, patch, slots, state, reason, settled_ms, checksum";

impl LogRecord {
    fn checksum(&self) -> i64 {
        Checksum::of("log")
            .number(Some(self.tx.incarnation))
            .number(Some(self.tx.serial))
            .text(Some(&self.key))
            .text(Some(&self.hash))
            .text(Some(&self.patch))
            .text(Some(&self.slots))
            .text(Some(&self.state))
            .text(self.reason.as_deref())
            .number(self.settled.map(|settled| settled.0))
            .value()
    }

    /// Reads a row of [`COLUMNS`]; fails unless it is what was written.
    fn checked(row: &Row<'_>) -> Result<LogRecord, LedgerError> {
        let tx = TxId { incarnation: unsigned(row, 0)?, serial: unsigned(row, 1)? };
        let read = || -> rusqlite::Result<(LogRecord, i64)> {
            let record = LogRecord {
                tx,
                key: row.get(2)?,
                hash: row.get(3)?,
                patch: row.get(4)?,
                slots: row.get(5)?,
                state: row.get(6)?,
                reason: row.get(7)?,
                settled: row.get::<_, Option<i64>>(8)?.map(|settled| Millis(settled.unsigned_abs())),
            };
            Ok((record, row.get(9)?))
        };
        let (record, checksum) = read().map_err(|error| unreadable(tx, error))?;
        if record.checksum() != checksum {
            return Err(damaged(tx, "its checksum does not match"));
        }
        Ok(record)
    }

    pub(super) fn read(sql: &Connection, tx: TxId) -> Result<Option<LogRecord>, LedgerError> {
        let (incarnation, serial) = columns_of(tx);
        let query = format!("SELECT {COLUMNS} FROM log WHERE incarnation = ?1 AND serial = ?2");
        first(sql, &query, params![incarnation, serial])
    }

    pub(super) fn by_key(sql: &Connection, key: &str) -> Result<Option<LogRecord>, LedgerError> {
        let found = first(sql, &format!("SELECT {COLUMNS} FROM log WHERE key = ?1"), params![key])?;
        match found {
            // The index led to a record of another key.
            Some(record) if record.key != key => Err(damaged(record.tx, "the index of keys does not fit it")),
            found => Ok(found),
        }
    }

    /// The first record of the log, in the order of transactions.
    pub(super) fn oldest(sql: &Connection) -> Result<Option<LogRecord>, LedgerError> {
        first(sql, &format!("SELECT {COLUMNS} FROM log ORDER BY incarnation, serial LIMIT 1"), [])
    }

    /// Shows every record of a part of the log, in the order of transactions, one at a time; one
    /// that is not what was written as the error that it is.
    pub(super) fn each(
        sql: &Connection,
        part: &str,
        mut show: impl FnMut(Result<LogRecord, LedgerError>) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut log = sql.prepare(&format!("SELECT {COLUMNS} FROM log {part} ORDER BY incarnation, serial"))?;
        let mut rows = log.query([])?;
        while let Some(row) = rows.next()? {
            show(LogRecord::checked(row))?;
        }
        Ok(())
    }

    pub(super) fn insert(&self, sql: &Connection) -> Result<(), LedgerError> {
        let (incarnation, serial) = columns_of(self.tx);
        sql.prepare_cached(
            "INSERT INTO log (incarnation, serial, key, hash, patch, slots, state, reason, settled_ms, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            incarnation,
            serial,
            self.key,
            self.hash,
            self.patch,
            self.slots,
            self.state,
            self.reason,
            self.settled.map(column),
            self.checksum(),
        ])?;
        Ok(())
    }

    /// Writes what the outcome changes.
    pub(super) fn update(&self, sql: &Connection) -> Result<(), LedgerError> {
        let (incarnation, serial) = columns_of(self.tx);
        sql.prepare_cached(
            "UPDATE log SET state = ?3, reason = ?4, settled_ms = ?5, checksum = ?6 WHERE incarnation = ?1 AND serial = ?2",
        )?
        .execute(params![
            incarnation,
            serial,
            self.state,
            self.reason,
            self.settled.map(column),
            self.checksum()
        ])?;
        Ok(())
    }

    /// The outcome, if there is one.
    pub(super) fn outcome(&self) -> Result<Option<Settled>, LedgerError> {
        let decision = match (self.state.as_str(), &self.reason) {
            (INTENDED, _) => return Ok(None),
            (COMMITTED, _) => Decision::Committed,
            (_, None) => return Err(damaged(self.tx, "aborted without a reason")),
            (_, Some(reason)) => Decision::Aborted {
                reason: serde_json::from_str(reason).map_err(|error| damaged(self.tx, error.to_string()))?,
            },
        };
        Ok(Some(Settled { tx: self.tx, decision }))
    }
}

/// Removes the record of a transaction, whatever it has become.
pub(super) fn delete(sql: &Connection, tx: TxId) -> Result<(), LedgerError> {
    let (incarnation, serial) = columns_of(tx);
    sql.prepare_cached("DELETE FROM log WHERE incarnation = ?1 AND serial = ?2")?
        .execute(params![incarnation, serial])?;
    Ok(())
}

pub(super) fn damaged(tx: TxId, why: impl Into<String>) -> LedgerError {
    LedgerError::Damaged { record: Record::Tx(tx), why: why.into() }
}

/// The columns that name a transaction.
pub(super) fn columns_of(tx: TxId) -> (i64, i64) {
    let column = |number: u64| i64::try_from(number).expect("transaction numbers fit into 63 bits");
    (column(tx.incarnation), column(tx.serial))
}

fn column(millis: Millis) -> i64 {
    i64::try_from(millis.0).expect("no process runs for 300 million years")
}

fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(i64::unsigned_abs)
}

/// A column that is not of the type it was written with.
fn unreadable(tx: TxId, error: rusqlite::Error) -> LedgerError {
    match error {
        rusqlite::Error::InvalidColumnType(_, name, found) => damaged(tx, format!("its {name} is {}", kind(found))),
        rusqlite::Error::Utf8Error(..) | rusqlite::Error::FromSqlConversionFailure(..) => {
            damaged(tx, format!("a field is not readable: {error}"))
        }
        error => LedgerError::Sqlite(error),
    }
}

fn kind(found: Type) -> &'static str {
    match found {
        Type::Null => "missing",
        Type::Integer => "a number",
        Type::Real => "a fraction",
        Type::Text => "a text",
        Type::Blob => "binary",
    }
}

fn first(sql: &Connection, query: &str, params: impl rusqlite::Params) -> Result<Option<LogRecord>, LedgerError> {
    let checked = sql.prepare_cached(query)?.query_row(params, |row| Ok(LogRecord::checked(row))).optional()?;
    checked.transpose()
}
