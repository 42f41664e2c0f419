//! Carries out the effects of the commit core on the real stores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use env::{Env, Executor, Waiting};
use graph::{CanonicalKey, EntityId, Kind, Subject, TxId};
use rusqlite::Connection;
use stores::batch::{BatchError, Batcher};
use stores::sqlite::SqlFailure;
use stores::{Call, Datum, GraphError, GraphStore, Rows};
use tokio::sync::{Semaphore, watch};

use crate::access;
use crate::commit::{Action, Answer, Commit, CommitEffect, EffectId, EntityView, Failure, Input, Report, RequestId};
use crate::events::{Appended, Feed};
use crate::ledger::{self, LedgerError, Moment, Replays, Resolution};
use crate::operations::Operations;
use crate::retention::RunningClock;
use crate::statements;
use crate::view::{Examined, GraphView};

/// How many fences are under way in the graph at once.
///
/// A start fences everything that is in doubt. Sent all at once, the last of thousands would run out of time in the
/// graph's queue, be sent again behind themselves, and make the queue longer. Two batches of the embedded graph: one is
/// synced while the next one gathers.
pub(crate) const FENCES_MAX: usize = 512;

/// Reads an entity from the graph alone.
pub(crate) async fn view(
    graph: &dyn GraphStore,
    entity: &EntityId,
    limit: Duration,
) -> Result<Option<GraphView>, GraphError> {
    let mut rows = graph.execute(statements::read_entity(entity), limit).await?.into_iter();
    let (entity, links) = (rows.next().unwrap_or_default(), rows.next().unwrap_or_default());
    GraphView::from_rows(&entity, &links).map_err(|error| GraphError::Refused {
        code: "Unreadable".to_owned(),
        message: error.to_string(),
        retryable: false,
    })
}

/// Reads the entity that has a canonical key from the graph alone.
pub(crate) async fn view_by_key(
    graph: &dyn GraphStore,
    kind: &Kind,
    key: &CanonicalKey,
    limit: Duration,
) -> Result<Option<(EntityId, GraphView)>, GraphError> {
    let rows = graph.execute(statements::find_entity(kind, key), limit).await?;
    let id = rows.first().and_then(|rows| rows.first()?.first()?.as_text());
    let Some(id) = id.and_then(|id| EntityId::new(id).ok()) else { return Ok(None) };
    let found = view(graph, &id, limit).await?;
    // Two transactions: in between it may have passed on.
    Ok(found.filter(|view| view.kind == *kind && view.key.as_ref() == Some(key)).map(|view| (id, view)))
}

/// Carries out what the core asks for.
pub(crate) struct CommitExecutor {
    pub env: Env,
    pub ledger: Batcher,
    pub graph: Arc<dyn GraphStore>,
    pub graph_limit: Duration,
    pub clock: RunningClock,
    pub waiting: Arc<Waiting<RequestId, Answer>>,
    pub operations: Arc<Operations>,
    pub incarnation: u64,
    /// What fences found, for the audit of the transactions that they were for.
    pub fenced: Mutex<BTreeMap<TxId, bool>>,
    /// What the pass under way has read of the events.
    pub replays: Replays,
    /// The places of [`FENCES_MAX`]. Waiting for one does not count against the limit of the graph.
    pub fences: Semaphore,
    pub halt: watch::Sender<Option<String>>,
    pub feed: Feed,
}

impl Executor<Commit> for CommitExecutor {
    async fn execute(&self, effect: CommitEffect) -> Option<Input> {
        match effect {
            CommitEffect::Do { id, action } => Some(match self.act(id, action).await {
                Ok(report) => Input::Done { effect: id, report },
                Err(failure) => Input::Failed { effect: id, failure },
            }),
            CommitEffect::Reply { request, answer } => {
                self.waiting.answer(request, answer);
                None
            }
            CommitEffect::Halt { reason } => {
                tracing::error!(reason, "stopping: the log has to be read again");
                self.halt.send_replace(Some(reason));
                None
            }
        }
    }
}

