//! The same plan gives the same bytes.

use std::process::Command;

use tracing::Level;

use super::*;
use crate::plan::{CutKind, Direction};
use crate::world::Log;

/// A plan in which much happens.
fn eventful(seed: u64) -> Plan<Op> {
    let steps = |client: u64| -> Vec<(u64, Op)> {
        (1..=12).map(|n| (n * 17, if n % 5 == 0 { Op::Draw } else { Op::Append(client * 100 + n) })).collect()
    };
    let (first, second) = (steps(1), steps(2));
    let (from, to) = ("c1".to_owned(), "server".to_owned());
    let faults = vec![
        at_point("append.after", 3, kill(40)),
        at_ms(150, power_cut(30)),
        at_ordinal(PointKind::Disk, 60, kill(10)),
        at_ms(20, Fault::Reorder { from: from.clone(), to: to.clone(), spread_ms: 30, for_ms: 400 }),
        at_ms(90, Fault::Cut { from, to, kind: CutKind::Stall, direction: Direction::Both, heal_after_ms: 50 }),
    ];
    Plan { seed, ..with_faults(plan(&[&first, &second]), faults) }
}

#[test]
fn a_plan_gives_the_same_record_twice() {
    let (first, second) = (ran(&eventful(3)), ran(&eventful(3)));
    assert_eq!(first.trace, second.trace);
    assert_eq!(first.history, second.history);
    assert_eq!(first.points, second.points);
    assert_eq!((&first.digest, &first.byte_digest), (&second.digest, &second.byte_digest));
    assert_eq!(fired(&second, "kill") + fired(&second, "power_cut"), 3);
    assert_ne!(second.byte_digest, ran(&eventful(4)).byte_digest);
}

#[test]
fn what_is_kept_for_readers_changes_nothing() {
    let full = ran(&eventful(3));
    let brief = ran_with(&eventful(3), Options::default());
    let logged = ran_with(&eventful(3), Options { log: Log::Trace(Level::INFO), ..Options::default() });
    assert_eq!((&full.digest, &full.byte_digest), (&brief.digest, &brief.byte_digest));
    assert_eq!((&full.digest, &full.byte_digest), (&logged.digest, &logged.byte_digest));
    let chained = ran_with(&eventful(3), Options { chain: true, ..Options::default() });
    assert_eq!((&full.digest, &full.byte_digest), (&chained.digest, &chained.byte_digest));
    assert_eq!(chained.trace, brief.trace);
    assert!(brief.chain.is_empty() && chained.chain.len() > full.trace.len());
    let network = |record: &Record| record.trace.iter().any(|event| event.what == What::Network);
    assert!(network(&full) && !network(&brief));
    let lines: Vec<_> = logged.trace.iter().filter(|event| event.what == What::Log).collect();
    assert!(lines.len() == 4 && lines.iter().all(|line| line.host == "server"), "{lines:?}");
    assert!(!brief.trace.iter().any(|event| event.what == What::Log));
}

#[test]
fn software_that_asks_the_machine_for_time_and_randomness_gets_the_worlds() {
    let drawn = |seed| {
        let record = ran(&Plan { seed, ..plan(&[&[(50, Op::Draw)]]) });
        let answer = record.history.events().iter().find_map(|event| match &event.kind {
            EventKind::Ok(Ret::Drawn(text)) => Some(text.clone()),
            _ => None,
        });
        answer.expect("it was answered")
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    let text = drawn(1);
    let times: Vec<u64> = text.rsplit(' ').take(2).map(|ms| ms.parse().expect("a number")).collect();
    assert!((50..70).contains(&(times[0] - crate::world::EPOCH_MS)) && times[0].abs_diff(times[1]) <= 1, "{text}");
}

/// Not a test: what the next one runs in processes of its own.
#[test]
#[ignore = "prints digests for another test"]
fn print_digests() {
    for seed in 0..4 {
        println!("digest {}", ran(&eventful(seed)).byte_digest);
    }
}

#[test]
fn a_plan_gives_the_same_bytes_in_every_process() {
    let digests = || {
        let program = std::env::current_exe().expect("a test knows its program");
        let module = module_path!().split_once("::").expect("a path").1;
        let output = Command::new(program)
            .args(["--ignored", "--exact", "--nocapture", &format!("{module}::print_digests")])
            .output()
            .expect("a test can run itself");
        let text = String::from_utf8(output.stdout).expect("digests are text");
        text.lines().filter(|line| line.contains("digest ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let first = digests();
    assert_eq!(first.len(), 4);
    assert_eq!(first, digests());
}
