//! The functions of libc that this crate defines in its stead.
//!
//! Each asks the simulation first, and otherwise does what libc's does. None
//! allocates, and none calls another symbol of this list except where it says
//! so. libc's `syscall` takes a variable number of arguments; on both
//! supported architectures such a call passes them like a fixed list, and those
//! that the caller left out are read as garbage, which the kernel ignores.

use std::slice;

use libc::{c_int, c_long, c_uint, c_void, clockid_t, size_t, ssize_t, time_t, timespec, timeval};

use crate::raw::{self, fail, or_errno};
use crate::simulation::{draw, read_clock};

/// The longest request `getentropy` accepts, in bytes.
const GETENTROPY_LENGTH_MAX: size_t = 256;

/// See getrandom(2). A simulated draw always returns all `length` bytes.
///
/// # Safety
///
/// `buffer` must be null or valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    // SAFETY: not null, so valid by the caller's promise. Zeroed first, because a
    // slice of uninitialised bytes is not allowed.
    let bytes = || unsafe {
        buffer.cast::<u8>().write_bytes(0, length);
        slice::from_raw_parts_mut(buffer.cast::<u8>(), length)
    };
    if !buffer.is_null() && draw(bytes) {
        return length as ssize_t;
    }
    // SAFETY: the caller's arguments, in the kernel's order.
    let result =
        unsafe { raw::syscall(libc::SYS_getrandom, [buffer as c_long, length as c_long, flags.into(), 0, 0, 0]) };
    or_errno(result) as ssize_t
}

/// See getentropy(3).
///
/// # Safety
///
/// `buffer` must be null or valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getentropy(buffer: *mut c_void, length: size_t) -> c_int {
    if length > GETENTROPY_LENGTH_MAX {
        return fail(libc::EIO);
    }
    loop {
        // SAFETY: the caller's promise is the same. The kernel never returns
        // less than was asked for up to this length, but may be interrupted.
        match unsafe { getrandom(buffer, length, 0) } {
            // SAFETY: this thread's own errno.
            -1 if unsafe { *libc::__errno_location() } == libc::EINTR => {}
            -1 => return -1,
            _ => return 0,
        }
    }
}

/// See syscall(2): `getrandom` is ours, all else goes to the kernel.
///
/// # Safety
///
/// The arguments must be what the kernel expects for `number`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    if number == libc::SYS_getrandom {
        // SAFETY: the caller's promise for this number is that of `getrandom`.
        return unsafe { getrandom(a as *mut c_void, b as size_t, c as c_uint) } as c_long;
    }
    // SAFETY: passed on as they came.
    or_errno(unsafe { raw::syscall(number, [a, b, c, d, e, f]) })
}

/// See clock_gettime(2).
///
/// # Safety
///
/// `time` must be null or valid for writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let utc = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_REALTIME_ALARM | libc::CLOCK_TAI => true,
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME
        | libc::CLOCK_BOOTTIME_ALARM => false,
        // CPU time of this process, this thread or another, a hardware clock's
        // descriptor, or an error.
        // SAFETY: as the caller promised.
        _ => return unsafe { raw::clock_gettime(clock, time) },
    };
    if !time.is_null()
        && let Some(reading) = read_clock()
    {
        let now = split(if utc { reading.utc_ns } else { reading.monotonic_ns });
        // SAFETY: not null, so valid by the caller's promise.
        unsafe { time.write(now) };
        return 0;
    }
    // SAFETY: as the caller promised; the kernel refuses null.
    unsafe { raw::clock_gettime(clock, time) }
}

/// See gettimeofday(2). As in glibc, the obsolete time zone is zeroes.
///
/// # Safety
///
/// `time` must be null or valid for writes, `zone` null or valid for writes of
/// a `struct timezone`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut timeval, zone: *mut c_void) -> c_int {
    if !zone.is_null() {
        // SAFETY: valid by the caller's promise; the structure is two ints.
        unsafe { zone.cast::<[c_int; 2]>().write([0, 0]) };
    }
    if time.is_null() {
        return 0;
    }
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is ours, and `time` is not null, so valid by the promise.
    unsafe {
        clock_gettime(libc::CLOCK_REALTIME, &raw mut now);
        time.write(timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / 1000 });
    }
    0
}

/// See time(2). Like libc's, it reads the coarse clock.
///
/// # Safety
///
/// `time` must be null or valid for writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(time: *mut time_t) -> time_t {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is ours.
    unsafe { clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut now) };
    if !time.is_null() {
        // SAFETY: valid by the caller's promise.
        unsafe { time.write(now.tv_sec) };
    }
    now.tv_sec
}

/// Nanoseconds as seconds and a rest.
fn split(nanoseconds: u64) -> timespec {
    const SECOND: u64 = 1_000_000_000;
    timespec { tv_sec: (nanoseconds / SECOND) as time_t, tv_nsec: (nanoseconds % SECOND) as c_long }
}
