//! The event store: streams of events that are appended to and read, and never changed.
//!
//! | module | what it is |
//! |---|---|
//! | [`envelope`] | an event as it is kept and sent |
//! | `feed` | readers that wait for what comes next |
//! | `service` | the store of a running coordinator |
//! | `timestamp` | the time of an event that came without one |
//!
//! A stream has the events of one resource, numbered from 1 without a gap; what belongs to no resource
//! is in the [system stream](graph::SYSTEM_STREAM). The events of all streams together have positions, from 1
//! without a gap as well. Events come from transactions ([`Operation::Append`](graph::Operation::Append)) and from
//! whoever appends them by themselves ([`Append`]); both are in one SQLite file with the log, so
//! a transaction and its events are one write.
//!
//! # Sequences have no gap
//!
//! A transaction's sequence numbers are fixed at its intent, and it may be in doubt for long before
//! they are filled. So it has the stream's lock alone, from before its intent until after its
//! finish, through crashes as well. Whoever appends by themselves takes the same lock, shared with
//! others like them: their numbers are found and filled in one SQLite transaction, of which there
//! is one at a time. The graph has no part in it; they go on while it is down, unless a
//! transaction on the very stream is in doubt.
//!
//! # Once
//!
//! An id names one event for ever, in all streams. It is locked in the same way, because a
//! transaction in doubt has it already. Whoever does not know what became of an append sends it
//! again under the same ids, and is told where the events are.
//!
//! # A reader never passes a position that is filled later
//!
//! Positions are given in the transaction that writes the event, and SQLite commits one transaction after
//! the other. So whoever sees a position sees all before it, and the last one that a reader sees is
//! what it may go on from ([`Fed::through`]).
//!
//! # What is damaged is not passed by
//!
//! Every event has a checksum, and sequences and positions are followed one by one. A reader gets
//! what is before a damaged or missing event, and from there on [`ReadError::Damaged`]. One that keeps account of each stream
//! by itself, and so misses nothing where it is told that something is missing, may follow the feed past such events: it asks
//! to be told of them ([`OnDamage::Tell`]), each with its place as far as that can still be read.
//!
//! # Another store
//!
//! Nothing that was once read changes, but a store may be replaced: by a backup of it, which is shorter and may go on
//! differently, or by a new one. Positions mean something in one store alone. So the feed says which it is
//! ([`EventStore::store`]) and up to where it goes ([`Fed::last`]), and a reader that finds another id, or has come further than
//! the store has, begins anew.

mod envelope;
mod feed;
mod service;
mod timestamp;

use std::collections::BTreeSet;
use std::time::Duration;

use env::BoxFuture;
use graph::{EntityId, EventId, EventProblem, NewEvent, OPERATIONS_MAX, SYSTEM_STREAM};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::commit::{ContentHash, Rejection};

pub use envelope::{Envelope, Metadata};
pub(crate) use feed::Feed;
pub(crate) use timestamp::rfc3339;

/// How many events are read at once if nobody says otherwise.
pub const PAGE: u32 = 256;

/// How many events are read at once at most.
pub const PAGE_MAX: u32 = 1024;

/// For how long a reader of the feed may wait at most.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// The most events of one [`Append`].
pub const EVENTS_MAX: usize = OPERATIONS_MAX;

/// Events that are to be appended to one stream, all or none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Append {
    /// The stream.
    pub stream: EntityId,
    /// How many events the stream has to have; nobody cares if `None`.
    pub expected: Option<u64>,
    /// What is appended, in this order.
    pub events: Vec<NewEvent>,
}

/// Why an append is malformed: no state of the store would make it acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// It has no event.
    #[error("events: there is none to append")]
    Empty,
    /// It has more than [`EVENTS_MAX`] events.
    #[error("events: at most {EVENTS_MAX} are appended at once, and here are {0}: split them")]
    TooMany(usize),
    /// The resource is a label, which means something in a transaction alone.
    #[error("resource: {0} is a label, which means something in a transaction alone")]
    Label(EntityId),
    /// One of the events is not in order.
    #[error("events[{position}]: {problem}")]
    Event {
        /// Which one, from 0.
        position: usize,
        /// What is wrong with it.
        problem: EventProblem,
    },
    /// Two of the events have one id.
    #[error("events[{position}]: {id} is the id of an event before it")]
    Twice {
        /// Which one, from 0.
        position: usize,
        /// The id.
        id: EventId,
    },
}

impl Append {
    /// Checks everything that can be checked without looking at the store.
    ///
    /// # Errors
    ///
    /// The first thing wrong.
    pub fn validate(&self) -> Result<(), AppendError> {
        match self.events.len() {
            0 => return Err(AppendError::Empty),
            1..=EVENTS_MAX => {}
            count => return Err(AppendError::TooMany(count)),
        }
        if self.stream.is_label() {
            return Err(AppendError::Label(self.stream.clone()));
        }
        let mut ids = BTreeSet::new();
        for (position, event) in self.events.iter().enumerate() {
            event.validate().map_err(|problem| AppendError::Event { position, problem })?;
            if !ids.insert(&event.id) {
                return Err(AppendError::Twice { position, id: event.id.clone() });
            }
        }
        Ok(())
    }
}

