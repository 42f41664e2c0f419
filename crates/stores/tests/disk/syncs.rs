//! Syncs and checkpoints that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use disk::{Death, Disk, IoFault, OpKind, Operation, Unsynced, Verdict};
use futures_util::FutureExt;
use rusqlite::{Connection, OpenFlags};
use stores::sqlite::SqlFailure;

use crate::world::{POWER_CUT, WAL, add, end, items, open};

/// What a process that opens the file beside the store's would see.
fn seen_by_others(disk: &Disk) -> Vec<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let other = Connection::open_with_flags_and_vfs(crate::world::PATH, flags, disk.vfs_name()).unwrap();
    let mut items = other.prepare("SELECT id FROM item ORDER BY id").unwrap();
    items.query_map((), |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_failed_sync_stops_everything_and_nobody_sees_what_it_was_for() {
    let disk = Disk::new(1);
    let store = open(&disk).await.unwrap();
    add(&store, 1, 10).await.unwrap();
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = syncs.clone();
    disk.observe(Box::new(move |operation| match operation.kind {
        OpKind::Sync if counted.fetch_add(1, Ordering::Relaxed) == 0 => Verdict::Fail(IoFault::Eio),
        _ => Verdict::Proceed,
    }));
    assert!(matches!(add(&store, 2, 10).await, Err(SqlFailure::Unknown { .. })));
    assert!(store.failed().now_or_never().is_some());
    assert_eq!(seen_by_others(&disk), [1], "the sync failed, so the index of the log does not have it");
    let asked = syncs.load(Ordering::Relaxed);
    assert!(add(&store, 3, 10).await.is_err());
    assert!(items(&store).await.is_err());
    assert_eq!(syncs.load(Ordering::Relaxed), asked, "a sync was tried again as if that could help");

    end(&disk, store, POWER_CUT);
    disk.revive();
    assert_eq!(items(&open(&disk).await.unwrap()).await.unwrap(), [1]);
}

/// Whether an operation belongs to a checkpoint: it is on the database file, or it syncs a log
/// to which nothing was written since its last sync.
fn of_checkpoint(operation: &Operation<'_>, dirty: &AtomicBool) -> bool {
    let on_log = operation.path == WAL;
    match operation.kind {
        OpKind::Write if on_log => dirty.store(true, Ordering::Relaxed),
        OpKind::Sync if on_log => return !dirty.swap(false, Ordering::Relaxed),
        _ => {}
    }
    !on_log && matches!(operation.kind, OpKind::Write | OpKind::Sync | OpKind::Truncate)
}

/// A checkpoint copies what is durable in the log. SQLite says nothing of one that fails, and
/// need not: it copies and syncs the same pages again the next time, and keeps the log until
/// then. So nothing is acknowledged on the strength of a sync that failed.
#[tokio::test]
async fn a_checkpoint_that_fails_costs_nothing_but_room() {
    for kind in [OpKind::Write, OpKind::Sync] {
        for fault in [IoFault::Eio, IoFault::NoSpace] {
            for log_too in [false, true] {
                let disk = Disk::new(2);
                let store = open(&disk).await.unwrap();
                let failures = Arc::new(AtomicU64::new(0));
                let (counted, dirty) = (failures.clone(), AtomicBool::new(false));
                disk.observe(Box::new(move |operation| {
                    let is_meant = log_too || operation.path != WAL;
                    if of_checkpoint(operation, &dirty) && operation.kind == kind && is_meant {
                        counted.fetch_add(1, Ordering::Relaxed);
                        return Verdict::Fail(fault);
                    }
                    Verdict::Proceed
                }));
                for id in 0..30 {
                    add(&store, id, 200_000).await.unwrap();
                }
                assert!(failures.load(Ordering::Relaxed) > 1, "no checkpoint was ever tried");
                assert_eq!(items(&store).await.unwrap().len(), 30);
                // The disk is well again: the log is copied, and written anew from its start.
                disk.stop_observing();
                for id in 30..60 {
                    add(&store, id, 200_000).await.unwrap();
                }
                end(&disk, store, POWER_CUT);
                disk.revive();
                let left = items(&open(&disk).await.unwrap()).await.unwrap();
                assert_eq!(left, (0..60).collect::<Vec<_>>(), "{kind:?} {fault:?}");
            }
        }
    }
}

/// One fault at one operation, for very many operations: whatever fails, an acknowledged item
/// is there after a power cut, one that was certainly not added is not, and after a failure of
/// unknown outcome, damage or a failed sync nothing is done any more.
#[tokio::test]
async fn whatever_fails_the_answers_were_true() {
    let (mut struck, mut stopped, mut refused) = (0, 0, 0);
    for fault in [IoFault::Eio, IoFault::NoSpace, IoFault::ShortRead] {
        let ordinals = run(None, u64::MAX, fault, &mut |_| {}).await;
        let mut ordinal = 1;
        while ordinal < ordinals {
            let mut one = |result: &Result<(), SqlFailure>| match result {
                Ok(()) => {}
                Err(SqlFailure::NotDone { .. }) => refused += 1,
                Err(SqlFailure::Stopped { .. } | SqlFailure::Unknown { .. }) => stopped += 1,
            };
            run(Some(ordinal), ordinal, fault, &mut one).await;
            struck += 1;
            // Each of the first, then a sample: an operation of each kind comes often.
            ordinal += if ordinal < 40 { 1 } else { 83 };
        }
    }
    eprintln!("{struck} faults: {refused} answers refused, {stopped} stopped the store");
    assert!(struck > 150 && stopped > 10 && refused > 10);
}

/// Adds items while operation `strike` fails; returns how many operations there were.
async fn run(strike: Option<u64>, seed: u64, fault: IoFault, see: &mut impl FnMut(&Result<(), SqlFailure>)) -> u64 {
    let disk = Disk::new(seed);
    let store = open(&disk).await.unwrap();
    let first = disk.ordinal();
    disk.observe(Box::new(move |operation| {
        // SQLite takes a short read of the database file for its end and the rest of the page for
        // zeros (`readDbPage` in its `pager.c`): a file that was cut off, which `damage` is about.
        let is_end_of_file = fault == IoFault::ShortRead && operation.path != WAL;
        let struck = strike == Some(operation.ordinal - first) && !is_end_of_file;
        if struck { Verdict::Fail(fault) } else { Verdict::Proceed }
    }));
    let (mut there, mut absent) = (Vec::new(), Vec::new());
    let mut dead = false;
    for id in 0..12 {
        // Large enough for a checkpoint on the way, and for pages that are spilled early.
        let result = add(&store, id, if id % 4 == 0 { 1_600_000 } else { 10 }).await;
        see(&result);
        assert!(!dead || result.is_err(), "it went on after it had stopped");
        dead |= matches!(result, Err(SqlFailure::Stopped { .. } | SqlFailure::Unknown { .. }));
        match result {
            Ok(()) => there.push(id),
            Err(SqlFailure::NotDone { .. } | SqlFailure::Stopped { .. }) => absent.push(id),
            Err(SqlFailure::Unknown { .. }) => {}
        }
        if let Ok(items) = items(&store).await {
            assert_eq!(items, there, "it shows what was not acknowledged, or not what was");
        }
    }
    let why = store.failed().now_or_never();
    assert_eq!(why.is_some(), dead, "{fault:?} at {strike:?}: {why:?}");
    let operations = disk.ordinal() - first;
    end(&disk, store, if seed.is_multiple_of(2) { Death::Kill } else { Death::PowerCut(Unsynced::Drawn) });
    disk.revive();
    let left = items(&open(&disk).await.unwrap()).await.unwrap();
    let lost: Vec<_> = there.iter().filter(|id| !left.contains(id)).collect();
    let risen: Vec<_> = absent.iter().filter(|id| left.contains(id)).collect();
    assert!(lost.is_empty() && risen.is_empty(), "{fault:?} at {strike:?}: lost {lost:?}, risen {risen:?}");
    operations
}
