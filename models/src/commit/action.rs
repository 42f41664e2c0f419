//! What may happen next: one thing at a time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::stores::Writer;
use crate::host;

/// One step of the model. A crash is possible between any two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A writer submits its transaction, for the first time or again.
    Submit(Writer),
    /// The reader reads the entity, strongly.
    Read,
    /// The coordinator, a store or the network goes on, or fails.
    Host(host::Action<Writer>),
}

impl Action {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Action::Submit(_) => "submit",
            Action::Read => "read",
            Action::Host(action) => action.kind(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Submit(writer) => write!(f, "writer {writer} submits"),
            Action::Read => f.write_str("reader reads"),
            Action::Host(action) => action.fmt(f),
        }
    }
}
