//! A store that has come back older than the other one, or without its end.

use coordinator::commit::Answer;
use coordinator::service::StartError;
use coordinator::{Contradiction, Finding};
use graph::TxId;

use crate::world::{LEDGER, WAL, World, commit, create, key};

fn tx(incarnation: u64, serial: u64) -> TxId {
    TxId { incarnation, serial }
}

#[tokio::test]
async fn sound_stores_start_as_often_as_one_likes_with_no_finding() {
    let world = World::new(1);
    for incarnation in 1..=5 {
        let coordinator = world.start().await.unwrap();
        assert_eq!(coordinator.findings(), []);
        for serial in 1..=incarnation {
            let id = commit(&coordinator, &format!("e-{incarnation}-{serial}")).await;
            assert_eq!(id, tx(incarnation, serial));
        }
        // One that does not fit has a record and no marker.
        let refused = coordinator.submit(key(&format!("again-{incarnation}")), create("e-1-1")).await.unwrap();
        assert!(matches!(refused, Answer::Settled(_)), "{refused:?}");
        world.kill(coordinator);
    }
}

/// However often it is tried: a start that is refused must not bring the ledger nearer to the
/// graph.
#[tokio::test]
async fn a_ledger_from_an_older_copy_is_refused_for_ever() {
    let world = World::new(2);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "a").await;
    world.kill(coordinator);
    let copy = world.disk.snapshot();
    for _ in 0..2 {
        world.kill(world.start().await.unwrap());
    }
    let newest = world.disk.snapshot();
    world.put_back(&copy);
    for _ in 0..6 {
        let error = world.start().await.err().expect("the graph knows of later starts");
        assert!(matches!(error, StartError::Behind { ledger: 1, graph: 3 }), "{error}");
        assert!(error.is_damage() && !error.is_passing() && error.to_string().contains("one backup"), "{error}");
    }
    world.put_back(&newest);
    assert_eq!(world.start().await.unwrap().findings(), [], "the newest copy is welcome");
}

/// SQLite drops the tail of a log without a word. No start came in between, so that only the
/// markers can tell.
#[tokio::test]
async fn a_log_without_its_tail_is_refused_before_anything_is_served() {
    let world = World::new(3);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "a").await;
    let (before, _) =
        world.disk.files().into_iter().map(|(name, len)| (len, name)).find(|(_, name)| name == WAL).unwrap();
    commit(&coordinator, "b").await;
    world.kill(coordinator);
    world.disk.truncate_file(WAL, before).unwrap();
    for _ in 0..3 {
        let error = world.start().await.err().expect("the graph has a marker more");
        assert!(matches!(&error, StartError::Lost(Contradiction::NoRecord(id)) if id == "tx-1-2"), "{error}");
        assert!(error.is_damage(), "{error}");
    }
}

/// The same where one bit of a frame is wrong: SQLite drops it and all that follow.
#[tokio::test]
async fn a_damaged_frame_is_refused_as_well() {
    let world = World::new(4);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "a").await;
    let len = world.disk.read_file(WAL).unwrap().len() as u64;
    for name in ["b", "c", "d"] {
        commit(&coordinator, name).await;
    }
    world.kill(coordinator);
    world.disk.corrupt(WAL, len + 100, 3).unwrap();
    let error = world.start().await.err().expect("three transactions are gone");
    assert!(matches!(&error, StartError::Lost(Contradiction::NoRecord(id)) if id == "tx-1-2"), "{error}");
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_another_ledger() {
    let world = World::new(5);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "a").await;
    world.kill(coordinator);
    world.put_back(&disk::Image::default());
    assert!(world.disk.read_file(LEDGER).is_none());
    let error = world.start().await.err().expect("the graph has an owner");
    assert!(matches!(error, StartError::Foreign { .. }) && error.is_damage(), "{error}");
}

/// The log knows what the graph has lost, so this is told and not fatal.
#[tokio::test]
async fn a_graph_that_lost_acknowledged_commits_is_reported() {
    let world = World::new(6);
    let coordinator = world.start().await.unwrap();
    for name in ["a", "b", "c"] {
        commit(&coordinator, name).await;
    }
    world.kill(coordinator);
    world.graph.lose_last(2);
    let coordinator = world.start().await.unwrap();
    let lost = Finding::GraphLost { incarnation: 1, count: 2, first: vec![tx(1, 2), tx(1, 3)] };
    assert_eq!(coordinator.findings(), std::slice::from_ref(&lost));
    assert!(lost.to_string().contains("2 ACKNOWLEDGED TRANSACTIONS of start 1 (tx-1-2, tx-1-3)"), "{lost}");
    assert!(matches!(coordinator.read("a".parse().unwrap()).await, Answer::Entity(Some(_))));
    assert!(matches!(coordinator.read("b".parse().unwrap()).await, Answer::Rejected(_)), "a strong read compares");
    commit(&coordinator, "d").await;
    world.kill(coordinator);
    assert_eq!(world.start().await.unwrap().findings(), [], "said once");
}

#[tokio::test]
async fn a_graph_that_forgot_who_claimed_it_is_reported() {
    let world = World::new(7);
    world.kill(world.start().await.unwrap());
    world.kill(world.start().await.unwrap());
    world.graph.lose_last(1);
    let coordinator = world.start().await.unwrap();
    assert_eq!(coordinator.findings(), [Finding::GraphIsOlder { ledger: 2, graph: 1 }]);
    world.kill(coordinator);
    assert_eq!(world.start().await.unwrap().findings(), []);
}
