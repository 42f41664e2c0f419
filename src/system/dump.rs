//! The dumps of a run, as the system writes and as checks read them.
//!
//! Dumps are text, so that a person can read them in a diff. The form of each line is
//! written and parsed here and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use coordinator::commit::{EntityView, LinkView};
use coordinator::ledger::{self, LedgerError};
use coordinator::statements::RESERVED;
use disk::Disk;
use graph::{
    CANONICAL_KEY_PROPERTY, CanonicalKey, EntityId, KIND_PROPERTY, Kind, Node, Properties, Snapshot, TxId, Value,
};
use rusqlite::{Connection, OpenFlags};
use stores::memory::MemoryGraph;

use super::projection::picture::{self, Picture};

/// Entities and links as the graph has them, in the canonical form.
pub const GRAPH: &str = "graph";
/// Entities and links as SQLite has them, in the same form.
pub const LEDGER: &str = "ledger";
/// A line for each transaction in the log: `TX STATE KEY`.
pub const LOG: &str = "log";
/// A line for each marker in the graph: `TX STATE`.
pub const MARKERS: &str = "markers";
/// A line for each row of SQLite, with the transaction that wrote it last: `ENTITY TX`, and `FROM KIND TO TX` of a link.
pub const ROWS: &str = "rows";
/// A line for each event: `RESOURCE SEQUENCE TX`.
pub const EVENTS: &str = "events";
/// A line of JSON for each entity that both stores have: what a strong read would show.
pub const ENTITIES: &str = "entities";
/// A line for each counter of the last process that is not zero, as Prometheus is told them, and for each alert that is
/// firing; there is no such dump of a run that did not come to rest.
pub const COUNTERS: &str = "counters";
/// A line for each difference that is left to a person: its subject.
pub const CASES: &str = "cases";
/// A line for each entry of the audit trail: `ENTRY TX ACTION`.
pub const AUDIT: &str = "audit";
/// A line for each event of the event log: `POSITION RESOURCE@SEQUENCE JSON`.
pub const STORED_EVENTS: &str = "stored_events";
/// What the projection says about resources, in the form of the graph's dump.
pub const PROJECTION: &str = "projection";
/// A line for each resource that the projection shows: `RESOURCE MARK`.
pub const MARKS: &str = "marks";
/// A line for each projector with what it said of itself when it had come to rest: `NAME JSON`.
pub const PROJECTORS: &str = "projectors";
/// Why SQLite could not be dumped; there is no such dump when it could.
pub const UNREADABLE: &str = "unreadable";

/// The label of markers.
const MARKER_LABEL: &str = "Tx";
/// What the coordinator keeps in the graph besides entities and links.
const BOOKKEEPING_LABELS: [&str; 2] = [MARKER_LABEL, "Store"];

/// The counters of what the protocol decided, and what was judged by them, out of a page for Prometheus.
pub fn counters(exposition: &str) -> String {
    let is_dumped =
        |line: &&str| series(line).is_some_and(|(name, _)| DECIDED.contains(&name) || JUDGED.contains(&name));
    let counted = |line: &&str| !line.ends_with(" 0");
    exposition.lines().filter(is_dumped).filter(counted).map(|line| format!("{line}\n")).collect()
}

/// What the protocol counts.
const DECIDED: [&str; 5] =
    ["decisions_total", "transactions_total", "requests_total", "id_conflicts_total", "recovered_total"];

/// What became of checks and alerts.
const JUDGED: [&str; 3] = ["checks_total", "store_differences_total", "alert_firing"];

/// The counters of a dump under the names of their metrics and the values of their labels, `NAME VALUE VALUE`.
pub fn read_counters(dump: &str) -> BTreeMap<String, u64> {
    let counter = |line: &str| {
        let (name, labels) = series(line)?;
        let values = labels.split(',').filter_map(|label| Some(label.split_once('=')?.1.trim_matches('"')));
        let name = std::iter::once(name).chain(values).collect::<Vec<_>>().join(" ");
        Some((name, line.rsplit_once(' ')?.1.parse().ok()?))
    };
    dump.lines().filter_map(counter).collect()
}

/// Whether a counter, by its name of [`read_counters`], is one of the protocol.
pub fn is_decided(counter: &str) -> bool {
    counter.split(' ').next().is_some_and(|name| DECIDED.contains(&name))
}

/// The name of a metric of the coordinator, and its labels: `coordinator_NAME{LABELS} COUNT`, or without the braces.
fn series(line: &str) -> Option<(&str, &str)> {
    let (series, _) = line.strip_prefix("coordinator_")?.rsplit_once(' ')?;
    Some(series.strip_suffix('}').and_then(|series| series.split_once('{')).unwrap_or((series, "")))
}

