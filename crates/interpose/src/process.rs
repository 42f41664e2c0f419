//! Process control for workers: safe wrappers, none of which needs a thread.
//!
//! A worker is one image that forks a child for each run. Linux is what they
//! were made for; elsewhere on Unix those that need Linux return
//! [`io::ErrorKind::Unsupported`].

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use std::{io, mem, ptr};

use crate::real_monotonic;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The name of a signal by which a process ends of its own fault: it aborted, or did what no process may. `None` for others,
/// which somebody else sends: the system when it is out of memory, or a person.
pub fn fault_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTRAP => "SIGTRAP",
        _ => return None,
    })
}

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// The new process. It dies with its parent.
    Child,
    /// The process that forked.
    Parent(Child),
}

/// Why no child was forked.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// A fork copies only the calling thread: a lock that another one holds
    /// would stay locked in the child for ever. Run a process per job instead.
    #[error("fork with {0} threads running: only a single-threaded process may")]
    Threads(usize),
    /// The system refused.
    #[error("fork")]
    Os(#[from] io::Error),
}

/// A forked child that nobody has waited for yet. Killed and reaped on drop.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    reaped: bool,
}

/// Forks this process, once it has made sure that it has one thread.
///
/// # Errors
///
/// [`ForkError`]; the process is as before.
pub fn fork() -> Result<Fork, ForkError> {
    match thread_count()? {
        1 => {}
        threads => return Err(ForkError::Threads(threads)),
    }
    let parent = std::process::id();
    // SAFETY: with a single thread nothing in the child is left half done, so
    // the child may go on like any process.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error().into()),
        0 => {
            die_with(parent);
            Ok(Fork::Child)
        }
        pid => Ok(Fork::Parent(Child { pid, reaped: false })),
    }
}

/// Makes the kernel kill this process when `parent` ends.
#[cfg(target_os = "linux")]
fn die_with(parent: u32) {
    // SAFETY: takes a signal number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if std::os::unix::process::parent_id() != parent {
        exit_now(1); // it ended before the call above
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: u32) {}

/// Ends this process at once: no destructors, no exit handlers, no flushing.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: always sound; what is lost is what the caller asked to lose.
    unsafe { libc::_exit(code) }
}

impl Child {
    /// Kills the child. It still has to be waited for.
    pub fn kill(&self) {
        // SAFETY: the child is not reaped, so the id is still its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }

    /// How much processor time the child has used, on all of its threads.
    ///
    /// # Errors
    ///
    /// Where the system does not tell it, or the child has ended.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        cpu_time_of(self.pid.unsigned_abs())
    }

    /// Waits until the child ends.
    ///
    /// # Errors
    ///
    /// When the system does not know the child, because somebody else in this
    /// process waited for it or ignores `SIGCHLD`.
    pub fn wait(mut self) -> io::Result<Ended> {
        self.reap()
    }

    fn reap(&mut self) -> io::Result<Ended> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is ours to write.
            if unsafe { libc::waitpid(self.pid, &raw mut status, 0) } == self.pid {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                self.reaped = true;
                return Err(error);
            }
        }
        self.reaped = true;
        Ok(if libc::WIFSIGNALED(status) {
            Ended::Signal(libc::WTERMSIG(status))
        } else {
            Ended::Code(libc::WEXITSTATUS(status))
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            // Nobody is left to tell.
            let _ = self.reap();
        }
    }
}

