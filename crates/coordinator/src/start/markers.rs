//! Compares the graph's markers with the log.
//!
//! A decision is sent to the graph only after its intent is durable in the log, whatever
//! group of transactions it shared its fsync with: nobody is told that a write is done before
//! its `COMMIT` has returned. A fence is sent for what the log has. So
//!
//! - a marker without a record means that the log has lost the record: acknowledged work is
//!   gone, and must not be built upon. The same holds for a marker `committed` against a record
//!   `aborted`;
//! - a record `committed` without such a marker means that the graph has lost a commit that it
//!   had acknowledged. The log knows what it was, so this is said and not fatal: reads that are
//!   strong compare the stores and refuse what differs.
//!
//! What a dead process had under way may still land after this has looked: it is a marker of an
//! intent that the log has, so nothing is missed and nobody is alarmed in vain. A record that
//! is merely `intended` goes with any marker or none, and so does one that is damaged and was set
//! apart.
//!
//! Each incarnation is compared once, by the first start after it that comes as far as this,
//! which then writes down how far it came. Within an incarnation the markers of transactions
//! that were forgotten are passed over: [`ledger::forgotten`] is the floor, below which records
//! are gone because they are old. Records go strictly in the order of transactions, which is
//! what makes one number enough.

use std::fmt;
use std::ops::RangeInclusive;

use graph::TxId;
use rusqlite::Connection;
use stores::batch::Batcher;
use stores::{Datum, Rows};

use super::{Insistent, read};
use crate::ledger::{self, LedgerError, Standing};
use crate::service::StartError;
use crate::statements;

/// How many markers or records are compared at a time.
const PAGE: u32 = 1_000;

/// How many transactions a finding names at most.
const NAMED_MAX: usize = 10;

/// Something that a start found and that does not keep it from serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The graph was claimed last by an earlier start than the ledger knows of, or by none: it
    /// has come back older than it was.
    GraphIsOlder {
        /// The last start that claimed the graph, as the ledger has it.
        ledger: u64,
        /// The last start that claimed the graph, as the graph has it; 0 is none.
        graph: u64,
    },
    /// The graph has no marker `committed` for transactions that the log has as committed.
    GraphLost {
        /// Whose.
        incarnation: u64,
        /// How many.
        count: u64,
        /// The first of them.
        first: Vec<TxId>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::GraphIsOlder { ledger, graph } => write!(
                f,
                "THE GRAPH IS OLDER THAN THE LEDGER: it knows of start {graph}, and start {ledger} had claimed it; what it has lost is missing from every answer that does not compare the stores: restore both from one backup"
            ),
            Finding::GraphLost { incarnation, count, first } => {
                write!(f, "THE GRAPH HAS LOST {count} ACKNOWLEDGED TRANSACTIONS of start {incarnation} (")?;
                for (index, tx) in first.iter().enumerate() {
                    write!(f, "{}{tx}", if index == 0 { "" } else { ", " })?;
                }
                let more = if *count > first.len() as u64 { ", …" } else { "" };
                write!(f, "{more}): the log has them as committed; restore both from one backup")
            }
        }
    }
}

/// A marker that the log cannot explain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// There is no record of it.
    #[error("the graph has a marker of {0}, of which the log has no record")]
    NoRecord(String),
    /// The log has it as aborted.
    #[error("the graph has {0} as committed, and the log as aborted")]
    Aborted(TxId),
}

/// Compares the markers of these incarnations with the log.
pub(super) async fn compare(
    ledger: &Batcher,
    graph: &Insistent<'_>,
    incarnations: RangeInclusive<u64>,
) -> Result<Vec<Finding>, StartError> {
    let mut findings = Vec::new();
    for incarnation in incarnations {
        let standing = read(ledger, move |sql| ledger::count_committed(sql, incarnation..=incarnation)).await?;
        let found = count_confirmed(ledger, graph, incarnation).await?;
        if found < standing {
            let lost = name_lost(ledger, graph, incarnation).await?;
            findings.push(lost);
        }
    }
    Ok(findings)
}

/// Goes through the markers of an incarnation; returns how many of its committed transactions
/// have theirs.
async fn count_confirmed(ledger: &Batcher, graph: &Insistent<'_>, incarnation: u64) -> Result<u64, StartError> {
    let (mut confirmed, mut after) = (0, None);
    loop {
        let rows = graph.execute(|| statements::markers_of(incarnation, after.as_deref(), PAGE)).await?;
        let markers: Vec<Marker> = rows.iter().flatten().map(|row| marker(row)).collect();
        let Some(last) = markers.last() else { return Ok(confirmed) };
        after = Some(last.id.clone());
        confirmed += read(ledger, move |sql| explain(sql, &markers)).await??;
    }
}

/// A marker as the graph has it.
struct Marker {
    id: String,
    committed: bool,
}

fn marker(row: &[Datum]) -> Marker {
    let text = |index: usize| row.get(index).and_then(Datum::as_text).unwrap_or_default();
    Marker { id: text(0).to_owned(), committed: text(1) == statements::COMMITTED }
}

/// Holds markers against the log; returns how many say committed as the log does.
fn explain(sql: &Connection, markers: &[Marker]) -> Result<Result<u64, Contradiction>, LedgerError> {
    let floor = ledger::forgotten(sql)?;
    let mut confirmed = 0;
    for Marker { id, committed } in markers {
        let Ok(tx) = id.parse::<TxId>() else { return Ok(Err(Contradiction::NoRecord(id.clone()))) };
        if floor.is_some_and(|floor| tx <= floor) {
            continue;
        }
        match (ledger::standing(sql, tx)?, committed) {
            (Standing::Absent, _) => return Ok(Err(Contradiction::NoRecord(id.clone()))),
            (Standing::Aborted, true) => return Ok(Err(Contradiction::Aborted(tx))),
            (Standing::Committed, true) => confirmed += 1,
            (Standing::Intended | Standing::Isolated, _) | (Standing::Aborted | Standing::Committed, false) => {}
        }
    }
    Ok(Ok(confirmed))
}

/// Names the committed transactions of an incarnation that have no marker that says so.
async fn name_lost(ledger: &Batcher, graph: &Insistent<'_>, incarnation: u64) -> Result<Finding, StartError> {
    let (mut count, mut first, mut after) = (0, Vec::new(), 0);
    loop {
        let page = read(ledger, move |sql| ledger::committed_after(sql, incarnation, after, u64::from(PAGE))).await?;
        let Some(last) = page.last() else { return Ok(Finding::GraphLost { incarnation, count, first }) };
        after = last.serial;
        let states = graph.execute(|| statements::read_markers(&page)).await?;
        let is_lost = |rows: &Rows| rows.iter().all(|row| row.first() != Some(&Datum::from(statements::COMMITTED)));
        for (tx, _) in page.iter().zip(&states).filter(|(_, rows)| is_lost(rows)) {
            count += 1;
            if first.len() < NAMED_MAX {
                first.push(*tx);
            }
        }
    }
}
