//! Activation counters: what the disk was asked, and what was done to it.

use std::ops::AddAssign;

use crate::fault::{IoFault, OpKind, Verdict};

/// What a disk has seen since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    operations: [u64; OpKind::ALL.len()],
    /// Bytes that reached the cache.
    pub bytes_written: u64,
    /// Deaths by [`Death::Kill`](crate::Death::Kill).
    pub kills: u64,
    /// Deaths by [`Death::PowerCut`](crate::Death::PowerCut).
    pub power_cuts: u64,
    /// What power cuts and failed syncs made of unsynced data.
    pub sectors: Sectors,
    /// Changes of directory entries that outlived a power cut unsynced.
    pub entries_kept: u64,
    /// Changes of directory entries that a power cut undid.
    pub entries_dropped: u64,
    /// Operations failed by [`IoFault::Eio`].
    pub io_errors: u64,
    /// Operations failed by [`IoFault::NoSpace`].
    pub no_space: u64,
    /// Reads cut short by [`IoFault::ShortRead`].
    pub short_reads: u64,
    /// Syncs that answered "done" and did nothing.
    pub lies: u64,
    /// Operations refused because the capacity was exhausted.
    pub full: u64,
    /// Faults at rest: flipped bits, truncated files and restored images.
    pub at_rest: u64,
}

impl Stats {
    /// How many operations of a kind were asked for, refused ones included.
    pub fn operations(&self, kind: OpKind) -> u64 {
        self.operations[kind as usize]
    }

    pub(crate) fn count(&mut self, kind: OpKind) {
        self.operations[kind as usize] += 1;
    }

    /// Deaths are counted where they happen, since the world causes them as well.
    pub(crate) fn count_fault(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Proceed | Verdict::Die(_) => {}
            Verdict::Fail(IoFault::Eio) => self.io_errors += 1,
            Verdict::Fail(IoFault::NoSpace) => self.no_space += 1,
            Verdict::Fail(IoFault::ShortRead) => self.short_reads += 1,
            Verdict::Lie => self.lies += 1,
        }
    }
}

/// What became of unsynced writes, counted for each 512-byte sector that a write touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sectors {
    /// Reached the medium.
    pub kept: u64,
    /// Did not.
    pub dropped: u64,
    /// Reached it in part.
    pub torn: u64,
}

impl AddAssign for Sectors {
    fn add_assign(&mut self, other: Sectors) {
        self.kept += other.kept;
        self.dropped += other.dropped;
        self.torn += other.torn;
    }
}
