//! The other end of Bolt: answers named statements from any property graph.
//!
//! It speaks Bolt 4.4 on any byte stream: handshake, HELLO, BEGIN, RUN, PULL, DISCARD, COMMIT,
//! ROLLBACK, RESET, GOODBYE, with or without an explicit transaction, pipelined or not. A
//! statement is known by its exact text; any other is a syntax error. Failures carry the
//! codes that Neo4j uses, and put the connection into the failed state until RESET.
//!
//! What isolation transactions have is the backend's affair.

mod session;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use env::{Env, Listener, Stream};
use tokio::time::Instant;

use self::session::Session;
use super::codes;
use super::schema;
use crate::memory::{MemoryGraph, MemoryTransaction};
use crate::{GraphFault, PropertyGraph, Rows, Statement, Uniqueness};

/// One statement as a function of the graph.
pub type Work<'a> = &'a mut dyn FnMut(&mut dyn PropertyGraph) -> Result<Rows, GraphFault>;

/// A graph that many transactions use at the same time.
pub trait BoltBackend: Send + Sync + 'static {
    /// An open transaction. Dropping it rolls it back.
    type Tx: Send;

    /// Opens a transaction.
    fn begin(&self) -> Self::Tx;

    /// Runs one statement of a transaction. After a failure the transaction is dropped.
    fn run(&self, tx: &mut Self::Tx, work: Work<'_>) -> Result<Rows, GraphFault>;

    /// Makes a transaction's changes visible and durable, or none of them.
    fn commit(&self, tx: Self::Tx) -> Result<(), GraphFault>;

    /// Makes sure that from now on no two nodes of the label share a value of the property.
    /// Fails if two do.
    fn constrain(&self, uniqueness: &Uniqueness) -> Result<(), GraphFault>;
}

impl BoltBackend for MemoryGraph {
    type Tx = MemoryTransaction;

    fn begin(&self) -> MemoryTransaction {
        MemoryGraph::begin(self)
    }

    fn run(&self, tx: &mut MemoryTransaction, work: Work<'_>) -> Result<Rows, GraphFault> {
        tx.statement(work)
    }

    fn commit(&self, tx: MemoryTransaction) -> Result<(), GraphFault> {
        tx.commit()
    }

    fn constrain(&self, uniqueness: &Uniqueness) -> Result<(), GraphFault> {
        MemoryGraph::constrain(self, uniqueness.label, uniqueness.property)
    }
}

/// A request, as far as [`Hooks`] can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// HELLO.
    Hello,
    /// BEGIN.
    Begin,
    /// RUN, with the statement's name, or its text if it has none.
    Run(&'a str),
    /// PULL or DISCARD.
    Pull,
    /// COMMIT.
    Commit,
    /// ROLLBACK.
    Rollback,
}

/// A failure to report instead of doing what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For example `Neo.TransientError.Transaction.DeadlockDetected`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Where a harness may interfere. The default does not.
pub trait Hooks: Send + Sync + 'static {
    /// A request is about to be carried out. A failure is reported instead, and ends the
    /// open transaction, rolled back, as every failure does.
    fn on_request(&self, request: Request<'_>) -> Option<Failure> {
        let _ = request;
        None
    }

    /// A transaction is about to be committed.
    fn before_commit(&self) {}

    /// A transaction was committed and the client has not been told. A failure is what it
    /// will be told: servers do report failures for commits that took place.
    fn after_commit(&self) -> Option<Failure> {
        None
    }
}

/// Interferes with nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: super::client::Password,
}

/// A graph that can be asked over Bolt.
pub struct BoltServer<B> {
    backend: B,
    statements: BTreeMap<&'static str, &'static Statement>,
    constraints: BTreeMap<String, Ddl>,
    hooks: Box<dyn Hooks>,
    credentials: Option<Credentials>,
}

/// What a statement about a constraint does.
#[derive(Clone, Copy)]
enum Ddl {
    Create(Uniqueness),
    Violate(Uniqueness),
    CleanUp(Uniqueness),
}

impl<B: BoltBackend> BoltServer<B> {
    /// A server that knows these statements and how to create these constraints, and lets
    /// everybody in.
    pub fn new(backend: B, statements: &[&'static Statement], constraints: &[Uniqueness]) -> BoltServer<B> {
        let ddl = constraints.iter().flat_map(|uniqueness| {
            [
                (schema::create_constraint(uniqueness), Ddl::Create(*uniqueness)),
                (schema::violate(uniqueness), Ddl::Violate(*uniqueness)),
                (schema::clean_up(uniqueness), Ddl::CleanUp(*uniqueness)),
            ]
        });
        BoltServer {
            backend,
            statements: statements.iter().map(|statement| (statement.cypher, *statement)).collect(),
            constraints: ddl.collect(),
            hooks: Box::new(NoHooks),
            credentials: None,
        }
    }

    /// Lets a harness interfere.
    pub fn with_hooks(mut self, hooks: impl Hooks) -> BoltServer<B> {
        self.hooks = Box::new(hooks);
        self
    }

    /// Lets only this user in.
    pub fn with_credentials(mut self, credentials: Credentials) -> BoltServer<B> {
        self.credentials = Some(credentials);
        self
    }

    /// The graph behind it.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Serves one connection until it ends. A transaction that is open then is rolled back.
    ///
    /// Fails when the stream does, or when the client does not speak Bolt.
    pub async fn serve_connection(&self, stream: impl Stream) -> io::Result<()> {
        wire::serve(stream, Session::new(self)).await
    }
}

/// Accepts connections for ever and serves each in a task of its own.
pub async fn serve<B: BoltBackend>(
    env: &Env,
    listener: &mut dyn Listener,
    server: &Arc<BoltServer<B>>,
) -> io::Result<()> {
    loop {
        let (connection, peer) = listener.accept().await?;
        let server = server.clone();
        env.spawn(async move {
            if let Err(error) = server.serve_connection(connection).await {
                tracing::debug!(%error, peer, "a Bolt connection ended");
            }
        });
    }
}

/// How long a transaction may stay open.
type Deadline = Option<Instant>;

impl Failure {
    fn new(code: &str, message: impl Into<String>) -> Failure {
        Failure { code: code.to_owned(), message: message.into() }
    }
}

/// As Neo4j would report it.
impl From<GraphFault> for Failure {
    fn from(fault: GraphFault) -> Failure {
        let code = match &fault {
            GraphFault::Constraint { .. } | GraphFault::StillConnected => codes::CONSTRAINT,
            GraphFault::Parameter(_) => codes::MISSING_PARAMETER,
            GraphFault::Kind(_) => codes::ARGUMENT,
            GraphFault::Gone => codes::ENTITY_NOT_FOUND,
            GraphFault::Conflict => codes::DEADLOCK,
            GraphFault::Storage(_) => codes::UNKNOWN,
        };
        Failure::new(code, fault.to_string())
    }
}
