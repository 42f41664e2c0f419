//! The ledger's whole content, for comparing it with the graph and for reading by people.

use graph::{CanonicalKey, Edge, EntityId, Kind, Node, Properties, Snapshot, TxId};
use rusqlite::Connection;

use super::isolated::set_apart;
use super::record::LogRecord;
use super::{LedgerError, Record};

/// A transaction in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its name.
    pub tx: TxId,
    /// The client's name for it.
    pub key: String,
    /// `intended`, `committed` or `aborted`.
    pub state: String,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventEntry {
    /// Whose.
    pub resource: EntityId,
    /// Its number among those of the resource, from 1.
    pub sequence: u64,
    /// The transaction that appended it.
    pub tx: TxId,
}

/// Entities and links, in the shape that they have in the graph.
pub fn snapshot(sql: &Connection) -> Result<Snapshot, LedgerError> {
    let mut entities = sql.prepare("SELECT id, kind, properties, key FROM entity")?;
    let nodes = entities.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.map(|row| {
        let (id, kind, properties, key): (String, String, String, Option<String>) = row?;
        let id = entity(&id)?;
        let kind = word(&id, kind)?;
        let key = key.map(CanonicalKey::new).transpose().map_err(|error| damaged(&id, error.to_string()))?;
        Ok(Node::entity(&id, &kind, &map(&id, &properties)?).with_key(&kind, key.as_ref()))
    });
    let nodes = nodes.collect::<Result<_, LedgerError>>()?;
    let mut links = sql.prepare("SELECT source, kind, target, properties FROM link")?;
    let edges = links.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.map(|row| {
        let (source, kind, target, properties): (String, String, String, String) = row?;
        let (source, target) = (entity(&source)?, entity(&target)?);
        Ok(Edge::link(&source, &word(&source, kind)?, &target, &map(&source, &properties)?))
    });
    let edges = edges.collect::<Result<_, LedgerError>>()?;
    Ok(Snapshot::new(nodes, edges))
}

/// The log, oldest first; with what is known of records that were set apart.
pub fn log_entries(sql: &Connection) -> Result<Vec<LogEntry>, LedgerError> {
    let mut entries = Vec::new();
    LogRecord::each(sql, "", |record| {
        entries.push(match record {
            Ok(LogRecord { tx, key, state, .. }) => LogEntry { tx, key, state },
            Err(error) => {
                let record = set_apart(sql, error)?;
                LogEntry { tx: record.tx, state: record.state().to_owned(), key: record.key }
            }
        });
        Ok(())
    })?;
    Ok(entries)
}

/// The events, in the order in which they were appended.
pub fn event_entries(sql: &Connection) -> Result<Vec<EventEntry>, LedgerError> {
    let mut events = sql.prepare("SELECT resource, sequence, tx FROM event ORDER BY position")?;
    let entries = events.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.map(|row| {
        let (resource, sequence, tx): (String, i64, String) = row?;
        let resource = entity(&resource)?;
        let tx = tx.parse().map_err(|error: graph::IdError| damaged(&resource, error.to_string()))?;
        Ok(EventEntry { resource, sequence: sequence.unsigned_abs(), tx })
    });
    entries.collect()
}

fn entity(id: &str) -> Result<EntityId, LedgerError> {
    EntityId::new(id)
        .map_err(|error| LedgerError::Damaged { record: Record::Table("entity"), why: format!("{id:?}: {error}") })
}

fn word(owner: &EntityId, kind: String) -> Result<Kind, LedgerError> {
    Kind::new(kind).map_err(|error| damaged(owner, error.to_string()))
}

fn map(owner: &EntityId, json: &str) -> Result<Properties, LedgerError> {
    serde_json::from_str(json).map_err(|error| damaged(owner, error.to_string()))
}

fn damaged(owner: &EntityId, why: String) -> LedgerError {
    LedgerError::Damaged { record: Record::Entity(owner.clone()), why }
}
