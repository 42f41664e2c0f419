//! The entities and links, and what an operation does to them.

use std::collections::BTreeMap;

use graph::{
    CanonicalKey, Content, EntityId, Kind, Operation, Patch, Properties, Refusal, Subject, TxId, Value, stream_of,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{EventSlot, LedgerError, Record, history, stored};

/// An entity as SQLite has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its type.
    pub kind: Kind,
    /// Its canonical key, if it has one.
    pub key: Option<CanonicalKey>,
    /// Its properties.
    pub properties: Properties,
    /// The sequence number of its last event.
    pub version: u64,
    /// The transaction that wrote it last.
    pub tx: TxId,
}

/// Reads an entity.
pub fn load(sql: &Connection, id: &EntityId) -> Result<Option<Row>, LedgerError> {
    let mut statement = sql.prepare_cached("SELECT kind, properties, version, tx, key FROM entity WHERE id = ?1")?;
    let columns = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(String, String, i64, String, Option<String>)> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    };
    let Some((kind, properties, version, tx, key)) = statement.query_row([id.as_str()], columns).optional()? else {
        return Ok(None);
    };
    let damaged = |why: String| LedgerError::Damaged { record: Record::Entity(id.clone()), why };
    Ok(Some(Row {
        kind: Kind::new(kind).map_err(|error| damaged(error.to_string()))?,
        key: key.map(CanonicalKey::new).transpose().map_err(|error| damaged(error.to_string()))?,
        properties: serde_json::from_str(&properties).map_err(|error| damaged(error.to_string()))?,
        version: u64::try_from(version).map_err(|error| damaged(error.to_string()))?,
        tx: tx.parse().map_err(|error: graph::IdError| damaged(error.to_string()))?,
    }))
}

/// The entity that has a canonical key.
pub fn holder(sql: &Connection, kind: &Kind, key: &CanonicalKey) -> Result<Option<EntityId>, LedgerError> {
    let id: Option<String> = sql
        .prepare_cached("SELECT id FROM entity WHERE kind = ?1 AND key = ?2")?
        .query_row([kind.as_str(), key.as_str()], |row| row.get(0))
        .optional()?;
    let damaged =
        |error: graph::IdError| LedgerError::Damaged { record: Record::Table("entity"), why: error.to_string() };
    id.map(|id| EntityId::new(id).map_err(damaged)).transpose()
}

/// Refuses a key that another entity has.
fn require_free(
    sql: &Connection,
    id: &EntityId,
    kind: &Kind,
    key: Option<&CanonicalKey>,
) -> Result<Result<(), Refusal>, LedgerError> {
    let Some(key) = key else { return Ok(Ok(())) };
    Ok(match holder(sql, kind, key)? {
        Some(by) if by != *id => Err(Refusal::KeyTaken { kind: kind.clone(), key: key.clone(), by }),
        _ => Ok(()),
    })
}

