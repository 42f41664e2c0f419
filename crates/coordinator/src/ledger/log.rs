//! The log: intents, outcomes, and what a start reads from it.

use graph::{Millis, TxId};
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{apply, apply_decided, slots};
use super::{EventSlot, LedgerError, Record};
use crate::commit::{AbortReason, ContentHash, Decision, IdempotencyKey, Intent, Report, Settled};

const INTENDED: &str = "intended";
const COMMITTED: &str = "committed";
const ABORTED: &str = "aborted";
/// In the audit trail only: the decision stood against rows that somebody else had changed.
const OVERRODE: &str = "overrode";

/// Writes an intent, or the abort of a transaction whose operations do not fit, or finds
/// out that the key was used before.
pub fn intend(sql: &Connection, intent: &Intent, now: Millis) -> Result<Report, LedgerError> {
    if let Some((tx, hash)) = by_key(sql, &intent.key)? {
        if hash != intent.hash {
            return Ok(Report::KeyReused(tx));
        }
        let settled = look_up(sql, tx)?;
        return Ok(Report::Known(settled.unwrap_or_else(|| panic!("{tx} is open and its key was submitted past it"))));
    }
    let slots = slots(sql, &intent.patch)?;
    match fits(sql, intent, &slots)? {
        Ok(()) => {
            insert(sql, intent, &slots, None)?;
            audit(sql, now, intent.tx, INTENDED, "")?;
            Ok(Report::Intended)
        }
        Err(refusal) => {
            let reason = AbortReason::Refused(refusal.clone());
            insert(sql, intent, &[], Some(&reason))?;
            audit(sql, now, intent.tx, ABORTED, &reason.to_string())?;
            Ok(Report::Refused(refusal))
        }
    }
}

/// Writes the outcome of an intended transaction, with its rows and events if it committed.
pub fn finish(sql: &Connection, tx: TxId, decision: &Decision, now: Millis) -> Result<Report, LedgerError> {
    let (intent, slots) = intended(sql, tx)?;
    match decision {
        Decision::Committed => {
            for refusal in apply_decided(sql, tx, &intent.patch, &slots)? {
                audit(sql, now, tx, OVERRODE, &refusal.to_string())?;
            }
            append(sql, &intent, &slots)?;
            set_outcome(sql, tx, COMMITTED, None)?;
            audit(sql, now, tx, COMMITTED, "")?;
        }
        Decision::Aborted { reason } => {
            set_outcome(sql, tx, ABORTED, Some(reason))?;
            audit(sql, now, tx, ABORTED, &reason.to_string())?;
        }
    }
    Ok(Report::Finished)
}

/// The outcome of a transaction; `None` if it has none or never began.
pub fn look_up(sql: &Connection, tx: TxId) -> Result<Option<Settled>, LedgerError> {
    let found: Option<(String, Option<String>)> = sql
        .prepare_cached("SELECT state, reason FROM log WHERE incarnation = ?1 AND serial = ?2")?
        .query_row(key_of(tx), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let damaged = |why: String| LedgerError::Damaged { record: Record::Tx(tx), why };
    let decision = match found {
        None => return Ok(None),
        Some((state, _)) if state == INTENDED => return Ok(None),
        Some((state, _)) if state == COMMITTED => Decision::Committed,
        Some((_, reason)) => {
            let reason = reason.ok_or_else(|| damaged("aborted without a reason".to_owned()))?;
            Decision::Aborted { reason: serde_json::from_str(&reason).map_err(|error| damaged(error.to_string()))? }
        }
    };
    Ok(Some(Settled { tx, decision }))
}

/// The intents without an outcome, oldest first.
pub fn unresolved(sql: &Connection) -> Result<Vec<Intent>, LedgerError> {
    let mut statement = sql
        .prepare_cached("SELECT incarnation, serial FROM log WHERE state = 'intended' ORDER BY incarnation, serial")?;
    let ids = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let mut intents = Vec::new();
    for id in ids {
        let (incarnation, serial) = id?;
        let tx = TxId { incarnation: incarnation.unsigned_abs(), serial: serial.unsigned_abs() };
        intents.push(intended(sql, tx)?.0);
    }
    Ok(intents)
}

/// Raises and returns the number of times that a coordinator started on this ledger.
pub fn start_incarnation(sql: &Connection) -> Result<u64, LedgerError> {
    const NAME: &str = "incarnation";
    let last: u64 = match setting(sql, NAME)? {
        None => 0,
        Some(text) => text.parse().map_err(|_| LedgerError::Damaged {
            record: Record::Setting(NAME),
            why: format!("{text:?} is not a number"),
        })?,
    };
    sql.execute(
        "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![NAME, (last + 1).to_string()],
    )?;
    Ok(last + 1)
}

/// The id that this ledger shares with its graph: `new` if it has none yet.
pub fn store_id(sql: &Connection, new: &str) -> Result<String, LedgerError> {
    const NAME: &str = "store_id";
    if let Some(id) = setting(sql, NAME)? {
        return Ok(id);
    }
    sql.execute("INSERT INTO setting (name, value) VALUES (?1, ?2)", params![NAME, new])?;
    Ok(new.to_owned())
}

fn setting(sql: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    sql.query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0)).optional()
}

