//! The coordinator's SQLite file: the log, the rows, their history, the streams of events and the audit
//! trail.
//!
//! Every function runs inside a transaction that the caller owns and syncs, so several of
//! them can share one fsync. What a transaction does to the rows is written once, in
//! [`rows::apply`]: *intend* runs it to find out whether the operations fit and undoes it,
//! *finish* runs it to keep.

mod audit;
mod cases;
mod checksum;
mod forget;
mod history;
mod inspect;
mod isolated;
mod log;
mod pages;
mod record;
mod rows;
mod schema;
mod setting;
mod stored;
#[cfg(test)]
mod tests;
mod verify;

use std::fmt;

use graph::{EntityId, Millis, TxId};
use serde::{Deserialize, Serialize};

use crate::events::DamagedEvent;

pub use audit::{AuditAction, AuditEntry, Resolution, audit_after, audit_of, audit_resolution};
pub use cases::{case, close_case, count_open_cases, open_case, open_cases};
pub use forget::forget;
pub use history::Replays;
pub use inspect::{EventEntry, LogEntry, event_entries, log_entries, snapshot};
pub use isolated::{audited_fate, close_isolated, isolate, isolated, open_isolated};
pub use log::{created, finish, intend, intend_repair, look_up, unresolved};
pub use pages::{accounted_for, entities_after, evidence, links_after};
pub use rows::{Row, holder, load};
pub use schema::MIGRATIONS;
pub use setting::{
    adopt, clear_suspicion, collected, forgotten, incarnation, running, set_collected, set_running, set_store_id,
    set_suspicion, set_verified_incarnation, start_incarnation, store_id, suspicion, verified_incarnation,
};
pub use stored::{append, feed_after, last_position, stream_after, streams_after};
pub use verify::{Standing, Unsound, committed_after, count_committed, standing, verify};

/// When something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the Unix epoch, for people: it may jump, and nothing is decided by it.
    pub utc: Millis,
    /// For how long coordinators have been running on this ledger. It never goes back but
    /// after a crash, and then by no more than it has grown since it was last written down.
    pub running: Millis,
}

/// The sequence number that a transaction's event has among the events of its entity, or in its stream.
///
/// Fixed when the intent is written, under the lock of the entity or stream, so the sequence of
/// each has no gap and no duplicate whatever happens before the event is appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSlot {
    /// The entity whose event it is, or the stream of an event that is appended.
    pub resource: EntityId,
    /// From 1, over the whole life of the id, deletions included.
    pub sequence: u64,
    /// Of a link that is put back as its events say, which is no event: the transaction of the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<TxId>,
}

/// Why the ledger could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A record is not what this program wrote: the file was changed by somebody else or
    /// was damaged. If it is one of the log, the next start sets it apart; past any other nothing
    /// can be served.
    #[error(
        "the record of {record} is damaged: {why}; restore the data folder from a backup, or repair the record by hand"
    )]
    Damaged {
        /// Which.
        record: Record,
        /// What is wrong with it.
        why: String,
    },
    /// The record of a transaction is damaged and was set apart: its outcome is for a person to
    /// find out.
    #[error("the record of {0} is damaged, and what became of it is left to a person")]
    Isolated(TxId),
    /// An event of the event store is damaged: whoever reads it is told, and all others go on.
    #[error(transparent)]
    DamagedEvent(#[from] DamagedEvent),
}

/// Names a record in an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The log entry of a transaction.
    Tx(TxId),
    /// The row of an entity.
    Entity(EntityId),
    /// An entry of the table of settings.
    Setting(String),
    /// An entry of the audit trail.
    Audit(u64),
    /// A whole table: its index does not fit it.
    Table(&'static str),
}

impl LedgerError {
    /// Whether the file is not what was written to it: nothing can be served from it.
    pub fn is_damage(&self) -> bool {
        match self {
            LedgerError::Sqlite(error) => stores::sqlite::is_damage(error),
            LedgerError::Damaged { .. } => true,
            LedgerError::Isolated(_) | LedgerError::DamagedEvent(_) => false,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Tx(tx) => tx.fmt(f),
            Record::Entity(id) => write!(f, "entity {id}"),
            Record::Setting(name) => write!(f, "setting {name}"),
            Record::Audit(entry) => write!(f, "audit entry {entry}"),
            Record::Table(name) => write!(f, "table {name}"),
        }
    }
}