/// Dumps every store.
pub fn all(graph: &MemoryGraph, disk: Option<&Disk>) -> BTreeMap<String, String> {
    let ledger = disk.and_then(open).transpose();
    let read = ledger.map_err(LedgerError::from).and_then(|sql| Ledger::read(sql.as_ref(), &graph.snapshot()));
    stores(&graph.snapshot(), read)
}

/// Dumps the projection's part of the graph.
pub fn projection(graph: &MemoryGraph) -> BTreeMap<String, String> {
    let everything = graph.snapshot();
    let marks = Picture::of(&everything).marks;
    let marks = marks.iter().map(|(resource, mark)| format!("{resource} {mark}\n"));
    BTreeMap::from([
        (PROJECTION.to_owned(), picture::said(&everything).to_string()),
        (MARKS.to_owned(), marks.collect()),
    ])
}

/// Dumps the event log. Of one that cannot be read there is no dump: checks ask for it.
pub fn stored_events(disk: Option<&Disk>) -> Option<(String, String)> {
    let read = |sql: &Connection| -> rusqlite::Result<String> {
        let mut query = sql.prepare("SELECT position, resource, sequence, body FROM stored_event ORDER BY position")?;
        let line = |row: &rusqlite::Row<'_>| {
            let (position, sequence): (i64, i64) = (row.get(0)?, row.get(2)?);
            let (resource, body): (String, String) = (row.get(1)?, row.get(3)?);
            Ok(format!("{position} {resource}@{sequence} {body}\n"))
        };
        query.query_map([], line)?.collect()
    };
    let sql = open(disk?)?.ok()?;
    Some((STORED_EVENTS.to_owned(), read(&sql).ok()?))
}

fn stores(graph: &Snapshot, ledger: Result<Ledger, LedgerError>) -> BTreeMap<String, String> {
    let markers = graph.nodes().iter().filter(|node| node.labels.contains(MARKER_LABEL)).map(|node| {
        let state = node.properties.get("state").and_then(Value::as_text);
        format!("{} {}\n", node.id, state.unwrap_or("without-state"))
    });
    let mut dumps =
        BTreeMap::from([(GRAPH.to_owned(), domain(graph).to_string()), (MARKERS.to_owned(), markers.collect())]);
    match ledger {
        Ok(Ledger { cases, content, rows, log, events, audit, entities }) => dumps.extend([
            (CASES.to_owned(), lines(&cases)),
            (LEDGER.to_owned(), content.to_string()),
            (ROWS.to_owned(), lines(&rows)),
            (LOG.to_owned(), lines(&log)),
            (EVENTS.to_owned(), lines(&events)),
            (AUDIT.to_owned(), lines(&audit)),
            (ENTITIES.to_owned(), entities.iter().map(|view| json(view) + "\n").collect()),
        ]),
        // The graph is worth reading all the same.
        Err(error) => {
            dumps.insert(UNREADABLE.to_owned(), format!("{error}\n"));
        }
    }
    dumps
}

/// What the ledger holds.
#[derive(Default)]
struct Ledger {
    /// The subjects of the open cases.
    cases: Vec<String>,
    content: Snapshot,
    rows: Vec<RowLine>,
    log: Vec<LogLine>,
    events: Vec<EventLine>,
    audit: Vec<AuditLine>,
    entities: Vec<EntityView>,
}

impl Ledger {
    fn read(sql: Option<&Connection>, graph: &Snapshot) -> Result<Ledger, LedgerError> {
        // A coordinator that never came up, or not as far as its tables, has written nothing.
        let Some(sql) = sql else { return Ok(Ledger::default()) };
        let schema: i64 = sql.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if schema == 0 {
            return Ok(Ledger::default());
        }
        let mut read = Ledger { content: ledger::snapshot(sql)?, rows: rows(sql)?, ..Ledger::default() };
        for ledger::LogEntry { tx, key, state } in ledger::log_entries(sql)? {
            read.log.push(LogLine { tx, state, key });
        }
        for ledger::EventEntry { resource, sequence, tx } in ledger::event_entries(sql)? {
            read.events.push(EventLine { resource, sequence, tx });
        }
        for ledger::AuditEntry { entry, tx, action, .. } in ledger::audit_after(sql, 0, u32::MAX)? {
            let action = serde_json::to_value(action).expect("a word").as_str().unwrap_or_default().to_owned();
            read.audit.push(AuditLine { entry, tx, action });
        }
        let open = ledger::open_cases(sql, 0, u32::MAX)?;
        read.cases = open.into_iter().map(|case| case.evidence.subject.to_string()).collect();
        let graph = domain(graph);
        for node in graph.nodes() {
            let Ok(id) = EntityId::new(node.id.clone()) else { continue };
            let Some(row) = ledger::load(sql, &id)? else { continue };
            read.entities.extend(view(&graph, node, row.version, row.tx));
        }
        Ok(read)
    }
}

