//! The ledger's functions through its batcher, and the end of everything where they find damage.

use rusqlite::Connection;
use stores::batch::{BatchError, Batcher, WorkError};

use crate::ledger::LedgerError;

/// Runs a work that writes, in a transaction of its own or a shared one.
pub(crate) async fn write<T: Send + 'static>(
    ledger: &Batcher,
    work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, BatchError<LedgerError>> {
    let guarded = ledger.clone();
    let work = move |sql: &Connection| {
        work(sql).map_err(|error| match error {
            // A failure of SQLite is the batch's to judge; everything else is ours.
            LedgerError::Sqlite(error) => WorkError::Sql(error),
            error => WorkError::Refused(stop(&guarded, error)),
        })
    };
    ledger.submit(work).await
}

/// Runs a work that only reads, in one read transaction.
pub(crate) async fn read<T: Send + 'static>(
    ledger: &Batcher,
    work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, BatchError<LedgerError>> {
    let work = move |sql: &Connection| match work(sql) {
        Ok(value) => Ok(Ok(value)),
        Err(LedgerError::Sqlite(error)) => Err(error),
        Err(error) => Ok(Err(error)),
    };
    // Afterwards: a store that stops during a read does not say what was read.
    ledger.read(work).await?.map_err(|error| BatchError::Refused(stop(ledger, error)))
}

/// Nothing is served past a damaged record: the store stops, and with it the process.
fn stop(ledger: &Batcher, error: LedgerError) -> LedgerError {
    if error.is_damage() {
        ledger.stop(error.to_string());
    }
    error
}
