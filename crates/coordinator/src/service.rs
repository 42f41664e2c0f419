//! A running coordinator: the core, its driver and its stores, behind one handle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use env::{Env, Handle, Place, Waiting, Watched};
use graph::{CanonicalKey, EntityId, Kind, Patch, PatchError, TxId};
use stores::batch::Batcher;
use stores::sqlite::{OpenError, SqlFailure, is_passing};
use stores::{GraphError, GraphStore};
use tokio::sync::{RwLock, Semaphore, watch};
use tokio::time::timeout;

use crate::access;
use crate::collection::{self, Collection, CollectionExecutor};
use crate::commit::{
    Answer, Commit, Config, ConflictingIntents, ContentHash, IdempotencyKey, Input, Rejection, RequestId, Status,
    Submission,
};
use crate::damage::Isolated;
use crate::events::Feed;
use crate::executor::{self, CommitExecutor, FENCES_MAX};
use crate::ledger::{self, AuditEntry, LedgerError, Replays};
use crate::neighbourhood::{self, Found, Part};
use crate::operations::{self, Operations, alerts};
use crate::reconcile::{self, Reconcile, ReconcileExecutor, Summary};
use crate::retention::{self, Retention, RetentionExecutor, RunningClock};
use crate::start::{self, Contradiction, Finding};
use crate::view::GraphView;

/// What a coordinator is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of its SQLite file; nobody else may use it.
    pub data: PathBuf,
    /// Whether a graph that is empty may take the place of the one that the ledger had: for one that has lost
    /// everything, which a reconciliation fills again.
    pub fill_empty_graph: bool,
    /// How patient the protocol is.
    pub commit: Config,
    /// How long the log keeps what is settled.
    pub retention: retention::Config,
    /// When markers leave the graph; `None` keeps them, which is right wherever the server does not
    /// end transactions that take too long.
    pub collection: Option<collection::Config>,
    /// How the stores are validated and reconciled.
    pub reconcile: reconcile::Config,
    /// How long one transaction may take in the graph; the server is told the same.
    pub graph_limit: Duration,
    /// How long one attempt to prepare the graph at start may take, the creation of
    /// constraints included; then it is tried again.
    pub prepare_limit: Duration,
    /// How many requests may be open, those included whose clients have gone away; further ones
    /// are refused. At least 1.
    pub requests_max: usize,
    /// How many readers may wait for events at once; further ones are refused. At least 1.
    pub waiting_readers_max: usize,
    /// When somebody has to look.
    pub alerts: alerts::Config,
}

impl Options {
    /// The defaults, for this data folder.
    pub fn new(data: impl Into<PathBuf>) -> Options {
        Options {
            data: data.into(),
            fill_empty_graph: false,
            commit: Config::default(),
            retention: retention::Config::default(),
            collection: None,
            reconcile: reconcile::Config::default(),
            graph_limit: Duration::from_secs(5),
            prepare_limit: Duration::from_secs(300),
            requests_max: 512,
            waiting_readers_max: 256,
            alerts: alerts::Config::default(),
        }
    }
}

/// Why a coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger could not be opened safely.
    #[error("cannot open the ledger: {0}")]
    Open(#[from] OpenError),
    /// The ledger could not be written.
    #[error("cannot write the ledger: {0}")]
    Sql(SqlFailure),
    /// The ledger holds something this program did not write.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The graph has a marker that says neither.
    #[error("the marker of {tx} in the graph reads {state}: somebody else has written it")]
    Marker {
        /// Whose.
        tx: TxId,
        /// What it says.
        state: String,
    },
    /// The log contradicts itself.
    #[error(transparent)]
    Log(#[from] ConflictingIntents),
    /// The graph refused what a coordinator needs of it.
    #[error("the graph cannot be used: {0}")]
    Graph(GraphError),
    /// The graph was claimed by a start that this ledger knows nothing of: it has come back
    /// older than it was, and what it acknowledged since is missing.
    #[error(
        "the ledger is older than the graph: it knows of {ledger} starts, and start {graph} has claimed the graph; what was acknowledged since then is missing from it: restore both from one backup, or bring back the newest copy of the ledger"
    )]
    Behind {
        /// The last start that the ledger knows of.
        ledger: u64,
        /// The last start that claimed the graph.
        graph: u64,
    },
    /// The graph has a decision that the log cannot have forgotten: the end of the log is
    /// missing, or the graph was changed by somebody else.
    #[error(
        "the ledger has lost transactions: {0}; restore the ledger and the graph from one backup, or bring back the newest copy of the ledger"
    )]
    Lost(#[from] Contradiction),
    /// The graph has never been claimed, although the ledger had one.
    #[error(
        "nobody has claimed this graph, and start {ledger} of this ledger had claimed one: name that graph, or restore both from one backup; if it has lost everything and the log is to fill it, serve with --fill-empty-graph and run `coordinator reconcile`"
    )]
    EmptyGraph {
        /// The last start that claimed a graph.
        ledger: u64,
    },
    /// The graph belongs to another ledger.
    #[error(
        "this ledger is {ledger}, but the graph belongs to {graph}: they were not written together; start the coordinator on the pair that was, or restore both from one backup"
    )]
    Foreign {
        /// The id in the ledger.
        ledger: String,
        /// The id in the graph.
        graph: String,
    },
}

