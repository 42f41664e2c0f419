//! The coordinator's SQLite file: the log, the rows, the events and the audit trail.
//!
//! Every function runs inside a transaction that the caller owns and syncs, so several of
//! them can share one fsync. What a transaction does to the rows is written once, in
//! [`rows::apply`]: *intend* runs it to find out whether the operations fit and undoes it,
//! *finish* runs it to keep.

mod inspect;
mod log;
mod rows;
mod schema;

use std::fmt;

use graph::{EntityId, TxId};
use serde::{Deserialize, Serialize};

pub use inspect::{EventEntry, LogEntry, event_entries, log_entries, snapshot};
pub use log::{finish, intend, look_up, start_incarnation, store_id, unresolved};
pub use rows::{Row, load};
pub use schema::MIGRATIONS;

/// The sequence number that a transaction's event has among the events of its entity.
///
/// Fixed when the intent is written, under the entity's lock, so the sequence of each
/// entity has no gap and no duplicate whatever happens before the event is appended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSlot {
    /// The entity whose event it is.
    pub resource: EntityId,
    /// From 1, over the whole life of the id, deletions included.
    pub sequence: u64,
}

/// Why the ledger could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite failed.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A record is not what this program wrote: the file was changed by somebody else or
    /// was damaged. Nothing can be served from it.
    #[error("log record {record}: {why}; restore the data folder from a backup, or repair the record by hand")]
    Damaged {
        /// Which.
        record: Record,
        /// What is wrong with it.
        why: String,
    },
}

/// Names a record in an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The log entry of a transaction.
    Tx(TxId),
    /// The row of an entity.
    Entity(EntityId),
    /// An entry of the table of settings.
    Setting(&'static str),
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Tx(tx) => tx.fmt(f),
            Record::Entity(id) => write!(f, "entity {id}"),
            Record::Setting(name) => write!(f, "setting {name}"),
        }
    }
}
