//! Carries out the effects of the commit core on the real stores.

use std::sync::Arc;
use std::time::Duration;

use env::{Env, Executor};
use graph::{EntityId, TxId};
use rusqlite::Connection;
use stores::batch::{BatchError, Batcher, WorkError};
use stores::sqlite::{Check, Schema, SqlFailure};
use stores::{Call, Datum, GraphError, GraphStore, Rows};
use tokio::sync::watch;

use crate::commit::{Action, Commit, CommitEffect, EffectId, EntityView, Failure, Input, Intent, Report};
use crate::ledger::{self, LedgerError};
use crate::service::{Options, StartError, Waiting};
use crate::statements;
use crate::view::GraphView;

/// The name of the ledger within the data folder.
pub const LEDGER_FILE: &str = "ledger.db";

/// How many log writes share one fsync at most.
const BATCH_MAX: usize = 64;

/// How long to wait before the graph is asked again at start.
const START_BACKOFF: Duration = Duration::from_millis(250);

static SCHEMA: Schema = Schema { application_id: 0x5351_4c4c, migrations: ledger::MIGRATIONS };

/// What a start found.
pub(crate) struct Opened {
    pub ledger: Batcher,
    pub incarnation: u64,
    pub unresolved: Vec<Intent>,
}

/// Opens the ledger and claims the graph, waiting for it as long as it cannot be reached.
pub(crate) async fn open(env: &Env, options: &Options, graph: &dyn GraphStore) -> Result<Opened, StartError> {
    let path = options.data.join(LEDGER_FILE);
    let ledger = Batcher::open(env, &path, &SCHEMA, Check::Quick, BATCH_MAX).await?;
    let mut entropy = [0; 16];
    env.entropy(&mut entropy);
    let new_id: String = entropy.iter().map(|byte| format!("{byte:02x}")).collect();
    let work = move |sql: &Connection| -> Result<_, WorkError<LedgerError>> {
        let start = ledger::start_incarnation(sql)
            .and_then(|incarnation| Ok((incarnation, ledger::store_id(sql, &new_id)?, ledger::unresolved(sql)?)));
        start.map_err(refusal)
    };
    let (incarnation, store_id, unresolved) = ledger.submit(work).await.map_err(|error| match error {
        BatchError::Refused(error) => StartError::Ledger(error),
        BatchError::Sql(failure) => StartError::Sql(failure),
    })?;
    prepare(graph, &store_id, options).await?;
    Ok(Opened { ledger, incarnation, unresolved })
}

/// Makes sure that the graph enforces what the protocol rests on and belongs to the ledger.
async fn prepare(graph: &dyn GraphStore, store_id: &str, options: &Options) -> Result<(), StartError> {
    let claim = || Call {
        statement: &statements::CLAIM_STORE,
        params: [("id".to_owned(), Datum::from(store_id))].into(),
        expect: stores::Expect::Anything,
    };
    let rows = loop {
        let attempt = async {
            graph.ensure_unique(statements::CONSTRAINTS).await?;
            graph.execute(vec![claim()], options.graph_limit).await
        };
        // A connection that goes dead meanwhile must not keep the process from starting.
        let attempt = tokio::time::timeout(options.prepare_limit, attempt).await;
        match attempt.unwrap_or_else(|_| Err(GraphError::Unknown { why: "no answer in time".to_owned() })) {
            Ok(rows) => break rows,
            // Claiming twice claims once, so an unknown outcome may simply be tried again.
            Err(error @ (GraphError::Unknown { .. } | GraphError::Refused { retryable: true, .. })) => {
                tracing::warn!(%error, "waiting for the graph");
                tokio::time::sleep(START_BACKOFF).await;
            }
            Err(error) => return Err(StartError::Graph(error)),
        }
    };
    for warning in graph.warnings().await {
        tracing::warn!("{warning}");
    }
    match rows.first().and_then(|rows| rows.first()).and_then(|row| row.first()).and_then(Datum::as_text) {
        Some(claimed) if claimed == store_id => Ok(()),
        claimed => Err(StartError::Foreign {
            ledger: store_id.to_owned(),
            graph: claimed.unwrap_or("without an id").to_owned(),
        }),
    }
}

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

/// Carries out what the core asks for.
pub(crate) struct CommitExecutor {
    pub env: Env,
    pub ledger: Batcher,
    pub graph: Arc<dyn GraphStore>,
    pub graph_limit: Duration,
    pub waiting: Arc<Waiting>,
    pub halt: watch::Sender<Option<String>>,
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
                let now = self.env.utc_now();
                self.write(move |sql| ledger::intend(sql, &intent, now)).await
            }
            Action::Finish { tx, decision } => {
                let now = self.env.utc_now();
                self.write(move |sql| ledger::finish(sql, tx, &decision, now)).await
            }
            Action::LookUp { tx } => {
                let settled = self.read(move |sql| ledger::look_up(sql, tx)).await?;
                Ok(Report::LookedUp(settled))
            }
            Action::Decide { tx, patch } => {
                self.transact(statements::decide(tx, &patch)).await?;
                Ok(Report::Decided)
            }
            Action::Fence { tx } => self.fence(tx).await,
            Action::Load { entity } => self.load(id, entity).await,
        }
    }

    async fn fence(&self, tx: TxId) -> Result<Report, Failure> {
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
            (Some(view), Some(row)) if view.kind == row.kind && view.properties == row.properties => {
                return Ok(Report::Loaded(Some(EntityView {
                    id: entity,
                    kind: view.kind,
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
        tracing::error!(?id, "{reason}");
        Err(Failure::Refused { reason, retryable: false })
    }

    async fn transact(&self, calls: Vec<Call>) -> Result<Vec<Rows>, Failure> {
        self.graph.execute(calls, self.graph_limit).await.map_err(graph_failure)
    }

    async fn write(
        &self,
        work: impl FnOnce(&Connection) -> Result<Report, LedgerError> + Send + 'static,
    ) -> Result<Report, Failure> {
        let report = self.ledger.submit(move |sql: &Connection| work(sql).map_err(refusal)).await;
        report.map_err(|error| match error {
            BatchError::Refused(error) => Failure::Refused { reason: error.to_string(), retryable: false },
            BatchError::Sql(failure) => sql_failure(failure),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Failure> {
        let read = self.ledger.read(move |sql| match work(sql) {
            Err(LedgerError::Sqlite(error)) => Err(error),
            other => Ok(other),
        });
        let result = read.await.map_err(sql_failure)?;
        result.map_err(|error| Failure::Refused { reason: error.to_string(), retryable: false })
    }
}

/// A failure of SQLite is the batch's to judge; everything else is ours.
fn refusal(error: LedgerError) -> WorkError<LedgerError> {
    match error {
        LedgerError::Sqlite(error) => WorkError::Sql(error),
        error => WorkError::Refused(error),
    }
}

fn sql_failure(failure: SqlFailure) -> Failure {
    match failure {
        SqlFailure::NotDone { why, .. } => Failure::Refused { reason: why, retryable: true },
        SqlFailure::Unknown { why } => Failure::Unknown { reason: why },
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
