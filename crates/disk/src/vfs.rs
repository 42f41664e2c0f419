//! The disk as SQLite sees it: a VFS that is registered while the disk exists.
//!
//! SQLite keeps the address of a VFS in every connection, even in those that never open a file, and does not tell when it
//! has forgotten it. So the C structures live in slots that are never freed but used again by the next disk. The process
//! keeps as many as it had disks at one time, and a forgotten connection finds an empty slot or a stranger's clock, never
//! freed memory.
#![expect(unsafe_code, reason = "a VFS is a table of C functions that work on raw pointers")]

mod file;
mod system;

use std::cell::UnsafeCell;
use std::collections::BTreeSet;
use std::ffi::{CString, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};

use rusqlite::ffi;

use crate::state::{Shared, lock};

/// One VFS that SQLite knows or knew.
struct Slot {
    index: usize,
    name: CString,
    vfs: UnsafeCell<ffi::sqlite3_vfs>,
    disk: Mutex<Weak<Shared>>,
}

// SAFETY: after the slot is made, `vfs` is written to by SQLite alone (its list pointer, under its own mutex), and read
// by SQLite alone. The rest is safe to share by itself.
unsafe impl Sync for Slot {}
// SAFETY: as above; the pointers in `vfs` lead to this slot and to functions, which no thread owns.
unsafe impl Send for Slot {}

impl Slot {
    fn leak(index: usize) -> &'static Slot {
        let name = CString::new(format!("simulated-disk-{index}")).expect("the name has no NUL");
        let slot: &'static Slot = Box::leak(Box::new(Slot {
            index,
            vfs: UnsafeCell::new(system::vfs(name.as_ptr())),
            name,
            disk: Mutex::default(),
        }));
        // SAFETY: nobody else knows the slot yet.
        unsafe { (*slot.vfs.get()).pAppData = (&raw const *slot).cast_mut().cast() };
        slot
    }

    fn set_disk(&self, disk: Weak<Shared>) {
        *lock(&self.disk) = disk;
    }

    fn disk(&self) -> Option<Arc<Shared>> {
        lock(&self.disk).upgrade()
    }
}

#[derive(Default)]
struct Slots {
    all: Vec<&'static Slot>,
    free: BTreeSet<usize>,
}

static SLOTS: Mutex<Slots> = Mutex::new(Slots { all: Vec::new(), free: BTreeSet::new() });

/// A disk's registration with SQLite; it ends when this is dropped.
pub(crate) struct Registration {
    slot: &'static Slot,
}

impl Registration {
    /// Takes the lowest free name, so that equal programs see equal names.
    pub fn new(disk: Weak<Shared>) -> Self {
        let mut slots = lock(&SLOTS);
        let slot = match slots.free.pop_first() {
            Some(index) => slots.all[index],
            None => {
                let slot = Slot::leak(slots.all.len());
                slots.all.push(slot);
                slot
            }
        };
        slot.set_disk(disk);
        // SAFETY: the structure is complete, is never freed, and is not in SQLite's list: slots are free only before
        // their first registration or after `drop` took them out of it.
        let code = unsafe { ffi::sqlite3_vfs_register(slot.vfs.get(), 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite could not be initialised");
        Registration { slot }
    }

    pub fn name(&self) -> &'static str {
        self.slot.name.to_str().expect("the name is ASCII")
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the structure was registered by `new`.
        unsafe { ffi::sqlite3_vfs_unregister(self.slot.vfs.get()) };
        self.slot.set_disk(Weak::new());
        lock(&SLOTS).free.insert(self.slot.index);
    }
}

/// Runs a callback. A panic, of an observer or a clock, must not unwind into C: it has been reported by the panic hook,
/// and SQLite gets an error.
fn shielded(callback: impl FnOnce() -> c_int) -> c_int {
    catch_unwind(AssertUnwindSafe(callback)).unwrap_or(ffi::SQLITE_IOERR)
}

#[cfg(test)]
mod tests {
    use crate::Disk;
    use std::ffi::CString;

    fn is_registered(name: &str) -> bool {
        let name = CString::new(name).unwrap();
        // SAFETY: the name ends with NUL; the pointer that is returned is only compared.
        unsafe { !rusqlite::ffi::sqlite3_vfs_find(name.as_ptr()).is_null() }
    }

    #[test]
    fn names_are_used_again_and_thousands_of_disks_leave_nothing() {
        for _ in 0..5_000 {
            let (a, b) = (Disk::new(1), Disk::new(2));
            assert_ne!(a.vfs_name(), b.vfs_name());
            assert!(is_registered(a.vfs_name()) && is_registered(b.vfs_name()));
        }
        // Other tests hold disks at the same time, but not thousands.
        assert!(super::lock(&super::SLOTS).all.len() < 100);
    }
}
