//! What there is where libc's symbols cannot be interposed.

use std::time::Duration;

use crate::{Counts, NotOurs, Reading};

/// Always [`NotOurs::Unsupported`] on this target.
///
/// # Errors
///
/// Always.
pub fn install() -> Result<(), NotOurs> {
    Err(NotOurs::Unsupported)
}

/// Runs `body`. Nothing is simulated on this target, as [`install`] said.
pub fn simulate<R>(_seed: u64, _clock: &dyn Fn() -> Reading, body: impl FnOnce() -> R) -> R {
    body()
}

/// Always `None`: this target has no simulation.
pub fn counts() -> Option<Counts> {
    None
}

/// Always zero: this target counts nothing.
pub fn passed_through() -> Counts {
    Counts::default()
}

/// The real monotonic clock.
pub fn real_monotonic() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Always zero: this target measures nothing.
pub fn cpu_time_of_other_threads() -> Duration {
    Duration::ZERO
}
