//! The callbacks of `sqlite3_io_methods`: what concerns one open file.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{Ordering, fence};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods};

use super::shielded;
use crate::fault::IoError;
use crate::image::SECTOR;
use crate::locks::Level;
use crate::open_file::OpenFile;
use crate::shm::{LOCKS, REGION, ShmLock};

/// What SQLite allocates for a file: its own header, then a pointer to ours.
#[repr(C)]
pub(super) struct SqliteFile {
    header: sqlite3_file,
    opened: *mut OpenFile,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Makes SQLite's file lead to ours, until it is closed.
///
/// # Safety
///
/// `file` has room for a [`SqliteFile`].
pub(super) unsafe fn install(file: *mut sqlite3_file, opened: OpenFile) {
    let opened = Box::into_raw(Box::new(opened));
    // SAFETY: as the caller promises.
    unsafe { file.cast::<SqliteFile>().write(SqliteFile { header: sqlite3_file { pMethods: &METHODS }, opened }) };
}

/// The file behind SQLite's.
///
/// # Safety
///
/// `file` went through [`install`] and was not closed. SQLite lets only one thread at a time use a connection's files, and
/// a callback does not call SQLite back, so there is no second reference.
unsafe fn opened<'a>(file: *mut sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: as the caller promises.
    unsafe { &mut *(*file.cast::<SqliteFile>()).opened }
}

