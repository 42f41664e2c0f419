//! Stubs: resources that are linked to and were never created.
//!
//! For a moment that is how it has to be, for no order holds across resources. For longer it has
//! one of three causes, which marks and log tell apart.

use graph::EntityId;
use serde::{Deserialize, Serialize};

use crate::lanes::Applied;

/// So many stubs are no reason for an alert; one more is.
pub const STUBS_MAX: u64 = 10;

/// Whether there are so many stubs that somebody should look.
pub fn is_alarming(stubs: u64) -> bool {
    stubs > STUBS_MAX
}

/// Why a resource is a stub.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum Cause {
    /// The log has nothing that creates it: only whoever writes events can repair that.
    NeverCreated,
    /// An event of it cannot be applied: once that is cleared, a rebuild repairs it.
    CannotBeApplied {
        /// The event.
        sequence: u64,
        /// Why.
        why: String,
    },
    /// The log is ahead of the graph: the projection is behind, or did not run. It will catch up; a
    /// rebuild makes it.
    NotAppliedYet {
        /// How far the graph is.
        applied: u64,
        /// How far the log is.
        logged: u64,
    },
    /// All that the log has is in the graph by its mark, and the log creates the resource: somebody else changed the
    /// graph. A rebuild repairs it.
    Altered,
}

/// A stub, and why it is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stub {
    /// The resource.
    pub resource: EntityId,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
}

/// Why a resource is a stub, from its mark, the last sequence of its stream (0 if it has none), and whether
/// any event up to the mark creates it.
pub fn diagnose(applied: &Applied, logged: u64, creates: bool) -> Cause {
    match &applied.poison {
        Some(poison) => Cause::CannotBeApplied { sequence: poison.sequence, why: poison.why.clone() },
        None if applied.sequence < logged => Cause::NotAppliedYet { applied: applied.sequence, logged },
        None if creates => Cause::Altered,
        None => Cause::NeverCreated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Poison;

    #[test]
    fn ten_stubs_are_silent_and_eleven_are_not() {
        assert!(!is_alarming(10));
        assert!(is_alarming(11));
    }

    #[test]
    fn each_cause_is_told_from_the_others() {
        let at = |sequence| Applied { sequence, ..Applied::default() };
        assert_eq!(diagnose(&at(0), 0, false), Cause::NeverCreated);
        assert_eq!(diagnose(&at(2), 2, false), Cause::NeverCreated);
        assert_eq!(diagnose(&at(0), 3, true), Cause::NotAppliedYet { applied: 0, logged: 3 });
        assert_eq!(diagnose(&at(3), 3, true), Cause::Altered);
        let poison = Poison { sequence: 1, why: "w".to_owned() };
        let parked = Applied { poison: Some(poison), ..Applied::default() };
        assert_eq!(diagnose(&parked, 3, true), Cause::CannotBeApplied { sequence: 1, why: "w".to_owned() });
    }
}
