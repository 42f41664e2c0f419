//! What of the real world can be noticed from within a run.
//!
//! Nothing of it decides anything. It is looked at for runs that are known to differ, piece by piece, to name the
//! likely reason. Where `/proc` says nothing, nothing is noticed.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use interpose::{Counts, cpu_time_of_other_threads, passed_through, process::thread_count};

use crate::chain::Around;

/// The real world as it was when the run began.
pub(super) struct Surroundings {
    passed_through: u64,
    threads: u64,
    cpu_elsewhere: Duration,
    reads: u64,
    /// How often this has read a file itself since then.
    looks: u64,
}

impl Surroundings {
    pub fn begin() -> Surroundings {
        let reads = reads().unwrap_or(0);
        Surroundings {
            passed_through: sum(passed_through()),
            threads: threads(),
            cpu_elsewhere: cpu_time_of_other_threads(),
            reads,
            looks: 1,
        }
    }

    /// What has been noticed by now.
    pub fn look(&mut self) -> Around {
        let answered = interpose::counts();
        let reads = reads().map_or(0, |reads| reads.saturating_sub(self.reads + self.looks));
        self.looks += 1;
        Around {
            from_elsewhere: answered.is_none(),
            answered: answered.map_or(0, sum),
            passed_through: sum(passed_through()) - self.passed_through,
            threads: threads().saturating_sub(self.threads),
            cpu_elsewhere_us: cpu_time_of_other_threads().saturating_sub(self.cpu_elsewhere).as_micros() as u64,
            reads,
        }
    }
}

fn sum(Counts { entropy_draws, clock_reads }: Counts) -> u64 {
    entropy_draws + clock_reads
}

fn threads() -> u64 {
    thread_count().unwrap_or(0) as u64
}

/// How many reads this process has made, but for the one that tells.
fn reads() -> Option<u64> {
    let mut text = [0; 512];
    // In one call: a second one would count itself.
    let len = File::open("/proc/self/io").ok()?.read(&mut text).ok()?;
    let text = std::str::from_utf8(&text[..len]).ok()?;
    text.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what is to be noticed")]
    fn reads_and_draws_that_pass_through_are_noticed() {
        let mut surroundings = Surroundings::begin();
        let before = surroundings.look();
        // Other tests of this process are as real as anything: what rises is at least what is done here.
        if reads().is_some() {
            surroundings.looks += 1;
            File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut [0; 8])).expect("there is one");
            assert!(surroundings.look().reads > before.reads);
        }
        let _ = std::time::SystemTime::now();
        let after = surroundings.look();
        assert!(after.passed_through > before.passed_through);
        assert!(after.from_elsewhere && after.answered == 0, "this test is no simulation");
        let clock = interpose::Reading::default;
        let within = interpose::simulate(1, &clock, || (std::time::SystemTime::now(), surroundings.look()).1);
        assert!(!within.from_elsewhere && within.answered == 1, "{within:?}");
    }
}
