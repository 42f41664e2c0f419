//! What the clients saw: a history of operations as Jepsen records them.
//!
//! A client *invokes* an operation and later learns that it took effect (`ok`), that it did not (`fail`), or neither
//! (`info`: a time-out, a lost connection). An `info` operation may take effect at any time after its invocation, or
//! never; so may one that was never completed. The order of the events is the real-time order the checkers use; the
//! time each event carries is for readers.
//!
//! [`History`] is valid by construction: [`History::push`] and deserialisation refuse what no client can have seen.

mod event;
mod operation;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use event::{ClientId, Event, EventKind, Millis, OpId};
pub use operation::{Moment, Operation, Outcome};

/// The events of all clients, in the order in which they happened.
///
/// Serialises as the plain list of its events; reading one back checks it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<Op, Ret> {
    events: Vec<Event<Op, Ret>>,
    /// Where each operation begins and ends in `events`.
    spans: BTreeMap<OpId, Span>,
}

/// The events of one operation, as indices into the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    invoked: usize,
    completed: Option<usize>,
}

impl<Op, Ret> History<Op, Ret> {
    /// A history without events.
    pub fn new() -> Self {
        Self { events: Vec::new(), spans: BTreeMap::new() }
    }

    /// Appends an event.
    ///
    /// An operation id is used once in a history. A client may have several operations open at once.
    pub fn push(&mut self, event: Event<Op, Ret>) -> Result<(), HistoryError> {
        let (op, index) = (event.op, self.events.len());
        if matches!(event.kind, EventKind::Invoke(_)) {
            if let Some(span) = self.spans.get(&op) {
                return Err(HistoryError::InvokedTwice { index, op, first: span.invoked });
            }
            self.spans.insert(op, Span { invoked: index, completed: None });
        } else {
            let Some(span) = self.spans.get_mut(&op) else {
                return Err(HistoryError::NotInvoked { index, op });
            };
            if let Some(first) = span.completed {
                return Err(HistoryError::CompletedTwice { index, op, first });
            }
            let owner = self.events[span.invoked].client;
            if owner != event.client {
                return Err(HistoryError::WrongClient { index, op, owner, client: event.client });
            }
            span.completed = Some(index);
        }
        self.events.push(event);
        Ok(())
    }

    /// Records that `client` invoked `op`, under the id that is returned: one above the highest so far.
    pub fn invoke(&mut self, at: Millis, client: ClientId, op: Op) -> OpId {
        let id = self.spans.last_key_value().map_or(OpId(0), |(last, _)| OpId(last.0 + 1));
        self.spans.insert(id, Span { invoked: self.events.len(), completed: None });
        self.events.push(Event { at, client, op: id, kind: EventKind::Invoke(op) });
        id
    }

    /// Records that operation `op` took effect and answered `ret`.
    pub fn ok(&mut self, at: Millis, op: OpId, ret: Ret) -> Result<(), HistoryError> {
        self.complete(at, op, EventKind::Ok(ret))
    }

    /// Records that operation `op` did not take effect and never will.
    pub fn fail(&mut self, at: Millis, op: OpId, reason: impl Into<String>) -> Result<(), HistoryError> {
        self.complete(at, op, EventKind::Fail(reason.into()))
    }

    /// Records that the client gave up on operation `op` without learning its outcome.
    pub fn info(&mut self, at: Millis, op: OpId, reason: impl Into<String>) -> Result<(), HistoryError> {
        self.complete(at, op, EventKind::Info(reason.into()))
    }

    fn complete(&mut self, at: Millis, op: OpId, kind: EventKind<Op, Ret>) -> Result<(), HistoryError> {
        let Some(span) = self.spans.get(&op) else {
            return Err(HistoryError::NotInvoked { index: self.events.len(), op });
        };
        let client = self.events[span.invoked].client;
        self.push(Event { at, client, op, kind })
    }

    /// All events, oldest first.
    pub fn events(&self) -> &[Event<Op, Ret>] {
        &self.events
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Each operation with its outcome, in the order of their invocations.
    pub fn operations(&self) -> Vec<Operation<&Op, &Ret>> {
        self.operations_after(self.len())
    }

    /// The operations as they stood after the first `events` events: what was open then is [`Outcome::Info`].
    pub fn operations_after(&self, events: usize) -> Vec<Operation<&Op, &Ret>> {
        self.events
            .iter()
            .take(events)
            .enumerate()
            .filter_map(|(index, event)| match &event.kind {
                EventKind::Invoke(op) => Some((index, event, op)),
                _ => None,
            })
            .map(|(index, event, op)| {
                let end = self.spans[&event.op].completed.filter(|end| *end < events);
                Operation {
                    id: event.op,
                    client: event.client,
                    op,
                    invoked: Moment { index, at: event.at },
                    completed: end.map(|index| Moment { index, at: self.events[index].at }),
                    outcome: match end.map(|index| &self.events[index].kind) {
                        Some(EventKind::Ok(ret)) => Outcome::Ok(ret),
                        Some(EventKind::Fail(_)) => Outcome::Fail,
                        _ => Outcome::Info,
                    },
                }
            })
            .collect()
    }
}

impl<Op, Ret> Default for History<Op, Ret> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Op, Ret> TryFrom<Vec<Event<Op, Ret>>> for History<Op, Ret> {
    type Error = HistoryError;

    fn try_from(events: Vec<Event<Op, Ret>>) -> Result<Self, HistoryError> {
        let mut history = Self::new();
        events.into_iter().try_for_each(|event| history.push(event))?;
        Ok(history)
    }
}

impl<Op: Serialize, Ret: Serialize> Serialize for History<Op, Ret> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.events.serialize(serializer)
    }
}

impl<'de, Op: Deserialize<'de>, Ret: Deserialize<'de>> Deserialize<'de> for History<Op, Ret> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

/// One line an event.
impl<Op: fmt::Debug, Ret: fmt::Debug> fmt::Display for History<Op, Ret> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}

/// An event that cannot follow those before it: the recording is wrong, not the system under test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Two invocations have the same id.
    #[error("event {index} invokes {op}, which event {first} had invoked")]
    InvokedTwice {
        /// The index of the refused event.
        index: usize,
        /// The id in question.
        op: OpId,
        /// The index of the first invocation.
        first: usize,
    },
    /// A completion has no invocation before it.
    #[error("event {index} completes {op}, which was never invoked")]
    NotInvoked {
        /// The index of the refused event.
        index: usize,
        /// The id in question.
        op: OpId,
    },
    /// An operation has two completions.
    #[error("event {index} completes {op}, which event {first} had completed")]
    CompletedTwice {
        /// The index of the refused event.
        index: usize,
        /// The id in question.
        op: OpId,
        /// The index of the first completion.
        first: usize,
    },
    /// A client completes another's operation.
    #[error("event {index} of {client} completes {op}, which belongs to {owner}")]
    WrongClient {
        /// The index of the refused event.
        index: usize,
        /// The id in question.
        op: OpId,
        /// Who invoked it.
        owner: ClientId,
        /// Who completed it.
        client: ClientId,
    },
}

#[cfg(test)]
mod tests;
