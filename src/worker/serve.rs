//! The worker's side: warm up, then a child for each job.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::time::Duration;

use interpose::process::{self, Ended, Fork, ForkError};
use interpose::real_monotonic;

use super::frame::{Frame, Kind, NoFrame, Until, json};
use super::watchdog::read_watched;
use super::{Aslr, Choice, Config, Isolation, Outcome, Program, job};

/// The first argument of a program that is to be a worker. Not for people.
const WORKER: &str = "__worker";

/// The last argument of a worker that has executed itself again.
const AGAIN: &str = "again";

/// How long a thread that was joined may stay in the system's list.
const THREADS_GO_MAX: Duration = Duration::from_secs(1);

/// The exit code of a process whose runs would not be deterministic.
const EXIT_NOT_DETERMINISTIC: i32 = 3;

/// Becomes a worker, and never returns, if a [`Pool`](super::Pool) started this
/// process; else returns at once.
///
/// Call it first thing in `main`, while the process has one thread, with the
/// program that the pool is started with.
pub fn serve_if_asked(program: Program) {
    // Another program's arguments need not be text.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == WORKER) {
        let request: Vec<_> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
        match Request::parse(&request) {
            Some(request) => serve(program, request),
            None => give_up("is started by a pool, with arguments other than these", 2),
        }
    }
}

/// How to serve.
struct Request {
    isolation: Isolation,
    aslr: Aslr,
    watchdog: Duration,
    /// True once the process has executed itself again to change its addresses.
    again: bool,
}

/// The command that makes this program a worker.
pub(super) fn command(config: &Config) -> io::Result<Command> {
    // The running image, even if a build has replaced the file meanwhile.
    let mut command =
        if cfg!(target_os = "linux") { Command::new("/proc/self/exe") } else { Command::new(std::env::current_exe()?) };
    command.arg0(std::env::args_os().next().unwrap_or_default()).args([
        WORKER,
        match config.isolation {
            Isolation::Fork => "fork",
            Isolation::Process | Isolation::None => "process",
        },
        match config.aslr {
            Aslr::Off => "fixed",
            Aslr::On => "random",
        },
    ]);
    command.arg(u64::try_from(config.watchdog.as_millis()).unwrap_or(u64::MAX).to_string());
    Ok(command)
}

impl Request {
    /// Understands what [`command`] says.
    fn parse(arguments: &[String]) -> Option<Self> {
        let (arguments, again) = match arguments {
            [arguments @ .., last] if last == AGAIN => (arguments, true),
            arguments => (arguments, false),
        };
        let [isolation, aslr, watchdog_ms] = arguments else { return None };
        Some(Self {
            isolation: match isolation.as_str() {
                "fork" => Isolation::Fork,
                "process" => Isolation::Process,
                _ => return None,
            },
            aslr: match aslr.as_str() {
                "fixed" => Aslr::Off,
                "random" => Aslr::On,
                _ => return None,
            },
            watchdog: Duration::from_millis(watchdog_ms.parse().ok()?),
            again,
        })
    }
}

/// Serves jobs until the pool closes the stream.
fn serve(program: Program, request: Request) -> ! {
    // Ctrl-C reaches every process of the terminal: the pool decides what it means, and its end is the workers'.
    process::ignore_interrupts();
    let (aslr, about_addresses) = settle_addresses(&request);
    job::note_panics();
    if let Err(error) = interpose::install() {
        give_up(&format!("failed to {error}"), EXIT_NOT_DETERMINISTIC);
    }
    let (input, output) = match process::take_standard_streams() {
        Ok((input, output)) => (File::from(input), File::from(output)),
        Err(error) => give_up(&format!("failed to take its streams: {error}"), 1),
    };
    job::warm_up(program);
    // Else each child would print once more what is still in the buffer.
    let _ = io::stdout().flush();

    let (isolation, about_isolation) = settle_isolation(request.isolation);
    let choice = Choice { isolation, aslr, sentence: format!("{about_isolation}; {about_addresses}") };
    let ready = Frame { kind: Kind::Ready, body: json(&choice) };
    let mut told = ready.write(&output);
    // A stream that ends or fails means that the pool is gone, and so are we.
    while told.is_ok()
        && let Ok(Frame { kind: Kind::Job, body }) = Frame::read(&input, Until::default())
    {
        told = match isolation {
            Isolation::Fork => in_a_child(program, &body, request.watchdog, &input).write(&output),
            Isolation::Process | Isolation::None => {
                tell_and_end(job::run(program, &body), &output);
            }
        };
    }
    exit(0)
}

