//! What a start examines before it trusts the log.

use graph::TxId;
use rusqlite::Connection;
use stores::sqlite;

use super::record::{COMMITTED, LogRecord};
use super::{LedgerError, Record, setting};

/// Reads every record of the log and of the settings and compares it with its checksum, and
/// their indexes with their tables. Takes time linear in the log, and no memory to speak of.
pub fn verify(sql: &Connection) -> Result<(), LedgerError> {
    for table in ["log", "setting"] {
        if let Some(why) = sqlite::finding(sql, &format!("integrity_check('{table}')"))? {
            return Err(LedgerError::Damaged { record: Record::Table(table), why });
        }
    }
    setting::verify(sql)?;
    LogRecord::each(sql, "", |_| Ok(()))
}

/// What the log says about a transaction, for comparing it with a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no record.
    Absent,
    /// It has no outcome yet.
    Intended,
    /// It was committed.
    Committed,
    /// It was aborted.
    Aborted,
}

/// What the log says about a transaction.
pub fn standing(sql: &Connection, tx: TxId) -> Result<Standing, LedgerError> {
    let Some(record) = LogRecord::read(sql, tx)? else { return Ok(Standing::Absent) };
    Ok(match record.outcome()? {
        None => Standing::Intended,
        Some(_) if record.state == COMMITTED => Standing::Committed,
        Some(_) => Standing::Aborted,
    })
}

/// How many transactions of an incarnation the log has as committed.
pub fn count_committed(sql: &Connection, incarnation: u64) -> Result<u64, LedgerError> {
    let incarnation = i64::try_from(incarnation).expect("incarnations fit into 63 bits");
    let count: i64 = sql.query_row(
        "SELECT count(*) FROM log WHERE incarnation = ?1 AND state = 'committed'",
        [incarnation],
        |row| row.get(0),
    )?;
    Ok(count.unsigned_abs())
}

/// Up to `limit` transactions of an incarnation that the log has as committed, after the one
/// of this serial number.
pub fn committed_after(sql: &Connection, incarnation: u64, serial: u64, limit: u64) -> Result<Vec<TxId>, LedgerError> {
    let column = |number: u64| i64::try_from(number).expect("transaction numbers fit into 63 bits");
    let mut committed = sql.prepare_cached(
        "SELECT serial FROM log WHERE incarnation = ?1 AND serial > ?2 AND state = 'committed' ORDER BY serial LIMIT ?3",
    )?;
    let serials =
        committed.query_map([column(incarnation), column(serial), column(limit)], |row| row.get::<_, i64>(0))?;
    serials.map(|serial| Ok(TxId { incarnation, serial: serial?.unsigned_abs() })).collect()
}
