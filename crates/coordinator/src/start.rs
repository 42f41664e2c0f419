//! What a start does before the protocol begins: opens the ledger, makes sure that it and the
//! graph belong together and that neither has lost what the other one rests on.
//!
//! A database file can come back older or shorter than it was: from a backup, from a disk image,
//! from a log whose tail SQLite drops because a frame of it is damaged, from a drive that
//! lied about a sync. It is then a sound database all the same, and nothing in it says what is
//! missing. What can say it is the other store, so a start
//!
//! 1. reads the whole log and compares each record with its checksum; single records that do not
//!    match are set apart later, see [`damage`](crate::damage);
//! 2. reads who claimed the graph last. An incarnation that the ledger has not come to yet means
//!    that the ledger is older; nothing is written then, or else enough attempts would raise
//!    the ledger's incarnation above the graph's;
//! 3. raises the incarnation, durably, and claims the graph for it;
//! 4. sets damaged records apart, fencing those that may be under way;
//! 5. compares the markers of the incarnations since the last time with the log, see
//!    [`markers`](self::markers).
//!
//! Only then are unresolved transactions fenced and finished, by the protocol's core.

mod damage;
mod markers;

use std::time::Duration;

use env::Env;
use graph::Millis;
use stores::batch::{BatchError, Batcher};
use stores::sqlite::{Check, Schema, look_again};
use stores::{Call, Datum, GraphError, GraphStore, Rows};

use crate::access;
use crate::commit::Intent;
use crate::damage::DamagedRecord;
use crate::ledger::{self, LedgerError, Moment};
use crate::service::{Options, StartError};
use crate::statements;

pub use markers::{Contradiction, Finding};

/// The name of the ledger within the data folder.
pub const LEDGER_FILE: &str = "ledger.db";

/// How many log writes share one fsync at most.
const BATCH_MAX: usize = 64;

/// How long to wait before the graph is asked again.
const BACKOFF: Duration = Duration::from_millis(250);

static SCHEMA: Schema = Schema { application_id: 0x5351_4c4c, migrations: ledger::MIGRATIONS };

/// What a start found.
pub(crate) struct Opened {
    pub ledger: Batcher,
    pub incarnation: u64,
    pub unresolved: Vec<Intent>,
    /// For how long coordinators have been running on the ledger before.
    pub running: Millis,
    /// The position of the last event of the event store.
    pub last_position: u64,
    /// The id that the ledger shares with its graph.
    pub store_id: String,
    pub findings: Vec<Finding>,
    /// What this start or one before found, as long as no pass over both stores has found them the same since.
    pub suspicion: Option<String>,
    /// The records of the log that are damaged and left to a person.
    pub damaged: Vec<DamagedRecord>,
    /// How many cases an earlier process has left to a person.
    pub open_cases: u64,
}

/// Opens the ledger and claims the graph, waiting for it as long as it cannot be reached. A ledger that looks damaged is
/// looked at again before that is believed; see [`look_again`].
pub(crate) async fn open(env: &Env, options: &Options, graph: &dyn GraphStore) -> Result<Opened, StartError> {
    look_again(StartError::looks_damaged, async || attempt(env, options, graph).await).await
}

async fn attempt(env: &Env, options: &Options, graph: &dyn GraphStore) -> Result<Opened, StartError> {
    let path = options.data.join(LEDGER_FILE);
    let ledger = Batcher::open(env, &path, &SCHEMA, Check::Quick, BATCH_MAX).await?;
    let known = read(&ledger, |sql| {
        let unsound = ledger::verify(sql)?;
        let known = Known { incarnation: ledger::incarnation(sql)?, verified: ledger::verified_incarnation(sql)? };
        Ok((known, unsound))
    });
    let (known, unsound) = known.await?;
    let graph = Insistent { graph, options };
    graph.prepare().await?;
    let store_id = store_id(env, &ledger).await?;
    let mut findings = Vec::new();
    let owned_by = owner(&graph.execute(statements::read_store).await?);
    let older = compare(&known, &store_id, owned_by, options.fill_empty_graph)?;
    // What was compared before is compared again with a graph that has come back from before that.
    let unverified = match older {
        Some(Finding::GraphIsOlder { graph, .. }) if graph > 0 => graph,
        _ => known.verified.unwrap_or(0) + 1,
    };
    findings.extend(older);

    let incarnation = write(&ledger, ledger::start_incarnation).await?;
    let nonce = random(env);
    let claimed = graph.execute(|| statements::claim_store(&store_id, incarnation, &nonce)).await?;
    match owner(&claimed) {
        Some(owner) if owner.id == store_id && owner.incarnation == incarnation && owner.nonce == nonce => {}
        Some(owner) if owner.id == store_id => {
            return Err(StartError::Behind { ledger: incarnation, graph: owner.incarnation });
        }
        owner => return Err(foreign(&store_id, owner)),
    }
    for warning in graph.graph.warnings().await {
        tracing::warn!("{warning}");
    }

    let state = read(&ledger, |sql| Ok((ledger::running(sql)?, ledger::last_position(sql)?)));
    let (running, last_position) = state.await?;
    let now = Moment { utc: env.utc_now(), running };
    let damaged = damage::isolate(&ledger, &graph, incarnation, now, unsound).await?;
    let last = incarnation - 1;
    findings.extend(markers::compare(&ledger, &graph, unverified..=last).await?);
    let told: Vec<String> = findings.iter().map(Finding::to_string).collect();
    // Together: these incarnations are not compared again, and who has not told of them yet may be killed here.
    let noted = write(&ledger, move |sql| {
        ledger::set_verified_incarnation(sql, last)?;
        if !told.is_empty() {
            ledger::set_suspicion(sql, &told.join("; "))?;
        }
        ledger::suspicion(sql)
    });
    let suspicion = noted.await?;
    for finding in &findings {
        tracing::error!("{finding}");
    }
    let left = read(&ledger, |sql| Ok((ledger::unresolved(sql)?, ledger::count_open_cases(sql)?)));
    let (unresolved, open_cases) = left.await?;
    Ok(Opened {
        ledger,
        incarnation,
        unresolved,
        running,
        last_position,
        store_id,
        findings,
        suspicion,
        damaged,
        open_cases,
    })
}

