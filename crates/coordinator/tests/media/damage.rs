//! A ledger that is not what was written to it.

use std::time::Duration;

use coordinator::commit::{AbortReason, Answer, Decision, Rejection, Settled};
use coordinator::damage::{Fate, Ruling, SettleError, Settlement};
use coordinator::ledger::AuditAction;
use coordinator::operations::AlertKind;
use coordinator::reconcile::{Authority, Policy, Resolution, Task};
use coordinator::service::{Coordinator, StartError};
use coordinator::statements;
use disk::{Death, Verdict};
use stores::sqlite::OpenError;
use stores::{GraphError, GraphStore};

use crate::world::{LEDGER, World, commit, create, key};

/// A ledger whose file has everything, and whose write-ahead log is empty.
async fn settled(seed: u64) -> World {
    let world = World::new(seed);
    let coordinator = world.start().await.unwrap();
    for name in ["apple", "banana", "cherry"] {
        commit(&coordinator, name).await;
    }
    world.kill(coordinator);
    world.shell().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    world
}

/// Flips the lowest bit of the first byte of each occurrence of a text in the file.
fn flip(world: &World, text: &str) {
    let content = world.disk.read_file(LEDGER).unwrap();
    let places: Vec<usize> = (0..content.len()).filter(|at| content[*at..].starts_with(text.as_bytes())).collect();
    assert!(!places.is_empty(), "{text} is not in the file");
    for at in places {
        world.disk.corrupt(LEDGER, at as u64, 0).unwrap();
    }
}

async fn refused(world: &World) -> StartError {
    let error = world.start().await.err().expect("it must not start on this");
    assert!(error.is_damage() && !error.is_passing(), "{error}");
    error
}

