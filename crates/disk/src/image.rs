//! One file's content: what the cache holds, what the medium holds, and the changes between the two.

use std::ops::Range;

use crate::draws::Draws;
use crate::fault::Unsynced;
use crate::stats::Sectors;

/// The unit that a disk writes at once, in bytes.
pub(crate) const SECTOR: usize = 512;

/// One torn sector for so many that are not kept whole.
const TORN_ONE_IN: usize = 8;

/// No cache keeps anything for ever. With so many unsynced changes the older half is written back unasked, which also
/// bounds the memory of a program that never syncs.
const UNSYNCED_MAX: usize = 1024;

/// A change that is not synced yet.
#[derive(Clone, Debug)]
enum Change {
    /// `len` bytes at `offset`; the data lies at `data` in [`FileImage::log`].
    Write { offset: usize, len: usize, data: usize },
    /// The length went from `from` to `to`.
    Resize { from: usize, to: usize },
}

impl Change {
    /// The bytes of the file that the change gave new content.
    fn extent(&self) -> Range<usize> {
        match *self {
            Change::Write { offset, len, .. } => offset..offset + len,
            Change::Resize { from, to } => to..from.max(to),
        }
    }
}

/// A file's content.
///
/// Invariant: `durable` with all of `unsynced` applied is `cached`, but for what a failed sync has lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileImage {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// The data of the unsynced writes, one after the other: one buffer that is reused instead of one for each write.
    log: Vec<u8>,
    /// The length before the changes in `unsynced`.
    synced_len: usize,
}

impl FileImage {
    /// A file that holds `content`, all of it durable.
    pub fn durable(content: Vec<u8>) -> Self {
        FileImage { synced_len: content.len(), durable: content.clone(), cached: content, ..FileImage::default() }
    }

    pub fn len(&self) -> usize {
        self.cached.len()
    }

    /// What a reader sees.
    pub fn content(&self) -> &[u8] {
        &self.cached
    }

