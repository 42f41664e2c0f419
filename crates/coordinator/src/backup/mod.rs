//! Both stores in one folder, as of one moment, and back.
//!
//! A backup holds what both stores had when no transaction was under way: submissions wait until
//! everything open is over, then the graph is read to its end and the ledger is copied, in this order
//! (a record that is forgotten in between must not leave a missing marker unexplained). Reads go on.
//! That nothing began meanwhile, a repair for instance, is checked at the end; otherwise it is done
//! again.
//!
//! Events that are appended by themselves are in the ledger alone, so they do not wait: the copy has those that were
//! there when it was made. Whoever follows the feed of a restored store and has come further than its
//! last position is told so. Damaged events are copied as they are, and refused to readers as before.
//!
//! The folder has three files: the ledger, made by SQLite's `VACUUM INTO`; the graph, one element a
//! line as JSON, entities before links before markers, for any graph store; and the [`Manifest`] with
//! the size and SHA-256 of both. It is written under another name, synced, and renamed: a folder of
//! the name that was asked for is whole.
//!
//! A restored pair is not the pair that was backed up: that one may still be there, and may have
//! gone on. So it gets a **new id** in both stores, by which a ledger and a graph of different
//! origin are told apart, and an incarnation far above the old one, so that no transaction is named
//! twice. The graph is claimed for the new id before anything is written to it, and the ledger comes
//! to its place last: whatever a crash leaves behind, no coordinator starts on it.
//!
//! The server that the graph is on may be the one that the old pair was on, and what that one sent
//! last may still be on its way. So the claim raises the floor below which no *decide* takes effect
//! ([`collection`](crate::collection)) to the incarnation of the restored pair, in one transaction
//! with itself: all that the old one could have sent is below. What a late *fence* leaves is a marker that
//! nobody waits for.

mod agree;
mod files;
mod restore;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use graph::{Content, Millis, Subject, TxId};
use serde::{Deserialize, Serialize};
use stores::{Datum, Rows};

use self::agree::agree;
use self::files::{Copied, Sink, Staging};
pub use self::files::{FileSum, GRAPH_FILE, MANIFEST_FILE};
pub use self::restore::{RESTORE_GAP, RestoreError, restore};
use crate::service::Coordinator;
use crate::{LEDGER_FILE, access, ledger, statements, view};

/// The form of the files; another number is another form.
pub const FORMAT: u32 = 1;

/// How many elements of the graph are read at a time.
const PAGE: u32 = 1_000;

/// How long everything open may take to be over.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// The pause between two looks whether it is.
const QUIET_PAUSE: Duration = Duration::from_millis(10);

/// How often a backup is begun anew because something came in between.
const ATTEMPTS: u32 = 3;

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// The version of the program that made it.
    pub version: String,
    /// The id that both stores had.
    pub store_id: String,
    /// The number of times that a coordinator had started on them.
    pub incarnation: u64,
    /// Every transaction up to this one was over, and no later one had begun.
    pub up_to: TxId,
    /// When it was made, in UTC, for people.
    pub made_at_ms: Millis,
    /// How many entities there were.
    pub entities: u64,
    /// How many links.
    pub links: u64,
    /// How many markers.
    pub markers: u64,
    /// How many events the streams had: the last position. Older releases did not say.
    #[serde(default)]
    pub events: u64,
    /// The ledger.
    pub ledger: FileSum,
    /// The graph.
    pub graph: FileSum,
}

/// A line of the graph's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Element {
    /// An entity or a link.
    Held {
        /// Which.
        subject: Subject,
        /// What it is.
        content: Content,
    },
    /// A marker.
    Marker {
        /// Of which transaction.
        tx: TxId,
        /// What it says: true is committed.
        committed: bool,
    },
}

/// Reads an element from its line.
fn element(line: &str) -> io::Result<Element> {
    graph::from_json(line.as_bytes()).map_err(io::Error::other)
}

/// Why there is no backup. Nothing of the name that was asked for has been left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The name cannot be used.
    #[error("cannot back up to {path}: {why}", path = .path.display())]
    Target {
        /// The name.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Transactions did not come to their ends, or new ones came in between.
    #[error("there was no quiet moment: {0}")]
    Busy(String),
    /// The files could not be written: the disk is full, for instance.
    #[error("failed to write {path}: {source}", path = .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A store could not be read.
    #[error("failed to read {store}: {why}")]
    Read {
        /// Which.
        store: &'static str,
        /// Why.
        why: String,
    },
}

/// The graph's file, and what is in it.
struct Exported {
    file: FileSum,
    entities: u64,
    links: u64,
    markers: u64,
}

impl Coordinator {
    /// Writes both stores to a new folder on this machine, as of one moment. New transactions wait
    /// meanwhile, for as long as it takes to read the graph.
    ///
    /// # Errors
    ///
    /// See [`BackupError`].
    pub async fn backup(&self, to: &Path) -> Result<Manifest, BackupError> {
        let staging = Staging::begin(to, &self.env)?;
        let closed = self.gate.clone().write_owned().await;
        for _ in 0..ATTEMPTS {
            let up_to = self.wait_for_quiet().await?;
            let Exported { file, entities, links, markers } = self.export(&staging).await?;
            let Copied { file: ledger, events } = self.copy_ledger(&staging).await?;
            if self.operations().quiet() != Some(up_to) {
                continue;
            }
            drop(closed);
            let (store_id, incarnation) = self.names().await?;
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let made_at_ms = self.env.utc_now();
            let (format, graph) = (FORMAT, file);
            let manifest = Manifest {
                format,
                version,
                store_id,
                incarnation,
                up_to,
                made_at_ms,
                entities,
                links,
                markers,
                events,
                ledger,
                graph,
            };
            let written = manifest.clone();
            let finish = move || {
                // What contradicts itself now no restore would take then.
                agree(&staging.path(""))
                    .map_err(|why| BackupError::Read { store: "the graph", why: why.to_string() })?;
                staging.finish(&written)
            };
            self.env.blocking(finish).await?;
            return Ok(manifest);
        }
        Err(BackupError::Busy(format!("something came in between {ATTEMPTS} times")))
    }

