//! The audit trail: what was decided about each transaction, when, and by which start of the
//! coordinator; and which events were appended without one.
//!
//! An entry is written in the SQLite transaction of what it is about, so it is there if and only
//! if that is, and before anybody is told. Entries are numbered without a gap from 1, are never
//! changed, and are not subject to the retention.

use graph::{Millis, TxId};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::{LedgerError, Moment, Record};

/// What an entry of the audit trail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// Its operations fitted, and it is going to be decided.
    Intended,
    /// A start of the coordinator found it without an outcome, left by an earlier one.
    Recovered,
    /// Nobody could say what had become of it in the graph, and a fence settled that.
    Fenced,
    /// The decision stood against rows that somebody else had changed: once for each operation.
    Overrode,
    /// It took effect in both stores.
    Committed,
    /// It has no effect, and never will.
    Aborted,
    /// It repairs what the stores differ in: what that rests on.
    Repairing,
    /// A person has dealt with a case, or with the damaged record of it: which, and how it ended.
    Resolved,
    /// Its record in the log is damaged: what became of it, and what is wrong.
    Isolated,
    /// Events were appended by themselves: where.
    Appended,
}

impl AuditAction {
    const ALL: [AuditAction; 10] = [
        AuditAction::Intended,
        AuditAction::Recovered,
        AuditAction::Fenced,
        AuditAction::Overrode,
        AuditAction::Committed,
        AuditAction::Aborted,
        AuditAction::Repairing,
        AuditAction::Resolved,
        AuditAction::Isolated,
        AuditAction::Appended,
    ];

    fn name(self) -> &'static str {
        match self {
            AuditAction::Intended => "intended",
            AuditAction::Recovered => "recovered",
            AuditAction::Fenced => "fenced",
            AuditAction::Overrode => "overrode",
            AuditAction::Committed => "committed",
            AuditAction::Aborted => "aborted",
            AuditAction::Repairing => "repairing",
            AuditAction::Resolved => "resolved",
            AuditAction::Isolated => "isolated",
            AuditAction::Appended => "appended",
        }
    }
}

/// An entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, from 1 and without a gap.
    pub entry: u64,
    /// When it was written, by the clock of the process: milliseconds since the Unix epoch.
    pub at_ms: Millis,
    /// The transaction; `None` where there was none, as for events that were appended by themselves, or a case whose
    /// stores had come to agree.
    pub tx: Option<TxId>,
    /// What happened to it.
    pub action: AuditAction,
    /// The reason, or by whom; empty where there is nothing to add.
    pub detail: String,
}

const COLUMNS: &str = "entry, at_ms, tx, action, detail";

/// Up to `limit` entries about one transaction after the one of this number.
pub fn audit_of(sql: &Connection, tx: TxId, after: u64, limit: u32) -> Result<Vec<AuditEntry>, LedgerError> {
    let query = format!("SELECT {COLUMNS} FROM audit WHERE tx = ?1 AND entry > ?2 ORDER BY entry LIMIT ?3");
    entries(sql, &query, params![tx.to_string(), column(after), limit])
}

/// Up to `limit` entries after the one of this number.
pub fn audit_after(sql: &Connection, after: u64, limit: u32) -> Result<Vec<AuditEntry>, LedgerError> {
    let query = format!("SELECT {COLUMNS} FROM audit WHERE entry > ?1 ORDER BY entry LIMIT ?2");
    entries(sql, &query, params![column(after), limit])
}

/// How it came to a transaction's outcome, where that was not the usual way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The start of the coordinator that found it without an outcome, if an earlier one left it.
    pub recovered_by: Option<u64>,
    /// What its marker says since a fence, if there was one: true is committed.
    pub fenced: Option<bool>,
}

/// Writes how it came to an outcome; belongs into the transaction that writes the outcome.
pub fn audit_resolution(sql: &Connection, tx: TxId, resolution: Resolution, now: Moment) -> Result<(), LedgerError> {
    if let Some(incarnation) = resolution.recovered_by {
        write(sql, now.utc, tx, AuditAction::Recovered, &format!("by start {incarnation}"))?;
    }
    if let Some(committed) = resolution.fenced {
        let state = if committed { "committed" } else { "aborted" };
        write(sql, now.utc, tx, AuditAction::Fenced, &format!("its marker says {state}"))?;
    }
    Ok(())
}

/// Adds an entry.
pub(super) fn write(
    sql: &Connection,
    now: Millis,
    tx: impl Into<Option<TxId>>,
    action: AuditAction,
    detail: &str,
) -> Result<(), LedgerError> {
    sql.prepare_cached("INSERT INTO audit (at_ms, tx, action, detail) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        column(now.0),
        // The column takes no null, and no transaction has this name.
        tx.into().map_or(String::new(), |tx| tx.to_string()),
        action.name(),
        detail
    ])?;
    Ok(())
}

fn entries(sql: &Connection, query: &str, params: impl rusqlite::Params) -> Result<Vec<AuditEntry>, LedgerError> {
    let mut statement = sql.prepare_cached(query)?;
    let mut rows = statement.query(params)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(entries)
}

fn entry(row: &Row<'_>) -> Result<AuditEntry, LedgerError> {
    let number: i64 = row.get(0)?;
    let damaged = |why: String| LedgerError::Damaged { record: Record::Audit(number.unsigned_abs()), why };
    let (tx, action): (String, String) = (row.get(2)?, row.get(3)?);
    let known = AuditAction::ALL.into_iter().find(|known| known.name() == action);
    Ok(AuditEntry {
        entry: number.unsigned_abs(),
        at_ms: Millis(row.get::<_, i64>(1)?.unsigned_abs()),
        tx: match tx.as_str() {
            "" => None,
            tx => Some(tx.parse().map_err(|error: graph::IdError| damaged(error.to_string()))?),
        },
        action: known.ok_or_else(|| damaged(format!("it is called {action:?}")))?,
        detail: row.get(4)?,
    })
}

/// A number that may be larger than a column takes means the largest.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
