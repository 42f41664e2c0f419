//! Disks that fail, media that change, stores that forget.

use super::toy::FILE;
use super::*;
use crate::plan::DiskKind;
use crate::record::UNSYNCED;

const WAL: &str = "/list.db-wal";

fn disk(kind: DiskKind, at_most: Option<u64>) -> Fault {
    Fault::Disk { host: "server".to_owned(), kind, percent: 100, at_most, for_ms: 4_000 }
}

fn rot(file: &str, bits: u64) -> Fault {
    Fault::BitRot { host: "server".to_owned(), file: file.to_owned(), after: None, bits, restart_after_ms: 50 }
}

fn truncation(file: &str, keep_percent: u64) -> Fault {
    Fault::Truncation { host: "server".to_owned(), file: file.to_owned(), keep_percent, restart_after_ms: 50 }
}

fn stale(file: Option<&str>, as_of_ms: u64) -> Fault {
    let file = file.map(str::to_owned);
    Fault::StaleImage { host: "server".to_owned(), file, as_of_ms, restart_after_ms: 50 }
}

/// What the list was when it was asked for last.
fn listed(record: &Record) -> Vec<u64> {
    let answer = record.history.events().iter().rev().find_map(|event| match &event.kind {
        EventKind::Ok(Ret::Numbers(numbers)) => Some(numbers.clone()),
        _ => None,
    });
    answer.expect("somebody listed")
}

/// Ten numbers, and a look at them after a second.
fn appends_and_a_list() -> Plan<Op> {
    let mut plan = appends(10);
    plan.clients[0].steps.push(ClientStep { at_ms: 1_000, op: Op::List });
    plan
}

fn after(fault: Fault) -> Record {
    ran(&with_faults(appends_and_a_list(), vec![at_ms(300, fault)]))
}

/// The server answers what it was told by SQLite, and begins to be told otherwise at its fifth append.
#[test]
fn each_kind_of_disk_fault_fails_its_operations_once_or_as_long_as_it_lasts() {
    for (kind, message) in [
        (DiskKind::WriteError, "disk I/O error"),
        (DiskKind::SyncError, "disk I/O error"),
        (DiskKind::DiskFull, "database or disk is full"),
    ] {
        for (at_most, failures) in [(Some(1), 1..=1), (None, 6..=6)] {
            let faults = vec![at_point("append.before", 5, disk(kind, at_most))];
            let record = ran(&with_faults(appends(10), faults));
            let failed = outcomes(&record).iter().filter(|outcome| **outcome == "fail").count();
            assert!(failures.contains(&failed), "{kind:?} {at_most:?}: {:?}", outcomes(&record));
            assert_eq!(fired(&record, kind.name()), 1);
            assert!(record.history.to_string().contains(message), "{kind:?}: {}", record.history);
            assert!(lost(&record).is_empty());
        }
    }
}

/// A start reads the file; a process that cannot is started again until it can.
#[test]
fn reads_that_fail_or_fall_short_concern_who_reads() {
    for kind in [DiskKind::ReadError, DiskKind::ShortRead] {
        let faults = vec![at_ms(300, kill(50)), at_ms(300, disk(kind, Some(1)))];
        let record = ran(&with_faults(appends_and_a_list(), faults));
        assert_eq!(fired(&record, kind.name()), 1, "{kind:?}");
        assert!(record.exits.iter().all(|(_, _, why)| why.contains("disk I/O error")), "{:?}", record.exits);
        assert_eq!(listed(&record), (1..=10).collect::<Vec<_>>());
    }
}

#[test]
fn a_sync_that_lies_loses_at_a_power_cut_what_was_acknowledged_and_at_a_kill_nothing() {
    let forgotten = |crash: Fault| {
        let faults = vec![at_ms(0, disk(DiskKind::LyingSync, None)), at_ms(300, crash)];
        let record = ran(&with_faults(appends_and_a_list(), faults));
        assert_eq!(fired(&record, "lying_sync"), 1);
        10 - listed(&record).len()
    };
    assert_eq!(forgotten(kill(50)), 0);
    assert!(forgotten(power_cut(50)) > 0);
}