impl StartError {
    /// Whether what the stores hold is damaged, or they do not belong together. Another start
    /// ends in the same way: somebody has to look first.
    pub fn is_damage(&self) -> bool {
        match self {
            StartError::Open(error) => error.is_damage(),
            StartError::Sql(_) | StartError::Ledger(_) => self.looks_damaged(),
            StartError::Graph(error) => error.is_damage(),
            StartError::Log(_)
            | StartError::Marker { .. }
            | StartError::Behind { .. }
            | StartError::EmptyGraph { .. }
            | StartError::Lost(_)
            | StartError::Foreign { .. } => true,
        }
    }

    /// Whether what was read of the ledger's file is not what SQLite writes.
    pub(crate) fn looks_damaged(&self) -> bool {
        match self {
            StartError::Open(error) => error.looks_damaged(),
            StartError::Sql(failure) => matches!(failure, SqlFailure::Stopped { damaged: true, .. }),
            StartError::Ledger(error) => error.is_damage(),
            _ => false,
        }
    }

    /// Whether the ledger's disk is full, failed for the moment, or was in use: another start
    /// may succeed with nothing else done.
    pub fn is_passing(&self) -> bool {
        match self {
            StartError::Open(error) => error.is_passing(),
            StartError::Sql(failure) => !matches!(failure, SqlFailure::Stopped { damaged: true, .. }),
            StartError::Ledger(LedgerError::Sqlite(error)) => is_passing(error),
            _ => false,
        }
    }
}

/// A running coordinator. Cheap to clone; it ends when the last clone is gone.
#[derive(Clone)]
pub struct Coordinator {
    core: Handle<Watched<Commit, Operations>>,
    #[expect(dead_code, reason = "held for its loop")]
    retention: Handle<Watched<Retention, Operations>>,
    #[expect(dead_code, reason = "held for its loop")]
    collection: Option<Handle<Collection>>,
    pub(crate) passes: Handle<Reconcile>,
    operations: Arc<Operations>,
    waiting: Arc<Waiting<RequestId, Answer>>,
    pub(crate) summaries: Arc<Waiting<RequestId, Summary>>,
    pub(crate) last_summary: watch::Receiver<Option<Summary>>,
    places: Arc<Semaphore>,
    pub(crate) env: Env,
    pub(crate) ledger: Batcher,
    pub(crate) ledger_path: PathBuf,
    pub(crate) graph: Arc<dyn GraphStore>,
    /// Held shared by whoever submits, and alone by a backup: then nothing begins.
    pub(crate) gate: Arc<RwLock<()>>,
    answer_timeout: Duration,
    pub(crate) graph_limit: Duration,
    halted: watch::Receiver<Option<String>>,
    pub(crate) feed: Feed,
    pub(crate) store_id: Arc<str>,
    findings: Arc<[Finding]>,
    pub(crate) isolated: Isolated,
}

