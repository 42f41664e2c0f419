//! One thing that one client did or learned.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Simulated time in milliseconds since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub u64);

/// A client: a process in Jepsen's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub u64);

/// An operation: unique in its history, shared by its invocation and its completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId(pub u64);

/// The invocation or the completion of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<Op, Ret> {
    /// When it happened. For readers: the order is that of the history.
    pub at: Millis,
    /// Who saw it.
    pub client: ClientId,
    /// The operation it belongs to.
    pub op: OpId,
    /// What happened.
    pub kind: EventKind<Op, Ret>,
}

/// What happened to an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind<Op, Ret> {
    /// The client asked for it.
    Invoke(Op),
    /// It took effect, and this was the answer.
    Ok(Ret),
    /// It did not take effect and never will; why.
    Fail(String),
    /// The client does not know whether it took effect or still will; why.
    Info(String),
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

impl ClientId {
    /// None of the clients: who looks at what a run has left behind, when it is over.
    pub const AFTERWARDS: ClientId = ClientId(u64::MAX);
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ClientId::AFTERWARDS => f.write_str("a look afterwards"),
            ClientId(number) => write!(f, "client {number}"),
        }
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {}", self.0)
    }
}

/// One line, in columns: time, client, operation, kind, content.
impl<Op: fmt::Debug, Ret: fmt::Debug> fmt::Display for Event<Op, Ret> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7} ms  client {:<3} op {:<5} ", self.at.0, self.client.0, self.op.0)?;
        match &self.kind {
            EventKind::Invoke(op) => write!(f, "invoke  {op:?}"),
            EventKind::Ok(ret) => write!(f, "ok      {ret:?}"),
            EventKind::Fail(reason) => write!(f, "fail    {}", one_line(reason)),
            EventKind::Info(reason) => write!(f, "info    {}", one_line(reason)),
        }
    }
}

/// A reason is somebody else's text: an error message may have several lines.
fn one_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}
