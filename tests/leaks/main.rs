//! The guard against what is not deterministic, tested with a system that leaks on request.
//!
//! A program of its own, since its workers are this very program, which a test harness would not let them be.

mod leaky;

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use leaky::{FILE, LEAVES_A_THREAD, Leaky};
use serde_json::{Value, json};

/// With this variable in its environment the program is not the test but what is tested.
const AS_PROGRAM: &str = "SQUALL_TEST_AS_PROGRAM";

fn main() -> ExitCode {
    if std::env::var_os(AS_PROGRAM).is_some() {
        return squall::cli::main::<Leaky>();
    }
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS; // asked by test runners
    }
    what_does_not_leak_is_the_same();
    each_leak_is_found_and_named();
    run_verifies_and_names_every_seed();
    every_isolation_gives_the_same_bytes_and_says_what_it_is();
    software_that_stops_simulated_time_is_killed_and_reported();
    a_run_that_is_killed_by_others_is_no_verdict();
    software_that_ends_its_process_or_stands_still_breaks_a_promise_and_becomes_small();
    a_failure_that_does_not_come_back_is_not_one_of_the_system();
    what_shrinking_comes_across_is_kept_with_what_its_run_decided();
    what_failed_is_told_in_every_format_where_it_cannot_be_kept();
    a_failure_that_chance_decided_became_inevitable_when_it_did();
    println!("ok: 11 tests of the guard");
    ExitCode::SUCCESS
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn squall(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let program = std::env::current_exe().expect("the program knows itself");
    let mut command = Command::new(program);
    command.args(arguments).env(AS_PROGRAM, "").envs(environment.iter().copied());
    let Output { status, stdout, stderr } = command.output().expect("it can be started");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    Ran { code: status.code().expect("it was not killed"), stdout: text(stdout), stderr: text(stderr) }
}

fn digests(ran: &Ran) -> Vec<&str> {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines = ran.stdout.lines().filter(|line| line.contains("digest ")).collect::<Vec<_>>();
    assert_eq!(lines.len(), 2, "it prints both digests:\n{}", ran.stdout);
    lines
}

fn what_does_not_leak_is_the_same() {
    let Ran { code, stdout, stderr } = squall(&["replay", "none", "--twice"], &[]);
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    assert!(stdout.contains("random addresses, is the same"), "{stdout}");
}

fn each_leak_is_found_and_named() {
    for (leak, source) in [
        ("map-order", map_order_source()),
        ("wall-clock", "a real clock, read around libc: the monotonic clock"),
        ("entropy", "real entropy or a file"),
        ("thread", "a thread beside the simulation: 1 more"),
        // The system may list it a little longer than it runs.
        ("ended-thread", "a thread beside the simulation: "),
    ] {
        let Ran { code, stderr, .. } = squall(&["replay", leak, "--seed", "7", "--twice"], &[]);
        assert_eq!(code, 3, "{leak}: {stderr}");
        // Twice it works as it should, every 10 ms; the third time shows.
        for part in [
            &format!("{leak} with seed 7 is not deterministic: byte digest"),
            "is the first that differs, on worker at 3",
            "\n  one run  ",
            "\n  another  ",
            " Effect work ",
            &format!("\nlikely source: {source}"),
        ] {
            assert!(stderr.contains(part), "{leak}: {part:?} is missing:\n{stderr}");
        }
        let sides: Vec<_> = stderr.lines().filter_map(|line| line.split_once(" Effect work ")).collect();
        assert!(matches!(sides[..], [(_, one), (_, other)] if one != other), "{leak}: two sides:\n{stderr}");
    }
}

/// What an order of addresses is called, where a process may fix its addresses and where it may not.
fn map_order_source() -> &'static str {
    let set = interpose::process::set_addresses_random_at_exec;
    if set(false).and_then(|()| set(true)).is_ok() {
        "addresses: with the same ones"
    } else {
        "addresses, which are random"
    }
}

fn run_verifies_and_names_every_seed() {
    let Ran { code, stdout, stderr } = squall(&["run", "entropy", "--seeds", "3..6", "--verify", "all"], &[]);
    assert_eq!(code, 3, "{stdout}\n{stderr}");
    assert!(stdout.contains("3 of 3 runs verified: 3 differences"), "{stdout}");
    for part in ["on worker at 3", "likely source: real entropy", "with seed 3", "with seed 4", "with seed 5"] {
        assert!(stderr.contains(part), "{part:?} is missing:\n{stderr}");
    }

    let Ran { code, stdout, stderr } = squall(&["run", "none", "--seeds", "0..6", "--verify", "3"], &[]);
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    assert!(stdout.contains("2 of 6 runs verified: 0 differences"), "{stdout}");
}

