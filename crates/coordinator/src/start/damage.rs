//! Sets damaged records of the log apart; [`damage`](crate::damage) has the argument.

use graph::TxId;
use rusqlite::Connection;
use stores::Datum;
use stores::batch::Batcher;

use super::{Insistent, read, write};
use crate::damage::{DamagedRecord, Fate};
use crate::ledger::{self, Moment, Resolution, Unsound};
use crate::service::StartError;
use crate::statements;

/// Sets each of these records apart, unless an earlier start has, and returns all that are left to
/// a person. Takes time linear in their number.
pub(super) async fn isolate(
    ledger: &Batcher,
    graph: &Insistent<'_>,
    incarnation: u64,
    now: Moment,
    unsound: Vec<Unsound>,
) -> Result<Vec<DamagedRecord>, StartError> {
    for Unsound { tx, why } in unsound {
        if read(ledger, move |sql| ledger::isolated(sql, tx)).await?.is_some() {
            continue;
        }
        let audited = read(ledger, move |sql| ledger::audited_fate(sql, tx)).await?;
        let fenced = match audited {
            Some(_) => None,
            None => Some(fence(graph, tx).await?),
        };
        let fate = match (audited, fenced) {
            (Some(fate), _) => fate,
            (None, Some(true)) => Fate::GraphOnly,
            (None, _) => Fate::Aborted,
        };
        tracing::error!(%tx, ?fate, "A RECORD OF THE LOG IS DAMAGED and left to a person: {why}");
        let resolution = Resolution { recovered_by: fenced.map(|_| incarnation), fenced };
        let set_apart = move |sql: &Connection| {
            ledger::audit_resolution(sql, tx, resolution, now)?;
            ledger::isolate(sql, tx, &why, fate, now)
        };
        write(ledger, set_apart).await?;
    }
    read(ledger, ledger::open_isolated).await
}

/// Asks until the graph has said, in a transaction that it acknowledged, what the marker is.
async fn fence(graph: &Insistent<'_>, tx: TxId) -> Result<bool, StartError> {
    let rows = graph.execute(|| statements::fence(tx)).await?;
    match rows.first().and_then(|rows| rows.first()).and_then(|row| row.first()).and_then(Datum::as_text) {
        Some(statements::COMMITTED) => Ok(true),
        Some(statements::ABORTED) => Ok(false),
        state => Err(StartError::Marker { tx, state: format!("{state:?}") }),
    }
}