impl Coordinator {
    /// Opens the ledger, prepares the graph, recovers what an earlier process left
    /// unresolved, and starts the protocol. Returns as soon as every unresolved transaction
    /// holds its locks: new work may come in while they are being resolved.
    pub async fn start(env: Env, options: Options, graph: Arc<dyn GraphStore>) -> Result<Coordinator, StartError> {
        let opened = start::open(&env, &options, graph.as_ref()).await?;
        let mut seed = [0; 8];
        env.entropy(&mut seed);
        let commit = Config { jitter_seed: u64::from_le_bytes(seed), ..options.commit };
        let (core, first) = Commit::recover(commit, opened.incarnation, opened.unresolved)?;
        let feed = Feed::new(opened.last_position, options.waiting_readers_max);
        let store_id = opened.store_id.into();
        let operations = Arc::new(Operations::new(options.alerts, &core, feed.clone()));
        operations.report_start(opened.suspicion.as_deref());
        operations.report_cases(opened.open_cases);
        let isolated = Isolated::new(&opened.damaged, operations.clone());
        env.spawn(operations::announce(Arc::downgrade(&operations)));
        let waiting = Arc::new(Waiting::new(RequestId));
        let (halt, halted) = watch::channel(None);
        let ledger = opened.ledger;
        let clock = RunningClock::start(opened.running);
        let replays = Replays::default();
        let executor = CommitExecutor {
            env: env.clone(),
            ledger: ledger.clone(),
            graph: graph.clone(),
            graph_limit: options.graph_limit,
            clock,
            waiting: waiting.clone(),
            operations: operations.clone(),
            incarnation: opened.incarnation,
            fenced: Mutex::default(),
            replays: replays.clone(),
            fences: Semaphore::new(FENCES_MAX),
            halt,
            feed: feed.clone(),
        };
        let core = env::drive_watched(&env, core, first, executor, operations.clone());
        let retention = Retention::new(options.retention, opened.running);
        let executor = RetentionExecutor { ledger: ledger.clone(), operations: operations.clone() };
        let retention = env::drive_watched(&env, retention, env::Step::new(), executor, operations.clone());
        let collection = options.collection.map(|config| {
            let executor =
                CollectionExecutor { ledger: ledger.clone(), graph: graph.clone(), graph_limit: options.graph_limit };
            env::drive(&env, Collection::new(config), env::Step::new(), Arc::new(executor))
        });
        let (graph_limit, findings) = (options.graph_limit, opened.findings.into());
        let places = Arc::new(Semaphore::new(options.requests_max));
        let summaries = Arc::new(Waiting::new(RequestId));
        let (last, last_summary) = watch::channel(None);
        let executor = ReconcileExecutor {
            env: env.clone(),
            ledger: ledger.clone(),
            graph: graph.clone(),
            graph_limit,
            commit: core.clone(),
            operations: operations.clone(),
            answers: waiting.clone(),
            summaries: summaries.clone(),
            replays,
            last,
        };
        let passes = env::drive(&env, Reconcile::new(options.reconcile), env::Step::new(), Arc::new(executor));
        Ok(Coordinator {
            core,
            retention,
            collection,
            passes,
            operations,
            waiting,
            places,
            summaries,
            last_summary,
            env,
            ledger,
            ledger_path: options.data.join(start::LEDGER_FILE),
            graph,
            gate: Arc::default(),
            answer_timeout: Duration::from_millis(options.commit.answer_timeout_ms.0),
            graph_limit,
            halted,
            feed,
            store_id,
            findings,
            isolated,
        })
    }

    /// Its metrics and alerts.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// What the start found to be wrong with the stores and could go on with. It was logged
    /// as well.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Runs a transaction. An error says which operation is malformed; nothing was begun.
    ///
    /// What its labels became follows from its name: [`Patch::generated`].
    pub async fn submit(&self, key: IdempotencyKey, patch: Patch) -> Result<Answer, PatchError> {
        patch.validate()?;
        let hash = ContentHash::of(&patch);
        let submission = Submission { key, hash, patch };
        let place = match self.admit() {
            Ok(place) => place,
            Err(rejection) => return Ok(Answer::Rejected(rejection)),
        };
        // Whoever waits for a backup waits as for a lock: with a place, and not for ever.
        let Ok(_open) = timeout(self.answer_timeout, self.gate.read()).await else {
            return Ok(Answer::Rejected(Rejection::Busy));
        };
        Ok(self.ask(Some(place), |request| Input::Submit { request, submission }).await)
    }

    /// Reads an entity, linearizably, from both stores.
    pub async fn read(&self, entity: EntityId) -> Answer {
        self.ask_in_turn(|request| Input::Read { request, entity }).await
    }

