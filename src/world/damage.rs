//! What a machine finds changed on its medium when it comes back.

use std::collections::BTreeSet;

use super::state::{HostId, State};
use crate::plan::Fault;

impl State {
    /// Keeps the images that faults will want disks to come back to.
    pub fn keep_images(&mut self, now_ms: u64) {
        for (index, host) in self.faults.images_due(now_ms) {
            if !self.images.contains_key(&index) {
                let image = self.hosts[host.0].disk().map(disk::Disk::snapshot).unwrap_or_default();
                self.images.insert(index, image);
            }
        }
    }

    /// Does to a dead host's disk, and remembers for its store, what the faults have planned that took it down.
    pub fn damage(&mut self, host: HostId, now_ms: u64) {
        for index in std::mem::take(&mut self.hosts[host.0].damage) {
            let (fault, _) = self.faults.get(index);
            let done = match fault.clone() {
                Fault::BitRot { file, after, bits, .. } => self.rot(host, index, &file, after.as_deref(), bits),
                Fault::Truncation { file, keep_percent, .. } => self.truncate(host, &file, keep_percent),
                Fault::StaleImage { file, .. } => self.bring_back(host, index, file.as_deref()),
                Fault::Forget { commits, .. } => {
                    self.hosts[host.0].forgets.push((index, commits));
                    continue;
                }
                _ => continue,
            };
            match done {
                Some(what) => {
                    self.faults.fire(index);
                    self.event(host, what, now_ms);
                }
                None => self.event(host, "there was nothing to damage".to_owned(), now_ms),
            }
        }
    }

    fn rot(&mut self, host: HostId, index: usize, file: &str, after: Option<&str>, bits: u64) -> Option<String> {
        let disk = self.hosts[host.0].disk()?.clone();
        let places = places(&disk.read_file(file)?, after);
        let mut flipped = Vec::new();
        for _ in 0..if places.is_empty() { 0 } else { bits } {
            let offset = places[self.faults.draw_below(index, places.len() as u64) as usize];
            let bit = self.faults.draw_below(index, 8) as u8;
            disk.corrupt(file, offset, bit).ok()?;
            flipped.push(format!("{offset}.{bit}"));
        }
        (!flipped.is_empty()).then(|| format!("flipped in {file}, byte and bit: {}", flipped.join(" ")))
    }

    fn truncate(&self, host: HostId, file: &str, keep_percent: u64) -> Option<String> {
        let disk = self.hosts[host.0].disk()?;
        let len = disk.read_file(file)?.len() as u64;
        let kept = len * keep_percent / 100;
        disk.truncate_file(file, kept).ok()?;
        (kept < len).then(|| format!("truncated {file} from {len} to {kept} bytes"))
    }

    fn bring_back(&mut self, host: HostId, index: usize, file: Option<&str>) -> Option<String> {
        let image = self.images.remove(&index)?;
        let disk = self.hosts[host.0].disk()?;
        let before = disk.snapshot();
        match file {
            Some(file) => disk.restore_file(&image, file),
            None => disk.restore(&image),
        }
        (disk.snapshot() != before).then(|| format!("{} came back older", file.unwrap_or("all files")))
    }
}

/// How far behind a text its flipped bits are, in bytes.
const REACH: usize = 32;

/// The bytes of a file in which a bit may flip: all, or those behind each occurrence of a text.
fn places(content: &[u8], after: Option<&str>) -> Vec<u64> {
    let Some(text) = after.map(str::as_bytes) else { return (0..content.len() as u64).collect() };
    let ends = content.windows(text.len()).enumerate().filter(|(_, window)| *window == text);
    let reaches = ends.map(|(start, _)| start + text.len()..content.len().min(start + text.len() + REACH));
    let places: BTreeSet<usize> = reaches.flatten().collect();
    places.into_iter().map(|place| place as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_text_a_bit_may_flip_anywhere() {
        assert_eq!(places(b"abc", None), [0, 1, 2]);
        assert!(places(b"", None).is_empty());
    }

    #[test]
    fn with_a_text_only_what_follows_it_is_hit() {
        assert_eq!(places(b"key:ab", Some("key:")), [4, 5]);
        assert_eq!(places(b"kkk", Some("k")), [1, 2], "each place once");
        assert!(places(b"key", Some("key:")).is_empty());
        let content = [b"key:".as_slice(), &[0; 2 * REACH]].concat();
        assert_eq!(places(&content, Some("key:")), (4..4 + REACH as u64).collect::<Vec<_>>());
    }
}
