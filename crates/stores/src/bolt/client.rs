//! A graph database over Bolt as a [`GraphStore`].
//!
//! Every call is one explicit transaction: BEGIN, RUN and PULL for each statement, then
//! COMMIT once every statement did what was expected of it. The one question that matters
//! afterwards is whether it left a trace, and the answer comes from how far it got:
//!
//! | how far | what went wrong | outcome |
//! |---|---|---|
//! | no RUN sent | anything | certainly none |
//! | no COMMIT sent | the server refused with a listed code, or we rolled back | certainly none |
//! | no COMMIT sent | anything else | unknown |
//! | COMMIT sent | the server refused with a code of the shorter list | certainly none |
//! | COMMIT sent | anything else | unknown |
//!
//! That nothing lasts when no RUN was sent is sound because a transaction without a
//! statement has no effect to lose or keep, and no statement is ever sent outside of one.
//! By the same protocol a transaction whose COMMIT was not sent is rolled back when its
//! connection ends; that is not relied on, because it trusts a server that just misbehaved.
//!
//! No statement is ever sent twice by one call. What is tried again is only the opening of a
//! transaction, when a pooled connection turns out to be dead.

use std::path::PathBuf;
use std::time::Duration;

use env::{BoxFuture, Env};
use tokio::time::{Instant, timeout};

use super::codes::{self, Failure};
use super::connection::{BoltConnection, Query, Reply, Trouble};
pub use super::options::{BoltOptions, BoltUrl, Password, Security, UrlError};
use super::pool::{Permit, Pool};
use super::schema;
use super::tls::Tls;
use crate::{Call, Datum, Expect, GraphError, GraphStore, Params, Rows, Uniqueness};

/// The code of a refusal because no transaction could be opened: the server was not
/// reached, or did not answer before the limit. Retryable.
pub const UNREACHABLE: &str = "Unreachable";
/// The code of a refusal because all connections were in use until the limit. Retryable.
pub const BUSY: &str = "Busy";
/// The code of a refusal because a statement returned a value that we cannot hold, or
/// other columns than it says.
pub const UNEXPECTED_RESULT: &str = "UnexpectedResult";
/// The code of a refusal because a uniqueness constraint does not hold.
pub const NOT_UNIQUE: &str = "NotUnique";

/// How long a statement about constraints may take: the server may have to read all nodes.
const SCHEMA_LIMIT: Duration = Duration::from_secs(60);

/// How many statements are sent before the first answer is read; see
/// [`BoltConnection::run`]. Each answers with one integer, so 32 answers are about 3 kB.
const PIPELINED_MAX: usize = 32;

/// Why the options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// With TLS the host has to be a DNS name or an IP address.
    #[error("{0:?} cannot be the name in a certificate")]
    ServerName(String),
    /// The file with extra certificates is missing or malformed.
    #[error("failed to load certificates from {path}: {why}", path = .path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Neither the system nor the options name an authority to trust.
    #[error("no certificate authority is trusted: install the system's or name a file")]
    NothingTrusted,
}

/// A graph database behind Bolt.
pub struct BoltGraph {
    env: Env,
    options: BoltOptions,
    tls: Option<Tls>,
    pool: Pool,
}

impl BoltGraph {
    /// Prepares to talk to a server. Connects when it is first needed, so that a server
    /// that is down at the moment is a refusal of a call, not a failure to start.
    pub fn new(env: Env, options: BoltOptions) -> Result<BoltGraph, OptionsError> {
        let tls = match &options.security {
            Security::Plain => None,
            Security::Tls { extra_ca } => Some(Tls::new(&options.host, extra_ca.as_deref())?),
        };
        let pool = Pool::new(options.pool_size);
        Ok(BoltGraph { env, options, tls, pool })
    }

    /// Runs one transaction within the limit.
    async fn transact(&self, steps: Vec<Step>, limit: Duration) -> Result<Vec<Rows>, GraphError> {
        let mut progress = Progress::Waiting;
        match timeout(limit, self.attempt(steps, Instant::now() + limit, &mut progress)).await {
            Ok(result) => result,
            // The connection went down with the future: it is closed, never reused.
            Err(_) => Err(progress.timed_out(limit)),
        }
    }

