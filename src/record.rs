//! What a run leaves behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chain::Link;
use crate::history::History;
use crate::plan::{Plan, PointKind};

/// How many points of each kind each host passed: what [`Trigger::Ordinal`](crate::plan::Trigger::Ordinal) counts by.
pub type Points = BTreeMap<String, BTreeMap<PointKind, u64>>;

/// How often each kind of fault took effect at each stage: the last named point that its host had reached when it was
/// applied, or [`BEFORE_THE_FIRST`].
pub type Struck = BTreeMap<String, BTreeMap<String, u64>>;

/// The stage of a host that has reached no named point.
pub const BEFORE_THE_FIRST: &str = "start";

/// The mark of a process that refused to work on the stores that it found.
pub const REFUSED: &str = "refused_to_work";

/// The marks of what power cuts and failed syncs did with what was not synced, counted for each 512-byte sector that a
/// write had touched: it reached the medium all the same, it did not, or it did in part.
pub const UNSYNCED: [&str; 3] = ["unsynced_kept", "unsynced_lost", "unsynced_torn"];

/// Everything a check may look at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record<Op, Ret> {
    /// What was run.
    pub plan: Plan<Op>,
    /// What the clients saw.
    pub history: History<Op, Ret>,
    /// What happened inside, in order.
    pub trace: Vec<TraceEvent>,
    /// How often each kind of fault took effect (did something, not merely was applied).
    pub faults: BTreeMap<String, u64>,
    /// Which of the plan's faults took effect, in the plan's order.
    pub fired: Vec<bool>,
    /// How often each mark was made.
    pub marks: BTreeMap<String, u64>,
    /// How many points each host passed while faults could strike.
    pub points: Points,
    /// For each kind of fault: how often it took effect at which stage of the host that it struck.
    #[serde(default)]
    pub struck: Struck,
    /// How many of them it had passed when the last planned crash took effect; empty when none did.
    pub points_at_crash: Points,
    /// Processes that ended by themselves: when, host, why.
    pub exits: Vec<(u64, String, String)>,
    /// Processes that refused to work on the stores that they found, and were not started again: when, host, why.
    #[serde(default)]
    pub refusals: Vec<(u64, String, String)>,
    /// Panics, anywhere: host and message. Each is a violation.
    pub panics: Vec<(String, String)>,
    /// Clients that were not done when the plan's `limit_ms` was over: their last operation is open.
    pub stuck_clients: Vec<String>,
    /// Whether the system settled after the faults were healed; the reason if it did not.
    pub settled: Result<(), String>,
    /// What whoever watched it settle waited for last; see [`Host::awaits`](crate::world::Host::awaits).
    #[serde(default)]
    pub awaited: Option<String>,
    /// Canonical dumps of every store after the run.
    pub dumps: BTreeMap<String, String>,
    /// SHA-256 over the core inputs, effects and marks, and what was seen of stores: the same in debug and release.
    pub digest: String,
    /// SHA-256 over those and every network message, disk operation and random draw.
    pub byte_digest: String,
    /// What `byte_digest` was made of, piece by piece; empty unless it was asked for.
    pub chain: Vec<Link>,
    /// Simulated time the run took.
    pub simulated_ms: u64,
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// Simulated time.
    pub at_ms: u64,
    /// The host.
    pub host: String,
    /// What kind of thing happened.
    pub what: What,
    /// Which, for example a core's input in full.
    pub text: String,
    /// Of a message: its number. What happens to a message at either end of its way has the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<u64>,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A core was given an input.
    Input,
    /// A core asked for an effect.
    Effect,
    /// A core made a decision that mattered.
    Mark,
    /// A fault was applied or healed, or a host started, died or ended.
    Fault,
    /// A message was sent, delivered or lost.
    Network,
    /// A disk operation.
    Disk,
    /// A line that the software logged.
    Log,
    /// What somebody saw who looks at a store whenever it changes: for checks.
    Seen,
    /// What a commit to a store has changed, in words: for readers.
    Change,
}

/// The name of a mark: the leading identifier of its `Debug` text, in snake case.
///
/// `RolledForward { tx: 4 }` is `rolled_forward`.
pub(crate) fn mark_name(debug: &str) -> String {
    let mut name = String::new();
    for c in debug.chars().take_while(|c| c.is_alphanumeric() || *c == '_') {
        if c.is_uppercase() && !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_named_by_its_leading_identifier() {
        assert_eq!(mark_name("RolledForward { tx: 4 }"), "rolled_forward");
        assert_eq!(mark_name("Fenced(7)"), "fenced");
        assert_eq!(mark_name("already_snake"), "already_snake");
    }
}
