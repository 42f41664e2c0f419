//! What the events of an entity or a link make of it: the one account that nothing overwrites.

use graph::{CanonicalKey, Content, EntityId, Kind, Operation, Properties, Subject, TxId, Value};
use rusqlite::{Connection, OptionalExtension};

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

/// Replays the events of a subject. Events carry no checksum, so what does not read as one, or
/// does not go with those before it, is said and stops nobody.
pub fn of(sql: &Connection, subject: &Subject) -> Result<Logged, LedgerError> {
    let mut events =
        sql.prepare_cached("SELECT sequence, tx, payload FROM event WHERE resource = ?1 ORDER BY sequence")?;
    let mut rows = events.query([subject.resource().as_str()])?;
    let (mut logged, mut expected) = (Logged::Never, 1);
    while let Some(row) = rows.next()? {
        let (sequence, tx, payload): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let unreadable = |why: String| Ok(Logged::Unreadable(format!("event {sequence}: {why}")));
        if sequence != expected {
            return unreadable(format!("event {expected} is missing"));
        }
        expected += 1;
        let tx = match tx.parse::<TxId>() {
            Ok(tx) => tx,
            Err(error) => return unreadable(error.to_string()),
        };
        let operation = match serde_json::from_str::<Operation>(&payload) {
            Ok(operation) => operation,
            Err(error) => return unreadable(error.to_string()),
        };
        logged = match after(logged, subject, operation, tx) {
            Ok(logged) => logged,
            Err(why) => return unreadable(why),
        };
    }
    Ok(logged)
}

/// The transaction of the last event of an entity, those of its links among them.
pub(super) fn last_tx(sql: &Connection, id: &EntityId) -> Result<Option<TxId>, LedgerError> {
    let last: Option<String> = sql
        .prepare_cached("SELECT tx FROM event WHERE resource = ?1 ORDER BY sequence DESC LIMIT 1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    let damaged = |error: graph::IdError| LedgerError::Damaged {
        record: Record::Entity(id.clone()),
        why: format!("the transaction of its last event: {error}"),
    };
    last.map(|tx| tx.parse().map_err(damaged)).transpose()
}

/// What one more event makes of a subject, or why it cannot be one of them.
fn after(logged: Logged, subject: &Subject, operation: Operation, tx: TxId) -> Result<Logged, String> {
    let present = |kind: Kind, key: Option<CanonicalKey>, properties: Properties| {
        let properties = properties.into_iter().filter(|(_, value)| *value != Value::Null).collect();
        Ok(Logged::Present { content: Content { kind, key, properties }, tx })
    };
    match (operation, subject, logged) {
        (Operation::Restore { subject: restored, .. }, _, logged) if restored != *subject => Ok(logged),
        (Operation::Restore { content: Some(content), .. }, _, _) => {
            present(content.kind, content.key, content.properties)
        }
        (Operation::Restore { content: None, .. }, _, _) => Ok(Logged::Removed { tx }),
        (
            Operation::Create { kind, key, properties, .. },
            Subject::Entity(_),
            Logged::Never | Logged::Removed { .. },
        ) => present(kind, key, properties),
        (Operation::Update { set, .. }, Subject::Entity(_), Logged::Present { content, .. }) => {
            let mut properties = content.properties;
            properties.extend(set);
            present(content.kind, content.key, properties)
        }
        (Operation::Delete { .. }, Subject::Entity(_), Logged::Present { .. }) => Ok(Logged::Removed { tx }),
        (
            operation @ (Operation::Create { .. } | Operation::Update { .. } | Operation::Delete { .. }),
            subject,
            logged,
        ) => match subject {
            Subject::Entity(_) => Err(format!("{operation:?} does not go with the events before it")),
            Subject::Link { .. } => Ok(logged),
        },
        (Operation::Link { from, kind, to, properties }, subject, logged) => {
            if *subject != (Subject::Link { from, kind: kind.clone(), to }) {
                return Ok(logged);
            }
            present(kind, None, properties)
        }
        (Operation::Append { .. }, ..) => Err("an event of a stream is not among those of an entity".to_owned()),
        (Operation::Unlink { from, kind, to }, subject, logged) => {
            if *subject != (Subject::Link { from, kind, to }) {
                return Ok(logged);
            }
            Ok(Logged::Removed { tx })
        }
    }
}
