//! How samples are summed up.

use std::time::Duration;

/// The sample that `percent` of all do not exceed, in milliseconds. Sorts them.
pub fn percentile_ms(samples: &mut [Duration], percent: usize) -> f64 {
    samples.sort();
    samples[(samples.len() * percent / 100).min(samples.len() - 1)].as_secs_f64() * 1_000.0
}
