//! The handle that the world holds.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::{Death, IoError, Operation, Verdict};
use crate::open_file::{OpenFile, OpenOptions, sync_directory};
use crate::state::{Latency, Shared};
use crate::stats::Stats;
use crate::vfs::Registration;

/// One host's disk. Clones are handles on the same disk.
///
/// It is registered with SQLite as long as a handle or an open file of it exists.
#[derive(Clone)]
pub struct Disk {
    shared: Arc<Shared>,
}

/// What a disk held at some time: the content of each file by name, as a backup or an older copy of the medium has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The content of each file.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A fault at rest that aims at a file or a byte which is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// There is no file of that name. [`Disk::files`] lists those that exist.
    #[error("find the file {path}")]
    File {
        /// The name.
        path: String,
    },
    /// The file ends before that.
    #[error("find byte {offset} of {path}, which has {len}")]
    Byte {
        /// The file's name.
        path: String,
        /// The byte that was aimed at.
        offset: u64,
        /// The file's length in bytes.
        len: u64,
    },
}

impl Disk {
    /// An empty disk. Equal seeds and equal operations give equal disks, to the byte.
    pub fn new(seed: u64) -> Disk {
        Disk { shared: Arc::new_cyclic(|shared| Shared::new(seed, Registration::new(shared.clone()))) }
    }

    /// What is drawn from here on is another seed's.
    pub fn reseed(&self, seed: u64) {
        self.shared.state().seed = seed;
    }

    /// The name to open SQLite connections with. No two disks that exist at the same time share it.
    pub fn vfs_name(&self) -> &str {
        self.shared.registration.name()
    }

    /// Shows every operation to `observer` before it is carried out, in place of any observer before.
    ///
    /// The observer may ask the disk for its state and may let it die. It must not use SQLite on this disk or replace
    /// itself: both would wait for the observer to return. One that owns a handle on this disk keeps it in memory until
    /// [`Disk::stop_observing`].
    pub fn observe(&self, observer: Box<dyn FnMut(&Operation<'_>) -> Verdict + Send>) {
        self.shared.set_observer(Some(observer));
    }

    /// Lets every operation proceed again.
    pub fn stop_observing(&self) {
        self.shared.set_observer(None);
    }

    /// The disk is dead from here on: every call fails, and nothing that is still on its way changes anything. So the
    /// destructors of a crashing process, such as the checkpoint that SQLite makes when it closes, are harmless.
    ///
    /// A power cut after a kill is both. Any other second death is nothing.
    pub fn die(&self, death: Death) {
        self.shared.state().die(death);
    }

    /// Whether the disk died and was not revived.
    pub fn is_dead(&self) -> bool {
        self.shared.state().is_dead()
    }

    /// Brings a dead disk back to life with what it holds; nothing happens to a living one. Connections of before stay
    /// dead; drop them first, since SQLite deletes files by name and a name does not tell who asks.
    pub fn revive(&self) {
        self.shared.state().revive();
    }

    /// Flips bit `bit` (0 to 7) of the byte at `offset`, in the cache and on the medium.
    pub fn corrupt(&self, path: &str, offset: u64, bit: u8) -> Result<(), NotThere> {
        assert!(bit < 8, "a byte has bits 0 to 7, and no bit {bit}");
        let mut state = self.shared.state();
        let file = state.directories.get(path).ok_or_else(|| no_file(path))?;
        let image = &mut state.file(file).image;
        if !usize::try_from(offset).is_ok_and(|index| image.flip_bit(index, bit)) {
            return Err(NotThere::Byte { path: path.to_owned(), offset, len: image.len() as u64 });
        }
        state.stats.at_rest += 1;
        Ok(())
    }

    /// Cuts a file's tail off, durably. `len` is the new length in bytes and at most the old one.
    pub fn truncate_file(&self, path: &str, len: u64) -> Result<(), NotThere> {
        let mut state = self.shared.state();
        let mut content = state.named(path).ok_or_else(|| no_file(path))?.content().to_vec();
        if len > content.len() as u64 {
            return Err(NotThere::Byte { path: path.to_owned(), offset: len, len: content.len() as u64 });
        }
        content.truncate(len as usize);
        state.put(path, content);
        state.stats.at_rest += 1;
        Ok(())
    }

    /// Writes a file's content once more, then syncs it and its directory: after that it is durable even if an earlier
    /// sync had failed. Each step is an operation like those of SQLite. False if there is no such file.
    ///
    /// # Errors
    ///
    /// When a step fails, or the disk is dead.
    pub fn rewrite(&self, path: &str) -> io::Result<bool> {
        let refused = |error: IoError| io::Error::other(format!("{path}: {error}"));
        let mut file = match OpenFile::open(self.shared.clone(), Some(path), OpenOptions::default()) {
            Err(IoError::NotFound) => return Ok(false),
            opened => opened.map_err(refused)?,
        };
        let mut content = vec![0; file.len().map_err(refused)? as usize];
        let read = file.read(0, &mut content).map_err(refused)?;
        if read < content.len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{path}: a short read")));
        }
        file.write(0, &content).map_err(refused)?;
        file.sync().map_err(refused)?;
        sync_directory(&self.shared, None, path).map_err(refused)?;
        Ok(true)
    }

