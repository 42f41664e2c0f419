//! Records of the log that are not what was written, set apart one by one; [`damage`](crate::damage)
//! has the argument.

use graph::{Millis, TxId};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

use super::audit::{self, AuditAction};
use super::record::{INTENDED, columns_of};
use super::schema::ISOLATED;
use super::{LedgerError, Moment, Record};
use crate::commit::{AbortReason, Decision, Settled};
use crate::damage::{DamagedRecord, Ending, Fate, Ruling};

const COLUMNS: &str = "incarnation, serial, key, why, fate, fields, found_ms, ending";

/// What the audit trail says about the outcome of a transaction; `None` where it says nothing.
///
/// An outcome and its entry are written in one SQLite transaction, so this is a second account of
/// it, in other bytes of the file.
pub fn audited_fate(sql: &Connection, tx: TxId) -> Result<Option<Fate>, LedgerError> {
    let query = "SELECT action FROM audit WHERE tx = ?1 AND action IN ('committed', 'aborted') ORDER BY entry LIMIT 1";
    let action: Option<String> = sql.prepare_cached(query)?.query_row([tx.to_string()], |row| row.get(0)).optional()?;
    Ok(action.map(|action| if action == "committed" { Fate::Committed } else { Fate::Aborted }))
}

/// Sets a record apart, unless it is: with what is known of it, and an entry in the audit trail.
pub fn isolate(sql: &Connection, tx: TxId, why: &str, fate: Fate, now: Moment) -> Result<(), LedgerError> {
    sql.execute_batch(ISOLATED)?;
    let (key, fields) = raw(sql, tx)?;
    let (incarnation, serial) = columns_of(tx);
    let inserted = sql
        .prepare_cached(
            "INSERT INTO isolated (incarnation, serial, key, why, fate, fields, found_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![incarnation, serial, key, why, json(&fate), json(&fields), column(now.utc)])?;
    if inserted == 1 {
        let detail = format!(r#"{{"fate":{},"why":{}}}"#, json(&fate), json(&why));
        audit::write(sql, now.utc, tx, AuditAction::Isolated, &detail)?;
    }
    Ok(())
}

/// A record that was set apart.
pub fn isolated(sql: &Connection, tx: TxId) -> Result<Option<DamagedRecord>, LedgerError> {
    if !exists(sql)? {
        return Ok(None);
    }
    let query = format!("SELECT {COLUMNS} FROM isolated WHERE incarnation = ?1 AND serial = ?2");
    let (incarnation, serial) = columns_of(tx);
    let found = sql.prepare_cached(&query)?.query_row([incarnation, serial], |row| Ok(read(row))).optional()?;
    found.transpose()
}

/// The records that were set apart and that no person has dealt with yet, oldest first.
pub fn open_isolated(sql: &Connection) -> Result<Vec<DamagedRecord>, LedgerError> {
    if !exists(sql)? {
        return Ok(Vec::new());
    }
    let query = format!("SELECT {COLUMNS} FROM isolated WHERE ending IS NULL ORDER BY incarnation, serial");
    let mut records = sql.prepare_cached(&query)?;
    let found = records.query_map([], |row| Ok(read(row)))?;
    found.map(|row| row?).collect()
}

/// Writes down how a person has dealt with a record, in the audit trail as well; false if
/// somebody has before, or there is no such record.
pub fn close_isolated(sql: &Connection, tx: TxId, ending: &Ending) -> Result<bool, LedgerError> {
    if !exists(sql)? {
        return Ok(false);
    }
    let (incarnation, serial) = columns_of(tx);
    let closed = sql
        .prepare_cached("UPDATE isolated SET ending = ?3 WHERE incarnation = ?1 AND serial = ?2 AND ending IS NULL")?
        .execute(params![incarnation, serial, json(ending)])?;
    if closed == 1 {
        let detail = format!(r#"{{"record":"{tx}","ending":{}}}"#, json(ending));
        audit::write(sql, ending.at_ms, tx, AuditAction::Resolved, &detail)?;
    }
    Ok(closed == 1)
}

/// How many of the transactions, from the first of these incarnations to the last, that the log has as
/// committed were set apart.
pub(super) fn count_committed(sql: &Connection, incarnations: [i64; 2]) -> Result<u64, LedgerError> {
    if !exists(sql)? {
        return Ok(0);
    }
    let query = "SELECT count(*) FROM log JOIN isolated USING (incarnation, serial)
                 WHERE incarnation BETWEEN ?1 AND ?2 AND log.state = 'committed'";
    let count: i64 = sql.query_row(query, incarnations, |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// What was set apart where a record failed to be read; every other failure is passed on.
pub(super) fn set_apart(sql: &Connection, error: LedgerError) -> Result<DamagedRecord, LedgerError> {
    let LedgerError::Damaged { record: Record::Tx(tx), .. } = &error else { return Err(error) };
    isolated(sql, *tx)?.ok_or(error)
}

impl DamagedRecord {
    /// The outcome of the transaction, if it is in both stores or in neither.
    pub(super) fn settled(&self) -> Result<Settled, LedgerError> {
        let decision = match (self.fate, &self.ending) {
            (Fate::GraphOnly, Some(Ending { outcome: Some(Ruling::Aborted), .. })) => {
                Decision::Aborted { reason: AbortReason::TakenBack }
            }
            (Fate::Committed, _) | (Fate::GraphOnly, Some(_)) => Decision::Committed,
            (Fate::GraphOnly, None) => return Err(LedgerError::Isolated(self.tx)),
            (Fate::Aborted, _) => {
                let reason = self.fields.get("reason").and_then(|reason| serde_json::from_str(reason).ok());
                Decision::Aborted { reason: reason.unwrap_or(AbortReason::Fenced) }
            }
        };
        Ok(Settled { tx: self.tx, decision })
    }

    /// What the log would say of the transaction if its record were sound.
    pub(super) fn state(&self) -> &'static str {
        match self.settled() {
            Ok(Settled { decision: Decision::Committed, .. }) => super::record::COMMITTED,
            Ok(_) => super::record::ABORTED,
            Err(_) => INTENDED,
        }
    }
}

/// The key and the other fields of a record as they stand, whatever they have become.
fn raw(sql: &Connection, tx: TxId) -> Result<(String, BTreeMap<String, String>), LedgerError> {
    const FIELDS: [&str; 6] = ["key", "hash", "patch", "slots", "state", "reason"];
    let (incarnation, serial) = columns_of(tx);
    let query = format!("SELECT {} FROM log WHERE incarnation = ?1 AND serial = ?2", FIELDS.join(", "));
    let mut fields = sql.prepare_cached(&query)?.query_row([incarnation, serial], |row| {
        let field =
            |(index, name): (usize, &&str)| Ok(text(row.get_ref(index)?).map(|text| ((*name).to_owned(), text)));
        FIELDS.iter().enumerate().map(field).filter_map(Result::transpose).collect::<rusqlite::Result<BTreeMap<_, _>>>()
    })?;
    Ok((fields.remove("key").unwrap_or_default(), fields))
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Whether a record was ever set apart.
fn exists(sql: &Connection) -> Result<bool, LedgerError> {
    let query = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'isolated')";
    Ok(sql.prepare_cached(query)?.query_row([], |row| row.get(0))?)
}

fn read(row: &Row<'_>) -> Result<DamagedRecord, LedgerError> {
    let number = |index| row.get::<_, i64>(index).map(i64::unsigned_abs);
    let tx = TxId { incarnation: number(0)?, serial: number(1)? };
    let (fate, fields, ending): (String, String, Option<String>) = (row.get(4)?, row.get(5)?, row.get(7)?);
    let damaged = |error: serde_json::Error| LedgerError::Damaged {
        record: Record::Table("isolated"),
        why: format!("{tx}: {error}"),
    };
    Ok(DamagedRecord {
        tx,
        key: row.get(2)?,
        why: row.get(3)?,
        fate: serde_json::from_str(&fate).map_err(damaged)?,
        fields: serde_json::from_str(&fields).map_err(damaged)?,
        found_ms: Millis(number(6)?),
        ending: ending.map(|ending| serde_json::from_str(&ending).map_err(damaged)).transpose()?,
    })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("what is found is always valid JSON")
}

fn column(millis: Millis) -> i64 {
    i64::try_from(millis.0).unwrap_or(i64::MAX)
}
