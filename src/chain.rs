//! The chain of a run: every piece that its digest over everything was made of, in order.
//!
//! Two digests say *that* two runs differ; two chains say *where*, and what was noticed there of the real world, which
//! no run should know of. See [`divergence`](crate::divergence).

use serde::{Deserialize, Serialize};

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Simulated time.
    pub at_ms: u64,
    /// The host; `world` where it was none.
    pub host: String,
    /// What it was, for people: a core's input in full, a message in short.
    pub text: String,
    /// The beginning of the digest of everything up to this piece, itself included.
    pub digest: u64,
    /// What had been noticed of the real world by then.
    pub around: Around,
}

/// What was noticed of the real world from the beginning of the run on. No two runs agree on all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Around {
    /// Whether another thread than the run's own recorded this piece.
    pub from_elsewhere: bool,
    /// How many random draws and clock reads the simulation answered.
    pub answered: u64,
    /// How many the kernel answered, to whichever thread.
    pub passed_through: u64,
    /// How many more threads there are than at the beginning.
    pub threads: u64,
    /// How much CPU time other threads have used, those that have ended among them, in microseconds.
    pub cpu_elsewhere_us: u64,
    /// How many real files, devices or pipes were read: calls of `read` and its kin.
    pub reads: u64,
}
