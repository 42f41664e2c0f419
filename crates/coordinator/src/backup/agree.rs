//! Whether the ledger and the graph of a backup are of one moment.
//!
//! Each file is what was written, by its checksum; that says nothing about the two together. The markers do, as for
//! a start (`start/markers.rs` has the argument), and here nothing can still land:
//!
//! - a marker `committed` has a record that says so, unless the record is forgotten or was set apart;
//! - a record `committed` has its marker. Where it has none the graph had lost a commit that it had
//!   acknowledged, and with it perhaps what the transaction wrote.
//!
//! A marker `aborted` without a record is that of a late fence, of the pair that this one was restored from: the graph
//! has nothing of its transaction, and nobody waits for it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use graph::TxId;
use rusqlite::{Connection, OpenFlags};

use super::{Element, GRAPH_FILE};
use crate::LEDGER_FILE;
use crate::ledger::{self, LedgerError, Standing};

/// Why the two files of a folder do not go together.
#[derive(Debug, thiserror::Error)]
pub(super) enum Disagreement {
    /// The graph has what the log does not know of.
    #[error("the graph has the marker of {tx} as committed, and the log has it as {standing:?}")]
    Unexplained {
        /// Whose marker.
        tx: TxId,
        /// What the log says.
        standing: Standing,
    },
    /// The log has what the graph does not know of.
    #[error(
        "the log has {committed} transactions as committed, and the graph has markers of {confirmed} of them: it has lost the others"
    )]
    Lost {
        /// How many the log has.
        committed: u64,
        /// How many of them the graph has.
        confirmed: u64,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The graph's file cannot be read.
    #[error("{GRAPH_FILE}: {0}")]
    Graph(#[from] io::Error),
}

/// Holds the markers in a backup's folder against its log. Takes time linear in the backup, and no memory to speak of.
pub(super) fn agree(folder: &Path) -> Result<(), Disagreement> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(folder.join(LEDGER_FILE), flags).map_err(LedgerError::from)?;
    let forgotten = ledger::forgotten(&sql)?;
    let mut confirmed = 0;
    for line in BufReader::new(File::open(folder.join(GRAPH_FILE))?).lines() {
        let Element::Marker { tx, committed: true } = super::element(&line?)? else { continue };
        if forgotten.is_some_and(|forgotten| tx <= forgotten) {
            continue;
        }
        match ledger::standing(&sql, tx)? {
            Standing::Committed => confirmed += 1,
            Standing::Intended | Standing::Isolated => {}
            standing @ (Standing::Absent | Standing::Aborted) => {
                return Err(Disagreement::Unexplained { tx, standing });
            }
        }
    }
    let committed = ledger::count_committed(&sql, 0..=ledger::incarnation(&sql)?)?;
    if confirmed < committed { Err(Disagreement::Lost { committed, confirmed }) } else { Ok(()) }
}
