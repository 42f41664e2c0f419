//! Removing what is older than the retention; [`retention`](crate::retention) says when.

use graph::{Millis, TxId};
use rusqlite::Connection;

use super::isolated::set_apart;
use super::record::{self, LogRecord};
use super::{LedgerError, setting};

/// Removes up to `limit` of the oldest records, as long as they were settled at `settled_by`
/// or before, in running time; returns how many. Also writes down how far running time is.
///
/// Records go in the order of their transactions, so that one number says which are gone. One
/// that is not settled, not for long enough, or set apart and left to a person, keeps those behind
/// it. Up to `over` every transaction is over, those included that have no record yet: none of
/// them will ever write one, so that the number is a floor for good.
pub fn forget(
    sql: &Connection,
    running: Millis,
    settled_by: Option<Millis>,
    over: TxId,
    limit: u32,
) -> Result<u32, LedgerError> {
    setting::set_running(sql, running)?;
    let Some(settled_by) = settled_by else { return Ok(0) };
    let mut removed = 0;
    while removed < limit {
        let due = match LogRecord::oldest(sql) {
            Ok(None) => break,
            Ok(Some(LogRecord { tx, settled, .. })) => settled.is_some_and(|at| at <= settled_by).then_some(tx),
            // Its age is not known either. A person has dealt with it, or has yet to.
            Err(error) => Some(set_apart(sql, error)?).filter(|record| record.ending.is_some()).map(|record| record.tx),
        };
        let Some(tx) = due.filter(|tx| *tx <= over) else { break };
        record::delete(sql, tx)?;
        setting::set_forgotten(sql, tx)?;
        removed += 1;
    }
    Ok(removed)
}