/// The code for a result, where every failure that has no code of its own is `other`.
fn code(result: Result<(), IoError>, other: c_int) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(IoError::Busy) => ffi::SQLITE_BUSY,
        Err(IoError::NoSpace) => ffi::SQLITE_FULL,
        Err(_) => other,
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    shielded(|| {
        // SAFETY: `install` made the pointer from a box, and SQLite closes a file once.
        drop(unsafe { Box::from_raw((*file.cast::<SqliteFile>()).opened) });
        // SAFETY: the header is still SQLite's; without methods it is not used again.
        unsafe { (*file).pMethods = ptr::null() };
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn read(file: *mut sqlite3_file, out: *mut c_void, len: c_int, offset: sqlite3_int64) -> c_int {
    shielded(|| {
        let (Ok(len), Ok(offset)) = (usize::try_from(len), u64::try_from(offset)) else {
            return ffi::SQLITE_IOERR_READ;
        };
        // SAFETY: `out` has room for `len` bytes. They may be uninitialised, so they are set before a slice is made;
        // that is also what SQLite asks for after a short read.
        let buffer = unsafe {
            ptr::write_bytes(out.cast::<u8>(), 0, len);
            std::slice::from_raw_parts_mut(out.cast::<u8>(), len)
        };
        // SAFETY: SQLite reads from files that are open.
        match unsafe { opened(file) }.read(offset, buffer) {
            Ok(count) if count == len => ffi::SQLITE_OK,
            Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
            Err(_) => ffi::SQLITE_IOERR_READ,
        }
    })
}

unsafe extern "C" fn write(file: *mut sqlite3_file, data: *const c_void, len: c_int, offset: sqlite3_int64) -> c_int {
    shielded(|| {
        let (Ok(len), Ok(offset)) = (usize::try_from(len), u64::try_from(offset)) else {
            return ffi::SQLITE_IOERR_WRITE;
        };
        // SAFETY: SQLite passes `len` bytes, and writes to files that are open.
        let (data, file) = unsafe { (std::slice::from_raw_parts(data.cast::<u8>(), len), opened(file)) };
        code(file.write(offset, data), ffi::SQLITE_IOERR_WRITE)
    })
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, len: sqlite3_int64) -> c_int {
    shielded(|| {
        let Ok(len) = u64::try_from(len) else { return ffi::SQLITE_IOERR_TRUNCATE };
        // SAFETY: SQLite truncates files that are open.
        code(unsafe { opened(file) }.truncate(len), ffi::SQLITE_IOERR_TRUNCATE)
    })
}

/// As `os_unix.c`, a sync fails in one way only, and covers the length as well as the data.
unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    shielded(|| {
        // SAFETY: SQLite syncs files that are open.
        match unsafe { opened(file) }.sync() {
            Ok(()) => ffi::SQLITE_OK,
            Err(_) => ffi::SQLITE_IOERR_FSYNC,
        }
    })
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    shielded(|| {
        // SAFETY: SQLite asks for the size of files that are open.
        match unsafe { opened(file) }.len().map(sqlite3_int64::try_from) {
            Ok(Ok(len)) => {
                // SAFETY: SQLite passes a place for the answer.
                unsafe { *out = len };
                ffi::SQLITE_OK
            }
            Ok(Err(_)) | Err(_) => ffi::SQLITE_IOERR_FSTAT,
        }
    })
}

fn level(lock: c_int) -> Level {
    match lock {
        ffi::SQLITE_LOCK_NONE => Level::None,
        ffi::SQLITE_LOCK_SHARED => Level::Shared,
        ffi::SQLITE_LOCK_RESERVED => Level::Reserved,
        ffi::SQLITE_LOCK_PENDING => Level::Pending,
        _ => Level::Exclusive,
    }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, lock: c_int) -> c_int {
    // SAFETY: SQLite locks files that are open.
    shielded(|| code(unsafe { opened(file) }.lock(level(lock)), ffi::SQLITE_IOERR_LOCK))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, lock: c_int) -> c_int {
    shielded(|| {
        // SAFETY: SQLite unlocks files that are open.
        unsafe { opened(file) }.unlock(level(lock));
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    shielded(|| {
        // SAFETY: SQLite asks about files that are open.
        match unsafe { opened(file) }.is_reserved() {
            Ok(reserved) => {
                // SAFETY: SQLite passes a place for the answer.
                unsafe { *out = c_int::from(reserved) };
                ffi::SQLITE_OK
            }
            Err(_) => ffi::SQLITE_IOERR_CHECKRESERVEDLOCK,
        }
    })
}

/// All that can be asked here is optional: SQLite does without.
unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    SECTOR as c_int
}

/// A write that is torn leaves the bytes around it alone; `os_unix.c` promises the same by default.
unsafe extern "C" fn device_characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    len: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    shielded(|| {
        let (Ok(region), Ok(REGION)) = (usize::try_from(region), usize::try_from(len)) else {
            return ffi::SQLITE_IOERR_SHMMAP;
        };
        // SAFETY: SQLite maps memory of files that are open.
        match unsafe { opened(file) }.map_shm(region, extend != 0) {
            Ok(address) => {
                // SAFETY: SQLite passes a place for the answer, and takes null for "not there".
                unsafe { *out = address.unwrap_or(ptr::null_mut()) };
                ffi::SQLITE_OK
            }
            Err(_) => ffi::SQLITE_IOERR_SHMMAP,
        }
    })
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    shielded(|| {
        let (Ok(first), Ok(count)) = (usize::try_from(first), usize::try_from(count)) else {
            return ffi::SQLITE_IOERR_SHMLOCK;
        };
        if first + count > LOCKS {
            return ffi::SQLITE_IOERR_SHMLOCK;
        }
        let what = match flags {
            _ if flags & ffi::SQLITE_SHM_UNLOCK != 0 => ShmLock::Unlock,
            _ if flags & ffi::SQLITE_SHM_SHARED != 0 => ShmLock::Shared,
            _ => ShmLock::Exclusive,
        };
        // SAFETY: SQLite locks memory of files that are open.
        code(unsafe { opened(file) }.lock_shm(first..first + count, what), ffi::SQLITE_IOERR_SHMLOCK)
    })
}

unsafe extern "C" fn shm_barrier(_: *mut sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, _delete: c_int) -> c_int {
    shielded(|| {
        // SAFETY: SQLite unmaps memory of files that are open.
        unsafe { opened(file) }.unmap_shm();
        ffi::SQLITE_OK
    })
}
