//! Removing what is older than the retention; [`retention`](crate::retention) says when.

use graph::Millis;
use rusqlite::Connection;

use super::record::LogRecord;
use super::{LedgerError, setting};

/// Removes up to `limit` of the oldest records, as long as they were settled at `settled_by`
/// or before, in running time; returns how many. Also writes down how far running time is.
///
/// Records go in the order of their transactions, so that one number says which are gone. One
/// that is not settled, or not for long enough, keeps those behind it.
pub fn forget(sql: &Connection, running: Millis, settled_by: Option<Millis>, limit: u32) -> Result<u32, LedgerError> {
    setting::set_running(sql, running)?;
    let Some(settled_by) = settled_by else { return Ok(0) };
    let mut removed = 0;
    while removed < limit {
        let Some(oldest) = LogRecord::oldest(sql)? else { break };
        if oldest.settled.is_none_or(|settled| settled > settled_by) {
            break;
        }
        oldest.delete(sql)?;
        setting::set_forgotten(sql, oldest.tx)?;
        removed += 1;
    }
    Ok(removed)
}
