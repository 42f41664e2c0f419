//! SQLite's own generator, which is one for the whole process.

use std::ffi::c_int;
use std::ptr;

use rusqlite::ffi;

use crate::digest;

/// Starts SQLite's generator afresh from `seed`.
///
/// It feeds `random()`, `randomblob()`, the salts of a WAL and the nonces of a journal, for all connections of all disks
/// in the process. So a process that runs one simulation calls this once before it; one that runs several, before each.
/// The seed stays in force when SQLite resets the generator by itself, as it does after a fork.
#[expect(unsafe_code, reason = "SQLite offers this in C only")]
pub fn seed_sqlite_prng(seed: u64) {
    // SQLite takes 32 bits, of which 0 means "from the operating system".
    let folded = digest::of(&seed.to_le_bytes()) as c_int;
    let seed = if folded == 0 { 1 } else { folded };
    // SAFETY: the verb takes an `int` and a `sqlite3 *`, which may be null. SQLite is initialised first, because the
    // reset that follows takes one of its mutexes.
    let code = unsafe {
        ffi::sqlite3_initialize();
        ffi::sqlite3_test_control(ffi::SQLITE_TESTCTRL_PRNG_SEED, seed, ptr::null_mut::<ffi::sqlite3>())
    };
    assert_eq!(code, ffi::SQLITE_OK, "this SQLite was built without test controls, so it cannot be seeded");
}
