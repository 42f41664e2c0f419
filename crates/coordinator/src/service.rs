//! A running coordinator: the core, its driver and its stores, behind one handle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use env::{Env, Handle};
use graph::{EntityId, Patch, PatchError, TxId};
use sha2::{Digest, Sha256};
use stores::batch::Batcher;
use stores::sqlite::{OpenError, SqlFailure};
use stores::{GraphError, GraphStore};
use tokio::sync::{oneshot, watch};

use crate::commit::{
    Answer, Commit, Config, ConflictingIntents, ContentHash, IdempotencyKey, Input, RequestId, Status, Submission,
};
use crate::executor::{self, CommitExecutor};
use crate::ledger::LedgerError;
use crate::view::GraphView;

/// What a coordinator is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of its SQLite file; nobody else may use it.
    pub data: PathBuf,
    /// How patient the protocol is.
    pub commit: Config,
    /// How long one transaction may take in the graph; the server is told the same.
    pub graph_limit: std::time::Duration,
    /// How long one attempt to prepare the graph at start may take, the creation of
    /// constraints included; then it is tried again.
    pub prepare_limit: std::time::Duration,
}

impl Options {
    /// The defaults, for this data folder.
    pub fn new(data: impl Into<PathBuf>) -> Options {
        Options {
            data: data.into(),
            commit: Config::default(),
            graph_limit: std::time::Duration::from_secs(5),
            prepare_limit: std::time::Duration::from_secs(300),
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
    /// The log contradicts itself.
    #[error(transparent)]
    Log(#[from] ConflictingIntents),
    /// The graph refused what a coordinator needs of it.
    #[error("the graph cannot be used: {0}")]
    Graph(GraphError),
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

/// A running coordinator. Cheap to clone; it ends when the last clone is gone.
#[derive(Clone)]
pub struct Coordinator {
    core: Handle<Commit>,
    waiting: Arc<Waiting>,
    ledger: Batcher,
    graph: Arc<dyn GraphStore>,
    graph_limit: std::time::Duration,
    halted: watch::Receiver<Option<String>>,
}

impl Coordinator {
    /// Opens the ledger, prepares the graph, recovers what an earlier process left
    /// unresolved, and starts the protocol. Returns as soon as every unresolved transaction
    /// holds its locks: new work may come in while they are being resolved.
    pub async fn start(env: Env, options: Options, graph: Arc<dyn GraphStore>) -> Result<Coordinator, StartError> {
        let opened = executor::open(&env, &options, graph.as_ref()).await?;
        let (core, first) = Commit::recover(options.commit, opened.incarnation, opened.unresolved)?;
        let waiting = Arc::new(Waiting::default());
        let (halt, halted) = watch::channel(None);
        let ledger = opened.ledger;
        let executor = CommitExecutor {
            env: env.clone(),
            ledger: ledger.clone(),
            graph: graph.clone(),
            graph_limit: options.graph_limit,
            waiting: waiting.clone(),
            halt,
        };
        let core = env::drive(&env, core, first, Arc::new(executor));
        Ok(Coordinator { core, waiting, ledger, graph, graph_limit: options.graph_limit, halted })
    }

    /// Runs a transaction. An error says which operation is malformed; nothing was begun.
    pub async fn submit(&self, key: IdempotencyKey, patch: Patch) -> Result<Answer, PatchError> {
        patch.validate()?;
        let hash = content_hash(&patch);
        let submission = Submission { key, hash, patch };
        Ok(self.ask(|request| Input::Submit { request, submission }).await)
    }

    /// Reads an entity, linearizably, from both stores.
    pub async fn read(&self, entity: EntityId) -> Answer {
        self.ask(|request| Input::Read { request, entity }).await
    }

    /// Reads an entity from the graph alone, without locks: it may show a transaction that
    /// is decided and not yet finished, or miss one that was acknowledged if the graph is
    /// read from a replica.
    pub async fn read_eventual(&self, entity: &EntityId) -> Result<Option<GraphView>, GraphError> {
        executor::view(self.graph.as_ref(), entity, self.graph_limit).await
    }

    /// What became of a transaction.
    pub async fn outcome(&self, tx: TxId) -> Answer {
        self.ask(|request| Input::Outcome { request, tx }).await
    }

    /// How the protocol is.
    pub async fn status(&self) -> Status {
        match self.ask(|request| Input::Inspect { request }).await {
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

    async fn ask(&self, input: impl FnOnce(RequestId) -> Input) -> Answer {
        let (request, answer) = self.waiting.register();
        self.core.send(input(request));
        answer.await.expect("every request is answered before it is forgotten")
    }
}

/// SHA-256 of the operations in their canonical JSON, in hex.
fn content_hash(patch: &Patch) -> ContentHash {
    let text = serde_json::to_string(patch).expect("operations are always valid JSON");
    let digest = Sha256::digest(text.as_bytes());
    ContentHash(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The clients that wait for an answer of the core.
#[derive(Default)]
pub(crate) struct Waiting {
    state: Mutex<WaitingState>,
}

#[derive(Default)]
struct WaitingState {
    last: u64,
    senders: BTreeMap<RequestId, oneshot::Sender<Answer>>,
}

impl Waiting {
    fn register(&self) -> (RequestId, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last += 1;
        let request = RequestId(state.last);
        state.senders.insert(request, sender);
        (request, receiver)
    }

    /// Tells a client; one that went away in the meantime does not hear it.
    pub(crate) fn answer(&self, request: RequestId, answer: Answer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = state.senders.remove(&request) {
            let _ = sender.send(answer);
        }
    }
}