impl CommitExecutor {
    async fn act(&self, id: EffectId, action: Action) -> Result<Report, Failure> {
        match action {
            Action::Intend(intent) => {
                let now = self.now();
                self.write(move |sql| ledger::intend(sql, &intent, now)).await
            }
            Action::Finish { tx, decision } => {
                let now = self.now();
                let resolution = self.resolution(tx);
                let finish = move |sql: &Connection| {
                    ledger::audit_resolution(sql, tx, resolution, now)?;
                    ledger::finish(sql, tx, &decision, now)
                };
                let position = self.write(finish).await?;
                position.into_iter().for_each(|position| self.feed.announce(position));
                Ok(Report::Finished)
            }
            Action::Append(append) => {
                let now = self.now();
                let appended = self.write(move |sql| ledger::append(sql, &append, now)).await?;
                match &appended {
                    Appended::New(placed) => self.feed.announce(placed.position),
                    Appended::Damaged(damaged) => {
                        tracing::error!("an append cannot be told from a repetition: {damaged}");
                        self.operations.damaged_event_met();
                    }
                    Appended::Repeated(_) | Appended::VersionConflict { .. } | Appended::EventIdReused(_) => {}
                }
                Ok(Report::Appended(appended))
            }
            Action::LookUp { tx } => {
                let settled = self.read(move |sql| ledger::look_up(sql, tx)).await?;
                Ok(Report::LookedUp(settled))
            }
            Action::Decide { tx, patch } => {
                self.decide(id, statements::decide(tx, &patch)).await?;
                Ok(Report::Decided)
            }
            Action::Fence { tx } => {
                let report = self.fence(tx).await?;
                if let Report::Fenced { committed } = report {
                    self.fenced.lock().unwrap_or_else(PoisonError::into_inner).insert(tx, committed);
                }
                Ok(report)
            }
            Action::Load { entity } => self.load(id, entity).await,
            Action::Find { kind, key } => self.find(id, kind, key).await,
            Action::Examine { subject } => self.examine(subject).await,
            Action::IntendRepair { intent, ground } => {
                let now = self.now();
                self.write(move |sql| ledger::intend_repair(sql, &intent, &ground, now)).await
            }
        }
    }

    /// Both stores, one after the other: the locks make it one moment, as for a load.
    async fn examine(&self, subject: Subject) -> Result<Report, Failure> {
        let rows = self.transact(statements::examine(&subject)).await?;
        let Examined { held, linked, loose } = Examined::from_rows(&subject, &rows);
        let replays = self.replays.clone();
        let read = move |sql: &Connection| ledger::evidence(sql, &replays, subject, held, linked, loose);
        let mut evidence = self.read(read).await?;
        // What only a repair asks for, and the events had to be read first to know.
        let keys = if evidence.agrees() { BTreeSet::new() } else { evidence.keys() };
        if !keys.is_empty() {
            let calls = keys.iter().flat_map(|(kind, key)| statements::find_entity(kind, key)).collect();
            for ((kind, key), rows) in keys.into_iter().zip(self.transact(calls).await?) {
                let id = rows.first().and_then(|row| row.first()?.as_text());
                // A name that cannot be one of ours is told of by the scan that meets it.
                if let Some(by) = id.and_then(|id| EntityId::new(id).ok()) {
                    evidence.note_holder(kind, key, by);
                }
            }
        }
        Ok(Report::Examined(Box::new(evidence)))
    }

    /// How it came to the outcome that is about to be written.
    fn resolution(&self, tx: TxId) -> Resolution {
        let fenced = self.fenced.lock().unwrap_or_else(PoisonError::into_inner).remove(&tx);
        Resolution { recovered_by: (tx.incarnation != self.incarnation).then_some(self.incarnation), fenced }
    }

    async fn decide(&self, id: EffectId, calls: Vec<Call>) -> Result<(), Failure> {
        let decided = self.graph.execute(calls, self.graph_limit).await;
        if let (Err(error @ GraphError::Unexpected { .. }), EffectId::Decide(tx, 1)) = (&decided, id) {
            // It fits SQLite, and no earlier attempt can have changed the graph.
            self.operations.report_difference(&format!("{tx}: {error}"));
        }
        decided.map(|_| ()).map_err(graph_failure)
    }

    async fn fence(&self, tx: TxId) -> Result<Report, Failure> {
        let _place = self.fences.acquire().await.expect("the semaphore is never closed");
        // Only what comes back after the fence's own commit counts: a server may return a
        // state and then fail to commit the transaction that it was read in.
        let rows = self.transact(statements::fence(tx)).await?;
        let states: Vec<Option<&str>> = rows.iter().flatten().map(|row| row.first()?.as_text()).collect();
        match states.as_slice() {
            [Some(statements::COMMITTED)] => Ok(Report::Fenced { committed: true }),
            [Some(statements::ABORTED)] => Ok(Report::Fenced { committed: false }),
            _ => Err(Failure::Unknown { reason: format!("the marker of {tx} reads {states:?}") }),
        }
    }

