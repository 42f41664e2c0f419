//! The events that were appended: the table behind the [event store](crate::events).

use graph::{EntityId, EventId, Millis, NewEvent, TxId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use serde_json::value::RawValue;

use super::audit::{self, AuditAction};
use super::checksum::Checksum;
use super::{LedgerError, Moment, Record};
use crate::events::{
    Append, Appended, Claim, DamagedEvent, DamagedPosition, Envelope, Fed, OnDamage, Page, Placed, StoredEvent,
    content_hash,
};

/// How many bytes of events are read at once; one event is read however large it is.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// A row as it is kept. Whoever has one knows that its checksum matched.
struct Stored {
    position: u64,
    id: String,
    stream: String,
    sequence: u64,
    /// Of what its writer sent.
    hash: String,
    body: String,
    /// The transaction that appended it, if one did.
    tx: Option<String>,
}

const COLUMNS: &str = "position, id, resource, sequence, hash, body, tx, checksum";

impl Stored {
    fn checksum(&self) -> i64 {
        Checksum::of("stored_event")
            .number(Some(self.position))
            .text(Some(&self.id))
            .text(Some(&self.stream))
            .number(Some(self.sequence))
            .text(Some(&self.hash))
            .text(Some(&self.body))
            .text(self.tx.as_deref())
            .value()
    }

    /// Reads a row of [`COLUMNS`]; fails unless it is what was written.
    fn checked(row: &Row<'_>) -> Result<Stored, LedgerError> {
        let position = unsigned(row, 0)?;
        let read = || -> rusqlite::Result<(Stored, i64)> {
            let stored = Stored {
                position,
                id: row.get(1)?,
                stream: row.get(2)?,
                sequence: unsigned(row, 3)?,
                hash: row.get(4)?,
                body: row.get(5)?,
                tx: row.get(6)?,
            };
            Ok((stored, row.get(7)?))
        };
        let place = format!("at position {position}");
        match read() {
            Ok((stored, checksum)) if stored.checksum() == checksum => Ok(stored),
            Ok(_) => Err(damaged(place, "its checksum does not match")),
            Err(error) if is_misread(&error) => Err(damaged(place, error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    fn insert(&self, sql: &Connection) -> Result<(), LedgerError> {
        sql.prepare_cached(
            "INSERT INTO stored_event (position, id, resource, sequence, hash, body, tx, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            column(self.position),
            self.id,
            self.stream,
            column(self.sequence),
            self.hash,
            self.body,
            self.tx,
            self.checksum(),
        ])?;
        Ok(())
    }

    /// As a reader gets it.
    fn read(self) -> Result<StoredEvent, LedgerError> {
        let unreadable = |why: String| damaged(format!("at position {}", self.position), why);
        let stream = EntityId::new(self.stream).map_err(|error| unreadable(error.to_string()))?;
        let envelope = RawValue::from_string(self.body).map_err(|error| unreadable(error.to_string()))?;
        Ok(StoredEvent { position: self.position, stream, sequence: self.sequence, envelope })
    }
}

/// Appends events that belong to no transaction, or says why not.
pub fn append(sql: &Connection, append: &Append, now: Moment) -> Result<Appended, LedgerError> {
    let Append { stream, expected, events } = append;
    let standing = match events.iter().map(|event| by_id(sql, &event.id)).collect::<Result<Vec<_>, _>>() {
        Err(LedgerError::DamagedEvent(damaged)) => return Ok(Appended::Damaged(damaged)),
        standing => standing?,
    };
    if standing.iter().any(Option::is_some) {
        return Ok(compared(append, &standing));
    }
    let actual = last_sequence(sql, stream)?;
    if expected.is_some_and(|expected| expected != actual) {
        return Ok(Appended::VersionConflict { actual });
    }
    let mut placed = Placed { stream: stream.clone(), first: actual + 1, last: actual, position: 0 };
    for event in events {
        placed.last += 1;
        placed.position = insert(sql, stream, placed.last, event, None, now.utc)?;
    }
    let detail = json!({
        "resource": stream, "sequences": [placed.first, placed.last], "position": placed.position,
    });
    audit::write(sql, now.utc, None, AuditAction::Appended, &detail.to_string())?;
    Ok(Appended::New(placed))
}

/// What it means that some of the ids are there already: a repetition, if all are and nothing else
/// is between them.
fn compared(append: &Append, standing: &[Option<Stored>]) -> Appended {
    let mut placed: Option<Placed> = None;
    for (event, stored) in append.events.iter().zip(standing) {
        let next = placed.as_ref().map(|placed| placed.last + 1);
        let fits = |stored: &&Stored| {
            stored.hash == content_hash(&append.stream, event).0 && next.is_none_or(|next| next == stored.sequence)
        };
        let Some(stored) = stored.as_ref().filter(fits) else {
            // Where this event is not there itself, an id beside it is what cannot be used again.
            let taken = append.events.iter().zip(standing).find(|(_, stored)| stored.is_some());
            let by = if stored.is_some() { &event.id } else { &taken.expect("one of them is there").0.id };
            return Appended::EventIdReused(by.clone());
        };
        let first = placed.map_or(stored.sequence, |placed| placed.first);
        let (last, position) = (stored.sequence, stored.position);
        placed = Some(Placed { stream: append.stream.clone(), first, last, position });
    }
    Appended::Repeated(placed.expect("an append has events"))
}

/// Gives an event of a stream its position, and returns it.
///
/// # Errors
///
/// An event of this id, or with this sequence number in the stream, is damage: locks make both impossible.
pub(super) fn insert(
    sql: &Connection,
    stream: &EntityId,
    sequence: u64,
    event: &NewEvent,
    tx: Option<TxId>,
    now: Millis,
) -> Result<u64, LedgerError> {
    let envelope = Envelope::new(stream, sequence, event.clone(), now);
    let stored = Stored {
        position: last_position(sql)? + 1,
        id: event.id.as_str().to_owned(),
        stream: stream.as_str().to_owned(),
        sequence,
        hash: content_hash(stream, event).0,
        body: serde_json::to_string(&envelope).expect("an event is always valid JSON"),
        tx: tx.map(|tx| tx.to_string()),
    };
    match stored.insert(sql) {
        Err(LedgerError::Sqlite(error))
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
        {
            let why = format!("{} as number {sequence} of {stream}: {error}", event.id);
            Err(LedgerError::Damaged { record: Record::Table("stored_event"), why })
        }
        inserted => inserted.map(|()| stored.position),
    }
}

/// Whether there is an event of this id.
pub(super) fn is_stored(sql: &Connection, id: &EventId) -> Result<bool, LedgerError> {
    let query = "SELECT EXISTS (SELECT 1 FROM stored_event WHERE id = ?1)";
    Ok(sql.prepare_cached(query)?.query_row([id.as_str()], |row| row.get(0))?)
}

/// The sequence number of the last event of a stream; 0 if it has none.
pub(super) fn last_sequence(sql: &Connection, stream: &EntityId) -> Result<u64, LedgerError> {
    let query = "SELECT max(sequence) FROM stored_event WHERE resource = ?1";
    let last: Option<i64> = sql.prepare_cached(query)?.query_row([stream.as_str()], |row| row.get(0))?;
    Ok(last.map_or(0, i64::unsigned_abs))
}

/// The last position that was given; 0 before the first. SQLite keeps it beside the table, so it tells as well if
/// the last event of the table is not the last one any more.
pub fn last_position(sql: &Connection) -> Result<u64, LedgerError> {
    let query = "SELECT seq FROM sqlite_sequence WHERE name = 'stored_event'";
    let last: Option<i64> = sql.prepare_cached(query)?.query_row([], |row| row.get(0)).optional()?;
    Ok(last.map_or(0, i64::unsigned_abs))
}

/// Up to `limit` events of a stream after this sequence number.
///
/// # Errors
///
/// [`LedgerError::DamagedEvent`] if the first of them is damaged or missing; the events before such a one are read.
pub fn stream_after(
    sql: &Connection,
    stream: &EntityId,
    after: u64,
    limit: u32,
) -> Result<Page<StoredEvent>, LedgerError> {
    let query = format!("SELECT {COLUMNS} FROM stored_event WHERE resource = ?1 AND sequence > ?2 ORDER BY sequence");
    let mut events = sql.prepare_cached(&query)?;
    let mut rows = events.query(params![stream.as_str(), column(after)])?;
    let mut run = Run::new(after, limit);
    while let Some(row) = rows.next()? {
        let place = |sequence| format!("{sequence} of {stream}");
        let more = run.take(row, place, |stored| (stored.stream == stream.as_str()).then_some(stored.sequence))?;
        if !more {
            return Ok(Page { items: run.events, more: true });
        }
    }
    Ok(Page { items: run.events, more: false })
}

/// Up to `limit` events of all streams after this position.
///
/// # Errors
///
/// As for [`stream_after`], unless damage is to be told.
pub fn feed_after(sql: &Connection, after: u64, limit: u32, on_damage: OnDamage) -> Result<Fed, LedgerError> {
    let last = last_position(sql)?;
    if last <= after {
        return Ok(Fed { events: Vec::new(), damaged: Vec::new(), through: last, last });
    }
    let query = format!("SELECT {COLUMNS} FROM stored_event WHERE position > ?1 AND position <= ?2 ORDER BY position");
    let mut events = sql.prepare_cached(&query)?;
    let mut rows = events.query([column(after), column(last)])?;
    let mut run = Run::new(after, limit);
    let mut damage = Vec::new();
    let place = |position| format!("at position {position}");
    let number = |stored: &Stored| Some(stored.position);
    while let Some(row) = rows.next()? {
        if on_damage == OnDamage::Stop {
            if !run.take(row, place, number)? {
                break;
            }
            continue;
        }
        let position = unsigned(row, 0)?;
        run.pass_missing(position - 1, &mut damage);
        if run.is_full() {
            break;
        }
        match run.read(row, place, number) {
            Ok(event) => run.push(event),
            Err(LedgerError::DamagedEvent(DamagedEvent { why, .. })) => {
                run.pass();
                damage.push(DamagedPosition { position, claims: claim(row), why });
            }
            Err(error) => return Err(error),
        }
    }
    if on_damage == OnDamage::Tell {
        // The end may be what is missing.
        run.pass_missing(last, &mut damage);
    }
    if run.last == after {
        return Err(damaged(place(after + 1), MISSING));
    }
    Ok(Fed { through: run.last, events: run.events, damaged: damage, last })
}

/// Up to `limit` streams after this one, sorted.
pub fn streams_after(sql: &Connection, after: Option<&EntityId>, limit: u32) -> Result<Page<EntityId>, LedgerError> {
    // One look into the index for each stream, however many events it has.
    let mut next = sql.prepare_cached("SELECT min(resource) FROM stored_event WHERE resource > ?1")?;
    let mut after = after.map_or(String::new(), |after| after.as_str().to_owned());
    let mut items = Vec::new();
    loop {
        let stream: Option<String> = next.query_row([&after], |row| row.get(0))?;
        let Some(stream) = stream else { return Ok(Page { items, more: false }) };
        if items.len() as u64 >= u64::from(limit) {
            return Ok(Page { items, more: true });
        }
        // Nobody can ask for a stream whose name is none: the feed says what is damaged of it.
        items.extend(EntityId::new(stream.clone()));
        after = stream;
    }
}

/// What is wrong where there is nothing.
const MISSING: &str = "it is missing";

/// Events read one after the other, without a gap.
struct Run {
    last: u64,
    limit: u32,
    /// How many places were read, or passed.
    places: u32,
    bytes: usize,
    events: Vec<StoredEvent>,
}

impl Run {
    fn new(after: u64, limit: u32) -> Run {
        Run { last: after, limit, places: 0, bytes: 0, events: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.places >= self.limit || self.bytes >= PAGE_BYTES_MAX
    }

    /// Takes one more event; false if it is one too many, or behind one that cannot be read.
    fn take(
        &mut self,
        row: &Row<'_>,
        place: impl Fn(u64) -> String,
        number: impl Fn(&Stored) -> Option<u64>,
    ) -> Result<bool, LedgerError> {
        if self.is_full() {
            return Ok(false);
        }
        match self.read(row, place, number) {
            Ok(event) => {
                self.push(event);
                Ok(true)
            }
            // Whoever asks for what follows hears of it.
            Err(LedgerError::DamagedEvent(_)) if !self.events.is_empty() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The event of a row, if it is the next one and sound.
    fn read(
        &self,
        row: &Row<'_>,
        place: impl Fn(u64) -> String,
        number: impl Fn(&Stored) -> Option<u64>,
    ) -> Result<StoredEvent, LedgerError> {
        let (stored, next) = (Stored::checked(row)?, self.last + 1);
        if number(&stored) == Some(next) { stored.read() } else { Err(damaged(place(next), MISSING)) }
    }

    fn push(&mut self, event: StoredEvent) {
        self.pass();
        self.bytes += event.envelope.get().len();
        self.events.push(event);
    }

    /// Goes on behind the next place.
    fn pass(&mut self) {
        self.last += 1;
        self.places += 1;
    }

    /// Goes on behind positions that have no row, up to this one.
    fn pass_missing(&mut self, through: u64, damage: &mut Vec<DamagedPosition>) {
        while self.last < through && !self.is_full() {
            self.pass();
            damage.push(DamagedPosition { position: self.last, claims: None, why: MISSING.to_owned() });
        }
    }
}

/// Where the row of a damaged event says that it stands, if it says so.
fn claim(row: &Row<'_>) -> Option<Claim> {
    let stream = EntityId::new(row.get::<_, String>(2).ok()?).ok()?;
    let sequence = unsigned(row, 3).ok().filter(|sequence| *sequence > 0)?;
    Some(Claim { stream, sequence })
}

/// The event of this id.
fn by_id(sql: &Connection, id: &EventId) -> Result<Option<Stored>, LedgerError> {
    let query = format!("SELECT {COLUMNS} FROM stored_event WHERE id = ?1");
    let found = sql.prepare_cached(&query)?.query_row([id.as_str()], |row| Ok(Stored::checked(row))).optional()?;
    match found.transpose()? {
        Some(stored) if stored.id != id.as_str() => {
            Err(damaged(format!("at position {}", stored.position), "the index of ids does not fit it"))
        }
        found => Ok(found),
    }
}

fn damaged(place: String, why: impl Into<String>) -> LedgerError {
    LedgerError::DamagedEvent(DamagedEvent { place, why: why.into() })
}

/// Whether a column is not of the type it was written with.
fn is_misread(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
    )
}

fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(i64::unsigned_abs)
}

/// A number that a column does not take is larger than all that are there.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