#[test]
fn a_slow_disk_takes_its_time() {
    let slow = ran(&with_faults(
        appends(3),
        vec![at_ms(19, Fault::SlowDisk { host: "server".to_owned(), extra_ms: 20, for_ms: 2_000 })],
    ));
    assert_eq!(fired(&slow, "slow_disk"), 1);
    let (slow, usual) = (durations_ms(&slow), durations_ms(&ran(&appends(3))));
    assert!(slow.iter().zip(&usual).all(|(slow, usual)| *slow >= usual + 20), "{slow:?} {usual:?}");
}

#[test]
fn flipped_bits_are_found_after_the_restart_and_not_without() {
    let (healthy, damaged) = (after(power_cut(50)), after(rot(WAL, 200)));
    assert_eq!(listed(&healthy), (1..=10).collect::<Vec<_>>());
    assert!(listed(&damaged).len() < 10, "SQLite drops the tail of a damaged log");
    assert_eq!((fired(&damaged, "bit_rot"), when(&damaged, What::Fault, "flipped in /list.db-wal").len()), (1, 1));
}

#[test]
fn what_is_cut_off_is_gone() {
    let record = after(truncation(WAL, 40));
    assert_eq!(fired(&record, "truncation"), 1);
    let listed = listed(&record);
    assert!(listed.len() < 10 && listed.iter().copied().eq(1..=listed.len() as u64), "{listed:?}");
}

#[test]
fn an_old_image_has_what_was_there_at_its_time() {
    for file in [None, Some(WAL)] {
        let record = after(stale(file, 110));
        assert_eq!((listed(&record), fired(&record, "stale_image")), ((1..=5).collect::<Vec<_>>(), 1), "{file:?}");
    }
}

#[test]
fn damage_that_finds_nothing_to_do_has_not_taken_effect() {
    let no_time_passed =
        Fault::StaleImage { host: "server".to_owned(), file: None, as_of_ms: 900, restart_after_ms: 50 };
    for fault in [rot("/nothing", 1), truncation("/nothing", 0), no_time_passed] {
        let record = after(fault.clone());
        assert_eq!(fired(&record, fault.name()), 0, "{fault}");
        assert_eq!(listed(&record).len(), 10);
    }
    assert_eq!(fired(&after(truncation(FILE, 10)), "truncation"), 1);
}

#[test]
fn a_store_forgets_when_it_is_told_to_and_can() {
    let forget = |commits| Fault::Forget { host: "server".to_owned(), commits, restart_after_ms: 50 };
    let record = after(forget(3));
    assert_eq!((listed(&record), fired(&record, "forget")), ((1..=7).collect::<Vec<_>>(), 1));
    let nothing = ran(&with_faults(appends(3), vec![at_ms(5, forget(3))]));
    assert_eq!(fired(&nothing, "forget"), 0);
}

#[test]
fn what_a_power_cut_did_with_unsynced_writes_is_marked() {
    let without_syncs = |fault: Option<Fault>| {
        let plan = with_faults(appends(12), fault.into_iter().map(|fault| at_ms(150, fault)).collect());
        let plan = options(json!({ "synchronous": "OFF" }))(plan);
        (0..20).fold([0; 3], |sums, seed| {
            let marks = ran(&Plan { seed, ..plan.clone() }).marks;
            let counts = UNSYNCED.map(|mark| marks.get(mark).copied().unwrap_or_default());
            [0, 1, 2].map(|which| sums[which] + counts[which])
        })
    };
    assert_eq!(without_syncs(None), [0; 3]);
    let cut = without_syncs(Some(power_cut(50)));
    assert!(cut.iter().all(|sectors| *sectors > 0), "{cut:?}");
}

#[test]
fn who_refuses_to_work_stays_down_and_is_not_asked_to_settle() {
    let mut plan = appends(3);
    plan.clients[0].steps.push(ClientStep { at_ms: 100, op: Op::Refuse });
    plan.clients[0].steps.push(ClientStep { at_ms: 3_000, op: Op::List });
    let record = ran(&plan);
    assert_eq!(record.refusals.len(), 1);
    assert!(record.exits.is_empty() && when(&record, What::Fault, "restarted").is_empty());
    assert_eq!((record.marks["refused_to_work"], &record.settled), (1, &Ok(())));
    assert_eq!(outcomes(&record), ["ok", "ok", "ok", "info", "fail"]);
}