/// How much processor time a process has used, on all of its threads. The id is that of a child which nobody has waited for
/// yet; else it may be anybody's by now.
///
/// # Errors
///
/// Where there is no such process, or this is not Linux.
#[cfg(target_os = "linux")]
pub fn cpu_time_of(process: u32) -> io::Result<Duration> {
    let process = process.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: `clock` is ours to write.
    match unsafe { libc::clock_getcpuclockid(process, &raw mut clock) } {
        0 => {}
        error => return Err(io::Error::from_raw_os_error(error)),
    }
    // SAFETY: `time` is ours to write.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How much processor time a process has used: unknown, for this is not Linux.
///
/// # Errors
///
/// Always [`io::ErrorKind::Unsupported`].
#[cfg(not(target_os = "linux"))]
pub fn cpu_time_of(_process: u32) -> io::Result<Duration> {
    Err(io::ErrorKind::Unsupported.into())
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From here on the first Ctrl-C does nothing but be remembered, for [`interrupted`]; the second ends the process.
///
/// # Errors
///
/// When the system refuses.
pub fn catch_interrupts() -> io::Result<()> {
    extern "C" fn remember(_: libc::c_int) {
        INTERRUPTED.store(true, Relaxed);
    }
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    let handler: extern "C" fn(libc::c_int) = remember;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
    // SAFETY: the handler stores to an atomic, which is all that a handler may do.
    match unsafe { libc::sigaction(libc::SIGINT, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether somebody pressed Ctrl-C since [`catch_interrupts`].
pub fn interrupted() -> bool {
    INTERRUPTED.load(Relaxed)
}

/// Ctrl-C is somebody else's business: neither this process nor those that it makes end by it.
pub fn ignore_interrupts() {
    // SAFETY: no handler of ours is installed that could be in the middle of something.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
}

/// Waits until one of the descriptors can be read or is at its end, and
/// returns the index of the first such; `None` when `timeout` has passed, which
/// is measured by the real clock. Without a time-out it waits for ever.
///
/// # Errors
///
/// When the system refuses to wait.
pub fn wait_readable(descriptors: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Option<usize>> {
    // One that no clock can show never comes.
    let deadline = timeout.and_then(|timeout| real_monotonic().checked_add(timeout));
    let mut polled: Vec<_> = descriptors
        .iter()
        .map(|descriptor| libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    loop {
        let left_ms = deadline.map_or(-1, |deadline| {
            let left = deadline.saturating_sub(real_monotonic());
            left.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX)
        });
        // SAFETY: pointer and length are those of the vector.
        match unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, left_ms) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            0 if left_ms == i32::MAX => {} // the deadline is further than poll can count
            0 => return Ok(None),
            _ => return Ok(polled.iter().position(|descriptor| descriptor.revents != 0)),
        }
    }
}

/// Takes standard input and output away for a private use, so that a stray
/// `println!` cannot corrupt what is said over them: from now on the standard
/// input is empty, and the standard output goes to the standard error.
///
/// # Errors
///
/// When the system is out of descriptors.
pub fn take_standard_streams() -> io::Result<(OwnedFd, OwnedFd)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    replace(libc::STDIN_FILENO, File::open("/dev/null")?.as_fd())?;
    replace(libc::STDOUT_FILENO, io::stderr().as_fd())?;
    Ok((input, output))
}

/// Makes a standard stream refer to `source`.
fn replace(stream: libc::c_int, source: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `source` is open, and a standard stream is nobody's property.
    match unsafe { libc::dup2(source.as_raw_fd(), stream) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The number of threads of this process.
///
/// # Errors
///
/// Where `/proc` is not mounted, or this is not Linux.
pub fn thread_count() -> io::Result<usize> {
    if cfg!(target_os = "linux") {
        Ok(std::fs::read_dir("/proc/self/task")?.count())
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether addresses are randomised in this process, as far as the process's
/// own flag decides it.
///
/// # Errors
///
/// Where the system call is forbidden, as in many containers, or this is not Linux.
#[cfg(target_os = "linux")]
pub fn addresses_are_random() -> io::Result<bool> {
    Ok(personality(PERSONALITY_QUERY)? & libc::ADDR_NO_RANDOMIZE == 0)
}

/// Switches address randomisation on or off, from the next `exec` of this
/// process on.
///
/// # Errors
///
/// Where the system call is forbidden, as in many containers, or this is not Linux.
#[cfg(target_os = "linux")]
pub fn set_addresses_random_at_exec(random: bool) -> io::Result<()> {
    let mut persona = personality(PERSONALITY_QUERY)?;
    if random {
        persona &= !libc::ADDR_NO_RANDOMIZE;
    } else {
        persona |= libc::ADDR_NO_RANDOMIZE;
    }
    personality(persona as libc::c_ulong).map(drop)
}

/// The argument that asks for the persona without changing it.
#[cfg(target_os = "linux")]
const PERSONALITY_QUERY: libc::c_ulong = 0xffff_ffff;

#[cfg(target_os = "linux")]
fn personality(persona: libc::c_ulong) -> io::Result<libc::c_int> {
    // SAFETY: takes flags and touches no memory.
    match unsafe { libc::personality(persona) } {
        -1 => Err(io::Error::last_os_error()),
        previous => Ok(previous),
    }
}

/// Whether addresses are randomised: unknown, for this is not Linux.
///
/// # Errors
///
/// Always [`io::ErrorKind::Unsupported`].
#[cfg(not(target_os = "linux"))]
pub fn addresses_are_random() -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Switches address randomisation on or off: impossible, for this is not Linux.
///
/// # Errors
///
/// Always [`io::ErrorKind::Unsupported`].
#[cfg(not(target_os = "linux"))]
pub fn set_addresses_random_at_exec(_random: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