/// Runs a job in a child and returns the frame to pass on.
fn in_a_child(program: Program, job: &[u8], watchdog: Duration, pool: &File) -> Frame {
    let lost = |reason: String| Frame::of(Outcome::WorkerLost { reason });
    let (from_child, to_pool): (File, File) = match io::pipe() {
        Ok((reader, writer)) => (OwnedFd::from(reader).into(), OwnedFd::from(writer).into()),
        Err(error) => return lost(format!("failed to open a pipe: {error}")),
    };
    let child = match process::fork() {
        Ok(Fork::Child) => {
            drop(from_child);
            tell_and_end(job::run(program, job), &to_pool)
        }
        Ok(Fork::Parent(child)) => child,
        Err(ForkError::Os(error)) => return lost(format!("failed to fork: {error}")),
        Err(error @ ForkError::Threads(_)) => return lost(format!("failed to {error}")),
    };
    drop(to_pool);
    // Before the result the pool has nothing to say, so when its stream can be
    // read it has ended.
    match read_watched(&from_child, pool.as_fd(), watchdog, || child.cpu_time()) {
        Ok(frame) => frame, // the child has nothing left to do but end: dropped
        Err(NoFrame::Ended) => match child.wait() {
            Ok(Ended::Signal(signal)) => Frame::of(Outcome::Died { signal }),
            Ok(Ended::Code(code)) => Frame::of(Outcome::Exited { code }),
            Err(error) => lost(format!("failed to wait for the child: {error}")),
        },
        Err(NoFrame::TimedOut) => Frame::of(Outcome::TimedOut { watchdog }),
        Err(NoFrame::Alarmed) => {
            drop(child);
            exit(0)
        }
        Err(error) => lost(format!("failed to understand the child: {error}")),
    }
}

/// Ends this process with its last word, and nothing else that could hang.
fn tell_and_end(outcome: Outcome, listener: &File) -> ! {
    let _ = io::stdout().flush();
    let told = Frame::of(outcome).write(listener);
    process::exit_now(if told.is_ok() { 0 } else { 1 })
}

/// Executes this program again if its addresses are not as asked and that may
/// help; says how they are and why.
fn settle_addresses(request: &Request) -> (Aslr, String) {
    let asked = request.aslr == Aslr::On;
    let (random, why) = match process::addresses_are_random() {
        Ok(random) if random == asked => (random, "as asked".to_owned()),
        Ok(random) if request.again => (random, "because the setting did not last".to_owned()),
        Ok(random) => (random, format!("because that cannot be changed ({})", execute_again(asked))),
        // Every system's default.
        Err(error) => (true, format!("as far as is known ({error})")),
    };
    let (aslr, addresses) = if random { (Aslr::On, "random") } else { (Aslr::Off, "fixed") };
    (aslr, format!("addresses are {addresses}, {why}"))
}

/// Executes this program again with its addresses random or not; returns only
/// if that failed.
fn execute_again(random: bool) -> io::Error {
    if let Err(error) = process::set_addresses_random_at_exec(random) {
        return error;
    }
    let mut arguments = std::env::args_os();
    Command::new("/proc/self/exe").arg0(arguments.next().unwrap_or_default()).args(arguments).arg(AGAIN).exec()
}

/// Forks if that was asked and one thread runs; says which it is and why.
fn settle_isolation(asked: Isolation) -> (Isolation, String) {
    let why_not = match (asked, threads_settled()) {
        (Isolation::Fork, Ok(1)) => {
            return (Isolation::Fork, "each job runs in a child forked from a worker".to_owned());
        }
        (Isolation::Fork, Ok(threads)) => format!("because the warm-up left {threads} threads running"),
        (Isolation::Fork, Err(error)) => format!("because the threads cannot be counted ({error})"),
        (Isolation::Process | Isolation::None, _) => "as asked".to_owned(),
    };
    (Isolation::Process, format!("each job runs in a process of its own, {why_not}"))
}

/// The number of threads, once those that were joined are gone.
fn threads_settled() -> io::Result<usize> {
    let deadline = real_monotonic() + THREADS_GO_MAX;
    loop {
        let threads = process::thread_count()?;
        if threads == 1 || real_monotonic() >= deadline {
            return Ok(threads);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends a process that cannot serve.
fn give_up(why: &str, code: i32) -> ! {
    eprintln!("the worker {why}");
    exit(code)
}
