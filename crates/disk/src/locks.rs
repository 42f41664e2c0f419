//! The locks on a database file, with the semantics of SQLite's `os_unix.c`.
//!
//! Any number of handles hold SHARED. One of them may also be the writer, which climbs from RESERVED (readers go on and
//! come) over PENDING (readers go on, none comes) to EXCLUSIVE (no other reader is left).

use crate::fault::IoError;

/// How far a handle has locked a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    #[default]
    None,
    Shared,
    Reserved,
    Pending,
    Exclusive,
}

/// The locks on one file, over all handles.
#[derive(Debug, Default)]
pub(crate) struct FileLocks {
    /// How many handles hold SHARED or more.
    sharers: usize,
    /// How far the writer is, if there is one.
    writer: Level,
}

impl FileLocks {
    /// Raises a handle's lock to `wanted`. When that fails with [`IoError::Busy`] the handle may still have risen to
    /// PENDING, which keeps new readers out until it tries again.
    pub fn lock(&mut self, held: &mut Level, wanted: Level) -> Result<(), IoError> {
        if *held >= wanted {
            return Ok(());
        }
        if wanted == Level::Shared {
            if self.writer >= Level::Pending {
                return Err(IoError::Busy);
            }
            self.sharers += 1;
            *held = Level::Shared;
            return Ok(());
        }
        let is_writer = *held >= Level::Reserved;
        if *held == Level::None || (self.writer != Level::None && !is_writer) {
            return Err(IoError::Busy);
        }
        if wanted >= Level::Pending && self.sharers > 1 {
            // A reader that goes straight to EXCLUSIVE rolls back a hot journal: it must not starve others that try the
            // same, so it keeps no PENDING.
            if is_writer {
                (*held, self.writer) = (Level::Pending, Level::Pending);
            }
            return Err(IoError::Busy);
        }
        (*held, self.writer) = (wanted, wanted);
        Ok(())
    }

    /// Lowers a handle's lock to SHARED or to nothing.
    pub fn unlock(&mut self, held: &mut Level, wanted: Level) {
        if *held <= wanted {
            return;
        }
        if *held > Level::Shared {
            self.writer = Level::None;
        }
        if wanted == Level::None {
            self.sharers -= 1;
        }
        *held = wanted;
    }

    /// Whether some handle is the writer.
    pub fn is_reserved(&self) -> bool {
        self.writer >= Level::Reserved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_among_readers() {
        let mut locks = FileLocks::default();
        let (mut a, mut b) = (Level::None, Level::None);
        locks.lock(&mut a, Level::Shared).unwrap();
        locks.lock(&mut b, Level::Shared).unwrap();
        locks.lock(&mut a, Level::Reserved).unwrap();
        assert!(locks.is_reserved());
        assert_eq!(locks.lock(&mut b, Level::Reserved), Err(IoError::Busy));
        assert_eq!(b, Level::Shared);
    }

    #[test]
    fn pending_lets_readers_finish_and_keeps_new_ones_out() {
        let mut locks = FileLocks::default();
        let (mut writer, mut reader, mut late) = (Level::None, Level::None, Level::None);
        locks.lock(&mut writer, Level::Shared).unwrap();
        locks.lock(&mut reader, Level::Shared).unwrap();
        locks.lock(&mut writer, Level::Reserved).unwrap();
        assert_eq!(locks.lock(&mut writer, Level::Exclusive), Err(IoError::Busy));
        assert_eq!(writer, Level::Pending);
        assert_eq!(locks.lock(&mut late, Level::Shared), Err(IoError::Busy));
        locks.unlock(&mut reader, Level::None);
        locks.lock(&mut writer, Level::Exclusive).unwrap();
        locks.unlock(&mut writer, Level::Shared);
        locks.lock(&mut late, Level::Shared).unwrap();
        assert!(!locks.is_reserved());
    }

    #[test]
    fn a_reader_that_rolls_back_a_hot_journal_needs_to_be_alone() {
        let mut locks = FileLocks::default();
        let (mut a, mut b) = (Level::None, Level::None);
        locks.lock(&mut a, Level::Shared).unwrap();
        locks.lock(&mut b, Level::Shared).unwrap();
        assert_eq!(locks.lock(&mut a, Level::Exclusive), Err(IoError::Busy));
        assert_eq!(a, Level::Shared);
        locks.unlock(&mut b, Level::None);
        locks.lock(&mut a, Level::Exclusive).unwrap();
    }
}
