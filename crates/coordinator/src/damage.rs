//! Damaged records of the log: each is set apart and left to a person, and the others go on.
//!
//! A start compares every record of the log with its checksum ([`ledger::verify`]). What SQLite
//! itself finds wrong with the file, or what is wrong with the settings, is structural: nothing can
//! be served from such a file. A single record whose checksum does not match is another matter.
//! The name and the key of its transaction are known all the same, since each stands in an index
//! as well and the start has compared the two. Its operations and its entities are not.
//!
//! # What is certain of it
//!
//! Whether the transaction has an outcome is told twice: by the record, and by the audit trail, in
//! the same SQLite transaction and in other bytes. So
//!
//! - with an outcome in the audit trail both stores have the transaction, or neither has
//!   ([`Fate::Committed`], [`Fate::Aborted`]). What is lost is what a retry is compared with;
//! - without one it may still be under way, and is **fenced** like any other that a dead process
//!   left: the marker decides. Aborted, no store has anything of it or ever will. Committed, the
//!   graph has its changes and SQLite does not ([`Fate::GraphOnly`]); which they are, the graph
//!   alone can tell.
//!
//! # What is safe
//!
//! - It is never finished, and never counted as finished: its rows and events were not written,
//!   and the sequence numbers that it had taken are free for others, those of streams included: its
//!   streams cannot be locked either.
//! - Its entities cannot be locked, so others may write to them. They are not hurt: a strong read
//!   compares the stores and refuses what differs, and what does not fit the graph is aborted.
//! - The events do not know of its changes, so no policy may decide by them: while a record is
//!   [`Fate::GraphOnly`], a reconciliation leaves every difference to a person.
//! - Its key is not free. A retry is told that its outcome is not known, and to ask by name.
//! - It is not forgotten, and neither are the records behind it, nor their markers collected,
//!   until a person has dealt with it.
//!
//! Setting apart is one SQLite transaction after the fence, and done once: a start that dies before
//! it fences again and hears the same. The damaged record stays in the log as it is.
//!
//! # What the person does
//!
//! `coordinator resolve --damaged` shows the records with what can be said of them. For
//! [`Fate::GraphOnly`], `coordinator reconcile` makes each difference a case, which
//! `coordinator resolve --case …` decides: `--authority graph` keeps what the transaction did, and
//! `--authority log` takes it back. A record is closed only when both stores agree, and with the word
//! of that person on what the transaction has become: nothing else knows. Each step is in the audit trail.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graph::{Millis, TxId};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use stores::batch::BatchError;

use crate::ledger::LedgerError;
use crate::operations::{CheckResult, LOG_CHECK, Operations};
use crate::reconcile::{Policy, UnknownWord};
use crate::service::Coordinator;
use crate::{access, ledger};

/// How many damaged records are set apart in one start; with more of them the medium is not to be
/// trusted with anything.
pub const ISOLATED_MAX: usize = 100;

/// What became of the transaction of a damaged record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Both stores have it.
    Committed,
    /// Neither store has it, nor ever will.
    Aborted,
    /// The graph has it, and SQLite does not: a person has to make them the same.
    GraphOnly,
}

/// A record of the log that is not what was written, and what can be said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedRecord {
    /// Its transaction.
    pub tx: TxId,
    /// The client's name for it.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
    /// What became of the transaction.
    pub fate: Fate,
    /// The record's other fields as they stand, for people: at least one is not what was written.
    pub fields: BTreeMap<String, String>,
    /// When it was found, in UTC, for people.
    pub found_ms: Millis,
    /// How a person has dealt with it; `None` while nobody has.
    pub ending: Option<Ending>,
}

/// How a person has dealt with a damaged record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Who it was.
    pub by: String,
    /// What they had to say.
    pub note: String,
    /// When, in UTC, for people.
    pub at_ms: Millis,
    /// What they say has become of the transaction, where the graph alone had it. Earlier releases did not ask, and
    /// took it for committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ruling>,
}

/// What a person says has become of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// Both stores have it now.
    Committed,
    /// Neither store has it now.
    Aborted,
}

impl FromStr for Ruling {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Ruling, UnknownWord> {
        match text {
            "committed" => Ok(Ruling::Committed),
            "aborted" => Ok(Ruling::Aborted),
            _ => Err(UnknownWord("committed, aborted")),
        }
    }
}

/// What a person says about a damaged record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// Who says so; for the audit trail.
    pub by: String,
    /// What they have found out; for the audit trail.
    pub note: String,
    /// What became of the transaction: what whoever asks for it is told from then on. Needed where it is
    /// [`Fate::GraphOnly`], since the stores agree then either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ruling>,
}