/// What the ledger says about its earlier starts.
struct Known {
    /// The last of them.
    incarnation: u64,
    /// The last whose markers were compared with the log, by a start that had claimed the graph.
    verified: Option<u64>,
}

/// Whom a graph belongs to.
struct Owner {
    id: String,
    incarnation: u64,
    nonce: String,
}

/// From the rows of [`READ_STORE`](statements::READ_STORE). What is missing counts as empty: it
/// is nobody's.
fn owner(rows: &[Rows]) -> Option<Owner> {
    let row = rows.first()?.first()?;
    let text = |index: usize| row.get(index).and_then(Datum::as_text).unwrap_or_default().to_owned();
    let incarnation = row.get(1).and_then(Datum::as_int).and_then(|int| u64::try_from(int).ok());
    Some(Owner { id: text(0), incarnation: incarnation.unwrap_or(0), nonce: text(2) })
}

fn foreign(ledger: &str, owner: Option<Owner>) -> StartError {
    let graph = owner.map(|owner| owner.id).filter(|id| !id.is_empty());
    StartError::Foreign { ledger: ledger.to_owned(), graph: graph.unwrap_or_else(|| "nobody".to_owned()) }
}

/// Compares what the ledger knows of its starts with the last one that claimed the graph.
///
/// A graph that is nobody's, although the ledger had one, is another graph more often than one that has lost everything:
/// what was under way would be decided against it. So it has to be said that it is to be filled.
fn compare(
    known: &Known,
    store_id: &str,
    owner: Option<Owner>,
    fill_empty_graph: bool,
) -> Result<Option<Finding>, StartError> {
    // A start that compared markers had claimed the graph before.
    let claimed = known.verified.map_or(0, |verified| verified + 1);
    match owner {
        Some(owner) if owner.id != store_id => Err(foreign(store_id, Some(owner))),
        Some(Owner { incarnation, .. }) if incarnation > known.incarnation => {
            Err(StartError::Behind { ledger: known.incarnation, graph: incarnation })
        }
        None if claimed > 0 && !fill_empty_graph => Err(StartError::EmptyGraph { ledger: claimed }),
        owner => {
            let graph = owner.map_or(0, |owner| owner.incarnation);
            Ok((graph < claimed).then_some(Finding::GraphIsOlder { ledger: claimed, graph }))
        }
    }
}

/// The id that the ledger shares with its graph; drawn at its first start.
async fn store_id(env: &Env, ledger: &Batcher) -> Result<String, StartError> {
    if let Some(id) = read(ledger, ledger::store_id).await? {
        return Ok(id);
    }
    let id = random(env);
    let new = id.clone();
    write(ledger, move |sql| ledger::set_store_id(sql, &new)).await?;
    Ok(id)
}

/// 128 random bits, in hex.
fn random(env: &Env) -> String {
    let mut entropy = [0; 16];
    env.entropy(&mut entropy);
    entropy.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A graph that is asked until it answers. Only for what may be done twice.
struct Insistent<'a> {
    graph: &'a dyn GraphStore,
    options: &'a Options,
}

impl Insistent<'_> {
    /// Makes sure that the graph enforces what the protocol rests on.
    async fn prepare(&self) -> Result<(), StartError> {
        // A connection that goes dead meanwhile must not keep the process from starting.
        let limit = self.options.prepare_limit;
        let attempt = || tokio::time::timeout(limit, self.graph.ensure_unique(statements::CONSTRAINTS));
        insist(async || attempt().await.unwrap_or_else(|_| Err(no_answer()))).await
    }

    /// Runs a transaction.
    async fn execute(&self, calls: impl Fn() -> Vec<Call>) -> Result<Vec<Rows>, StartError> {
        insist(async || self.graph.execute(calls(), self.options.graph_limit).await).await
    }
}

fn no_answer() -> GraphError {
    GraphError::Unknown { why: "no answer in time".to_owned() }
}

async fn insist<T>(attempt: impl AsyncFn() -> Result<T, GraphError>) -> Result<T, StartError> {
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error @ (GraphError::Unknown { .. } | GraphError::Refused { retryable: true, .. })) => {
                tracing::warn!(%error, "waiting for the graph");
                tokio::time::sleep(BACKOFF).await;
            }
            Err(error) => return Err(StartError::Graph(error)),
        }
    }
}

async fn read<T: Send + 'static>(
    ledger: &Batcher,
    work: impl FnOnce(&rusqlite::Connection) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, StartError> {
    access::read(ledger, work).await.map_err(start_error)
}

async fn write<T: Send + 'static>(
    ledger: &Batcher,
    work: impl FnOnce(&rusqlite::Connection) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, StartError> {
    access::write(ledger, work).await.map_err(start_error)
}

fn start_error(error: BatchError<LedgerError>) -> StartError {
    match error {
        BatchError::Refused(error) => StartError::Ledger(error),
        BatchError::Sql(failure) => StartError::Sql(failure),
    }
}