    /// What the disk holds now, as a reader sees it.
    pub fn snapshot(&self) -> Image {
        let state = self.shared.state();
        let content = |path: &str| state.named(path).map(|image| image.content().to_vec()).unwrap_or_default();
        Image { files: state.directories.iter().map(|(path, _)| (path.to_string(), content(path))).collect() }
    }

    /// Puts another medium in: the disk holds `image` and nothing else, durably. A living disk's process is killed by
    /// it, and the disk has to be revived.
    pub fn restore(&self, image: &Image) {
        let mut state = self.shared.state();
        state.die(Death::Kill);
        let paths: Vec<_> = state.directories.iter().map(|(path, _)| path.clone()).collect();
        for path in paths {
            state.remove(&path);
        }
        for (path, content) in &image.files {
            state.put(path, content.clone());
        }
        state.stats.at_rest += 1;
    }

    /// One file comes back as it was in `image`, durably; if it was not there, it is gone. Meant for a dead disk: an
    /// open connection would find the file changed under it.
    pub fn restore_file(&self, image: &Image, path: &str) {
        let mut state = self.shared.state();
        match image.files.get(path) {
            Some(content) => state.put(path, content.clone()),
            None => state.remove(path),
        }
        state.stats.at_rest += 1;
    }

    /// A file's content, as a reader sees it.
    pub fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.state().named(path).map(|image| image.content().to_vec())
    }

    /// Each file's name and length in bytes, by name.
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.shared.state();
        let len = |path: &str| state.named(path).map_or(0, |image| image.len() as u64);
        state.directories.iter().map(|(path, _)| (path.to_string(), len(path))).collect()
    }

    /// Bytes in use. Holes count, and files that were deleted while open.
    pub fn used(&self) -> u64 {
        self.shared.state().used()
    }

    /// Changes how many bytes there is room for, 1 GiB to begin with. What would grow a file beyond that fails with
    /// "disk full" until this is raised or files shrink. It may be less than what is in use.
    pub fn set_capacity(&self, bytes: u64) {
        self.shared.state().capacity = bytes;
    }

    /// Changes how long operations take.
    pub fn set_latency(&self, latency: Latency) {
        self.shared.state().latency = latency;
    }

    /// How much simulated time operations, and SQLite's waiting for locks, have taken since this was last asked. A
    /// synchronous call cannot let simulated time pass; its caller can afterwards.
    pub fn take_latency(&self) -> Duration {
        self.shared.state().take_spent()
    }

    /// Where SQLite's `CURRENT_TIMESTAMP` and `strftime('now')` take the time from: `clock` returns the time since
    /// 1970-01-01T00:00:00Z. Without one, time begins with the year 2000 and only latency lets it pass.
    pub fn set_clock(&self, clock: Box<dyn FnMut() -> Duration + Send>) {
        self.shared.set_clock(Some(clock));
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.shared.state().stats.clone()
    }

    /// The ordinal of the last operation: how many there were over the disk's whole life.
    pub fn ordinal(&self) -> u64 {
        self.shared.state().ordinal
    }

    /// A digest of every operation so far, with what was written and what became of it.
    pub fn digest(&self) -> u64 {
        self.shared.state().digest.value()
    }
}

fn no_file(path: &str) -> NotThere {
    NotThere::File { path: path.to_owned() }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("vfs_name", &self.vfs_name()).field("is_dead", &self.is_dead()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_can_be_shared_between_threads() {
        fn shareable<T: Clone + Send + Sync + 'static>() {}
        shareable::<Disk>();
    }
}