/// Why a damaged record was not closed.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// There is none of this transaction, or it was closed before.
    #[error("no damaged record of {0} is left to a person")]
    NoSuchRecord(TxId),
    /// The graph alone has its changes, or something else is wrong as well.
    #[error(
        "{tx} is in the graph alone as long as the stores differ ({differences} differences): reconcile, and resolve each case first"
    )]
    StoresDiffer {
        /// The transaction.
        tx: TxId,
        /// In how many entities and links.
        differences: u64,
    },
    /// Only a person can say what became of it, and has not.
    #[error("say what became of {0}: committed if both stores have it now, aborted if neither has")]
    OutcomeMissing(TxId),
    /// What became of it is known, and not what the person says.
    #[error("what became of {tx} is known: {fate:?}")]
    OutcomeKnown {
        /// The transaction.
        tx: TxId,
        /// What became of it.
        fate: Fate,
    },
    /// The stores could not be compared; the same may be asked again.
    #[error("the stores could not be compared: {0}")]
    NotCompared(String),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] BatchError<LedgerError>),
}

/// The records that are left to a person, as a running coordinator knows them.
#[derive(Clone)]
pub(crate) struct Isolated {
    open: Arc<Mutex<BTreeMap<TxId, Fate>>>,
    operations: Arc<Operations>,
}

impl Isolated {
    /// Of a coordinator that starts, and reports them.
    pub(crate) fn new(records: &[DamagedRecord], operations: Arc<Operations>) -> Isolated {
        let open = records.iter().map(|record| (record.tx, record.fate)).collect();
        let isolated = Isolated { open: Arc::new(Mutex::new(open)), operations };
        isolated.report();
        isolated
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.open().len() as u64
    }

    /// The policy that may be followed: none decides while the graph has what the events do not know.
    pub(crate) fn restrict(&self, policy: Policy) -> Policy {
        let unknown = self.open().values().any(|fate| *fate == Fate::GraphOnly);
        if unknown { Policy::Quarantine } else { policy }
    }

    fn close(&self, tx: TxId) {
        self.open().remove(&tx);
        self.report();
    }

    fn report(&self) {
        let names: Vec<String> = self.open().iter().map(|(tx, fate)| format!("{tx} ({fate:?})")).collect();
        let result = match names.as_slice() {
            [] => CheckResult::passed(),
            names => CheckResult::failed(
                names.len() as u64,
                format!(
                    "damaged records are left to a person, see `coordinator resolve --damaged`: {}",
                    names.join(", ")
                ),
            ),
        };
        self.operations.report_check(LOG_CHECK, result);
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<TxId, Fate>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coordinator {
    /// The damaged records that are left to a person, oldest first; at most [`ISOLATED_MAX`] for
    /// each start.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn damaged_records(&self) -> Result<Vec<DamagedRecord>, BatchError<LedgerError>> {
        access::read(&self.ledger, ledger::open_isolated).await
    }

    /// How many damaged records are left to a person.
    pub fn damaged_count(&self) -> u64 {
        self.isolated.count()
    }

    /// Closes a damaged record, once both stores agree again. After a crash the same can be asked
    /// again.
    ///
    /// # Errors
    ///
    /// See [`SettleError`]; the record is open then.
    pub async fn settle_damaged(&self, tx: TxId, settlement: Settlement) -> Result<DamagedRecord, SettleError> {
        let record = access::read(&self.ledger, move |sql| ledger::isolated(sql, tx)).await?;
        let Some(record) = record.filter(|record| record.ending.is_none()) else {
            return Err(SettleError::NoSuchRecord(tx));
        };
        let Settlement { by, note, outcome } = settlement;
        match (record.fate, outcome) {
            (Fate::GraphOnly, None) => return Err(SettleError::OutcomeMissing(tx)),
            (fate @ Fate::Committed, Some(Ruling::Aborted)) | (fate @ Fate::Aborted, Some(Ruling::Committed)) => {
                return Err(SettleError::OutcomeKnown { tx, fate });
            }
            _ => {}
        }
        if record.fate == Fate::GraphOnly {
            let summary = self.validate().await;
            if summary.differences > 0 {
                return Err(SettleError::StoresDiffer { tx, differences: summary.differences });
            }
            if !summary.is_clean() {
                return Err(SettleError::NotCompared(summary.why.unwrap_or_default()));
            }
        }
        let ending = Ending { by, note, at_ms: self.env.utc_now(), outcome };
        let written = ending.clone();
        let close = move |sql: &Connection| ledger::close_isolated(sql, tx, &written);
        if !access::write(&self.ledger, close).await? {
            return Err(SettleError::NoSuchRecord(tx));
        }
        self.isolated.close(tx);
        Ok(DamagedRecord { ending: Some(ending), ..record })
    }
}
