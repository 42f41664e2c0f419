//! Proof that libc's symbols are ours in this process.
//!
//! A library's `no_mangle` functions are silently absent when nothing refers to
//! them, and inside a shared library they come after libc's. Neither shows until
//! two runs differ, so it is checked before the first.

use std::ffi::{CStr, c_void};
use std::mem::transmute;

use libc::{c_int, c_long, c_uint, clockid_t, size_t, ssize_t, time_t, timespec, timeval};

use crate::{NotOurs, Reading, simulate, symbols};

/// Seed and clock of the probe. No real clock shows this: it is 1973.
const SEED: u64 = 0x0070_726f_6265;
const CLOCK: Reading = Reading { utc_ns: 123_456_789_123_456_789, monotonic_ns: 42_000_000_007 };

/// A function of libc that we define.
struct Symbol {
    name: &'static CStr,
    ours: *const c_void,
    /// Whether the function at this address, called in the probe's simulation,
    /// answers from the simulation.
    ///
    /// Unsafe to call: the address must be that of [`Self::ours`].
    answers: unsafe fn(*const c_void) -> bool,
}

/// Keeps libc's symbols ours, and proves that they are: each resolves to our
/// definition for the whole process, and answers from the simulation.
///
/// Call it before the first simulation, in every process that runs one. Cheap,
/// and harmless when repeated.
///
/// # Errors
///
/// [`NotOurs::Symbols`] names the functions that are somebody else's. Nothing
/// simulated in this process would be deterministic: give up.
pub fn install() -> Result<(), NotOurs> {
    let foreign = foreign(&symbols());
    if foreign.is_empty() { Ok(()) } else { Err(NotOurs::Symbols(foreign)) }
}

/// The names of those symbols that are not ours.
fn foreign(symbols: &[Symbol]) -> Vec<&'static str> {
    symbols
        .iter()
        .filter(|symbol| !is_ours(symbol))
        .map(|symbol| symbol.name.to_str().expect("the names are ASCII"))
        .collect()
}

/// Whether the dynamic linker resolves the symbol to us and a call agrees.
fn is_ours(symbol: &Symbol) -> bool {
    // SAFETY: the name is a C string.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.name.as_ptr()) }.cast_const();
    // SAFETY: the address is the one it must be, by the comparison before.
    found == symbol.ours && simulate(SEED, &|| CLOCK, || unsafe { (symbol.answers)(found) })
}

/// The list. Taking the addresses is what makes the linker keep the functions.
fn symbols() -> [Symbol; 6] {
    [
        Symbol {
            name: c"getrandom",
            ours: symbols::getrandom as *const c_void,
            answers: |address| {
                type F = unsafe extern "C" fn(*mut c_void, size_t, c_uint) -> ssize_t;
                let mut bytes = [0_u8; 16];
                // SAFETY: the address is our function of this type; the buffer is ours.
                let drawn =
                    unsafe { transmute::<*const c_void, F>(address)(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
                drawn == bytes.len() as ssize_t && bytes == first_bytes()
            },
        },
        Symbol {
            name: c"getentropy",
            ours: symbols::getentropy as *const c_void,
            answers: |address| {
                type F = unsafe extern "C" fn(*mut c_void, size_t) -> c_int;
                let mut bytes = [0_u8; 16];
                // SAFETY: the address is our function of this type; the buffer is ours.
                let result = unsafe { transmute::<*const c_void, F>(address)(bytes.as_mut_ptr().cast(), bytes.len()) };
                result == 0 && bytes == first_bytes()
            },
        },
        Symbol {
            name: c"syscall",
            ours: symbols::syscall as *const c_void,
            answers: |address| {
                type F = unsafe extern "C" fn(c_long, ...) -> c_long;
                let mut bytes = [0_u8; 16];
                // SAFETY: the address is our function, which is called as if it
                // were variadic (see `symbols`); the buffer is ours.
                let (drawn, pid) = unsafe {
                    let syscall = transmute::<*const c_void, F>(address);
                    (syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), 0), syscall(libc::SYS_getpid))
                };
                drawn == bytes.len() as c_long && bytes == first_bytes() && pid == c_long::from(std::process::id())
            },
        },
        Symbol {
            name: c"clock_gettime",
            ours: symbols::clock_gettime as *const c_void,
            answers: |address| {
                type F = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
                let read = |clock| {
                    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
                    // SAFETY: the address is our function of this type; `now` is ours.
                    let result = unsafe { transmute::<*const c_void, F>(address)(clock, &raw mut now) };
                    (result == 0).then_some(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
                };
                read(libc::CLOCK_REALTIME) == Some(CLOCK.utc_ns)
                    && read(libc::CLOCK_MONOTONIC) == Some(CLOCK.monotonic_ns)
            },
        },
        Symbol {
            name: c"gettimeofday",
            ours: symbols::gettimeofday as *const c_void,
            answers: |address| {
                type F = unsafe extern "C" fn(*mut timeval, *mut c_void) -> c_int;
                let mut now = timeval { tv_sec: 0, tv_usec: 0 };
                // SAFETY: the address is our function of this type; `now` is ours.
                let result = unsafe { transmute::<*const c_void, F>(address)(&raw mut now, std::ptr::null_mut()) };
                result == 0 && now.tv_sec as u64 * 1_000_000 + now.tv_usec as u64 == CLOCK.utc_ns / 1000
            },
        },
        Symbol {
            name: c"time",
            ours: symbols::time as *const c_void,
            answers: |address| {
                type F = unsafe extern "C" fn(*mut time_t) -> time_t;
                // SAFETY: the address is our function of this type, which allows null.
                let now = unsafe { transmute::<*const c_void, F>(address)(std::ptr::null_mut()) };
                now as u64 == CLOCK.utc_ns / 1_000_000_000
            },
        },
    ]
}

/// What the probe's simulation hands out first.
fn first_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    simulate(SEED, &|| CLOCK, || crate::simulation::draw(|| &mut bytes));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_symbols_are_ours() {
        assert_eq!(install(), Ok(()));
    }

    #[test]
    fn a_symbol_that_resolves_elsewhere_is_named() {
        let mut symbols = symbols();
        symbols[0].name = c"getpid"; // libc's, so not at the address of ours
        symbols[3].name = c"no_library_defines_this";
        assert_eq!(foreign(&symbols), ["getpid", "no_library_defines_this"]);
    }

    #[test]
    fn a_symbol_that_does_not_answer_is_named() {
        let mut symbols = symbols();
        symbols[5].answers = |_| false;
        assert_eq!(foreign(&symbols), ["time"]);
    }
}
