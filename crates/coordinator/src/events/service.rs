//! The event store of a running coordinator: appends by way of the commit core, reads from SQLite.

use std::time::Duration;

use env::BoxFuture;
use graph::EntityId;
use rusqlite::Connection;
use stores::batch::BatchError;

use super::{Append, AppendFailure, Appended, EventStore, Fed, OnDamage, Page, ReadError, StoredEvent, WAIT_MAX};
use crate::access;
use crate::commit::{Answer, Input};
use crate::ledger::{self, LedgerError};
use crate::service::Coordinator;

impl EventStore for Coordinator {
    fn store(&self) -> &str {
        &self.store_id
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendFailure>> {
        Box::pin(async move {
            append.validate()?;
            let place = self.admit().map_err(AppendFailure::Rejected)?;
            match self.ask(Some(place), |request| Input::Append { request, append }).await {
                Answer::Appended(appended) => Ok(appended),
                Answer::Rejected(rejection) => Err(AppendFailure::Rejected(rejection)),
                Answer::Unknown(_) => Err(AppendFailure::Unknown),
                answer => panic!("the core answered an append with {answer:?}"),
            }
        })
    }

    fn stream<'a>(
        &'a self,
        stream: &'a EntityId,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Page<StoredEvent>, ReadError>> {
        let stream = stream.clone();
        Box::pin(self.read_events(move |sql| ledger::stream_after(sql, &stream, after, limit)))
    }

    fn feed(
        &self,
        after: u64,
        limit: u32,
        wait: Duration,
        on_damage: OnDamage,
    ) -> BoxFuture<'_, Result<Fed, ReadError>> {
        Box::pin(async move {
            let fed = self.read_feed(after, limit, on_damage).await?;
            // Whoever has come further than the store waits for nothing that it means.
            if fed.through != after || wait.is_zero() {
                return Ok(fed);
            }
            let Some(_place) = self.feed.admit() else {
                self.operations().refused_for_overload();
                return Err(ReadError::Overloaded);
            };
            self.feed.wait(after, wait.min(WAIT_MAX)).await;
            self.read_feed(after, limit, on_damage).await
        })
    }

    fn streams<'a>(
        &'a self,
        after: Option<&'a EntityId>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Page<EntityId>, ReadError>> {
        let after = after.cloned();
        Box::pin(self.read_events(move |sql| ledger::streams_after(sql, after.as_ref(), limit)))
    }
}

impl Coordinator {
    /// Answers the readers that wait for events, now and from now on: before the server ends.
    pub fn end_waits(&self) {
        self.feed.end();
    }

    async fn read_feed(&self, after: u64, limit: u32, on_damage: OnDamage) -> Result<Fed, ReadError> {
        let fed = self.read_events(move |sql| ledger::feed_after(sql, after, limit, on_damage)).await?;
        for damaged in &fed.damaged {
            tracing::error!(position = damaged.position, "a damaged event is passed by: {}", damaged.why);
            self.operations().damaged_event_met();
        }
        Ok(fed)
    }

    async fn read_events<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ReadError> {
        access::read(&self.ledger, read).await.map_err(|error| match error {
            BatchError::Refused(LedgerError::DamagedEvent(damaged)) => {
                tracing::error!("{damaged}");
                self.operations().damaged_event_met();
                ReadError::Damaged(damaged)
            }
            error => ReadError::Unavailable(error.to_string()),
        })
    }
}
