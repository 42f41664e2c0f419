//! The callbacks of `sqlite3_vfs`: what concerns no open file.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_vfs};

use super::file::{SqliteFile, install};
use super::{Slot, shielded};
use crate::fault::IoError;
use crate::open_file::{self, OpenFile, OpenOptions};
use crate::state::Shared;

/// 1970-01-01T00:00:00Z as SQLite counts: milliseconds since noon in Greenwich on 24 November 4714 B.C.
const UNIX_EPOCH_JULIAN_MS: i64 = 210_866_760_000_000;

/// The longest path in bytes, its NUL included.
const PATH_MAX: c_int = 512;

/// A VFS without its application data.
pub(super) fn vfs(name: *const c_char) -> sqlite3_vfs {
    sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<SqliteFile>() as c_int,
        mxPathname: PATH_MAX,
        pNext: ptr::null_mut(),
        zName: name,
        pAppData: ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: Some(dl_open),
        xDlError: Some(dl_error),
        xDlSym: Some(dl_sym),
        xDlClose: Some(dl_close),
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: Some(current_time_ms),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }
}

/// The disk behind a VFS, unless it is gone.
///
/// # Safety
///
/// `vfs` is one of ours.
unsafe fn disk(vfs: *mut sqlite3_vfs) -> Option<Arc<Shared>> {
    // SAFETY: `Slot::leak` pointed it at a slot, and slots live for ever.
    unsafe { &*(*vfs).pAppData.cast_const().cast::<Slot>() }.disk()
}

