//! What the projection would be without one of its parts.
//!
//! Each flaw is put into the surroundings of the core, never into the core: the graph does
//! something else than what it was asked for.

/// A part of the argument, left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// A link whose target is not there yet is not made, and nobody is told.
    MatchForMerge,
    /// A rebuild replays everything but operations on bodies, and then these.
    TwoPassLiterally,
    /// Writes take effect wherever the mark is.
    Unconditional,
}

impl Flaw {
    /// All of them, each with a name for reports.
    pub const ALL: [(Flaw, &'static str); 3] = [
        (Flaw::MatchForMerge, "projection_match_for_merge"),
        (Flaw::TwoPassLiterally, "projection_two_pass_literally"),
        (Flaw::Unconditional, "projection_unconditional"),
    ];
}
