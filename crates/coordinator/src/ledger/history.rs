//! What the events of an entity or a link make of it: the one account that nothing overwrites.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graph::{CanonicalKey, Content, EntityId, Kind, Operation, Properties, Subject, TxId, Value};
use rusqlite::{Connection, OptionalExtension, params};

use super::{LedgerError, Record};
use crate::reconcile::Logged;

impl Logged {
    /// The last transaction that had to do with the subject.
    pub(super) fn tx(&self) -> Option<TxId> {
        match self {
            Logged::Removed { tx } | Logged::Present { tx, .. } => Some(*tx),
            Logged::Never | Logged::Unreadable(_) => None,
        }
    }
}

/// The events of one entity, those of the links that leave it among them, replayed as far as they go.
///
/// After an event that cannot be read nothing is known but of what a later one states anew, as that of a
/// person's decision does.
///
/// Asked for another link of the same entity it goes on with what was appended since: to look at each link of an
/// entity takes time by the events, and not by their square. What is changed by hand in events that it has replayed it
/// does not see.
#[derive(Debug, Default)]
pub struct Replay {
    resource: Option<EntityId>,
    /// The sequence number of the last event; 0 before the first.
    last: i64,
    said: BTreeMap<Subject, Logged>,
    /// Why nothing of it can be relied on but what was stated since, from the first event that does not read as one.
    broken: Option<String>,
}

impl Replay {
    /// What the events of a subject make of it. Events carry no checksum, so what does not read as one, or
    /// does not go with those before it, is said and stops nobody.
    pub fn of(&mut self, sql: &Connection, subject: &Subject) -> Result<Logged, LedgerError> {
        let resource = subject.resource();
        if self.resource.as_ref() != Some(resource) {
            *self = Replay { resource: Some(resource.clone()), ..Replay::default() };
        }
        self.go_on(sql, resource)?;
        Ok(self.said.get(subject).cloned().unwrap_or_else(|| self.unsaid()))
    }

    /// What is known of what no event has spoken of.
    fn unsaid(&self) -> Logged {
        self.broken.clone().map_or(Logged::Never, Logged::Unreadable)
    }

    fn go_on(&mut self, sql: &Connection, resource: &EntityId) -> Result<(), LedgerError> {
        let mut events = sql.prepare_cached(
            "SELECT sequence, tx, payload FROM event WHERE resource = ?1 AND sequence > ?2 ORDER BY sequence",
        )?;
        let mut rows = events.query(params![resource.as_str(), self.last])?;
        while let Some(row) = rows.next()? {
            let (sequence, tx, payload): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let unreadable = |why: String| format!("event {sequence}: {why}");
            let read = if sequence == self.last + 1 {
                event(&tx, &payload)
            } else {
                Err(format!("event {} is missing", self.last + 1))
            };
            self.last = sequence;
            let (tx, operation) = match read {
                Ok(read) => read,
                Err(why) => {
                    self.said.clear();
                    self.broken.get_or_insert(unreadable(why));
                    continue;
                }
            };
            let subject = subject(resource, &operation);
            let before = self.said.remove(&subject).unwrap_or_else(|| self.unsaid());
            let after = match (before, &operation) {
                (before @ Logged::Unreadable(_), other) if !matches!(other, Operation::Restore { .. }) => before,
                (before, _) => after(before, operation, tx).unwrap_or_else(|why| Logged::Unreadable(unreadable(why))),
            };
            self.said.insert(subject, after);
        }
        Ok(())
    }
}

/// The replay that one pass over the stores keeps from subject to subject; none between two passes.
#[derive(Clone, Debug, Default)]
pub struct Replays(Arc<Mutex<Option<Replay>>>);

impl Replays {
    /// A pass begins to look at the entities or the links.
    pub fn begin(&self) {
        *self.kept() = Some(Replay::default());
    }

    /// The pass is over.
    pub fn end(&self) {
        *self.kept() = None;
    }

    /// See [`Replay::of`]; outside a pass from the events as they are.
    pub(super) fn of(&self, sql: &Connection, subject: &Subject) -> Result<Logged, LedgerError> {
        self.kept().as_mut().unwrap_or(&mut Replay::default()).of(sql, subject)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Replay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sequence number and the transaction of the last event of an entity, those of its links among them.
pub(super) fn last(sql: &Connection, id: &EntityId) -> Result<Option<(i64, String)>, LedgerError> {
    let last = sql
        .prepare_cached("SELECT sequence, tx FROM event WHERE resource = ?1 ORDER BY sequence DESC LIMIT 1")?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(last)
}

/// The transaction of the last event of an entity, those of its links among them.
pub(super) fn last_tx(sql: &Connection, id: &EntityId) -> Result<Option<TxId>, LedgerError> {
    let damaged = |error: graph::IdError| LedgerError::Damaged {
        record: Record::Entity(id.clone()),
        why: format!("the transaction of its last event: {error}"),
    };
    last(sql, id)?.map(|(_, tx)| tx.parse().map_err(damaged)).transpose()
}

fn event(tx: &str, payload: &str) -> Result<(TxId, Operation), String> {
    let tx = tx.parse().map_err(|error: graph::IdError| error.to_string())?;
    Ok((tx, serde_json::from_str(payload).map_err(|error| error.to_string())?))
}

/// What an event of an entity is about: the entity, or a link that leaves it. That events of streams are not among
/// them is for [`after`] to say.
fn subject(resource: &EntityId, operation: &Operation) -> Subject {
    match operation {
        Operation::Create { .. } | Operation::Update { .. } | Operation::Delete { .. } | Operation::Append { .. } => {
            Subject::Entity(resource.clone())
        }
        Operation::Link { from, kind, to, .. } | Operation::Unlink { from, kind, to } => {
            Subject::Link { from: from.clone(), kind: kind.clone(), to: to.clone() }
        }
        Operation::Restore { subject, .. } => subject.clone(),
    }
}

/// What one more event makes of its subject, or why it cannot be one of its events.
fn after(before: Logged, operation: Operation, tx: TxId) -> Result<Logged, String> {
    let present = |kind: Kind, key: Option<CanonicalKey>, properties: Properties| {
        let properties = properties.into_iter().filter(|(_, value)| *value != Value::Null).collect();
        Ok(Logged::Present { content: Content { kind, key, properties }, tx })
    };
    match (operation, before) {
        (Operation::Restore { content: Some(content), .. }, _) => {
            present(content.kind, content.key, content.properties)
        }
        (Operation::Restore { content: None, .. } | Operation::Unlink { .. }, _) => Ok(Logged::Removed { tx }),
        (Operation::Create { kind, key, properties, .. }, Logged::Never | Logged::Removed { .. }) => {
            present(kind, key, properties)
        }
        (Operation::Update { set, .. }, Logged::Present { content, .. }) => {
            let mut properties = content.properties;
            properties.extend(set);
            present(content.kind, content.key, properties)
        }
        (Operation::Delete { .. }, Logged::Present { .. }) => Ok(Logged::Removed { tx }),
        (Operation::Link { kind, properties, .. }, _) => present(kind, None, properties),
        (operation, _) => Err(format!("{operation:?} does not go with the events before it")),
    }
}