/// Which transaction wrote each row last.
fn rows(sql: &Connection) -> Result<Vec<RowLine>, LedgerError> {
    let mut query = sql.prepare(
        "SELECT id, NULL, NULL, tx FROM entity UNION ALL SELECT source, kind, target, tx FROM link ORDER BY 1, 2, 3",
    )?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let lines = query.query_map([], row)?.map(|row| {
        let (id, kind, to, tx): (String, Option<String>, Option<String>, String) = row?;
        let subject = [Some(id), kind, to].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Ok(RowLine { subject, tx })
    });
    lines.collect()
}

/// The coordinator's file, if it ever made one.
fn open(disk: &Disk) -> Option<rusqlite::Result<Connection>> {
    let path = format!("/data/{}", coordinator::LEDGER_FILE);
    disk.read_file(&path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Some(Connection::open_with_flags_and_vfs(path, flags, disk.vfs_name()))
}

/// All but the coordinator's bookkeeping and the projection: also what nobody should have put there.
fn domain(everything: &Snapshot) -> Snapshot {
    let bookkeeping = |node: &Node| node.labels.iter().any(|label| BOOKKEEPING_LABELS.contains(&label.as_str()));
    let others = |node: &&Node| !bookkeeping(node) && !picture::is_projections(node);
    let nodes = everything.nodes().iter().filter(others).cloned();
    let edges = everything.edges().iter().filter(|edge| !picture::is_projections_edge(edge)).cloned();
    Snapshot::new(nodes.collect(), edges.collect())
}

/// The entity of a node as a strong read shows it: version and transaction come from SQLite, the rest from the graph.
/// `None` where a strong read fails, because the coordinator did not write that node.
pub fn view(graph: &Snapshot, node: &Node, version: u64, tx: TxId) -> Option<EntityView> {
    let links = graph.edges().iter().filter(|edge| edge.from == node.id).map(|edge| {
        let to = EntityId::new(edge.to.clone()).ok()?;
        Some(LinkView { kind: kind(&edge.properties)?, to, properties: own(&edge.properties) })
    });
    let mut links: Vec<LinkView> = links.collect::<Option<_>>()?;
    links.sort();
    let id = EntityId::new(node.id.clone()).ok()?;
    let kind = kind(&node.properties)?;
    let key = match node.properties.get(CANONICAL_KEY_PROPERTY) {
        None => None,
        Some(qualified) => {
            let (of, key) = CanonicalKey::from_qualified(qualified.as_text()?)?;
            Some(key).filter(|_| of == kind)
        }
    };
    Some(EntityView { id, kind, key, properties: own(&node.properties), links, version, tx })
}

fn kind(properties: &Properties) -> Option<Kind> {
    Kind::new(properties.get(KIND_PROPERTY)?.as_text()?).ok()
}

fn own(properties: &Properties) -> Properties {
    let own = properties.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

pub(super) fn json(view: &EntityView) -> String {
    serde_json::to_string(view).expect("a view is always valid JSON")
}

pub(super) fn lines(lines: &[impl fmt::Display]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A transaction in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its name.
    pub tx: TxId,
    /// `intended`, `committed` or `aborted`.
    pub state: String,
    /// The client's name for it.
    pub key: String,
}

/// A marker in the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerLine {
    /// Which transaction it decides about.
    pub tx: TxId,
    /// `committed` or `aborted`.
    pub state: String,
}

/// A row of SQLite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLine {
    /// What it is about: an entity's id, or the three words of a link.
    pub subject: String,
    /// Which transaction wrote it last, as it stands there.
    pub tx: String,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLine {
    /// Whose.
    pub resource: EntityId,
    /// Its number among those of the resource.
    pub sequence: u64,
    /// Which transaction appended it.
    pub tx: TxId,
}

/// An entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// Its number, from 1.
    pub entry: u64,
    /// The transaction; none where it is about events that were appended by themselves.
    pub tx: Option<TxId>,
    /// What happened.
    pub action: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.tx, self.state, self.key)
    }
}

impl fmt::Display for MarkerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tx, self.state)
    }
}

impl fmt::Display for RowLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.tx)
    }
}

impl fmt::Display for EventLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.resource, self.sequence, self.tx)
    }
}

/// Stands in an entry of the audit trail that is about none.
const NO_TRANSACTION: &str = "-";

impl fmt::Display for AuditLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tx = self.tx.map_or(NO_TRANSACTION.to_owned(), |tx| tx.to_string());
        write!(f, "{} {tx} {}", self.entry, self.action)
    }
}

