//! The shared memory of a WAL's index, and the locks that guard it.
//!
//! On a real system this is a file that all processes map, and its content does not outlive the last of them. Here it is
//! heap memory that belongs to the handles that mapped it: a dead disk forgets it at once, but a dead process' connection
//! still points into it until it is dropped.

use std::ffi::c_void;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::fault::IoError;
use crate::state::lock;

/// The size of a region in bytes, fixed by SQLite's WAL index format.
pub(crate) const REGION: usize = 32 * 1024;

/// The number of locks, fixed by SQLite.
pub(crate) const LOCKS: usize = rusqlite::ffi::SQLITE_SHM_NLOCK as usize;

/// The memory that all connections to one file share.
#[derive(Debug, Default)]
pub(crate) struct SharedMemory {
    /// Atomics, because SQLite writes through pointers while we hold only shared references. A region never moves and is
    /// never freed before the whole.
    regions: Mutex<Vec<Box<[AtomicU64]>>>,
}

impl SharedMemory {
    /// Where a region lies. One that does not exist is made when `extend` says so.
    fn region(&self, index: usize, extend: bool) -> Option<*mut c_void> {
        let mut regions = lock(&self.regions);
        while extend && regions.len() <= index {
            regions.push((0..REGION / size_of::<u64>()).map(|_| AtomicU64::new(0)).collect());
        }
        regions.get(index).map(|region| region.as_ptr().cast_mut().cast())
    }
}

/// One file's shared memory: the memory itself while somebody maps it, and its locks.
#[derive(Debug, Default)]
pub(crate) struct FileShm {
    memory: Option<Arc<SharedMemory>>,
    mappings: usize,
    sharers: [u32; LOCKS],
    exclusive: [bool; LOCKS],
}

/// What one handle holds of it.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    memory: Option<Arc<SharedMemory>>,
    shared: [bool; LOCKS],
    exclusive: [bool; LOCKS],
}

/// What is asked of a range of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShmLock {
    Shared,
    Exclusive,
    Unlock,
}

impl FileShm {
    /// Maps a region for a handle.
    pub fn map(&mut self, mapping: &mut Mapping, index: usize, extend: bool) -> Option<*mut c_void> {
        if mapping.memory.is_none() {
            self.mappings += 1;
            mapping.memory = Some(self.memory.get_or_insert_default().clone());
        }
        mapping.memory.as_ref()?.region(index, extend)
    }

    /// Takes or gives back the locks in `range`: all of them or, with [`IoError::Busy`], none.
    pub fn lock(&mut self, mapping: &mut Mapping, range: std::ops::Range<usize>, what: ShmLock) -> Result<(), IoError> {
        let taken = |n: usize| match what {
            ShmLock::Unlock => false,
            ShmLock::Shared => self.exclusive[n] && !mapping.exclusive[n],
            ShmLock::Exclusive => {
                (self.exclusive[n] && !mapping.exclusive[n]) || self.sharers[n] > u32::from(mapping.shared[n])
            }
        };
        if range.clone().any(taken) {
            return Err(IoError::Busy);
        }
        for n in range {
            match what {
                ShmLock::Unlock => {
                    if std::mem::take(&mut mapping.exclusive[n]) {
                        self.exclusive[n] = false;
                    }
                    if std::mem::take(&mut mapping.shared[n]) {
                        self.sharers[n] -= 1;
                    }
                }
                ShmLock::Shared => {
                    if !std::mem::replace(&mut mapping.shared[n], true) {
                        self.sharers[n] += 1;
                    }
                }
                ShmLock::Exclusive => {
                    mapping.exclusive[n] = true;
                    self.exclusive[n] = true;
                }
            }
        }
        Ok(())
    }

    /// Ends a handle's mapping. With the last one the content is gone: the next connection rebuilds the index, as it does
    /// on a real system, where it truncates the file that it finds.
    pub fn unmap(&mut self, mapping: &mut Mapping) {
        if mapping.memory.is_none() {
            return;
        }
        let _ = self.lock(mapping, 0..LOCKS, ShmLock::Unlock);
        mapping.memory = None;
        self.mappings -= 1;
        if self.mappings == 0 {
            self.memory = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mappings_of_a_file_see_one_memory_and_it_goes_with_the_last() {
        let mut shm = FileShm::default();
        let (mut a, mut b) = (Mapping::default(), Mapping::default());
        assert_eq!(shm.map(&mut a, 0, false), None);
        let region = shm.map(&mut a, 1, true);
        assert!(region.is_some());
        assert_eq!(shm.map(&mut b, 1, false), region);
        shm.unmap(&mut a);
        assert_eq!(shm.map(&mut b, 1, false), region);
        shm.unmap(&mut b);
        assert_eq!(shm.map(&mut b, 1, false), None);
    }

    #[test]
    fn exclusive_excludes_and_is_all_or_nothing() {
        let mut shm = FileShm::default();
        let (mut a, mut b) = (Mapping::default(), Mapping::default());
        shm.lock(&mut a, 4..5, ShmLock::Shared).unwrap();
        shm.lock(&mut b, 4..5, ShmLock::Shared).unwrap();
        assert_eq!(shm.lock(&mut a, 3..8, ShmLock::Exclusive), Err(IoError::Busy));
        shm.lock(&mut a, 3..4, ShmLock::Exclusive).unwrap();
        assert_eq!(shm.lock(&mut b, 3..4, ShmLock::Shared), Err(IoError::Busy));
        shm.lock(&mut b, 4..5, ShmLock::Unlock).unwrap();
        shm.lock(&mut a, 3..8, ShmLock::Unlock).unwrap();
        shm.lock(&mut b, 3..8, ShmLock::Exclusive).unwrap();
    }

    #[test]
    fn unmapping_gives_back_the_locks() {
        let mut shm = FileShm::default();
        let (mut a, mut b) = (Mapping::default(), Mapping::default());
        shm.map(&mut a, 0, true);
        shm.lock(&mut a, 0..1, ShmLock::Exclusive).unwrap();
        shm.unmap(&mut a);
        shm.lock(&mut b, 0..1, ShmLock::Exclusive).unwrap();
    }
}
