//! Process control. It has no test harness, since that would start threads.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use interpose::process::{self, Ended, Fork, ForkError};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("streams") => return streams(),
        Some("addresses") => return addresses(),
        Some("--list") => return ExitCode::SUCCESS, // asked by test runners
        _ => {}
    }
    a_child_reports_how_it_ended();
    a_child_is_killed();
    the_processor_time_of_a_child_is_its_own();
    a_dropped_child_is_reaped();
    a_child_dies_with_its_parent();
    a_process_with_threads_does_not_fork();
    waiting_names_what_is_readable();
    stray_output_stays_out_of_the_protocol();
    addresses_are_fixed_after_exec();
    println!("ok: 9 tests of processes");
    ExitCode::SUCCESS
}

/// Forks a child that does `work` and would then end with code 0.
fn fork(work: impl FnOnce()) -> process::Child {
    match process::fork().expect("one thread runs") {
        Fork::Parent(child) => child,
        Fork::Child => {
            work();
            process::exit_now(0);
        }
    }
}

fn a_child_reports_how_it_ended() {
    let ended = |work: fn()| fork(work).wait().expect("it is our child");
    assert_eq!(ended(|| {}), Ended::Code(0));
    assert_eq!(ended(|| process::exit_now(7)), Ended::Code(7));
    let Ended::Signal(signal) = ended(|| std::process::abort()) else { panic!("it did not abort") };
    assert_eq!(process::fault_name(signal), Some("SIGABRT"));
}

fn a_child_is_killed() {
    let child = fork(|| {
        loop {
            std::thread::park();
        }
    });
    child.kill();
    assert_eq!(child.wait().expect("it is our child"), Ended::Signal(9));
    assert_eq!(process::fault_name(9), None, "somebody else's doing");
}

fn the_processor_time_of_a_child_is_its_own() {
    let (alive, life) = std::io::pipe().expect("a pipe");
    let idle = fork(|| {
        loop {
            std::thread::park();
        }
    });
    // It tells of itself once it has computed for so long by its own account.
    const MUCH: Duration = Duration::from_millis(50);
    let busy = fork(|| {
        while process::cpu_time_of(std::process::id()).expect("it lives") < MUCH {}
        (&life).write_all(b"!").expect("the pipe is open");
        loop {
            std::thread::park();
        }
    });
    let told = process::wait_readable(&[alive.as_fd()], Some(Duration::from_secs(60)));
    assert_eq!(told.expect("poll"), Some(0), "it never got that far");
    assert!(busy.cpu_time().expect("it lives") >= MUCH);
    assert!(idle.cpu_time().expect("it lives") < MUCH);
    assert!(process::cpu_time_of(u32::MAX).is_err(), "there is no such process");
}

fn a_dropped_child_is_reaped() {
    drop(fork(|| {
        loop {
            std::thread::park();
        }
    }));
    let children = format!("/proc/self/task/{}/children", std::process::id());
    // The kernel may be built without this file.
    if let Ok(children) = std::fs::read_to_string(children) {
        assert_eq!(children, "");
    }
}

fn a_child_dies_with_its_parent() {
    let (mut alive, life) = std::io::pipe().expect("a pipe");
    let parent = fork(|| {
        let _grandchild = fork(|| {
            (&life).write_all(b"!").expect("the pipe is open");
            loop {
                std::thread::park();
            }
        });
        loop {
            std::thread::park();
        }
    });
    drop(life);
    alive.read_exact(&mut [0]).expect("the grandchild lives");
    parent.kill();
    assert_eq!(parent.wait().expect("it is our child"), Ended::Signal(9));
    // The end of the pipe comes when nobody holds its other side any more.
    let ended = process::wait_readable(&[alive.as_fd()], Some(Duration::from_secs(60)));
    assert_eq!(ended.expect("poll"), Some(0), "the grandchild outlives its parent");
    assert_eq!(alive.read(&mut [0]).expect("the pipe is open"), 0);
}

fn a_process_with_threads_does_not_fork() {
    let (end, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || ended.recv());
        assert!(matches!(process::fork(), Err(ForkError::Threads(2))));
        drop(end);
    });
    // A thread that was joined may stay in the list for a moment.
    while process::thread_count().expect("/proc is mounted") > 1 {
        std::thread::yield_now();
    }
    assert_eq!(fork(|| {}).wait().expect("it is our child"), Ended::Code(0));
}

fn waiting_names_what_is_readable() {
    let (silent, _keeps_it_open) = std::io::pipe().expect("a pipe");
    let (spoken, mut speaker) = std::io::pipe().expect("a pipe");
    let (closed, closer) = std::io::pipe().expect("a pipe");
    let now = Some(Duration::ZERO);
    let wait = |timeout, streams: &[_]| process::wait_readable(streams, timeout).expect("poll");

    assert_eq!(wait(now, &[silent.as_fd(), spoken.as_fd(), closed.as_fd()]), None);
    assert_eq!(wait(Some(Duration::from_millis(1)), &[silent.as_fd()]), None);
    speaker.write_all(b"!").expect("the pipe is open");
    assert_eq!(wait(None, &[silent.as_fd(), spoken.as_fd()]), Some(1));
    drop(closer);
    assert_eq!(wait(None, &[silent.as_fd(), closed.as_fd(), spoken.as_fd()]), Some(1));
}

fn stray_output_stays_out_of_the_protocol() {
    let output =
        this_program("streams").stdin(Stdio::null()).stderr(Stdio::piped()).output().expect("the program runs itself");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"protocol");
    assert_eq!(output.stderr, b"stray\n");
}

/// The other side of [`stray_output_stays_out_of_the_protocol`].
fn streams() -> ExitCode {
    let (_input, output) = process::take_standard_streams().expect("descriptors");
    println!("stray");
    let mut read = Vec::new();
    std::io::stdin().read_to_end(&mut read).expect("it is empty");
    File::from(output).write_all(b"protocol").expect("the pipe is open");
    if read.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn addresses_are_fixed_after_exec() {
    let set = process::set_addresses_random_at_exec;
    if set(false).and_then(|()| set(true)).is_err() {
        println!("skipped: fixed addresses, for this system keeps them random");
        return;
    }
    let print = || {
        let output = this_program("addresses").output().expect("the program runs itself");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    assert_eq!(print(), print());
}

/// The other side of [`addresses_are_fixed_after_exec`].
fn addresses() -> ExitCode {
    match process::addresses_are_random() {
        Ok(true) if process::set_addresses_random_at_exec(false).is_ok() => {
            let error = this_program("addresses").exec();
            panic!("exec: {error}");
        }
        Ok(false) => {
            let on_stack = 0;
            println!("{:p} {:p} {:p}", &raw const on_stack, Box::new(0), main as *const ());
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

fn this_program(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the program knows itself"));
    command.arg(part);
    command
}