/// A name that SQLite passes; `None` when it passes none or one that is not UTF-8.
///
/// # Safety
///
/// `path` is null or ends with NUL and outlives the result.
unsafe fn name<'a>(path: *const c_char) -> Option<&'a str> {
    if path.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(path) }.to_str().ok()
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    shielded(|| {
        // SAFETY: SQLite passes a file of `szOsFile` bytes. Without methods it is not closed when opening fails.
        unsafe { (*file).pMethods = ptr::null() };
        // SAFETY: `vfs` is ours, and SQLite's paths end with NUL.
        let (Some(disk), path_given) = (unsafe { disk(vfs) }, !path.is_null()) else { return ffi::SQLITE_CANTOPEN };
        // SAFETY: as above.
        let path = unsafe { name(path) };
        if path_given && path.is_none() {
            return ffi::SQLITE_CANTOPEN;
        }
        let has = |flag| flags & flag != 0;
        let journal = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
        let create = has(ffi::SQLITE_OPEN_CREATE);
        let options = OpenOptions {
            create,
            exclusive: has(ffi::SQLITE_OPEN_EXCLUSIVE),
            // As `os_unix.c`: whoever may create a journal syncs its directory, new or not.
            sync_directory: create && has(journal),
        };
        // What is deleted when it is closed needs no name.
        let path = path.filter(|_| !has(ffi::SQLITE_OPEN_DELETEONCLOSE));
        match OpenFile::open(disk, path, options) {
            Ok(opened) => {
                // SAFETY: `file` has room for a `SqliteFile`, since `szOsFile` says so.
                unsafe { install(file, opened) };
                if !out_flags.is_null() {
                    // SAFETY: SQLite passes null or a place for the flags.
                    unsafe { *out_flags = flags };
                }
                ffi::SQLITE_OK
            }
            Err(_) => ffi::SQLITE_CANTOPEN,
        }
    })
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, path: *const c_char, sync_directory: c_int) -> c_int {
    shielded(|| {
        // SAFETY: `vfs` is ours, and the path ends with NUL.
        let (Some(disk), Some(path)) = (unsafe { (disk(vfs), name(path)) }) else { return ffi::SQLITE_IOERR_DELETE };
        match open_file::delete(&disk, path) {
            Ok(()) => {}
            Err(IoError::NotFound) => return ffi::SQLITE_IOERR_DELETE_NOENT,
            Err(_) => return ffi::SQLITE_IOERR_DELETE,
        }
        if sync_directory & 1 != 0 && open_file::sync_directory(&disk, None, path).is_err() {
            return ffi::SQLITE_IOERR_DIR_FSYNC;
        }
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn access(vfs: *mut sqlite3_vfs, path: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    shielded(|| {
        // SAFETY: `vfs` is ours, and the path ends with NUL.
        let (Some(disk), Some(path)) = (unsafe { (disk(vfs), name(path)) }) else { return ffi::SQLITE_IOERR_ACCESS };
        let state = disk.state();
        if state.is_dead() {
            return ffi::SQLITE_IOERR_ACCESS;
        }
        // As `os_unix.c`: to the question whether a file exists, an empty one does not.
        let answer = state.named(path).is_some_and(|image| flags != ffi::SQLITE_ACCESS_EXISTS || image.len() > 0);
        // SAFETY: SQLite passes a place for the answer.
        unsafe { *out = c_int::from(answer) };
        ffi::SQLITE_OK
    })
}

/// Every name is a full one: a disk has no current directory and no links.
unsafe extern "C" fn full_pathname(_: *mut sqlite3_vfs, path: *const c_char, len: c_int, out: *mut c_char) -> c_int {
    // SAFETY: the path ends with NUL.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes_with_nul();
    if path.len() > usize::try_from(len).unwrap_or(0) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: `out` has room for `len` bytes, and the path is not longer; SQLite passes distinct buffers.
    unsafe { ptr::copy_nonoverlapping(path.as_ptr().cast(), out, path.len()) };
    ffi::SQLITE_OK
}

/// There is nothing executable on a simulated disk.
unsafe extern "C" fn dl_open(_: *mut sqlite3_vfs, _: *const c_char) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn dl_error(_: *mut sqlite3_vfs, len: c_int, out: *mut c_char) {
    if len > 0 {
        // SAFETY: `out` has room for `len` bytes, so at least for an empty message.
        unsafe { *out = 0 };
    }
}

unsafe extern "C" fn dl_sym(
    _: *mut sqlite3_vfs,
    _: *mut c_void,
    _: *const c_char,
) -> Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut c_void, *const c_char)> {
    None
}

unsafe extern "C" fn dl_close(_: *mut sqlite3_vfs, _: *mut c_void) {}

/// Returns how many bytes it provided.
unsafe extern "C" fn randomness(vfs: *mut sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    let provide = || {
        // SAFETY: `vfs` is ours.
        let disk = unsafe { disk(vfs) }?;
        let len = usize::try_from(len).ok()?;
        // SAFETY: `out` has room for `len` bytes. They may be uninitialised, so they are set before a slice is made.
        let bytes = unsafe {
            ptr::write_bytes(out, 0, len);
            std::slice::from_raw_parts_mut(out.cast::<u8>(), len)
        };
        disk.state().randomness(bytes);
        c_int::try_from(len).ok()
    };
    shielded(|| provide().unwrap_or(0))
}

/// Waits in simulated time: whoever called SQLite is charged for it afterwards.
unsafe extern "C" fn sleep(vfs: *mut sqlite3_vfs, us: c_int) -> c_int {
    shielded(|| {
        // SAFETY: `vfs` is ours.
        if let Some(disk) = unsafe { disk(vfs) } {
            disk.state().spend(Duration::from_micros(u64::try_from(us).unwrap_or(0)));
        }
        us
    })
}

/// Days, where the other counts milliseconds.
unsafe extern "C" fn current_time(vfs: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    let mut ms = 0;
    // SAFETY: the same VFS, and a place for the answer.
    let code = unsafe { current_time_ms(vfs, &mut ms) };
    // SAFETY: SQLite passes a place for the answer.
    unsafe { *out = ms as f64 / 86_400_000.0 };
    code
}

unsafe extern "C" fn current_time_ms(vfs: *mut sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    shielded(|| {
        // SAFETY: `vfs` is ours.
        let Some(disk) = (unsafe { disk(vfs) }) else { return ffi::SQLITE_IOERR };
        let since_1970 = i64::try_from(disk.now().as_millis()).unwrap_or(0);
        // SAFETY: SQLite passes a place for the answer.
        unsafe { *out = UNIX_EPOCH_JULIAN_MS + since_1970 };
        ffi::SQLITE_OK
    })
}