fn every_isolation_gives_the_same_bytes_and_says_what_it_is() {
    let arguments = ["replay", "none", "--seed", "5"];
    let forked = squall(&arguments, &[]);
    let here = squall(&[&arguments[..], &["--no-fork"]].concat(), &[]);
    let executed = squall(&arguments, &[(LEAVES_A_THREAD, "")]);
    assert_eq!(digests(&forked), digests(&here));
    assert_eq!(digests(&forked), digests(&executed));

    for (more, environment, sentence) in [
        (&[][..], &[][..], "each job runs in a child forked from a worker; addresses are "),
        (&["--no-fork"], &[], "jobs run in this very process, one after the other and without a watchdog, as asked"),
        (
            &[],
            &[(LEAVES_A_THREAD, "")],
            "each job runs in a process of its own, because the warm-up left 2 threads running",
        ),
    ] {
        let Ran { code, stdout, stderr } = squall(&[&["run", "none", "--seeds", "1"], more].concat(), environment);
        assert_eq!(code, 0, "{stdout}\n{stderr}");
        assert!(stdout.contains(sentence), "{sentence:?} is missing:\n{stdout}");
    }
}

fn software_that_stops_simulated_time_is_killed_and_reported() {
    let Ran { code, stdout, stderr } = squall(&["replay", "hang", "--watchdog", "1"], &[]);
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    assert!(stdout.contains("watchdog") && stdout.contains("it was killed"), "{stdout}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// The command that a program prints on a line of its own.
fn replayed(told: &str) -> &str {
    told.lines()
        .rev()
        .find_map(|line| line.strip_prefix("squall replay "))
        .unwrap_or_else(|| panic!("no command:\n{told}"))
}

fn a_run_that_is_killed_by_others_is_no_verdict() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let failures = ["--failures", text(folder.path())];
    let run = ["run", "killed", "--seeds", "0", "--format", "json"];
    let Ran { code, stdout, stderr } = squall(&[&run[..], &failures].concat(), &[]);
    assert_eq!(code, 3, "{stdout}\n{stderr}");
    assert!(stderr.contains("killed with seed 0") && stderr.contains("died of signal 9"), "{stderr}");
    let document: Value = serde_json::from_str(&stdout).expect("a document");
    assert_eq!((&document["exit_code"], &document["failures"]), (&json!(3), &json!([])));

    let Ran { code, stdout, stderr } = squall(&[&["hunt", "killed", "--for", "1m"][..], &failures].concat(), &[]);
    assert_eq!(code, 3, "{stdout}\n{stderr}");
    assert!(stdout.contains("the harness failed") && stderr.contains("died of signal 9"), "{stdout}\n{stderr}");
    assert_eq!(squall(&["replay", replayed(&stderr)], &[]).code, 3);
}

fn software_that_ends_its_process_or_stands_still_breaks_a_promise_and_becomes_small() {
    for (leak, property, how) in [("abort", "no-abort", "SIGABRT"), ("hang", "watchdog", "it was killed")] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let failures = ["--watchdog", "1", "--failures", text(folder.path())];
        let run = ["run", leak, "--seeds", "0", "--shrink-seconds", "600"];
        let Ran { code, stdout, stderr } = squall(&[&run[..], &failures].concat(), &[]);
        assert_eq!(code, 1, "{stdout}\n{stderr}");
        assert!(stdout.contains(&format!("{property} violated")) && stdout.contains(how), "{stdout}");
        assert!(stdout.contains("nothing more can be taken away"), "{stdout}");
        let capsule = replayed(&stdout);
        // There is no page; that it fails is told all the same.
        for command in ["replay", "report", "pinpoint"] {
            let Ran { code, stdout, stderr } = squall(&[command, capsule, "--watchdog", "1"], &[]);
            assert_eq!((code, stdout.contains(how)), (1, true), "{command}: {stdout}\n{stderr}");
        }
        let again = replayed_with(&["hunt", leak, "--for", "1m", "--shrink-seconds", "0"], &failures);
        assert_eq!(again, capsule, "it is the same failure");
    }
}

/// Runs a command that finds a violation, and returns the capsule that its last line names.
fn replayed_with(arguments: &[&str], more: &[&str]) -> String {
    let Ran { code, stdout, stderr } = squall(&[arguments, more].concat(), &[]);
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    replayed(&stdout).to_owned()
}

fn a_failure_that_does_not_come_back_is_not_one_of_the_system() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (failures, file) = (folder.path().join("failures"), folder.path().join("file"));
    let run = ["run", "file", "--seeds", "0", "--verify", "none", "--no-shrink", "--failures", text(&failures)];
    let Ran { code, stdout, stderr } = squall(&run, &[(FILE, text(&file))]);
    assert_eq!(code, 3, "{stdout}\n{stderr}");
    assert!(stderr.contains("file with seed 0 is not deterministic") && stderr.contains("did not show"), "{stderr}");
    assert!(stdout.contains("nobody was here before"), "what was seen once is told: {stdout}");
    assert!(Path::new(replayed(&stdout)).exists(), "and kept");
}

