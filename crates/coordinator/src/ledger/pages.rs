//! Entities and links in order, a page at a time, and one by one.

use graph::{CanonicalKey, Content, EntityId, Kind, Subject};
use rusqlite::{Connection, OptionalExtension, params};

use super::history::{self, Replays};
use super::rows::is_linked;
use super::{LedgerError, Record, holder, load};
use crate::reconcile::{Evidence, Held, Logged};

/// Up to `limit` entities after the one of this id, or the first ones, sorted by id.
pub fn entities_after(
    sql: &Connection,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<(Subject, Content)>, LedgerError> {
    let mut entities =
        sql.prepare_cached("SELECT id, kind, properties, key FROM entity WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut rows = entities.query(params![after.unwrap_or_default(), limit])?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, kind, properties): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let id = entity_id(id)?;
        let content = content(&id, kind, row.get(3)?, &properties)?;
        page.push((Subject::Entity(id), content));
    }
    Ok(page)
}

/// Up to `limit` links after the one that start, kind and end name, or the first ones, sorted
/// by them.
pub fn links_after(
    sql: &Connection,
    after: Option<[&str; 3]>,
    limit: u32,
) -> Result<Vec<(Subject, Content)>, LedgerError> {
    let [source, kind, target] = after.unwrap_or_default();
    let mut links = sql.prepare_cached(
        "SELECT source, kind, target, properties FROM link WHERE (source, kind, target) > (?1, ?2, ?3)
         ORDER BY source, kind, target LIMIT ?4",
    )?;
    let mut rows = links.query(params![source, kind, target, limit])?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        let (from, kind, to): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (from, to) = (entity_id(from)?, entity_id(to)?);
        let content = content(&from, kind, None, &row.get::<_, String>(3)?)?;
        page.push((Subject::Link { from, kind: content.kind.clone(), to }, content));
    }
    Ok(page)
}

/// The content of each of a page, where the events of it account for its row.
pub fn accounted_for(
    sql: &Connection,
    replays: &Replays,
    page: Vec<(Subject, Content)>,
) -> Result<Vec<(Subject, Option<Content>)>, LedgerError> {
    let look = |(subject, content): (Subject, Content)| {
        let log = replays.of(sql, &subject)?;
        let is_accounted_for = unaccounted(sql, &subject, &content, &log)?.is_empty();
        Ok((subject, is_accounted_for.then_some(content)))
    };
    page.into_iter().map(look).collect()
}

/// What of a row the events do not say; see [`Evidence::unaccounted`].
///
/// The content could be the same by chance; the version and the transaction are what readers are
/// told with it, and what SQLite alone has.
fn unaccounted(
    sql: &Connection,
    subject: &Subject,
    content: &Content,
    log: &Logged,
) -> Result<Vec<String>, LedgerError> {
    if matches!(log, Logged::Unreadable(_)) {
        return Ok(vec!["events".to_owned()]);
    }
    let mut names = Vec::new();
    if log.content() != Some(content) {
        names.push("content".to_owned());
    }
    match subject {
        Subject::Entity(id) => {
            let (version, tx) = sql
                .prepare_cached("SELECT version, tx FROM entity WHERE id = ?1")?
                .query_row([id.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
            let last = history::last(sql, id)?;
            if last.as_ref().is_none_or(|(sequence, _)| *sequence != version) {
                names.push("version".to_owned());
            }
            if last.is_none_or(|(_, last)| last != tx) {
                names.push("tx".to_owned());
            }
        }
        Subject::Link { from, kind, to } => {
            let tx: String = sql
                .prepare_cached("SELECT tx FROM link WHERE source = ?1 AND kind = ?2 AND target = ?3")?
                .query_row([from.as_str(), kind.as_str(), to.as_str()], |row| row.get(0))?;
            if log.tx().is_none_or(|last| last.to_string() != tx) {
                names.push("tx".to_owned());
            }
        }
    }
    Ok(names)
}

/// What the ledger has to say about a subject, beside what the graph has of it.
///
/// `graph_linked` says whether the graph has a link that touches an entity, and `graph_loose`
/// whether an end of a link is missing in it.
pub fn evidence(
    sql: &Connection,
    replays: &Replays,
    subject: Subject,
    graph: Held,
    graph_linked: bool,
    graph_loose: bool,
) -> Result<Evidence, LedgerError> {
    let log = replays.of(sql, &subject)?;
    let (row, linked, loose) = match &subject {
        Subject::Entity(id) => {
            let row = load(sql, id)?.map(|row| Content { kind: row.kind, key: row.key, properties: row.properties });
            (row, graph_linked || is_linked(sql, id)?, false)
        }
        Subject::Link { from, kind, to } => {
            let loose = graph_loose || load(sql, from)?.is_none() || load(sql, to)?.is_none();
            (link(sql, from, kind, to)?, false, loose)
        }
    };
    let unaccounted = match &row {
        Some(content) => unaccounted(sql, &subject, content, &log)?,
        None => Vec::new(),
    };
    let mut evidence = Evidence { subject, graph, sql: row, log, linked, loose, rivals: Vec::new(), unaccounted };
    for (kind, key) in evidence.keys() {
        if let Some(by) = holder(sql, &kind, &key)? {
            evidence.note_holder(kind, key, by);
        }
    }
    Ok(evidence)
}

fn link(sql: &Connection, from: &EntityId, kind: &Kind, to: &EntityId) -> Result<Option<Content>, LedgerError> {
    let properties: Option<String> = sql
        .prepare_cached("SELECT properties FROM link WHERE source = ?1 AND kind = ?2 AND target = ?3")?
        .query_row([from.as_str(), kind.as_str(), to.as_str()], |row| row.get(0))
        .optional()?;
    properties.map(|properties| content(from, kind.as_str().to_owned(), None, &properties)).transpose()
}

fn entity_id(text: String) -> Result<EntityId, LedgerError> {
    EntityId::new(text)
        .map_err(|error| LedgerError::Damaged { record: Record::Table("entity"), why: error.to_string() })
}

fn content(owner: &EntityId, kind: String, key: Option<String>, properties: &str) -> Result<Content, LedgerError> {
    let damaged = |why: String| LedgerError::Damaged { record: Record::Entity(owner.clone()), why };
    Ok(Content {
        kind: Kind::new(kind).map_err(|error| damaged(error.to_string()))?,
        key: key.map(CanonicalKey::new).transpose().map_err(|error| damaged(error.to_string()))?,
        properties: serde_json::from_str(properties).map_err(|error| damaged(error.to_string()))?,
    })
}
