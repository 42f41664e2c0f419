//! What the file as a whole is: a few values under names.

use std::fmt;
use std::str::FromStr;

use graph::{Millis, TxId};
use rusqlite::{Connection, OptionalExtension, params};

use super::checksum::Checksum;
use super::{LedgerError, Record};

const INCARNATION: &str = "incarnation";
const STORE_ID: &str = "store_id";
const VERIFIED: &str = "verified_incarnation";
const RUNNING: &str = "running_ms";
const FORGOTTEN: &str = "forgotten";
const COLLECTED: &str = "collected";
const SUSPICION: &str = "suspicion";

/// The number of times that a coordinator started on this ledger.
pub fn incarnation(sql: &Connection) -> Result<u64, LedgerError> {
    Ok(get(sql, INCARNATION)?.unwrap_or(0))
}

/// Raises and returns the number of times that a coordinator started on this ledger.
pub fn start_incarnation(sql: &Connection) -> Result<u64, LedgerError> {
    let next = incarnation(sql)? + 1;
    set(sql, INCARNATION, next)?;
    Ok(next)
}

/// Makes a copy of a ledger that of another pair of stores, whose graph was claimed as that of start
/// `incarnation`.
pub fn adopt(sql: &Connection, store_id: &str, incarnation: u64) -> Result<(), LedgerError> {
    set(sql, STORE_ID, store_id)?;
    set(sql, INCARNATION, incarnation)?;
    // Restoring has compared the markers with the log.
    set(sql, VERIFIED, incarnation - 1)
}

/// The id that this ledger shares with its graph; none before its first start.
pub fn store_id(sql: &Connection) -> Result<Option<String>, LedgerError> {
    get(sql, STORE_ID)
}

/// Gives the ledger the id that it will share with its graph.
pub fn set_store_id(sql: &Connection, id: &str) -> Result<(), LedgerError> {
    set(sql, STORE_ID, id)
}

/// The last incarnation whose markers were compared with the log; none if no start has come
/// as far as that.
pub fn verified_incarnation(sql: &Connection) -> Result<Option<u64>, LedgerError> {
    get(sql, VERIFIED)
}

/// Writes that the markers of this incarnation and all before it agree with the log.
pub fn set_verified_incarnation(sql: &Connection, incarnation: u64) -> Result<(), LedgerError> {
    set(sql, VERIFIED, incarnation)
}

/// For how long coordinators have been running on this ledger, as far as they wrote it down.
pub fn running(sql: &Connection) -> Result<Millis, LedgerError> {
    Ok(Millis(get(sql, RUNNING)?.unwrap_or(0)))
}

/// Writes down for how long coordinators have been running. Never less than before.
pub fn set_running(sql: &Connection, running: Millis) -> Result<(), LedgerError> {
    set(sql, RUNNING, running.0.max(self::running(sql)?.0))
}

/// The last transaction whose record was removed: so were all before it.
pub fn forgotten(sql: &Connection) -> Result<Option<TxId>, LedgerError> {
    get(sql, FORGOTTEN)
}

/// Writes that the records of this transaction and all before it were removed.
pub(super) fn set_forgotten(sql: &Connection, tx: TxId) -> Result<(), LedgerError> {
    set(sql, FORGOTTEN, tx)
}

/// The last transaction whose marker was removed from the graph: so were those of all before it.
pub fn collected(sql: &Connection) -> Result<Option<TxId>, LedgerError> {
    get(sql, COLLECTED)
}

/// Writes that the markers of this transaction and all before it were removed from the graph.
pub fn set_collected(sql: &Connection, tx: TxId) -> Result<(), LedgerError> {
    set(sql, COLLECTED, tx)
}

/// What a start found to be wrong with the stores, as long as nobody has seen that they are the same since.
pub fn suspicion(sql: &Connection) -> Result<Option<String>, LedgerError> {
    Ok(get(sql, SUSPICION)?.filter(|found: &String| !found.is_empty()))
}

/// Writes down what a start found; whatever one before had found is replaced.
pub fn set_suspicion(sql: &Connection, found: &str) -> Result<(), LedgerError> {
    set(sql, SUSPICION, found)
}

/// Writes that the stores were seen to be the same.
pub fn clear_suspicion(sql: &Connection) -> Result<(), LedgerError> {
    set(sql, SUSPICION, "")
}

/// Reads every setting once, whatever it means.
pub(super) fn verify(sql: &Connection) -> Result<(), LedgerError> {
    let mut settings = sql.prepare("SELECT name, value, checksum FROM setting")?;
    let mut rows = settings.query([])?;
    while let Some(row) = rows.next()? {
        let (name, value): (String, String) = (row.get(0)?, row.get(1)?);
        check(&name, &value, row.get(2)?)?;
    }
    Ok(())
}

fn get<T: FromStr<Err: fmt::Display>>(sql: &Connection, name: &'static str) -> Result<Option<T>, LedgerError> {
    let found: Option<(String, i64)> = sql
        .prepare_cached("SELECT value, checksum FROM setting WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((value, checksum)) = found else { return Ok(None) };
    check(name, &value, checksum)?;
    value.parse().map(Some).map_err(|error| damaged(name, format!("{value:?}: {error}")))
}

fn set(sql: &Connection, name: &'static str, value: impl fmt::Display) -> Result<(), LedgerError> {
    let value = value.to_string();
    sql.prepare_cached(
        "INSERT INTO setting (name, value, checksum) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
    )?
    .execute(params![name, value, checksum_of(name, &value)])?;
    Ok(())
}

fn check(name: &str, value: &str, checksum: i64) -> Result<(), LedgerError> {
    if checksum_of(name, value) == checksum { Ok(()) } else { Err(damaged(name, "its checksum does not match")) }
}

fn checksum_of(name: &str, value: &str) -> i64 {
    Checksum::of("setting").text(Some(name)).text(Some(value)).value()
}

fn damaged(name: &str, why: impl Into<String>) -> LedgerError {
    LedgerError::Damaged { record: Record::Setting(name.to_owned()), why: why.into() }
}
