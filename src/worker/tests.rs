//! The worker processes, tested as a program of their own: its workers are this
//! very program, which a test harness would not let them be.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::ops::ControlFlow;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use interpose::process;
use squall::worker::{Aslr, Choice, Config, Isolation, Outcome, Pool, Program, serve_if_asked};

const PROGRAM: Program = Program { warm_up, run };

/// Names what the warm-up does besides counting.
const WARM_UP: &str = "SQUALL_TEST_WARM_UP";

/// How long a job may compute.
const WATCHDOG: Duration = Duration::from_secs(1);

static WARM_UPS: AtomicUsize = AtomicUsize::new(0);
static JOBS: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    serve_if_asked(PROGRAM);
    match std::env::args().nth(1).as_deref() {
        Some("--list") => return ExitCode::SUCCESS, // asked by test runners
        Some("a thread is left") => {
            a_thread_left_by_the_warm_up_forbids_forking();
            return ExitCode::SUCCESS;
        }
        Some("the warm-up fails") => {
            a_worker_that_does_not_get_ready_is_an_error();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    every_job_is_run_once();
    for isolation in [Isolation::Fork, Isolation::Process] {
        each_end_of_a_job_has_its_outcome(isolation);
        a_job_finds_nothing_of_another(isolation);
        stopping_early_does_not_wait_for_the_others(isolation);
        the_watchdog_counts_what_a_job_computes(isolation);
    }
    a_lost_worker_is_replaced();
    without_isolation_jobs_run_here();
    a_draw_depends_on_its_seed_alone();
    addresses_are_as_the_choice_says();
    on_its_own("a thread is left", "thread");
    on_its_own("the warm-up fails", "panic");
    println!("ok: 14 tests of worker processes");
    ExitCode::SUCCESS
}

/// Runs a test whose workers warm up differently.
fn on_its_own(test: &str, warm_up: &str) {
    let program = std::env::current_exe().expect("the program knows itself");
    let status = Command::new(program).arg(test).env(WARM_UP, warm_up).status().expect("it runs");
    assert!(status.success(), "{test}: {status}");
}

fn warm_up() {
    WARM_UPS.fetch_add(1, Relaxed);
    match std::env::var(WARM_UP).as_deref() {
        Ok("thread") => {
            std::thread::Builder::new()
                .spawn(|| {
                    loop {
                        std::thread::park();
                    }
                })
                .expect("room for a thread");
        }
        Ok("panic") => panic!("on purpose"),
        _ => {}
    }
}

/// The jobs are commands in plain text.
fn run(job: &[u8]) -> Vec<u8> {
    let job = std::str::from_utf8(job).expect("a command");
    let (command, argument) = job.split_once(' ').unwrap_or((job, ""));
    match command {
        "echo" => argument.into(),
        "print" => {
            println!("stray output");
            b"printed".to_vec()
        }
        "panic" => panic!("on purpose: {argument}"),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(argument.parse().expect("a code")),
        "hang" => loop {
            std::thread::park();
        },
        "spin" => loop {
            std::hint::spin_loop();
        },
        "slow" => slow(),
        "bytes" => (0..argument.parse().expect("a length")).map(|n: usize| (n % 251) as u8).collect(),
        "counts" => format!("{} {}", WARM_UPS.load(Relaxed), JOBS.fetch_add(1, Relaxed)).into(),
        "draw" => draw(argument.parse().expect("a seed")).into(),
        "address" => format!("{:p} {:p}", main as *const (), Box::new(0)).into(),
        "kill-worker" => {
            let worker = std::os::unix::process::parent_id().to_string();
            Command::new("kill").args(["-9", &worker]).status().expect("kill runs");
            loop {
                std::thread::park();
            }
        }
        _ => panic!("no such command: {job}"),
    }
}

/// Computes for less than the watchdog allows, but lasts for longer: it pauses, as far as a machine that has much else to do
/// does not see to that.
fn slow() -> Vec<u8> {
    let computed = || process::cpu_time_of(std::process::id()).expect("this process lives");
    let (begun, before) = (interpose::real_monotonic(), computed());
    loop {
        let wall = interpose::real_monotonic() - begun;
        if wall > WATCHDOG * 3 / 2 {
            return b"done".to_vec();
        }
        if computed() - before > wall / 2 {
            std::thread::sleep(WATCHDOG / 1_000);
        }
    }
}

/// Something drawn before the simulation begins, and something within.
fn draw(seed: u64) -> String {
    let before = RandomState::new().hash_one(0);
    let within = std::thread::scope(|scope| {
        let draw = || interpose::simulate(seed, &interpose::Reading::default, || RandomState::new().hash_one(0));
        scope.spawn(draw).join().expect("it draws")
    });
    format!("{before} {within}")
}

/// A pool of two with a short watchdog.
fn pool(isolation: Isolation, aslr: Aslr) -> Pool {
    let workers = NonZero::new(2).expect("not zero");
    Pool::start(PROGRAM, Config { workers, isolation, aslr, watchdog: WATCHDOG }).expect("it starts")
}

/// What becomes of each job, in the order of the jobs.
fn outcomes(pool: &mut Pool, jobs: &[&str]) -> Vec<Outcome> {
    let mut outcomes = vec![None; jobs.len()];
    let jobs = jobs.iter().map(|job| job.as_bytes().to_vec());
    pool.run(jobs, |index, outcome| {
        assert_eq!(outcomes[index].replace(outcome), None, "job {index} ended twice");
        ControlFlow::Continue(())
    })
    .expect("the pool works");
    outcomes.into_iter().map(|outcome| outcome.expect("each job ends")).collect()
}

fn finished(result: impl Into<Vec<u8>>) -> Outcome {
    Outcome::Finished(result.into())
}

fn text(outcome: &Outcome) -> &str {
    let Outcome::Finished(result) = outcome else { panic!("not finished: {outcome:?}") };
    std::str::from_utf8(result).expect("text")
}

fn every_job_is_run_once() {
    let mut pool = pool(Isolation::Fork, Aslr::Off);
    for _ in 0..2 {
        let jobs: Vec<_> = (0..200).map(|n| format!("echo {n}")).collect();
        let outcomes = outcomes(&mut pool, &jobs.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(outcomes, (0..200).map(|n| finished(n.to_string())).collect::<Vec<_>>());
    }
    assert_eq!(outcomes(&mut pool, &[]), []);
}

fn each_end_of_a_job_has_its_outcome(isolation: Isolation) {
    let mut pool = pool(isolation, Aslr::Off);
    assert_eq!(pool.choice().isolation, isolation);
    let jobs =
        ["panic loudly", "abort", "exit 0", "exit 7", "hang", "print", "bytes 5000000", "bytes 0", "echo still here"];
    let outcomes = outcomes(&mut pool, &jobs);
    let Outcome::Panicked { message, location: Some(location) } = &outcomes[0] else { panic!("{:?}", outcomes[0]) };
    assert_eq!(message, "on purpose: loudly");
    assert!(location.contains("worker/tests.rs:"), "{location}");
    assert_eq!(
        outcomes[1..],
        [
            Outcome::Died { signal: 6 },
            Outcome::Exited { code: 0 },
            Outcome::Exited { code: 7 },
            Outcome::TimedOut { watchdog: WATCHDOG },
            finished("printed"),
            finished(run(b"bytes 5000000")),
            finished(""),
            finished("still here"),
        ]
    );
}

fn the_watchdog_counts_what_a_job_computes(isolation: Isolation) {
    let mut pool = pool(isolation, Aslr::Off);
    let outcomes = outcomes(&mut pool, &["slow", "spin", "echo still here"]);
    assert_eq!(outcomes, [finished("done"), Outcome::TimedOut { watchdog: WATCHDOG }, finished("still here")]);
}

fn a_job_finds_nothing_of_another(isolation: Isolation) {
    let outcomes = outcomes(&mut pool(isolation, Aslr::Off), &["counts"; 6]);
    assert_eq!(outcomes, vec![finished("1 0"); 6], "one warm-up, no job before");
}

fn stopping_early_does_not_wait_for_the_others(isolation: Isolation) {
    let mut patient = Pool::start(
        PROGRAM,
        // Who waits for the watchdog waits for ever.
        Config { workers: NonZero::new(2).expect("not zero"), isolation, watchdog: Duration::MAX, ..Config::default() },
    )
    .expect("it starts");
    let endless = std::iter::once("hang").chain(std::iter::repeat("echo x")).map(|job| job.as_bytes().to_vec());
    let mut results = 0;
    patient
        .run(endless, |_, outcome| {
            assert_eq!(outcome, finished("x"));
            results += 1;
            if results == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .expect("the pool works");
    assert_eq!(results, 3);
    assert_eq!(outcomes(&mut patient, &["echo again"]), [finished("again")], "it goes on after a stop");
}

fn a_lost_worker_is_replaced() {
    let mut pool = pool(Isolation::Fork, Aslr::Off);
    let outcomes = outcomes(&mut pool, &["kill-worker", "kill-worker", "kill-worker", "echo x", "echo y"]);
    for outcome in &outcomes[..3] {
        assert!(matches!(outcome, Outcome::WorkerLost { reason } if reason.contains("signal: 9")), "{outcome:?}");
    }
    assert_eq!(outcomes[3..], [finished("x"), finished("y")]);
}

fn without_isolation_jobs_run_here() {
    let mut pool = pool(Isolation::None, Aslr::Off);
    let outcomes = outcomes(&mut pool, &["counts", "panic quietly", "counts"]);
    assert_eq!([&outcomes[0], &outcomes[2]], [&finished("1 0"), &finished("1 1")]);
    assert!(matches!(&outcomes[1], Outcome::Panicked { message, location: Some(_) } if message.ends_with("quietly")));
    assert_eq!((WARM_UPS.load(Relaxed), JOBS.load(Relaxed)), (1, 2));

    let mut first = None;
    let jobs = ["echo 1", "echo 2"].map(|job| job.as_bytes().to_vec());
    pool.run(jobs, |index, outcome| {
        assert_eq!(first.replace((index, outcome)), None, "it went on after a stop");
        ControlFlow::Break(())
    })
    .expect("the pool works");
    assert_eq!(first, Some((0, finished("1"))));
}

fn a_draw_depends_on_its_seed_alone() {
    let mut drawn = Vec::new();
    for isolation in [Isolation::Fork, Isolation::Process, Isolation::None] {
        for aslr in [Aslr::Off, Aslr::On] {
            let mut pool = pool(isolation, aslr);
            let outcomes = outcomes(&mut pool, &["draw 7", "draw 8", "draw 7"]);
            assert_eq!(outcomes[0], outcomes[2]);
            let [(before, seven), (before_too, eight)] =
                [&outcomes[0], &outcomes[1]].map(|outcome| text(outcome).split_once(' ').expect("two draws"));
            assert_eq!(before, before_too, "drawn before the simulation began");
            assert_ne!(seven, eight);
            drawn.push((before.to_owned(), seven.to_owned(), eight.to_owned()));
        }
    }
    assert!(drawn.iter().all(|one| *one == drawn[0]), "{drawn:?}");
}

fn addresses_are_as_the_choice_says() {
    for isolation in [Isolation::Fork, Isolation::Process] {
        let mut random = pool(isolation, Aslr::On);
        assert_eq!(random.choice().aslr, Aslr::On);
        assert!(random.choice().sentence.contains("addresses are random, as "), "{:?}", random.choice());

        let [mut one, mut two] = [pool(isolation, Aslr::Off), pool(isolation, Aslr::Off)];
        let Choice { aslr, sentence, .. } = one.choice();
        if !addresses_can_be_fixed() {
            assert_eq!(*aslr, Aslr::On);
            assert!(sentence.contains("addresses are random, "), "{sentence}");
            println!("skipped: fixed addresses, for {sentence}");
            continue;
        }
        assert_eq!(*aslr, Aslr::Off);
        assert!(sentence.ends_with("addresses are fixed, as asked"), "{sentence}");
        let fixed = outcomes(&mut one, &["address"; 3]);
        assert_eq!(fixed, outcomes(&mut two, &["address"; 3]));
        assert_ne!(fixed[0], outcomes(&mut random, &["address"])[0]);
    }
}

/// Whether this system lets a process fix its addresses.
fn addresses_can_be_fixed() -> bool {
    let set = process::set_addresses_random_at_exec;
    set(false).and_then(|()| set(true)).is_ok()
}

fn a_thread_left_by_the_warm_up_forbids_forking() {
    let mut pool = pool(Isolation::Fork, Aslr::Off);
    assert_eq!(pool.choice().isolation, Isolation::Process);
    let sentence = &pool.choice().sentence;
    assert!(sentence.contains("because the warm-up left 2 threads running"), "{sentence}");
    assert_eq!(outcomes(&mut pool, &["counts"; 4]), vec![finished("1 0"); 4]);
}

fn a_worker_that_does_not_get_ready_is_an_error() {
    let error = Pool::start(PROGRAM, Config::default()).expect_err("the warm-up panics");
    assert_eq!(error.to_string(), "start a worker: it ended before it was ready: exit status: 101");
}