    /// Copies from `offset` on and returns how many bytes there were, which is less than asked for at the end.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let available = self.cached.get(offset..).unwrap_or_default();
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        count
    }

    pub fn write(&mut self, offset: usize, data: &[u8]) {
        if !data.is_empty() {
            self.bound_changes();
            self.unsynced.push(Change::Write { offset, len: data.len(), data: self.log.len() });
            self.log.extend_from_slice(data);
            put(&mut self.cached, offset, data);
        }
    }

    pub fn resize(&mut self, len: usize) {
        if len != self.cached.len() {
            self.bound_changes();
            self.unsynced.push(Change::Resize { from: self.cached.len(), to: len });
            self.cached.resize(len, 0);
        }
    }

    /// Makes room for one more change. Moves the data of those that stay.
    fn bound_changes(&mut self) {
        if self.unsynced.len() == UNSYNCED_MAX {
            self.write_back(UNSYNCED_MAX / 2);
        }
    }

    /// Makes everything durable. The cost follows what changed, not the file's size.
    pub fn sync(&mut self) {
        self.write_back(self.unsynced.len());
        // A failed sync may have left the medium with less.
        self.durable.resize(self.cached.len(), 0);
    }

    /// Brings the `count` oldest changes to the medium.
    fn write_back(&mut self, count: usize) {
        let mut written = 0;
        for change in self.unsynced.drain(..count) {
            match change {
                Change::Write { offset, len, data } => {
                    put(&mut self.durable, offset, &self.log[data..data + len]);
                    self.synced_len = self.synced_len.max(offset + len);
                    written = data + len;
                }
                Change::Resize { to, .. } => {
                    self.durable.resize(to, 0);
                    self.synced_len = to;
                }
            }
        }
        self.log.drain(..written);
        for change in &mut self.unsynced {
            if let Change::Write { data, .. } = change {
                *data -= written;
            }
        }
    }

    /// A sync that failed: some sectors reached the medium, and nobody will try the others again. The cache keeps them,
    /// so that readers notice nothing until the power fails.
    pub fn fail_sync(&mut self, draws: &mut Draws) -> Sectors {
        let sectors = self.settle(draws);
        self.forget_changes();
        sectors
    }

    /// The power fails: what the medium holds is all there is.
    pub fn cut_power(&mut self, unsynced: Unsynced, draws: &mut Draws) -> Sectors {
        let fate = match (unsynced, self.unsynced.is_empty()) {
            // Nothing to draw for; the cache may still show what a failed sync has lost.
            (_, true) => Unsynced::LoseAll,
            (Unsynced::Drawn, _) => match draws.up_to(3) {
                0 => Unsynced::LoseAll,
                1 => Unsynced::KeepAll,
                _ => Unsynced::Mixed,
            },
            (forced, _) => forced,
        };
        let sectors = match fate {
            Unsynced::LoseAll => Sectors { dropped: self.touches().len() as u64, ..Sectors::default() },
            Unsynced::KeepAll => {
                let kept = self.touches().len() as u64;
                self.sync();
                Sectors { kept, ..Sectors::default() }
            }
            Unsynced::Mixed | Unsynced::Drawn => self.settle(draws),
        };
        self.cached.clone_from(&self.durable);
        self.forget_changes();
        sectors
    }

    /// Flips one bit, in the cache and on the medium. False when the file is not that long.
    pub fn flip_bit(&mut self, offset: usize, bit: u8) -> bool {
        let Some(byte) = self.cached.get_mut(offset) else { return false };
        let mask = 1 << bit;
        *byte ^= mask;
        if let Some(byte) = self.durable.get_mut(offset) {
            *byte ^= mask;
        }
        // On their way to the medium as well, or a sync would heal it.
        for change in &self.unsynced {
            if let Change::Write { offset: start, data, .. } = *change
                && change.extent().contains(&offset)
            {
                self.log[data + offset - start] ^= mask;
            }
        }
        true
    }

    /// Brings a drawn selection of the changes to the medium.
    ///
    /// A sector on a real disk holds some content that it had in the cache at the time the cache was written back. So
    /// what survives in a sector is a prefix of the changes that touched it, never a later change without an earlier
    /// one; between sectors there is no order at all.
    fn settle(&mut self, draws: &mut Draws) -> Sectors {
        let len = self.draw_len(draws);
        let hole = self.durable.len();
        let longest = self.unsynced.iter().map(|change| change.extent().end).max().unwrap_or(0);
        self.durable.resize(hole.max(longest).max(len), 0);
        if draws.one_in(2) {
            draws.fill(&mut self.durable[hole..]);
        }

        let touches = self.touches();
        let mut sectors = Sectors::default();
        for touched in touches.chunk_by(|a, b| a.0 == b.0) {
            let start = touched[0].0 * SECTOR;
            let survivors = if start < len { draws.up_to(touched.len()) } else { 0 };
            for (_, change) in &touched[..survivors] {
                self.apply(*change, start..start + SECTOR);
            }
            sectors.kept += survivors as u64;
            sectors.dropped += (touched.len() - survivors) as u64;
            if let Some((_, torn)) = touched.get(survivors)
                && start < len
                && draws.one_in(TORN_ONE_IN)
            {
                self.apply(*torn, start..start + draws.up_to(SECTOR - 1));
                sectors.dropped -= 1;
                sectors.torn += 1;
            }
        }
        self.durable.truncate(len);
        sectors
    }

    /// One of the lengths that the file had since it was synced; every second time the last one.
    fn draw_len(&self, draws: &mut Draws) -> usize {
        let mut len = self.synced_len;
        let mut lens = vec![self.durable.len()];
        for change in &self.unsynced {
            len = match *change {
                Change::Write { offset, len: written, .. } => len.max(offset + written),
                Change::Resize { to, .. } => to,
            };
            lens.push(len);
        }
        if draws.one_in(2) { len } else { lens[draws.up_to(lens.len() - 1)] }
    }

    /// Which change touched which sector, by sector and then in the order of time.
    fn touches(&self) -> Vec<(usize, usize)> {
        let mut touches: Vec<_> = self
            .unsynced
            .iter()
            .enumerate()
            .flat_map(|(change, what)| {
                let extent = what.extent();
                let first = extent.start / SECTOR;
                let end = if extent.is_empty() { first } else { extent.end.div_ceil(SECTOR) };
                (first..end).map(move |sector| (sector, change))
            })
            .collect();
        touches.sort_unstable();
        touches
    }

    /// Brings the part of a change that lies in `range` to the medium, which is long enough.
    fn apply(&mut self, change: usize, range: Range<usize>) {
        let change = &self.unsynced[change];
        let extent = change.extent();
        let (start, end) = (extent.start.max(range.start), extent.end.min(range.end));
        if start >= end {
            return;
        }
        match *change {
            Change::Write { offset, data, .. } => {
                self.durable[start..end].copy_from_slice(&self.log[data + start - offset..data + end - offset]);
            }
            Change::Resize { .. } => self.durable[start..end].fill(0),
        }
    }

    fn forget_changes(&mut self) {
        self.unsynced.clear();
        self.log.clear();
        self.synced_len = self.cached.len();
    }
}

/// Writes `data` at `offset`; a hole before it reads as zeros.
fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if offset == content.len() {
        content.extend_from_slice(data);
        return;
    }
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(data);
}

#[cfg(test)]
mod tests;
