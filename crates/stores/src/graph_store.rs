//! A graph database reduced to what the protocols need.

use std::time::Duration;

use env::BoxFuture;

use crate::{Datum, GraphFault, Params, PropertyGraph, Rows, Statement};

/// One statement of a transaction.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which statement.
    pub statement: &'static Statement,
    /// Its parameters.
    pub params: Params,
    /// What it must have done for the transaction to commit.
    pub expect: Expect,
}

/// Runs the calls over a graph that is inside a transaction, which the caller must roll back
/// when this fails.
///
/// # Errors
///
/// The first fault or unexpected result; later calls are not run.
pub fn run_calls(graph: &mut dyn PropertyGraph, calls: &[Call]) -> Result<Vec<Rows>, GraphError> {
    let run = |call: &Call| {
        let rows = (call.statement.run)(&mut *graph, &call.params)?;
        call.expect.check(call.statement.name, &rows)?;
        Ok(rows)
    };
    calls.iter().map(run).collect()
}

/// What a statement must have returned for its transaction to commit.
///
/// A `MATCH` that matched nothing commits happily, so a statement that changes something
/// returns how much, and that is compared before the commit is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Anything,
    /// One row with one integer: this one.
    Changed(i64),
}

impl Expect {
    /// Compares what the statement of that name returned with what it must have.
    ///
    /// # Errors
    ///
    /// [`GraphError::Unexpected`]: the transaction must not be committed.
    pub fn check(self, statement: &'static str, rows: &Rows) -> Result<(), GraphError> {
        let Expect::Changed(expected) = self else { return Ok(()) };
        if let [row] = rows.as_slice()
            && *row == [Datum::Int(expected)]
        {
            return Ok(());
        }
        let actual = serde_json::to_string(rows).expect("rows have text keys only");
        Err(GraphError::Unexpected { statement, expected, actual })
    }
}

/// A label and a property whose value no two nodes of that label may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uniqueness {
    /// The label.
    pub label: &'static str,
    /// The property.
    pub property: &'static str,
}

/// Why a transaction did not answer with rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// It certainly left no trace.
    #[error("the graph refused: {code}: {message}")]
    Refused {
        /// The server's code, or ours where no server was asked.
        code: String,
        /// The server's words.
        message: String,
        /// Whether the same may succeed later.
        retryable: bool,
    },
    /// A statement did not do what it had to, so the transaction was rolled back before
    /// its commit was sent: it certainly left no trace.
    #[error("statement {statement} changed {actual}, expected {expected}")]
    Unexpected {
        /// The statement.
        statement: &'static str,
        /// What it had to change.
        expected: i64,
        /// What it did change, as the server said it.
        actual: String,
    },
    /// A uniqueness constraint stands against it. Some transaction put the value there:
    /// perhaps an earlier attempt at this very one.
    #[error("a uniqueness constraint stands against it: {message}")]
    Constraint {
        /// The server's words.
        message: String,
    },
    /// Nobody can say whether it was committed: a time-out, a lost connection, a code that
    /// is not on the list of certain refusals.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// What happened.
        why: String,
    },
}

impl GraphError {
    /// The code of a refusal because what the store holds is not what was written to it.
    pub const DAMAGED: &'static str = "StorageDamaged";

    /// Whether what the store holds is not what was written to it, so that trying again is of
    /// no use. A server's own words for that are not known.
    pub fn is_damage(&self) -> bool {
        matches!(self, GraphError::Refused { code, .. } if code == GraphError::DAMAGED)
    }
}

/// What a fault of a graph of ours means once its transaction has been rolled back.
impl From<GraphFault> for GraphError {
    fn from(fault: GraphFault) -> GraphError {
        let (code, retryable) = match &fault {
            GraphFault::Constraint { .. } => return GraphError::Constraint { message: fault.to_string() },
            GraphFault::StillConnected => ("StillConnected", false),
            GraphFault::Parameter(_) => ("Parameter", false),
            GraphFault::Kind(_) => ("Kind", false),
            GraphFault::Gone => ("Gone", false),
            GraphFault::Conflict => ("Conflict", true),
            GraphFault::Storage(_) => ("Storage", true),
        };
        GraphError::Refused { code: code.to_owned(), message: fault.to_string(), retryable }
    }
}

/// A graph database.
pub trait GraphStore: Send + Sync + 'static {
    /// Runs the calls as one transaction, all or nothing, and returns the rows of each.
    ///
    /// `Ok` means that the commit was acknowledged. `limit` bounds the whole call; the
    /// server is told the same bound where it can enforce one.
    fn execute(&self, calls: Vec<Call>, limit: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>>;

    /// Creates the constraints where they are missing and proves that each one holds.
    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>>;

    /// What an operator should know about this store's durability, if anything.
    fn warnings(&self) -> BoxFuture<'_, Vec<String>>;

    /// Resolves, with the reason, once this process can use the store no more and has to
    /// end. A server that cannot be reached is no such reason: it may come back.
    fn failed(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::pending())
    }
}
