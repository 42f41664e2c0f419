//! Entropy and clock interposition for simulated processes.
//!
//! A program linked with this crate defines `getrandom`, `getentropy`,
//! `syscall`, `clock_gettime`, `gettimeofday` and `time` itself, so that every
//! library in it, whatever its language, asks us first. Inside [`simulate`]
//! the calling thread gets bytes keyed by the seed and the time the world
//! says it is. Outside, and on every other thread, the kernel answers.
//!
//! ```no_run
//! use interpose::Reading;
//!
//! interpose::install().expect("every symbol is ours");
//! let clock = || Reading { utc_ns: 1_700_000_000_000_000_000, monotonic_ns: 0 };
//! interpose::simulate(7, &clock, || println!("{:?}", std::time::SystemTime::now()));
//! ```
//!
//! # What is not reached
//!
//! - State drawn before: std's map keys, `rand`'s and `fastrand`'s generators
//!   are seeded once for each thread, other things once for each process. So a
//!   simulation belongs on a fresh thread of a freshly forked process, see
//!   [`process`].
//! - What is not keyed by entropy: fastrand seeds itself with the monotonic clock
//!   and the thread's number. A simulation that starts each seed's monotonic
//!   clock elsewhere varies that, too.
//! - Other threads: they draw the real thing. [`passed_through`] counts that.
//! - Reads of `/dev/urandom`. SQLite's default VFS seeds its generator there;
//!   a simulation's own VFS must seed it instead (and `sqlite3_randomness(0,
//!   NULL)` makes SQLite ask again).
//! - glibc's own calls, which do not go through the dynamic symbol table:
//!   `arc4random`, `timespec_get`, the names that `mkstemp` makes up.
//! - Code that bypasses libc: the vDSO, inline system calls, `rdtsc`.
//! - Addresses, as far as the loader randomises them, and process ids.
//! - Waiting. A time-out that the kernel measures stays real, and one that a
//!   library computes as an absolute time from a simulated clock is nonsense to
//!   the kernel: simulated code waits on simulated timers only.
//!
//! # Cost
//!
//! Outside a simulation a clock is read by a system call instead of through
//! the vDSO: some ten times slower (530 ns instead of 60 ns on a virtual
//! machine). Inside, a read takes some 25 ns and a draw of 16 bytes some 30 ns.
//!
//! # Platforms
//!
//! Linux with glibc on x86-64 and AArch64. Elsewhere [`install`] returns
//! [`NotOurs::Unsupported`] and [`simulate`] just runs its body.

#![expect(unsafe_code, reason = "defines libc's symbols and wraps process control")]

#[cfg(unix)]
pub mod process;

#[cfg(supported)]
mod proof;
#[cfg(supported)]
mod raw;
#[cfg(supported)]
mod simulation;
#[cfg(supported)]
mod symbols;
#[cfg(supported)]
pub use {
    proof::install,
    raw::{cpu_time_of_other_threads, real_monotonic},
    simulation::*,
};

#[cfg(not(supported))]
mod unsupported;
#[cfg(not(supported))]
pub use unsupported::*;

/// What the clocks of a simulated thread show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// `CLOCK_REALTIME` and its kin: nanoseconds since 1970-01-01 UTC.
    pub utc_ns: u64,
    /// `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME` and their kin: nanoseconds since an
    /// arbitrary origin. The caller sees to it that it never goes back.
    pub monotonic_ns: u64,
}

/// How often the interposed functions were called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that asked for random bytes.
    pub entropy_draws: u64,
    /// Calls that read a clock other than those of CPU time.
    pub clock_reads: u64,
}

/// Why this process cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// This crate does not know how to interpose here.
    #[error("interpose entropy and clocks: only Linux with glibc on x86-64 and AArch64 is supported")]
    Unsupported,
    /// Calls of these functions reach somebody else's definition, or ours does
    /// not answer them: the program is linked statically, or this crate is inside
    /// a shared library that is loaded after libc.
    #[error("interpose {}: calls do not reach our definition", .0.join(", "))]
    Symbols(Vec<&'static str>),
}
