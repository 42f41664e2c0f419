//! The log: intents, outcomes, and what a start reads from it.

use std::collections::BTreeMap;

use graph::{EntityId, Millis, Operation, Patch, TxId};
use rusqlite::{Connection, params};

use super::audit::{self, AuditAction};
use super::isolated::set_apart;
use super::record::{ABORTED, COMMITTED, INTENDED, LogRecord, damaged};
use super::rows::{apply, apply_decided, has_event, slots};
use super::{EventSlot, LedgerError, Moment, stored};
use crate::commit::{AbortReason, ContentHash, Decision, Ground, IdempotencyKey, Intent, Report, Settled};

/// Writes an intent, or the abort of a transaction whose operations do not fit, or finds
/// out that the key was used before.
pub fn intend(sql: &Connection, intent: &Intent, now: Moment) -> Result<Report, LedgerError> {
    begin(sql, intent, None, now)
}

fn begin(sql: &Connection, intent: &Intent, origin: Option<TxId>, now: Moment) -> Result<Report, LedgerError> {
    let known = match LogRecord::by_key(sql, &intent.key.0) {
        Ok(known) => known,
        // What a retry would have to match is not known any more.
        Err(error) => return Ok(Report::Isolated(set_apart(sql, error)?.tx)),
    };
    if let Some(record) = known {
        let tx = record.tx;
        if record.hash != intent.hash.0 {
            return Ok(Report::KeyReused(tx));
        }
        let settled = record.outcome()?;
        return Ok(Report::Known(settled.unwrap_or_else(|| panic!("{tx} is open and its key was submitted past it"))));
    }
    let slots = slots(sql, &intent.patch, origin)?;
    let record = LogRecord {
        tx: intent.tx,
        key: intent.key.0.clone(),
        hash: intent.hash.0.clone(),
        patch: json(&intent.sent()),
        slots: json(&slots),
        state: INTENDED.to_owned(),
        reason: None,
        settled: None,
    };
    match fits(sql, intent, &slots)? {
        Ok(()) => {
            record.insert(sql)?;
            audit::write(sql, now.utc, intent.tx, AuditAction::Intended, "")?;
            Ok(Report::Intended)
        }
        Err(refusal) => {
            let reason = AbortReason::Refused(refusal.clone());
            let none: &[EventSlot] = &[];
            LogRecord { slots: json(none), ..settled(record, ABORTED, Some(&reason), now) }.insert(sql)?;
            audit::write(sql, now.utc, intent.tx, AuditAction::Aborted, &reason.to_string())?;
            Ok(Report::Refused(refusal))
        }
    }
}

/// Writes the intent of a repair, and into the audit trail what it rests on.
pub fn intend_repair(sql: &Connection, intent: &Intent, ground: &Ground, now: Moment) -> Result<Report, LedgerError> {
    let report = begin(sql, intent, ground.evidence.log.tx(), now)?;
    audit::write(sql, now.utc, intent.tx, AuditAction::Repairing, &json(ground))?;
    Ok(report)
}

/// Writes the outcome of an intended transaction, with its rows and events if it committed. Returns the
/// position of the last event that it appended to a stream, if it did.
pub fn finish(sql: &Connection, tx: TxId, decision: &Decision, now: Moment) -> Result<Option<u64>, LedgerError> {
    let record = LogRecord::read(sql, tx)?.ok_or_else(|| damaged(tx, "it is gone"))?;
    let (intent, slots) = intended(&record)?;
    let mut position = None;
    match decision {
        Decision::Committed => {
            for refusal in apply_decided(sql, tx, &intent.patch, &slots)? {
                audit::write(sql, now.utc, tx, AuditAction::Overrode, &refusal.to_string())?;
            }
            write_history(sql, &intent, &slots)?;
            position = append(sql, &intent, &slots, now.utc)?;
            settled(record, COMMITTED, None, now).update(sql)?;
            audit::write(sql, now.utc, tx, AuditAction::Committed, "")?;
        }
        Decision::Aborted { reason } => {
            settled(record, ABORTED, Some(reason), now).update(sql)?;
            audit::write(sql, now.utc, tx, AuditAction::Aborted, &reason.to_string())?;
        }
    }
    Ok(position)
}