    /// Both stores, one after the other: the lock on the entity makes it one moment.
    async fn load(&self, id: EffectId, entity: EntityId) -> Result<Report, Failure> {
        let in_graph = view(self.graph.as_ref(), &entity, self.graph_limit).await.map_err(graph_failure)?;
        let wanted = entity.clone();
        let in_ledger = self.read(move |sql| ledger::load(sql, &wanted)).await?;
        let finding = match (in_graph, in_ledger) {
            (None, None) => return Ok(Report::Loaded(None)),
            (Some(view), Some(row))
                if view.kind == row.kind && view.key == row.key && view.properties == row.properties =>
            {
                return Ok(Report::Loaded(Some(EntityView {
                    id: entity,
                    kind: view.kind,
                    key: view.key,
                    properties: view.properties,
                    links: view.links,
                    version: row.version,
                    tx: row.tx,
                })));
            }
            (Some(_), Some(_)) => "the graph and SQLite differ about",
            (Some(_), None) => "only the graph has",
            (None, Some(_)) => "only SQLite has",
        };
        let reason = format!("{finding} entity {entity}: the stores were changed by somebody else");
        Err(self.differ(id, reason))
    }

    /// Who has a key in SQLite; what the graph says of that one is for its load to compare. That nobody has it both
    /// stores have to say: the lock on the key makes it one moment, and SQLite is read first, for whoever gives up a
    /// key holds no lock on it, and leaves the graph before it leaves SQLite.
    async fn find(&self, id: EffectId, kind: Kind, key: CanonicalKey) -> Result<Report, Failure> {
        let calls = statements::find_entity(&kind, &key);
        let wanted = (kind.clone(), key.clone());
        let holder = self.read(move |sql| ledger::holder(sql, &wanted.0, &wanted.1)).await?;
        if holder.is_none()
            && let Some(row) = self.transact(calls).await?.into_iter().flatten().next()
        {
            let by = row.first().and_then(Datum::as_text).unwrap_or_default();
            let reason = format!(
                "only the graph has an entity with the canonical key {key} of the kind {kind}, {by}: the stores were changed by somebody else"
            );
            return Err(self.differ(id, reason));
        }
        Ok(Report::Found(holder))
    }

    /// Tells whoever runs the coordinator that a read has found the stores to differ.
    fn differ(&self, id: EffectId, reason: String) -> Failure {
        tracing::error!(?id, "{reason}");
        self.operations.report_difference(&reason);
        Failure::Refused { reason, retryable: false }
    }

    async fn transact(&self, calls: Vec<Call>) -> Result<Vec<Rows>, Failure> {
        self.graph.execute(calls, self.graph_limit).await.map_err(graph_failure)
    }

    fn now(&self) -> Moment {
        Moment { utc: self.env.utc_now(), running: self.clock.now() }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Failure> {
        access::write(&self.ledger, work).await.map_err(ledger_failure)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Failure> {
        access::read(&self.ledger, work).await.map_err(ledger_failure)
    }
}

fn ledger_failure(error: BatchError<LedgerError>) -> Failure {
    match error {
        BatchError::Refused(error) => Failure::Refused { reason: error.to_string(), retryable: false },
        BatchError::Sql(SqlFailure::NotDone { why, .. }) => Failure::Refused { reason: why, retryable: true },
        BatchError::Sql(SqlFailure::Stopped { why, .. }) => Failure::Refused { reason: why, retryable: false },
        BatchError::Sql(SqlFailure::Unknown { why }) => Failure::Unknown { reason: why },
    }
}

fn graph_failure(error: GraphError) -> Failure {
    match error {
        GraphError::Refused { code, message, retryable } => {
            Failure::Refused { reason: format!("{code}: {message}"), retryable }
        }
        error @ GraphError::Unexpected { .. } => Failure::Refused { reason: error.to_string(), retryable: false },
        GraphError::Constraint { .. } => Failure::Constraint,
        GraphError::Unknown { why } => Failure::Unknown { reason: why },
    }
}
