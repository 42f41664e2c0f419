//! What identity would be without one of its parts.
//!
//! Each flaw is put into the surroundings of the core, never into the core.

/// A part of the argument, left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// A process that starts takes the number of the one before.
    IncarnationNotAdvanced,
    /// Ids are counted over the transactions that did not abort, so that no number is lost.
    BurntSerialReused,
    /// Whether a key is taken is only read: creators do not lock it.
    KeyNotLocked,
}

impl Flaw {
    /// All of them, each with a name for reports.
    pub const ALL: [(Flaw, &'static str); 3] = [
        (Flaw::IncarnationNotAdvanced, "identity_incarnation_not_advanced"),
        (Flaw::BurntSerialReused, "identity_burnt_serial_reused"),
        (Flaw::KeyNotLocked, "identity_key_not_locked"),
    ];
}
