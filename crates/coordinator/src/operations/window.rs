//! What happened in the last five minutes.

use std::collections::VecDeque;

use graph::Millis;

/// How far a window reaches back.
pub(super) const WINDOW: Millis = Millis(5 * 60 * 1_000);

/// The grain of a window: it forgets in steps of this, so it covers between [`WINDOW`] less one
/// of it and [`WINDOW`].
const SLOT: Millis = Millis(10 * 1_000);

/// What happened in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// Transactions that clients asked for, those left out whose operations did not fit.
    pub attempts: u64,
    /// Those among them that did not end as they should.
    pub failures: u64,
    /// Ids that somebody else had taken.
    pub conflicts: u64,
    /// How long the transaction had been in doubt that was so for the longest time, among those
    /// that got their outcome.
    pub in_doubt_max: Millis,
}

/// Samples of the recent past; memory is bounded by the number of slots in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    slots: VecDeque<(u64, Sample)>,
}

impl Window {
    /// The sample that belongs to this moment.
    pub(super) fn at(&mut self, now: Millis) -> &mut Sample {
        let slot = now.0 / SLOT.0;
        if self.slots.back().is_none_or(|(last, _)| *last != slot) {
            self.slots.push_back((slot, Sample::default()));
        }
        while self.slots.front().is_some_and(|(first, _)| !is_recent(*first, now)) {
            self.slots.pop_front();
        }
        &mut self.slots.back_mut().expect("one was just pushed").1
    }

    /// All samples of the window that ends now.
    pub(super) fn sum(&self, now: Millis) -> Sample {
        let recent = self.slots.iter().filter(|(slot, _)| is_recent(*slot, now));
        recent.fold(Sample::default(), |sum, (_, sample)| Sample {
            attempts: sum.attempts + sample.attempts,
            failures: sum.failures + sample.failures,
            conflicts: sum.conflicts + sample.conflicts,
            in_doubt_max: sum.in_doubt_max.max(sample.in_doubt_max),
        })
    }
}

/// Whether a slot lies in the window that ends now.
fn is_recent(slot: u64, now: Millis) -> bool {
    (now.0 / SLOT.0).saturating_sub(slot) < WINDOW.0 / SLOT.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut window = Window::default();
        window.at(Millis(5_000)).failures += 1;
        window.at(Millis(15_000)).failures += 1;
        assert_eq!(window.sum(Millis(15_000)).failures, 2);
        assert_eq!(window.sum(Millis(299_999)).failures, 2);
        assert_eq!(window.sum(Millis(300_000)).failures, 1);
        assert_eq!(window.sum(Millis(310_000)).failures, 0);
        window.at(Millis(1_000_000)).failures += 1;
        assert_eq!(window.slots.len(), 1);
    }
}