/// Runs the operations and undoes them: what *finish* will do, tried out.
fn fits(sql: &Connection, intent: &Intent, slots: &[EventSlot]) -> Result<Result<(), graph::Refusal>, LedgerError> {
    sql.execute_batch("SAVEPOINT trial")?;
    let result = apply(sql, intent.tx, &intent.patch, slots);
    sql.execute_batch("ROLLBACK TO trial; RELEASE trial")?;
    result
}

fn insert(
    sql: &Connection,
    intent: &Intent,
    slots: &[EventSlot],
    aborted: Option<&AbortReason>,
) -> Result<(), LedgerError> {
    let (incarnation, serial) = key_of(intent.tx);
    sql.prepare_cached(
        "INSERT INTO log (incarnation, serial, key, hash, patch, slots, state, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        incarnation,
        serial,
        intent.key.0,
        intent.hash.0,
        json(&intent.patch),
        json(&slots),
        if aborted.is_some() { ABORTED } else { INTENDED },
        aborted.map(json),
    ])?;
    Ok(())
}

fn intended(sql: &Connection, tx: TxId) -> Result<(Intent, Vec<EventSlot>), LedgerError> {
    type Columns = (String, String, String, String, String);
    let (key, hash, patch, slots, state): Columns = sql
        .prepare_cached("SELECT key, hash, patch, slots, state FROM log WHERE incarnation = ?1 AND serial = ?2")?
        .query_row(key_of(tx), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    let damaged = |why: String| LedgerError::Damaged { record: Record::Tx(tx), why };
    if state != INTENDED {
        return Err(damaged(format!("{state} already")));
    }
    let patch = serde_json::from_str(&patch).map_err(|error| damaged(format!("its operations: {error}")))?;
    let slots = serde_json::from_str(&slots).map_err(|error| damaged(format!("its events: {error}")))?;
    Ok((Intent { tx, key: IdempotencyKey(key), hash: ContentHash(hash), patch }, slots))
}

fn append(sql: &Connection, intent: &Intent, slots: &[EventSlot]) -> Result<(), LedgerError> {
    let mut insert =
        sql.prepare_cached("INSERT INTO event (resource, sequence, tx, payload) VALUES (?1, ?2, ?3, ?4)")?;
    for (operation, slot) in intent.patch.operations.iter().zip(slots) {
        let sequence = i64::try_from(slot.sequence).expect("sequence numbers fit into 63 bits");
        insert.execute(params![slot.resource.as_str(), sequence, intent.tx.to_string(), json(operation)])?;
    }
    Ok(())
}

fn set_outcome(sql: &Connection, tx: TxId, state: &str, reason: Option<&AbortReason>) -> Result<(), LedgerError> {
    let (incarnation, serial) = key_of(tx);
    sql.prepare_cached("UPDATE log SET state = ?3, reason = ?4 WHERE incarnation = ?1 AND serial = ?2")?
        .execute(params![incarnation, serial, state, reason.map(json)])?;
    Ok(())
}

fn audit(sql: &Connection, now: Millis, tx: TxId, action: &str, detail: &str) -> Result<(), LedgerError> {
    let at_ms = i64::try_from(now.0).unwrap_or(i64::MAX);
    sql.prepare_cached("INSERT INTO audit (at_ms, tx, action, detail) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        at_ms,
        tx.to_string(),
        action,
        detail
    ])?;
    Ok(())
}

fn by_key(sql: &Connection, key: &IdempotencyKey) -> Result<Option<(TxId, ContentHash)>, LedgerError> {
    let found = sql
        .prepare_cached("SELECT incarnation, serial, hash FROM log WHERE key = ?1")?
        .query_row([&key.0], |row| {
            let (incarnation, serial): (i64, i64) = (row.get(0)?, row.get(1)?);
            let tx = TxId { incarnation: incarnation.unsigned_abs(), serial: serial.unsigned_abs() };
            Ok((tx, ContentHash(row.get(2)?)))
        })
        .optional()?;
    Ok(found)
}

fn key_of(tx: TxId) -> (i64, i64) {
    let column = |number: u64| i64::try_from(number).expect("transaction numbers fit into 63 bits");
    (column(tx.incarnation), column(tx.serial))
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("what the log keeps is always valid JSON")
}
