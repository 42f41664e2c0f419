//! Operations on files, as the system calls that SQLite's `os_unix.c` makes.

use std::ffi::c_void;
use std::ops::Range;
use std::sync::Arc;
use std::sync::MutexGuard;

use crate::directory::{FileId, parent};
use crate::fault::{Death, IoError, IoFault, OpKind, Verdict};
use crate::image::SECTOR;
use crate::locks::Level;
use crate::shm::{Mapping, ShmLock};
use crate::state::{Admitted, Shared, State};

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OpenOptions {
    /// Make it if it is not there.
    pub create: bool,
    /// Fail if it is there.
    pub exclusive: bool,
    /// Sync its directory along with its first sync.
    pub sync_directory: bool,
}

/// A handle on a file. When it is dropped its locks go.
pub(crate) struct OpenFile {
    shared: Arc<Shared>,
    file: FileId,
    /// The disk's epoch at the time of opening.
    epoch: u64,
    path: Arc<str>,
    level: Level,
    mapping: Mapping,
    sync_directory: bool,
}

impl OpenFile {
    /// Opens a file; without a path, a new one that has no name and ends with the handle.
    pub fn open(shared: Arc<Shared>, path: Option<&str>, options: OpenOptions) -> Result<Self, IoError> {
        let name: Arc<str> = path.unwrap_or_default().into();
        let Admitted { mut state, verdict, ordinal } = shared.admit(None, OpKind::Open, &name, (0, 0))?;
        let existing = path.and_then(|path| state.directories.get(path));
        let file = match (verdict, existing) {
            (Verdict::Fail(fault), _) => return Err(fault.into()),
            (Verdict::Die(death), existing) => {
                let creates = path.is_some() && existing.is_none() && options.create;
                if creates && (death != Death::Kill || state.draws("in flight", ordinal).one_in(2)) {
                    let file = state.create_file();
                    state.directories.link(&name, file);
                }
                state.die(death);
                return Err(IoError::Dead);
            }
            (_, Some(_)) if options.exclusive => return Err(IoError::Exists),
            (_, Some(file)) => file,
            (_, None) if !options.create => return Err(IoError::NotFound),
            (_, None) => {
                let file = state.create_file();
                if path.is_some() {
                    state.directories.link(&name, file);
                }
                file
            }
        };
        state.file(file).handles += 1;
        let epoch = state.epoch;
        drop(state);
        Ok(OpenFile {
            shared,
            file,
            epoch,
            path: name,
            level: Level::None,
            mapping: Mapping::default(),
            sync_directory: options.sync_directory,
        })
    }

