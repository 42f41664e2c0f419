//! The kernel, without libc: what the interposed functions pass through to.
//!
//! libc's `syscall` cannot serve here, for it is one of the symbols we replace.

use std::time::Duration;

use libc::{c_int, c_long, timespec};

/// Makes a system call and returns what the kernel returned: a value in
/// `-4095..0` is an error number with its sign changed.
///
/// # Safety
///
/// The arguments must be what the kernel expects for `number`.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn syscall(number: c_long, arguments: [c_long; 6]) -> c_long {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: this is the kernel's calling convention, with the two registers it
    // overwrites declared; the effects are the caller's to answer for.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes a system call and returns what the kernel returned: a value in
/// `-4095..0` is an error number with its sign changed.
///
/// # Safety
///
/// The arguments must be what the kernel expects for `number`.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn syscall(number: c_long, arguments: [c_long; 6]) -> c_long {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: this is the kernel's calling convention, which preserves every
    // other register; the effects are the caller's to answer for.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") f,
            options(nostack),
        );
    }
    result
}

/// Turns the kernel's result into libc's: -1 with `errno` set on failure.
pub(crate) fn or_errno(result: c_long) -> c_long {
    match c_int::try_from(result) {
        Ok(code @ -4095..0) => fail(-code).into(),
        _ => result,
    }
}

/// Sets `errno` and returns -1.
pub(crate) fn fail(errno: c_int) -> c_int {
    // SAFETY: the location is this thread's own and always valid.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// Reads a clock from the kernel.
///
/// # Safety
///
/// `time` must be valid for writes, or such that the kernel refuses it.
pub(crate) unsafe fn clock_gettime(clock: libc::clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: these are the call's arguments; the caller vouches for `time`.
    let result = unsafe { syscall(libc::SYS_clock_gettime, [clock.into(), time as c_long, 0, 0, 0, 0]) };
    or_errno(result) as c_int
}

/// CPU time that the threads of this process other than the calling one have used, those that have ended among them.
///
/// Never too much, but up to some microseconds too little: it is the difference of two readings.
pub fn cpu_time_of_other_threads() -> Duration {
    // The process first, so that what this thread uses in between is not taken for somebody else's.
    let [process, thread] = [libc::CLOCK_PROCESS_CPUTIME_ID, libc::CLOCK_THREAD_CPUTIME_ID].map(read);
    process.saturating_sub(thread)
}

/// The real monotonic clock, inside a simulation too: for watchdogs and
/// progress, never for anything a simulation could observe.
pub fn real_monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// Reads a clock that every kernel has.
fn read(clock: libc::clockid_t) -> Duration {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write.
    unsafe { clock_gettime(clock, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
