//! Differences between the stores that a person has to decide about.

use graph::{Millis, TxId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::{self, AuditAction};
use super::schema::CASES;
use super::{LedgerError, Record};
use crate::reconcile::{Case, Ending, Evidence, Reason};

const COLUMNS: &str = "number, evidence, reason, found_ms, ending";

/// Opens a case, unless one is open about the same subject: then that one says what is found
/// now. Returns its number.
pub fn open_case(sql: &Connection, evidence: &Evidence, reason: &Reason, utc: Millis) -> Result<u64, LedgerError> {
    sql.execute_batch(CASES)?;
    let (subject, evidence, reason) = (json(&evidence.subject), json(evidence), json(reason));
    // Not an upsert: that would burn a number each time.
    let open: Option<i64> = sql
        .prepare_cached(
            "UPDATE operator_case SET evidence = ?2, reason = ?3 WHERE subject = ?1 AND ending IS NULL RETURNING number",
        )?
        .query_row(params![subject, evidence, reason], |row| row.get(0))
        .optional()?;
    let number = match open {
        Some(number) => number,
        None => {
            sql.prepare_cached(
                "INSERT INTO operator_case (subject, evidence, reason, found_ms) VALUES (?1, ?2, ?3, ?4)
                 RETURNING number",
            )?
            .query_row(params![subject, evidence, reason, i64::try_from(utc.0).unwrap_or(i64::MAX)], |row| row.get(0))?
        }
    };
    Ok(number.unsigned_abs())
}

/// A case by its number.
pub fn case(sql: &Connection, number: u64) -> Result<Option<Case>, LedgerError> {
    let Ok(number) = i64::try_from(number) else { return Ok(None) };
    if !has_cases(sql)? {
        return Ok(None);
    }
    let query = format!("SELECT {COLUMNS} FROM operator_case WHERE number = ?1");
    let found = sql.prepare_cached(&query)?.query_row([number], |row| Ok(read(row))).optional()?;
    found.transpose()
}

/// Up to `limit` open cases after the one of this number, oldest first.
pub fn open_cases(sql: &Connection, after: u64, limit: u32) -> Result<Vec<Case>, LedgerError> {
    if !has_cases(sql)? {
        return Ok(Vec::new());
    }
    let query =
        format!("SELECT {COLUMNS} FROM operator_case WHERE number > ?1 AND ending IS NULL ORDER BY number LIMIT ?2");
    let mut cases = sql.prepare_cached(&query)?;
    let found = cases.query_map(params![i64::try_from(after).unwrap_or(i64::MAX), limit], |row| Ok(read(row)))?;
    found.map(|row| row?).collect()
}

/// How many cases are open.
pub fn count_open_cases(sql: &Connection) -> Result<u64, LedgerError> {
    if !has_cases(sql)? {
        return Ok(0);
    }
    let count: i64 = sql
        .prepare_cached("SELECT count(*) FROM operator_case WHERE ending IS NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Closes a case, unless it is closed; who decided, and why, is an entry in the audit trail as well: about the
/// transaction that repaired the stores, if it took one.
pub fn close_case(
    sql: &Connection,
    number: u64,
    ending: &Ending,
    tx: Option<TxId>,
    utc: Millis,
) -> Result<bool, LedgerError> {
    let column = i64::try_from(number).unwrap_or(i64::MAX);
    let closed = sql
        .prepare_cached("UPDATE operator_case SET ending = ?2 WHERE number = ?1 AND ending IS NULL")?
        .execute(params![column, json(ending)])?;
    if closed == 1 {
        audit::write(
            sql,
            utc,
            tx,
            AuditAction::Resolved,
            &format!(r#"{{"case":{number},"ending":{}}}"#, json(ending)),
        )?;
    }
    Ok(closed == 1)
}

/// Whether there ever was a case.
fn has_cases(sql: &Connection) -> Result<bool, LedgerError> {
    let query = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'operator_case')";
    Ok(sql.prepare_cached(query)?.query_row([], |row| row.get(0))?)
}

fn read(row: &Row<'_>) -> Result<Case, LedgerError> {
    let number: i64 = row.get(0)?;
    let (evidence, reason, found_ms): (String, String, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let ending: Option<String> = row.get(4)?;
    let damaged = |error: serde_json::Error| LedgerError::Damaged {
        record: Record::Table("operator_case"),
        why: format!("case {number}: {error}"),
    };
    Ok(Case {
        number: number.unsigned_abs(),
        evidence: serde_json::from_str(&evidence).map_err(damaged)?,
        reason: serde_json::from_str(&reason).map_err(damaged)?,
        found_ms: Millis(found_ms.unsigned_abs()),
        ending: ending.map(|ending| serde_json::from_str(&ending).map_err(damaged)).transpose()?,
    })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("what is found is always valid JSON")
}
