//! Messages that are late, lost, held, overtaken and doubled.

use super::*;
use crate::plan::{CutKind, Direction};

fn cut(from: &str, to: &str, kind: CutKind, direction: Direction, heal_after_ms: u64) -> Fault {
    Fault::Cut { from: from.to_owned(), to: to.to_owned(), kind, direction, heal_after_ms }
}

fn delay(extra_ms: u64, for_ms: u64) -> Fault {
    Fault::Delay { from: "c0".to_owned(), to: "server".to_owned(), extra_ms, for_ms }
}

/// One append at 50 ms, by a client that waits.
fn one() -> Plan<Op> {
    patient(plan(&[&[(50, Op::Append(1))]]))
}

#[test]
fn a_stall_holds_messages_until_it_heals() {
    let stall = cut("server", "c0", CutKind::Stall, Direction::Both, 400);
    let record = ran(&with_faults(one(), vec![at_ms(40, stall)]));
    assert_eq!((fired(&record, "stall"), outcomes(&record)), (1, vec!["ok"]));
    let duration = durations_ms(&record)[0];
    assert!((390..450).contains(&duration), "{duration}");
}

#[test]
fn a_stall_concerns_what_is_under_way_when_it_comes() {
    let stall = cut("server", "c0", CutKind::Stall, Direction::Both, 400);
    let record = ran(&with_faults(one(), vec![at_point("append.after", 1, stall)]));
    assert_eq!((fired(&record, "stall"), outcomes(&record)), (1, vec!["ok"]));
    assert!(durations_ms(&record)[0] > 400);
}

#[test]
fn a_blackhole_loses_messages_for_good_and_a_new_connection_works_after_it() {
    let hole = cut("c0", "server", CutKind::Blackhole, Direction::Both, 200);
    let two = patient(plan(&[&[(50, Op::Append(1)), (60, Op::Append(2))]]));
    let record = ran(&with_faults(two, vec![at_ms(40, hole)]));
    assert_eq!((fired(&record, "blackhole"), outcomes(&record), kept(&record)), (1, vec!["info", "ok"], vec![2]));
    assert!(!when(&record, What::Network, "lost").is_empty());
}

#[test]
fn a_one_way_cut_lets_the_other_way_through() {
    let answer_lost = cut("server", "c0", CutKind::Blackhole, Direction::OneWay, 4_000);
    let record = ran(&with_faults(one(), vec![at_point("append.before", 1, answer_lost)]));
    assert_eq!((fired(&record, "one_way_cut"), outcomes(&record)), (1, vec!["info"]));
    assert_eq!(kept(&record), [1]);

    let request_lost = cut("c0", "server", CutKind::Blackhole, Direction::OneWay, 4_000);
    let record = ran(&with_faults(one(), vec![at_ms(40, request_lost)]));
    assert_eq!((fired(&record, "one_way_cut"), outcomes(&record)), (1, vec!["info"]));
    assert_eq!(kept(&record), [0; 0]);

    // The way to the client does not carry the request: nothing is affected that the client still needs.
    let other_way = cut("server", "bystander", CutKind::Blackhole, Direction::OneWay, 4_000);
    let record = ran(&with_faults(one(), vec![at_ms(40, other_way)]));
    assert_eq!((fired(&record, "one_way_cut"), outcomes(&record)), (0, vec!["ok"]));
}

#[test]
fn a_one_way_cut_stops_the_answer_to_a_syn() {
    let record =
        ran(&with_faults(one(), vec![at_ms(40, cut("server", "c0", CutKind::Blackhole, Direction::OneWay, 4_000))]));
    assert_eq!((outcomes(&record), kept(&record)), (vec!["info"], vec![]));
}

