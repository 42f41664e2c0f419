//! A backup, put into empty stores.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use env::Env;
use graph::{Operation, Patch, TxId};
use rusqlite::Connection;
use stores::{Call, Datum, GraphError, GraphStore, Rows};

use super::agree::agree;
use super::{Element, FORMAT, FileSum, GRAPH_FILE, MANIFEST_FILE, Manifest, element};
use crate::ledger::{self, LedgerError};
use crate::{LEDGER_FILE, statements};

/// How far the incarnation of a restored pair is above that of its backup, besides the milliseconds that the clock
/// shows: further than the pair that was backed up can have come since. The clock is for the same backup restored once
/// more, whose transactions and ids are to be others than those of the first time.
pub const RESTORE_GAP: u64 = 100_000;

/// How many elements are written in one graph transaction.
const BATCH: usize = 250;

/// Why nothing was restored. What was written by then is of use to nobody, and no coordinator starts
/// on it: another restore needs an empty folder and an empty graph again.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup is not whole, or not what was written.
    #[error("the backup {path} is damaged: {why}; use another one", path = .path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A store is in use.
    #[error("{what} is not empty: restore both stores together, into an empty folder and an empty graph")]
    NotEmpty {
        /// Which.
        what: String,
    },
    /// A file could not be read or written.
    #[error("failed to restore {path}: {source}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The graph did not take it.
    #[error("failed to fill the graph: {0}")]
    Graph(#[from] GraphError),
    /// The copy of the ledger did not take it.
    #[error("failed to change the ledger: {0}")]
    Ledger(#[from] LedgerError),
}

/// Puts a backup into a data folder and a graph that are both empty; the caller holds the folder.
/// `limit` bounds each graph transaction.
///
/// # Errors
///
/// See [`RestoreError`].
pub async fn restore(
    env: &Env,
    from: &Path,
    data: &Path,
    graph: &dyn GraphStore,
    limit: Duration,
) -> Result<Manifest, RestoreError> {
    let (source, target) = (from.to_owned(), data.join(LEDGER_FILE));
    // SQLite would play what a log of another ledger holds into the one that is put in its place.
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = target.clone().into_os_string();
        name.push(ending);
        if Path::new(&name).exists() {
            return Err(RestoreError::NotEmpty { what: Path::new(&name).display().to_string() });
        }
    }
    let manifest = env.blocking(move || read_manifest(&source)).await?;
    graph.ensure_unique(statements::CONSTRAINTS).await?;
    let graph = Target { graph, limit };
    let occupied = || RestoreError::NotEmpty { what: "the graph".to_owned() };
    for look in [statements::read_store(), statements::entities_after(None, 1), statements::markers_after(None, 1)] {
        if graph.execute(look).await?.iter().any(|rows| !rows.is_empty()) {
            return Err(occupied());
        }
    }
    // Before anything else: from now on the graph is nobody's but this pair's.
    let mut entropy = [0; 32];
    env.entropy(&mut entropy);
    let hex: String = entropy.iter().map(|byte| format!("{byte:02x}")).collect();
    let (store_id, nonce) = hex.split_at(32);
    let incarnation = manifest.incarnation + RESTORE_GAP + env.utc_now().0;
    let mut calls = statements::claim_store(store_id, incarnation, nonce);
    // A decide of the pair that was backed up, sent to this server and late, is below the floor.
    calls.extend(statements::raise_floor(store_id, TxId { incarnation, serial: 0 }));
    let claimed = graph.execute(calls).await?;
    if claimed.iter().flatten().flatten().next().and_then(Datum::as_text) != Some(store_id) {
        return Err(occupied());
    }
    fill(env, from, &graph).await?;
    let (source, store_id) = (from.to_owned(), store_id.to_owned());
    env.blocking(move || place_ledger(&source, &target, &store_id, incarnation)).await?;
    Ok(manifest)
}

/// The graph that is written to.
struct Target<'a> {
    graph: &'a dyn GraphStore,
    limit: Duration,
}

impl Target<'_> {
    async fn execute(&self, calls: Vec<Call>) -> Result<Vec<Rows>, GraphError> {
        self.graph.execute(calls, self.limit).await
    }
}

fn read_manifest(from: &Path) -> Result<Manifest, RestoreError> {
    let damaged = |why: String| RestoreError::Damaged { path: from.to_owned(), why };
    let text = fs::read(from.join(MANIFEST_FILE)).map_err(|error| damaged(format!("{MANIFEST_FILE}: {error}")))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| damaged(format!("{MANIFEST_FILE}: {error}")))?;
    if manifest.format != FORMAT {
        return Err(damaged(format!("its form is {}, and this release reads {FORMAT}", manifest.format)));
    }
    for (name, expected) in [(LEDGER_FILE, &manifest.ledger), (GRAPH_FILE, &manifest.graph)] {
        let found = FileSum::of(&from.join(name)).map_err(|error| damaged(format!("{name}: {error}")))?;
        if found != *expected {
            return Err(damaged(format!("{name} is not what was written: its checksum does not match")));
        }
    }
    agree(from).map_err(|error| damaged(error.to_string()))?;
    Ok(manifest)
}

/// Writes every element.
async fn fill(env: &Env, from: &Path, graph: &Target<'_>) -> Result<(), RestoreError> {
    let path = from.join(GRAPH_FILE);
    let failed = |source| RestoreError::File { path: path.clone(), source };
    let mut lines = BufReader::new(File::open(&path).map_err(failed)?);
    loop {
        let read = env.blocking(move || {
            let batch = read_batch(&mut lines);
            (lines, batch)
        });
        let (returned, batch) = read.await;
        lines = returned;
        let batch = batch.map_err(failed)?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut calls = Vec::new();
        for element in batch {
            match element {
                Element::Held { subject, content } => {
                    let restore = Operation::Restore { subject, content: Some(content), logged: true };
                    calls.extend(statements::calls_for(&Patch { operations: vec![restore] }));
                }
                Element::Marker { tx, committed } => calls.extend(statements::restore_marker(tx, committed)),
            }
        }
        graph.execute(calls).await?;
    }
}

fn read_batch(lines: &mut BufReader<File>) -> io::Result<Vec<Element>> {
    lines.lines().take(BATCH).map(|line| element(&line?)).collect()
}

/// Makes the ledger that of the restored pair, under another name, and gives it its own at last.
fn place_ledger(from: &Path, target: &Path, store_id: &str, incarnation: u64) -> Result<(), RestoreError> {
    let passing = target.with_extension("restoring");
    let failed = |source| RestoreError::File { path: passing.clone(), source };
    // What an attempt before left: its journal would be rolled back into this copy.
    for left in [passing.clone(), passing.with_extension("restoring-journal")] {
        match fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    fs::copy(from.join(LEDGER_FILE), &passing).map_err(failed)?;
    let mut sql = Connection::open(&passing).map_err(LedgerError::from)?;
    let change = sql.transaction().map_err(LedgerError::from)?;
    ledger::adopt(&change, store_id, incarnation)?;
    change.commit().map_err(LedgerError::from)?;
    sql.close().map_err(|(_, error)| LedgerError::from(error))?;
    let publish = || {
        File::open(&passing)?.sync_all()?;
        fs::rename(&passing, target)?;
        File::open(target.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    publish().map_err(failed)
}
