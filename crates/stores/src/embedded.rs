//! A property graph in an SQLite file: a graph database without a server.
//!
//! Transactions are serializable, for one writer runs them one after another, and durable,
//! for the file is opened by [`sqlite::open`](crate::sqlite::open). Concurrent ones share
//! an fsync, see [`batch`](crate::batch).

mod session;

use std::path::Path;
use std::time::Duration;

use env::{BoxFuture, Env};
use graph::Snapshot;

use crate::batch::{BatchError, Batcher, WorkError};
use crate::memory::store::unconstrainable;
use crate::sqlite::{Check, OpenError, Schema, SqlFailure, look_again};
use crate::{Call, GraphError, GraphStore, Rows, Uniqueness, run_calls};
use session::Session;

/// `sqgr` in ASCII.
const SCHEMA: Schema = Schema {
    application_id: 0x7371_6772,
    migrations: &[
        include_str!("embedded/schema.sql"),
        include_str!("embedded/text_order.sql"),
        include_str!("embedded/edge_between.sql"),
    ],
};

/// How many transactions at most share an fsync.
const BATCH_MAX: usize = 256;

/// A property graph in an SQLite file; cheap to clone.
#[derive(Clone)]
pub struct EmbeddedGraph(Batcher);

impl EmbeddedGraph {
    /// Opens the file, or creates it. It is closed when the last clone is dropped. One that looks damaged is looked at
    /// again before that is believed; see [`look_again`].
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub async fn open(env: &Env, path: &Path, check: Check) -> Result<EmbeddedGraph, OpenError> {
        let open = async || Batcher::open(env, path, &SCHEMA, check, BATCH_MAX).await;
        Ok(EmbeddedGraph(look_again(OpenError::looks_damaged, open).await?))
    }

    /// Everything that is committed.
    ///
    /// # Errors
    ///
    /// See [`Batcher::read`].
    pub async fn snapshot(&self) -> Result<Snapshot, SqlFailure> {
        self.0.read(session::snapshot).await
    }

    /// Resolves when the last clone is gone and the file is closed.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.0.closed()
    }

    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session<'_>) -> Result<T, GraphError> + Send + 'static,
    ) -> Result<T, GraphError> {
        let submitted = self.0.submit(move |connection| {
            let mut session = Session::new(connection);
            let result = work(&mut session);
            // A failure of SQLite is the batch's to judge, whatever the work made of it.
            match session.into_failure() {
                Some(error) => Err(WorkError::Sql(error)),
                None => result.map_err(WorkError::Refused),
            }
        });
        submitted.await.map_err(|error| match error {
            BatchError::Refused(error) => error,
            BatchError::Sql(SqlFailure::Unknown { why }) => GraphError::Unknown { why },
            BatchError::Sql(SqlFailure::NotDone { why, full }) => {
                let code = if full { "StorageFull" } else { "Storage" };
                GraphError::Refused { code: code.to_owned(), message: why, retryable: true }
            }
            BatchError::Sql(SqlFailure::Stopped { why, damaged }) => {
                let code = if damaged { GraphError::DAMAGED } else { "StorageStopped" };
                GraphError::Refused { code: code.to_owned(), message: why, retryable: false }
            }
        })
    }
}

impl GraphStore for EmbeddedGraph {
    fn execute(&self, calls: Vec<Call>, limit: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>> {
        Box::pin(async move {
            let transaction = self.transact(move |session| run_calls(session, &calls));
            tokio::time::timeout(limit, transaction).await.unwrap_or_else(|_| {
                // It stays in the queue and may be committed yet.
                Err(GraphError::Unknown { why: format!("no answer within {} ms", limit.as_millis()) })
            })
        })
    }

    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>> {
        Box::pin(async move {
            let constraints = constraints.to_vec();
            let constrain = move |session: &mut Session<'_>| {
                let one = |unique: &Uniqueness| session.constrain(unique.label, unique.property);
                constraints.iter().try_for_each(one).map_err(unconstrainable)
            };
            self.transact(constrain).await
        })
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Vec::new() })
    }

    fn failed(&self) -> BoxFuture<'_, String> {
        Box::pin(self.0.failed())
    }
}