    async fn names(&self) -> Result<(String, u64), BackupError> {
        let names = access::read(&self.ledger, |sql| Ok((ledger::store_id(sql)?, ledger::incarnation(sql)?))).await;
        let read = |error: &dyn std::fmt::Display| BackupError::Read { store: "the ledger", why: error.to_string() };
        let (store_id, incarnation) = names.map_err(|error| read(&error))?;
        Ok((store_id.ok_or_else(|| read(&"it has no id"))?, incarnation))
    }

    async fn wait_for_quiet(&self) -> Result<TxId, BackupError> {
        let quiet = async {
            loop {
                match self.operations().quiet() {
                    Some(quiet) => return quiet,
                    None => tokio::time::sleep(QUIET_PAUSE).await,
                }
            }
        };
        tokio::time::timeout(QUIET_MAX, quiet)
            .await
            .map_err(|_| BackupError::Busy(format!("transactions are open for over {} s", QUIET_MAX.as_secs())))
    }

    /// The graph, element by element.
    async fn export(&self, staging: &Staging) -> Result<Exported, BackupError> {
        let mut sink = staging.sink(GRAPH_FILE)?;
        let (mut entities, mut links, mut markers) = (0, 0, 0);
        let mut after: Option<String> = None;
        loop {
            let rows = self.page(statements::entities_after(after.as_deref(), PAGE)).await?;
            let Some(last) = rows.last() else { break };
            after = Some(text(last, 0));
            entities += rows.len() as u64;
            sink = self.write(sink, rows.iter().map(|row| held(row, 1)).collect::<Result<_, _>>()?).await?;
        }
        let mut after: Option<[String; 3]> = None;
        loop {
            let from = after.as_ref().map(|key| key.each_ref().map(String::as_str));
            let rows = self.page(statements::links_after(from, PAGE)).await?;
            let Some(last) = rows.last() else { break };
            after = Some([0, 1, 2].map(|index| text(last, index)));
            let rows = rows.iter().filter(|row| !statements::is_cursor(row));
            let elements = rows.map(|row| held(row, 3)).collect::<Result<Vec<_>, _>>()?;
            links += elements.len() as u64;
            sink = self.write(sink, elements).await?;
        }
        let mut after: Option<String> = None;
        loop {
            let rows = self.page(statements::markers_after(after.as_deref(), PAGE)).await?;
            let Some(last) = rows.last() else { break };
            after = Some(text(last, 0));
            markers += rows.len() as u64;
            sink = self.write(sink, rows.iter().map(|row| marker(row)).collect::<Result<_, _>>()?).await?;
        }
        let file = self.env.blocking(move || sink.finish()).await?;
        Ok(Exported { file, entities, links, markers })
    }

    async fn write(&self, mut sink: Sink, elements: Vec<Element>) -> Result<Sink, BackupError> {
        self.env.blocking(move || sink.write(&elements).map(|()| sink)).await
    }

    async fn page(&self, calls: Vec<stores::Call>) -> Result<Rows, BackupError> {
        let read = self.graph.execute(calls, self.graph_limit).await;
        let pages = read.map_err(|error| BackupError::Read { store: "the graph", why: error.to_string() })?;
        Ok(pages.into_iter().next().unwrap_or_default())
    }

    async fn copy_ledger(&self, staging: &Staging) -> Result<Copied, BackupError> {
        let (from, to) = (self.ledger_path.clone(), staging.path(LEDGER_FILE));
        self.env.blocking(move || files::copy_ledger(&from, &to)).await
    }
}

fn text(row: &[Datum], index: usize) -> String {
    row.get(index).and_then(Datum::as_text).unwrap_or_default().to_owned()
}

/// An entity or a link from a row: the texts that name it, then what it is.
fn held(row: &[Datum], width: usize) -> Result<Element, BackupError> {
    let foreign = |why: &dyn std::fmt::Display| BackupError::Read {
        store: "the graph",
        why: format!("{row:?} was not written by the coordinator, reconcile first: {why}"),
    };
    let content = view::content(row.get(width)).map_err(|error| foreign(&error))?;
    let id = |index| text(row, index).parse().map_err(|error: graph::IdError| foreign(&error));
    let subject = match width {
        1 => Subject::Entity(id(0)?),
        _ => Subject::Link { from: id(0)?, kind: content.kind.clone(), to: id(2)? },
    };
    Ok(Element::Held { subject, content })
}

fn marker(row: &[Datum]) -> Result<Element, BackupError> {
    let state = text(row, 1);
    let tx = text(row, 0).parse().ok().filter(|_| [statements::COMMITTED, statements::ABORTED].contains(&&*state));
    let tx = tx.ok_or_else(|| BackupError::Read {
        store: "the graph",
        why: format!("the marker {row:?} was not written by the coordinator"),
    })?;
    Ok(Element::Marker { tx, committed: state == statements::COMMITTED })
}