#[test]
fn a_delay_adds_to_every_message_of_its_time_and_delays_add_up() {
    let plain = durations_ms(&ran(&one()))[0];
    // SYN, its answer, request, response.
    let once = ran(&with_faults(one(), vec![at_ms(0, delay(100, 2_000))]));
    assert_eq!((fired(&once, "delay"), durations_ms(&once)[0]), (1, plain + 400));
    let twice = ran(&with_faults(one(), vec![at_ms(0, delay(100, 2_000)), at_ms(0, delay(10, 2_000))]));
    assert_eq!((fired(&twice, "delay"), durations_ms(&twice)[0]), (2, plain + 440));
    let over = ran(&with_faults(one(), vec![at_ms(0, delay(100, 49))]));
    assert_eq!((fired(&over, "delay"), durations_ms(&over)[0]), (0, plain));
}

#[test]
fn the_heal_of_one_fault_leaves_another_on_the_same_link() {
    let stall = |for_ms| cut("server", "c0", CutKind::Stall, Direction::Both, for_ms);
    let faults = vec![at_ms(40, stall(100)), at_ms(45, stall(500)), at_ms(30, delay(1, 300))];
    let record = ran(&with_faults(one(), faults));
    assert_eq!((fired(&record, "stall"), fired(&record, "delay"), outcomes(&record)), (2, 1, vec!["ok"]));
    assert!((490..560).contains(&durations_ms(&record)[0]), "{:?}", durations_ms(&record));
}

#[test]
fn reordered_messages_overtake_one_another_and_streams_stay_whole() {
    let many = || {
        let steps: Vec<_> = (1..=30).map(|number| (number, Op::Append(number))).collect();
        let clients: Vec<_> = steps.chunks(1).collect();
        patient(plan(&clients))
    };
    let order = |record: &Record| kept(record);
    let reorder = |client: usize| {
        let (from, to) = (format!("c{client}"), "server".to_owned());
        at_ms(0, Fault::Reorder { from, to, spread_ms: 200, for_ms: 4_000 })
    };
    let (plain, reordered) = (ran(&many()), ran(&with_faults(many(), (0..30).map(reorder).collect())));
    assert_eq!((fired(&plain, "reorder"), fired(&reordered, "reorder")), (0, 30));
    let displaced = |numbers: Vec<u64>| numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!(displaced(order(&plain)) < displaced(order(&reordered)));
    assert_eq!(outcomes(&reordered), ["ok"; 30]);
}

#[test]
fn a_request_of_the_time_is_sent_twice() {
    let duplicate = Fault::Duplicate { client: "c0".to_owned(), for_ms: 30 };
    let record = ran(&with_faults(appends(3), vec![at_ms(35, duplicate.clone())]));
    assert_eq!((fired(&record, "duplicate"), kept(&record)), (1, vec![1, 2, 2, 3]));
    let record = ran(&with_faults(appends(3), vec![at_ms(1_000, duplicate)]));
    assert_eq!((fired(&record, "duplicate"), kept(&record)), (0, vec![1, 2, 3]));
}

#[test]
fn a_cut_at_a_network_point_concerns_that_very_message() {
    let clean = ran(&one());
    let sent = |record: &Record, text| when(record, What::Network, text).len();
    // The server's third message is its answer: it receives a SYN, answers it, receives the request, answers.
    let hole = cut("server", "c0", CutKind::Blackhole, Direction::Both, 10);
    let record = ran(&with_faults(one(), vec![at_ordinal(PointKind::Network, 4, hole)]));
    assert_eq!((outcomes(&clean), outcomes(&record)), (vec!["ok"], vec!["info"]));
    assert_eq!(kept(&record), [1]);
    assert_eq!(sent(&record, "lost to c0: DATA"), 1);
}

#[test]
fn through_a_cut_a_dead_process_cannot_refuse() {
    let hole = cut("c0", "server", CutKind::Blackhole, Direction::Both, 2_000);
    let quick = || plan(&[&[(50, Op::Append(1))]]);
    let refused = ran(&with_faults(quick(), vec![at_ms(40, kill(500))]));
    assert_eq!(outcomes(&refused), ["fail"]);
    let silent = ran(&with_faults(quick(), vec![at_ms(40, kill(500)), at_ms(40, hole)]));
    assert_eq!((outcomes(&silent), fired(&silent, "blackhole")), (vec!["info"], 1));
}