    async fn attempt(
        &self,
        steps: Vec<Step>,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Vec<Rows>, GraphError> {
        let permit = self.pool.permit().await;
        *progress = Progress::Opening;
        let mut connection = self.begin(&permit, deadline).await?;
        *progress = Progress::Running;
        let error = match run(&mut connection, steps).await {
            Ok(rows) => {
                *progress = Progress::Committing;
                match connection.commit().await {
                    Ok(()) => {
                        self.pool.give_back(&permit, connection);
                        return Ok(rows);
                    }
                    Err(Trouble::Failed(failure)) => codes::at_commit(failure),
                    Err(Trouble::Lost(why) | Trouble::Unsupported(why)) => {
                        return Err(GraphError::Unknown { why: format!("after the commit was sent: {why}") });
                    }
                }
            }
            Err(Stop::Failed(failure)) => codes::before_commit(failure),
            Err(Stop::Lost(why)) => {
                return Err(GraphError::Unknown { why: format!("before the commit was sent: {why}") });
            }
            Err(Stop::Ours(error)) => error,
        };
        // The outcome stands; what follows only frees what the transaction holds, now
        // rather than when the server notices.
        *progress = Progress::Decided(error.clone());
        if connection.reset().await.is_ok() {
            self.pool.give_back(&permit, connection);
        }
        Err(error)
    }

    /// A connection with an open transaction.
    async fn begin(&self, permit: &Permit, deadline: Instant) -> Result<BoltConnection, GraphError> {
        let database = self.options.database.as_deref();
        let left = || deadline.saturating_duration_since(Instant::now());
        if let Some(mut connection) = self.pool.take(permit) {
            // A dead connection may not say so: it gets as long as a new one.
            match timeout(self.options.connect_timeout, connection.begin(database, left(), true)).await {
                Ok(Ok(())) => return Ok(connection),
                Ok(Err(Trouble::Failed(failure))) => return Err(codes::at_begin(failure)),
                Ok(Err(Trouble::Lost(_) | Trouble::Unsupported(_))) | Err(_) => self.pool.close_idle(),
            }
        }
        let mut connection = self.open().await?;
        match connection.begin(database, left(), false).await {
            Ok(()) => Ok(connection),
            Err(Trouble::Failed(failure)) => Err(codes::at_begin(failure)),
            Err(Trouble::Lost(why) | Trouble::Unsupported(why)) => Err(unreachable(why)),
        }
    }

    async fn open(&self) -> Result<BoltConnection, GraphError> {
        let open = BoltConnection::open(&self.env, &self.options, self.tls.as_ref());
        match timeout(self.options.connect_timeout, open).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(Trouble::Failed(failure))) => Err(codes::at_begin(failure)),
            Ok(Err(Trouble::Lost(why) | Trouble::Unsupported(why))) => Err(unreachable(why)),
            Err(_) => Err(unreachable(format!("no connection within {:?}", self.options.connect_timeout))),
        }
    }

    async fn constrain(&self, uniqueness: &Uniqueness) -> Result<(), GraphError> {
        // Not every server knows the statement (Neptune does not), and what it says is no
        // proof either. The proof below decides.
        let created =
            self.transact(vec![Step::new(schema::create_constraint(uniqueness), Params::new())], SCHEMA_LIMIT);
        let created = created.await;
        let value = || Params::from([("value".to_owned(), Datum::from(schema::PROBE_VALUE))]);
        let proof = self.transact(vec![Step::new(schema::violate(uniqueness), value())], SCHEMA_LIMIT).await;
        match proof {
            Err(GraphError::Constraint { .. }) => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let cleaned = self.transact(vec![Step::new(schema::clean_up(uniqueness), value())], SCHEMA_LIMIT).await;
        let mut message = format!("two nodes {} may share one {}", uniqueness.label, uniqueness.property);
        if let Err(error) = created {
            message += &format!("; the constraint could not be created: {error}");
        }
        if let Err(error) = cleaned {
            message += &format!("; two nodes with the value {:?} were left behind: {error}", schema::PROBE_VALUE);
        }
        Err(GraphError::Refused { code: NOT_UNIQUE.to_owned(), message, retryable: false })
    }
}

impl GraphStore for BoltGraph {
    fn execute(&self, calls: Vec<Call>, limit: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>> {
        Box::pin(self.transact(calls.into_iter().map(Step::from).collect(), limit))
    }

    /// Violates each constraint in a transaction of its own and requires the server to
    /// refuse. Where it does not, what that left is removed again.
    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>> {
        Box::pin(async move {
            for uniqueness in constraints {
                self.constrain(uniqueness).await?;
            }
            Ok(())
        })
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async move {
            let permit = self.pool.permit().await;
            match self.open().await {
                Ok(connection) => {
                    let warning = durability_warning(connection.server());
                    self.pool.give_back(&permit, connection);
                    warning.into_iter().collect()
                }
                Err(error) => vec![format!("the graph's durability is unknown: {error}")],
            }
        })
    }
}

