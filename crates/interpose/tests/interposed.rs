//! The interposed functions one by one: results, errors, and who is simulated.

#![expect(unsafe_code, reason = "libc's interface is what is tested")]

use std::cell::Cell;
use std::io;
use std::ptr;

use interpose::{Counts, Reading, counts, passed_through, simulate};

const CLOCK: Reading = Reading { utc_ns: 1_234_567_890_987_654_321, monotonic_ns: 5_000_000_007 };

fn getrandom() -> [u8; 8] {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is ours.
    let drawn = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert_eq!(drawn, 8);
    bytes
}

fn clock_gettime(clock: libc::clockid_t) -> io::Result<(i64, i64)> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => Ok((time.tv_sec, time.tv_nsec)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn errno(failed: bool) -> Option<i32> {
    failed.then(|| io::Error::last_os_error().raw_os_error().expect("errno is set"))
}

#[test]
fn every_way_to_entropy_gets_the_same_stream() {
    let drawn = simulate(7, &|| CLOCK, getrandom);
    let by_getentropy = simulate(7, &|| CLOCK, || {
        let mut bytes = [0_u8; 8];
        // SAFETY: the buffer is ours.
        assert_eq!(unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), 8) }, 0);
        bytes
    });
    let by_syscall = simulate(7, &|| CLOCK, || {
        let mut bytes = [0_u8; 8];
        // SAFETY: the buffer is ours.
        assert_eq!(unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), 8, 0) }, 8);
        bytes
    });
    assert_eq!([by_getentropy, by_syscall], [drawn; 2]);
    assert_ne!(simulate(8, &|| CLOCK, getrandom), drawn);
}

#[test]
fn every_clock_shows_the_reading_but_those_of_cpu_time() {
    simulate(7, &|| CLOCK, || {
        for clock in [libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_COARSE, libc::CLOCK_TAI] {
            assert_eq!(clock_gettime(clock).unwrap(), (1_234_567_890, 987_654_321));
        }
        for clock in
            [libc::CLOCK_MONOTONIC, libc::CLOCK_MONOTONIC_RAW, libc::CLOCK_MONOTONIC_COARSE, libc::CLOCK_BOOTTIME]
        {
            assert_eq!(clock_gettime(clock).unwrap(), (5, 7));
        }
        let mut day = libc::timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: `day` is ours.
        assert_eq!(unsafe { libc::gettimeofday(&raw mut day, ptr::null_mut()) }, 0);
        assert_eq!((day.tv_sec, day.tv_usec), (1_234_567_890, 987_654));
        let mut seconds = 0;
        // SAFETY: `seconds` is ours.
        assert_eq!(unsafe { libc::time(&raw mut seconds) }, 1_234_567_890);
        assert_eq!(seconds, 1_234_567_890);

        let before = counts();
        for clock in [libc::CLOCK_PROCESS_CPUTIME_ID, libc::CLOCK_THREAD_CPUTIME_ID] {
            assert_ne!(clock_gettime(clock).unwrap(), (5, 7));
        }
        assert_eq!(counts(), before, "a clock of CPU time was simulated");
    });
}