    fn admit(&self, kind: OpKind, offset: u64, len: usize) -> Result<Admitted<'_>, IoError> {
        self.shared.admit(Some(self.epoch), kind, &self.path, (offset, len as u64))
    }

    fn alive(&self) -> Result<MutexGuard<'_, State>, IoError> {
        self.shared.alive(self.epoch)
    }

    /// Reads and returns how many bytes there were.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
        let Admitted { mut state, verdict, ordinal } = self.admit(OpKind::Read, offset, buffer.len())?;
        match verdict {
            Verdict::Die(death) => {
                state.die(death);
                Err(IoError::Dead)
            }
            Verdict::Fail(IoFault::ShortRead) => {
                let max = buffer.len().saturating_sub(1);
                let len = state.draws("short read", ordinal).up_to(max);
                Ok(state.file(self.file).image.read(position(offset), &mut buffer[..len]))
            }
            Verdict::Fail(fault) => Err(fault.into()),
            Verdict::Proceed | Verdict::Lie => Ok(state.file(self.file).image.read(position(offset), buffer)),
        }
    }

    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), IoError> {
        let Admitted { mut state, verdict, ordinal } = self.admit(OpKind::Write, offset, data.len())?;
        state.digest.bytes(data);
        // A call that is cut short has written some sectors from the start on. A power cut finds the whole of it in
        // flight and decides for each sector itself.
        let written = match verdict {
            Verdict::Proceed | Verdict::Lie | Verdict::Die(Death::PowerCut(_)) => data.len(),
            Verdict::Fail(_) | Verdict::Die(Death::Kill) => {
                let sectors = state.draws("in flight", ordinal).up_to(data.len().div_ceil(SECTOR));
                data.len().min(sectors * SECTOR)
            }
        };
        let room = state.make_room(self.file, offset.saturating_add(written as u64));
        if room.is_ok() {
            state.file(self.file).image.write(position(offset), &data[..written]);
            state.stats.bytes_written += written as u64;
        }
        match verdict {
            Verdict::Proceed | Verdict::Lie => room,
            Verdict::Fail(fault) => Err(fault.into()),
            Verdict::Die(death) => {
                state.die(death);
                Err(IoError::Dead)
            }
        }
    }

    pub fn truncate(&self, len: u64) -> Result<(), IoError> {
        let Admitted { mut state, verdict, ordinal } = self.admit(OpKind::Truncate, len, 0)?;
        let happens = match verdict {
            Verdict::Proceed | Verdict::Lie | Verdict::Die(Death::PowerCut(_)) => true,
            Verdict::Fail(_) => false,
            Verdict::Die(Death::Kill) => state.draws("in flight", ordinal).one_in(2),
        };
        let room = state.make_room(self.file, len);
        if happens && room.is_ok() {
            state.file(self.file).image.resize(position(len));
        }
        match verdict {
            Verdict::Proceed | Verdict::Lie => room,
            Verdict::Fail(fault) => Err(fault.into()),
            Verdict::Die(death) => {
                state.die(death);
                Err(IoError::Dead)
            }
        }
    }

    /// Makes the content durable and, the first time where that was asked for, the directory entry.
    pub fn sync(&mut self) -> Result<(), IoError> {
        let Admitted { mut state, verdict, ordinal } = self.admit(OpKind::Sync, 0, 0)?;
        match verdict {
            Verdict::Proceed => state.file(self.file).image.sync(),
            Verdict::Lie => {}
            Verdict::Fail(fault) => {
                let mut draws = state.draws("failed sync", ordinal);
                let sectors = state.file(self.file).image.fail_sync(&mut draws);
                state.stats.sectors += sectors;
                return Err(fault.into());
            }
            Verdict::Die(death) => {
                state.die(death);
                return Err(IoError::Dead);
            }
        }
        drop(state);
        if self.sync_directory {
            self.sync_directory = false;
            // SQLite on Unix ignores a directory that cannot be synced here: many systems cannot.
            if let Err(IoError::Dead) = sync_directory(&self.shared, Some(self.epoch), &self.path) {
                return Err(IoError::Dead);
            }
        }
        Ok(())
    }

    pub fn len(&self) -> Result<u64, IoError> {
        Ok(self.alive()?.file(self.file).image.len() as u64)
    }

    pub fn lock(&mut self, level: Level) -> Result<(), IoError> {
        let mut state = self.shared.alive(self.epoch)?;
        state.file(self.file).locks.lock(&mut self.level, level)
    }

    pub fn unlock(&mut self, level: Level) {
        if let Ok(mut state) = self.shared.alive(self.epoch) {
            state.file(self.file).locks.unlock(&mut self.level, level);
        }
    }

    pub fn is_reserved(&self) -> Result<bool, IoError> {
        Ok(self.alive()?.file(self.file).locks.is_reserved())
    }

    /// Where a region of shared memory lies. It stays there until the handle unmaps it or is dropped.
    pub fn map_shm(&mut self, region: usize, extend: bool) -> Result<Option<*mut c_void>, IoError> {
        let mut state = self.shared.alive(self.epoch)?;
        Ok(state.file(self.file).shm.map(&mut self.mapping, region, extend))
    }

    pub fn lock_shm(&mut self, range: Range<usize>, what: ShmLock) -> Result<(), IoError> {
        let mut state = self.shared.alive(self.epoch)?;
        state.file(self.file).shm.lock(&mut self.mapping, range, what)
    }

    pub fn unmap_shm(&mut self) {
        match self.shared.alive(self.epoch) {
            Ok(mut state) => state.file(self.file).shm.unmap(&mut self.mapping),
            Err(_) => self.mapping = Mapping::default(),
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let Ok(mut state) = self.shared.alive(self.epoch) else { return };
        let file = state.file(self.file);
        file.locks.unlock(&mut self.level, Level::None);
        file.shm.unmap(&mut self.mapping);
        file.handles -= 1;
        state.release(self.file);
    }
}

/// Removes a file's name. It may come back until its directory is synced.
pub(crate) fn delete(shared: &Shared, path: &str) -> Result<(), IoError> {
    let Admitted { mut state, verdict, ordinal } = shared.admit(None, OpKind::Delete, path, (0, 0))?;
    match verdict {
        Verdict::Proceed | Verdict::Lie => {
            state.directories.unlink(path).ok_or(IoError::NotFound)?;
            state.release_all();
            Ok(())
        }
        Verdict::Fail(fault) => Err(fault.into()),
        Verdict::Die(death) => {
            if death != Death::Kill || state.draws("in flight", ordinal).one_in(2) {
                state.directories.unlink(path);
            }
            state.die(death);
            Err(IoError::Dead)
        }
    }
}

/// Makes the entries of the directory that `path` lies in durable. `epoch` is that of the handle, where there is one.
pub(crate) fn sync_directory(shared: &Shared, epoch: Option<u64>, path: &str) -> Result<(), IoError> {
    let directory = parent(path);
    let Admitted { mut state, verdict, .. } = shared.admit(epoch, OpKind::SyncDirectory, directory, (0, 0))?;
    match verdict {
        Verdict::Proceed => {
            state.directories.sync(directory);
            state.release_all();
            Ok(())
        }
        Verdict::Lie => Ok(()),
        Verdict::Fail(fault) => Err(fault.into()),
        Verdict::Die(death) => {
            state.die(death);
            Err(IoError::Dead)
        }
    }
}

/// An offset as an index. Where a `usize` is too small for it no file reaches that far either.
fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