/// What a server's name says about its durability. Bolt itself says nothing.
fn durability_warning(server: &str) -> Option<String> {
    if server.contains("ArcadeDB") {
        return Some(format!(
            "{server} does not sync commits to disk unless it was started with txWalFlush=1 or 2, and that cannot \
             be read over Bolt: make sure of it, or a power cut may undo acknowledged transactions. It also ignores \
             transaction time-outs"
        ));
    }
    // Neo4j syncs its log at every commit and has no switch to turn that off.
    let neo4j = server.starts_with("Neo4j/") && !server.contains("compatible");
    (!neo4j)
        .then(|| format!("the durability of {server:?} cannot be read over Bolt: make sure that it syncs its commits"))
}

/// A statement and what its answer has to be like.
struct Step {
    query: Query,
    name: &'static str,
    /// `None` for a statement of our own whose result nobody looks at.
    columns: Option<&'static [&'static str]>,
    expect: Expect,
}

impl Step {
    fn new(text: String, params: Params) -> Step {
        Step { query: Query { text, params }, name: "schema", columns: None, expect: Expect::Anything }
    }

    /// Checks the answer before anything is committed.
    fn check(&self, reply: &Reply) -> Result<(), GraphError> {
        // ArcadeDB does not name the columns of a result without rows.
        if let Some(columns) = self.columns
            && !reply.rows.is_empty()
            && reply.columns != columns
        {
            let message = format!("statement {} returned {:?}, expected {columns:?}", self.name, reply.columns);
            return Err(GraphError::Refused { code: UNEXPECTED_RESULT.to_owned(), message, retryable: false });
        }
        self.expect.check(self.name, &reply.rows)
    }
}

impl From<Call> for Step {
    fn from(call: Call) -> Step {
        let Call { statement, params, expect } = call;
        let query = Query { text: statement.cypher.to_owned(), params };
        Step { query, name: statement.name, columns: Some(statement.columns), expect }
    }
}

/// Why a transaction is not to be committed.
enum Stop {
    Failed(Failure),
    Lost(String),
    Ours(GraphError),
}

async fn run(connection: &mut BoltConnection, steps: Vec<Step>) -> Result<Vec<Rows>, Stop> {
    let mut rows = Vec::with_capacity(steps.len());
    let mut rest = steps.as_slice();
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(batch_length(rest));
        rest = after;
        let queries = batch.iter().map(|step| step.query.clone()).collect();
        let (replies, end) = connection.run(queries).await;
        // First what came first: a later statement may have failed because of it.
        for (step, reply) in batch.iter().zip(replies) {
            step.check(&reply).map_err(Stop::Ours)?;
            rows.push(reply.rows);
        }
        end.map_err(|trouble| match trouble {
            Trouble::Failed(failure) => Stop::Failed(failure),
            Trouble::Lost(why) => Stop::Lost(why),
            Trouble::Unsupported(message) => {
                Stop::Ours(GraphError::Refused { code: UNEXPECTED_RESULT.to_owned(), message, retryable: false })
            }
        })?;
    }
    Ok(rows)
}

/// How many of the next statements go out together: those that answer with one integer,
/// or one alone whose answer may be of any size.
fn batch_length(steps: &[Step]) -> usize {
    let small = |step: &&Step| matches!(step.expect, Expect::Changed(_));
    steps.iter().take(PIPELINED_MAX).take_while(small).count().max(1)
}

/// How far a transaction got: what a time-out means depends on it.
enum Progress {
    /// For a connection.
    Waiting,
    /// No statement was sent.
    Opening,
    /// No COMMIT was sent.
    Running,
    Committing,
    /// It is over, and this is the outcome.
    Decided(GraphError),
}

impl Progress {
    fn timed_out(self, limit: Duration) -> GraphError {
        match self {
            Progress::Waiting => GraphError::Refused {
                code: BUSY.to_owned(),
                message: format!("all connections were in use for {limit:?}"),
                retryable: true,
            },
            Progress::Opening => unreachable(format!("no transaction within {limit:?}")),
            Progress::Running => GraphError::Unknown { why: format!("no answer to a statement within {limit:?}") },
            Progress::Committing => GraphError::Unknown { why: format!("no answer to the commit within {limit:?}") },
            Progress::Decided(error) => error,
        }
    }
}

fn unreachable(message: String) -> GraphError {
    GraphError::Refused { code: UNREACHABLE.to_owned(), message, retryable: true }
}
