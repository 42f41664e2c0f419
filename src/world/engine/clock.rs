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
    /// The latest time that [`monotonic`](Self::monotonic) returned.
    latest_ns: AtomicU64,
}

impl Clock {
    /// How long the simulation has run. A host may be up to one step ahead of another.
    pub fn now(&self) -> Duration {
        let step_began = Duration::from_nanos(self.step_began_ns.load(Relaxed));
        if !self.stepping.load(Relaxed) {
            return step_began;
        }
        turmoil::sim_elapsed().unwrap_or(step_began)
    }

    /// The same in whole milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now().as_millis() as u64
    }

    /// The same, for a clock that belongs to the thread and not to a host: it never goes back.
    pub fn monotonic(&self) -> Duration {
        let now = self.now().as_nanos() as u64;
        Duration::from_nanos(self.latest_ns.fetch_max(now, Relaxed).max(now))
    }

    pub(super) fn begin_step(&self) {
        self.stepping.store(true, Relaxed);
    }

    pub(super) fn end_step(&self, elapsed: Duration) {
        self.step_began_ns.store(elapsed.as_nanos() as u64, Relaxed);
        self.stepping.store(false, Relaxed);
    }
}
