//! What may happen next: one thing at a time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Client, TRANSACTION};
use crate::host;

/// One step of the model. A crash is possible between any two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A client asks for what it wants, for the first time or again.
    Ask(Client),
    /// The reader reads what follows the position that it has come to.
    Read,
    /// The coordinator, a store or the network goes on, or fails.
    Host(host::Action<()>),
}

impl Action {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Action::Ask(_) => "ask",
            Action::Read => "read",
            Action::Host(action) => action.kind(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Ask(TRANSACTION) => f.write_str("client 0 submits its transaction"),
            Action::Ask(client) => write!(f, "client {client} appends"),
            Action::Read => f.write_str("reader reads on"),
            Action::Host(action) => action.fmt(f),
        }
    }
}