    /// Reads the entity that has a canonical key, linearizably, from both stores.
    pub async fn find(&self, kind: Kind, key: CanonicalKey) -> Answer {
        self.ask_in_turn(|request| Input::Find { request, kind, key }).await
    }

    /// Reads the entity that has a canonical key from the graph alone, as
    /// [`read_eventual`](Self::read_eventual) does.
    pub async fn find_eventual(
        &self,
        kind: &Kind,
        key: &CanonicalKey,
    ) -> Result<Option<(EntityId, GraphView)>, GraphError> {
        executor::view_by_key(self.graph.as_ref(), kind, key, self.graph_limit).await
    }

    /// Reads an entity from the graph alone, without locks: it may show a transaction that
    /// is decided and not yet finished, or miss one that was acknowledged if the graph is
    /// read from a replica.
    pub async fn read_eventual(&self, entity: &EntityId) -> Result<Option<GraphView>, GraphError> {
        executor::view(self.graph.as_ref(), entity, self.graph_limit).await
    }

    /// The neighbourhood of an entity in the graph alone, read as [`read_eventual`](Self::read_eventual)
    /// reads; `None` where there is no such entity.
    pub async fn neighbourhood(&self, entity: &EntityId, part: &Part) -> Result<Option<Found>, GraphError> {
        neighbourhood::explore(self.graph.as_ref(), self.graph_limit, entity, part).await
    }

    /// Up to `limit` entries of the audit trail after the one of this number, about one
    /// transaction or about all of them.
    pub async fn audit(&self, tx: Option<TxId>, after: u64, limit: u32) -> Result<Vec<AuditEntry>, Rejection> {
        let entries = access::read(&self.ledger, move |sql| match tx {
            Some(tx) => ledger::audit_of(sql, tx, after, limit),
            None => ledger::audit_after(sql, after, limit),
        });
        entries.await.map_err(|error| Rejection::Unavailable(error.to_string()))
    }

    /// What became of a transaction. One whose record is older than the retention is one that
    /// never began.
    pub async fn outcome(&self, tx: TxId) -> Answer {
        self.ask_in_turn(|request| Input::Outcome { request, tx }).await
    }

    /// The ids that a committed transaction made, by the labels of its operations; none where its record is damaged
    /// or older than the retention.
    pub async fn created(&self, tx: TxId) -> Result<BTreeMap<EntityId, EntityId>, Rejection> {
        let created = access::read(&self.ledger, move |sql| ledger::created(sql, tx)).await;
        created.map_err(|error| Rejection::Unavailable(error.to_string()))
    }

    /// How the protocol is.
    pub async fn status(&self) -> Status {
        match self.ask(None, |request| Input::Inspect { request }).await {
            Answer::Status(status) => status,
            answer => panic!("the core answered a question about its status with {answer:?}"),
        }
    }

    /// Waits until the process has to end, because the core asks for it or because a store
    /// cannot be used any more; returns why.
    pub async fn halted(&self) -> String {
        let mut halted = self.halted.clone();
        let core = async {
            let reason = halted.wait_for(Option::is_some).await.map(|reason| reason.clone().unwrap_or_default());
            reason.unwrap_or_else(|_| "the protocol's loop ended".to_owned())
        };
        tokio::select! {
            biased;
            reason = core => reason,
            why = self.ledger.failed() => format!("the ledger: {why}"),
            why = self.graph.failed() => format!("the graph: {why}"),
        }
    }

    /// Takes a place among the open requests, held until the value is dropped, or refuses.
    pub(crate) fn admit(&self) -> Result<Place, Rejection> {
        let place = self.places.clone().try_acquire_owned();
        place.map(Place::from).map_err(|_| {
            self.operations.refused_for_overload();
            Rejection::Overloaded
        })
    }

    async fn ask_in_turn(&self, input: impl FnOnce(RequestId) -> Input) -> Answer {
        match self.admit() {
            Ok(place) => self.ask(Some(place), input).await,
            Err(rejection) => Answer::Rejected(rejection),
        }
    }

    pub(crate) async fn ask(&self, place: Option<Place>, input: impl FnOnce(RequestId) -> Input) -> Answer {
        let (request, answer) = self.waiting.register(place);
        self.core.send(input(request));
        answer.await.expect("every request is answered before it is forgotten")
    }
}
