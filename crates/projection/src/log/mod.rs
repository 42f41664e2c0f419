//! The log that the projection reads, and how it is read over HTTP.

mod http;

use std::sync::Arc;

use env::BoxFuture;
use graph::EntityId;
use serde::{Deserialize, Serialize};

use crate::event::Event;

pub use http::{HttpLog, HttpLogOptions, PAGE_MAX};

/// A log of events. Nothing that was once read from it changes.
pub trait EventLog: Send + Sync + 'static {
    /// Up to `limit` events of a resource after this sequence, in order and without holes.
    fn stream<'a>(
        &'a self,
        resource: &'a EntityId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Arc<Event>>, LogError>>;

    /// Up to `limit` events after this global position, each with its own, in order; and the
    /// position up to which there are no others, nor ever will be. Waits for a while if there are none.
    fn feed(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Fed, LogError>>;

    /// Up to `limit` resources that have events, after this one, sorted.
    fn resources<'a>(
        &'a self,
        after: Option<&'a EntityId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<EntityId>, LogError>>;
}

/// Some of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// They.
    pub items: Vec<T>,
    /// Whether there are more.
    pub more: bool,
}

/// Events of the log in its own order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fed {
    /// They, each with its global position.
    pub events: Vec<(u64, Arc<Event>)>,
    /// There are no others up to this position.
    pub through: u64,
}

/// Why the log was not read; the same may be asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be read: {0}")]
pub struct LogError(pub String);
