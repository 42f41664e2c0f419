//! A histogram of durations, in the shape in which Prometheus wants it.

use graph::Millis;

/// The upper bounds of the buckets, in milliseconds, both ends of what is usual: a commit in
/// memory, and a client's patience. Beyond the last there is one more.
pub const BOUNDS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 10_000, 30_000];

/// How many durations fell into which range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BOUNDS_MS.len() + 1],
    sum: Millis,
}

impl Histogram {
    /// Adds one.
    pub fn observe(&mut self, duration: Millis) {
        let bucket = BOUNDS_MS.iter().position(|bound| duration.0 <= *bound).unwrap_or(BOUNDS_MS.len());
        self.counts[bucket] += 1;
        self.sum = self.sum + duration;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them, one after the other.
    pub fn sum(&self) -> Millis {
        self.sum
    }

    /// Each bound, with the number of durations up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (Millis, u64)> + '_ {
        BOUNDS_MS.iter().zip(&self.counts).scan(0, |total, (bound, count)| {
            *total += count;
            Some((Millis(*bound), *total))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_every_bucket_that_it_does_not_exceed() {
        let mut histogram = Histogram::default();
        for duration in [0, 1, 2, 3, 30_000, 30_001] {
            histogram.observe(Millis(duration));
        }
        let counts: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5]);
        assert_eq!((histogram.count(), histogram.sum()), (6, Millis(60_007)));
    }
}
