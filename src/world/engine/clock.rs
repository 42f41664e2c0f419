//! Simulated time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Tells how much simulated time has passed, within a step and between two.
#[derive(Debug, Default)]
pub(in crate::world) struct Clock {
    /// Where the current step began, or the next will.
    step_began_ns: AtomicU64,
    /// Whether a step is under way. Between steps turmoil's own answer is wrong: the destructors of a crashing host
    /// run outside every runtime, where its clock falls back to the machine's.
    stepping: AtomicBool,
}

impl Clock {
    /// How long the simulation has run. A host may be up to one step ahead of another.
    pub fn now(&self) -> Duration {
        if !self.stepping.load(Relaxed) {
            return self.step_began();
        }
        turmoil::sim_elapsed().unwrap_or_else(|| self.step_began())
    }

    /// The same in whole milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now().as_millis() as u64
    }

    /// Where the current step began: a clock for the thread, which belongs to no host, is ahead of none and never goes back.
    ///
    /// tokio reads the machine's clock several times a step and host, for figures that nobody looks at. So this one is
    /// cheap, and as coarse as a step; [`now`](Self::now) is neither.
    pub fn step_began(&self) -> Duration {
        Duration::from_nanos(self.step_began_ns.load(Relaxed))
    }

    pub(super) fn begin_step(&self) {
        self.stepping.store(true, Relaxed);
    }

    pub(super) fn end_step(&self, elapsed: Duration) {
        self.step_began_ns.store(elapsed.as_nanos() as u64, Relaxed);
        self.stepping.store(false, Relaxed);
    }
}