impl FromStr for AuditLine {
    type Err = String;
    fn from_str(line: &str) -> Result<AuditLine, String> {
        let [entry, tx, action] = words(line)?;
        let tx = if tx == NO_TRANSACTION { None } else { Some(parse(tx)?) };
        Ok(AuditLine { entry: parse(entry)?, tx, action: action.to_owned() })
    }
}

impl FromStr for LogLine {
    type Err = String;
    fn from_str(line: &str) -> Result<LogLine, String> {
        let [tx, state, key] = words(line)?;
        Ok(LogLine { tx: parse(tx)?, state: state.to_owned(), key: key.to_owned() })
    }
}

impl FromStr for MarkerLine {
    type Err = String;
    fn from_str(line: &str) -> Result<MarkerLine, String> {
        let [tx, state] = words(line)?;
        Ok(MarkerLine { tx: parse(tx)?, state: state.to_owned() })
    }
}

impl FromStr for RowLine {
    type Err = String;
    fn from_str(line: &str) -> Result<RowLine, String> {
        let (subject, tx) = line.rsplit_once(' ').ok_or("it has one word")?;
        Ok(RowLine { subject: subject.to_owned(), tx: tx.to_owned() })
    }
}

impl FromStr for EventLine {
    type Err = String;
    fn from_str(line: &str) -> Result<EventLine, String> {
        let [resource, sequence, tx] = words(line)?;
        Ok(EventLine { resource: parse(resource)?, sequence: parse(sequence)?, tx: parse(tx)? })
    }
}

fn words<const N: usize>(line: &str) -> Result<[&str; N], String> {
    let words: Vec<&str> = line.split(' ').collect();
    words.try_into().map_err(|words: Vec<&str>| format!("it has {} words instead of {N}", words.len()))
}

fn parse<T: FromStr<Err: fmt::Display>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error| format!("{word:?}: {error}"))
}

/// The dumps of a run, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump<'a> {
    /// The subjects of the differences that are left to a person.
    pub cases: Vec<&'a str>,
    /// Entities and links as the graph has them.
    pub graph: &'a str,
    /// Entities and links as SQLite has them.
    pub ledger: &'a str,
    /// Who wrote each row of SQLite last.
    pub rows: Vec<RowLine>,
    /// The log, oldest first.
    pub log: Vec<LogLine>,
    /// The markers; one that stands twice shows twice.
    pub markers: Vec<MarkerLine>,
    /// The events, in the order in which they were appended.
    pub events: Vec<EventLine>,
    /// The audit trail.
    pub audit: Vec<AuditLine>,
    /// What a strong read of each entity would show.
    pub entities: BTreeMap<EntityId, EntityView>,
}

/// Why dumps cannot be read: nothing can be said about the stores then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// The system always dumps every store, unless it panics.
    #[error("there is no dump {0:?}")]
    Missing(&'static str),
    /// SQLite would not be read when the run was over.
    #[error("SQLite cannot be read: {0}")]
    Unreadable(String),
    /// A store holds what the coordinator does not write.
    #[error("dump {dump:?} has a line that is none of its kind: {line:?}: {why}")]
    Line {
        /// Which dump.
        dump: &'static str,
        /// The line.
        line: String,
        /// What is wrong with it.
        why: String,
    },
}

impl<'a> Dump<'a> {
    /// Reads the dumps of a run.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be read.
    pub fn read(dumps: &'a BTreeMap<String, String>) -> Result<Dump<'a>, DumpError> {
        if let Some(why) = dumps.get(UNREADABLE) {
            return Err(DumpError::Unreadable(why.trim_end().to_owned()));
        }
        let entities = parsed(dumps, ENTITIES, |line| {
            let view: EntityView = serde_json::from_str(line).map_err(|error| error.to_string())?;
            Ok((view.id.clone(), view))
        });
        Ok(Dump {
            graph: text(dumps, GRAPH)?,
            ledger: text(dumps, LEDGER)?,
            cases: text(dumps, CASES)?.lines().collect(),
            rows: parsed(dumps, ROWS, str::parse)?,
            log: parsed(dumps, LOG, str::parse)?,
            markers: parsed(dumps, MARKERS, str::parse)?,
            events: parsed(dumps, EVENTS, str::parse)?,
            audit: parsed(dumps, AUDIT, str::parse)?,
            entities: entities?.into_iter().collect(),
        })
    }
}

fn text<'a>(dumps: &'a BTreeMap<String, String>, name: &'static str) -> Result<&'a str, DumpError> {
    dumps.get(name).map(String::as_str).ok_or(DumpError::Missing(name))
}

fn parsed<T>(
    dumps: &BTreeMap<String, String>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, DumpError> {
    let line = |line: &str| parse(line).map_err(|why| DumpError::Line { dump: name, line: line.to_owned(), why });
    text(dumps, name)?.lines().map(line).collect()
}

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;