/// The outcome of a transaction; `None` if it has none, never began, or was forgotten.
pub fn look_up(sql: &Connection, tx: TxId) -> Result<Option<Settled>, LedgerError> {
    match LogRecord::read(sql, tx) {
        Ok(record) => record.map_or(Ok(None), |record| record.outcome()),
        Err(error) => set_apart(sql, error)?.settled().map(Some),
    }
}

/// The ids that a committed transaction made, by the labels of its operations; none where its record is gone or was
/// set apart.
pub fn created(sql: &Connection, tx: TxId) -> Result<BTreeMap<EntityId, EntityId>, LedgerError> {
    let record = match LogRecord::read(sql, tx) {
        Ok(record) => record.filter(|record| record.state == COMMITTED),
        Err(error) => set_apart(sql, error).map(|_| None)?,
    };
    let Some(record) = record else { return Ok(BTreeMap::new()) };
    let sent: Patch = serde_json::from_str(&record.patch).map_err(|error| damaged(tx, error.to_string()))?;
    Ok(sent.generated(tx))
}

/// The intents without an outcome, oldest first. Those whose records were set apart are not among
/// them: nobody knows what they were to do.
pub fn unresolved(sql: &Connection) -> Result<Vec<Intent>, LedgerError> {
    let mut intents = Vec::new();
    LogRecord::each(sql, "WHERE state = 'intended'", |record| {
        match record {
            Ok(record) => intents.push(intended(&record)?.0),
            Err(error) => drop(set_apart(sql, error)?),
        }
        Ok(())
    })?;
    Ok(intents)
}

fn settled(record: LogRecord, state: &str, reason: Option<&AbortReason>, now: Moment) -> LogRecord {
    LogRecord { state: state.to_owned(), reason: reason.map(json), settled: Some(now.running), ..record }
}

/// Runs the operations and undoes them: what *finish* will do, tried out.
fn fits(sql: &Connection, intent: &Intent, slots: &[EventSlot]) -> Result<Result<(), graph::Refusal>, LedgerError> {
    sql.execute_batch("SAVEPOINT trial")?;
    let result = apply(sql, intent.tx, &intent.patch, slots);
    sql.execute_batch("ROLLBACK TO trial; RELEASE trial")?;
    result
}

fn intended(record: &LogRecord) -> Result<(Intent, Vec<EventSlot>), LedgerError> {
    let LogRecord { tx, key, hash, patch, slots, state, .. } = record;
    if state != INTENDED {
        return Err(damaged(*tx, format!("{state} already")));
    }
    let sent = serde_json::from_str(patch).map_err(|error| damaged(*tx, format!("its operations: {error}")))?;
    let slots = serde_json::from_str(slots).map_err(|error| damaged(*tx, format!("its events: {error}")))?;
    let (key, hash) = (IdempotencyKey(key.clone()), ContentHash(hash.clone()));
    Ok((Intent::new(*tx, key, hash, &sent), slots))
}

/// Appends the events of streams, and returns the position of the last of them.
fn append(sql: &Connection, intent: &Intent, slots: &[EventSlot], now: Millis) -> Result<Option<u64>, LedgerError> {
    let mut position = None;
    for (operation, slot) in intent.patch.operations.iter().zip(slots) {
        if let Operation::Append { event, .. } = operation {
            position = Some(stored::insert(sql, &slot.resource, slot.sequence, event, Some(intent.tx), now)?);
        }
    }
    Ok(position)
}

fn write_history(sql: &Connection, intent: &Intent, slots: &[EventSlot]) -> Result<(), LedgerError> {
    let mut insert =
        sql.prepare_cached("INSERT INTO event (resource, sequence, tx, payload) VALUES (?1, ?2, ?3, ?4)")?;
    let with_slots = intent.patch.operations.iter().zip(slots);
    for (operation, slot) in with_slots.filter(|(operation, _)| has_event(operation)) {
        let sequence = i64::try_from(slot.sequence).expect("sequence numbers fit into 63 bits");
        insert.execute(params![slot.resource.as_str(), sequence, intent.tx.to_string(), json(operation)])?;
    }
    Ok(())
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("what the log keeps is always valid JSON")
}