fn what_shrinking_comes_across_is_kept_with_what_its_run_decided() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let run = ["run", "count", "--seeds", "0", "--failures", text(folder.path())];
    let Ran { code, stdout, stderr } = squall(&run, &[]);
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    let other =
        stdout.lines().find_map(|line| line.split_once("a smaller plan violated count ")).expect("there is one").1;
    let (_, capsule) = other.split_once(" instead: ").expect("it says where");
    let stored: Value = serde_json::from_slice(&std::fs::read(capsule).expect("it is there")).expect("it is JSON");
    assert_eq!(stored["plan"]["clients"][0]["steps"].as_array().map(Vec::len), Some(1));
    assert!(stored["digest"].as_str().is_some_and(|digest| !digest.is_empty()), "{stored}");
    assert!(stored["decisions"].as_array().is_some_and(|decisions| !decisions.is_empty()), "{stored}");
    let Ran { code, stdout, stderr } = squall(&["replay", capsule], &[]);
    assert_eq!((code, stdout.contains("shows again")), (1, true), "{stdout}\n{stderr}");

    // Where it cannot be kept, the failure that was made small is told all the same.
    std::fs::remove_file(capsule).expect("it can be removed");
    std::fs::create_dir_all(Path::new(capsule).join("in the way")).expect("a folder can be made");
    let Ran { code, stdout, stderr } = squall(&run, &[]);
    assert_eq!(code, 3, "{stdout}\n{stderr}");
    assert!(stderr.contains("failed to put in its place"), "{stderr}");
    assert!(stdout.contains("count violated") && Path::new(replayed(&stdout)).is_file(), "{stdout}");
}

fn what_failed_is_told_in_every_format_where_it_cannot_be_kept() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("it can be written");
    let told = |format| {
        let run = ["run", "count", "--seeds", "0..3", "--format", format, "--failures", text(&file)];
        let Ran { code, stdout, stderr } = squall(&run, &[]);
        assert_eq!(code, 3, "{format}: {stdout}\n{stderr}");
        assert!(stderr.contains("count violated") && stderr.contains("failed to create the folder"), "{stderr}");
        stdout
    };
    let document: Value = serde_json::from_str(&told("json")).expect("a document");
    assert_eq!((&document["exit_code"], &document["scenarios"][0]["name"]), (&json!(3), &json!("count")));
    assert!(
        document["broken"][0].as_str().is_some_and(|why| why.contains("failed to create the folder")),
        "{document}"
    );
    assert!(told("junit").contains("<testsuites"));
    assert!(told("markdown").contains("### The harness itself failed"));
    assert!(told("github").contains("::error title=the harness failed::count violated"));

    let Ran { code, stdout, stderr } = squall(&["hunt", "count", "--for", "1m", "--failures", text(&file)], &[]);
    assert_eq!(code, 3, "{stdout}\n{stderr}");
    assert!(
        stdout.contains("the harness failed") && stderr.contains("failed to create the folder"),
        "{stdout}\n{stderr}"
    );
}

fn a_failure_that_chance_decided_became_inevitable_when_it_did() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let run = ["run", "chance", "--seeds", "0", "--no-shrink", "--no-report", "--failures", text(folder.path())];
    let Ran { code, stdout, stderr } = squall(&run, &[]);
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    let Ran { code, stdout, stderr } = squall(&["pinpoint", replayed(&stdout), "--runs", "32"], &[]);
    assert_eq!(code, 1, "{stdout}\n{stderr}");
    // Before it had struck, the fault does so in about half of the futures.
    let shares: Vec<(u64, u64)> = stdout.lines().filter_map(share).collect();
    let (before, after): (Vec<_>, Vec<_>) = shares.iter().partition(|(at_ms, _)| *at_ms < 50);
    assert!(!before.is_empty() && before.iter().all(|(_, share)| (10..90).contains(share)), "{stdout}");
    assert!(!after.is_empty() && after.iter().all(|(_, share)| *share == 100), "{stdout}");
    assert!(stdout.contains("\nlook at 50 ms: worker applied: kill"), "{stdout}");
}

/// The moment and the share of a line of a curve.
fn share(line: &str) -> Option<(u64, u64)> {
    let (at_ms, rest) = line.split_once(" ms ")?;
    Some((at_ms.trim().parse().ok()?, rest.split_once(" %")?.0.trim().parse().ok()?))
}
