//! What the event store would be without one of its parts.
//!
//! Each flaw is put into the surroundings of the core, never into the core.

/// A part of the argument, left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// Who appends by itself does not wait for transactions on the stream.
    AppendWithoutLock,
    /// An event of a transaction has its position from the intent on, as it has its sequence number.
    PositionAtIntent,
}

impl Flaw {
    /// All of them, each with a name for reports.
    pub const ALL: [(Flaw, &'static str); 2] =
        [(Flaw::AppendWithoutLock, "append_without_lock"), (Flaw::PositionAtIntent, "append_position_at_intent")];
}
