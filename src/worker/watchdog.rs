//! When a job has had its time: by what its process computed, not by the clock on the wall.
//!
//! A machine that has much else to do slows every run down, and a run that is slow is no finding. So a job may compute for
//! as long as the watchdog says, however long that takes on the wall. Only one that hardly computes at all is not waited
//! for: it waits for something that does not come.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use interpose::process;

use super::frame::{Frame, NoFrame, Until};

/// A job stands still that gets less than one in so many parts of a processor.
const SHARE_MIN: u32 = 10;

/// What the watchdog knows of a job.
#[derive(Debug)]
struct Watchdog {
    /// How much it may compute.
    limit: Duration,
    /// How much it had computed at the last look.
    used: Duration,
    /// How long ago on the wall the last look is.
    waited: Duration,
}

/// What the watchdog does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Waits for so long on the wall, and looks again.
    Wait(Duration),
    /// Kills it.
    Kill,
}

impl Watchdog {
    /// Before the job has computed anything: how long to wait for the first look is the limit.
    fn new(limit: Duration) -> Watchdog {
        Watchdog { limit, used: Duration::ZERO, waited: limit }
    }

    /// Looks at a job that has computed for so long since it began.
    fn look(&mut self, used: Duration) -> Next {
        let since = used.saturating_sub(self.used);
        if used >= self.limit || since <= self.waited / SHARE_MIN {
            return Next::Kill;
        }
        // Sooner than that the share of a processor says little.
        self.waited = (self.limit - used).max(self.limit / SHARE_MIN);
        self.used = used;
        Next::Wait(self.waited)
    }
}

/// Longer than this on the wall no job is waited for: it has had its share, or has stood still.
pub(super) fn wall_max(watchdog: Duration) -> Duration {
    // The last wait is the tenth part more.
    watchdog.saturating_mul(SHARE_MIN + 1)
}

/// Reads the frame that a job ends with. `computed` is how much its process has computed in all, before the job too.
///
/// [`NoFrame::TimedOut`] when the job has computed for as long as the watchdog says, or stands still; and, after so long on
/// the wall, where nobody knows how much it computes.
pub(super) fn read_watched(
    from: &File,
    alarm: BorrowedFd<'_>,
    limit: Duration,
    computed: impl Fn() -> io::Result<Duration>,
) -> Result<Frame, NoFrame> {
    let before = computed().unwrap_or_default();
    let mut watchdog = Watchdog::new(limit);
    let mut wait = limit;
    // Nothing is read before there is something: what was read of a frame when the time is over would be lost.
    while process::wait_readable(&[from.as_fd(), alarm], Some(wait))?.is_none() {
        let used = computed().map_or(Duration::ZERO, |computed| computed.saturating_sub(before));
        match watchdog.look(used) {
            Next::Wait(next) => wait = next,
            Next::Kill => return Err(NoFrame::TimedOut),
        }
    }
    // Who has begun to tell has nothing else left to do.
    Frame::read(from, Until { timeout: Some(wall_max(limit)), alarm: Some(alarm) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn who_computes_slowly_is_waited_for_until_it_has_computed_enough() {
        let mut watchdog = Watchdog::new(60 * S);
        assert_eq!(watchdog.look(20 * S), Next::Wait(40 * S), "a third of a processor");
        assert_eq!(watchdog.look(40 * S), Next::Wait(20 * S));
        assert_eq!(watchdog.look(58 * S), Next::Wait(6 * S), "never shorter than a tenth");
        assert_eq!(watchdog.look(60 * S), Next::Kill);
    }

    #[test]
    fn who_stands_still_is_killed_at_the_next_look() {
        assert_eq!(Watchdog::new(60 * S).look(Duration::ZERO), Next::Kill);
        assert_eq!(Watchdog::new(60 * S).look(6 * S), Next::Kill, "a tenth and no more");
        let mut later = Watchdog::new(60 * S);
        assert_eq!(later.look(30 * S), Next::Wait(30 * S));
        assert_eq!(later.look(31 * S), Next::Kill, "what it computed before the last look does not help it");
    }

    #[test]
    fn nobody_is_waited_for_longer_than_the_pool_has_patience() {
        for parts in 1..=1_000 {
            // It gets so many thousandths of a processor.
            let (mut watchdog, mut wall) = (Watchdog::new(60 * S), 60 * S);
            while let Next::Wait(wait) = watchdog.look(wall * parts / 1_000) {
                wall += wait;
            }
            assert!(wall <= wall_max(60 * S), "{parts}: {wall:?}");
        }
        assert_eq!(wall_max(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn a_watchdog_that_never_bites_has_no_end() {
        assert_eq!(Watchdog::new(Duration::MAX).look(Duration::MAX / 2), Next::Wait(Duration::MAX - Duration::MAX / 2));
    }
}