#[test]
fn errors_set_errno_inside_and_outside() {
    let check = || {
        // SAFETY: null is what the functions are documented to refuse, and the
        // other buffers are ours.
        unsafe {
            let mut bytes = [0_u8; 257];
            let buffer = bytes.as_mut_ptr().cast();
            let null = ptr::null_mut();
            assert_eq!(errno(libc::getrandom(null, 8, 0) < 0), Some(libc::EFAULT));
            assert_eq!(errno(libc::getentropy(buffer, 257) < 0), Some(libc::EIO));
            assert_eq!(errno(libc::getentropy(null, 8) < 0), Some(libc::EFAULT));
            assert_eq!(errno(libc::syscall(-1) < 0), Some(libc::ENOSYS));
            assert_eq!(errno(libc::syscall(libc::SYS_close, -1) < 0), Some(libc::EBADF));
            assert_eq!(errno(libc::clock_gettime(libc::CLOCK_REALTIME, ptr::null_mut()) < 0), Some(libc::EFAULT));
        }
        assert_eq!(clock_gettime(99).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    };
    check();
    simulate(7, &|| CLOCK, check);
}

#[test]
fn outside_a_simulation_the_kernel_answers() {
    assert_eq!(counts(), None);
    let before = passed_through();
    assert_ne!(getrandom(), getrandom());
    assert_ne!(clock_gettime(libc::CLOCK_REALTIME).unwrap().0, 1_234_567_890);
    let after = passed_through();
    assert!(after.entropy_draws >= before.entropy_draws + 2);
    assert!(after.clock_reads > before.clock_reads);
}

#[test]
fn another_thread_is_not_simulated() {
    simulate(7, &|| CLOCK, || {
        let before = passed_through();
        let drawn = std::thread::scope(|scope| scope.spawn(getrandom).join().unwrap());
        assert_ne!(drawn, simulate(7, &|| CLOCK, getrandom));
        assert!(passed_through().entropy_draws > before.entropy_draws, "the leak was not counted");
        assert_eq!(counts().unwrap().entropy_draws, 0);
    });
}

#[test]
fn simulations_nest_and_count() {
    simulate(7, &|| CLOCK, || {
        let first = getrandom();
        let nested = simulate(7, &Reading::default, || {
            assert_eq!(clock_gettime(libc::CLOCK_MONOTONIC).unwrap(), (0, 0));
            getrandom()
        });
        assert_eq!(nested, first);
        assert_ne!(getrandom(), first, "the outer stream did not go on");
        assert_eq!(clock_gettime(libc::CLOCK_MONOTONIC).unwrap(), (5, 7));
        assert_eq!(counts(), Some(Counts { entropy_draws: 2, clock_reads: 1 }));
    });
}

#[test]
fn a_panic_leaves_the_simulation() {
    let caught = std::panic::catch_unwind(|| simulate(7, &|| CLOCK, || panic!("on purpose")));
    assert!(caught.is_err());
    assert_eq!(counts(), None);
}

#[test]
fn a_clock_that_reads_clocks_gets_its_previous_reading() {
    let previous = Cell::new((0, 0));
    let seconds = Cell::new(0);
    let clock = || {
        previous.set(clock_gettime(libc::CLOCK_MONOTONIC).unwrap());
        seconds.set(seconds.get() + 1);
        Reading { utc_ns: 0, monotonic_ns: seconds.get() * 1_000_000_000 }
    };
    simulate(7, &clock, || {
        assert_eq!(clock_gettime(libc::CLOCK_MONOTONIC).unwrap(), (1, 0));
        assert_eq!(previous.get(), (0, 0));
        assert_eq!(clock_gettime(libc::CLOCK_MONOTONIC).unwrap(), (2, 0));
        assert_eq!(previous.get(), (1, 0));
    });
}

#[test]
fn the_real_clock_is_real_in_a_simulation() {
    let before = interpose::real_monotonic();
    simulate(7, &|| CLOCK, || {
        let within = interpose::real_monotonic();
        assert!(within >= before && within.as_nanos() != CLOCK.monotonic_ns.into());
        assert_eq!(counts(), Some(Counts::default()));
    });
}

#[test]
fn the_cpu_time_of_other_threads_has_that_of_those_that_have_ended() {
    const WORK_NS: i64 = 2_000_000;
    let before = interpose::cpu_time_of_other_threads();
    let work = || {
        let used = || clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID).expect("every thread has one");
        // A new thread's time begins at zero.
        while used() < (0, WORK_NS) {}
    };
    std::thread::scope(|scope| scope.spawn(work).join()).expect("it ends");
    let used = interpose::cpu_time_of_other_threads() - before;
    // A few microseconds may be missing.
    assert!(used.as_nanos() > WORK_NS as u128 / 2, "{used:?}");
}
