//! SQLite, with its generator seeded through `getrandom`.
//!
//! Its default VFS reads `/dev/urandom`, which is not interposed. A simulation
//! has a VFS of its own; here a copy of the default one stands for it.

#![expect(unsafe_code, reason = "SQLite's C interface")]

use std::ffi::{c_char, c_int};
use std::ptr;

use rusqlite::{Connection, ffi};

/// Makes SQLite seed its generator through `getrandom`. Call it once, before
/// any thread is started.
pub fn seed_through_getrandom() {
    // SAFETY: the default VFS lives as long as the process, and a copy of it is
    // as good, since its functions take nothing from the address of the struct.
    // The copy is leaked, so it stays valid.
    unsafe {
        let mut copy = *ffi::sqlite3_vfs_find(ptr::null());
        copy.zName = c"unix-getrandom".as_ptr();
        copy.pNext = ptr::null_mut();
        copy.xRandomness = Some(randomness);
        let status = ffi::sqlite3_vfs_register(Box::leak(Box::new(copy)), 1);
        assert_eq!(status, ffi::SQLITE_OK);
    }
}

unsafe extern "C" fn randomness(_vfs: *mut ffi::sqlite3_vfs, length: c_int, buffer: *mut c_char) -> c_int {
    // SAFETY: SQLite passes a buffer of this length.
    unsafe { libc::getrandom(buffer.cast(), length as usize, 0) as c_int }
}

/// The one value that a statement returns, as text, on a fresh generator.
pub fn query(statement: &str) -> String {
    // SAFETY: zero bytes to nowhere: forgets the seed, which is process-wide.
    unsafe { ffi::sqlite3_randomness(0, ptr::null_mut()) };
    let connection = Connection::open_in_memory().expect("SQLite opens");
    connection
        .query_row(statement, [], |row| row.get::<_, rusqlite::types::Value>(0))
        .map(|value| format!("{value:?}"))
        .expect("the statement runs")
}
