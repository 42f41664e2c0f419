//! Stubs: resources that are linked to and were never created.
//!
//! For a moment that is how it has to be, for no order holds across resources. For longer it has
//! one of a few causes, which marks and log tell apart.

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
    /// The log did not answer: ask again.
    Unknown {
        /// What it did instead.
        why: String,
    },
}

/// What the log says of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Story {
    /// The last sequence of its stream, as far as that can be read; 0 if it has none.
    pub logged: u64,
    /// Whether any event up to the mark creates it.
    pub creates: bool,
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

/// Why a resource is a stub, from its mark, and from what the log says of it, or why that says nothing.
pub fn diagnose(applied: &Applied, story: Result<Story, String>) -> Cause {
    match (&applied.poison, story) {
        (Some(poison), _) => Cause::CannotBeApplied { sequence: poison.sequence, why: poison.why.clone() },
        (None, Err(why)) => Cause::Unknown { why },
        (None, Ok(Story { logged, .. })) if applied.sequence < logged => {
            Cause::NotAppliedYet { applied: applied.sequence, logged }
        }
        (None, Ok(Story { creates: true, .. })) => Cause::Altered,
        (None, Ok(_)) => Cause::NeverCreated,
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
        let story = |logged, creates| Ok(Story { logged, creates });
        let silent = || Err("silent".to_owned());
        assert_eq!(diagnose(&at(0), story(0, false)), Cause::NeverCreated);
        assert_eq!(diagnose(&at(2), story(2, false)), Cause::NeverCreated);
        assert_eq!(diagnose(&at(0), story(3, true)), Cause::NotAppliedYet { applied: 0, logged: 3 });
        assert_eq!(diagnose(&at(3), story(3, true)), Cause::Altered);
        assert_eq!(diagnose(&at(3), silent()), Cause::Unknown { why: "silent".to_owned() });
        let poison = Poison { sequence: 1, why: "w".to_owned() };
        let parked = Applied { poison: Some(poison), ..Applied::default() };
        for story in [story(3, true), silent()] {
            assert_eq!(diagnose(&parked, story), Cause::CannotBeApplied { sequence: 1, why: "w".to_owned() });
        }
    }
}