/// Applies the operations in order; stops at the first that does not fit.
///
/// The caller undoes what was done before it. `slots` are those of [`slots`] for the same
/// patch.
pub(super) fn apply(
    sql: &Connection,
    tx: TxId,
    patch: &Patch,
    slots: &[EventSlot],
) -> Result<Result<(), Refusal>, LedgerError> {
    for (operation, slot) in patch.operations.iter().zip(slots) {
        if let Err(refusal) = apply_one(sql, tx, operation, slot)? {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok(()))
}

/// Applies the operations of a transaction that the graph has decided, whatever stands in
/// their way, and returns what did.
///
/// They fitted when the intent was written, and their entities were locked ever since. If
/// they do not fit any more, somebody changed the rows behind the coordinator's back; the
/// decision stands all the same.
pub(super) fn apply_decided(
    sql: &Connection,
    tx: TxId,
    patch: &Patch,
    slots: &[EventSlot],
) -> Result<Vec<Refusal>, LedgerError> {
    let mut overridden = Vec::new();
    for (operation, slot) in patch.operations.iter().zip(slots) {
        if let Err(refusal) = apply_one(sql, tx, operation, slot)? {
            clear_the_way(sql, operation)?;
            // What still does not fit then has nothing left to do, like deleting what is gone.
            let _ = apply_one(sql, tx, operation, slot)?;
            overridden.push(refusal);
        }
    }
    Ok(overridden)
}

/// Removes what keeps an operation from being applied.
fn clear_the_way(sql: &Connection, operation: &Operation) -> Result<(), LedgerError> {
    match operation {
        Operation::Create { id, kind, key, .. } => {
            clear_key(sql, id, kind, key.as_ref())?;
            sql.execute("DELETE FROM entity WHERE id = ?1", [id.as_str()])?
        }
        Operation::Delete { id } => sql.execute("DELETE FROM link WHERE source = ?1 OR target = ?1", [id.as_str()])?,
        Operation::Link { from, kind, to, .. } => sql.execute(
            "DELETE FROM link WHERE source = ?1 AND kind = ?2 AND target = ?3",
            [from.as_str(), kind.as_str(), to.as_str()],
        )?,
        Operation::Restore { subject: Subject::Entity(id), content: None, .. } => {
            sql.execute("DELETE FROM link WHERE source = ?1 OR target = ?1", [id.as_str()])?
        }
        Operation::Restore { subject: Subject::Entity(id), content: Some(Content { kind, key, .. }), .. } => {
            clear_key(sql, id, kind, key.as_ref())?
        }
        Operation::Update { .. } | Operation::Unlink { .. } | Operation::Restore { .. } | Operation::Append { .. } => 0,
    };
    Ok(())
}

/// Takes a key from the entity that has it, unless that is the one it is for: the other one is
/// still there then, and differs from what the graph has.
fn clear_key(sql: &Connection, id: &EntityId, kind: &Kind, key: Option<&CanonicalKey>) -> Result<usize, LedgerError> {
    let Some(key) = key else { return Ok(0) };
    Ok(sql.execute(
        "UPDATE entity SET key = NULL WHERE kind = ?1 AND key = ?2 AND id <> ?3",
        [kind.as_str(), key.as_str(), id.as_str()],
    )?)
}

/// The next free sequence numbers of the entities that the patch changes and of the streams that it
/// appends to, one an operation. `origin` is the transaction of the last event of what a repair puts back.
pub(super) fn slots(sql: &Connection, patch: &Patch, origin: Option<TxId>) -> Result<Vec<EventSlot>, LedgerError> {
    let mut entities = Counted::default();
    let mut streams = Counted::default();
    let slot = |operation: &Operation| {
        let (resource, sequence) = match operation {
            Operation::Append { resource, .. } => {
                streams.next(stream_of(resource.as_ref()), 1, |stream| stored::last_sequence(sql, stream))?
            }
            operation => {
                let step = u64::from(has_event(operation));
                entities.next(subject(operation).clone(), step, |entity| last_version(sql, entity))?
            }
        };
        let is_link = matches!(operation, Operation::Restore { subject: Subject::Link { .. }, logged: true, .. });
        Ok(EventSlot { resource, sequence, origin: origin.filter(|_| is_link) })
    };
    patch.operations.iter().map(slot).collect()
}

/// The last sequence number of each, those included that the patch gives out.
#[derive(Default)]
struct Counted(BTreeMap<EntityId, u64>);

impl Counted {
    fn next(
        &mut self,
        resource: EntityId,
        step: u64,
        last: impl FnOnce(&EntityId) -> Result<u64, LedgerError>,
    ) -> Result<(EntityId, u64), LedgerError> {
        let known = self.0.get(&resource).copied();
        let sequence = known.map_or_else(|| last(&resource), Ok)? + step;
        self.0.insert(resource.clone(), sequence);
        Ok((resource, sequence))
    }
}

fn last_version(sql: &Connection, entity: &EntityId) -> Result<u64, LedgerError> {
    let query = "SELECT max(sequence) FROM event WHERE resource = ?1";
    let last: Option<i64> = sql.prepare_cached(query)?.query_row([entity.as_str()], |row| row.get(0))?;
    Ok(last.map_or(0, i64::unsigned_abs))
}

/// The entity whose version an operation raises: for a link, the one it leaves.
fn subject(operation: &Operation) -> &EntityId {
    match operation {
        Operation::Create { id, .. } | Operation::Update { id, .. } | Operation::Delete { id } => id,
        Operation::Link { from, .. } | Operation::Unlink { from, .. } => from,
        Operation::Restore { subject, .. } => subject.resource(),
        Operation::Append { .. } => panic!("an event of a stream is no change of an entity"),
    }
}

/// Whether an operation adds to the history of its entity: all do but those that restore what it
/// says, and events of streams.
pub(super) fn has_event(operation: &Operation) -> bool {
    !matches!(operation, Operation::Restore { logged: true, .. } | Operation::Append { .. })
}

fn apply_one(
    sql: &Connection,
    tx: TxId,
    operation: &Operation,
    slot: &EventSlot,
) -> Result<Result<(), Refusal>, LedgerError> {
    let version = i64::try_from(slot.sequence).expect("sequence numbers fit into 63 bits");
    match operation {
        Operation::Create { id, kind, key, properties } => {
            if load(sql, id)?.is_some() {
                return Ok(Err(Refusal::EntityExists(id.clone())));
            }
            let content = Content { kind: kind.clone(), key: key.clone(), properties: properties.clone() };
            put(sql, id, &content, version, tx)
        }
        Operation::Update { id, set } => {
            let Some(row) = load(sql, id)? else { return Ok(Err(Refusal::NoSuchEntity(id.clone()))) };
            let mut properties = row.properties;
            properties.extend(set.clone());
            let updated = sql
                .prepare_cached("UPDATE entity SET properties = ?2, version = ?3, tx = ?4 WHERE id = ?1")?
                .execute(params![id.as_str(), json(&present(&properties)), version, tx.to_string()])?;
            Ok(changed(updated, || Refusal::NoSuchEntity(id.clone())))
        }
        Operation::Delete { id } => {
            if is_linked(sql, id)? {
                return Ok(Err(Refusal::StillLinked(id.clone())));
            }
            let deleted = sql.prepare_cached("DELETE FROM entity WHERE id = ?1")?.execute([id.as_str()])?;
            Ok(changed(deleted, || Refusal::NoSuchEntity(id.clone())))
        }
        Operation::Link { from, kind, to, properties } => {
            for end in [from, to] {
                if load(sql, end)?.is_none() {
                    return Ok(Err(Refusal::NoSuchEntity(end.clone())));
                }
            }
            let inserted = sql
                .prepare_cached("INSERT INTO link (source, kind, target, properties, tx) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
                .execute(params![from.as_str(), kind.as_str(), to.as_str(), json(&present(properties)), tx.to_string()])?;
            touch(sql, from, version, tx)?;
            Ok(changed(inserted, || Refusal::LinkExists { from: from.clone(), kind: kind.clone(), to: to.clone() }))
        }
        Operation::Unlink { from, kind, to } => {
            let deleted = sql
                .prepare_cached("DELETE FROM link WHERE source = ?1 AND kind = ?2 AND target = ?3")?
                .execute([from.as_str(), kind.as_str(), to.as_str()])?;
            touch(sql, from, version, tx)?;
            Ok(changed(deleted, || Refusal::NoSuchLink { from: from.clone(), kind: kind.clone(), to: to.clone() }))
        }
        Operation::Restore { subject: Subject::Entity(id), content, logged } => {
            let tx = if *logged { history::last_tx(sql, id)?.unwrap_or(tx) } else { tx };
            restore_entity(sql, id, content.as_ref(), version, tx)
        }
        Operation::Restore { subject, content, logged } => {
            let restored = restore_link(sql, subject, content.as_ref(), slot.origin.unwrap_or(tx))?;
            if restored.is_ok() && !logged {
                touch(sql, subject.resource(), version, tx)?;
            }
            Ok(restored)
        }
        // It is inserted at the end, where there is an outcome.
        Operation::Append { event, .. } => {
            let stored = stored::is_stored(sql, &event.id)?;
            Ok(if stored { Err(Refusal::EventExists(event.id.clone())) } else { Ok(()) })
        }
    }
}

fn restore_entity(
    sql: &Connection,
    id: &EntityId,
    content: Option<&Content>,
    version: i64,
    tx: TxId,
) -> Result<Result<(), Refusal>, LedgerError> {
    let Some(content) = content else {
        if is_linked(sql, id)? {
            return Ok(Err(Refusal::StillLinked(id.clone())));
        }
        sql.prepare_cached("DELETE FROM entity WHERE id = ?1")?.execute([id.as_str()])?;
        return Ok(Ok(()));
    };
    put(sql, id, content, version, tx)
}

/// Makes the row of an entity what it is said to be, unless its key belongs to another one.
fn put(
    sql: &Connection,
    id: &EntityId,
    content: &Content,
    version: i64,
    tx: TxId,
) -> Result<Result<(), Refusal>, LedgerError> {
    let Content { kind, key, properties } = content;
    if let Err(refusal) = require_free(sql, id, kind, key.as_ref())? {
        return Ok(Err(refusal));
    }
    // Not a replacement: that would remove whatever stands against an index.
    sql.prepare_cached(
        "INSERT INTO entity (id, kind, properties, version, tx, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET kind = ?2, properties = ?3, version = ?4, tx = ?5, key = ?6",
    )?
    .execute(params![
        id.as_str(),
        kind.as_str(),
        json(&present(properties)),
        version,
        tx.to_string(),
        key.as_ref().map(CanonicalKey::as_str)
    ])?;
    Ok(Ok(()))
}

fn restore_link(
    sql: &Connection,
    subject: &Subject,
    content: Option<&Content>,
    tx: TxId,
) -> Result<Result<(), Refusal>, LedgerError> {
    let Subject::Link { from, kind, to } = subject else { panic!("{subject} is no link") };
    let Some(Content { properties, .. }) = content else {
        sql.prepare_cached("DELETE FROM link WHERE source = ?1 AND kind = ?2 AND target = ?3")?.execute([
            from.as_str(),
            kind.as_str(),
            to.as_str(),
        ])?;
        return Ok(Ok(()));
    };
    for end in [from, to] {
        if load(sql, end)?.is_none() {
            return Ok(Err(Refusal::NoSuchEntity(end.clone())));
        }
    }
    sql.prepare_cached(
        "INSERT OR REPLACE INTO link (source, kind, target, properties, tx) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![from.as_str(), kind.as_str(), to.as_str(), json(&present(properties)), tx.to_string()])?;
    Ok(Ok(()))
}

/// Whether a link touches an entity.
pub(super) fn is_linked(sql: &Connection, id: &EntityId) -> Result<bool, LedgerError> {
    Ok(sql
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM link WHERE source = ?1 OR target = ?1)")?
        .query_row([id.as_str()], |row| row.get(0))?)
}

/// Raises the version of an entity whose links changed.
fn touch(sql: &Connection, id: &EntityId, version: i64, tx: TxId) -> Result<(), LedgerError> {
    sql.prepare_cached("UPDATE entity SET version = ?2, tx = ?3 WHERE id = ?1")?.execute(params![
        id.as_str(),
        version,
        tx.to_string()
    ])?;
    Ok(())
}

fn changed(rows: usize, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if rows == 0 { Err(refusal()) } else { Ok(()) }
}

/// A null property is an absent one, as in the graph.
fn present(properties: &Properties) -> Properties {
    properties.iter().filter(|(_, value)| **value != Value::Null).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn json(properties: &Properties) -> String {
    serde_json::to_string(properties).expect("properties are always valid JSON")
}
