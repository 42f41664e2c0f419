//! What the protocol would be without one of its parts.
//!
//! Each flaw is put into the surroundings of the core, never into the core: the stores do
//! less than they were asked for, or the core is told something else than what happened.

/// A part of the argument, left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// The intent is kept in memory only: one store is committed, then the other.
    IntentNotDurable,
    /// An unknown outcome is resolved by reading the marker, without writing one.
    FenceOnlyReads,
    /// A strong read does not take the entity's lock.
    ReadWithoutLock,
    /// That the marker stands against an attempt is taken as a refusal of the transaction.
    MarkerTakenAsRefusal,
    /// What a fence read is believed before the fence itself was committed.
    FenceTrustedEarly,
    /// The marker is removed as soon as its transaction is finished.
    MarkerCollectedEarly,
}

impl Flaw {
    /// All of them, each with a name for reports.
    pub const ALL: [(Flaw, &'static str); 6] = [
        (Flaw::IntentNotDurable, "intent_not_durable"),
        (Flaw::FenceOnlyReads, "fence_only_reads"),
        (Flaw::ReadWithoutLock, "read_without_lock"),
        (Flaw::MarkerTakenAsRefusal, "marker_taken_as_refusal"),
        (Flaw::FenceTrustedEarly, "fence_trusted_early"),
        (Flaw::MarkerCollectedEarly, "marker_collected_early"),
    ];
}
