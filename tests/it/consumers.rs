//! Whoever writes events does not wait for whoever reads them: a consumer that is slow, gone or cut off costs an append
//! nothing, and loses nothing.

use std::collections::BTreeMap;
use std::path::Path;

use crate::program::{Ran, run};

/// Who writes, and from when on; each to a resource of its own.
const WRITERS: [(&str, u64); 3] = [("one", 300), ("two", 303), ("three", 307)];
/// How many events each of them writes, and how often.
const EVENTS: u64 = 30;
const EVERY_MS: u64 = 40;
/// When the consumer's trouble begins, and for how long it lasts: longer than anybody writes.
const FROM_MS: u64 = 500;
const FOR_MS: u64 = 4_000;

/// How far the response times of one append may be apart in two runs that differ in the consumer alone, in simulated
/// milliseconds.
///
/// An append is two round trips, to connect and to ask, and its four messages have the same latencies in all of these runs:
/// the nth message of a link takes the nth draw of its stream, whatever is sent elsewhere. It is handed over twice more, to
/// whoever commits and back. In which order the hosts of a step of simulated time come is chance, and another host is another
/// chance: each of these six is noticed in its step, or in the next one.
const APART_MS: u64 = (4 + 2) * STEP_MS;
const STEP_MS: u64 = 1;

/// Appends, with so many projectors and this step more.
fn scenario(projectors: u64, step: &str) -> String {
    let mut steps = step.to_owned();
    for (writer, from_ms) in WRITERS {
        for nth in 0..EVENTS {
            let (at_ms, event) = match nth {
                0 => (from_ms, r#"{ created = "name" }"#.to_owned()),
                _ => (
                    from_ms + nth * EVERY_MS,
                    format!(r#"{{ annotated = {{ id = "a{nth}", body = [{{ link = "of-two" }}] }} }}"#),
                ),
            };
            steps += &format!(
                "  {{ at_ms = {at_ms}, client = {writer:?}, \
                 do = {{ append = {{ resource = \"of-{writer}\", events = [{event}] }} }} }},\n"
            );
        }
    }
    format!("steps = [\n{steps}]\nseeds = [1]\n\n[system]\ntransactions = false\nprojectors = {projectors}\n")
}

/// What came of a scenario: how long each append took, in simulated milliseconds, by its number in the history; and
/// what was printed. Every check has to hold.
fn appended(folder: &Path, seed: &str, scenario: &str) -> (BTreeMap<u64, u64>, String) {
    let file = folder.join("story.toml");
    std::fs::write(&file, scenario).expect("it can be written");
    let Ran { code, stdout, stderr } =
        run(&["replay", file.to_str().expect("the path is text"), "--seed", seed, "--history"]);
    assert_eq!(code, 0, "{scenario}\n{stdout}\n{stderr}");
    let (mut invoked, mut took) = (BTreeMap::new(), BTreeMap::new());
    for line in stdout.lines() {
        let [at_ms, "ms", "client", _, "op", op, kind, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        let [at_ms, op] = [at_ms, op].map(|number| number.parse::<u64>().expect("a number"));
        match kind {
            "invoke" => drop(invoked.insert(op, at_ms)),
            "ok" => drop(took.insert(op, at_ms - invoked[&op])),
            other => panic!("an append ended with {other}: {line}"),
        }
    }
    assert_eq!(took.len() as u64, WRITERS.len() as u64 * EVENTS);
    (took, stdout)
}

/// How far apart the response times of one append are at most.
fn apart(some: &BTreeMap<u64, u64>, others: &BTreeMap<u64, u64>) -> u64 {
    some.iter().map(|(op, took)| took.abs_diff(others[op])).max().expect("there are appends")
}

/// How much a check examined in a run, by what was printed.
fn examined(printed: &str, check: &str) -> u64 {
    let checks = printed.lines().find_map(|line| line.strip_prefix("checks ")).expect("it says what it checked");
    let count = checks.split(", ").find_map(|count| count.trim().strip_prefix(check)?.trim().parse().ok());
    count.unwrap_or_else(|| panic!("{check} has not examined anything: {checks}"))
}

#[test]
fn no_append_waits_for_a_consumer_and_what_the_consumer_missed_it_gets() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let at = format!("at_ms = {FROM_MS}");
    let cut = |from: &str, to: &str, kind: &str| {
        format!(r#"cut = {{ from = "{from}", to = "{to}", kind = "{kind}", heal_after_ms = {FOR_MS} }}"#)
    };
    let troubles = [
        (&at, format!(r#"kill = {{ host = "projector", restart_after_ms = {FOR_MS} }}"#)),
        (&at, cut("projector", "coordinator", "blackhole")),
        (&at, cut("projector", "coordinator", "stall")),
        (&at, cut("projector", "graph", "stall")),
        (&at, format!(r#"delay = {{ from = "projector", to = "coordinator", extra_ms = 400, for_ms = {FOR_MS} }}"#)),
        (
            &r#"at = { point = "lanes.apply.before", nth = 2, host = "projector" }"#.to_owned(),
            format!(r#"pause = {{ host = "projector", for_ms = {FOR_MS} }}"#),
        ),
    ];
    for seed in ["1", "2"] {
        let (alone, _) = appended(folder.path(), seed, &scenario(0, ""));
        let (healthy, printed) = appended(folder.path(), seed, &scenario(1, ""));
        assert!(apart(&alone, &healthy) <= APART_MS, "with a consumer: {alone:?}\n{healthy:?}");
        let events = examined(&printed, "no_event_lost");
        for (at, fault) in &troubles {
            let step = format!("  {{ {at}, fault = {{ {fault} }} }},\n");
            let (troubled, printed) = appended(folder.path(), seed, &scenario(1, &step));
            assert!(apart(&alone, &troubled) <= APART_MS, "{step}{alone:?}\n{troubled:?}");
            assert!(!printed.contains("faults      none"), "nothing was the matter: {step}");
            assert_eq!(examined(&printed, "no_event_lost"), events, "{step}");
            assert!(examined(&printed, "convergence") > 0, "{step}");
        }
        // What an append does wait for shows: the disk of the log, slower by more than chance can account for.
        let extra_ms = APART_MS + 1;
        let slow = format!(
            r#"  {{ {at}, fault = {{ slow_disk = {{ host = "coordinator", extra_ms = {extra_ms}, for_ms = {FOR_MS} }} }} }},"#
        );
        let (slow, _) = appended(folder.path(), seed, &scenario(0, &slow));
        assert!(apart(&alone, &slow) > APART_MS, "{alone:?}\n{slow:?}");
    }
}
