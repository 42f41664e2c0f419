//! A ledger that is not what was written to it.

use std::time::Duration;

use coordinator::commit::{Answer, Rejection};
use coordinator::service::{Coordinator, StartError};
use stores::sqlite::OpenError;

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
async fn a_flipped_bit_in_the_log_is_found_and_its_record_named() {
    for text in ["cherry", "committed", "banana"] {
        let world = settled(10).await;
        flip(&world, text);
        let error = refused(&world).await;
        assert!(
            matches!(error, StartError::Ledger(_) | StartError::Open(OpenError::Damaged { .. })),
            "{text}: {error}"
        );
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
        refused(&world).await;
    }
}
