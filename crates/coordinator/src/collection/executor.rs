//! Carries out the effects of the collection core.

use std::sync::Arc;
use std::time::Duration;

use env::Executor;
use graph::TxId;
use stores::batch::Batcher;
use stores::{Call, Datum, GraphStore, Rows};

use super::{Collection, CollectionEffect, Input};
use crate::{access, ledger, statements};

/// Carries out what the core asks for.
pub(crate) struct CollectionExecutor {
    pub ledger: Batcher,
    pub graph: Arc<dyn GraphStore>,
    pub graph_limit: Duration,
}

impl Executor<Collection> for CollectionExecutor {
    async fn execute(&self, effect: CollectionEffect) -> Option<Input> {
        let done = match effect {
            CollectionEffect::Raise => self.raise().await,
            CollectionEffect::Collect { limit } => self.collect(limit).await,
        };
        Some(done.unwrap_or_else(|reason| {
            tracing::warn!(reason, "old markers stay for now");
            Input::Failed { reason }
        }))
    }
}

impl CollectionExecutor {
    async fn raise(&self) -> Result<Input, String> {
        let (store_id, forgotten, collected) =
            self.read(|sql| Ok((ledger::store_id(sql)?, ledger::forgotten(sql)?, ledger::collected(sql)?))).await?;
        let (Some(store_id), Some(floor)) = (store_id, forgotten) else { return Ok(Input::Raised { pending: false }) };
        if collected.is_some_and(|collected| collected >= floor) {
            return Ok(Input::Raised { pending: false });
        }
        self.graph(statements::raise_floor(&store_id, floor)).await?;
        Ok(Input::Raised { pending: true })
    }

    async fn collect(&self, limit: u32) -> Result<Input, String> {
        // What the graph enforces counts, and no wish.
        let rows = self.graph(statements::read_floor()).await?;
        let Some(enforced) = floor(&rows) else { return Err("the graph has no floor".to_owned()) };
        let (forgotten, collected) = self.read(|sql| Ok((ledger::forgotten(sql)?, ledger::collected(sql)?))).await?;
        let collected = collected.unwrap_or(TxId { incarnation: 1, serial: 0 });
        // A restored graph enforces more than its log has forgotten, and a start holds the log against the markers.
        let floor = forgotten.map_or(collected, |forgotten| enforced.min(forgotten));
        let (markers, reached) = if collected >= floor {
            (Vec::new(), collected)
        } else if collected.incarnation < floor.incarnation {
            // How far that incarnation went nobody knows any more, but all of it is below the floor.
            let rows = self.graph(statements::markers_of(collected.incarnation, None, limit)).await?;
            let ids: Vec<String> =
                rows.iter().flatten().filter_map(|row| row.first()?.as_text()).map(str::to_owned).collect();
            let reached = if ids.is_empty() {
                TxId { incarnation: self.next_incarnation(collected.incarnation, floor.incarnation).await?, serial: 0 }
            } else {
                collected
            };
            (ids, reached)
        } else {
            let last = floor.serial.min(collected.serial + u64::from(limit));
            let named = |serial| TxId { serial, ..collected }.to_string();
            ((collected.serial + 1..=last).map(named).collect(), TxId { serial: last, ..collected })
        };
        let rows =
            if markers.is_empty() { Vec::new() } else { self.graph(statements::delete_markers(&markers)).await? };
        let removed = rows.iter().flatten().filter_map(|row| row.first()?.as_int()).sum::<i64>();
        if reached != collected {
            let write = access::write(&self.ledger, move |sql| ledger::set_collected(sql, reached)).await;
            write.map_err(|error| error.to_string())?;
        }
        Ok(Input::Collected { markers: u32::try_from(removed).unwrap_or(u32::MAX), more: reached < floor })
    }

    /// The first incarnation after one that has a marker, or `end`. A restore leaves out very many at once, so they
    /// are not tried one by one.
    pub(super) async fn next_incarnation(&self, after: u64, end: u64) -> Result<u64, String> {
        let mut next = after + 1;
        while next < end {
            let rows = self.graph(statements::first_marker_from(next)).await?;
            let id = rows.iter().flatten().find_map(|row| row.first()?.as_text());
            let found =
                id.map(|id| id.parse::<TxId>().map_err(|error| format!("the graph has a marker {id:?}: {error}")));
            match found.transpose()? {
                Some(found) if found.incarnation == next => return Ok(next),
                found => next = no_earlier(next, found.map(|tx| tx.incarnation)),
            }
        }
        Ok(end)
    }

    async fn graph(&self, calls: Vec<Call>) -> Result<Vec<Rows>, String> {
        self.graph.execute(calls, self.graph_limit).await.map_err(|error| error.to_string())
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, ledger::LedgerError> + Send + 'static,
    ) -> Result<T, String> {
        access::read(&self.ledger, work).await.map_err(|error| error.to_string())
    }
}

/// The least incarnation that can have a marker, where `next` has none and, in the order of their ids as text, the
/// first one behind it is of `found`.
///
/// Among numbers of the same length the order of text is that of numbers. One that is shorter stands before, and one
/// that is longer behind, all of the same length that begin as it does.
fn no_earlier(next: u64, found: Option<u64>) -> u64 {
    let length = |number: u64| number.checked_ilog10().unwrap_or(0);
    let longer = 10u64.saturating_pow(length(next) + 1);
    let Some(found) = found else { return longer };
    let power = 10u64.saturating_pow(length(found).abs_diff(length(next)));
    if length(found) > length(next) { found / power + 1 } else { found.saturating_mul(power) }
}

/// The floor from the rows of [`READ_FLOOR`](statements::READ_FLOOR).
fn floor(rows: &[Rows]) -> Option<TxId> {
    let row = rows.first()?.first()?;
    let number = |index: usize| u64::try_from(row.get(index).and_then(Datum::as_int)?).ok();
    Some(TxId { incarnation: number(0)?, serial: number(1)? })
}
