//! What reconciliation would be without one of its parts.
//!
//! Each flaw is put into the surroundings of the cores, never into the cores: they are asked
//! for something else than what they stand for, or told something else than what is so.

/// A part of the argument, left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// What two scans saw differently is repaired by what they saw, in a transaction.
    ScansTrusted,
    /// What a repair does is decided from what is read without locks, and done with them.
    ExaminedWithoutLocks,
    /// The policy is not told that a transaction deleted the entity.
    DeletionForgotten,
    /// The policy is not told that a transaction created the entity.
    CreationForgotten,
}

impl Flaw {
    /// All of them, each with a name for reports.
    pub const ALL: [(Flaw, &'static str); 4] = [
        (Flaw::ScansTrusted, "scans_trusted"),
        (Flaw::ExaminedWithoutLocks, "examined_without_locks"),
        (Flaw::DeletionForgotten, "deletion_forgotten"),
        (Flaw::CreationForgotten, "creation_forgotten"),
    ];
}
