//! What a start examines before it trusts the log.

use std::ops::RangeInclusive;

use graph::TxId;
use rusqlite::Connection;
use stores::sqlite;

use super::isolated::{self, isolated};
use super::record::{COMMITTED, LogRecord};
use super::{LedgerError, Record, setting};
use crate::damage::ISOLATED_MAX;

/// A record of the log that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsound {
    /// Its transaction. Names and keys stand in indexes too, which were compared.
    pub tx: TxId,
    /// What is wrong with it.
    pub why: String,
}

/// Reads every record of the log and of the settings and compares it with its checksum, and
/// their indexes with their tables. Takes time linear in the log, and no memory to speak of.
/// Returns the records of the log that are damaged each by itself.
///
/// # Errors
///
/// When the file as a whole is damaged, or more than [`ISOLATED_MAX`] records are that were not
/// set apart before.
pub fn verify(sql: &Connection) -> Result<Vec<Unsound>, LedgerError> {
    for table in ["log", "setting"] {
        if let Some(why) = sqlite::finding(sql, &format!("integrity_check('{table}')"))? {
            return Err(LedgerError::Damaged { record: Record::Table(table), why });
        }
    }
    setting::verify(sql)?;
    let last = setting::incarnation(sql)?;
    let mut unsound = Vec::new();
    LogRecord::each(sql, "", |record| {
        let Err(error) = record else { return Ok(()) };
        let LedgerError::Damaged { record: Record::Tx(tx), why } = error else { return Err(error) };
        if tx.incarnation > last {
            let why = format!("it has a record of {tx}, and start {last} was the last");
            return Err(LedgerError::Damaged { record: Record::Table("log"), why });
        }
        if isolated(sql, tx)?.is_none() {
            unsound.push(Unsound { tx, why });
        }
        if unsound.len() > ISOLATED_MAX {
            let why = format!("more than {ISOLATED_MAX} of its records are damaged");
            return Err(LedgerError::Damaged { record: Record::Table("log"), why });
        }
        Ok(())
    })?;
    Ok(unsound)
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
    /// Its record is damaged and was set apart.
    Isolated,
}

/// What the log says about a transaction.
pub fn standing(sql: &Connection, tx: TxId) -> Result<Standing, LedgerError> {
    let record = match LogRecord::read(sql, tx) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(Standing::Absent),
        Err(error) => return isolated::set_apart(sql, error).map(|_| Standing::Isolated),
    };
    Ok(match record.outcome()? {
        None => Standing::Intended,
        Some(_) if record.state == COMMITTED => Standing::Committed,
        Some(_) => Standing::Aborted,
    })
}

/// How many transactions of these incarnations the log has as committed, those whose records were
/// set apart left out.
pub fn count_committed(sql: &Connection, incarnations: RangeInclusive<u64>) -> Result<u64, LedgerError> {
    let column = |incarnation: &u64| i64::try_from(*incarnation).expect("incarnations fit into 63 bits");
    let range = [column(incarnations.start()), column(incarnations.end())];
    let query = "SELECT count(*) FROM log WHERE incarnation BETWEEN ?1 AND ?2 AND state = 'committed'";
    let count: i64 = sql.query_row(query, range, |row| row.get(0))?;
    Ok(count.unsigned_abs() - isolated::count_committed(sql, range)?)
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