/// The hash of an event as its writer sent it: what a repetition has to match.
pub(crate) fn content_hash(stream: &EntityId, event: &NewEvent) -> ContentHash {
    let text = serde_json::to_string(&(stream, event)).expect("an event is always valid JSON");
    let digest = Sha256::digest(text.as_bytes());
    ContentHash(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Where events were appended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placed {
    /// The stream.
    pub stream: EntityId,
    /// The sequence number of the first of them.
    pub first: u64,
    /// The sequence number of the last of them.
    pub last: u64,
    /// The position of the last of them among the events of all streams.
    pub position: u64,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Appended {
    /// The events are in the stream, durably.
    New(Placed),
    /// They were already, one after the other, with the same content.
    Repeated(Placed),
    /// The stream has another number of events than was expected. Nothing was appended.
    VersionConflict {
        /// How many it has.
        actual: u64,
    },
    /// There is an event of this id, and not all is as it was when that was appended: its
    /// content, its stream or the events beside it. Nothing was appended.
    EventIdReused(EventId),
    /// Whether the events are there cannot be told: one that may be theirs is damaged, and will be until a person
    /// has dealt with it. Nothing was appended.
    Damaged(DamagedEvent),
}

/// Why an append has no answer of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendFailure {
    /// It is malformed.
    #[error(transparent)]
    Malformed(#[from] AppendError),
    /// Nothing was done.
    #[error(transparent)]
    Rejected(Rejection),
    /// The events may be in the stream or may still get there; the same append, sent again, tells.
    #[error("the events may have been appended or not: send the same again")]
    Unknown,
}

/// An event as it is read.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its position among the events of all streams, from 1.
    pub position: u64,
    /// Its stream.
    pub stream: EntityId,
    /// Its number in its stream, from 1.
    pub sequence: u64,
    /// An [`Envelope`], byte for byte as it was written.
    pub envelope: Box<RawValue>,
}

/// Some of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// They.
    pub items: Vec<T>,
    /// Whether there are more.
    pub more: bool,
}

/// Events of all streams, in order of their positions.
#[derive(Clone, Debug)]
pub struct Fed {
    /// They.
    pub events: Vec<StoredEvent>,
    /// Positions at which there are no events that could be read; none unless they were [asked for](OnDamage::Tell).
    pub damaged: Vec<DamagedPosition>,
    /// There are no others up to this position, nor ever will be.
    pub through: u64,
    /// The last position that was given in the store: where it is [`through`](Self::through), there is nothing more.
    pub last: u64,
}

/// What the feed does at an event that is damaged or missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDamage {
    /// It ends before the event, and refuses whoever asks for what follows.
    #[default]
    Stop,
    /// It goes on behind it, and says so.
    Tell,
}

/// A position of the feed whose event is damaged or missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedPosition {
    /// The position.
    pub position: u64,
    /// The stream that the event says it is of, and its number there: not to be relied on, for they may be what is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claim>,
    /// What is wrong.
    pub why: String,
}

/// Where a damaged event says that it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The stream.
    pub stream: EntityId,
    /// Its number there, from 1.
    pub sequence: u64,
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The next event is not what was written, or is gone. It will be so until a person has
    /// dealt with it.
    #[error("{0}")]
    Damaged(DamagedEvent),
    /// Too many readers wait for events.
    #[error("too many readers wait for events")]
    Overloaded,
    /// The store could not be read; the same may be asked again.
    #[error("{0}")]
    Unavailable(String),
}

/// An event that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("the event {place} is damaged: {why}; restore the data folder from a backup, or repair the event by hand")]
pub struct DamagedEvent {
    /// Where it is: a stream and a sequence number, or a position.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// A store of events.
pub trait EventStore: Send + Sync {
    /// Which store it is: a restored one has another id than the one that was backed up.
    fn store(&self) -> &str;

    /// Appends events, and answers when they are durable.
    ///
    /// # Errors
    ///
    /// See [`AppendFailure`].
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendFailure>>;

    /// Up to `limit` events of a stream after this sequence number, in order and without a gap.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    fn stream<'a>(
        &'a self,
        stream: &'a EntityId,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'a, Result<Page<StoredEvent>, ReadError>>;

    /// Up to `limit` events of all streams after this position. Waits up to `wait` while there is none, unless the store
    /// ends before the position.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    fn feed(
        &self,
        after: u64,
        limit: u32,
        wait: Duration,
        on_damage: OnDamage,
    ) -> BoxFuture<'_, Result<Fed, ReadError>>;

    /// Up to `limit` streams that have events, after this one, sorted by name.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    fn streams<'a>(
        &'a self,
        after: Option<&'a EntityId>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Page<EntityId>, ReadError>>;
}

/// Whether it is the stream of what belongs to no resource.
pub(crate) fn is_system(stream: &EntityId) -> bool {
    stream.as_str() == SYSTEM_STREAM
}

#[cfg(test)]
mod tests;
