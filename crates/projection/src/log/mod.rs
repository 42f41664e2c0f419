//! The log that the projection reads, and how it is read over HTTP.

mod http;

use std::fmt;
use std::sync::Arc;

use env::BoxFuture;
use graph::EntityId;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Position};

pub use http::{HttpLog, HttpLogOptions, PAGE_MAX};

/// A log of events. Nothing that was once read from it changes, unless it is replaced by another one: then it has another
/// [id](LogId), or ends before what was read.
pub trait EventLog: Send + Sync + 'static {
    /// Up to `limit` events of a resource after this sequence, in order and without holes. An event that stands there
    /// and cannot be understood is [malformed](crate::event::Content::Malformed).
    fn stream<'a>(
        &'a self,
        resource: &'a EntityId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Arc<Event>>, LogError>>;

    /// Up to `limit` events after this global position, in order. Waits for a while if there are none.
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

/// Which log it is. Sequences and positions mean something in one log alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub String);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Events of the log in its own order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fed {
    /// The log that they are of.
    pub log: LogId,
    /// They, each with its global position.
    pub events: Vec<(u64, Arc<Event>)>,
    /// Events among them that cannot be read, in order.
    pub unread: Vec<Unread>,
    /// There are no others up to this position, nor ever will be.
    pub through: u64,
    /// The last position that the log has; less than what was asked for where the log is another one.
    pub last: u64,
}

/// An event of the log that is there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Unread {
    /// Its global position.
    pub position: u64,
    /// Its place in a stream, if it says so. It may be wrong: what the stream has there only the log can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Position>,
    /// What is wrong.
    pub why: String,
}

/// Why the log was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It did not answer, or not with what was asked for; the same may be asked again.
    #[error("the log cannot be read: {0}")]
    Unreached(String),
    /// It answered that the next event is damaged. That is so until a person has dealt with it, and concerns nothing
    /// but the stream that was asked for.
    #[error("the log has a damaged event: {0}")]
    Damaged(String),
}