#[tokio::test]
async fn a_flipped_bit_in_the_log_is_found() {
    for text in ["cherry", "committed", "banana"] {
        let world = settled(10).await;
        flip(&world, text);
        match world.start().await {
            // Of single records alone: the others go on without them.
            Ok(coordinator) => assert!(coordinator.damaged_count() > 0, "{text}"),
            Err(error) => assert!(
                matches!(error, StartError::Ledger(_) | StartError::Open(OpenError::Damaged { .. })),
                "{text}: {error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_damaged_record_is_set_apart_and_everything_else_goes_on() {
    for change in ["hash = 'x' || hash", "patch = 'x' || patch", "checksum = checksum + 1"] {
        let world = settled(10).await;
        world.shell().execute_batch(&format!("UPDATE log SET {change} WHERE key = 'banana'")).unwrap();
        // However often it starts, it is one record.
        for start in 0..3 {
            let coordinator = world.start().await.unwrap();
            let records = coordinator.damaged_records().await.unwrap();
            assert_eq!(
                records.iter().map(|record| (record.key.as_str(), record.fate)).collect::<Vec<_>>(),
                [("banana", Fate::Committed)]
            );
            assert_eq!(coordinator.damaged_count(), 1);
            let alert = coordinator
                .operations()
                .alerts()
                .into_iter()
                .find(|alert| alert.alert == AlertKind::CheckFailed)
                .unwrap();
            assert!(alert.firing && alert.detail.contains("tx-1-2"), "{alert:?}");
            commit(&coordinator, &format!("date-{start}")).await;
            let retry = coordinator.submit(key("banana"), create("banana")).await.unwrap();
            assert_eq!(retry, Answer::Unknown(Some(records[0].tx)), "what it has to match is lost");
            assert!(matches!(coordinator.outcome(records[0].tx).await, Answer::Settled(_)), "its outcome is not");
            assert!(matches!(coordinator.read("banana".parse().unwrap()).await, Answer::Entity(Some(_))));
            assert!(coordinator.validate().await.is_clean());
            world.kill(coordinator);
        }
        let coordinator = world.start().await.unwrap();
        let settlement = said(None);
        let tx = coordinator.damaged_records().await.unwrap()[0].tx;
        let wrong = coordinator.settle_damaged(tx, said(Some(Ruling::Aborted))).await;
        assert!(matches!(wrong, Err(SettleError::OutcomeKnown { fate: Fate::Committed, .. })), "{wrong:?}");
        coordinator.settle_damaged(tx, settlement.clone()).await.unwrap();
        assert!(matches!(coordinator.settle_damaged(tx, settlement).await, Err(SettleError::NoSuchRecord(_))));
        assert!(!coordinator.operations().alerts().iter().any(|alert| alert.firing));
        let audited: Vec<AuditAction> =
            coordinator.audit(Some(tx), 0, 9).await.unwrap().into_iter().map(|entry| entry.action).collect();
        assert_eq!(
            audited,
            [AuditAction::Intended, AuditAction::Committed, AuditAction::Isolated, AuditAction::Resolved]
        );
        world.kill(coordinator);
        assert_eq!(world.start().await.unwrap().damaged_count(), 0);
    }
}

/// Leaves a transaction in doubt whose record is damaged; the graph has it, or has lost it.
async fn in_doubt(seed: u64, decided: bool) -> World {
    let world = World::new(seed);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "apple").await;
    let disk = world.disk.clone();
    world.at_point(move |point| {
        if point == "commit.finish.before" {
            disk.set_capacity(disk.used());
        }
    });
    let answer = coordinator.submit(key("banana"), create("banana")).await.unwrap();
    assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
    coordinator.halted().await;
    world.kill(coordinator);
    world.disk.set_capacity(u64::MAX);
    world.shell().execute_batch("UPDATE log SET patch = 'x' || patch WHERE key = 'banana'").unwrap();
    if !decided {
        world.graph.lose_last(1);
    }
    world
}

#[tokio::test]
async fn a_damaged_record_in_doubt_is_fenced_and_never_comes_back() {
    let world = in_doubt(13, false).await;
    for _ in 0..2 {
        let coordinator = world.start().await.unwrap();
        let record = coordinator.damaged_records().await.unwrap().remove(0);
        assert_eq!(record.fate, Fate::Aborted);
        let outcome = coordinator.outcome(record.tx).await;
        let aborted = Decision::Aborted { reason: AbortReason::Fenced };
        assert_eq!(outcome, Answer::Settled(Settled { tx: record.tx, decision: aborted }));
        assert!(matches!(coordinator.read("banana".parse().unwrap()).await, Answer::Entity(None)));
        assert!(coordinator.validate().await.is_clean());
        world.kill(coordinator);
    }
    // What it was sent with still lands nowhere.
    let patch = create("banana");
    let late = world.graph.execute(statements::decide("tx-1-2".parse().unwrap(), &patch), Duration::from_secs(1)).await;
    assert!(matches!(late, Err(GraphError::Constraint { .. })), "{late:?}");
}

fn said(outcome: Option<Ruling>) -> Settlement {
    Settlement { by: "ann".to_owned(), note: "asked the client".to_owned(), outcome }
}

/// The graph has what SQLite does not, and no event says what it is: a person decides, and until
/// then no policy does. What they decided is what the transaction has become.
#[tokio::test]
async fn what_only_the_graph_has_is_decided_by_a_person() {
    for (authority, ruling) in [(Authority::Graph, Ruling::Committed), (Authority::Log, Ruling::Aborted)] {
        let world = in_doubt(14, true).await;
        let coordinator = world.start().await.unwrap();
        let record = coordinator.damaged_records().await.unwrap().remove(0);
        assert_eq!((record.key.as_str(), record.fate), ("banana", Fate::GraphOnly));
        assert!(matches!(coordinator.outcome(record.tx).await, Answer::Rejected(_)), "nobody can say yet");
        assert!(matches!(coordinator.read("banana".parse().unwrap()).await, Answer::Rejected(_)), "the stores differ");
        commit(&coordinator, "cherry").await;

        let early = coordinator.settle_damaged(record.tx, said(Some(ruling))).await;
        assert!(matches!(early, Err(SettleError::StoresDiffer { differences: 1, .. })), "{early:?}");
        for policy in [Policy::Log, Policy::Sql] {
            let summary = coordinator.reconcile(policy).await;
            assert_eq!((summary.repaired, summary.undecided), (0, 1), "{policy:?}: {summary:?}");
        }
        let case = coordinator.open_cases(0, 9).await.unwrap().remove(0);
        let resolution = Resolution { authority, by: "ann".to_owned(), note: String::new() };
        coordinator.resolve(case.number, resolution).await.unwrap();
        let silent = coordinator.settle_damaged(record.tx, said(None)).await;
        assert!(matches!(silent, Err(SettleError::OutcomeMissing(_))), "{silent:?}");
        coordinator.settle_damaged(record.tx, said(Some(ruling))).await.unwrap();
        let decision = match ruling {
            Ruling::Committed => Decision::Committed,
            Ruling::Aborted => Decision::Aborted { reason: AbortReason::TakenBack },
        };
        // The same however often it is asked for.
        for _ in 0..2 {
            let outcome = coordinator.outcome(record.tx).await;
            assert_eq!(outcome, Answer::Settled(Settled { tx: record.tx, decision: decision.clone() }));
        }
        let read = coordinator.read("banana".parse().unwrap()).await;
        assert!(matches!(&read, Answer::Entity(is) if is.is_some() == (ruling == Ruling::Committed)), "{read:?}");
        let summary = coordinator.reconcile(Policy::Log).await;
        assert_eq!((summary.task, summary.is_clean()), (Task::Reconcile(Policy::Log), true));
        assert!(!coordinator.operations().alerts().iter().any(|alert| alert.detail.contains("damaged records")));
    }
}

/// The process dies at every point of the disk while a start sets a record apart.
#[tokio::test]
async fn setting_apart_survives_a_crash_at_every_step() {
    for decided in [true, false] {
        let mut reached_the_end = false;
        for step in 1.. {
            let world = in_doubt(15, decided).await;
            let (disk, mut left) = (world.disk.clone(), step);
            world.disk.observe(Box::new(move |_| {
                left -= 1;
                if left == 0 {
                    disk.die(Death::Kill);
                }
                Verdict::Proceed
            }));
            let crashed = world.start().await;
            world.disk.stop_observing();
            reached_the_end = crashed.is_ok() && step > 1;
            world.disk.die(Death::Kill);
            drop(crashed);
            world.disk.revive();
            let coordinator = world.start().await.unwrap();
            let records = coordinator.damaged_records().await.unwrap();
            let fate = if decided { Fate::GraphOnly } else { Fate::Aborted };
            assert_eq!(records.iter().map(|record| record.fate).collect::<Vec<_>>(), [fate], "step {step}");
            let audited = coordinator.audit(Some(records[0].tx), 0, 9).await.unwrap();
            let set_apart = audited.iter().filter(|entry| entry.action == AuditAction::Isolated).count();
            assert_eq!(set_apart, 1, "step {step}: {audited:?}");
            if reached_the_end {
                break;
            }
        }
        assert!(reached_the_end);
    }
}

#[tokio::test]
async fn a_truncated_ledger_is_refused() {
    let world = settled(11).await;
    let len = world.disk.read_file(LEDGER).unwrap().len() as u64;
    for keep in [len - 4_096, len / 2, 5_000, 100] {
        world.disk.truncate_file(LEDGER, keep).unwrap();
        refused(&world).await;
    }
}

/// Whatever it was: it waits for the end that it asks for.
async fn halts(coordinator: &Coordinator) -> String {
    tokio::time::timeout(Duration::from_secs(60), coordinator.halted()).await.expect("it goes on")
}

#[tokio::test]
async fn a_damaged_record_that_is_met_while_running_ends_the_process() {
    for by_key in [true, false] {
        let world = World::new(12);
        let coordinator = world.start().await.unwrap();
        let tx = commit(&coordinator, "a").await;
        commit(&coordinator, "b").await;
        world.shell().execute_batch("UPDATE log SET hash = 'x' || hash WHERE serial = 1").unwrap();
        commit(&coordinator, "c").await;
        let answer = if by_key {
            coordinator.submit(key("a"), create("a")).await.unwrap()
        } else {
            coordinator.outcome(tx).await
        };
        assert!(
            matches!(&answer, Answer::Rejected(Rejection::Unavailable(why)) if why.contains("tx-1-1 is damaged")),
            "{answer:?}"
        );
        assert!(halts(&coordinator).await.contains("tx-1-1 is damaged"));
        let later = coordinator.submit(key("d"), create("d")).await.unwrap();
        assert!(matches!(later, Answer::Rejected(_)), "{later:?}");
        world.kill(coordinator);
        let coordinator = world.start().await.unwrap();
        assert_eq!(coordinator.damaged_count(), 1, "the next one sets it apart");
        commit(&coordinator, "d").await;
    }
}
