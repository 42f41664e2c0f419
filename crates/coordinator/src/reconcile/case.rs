//! What is left to a person.

use graph::{Millis, TxId};
use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::judge::{Authority, Reason};

/// A difference that no policy decided, written down until a person has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its name, from 1.
    pub number: u64,
    /// What was found.
    pub evidence: Evidence,
    /// Why nobody decided.
    pub reason: Reason,
    /// When it was found first, in UTC, for people.
    pub found_ms: Millis,
    /// How it ended; `None` while it is open.
    pub ending: Option<Ending>,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Whom the person found to be right.
    pub authority: Authority,
    /// Who it was.
    pub by: String,
    /// What they had to say.
    pub note: String,
    /// The transaction that repaired the stores; `None` if they agreed by then.
    pub tx: Option<TxId>,
    /// When, in UTC, for people.
    pub at_ms: Millis,
}
