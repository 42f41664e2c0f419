//! A store that has come back older than the other one, or without its end.

use coordinator::commit::Answer;
use coordinator::operations::AlertKind;
use coordinator::reconcile::Policy;
use coordinator::service::{Coordinator, Options, StartError};
use coordinator::{Contradiction, Finding};
use graph::TxId;
use stores::memory::MemoryGraph;

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

    // The next start compares nothing twice, and yet is not silent before the stores are the same.
    let coordinator = world.start().await.unwrap();
    assert_eq!((coordinator.findings(), suspicion(&coordinator)), (&[][..], Some(lost.to_string())));
    assert_eq!(coordinator.operations().freshness().complete, None);
    assert!(!coordinator.validate().await.is_clean());
    assert!(suspicion(&coordinator).is_some());
    assert!(coordinator.reconcile(Policy::Log).await.is_clean());
    assert_eq!((suspicion(&coordinator), coordinator.operations().freshness().complete), (None, Some(true)));
    world.kill(coordinator);
    assert_eq!(suspicion(&world.start().await.unwrap()), None);
}

/// What the start check says, as long as it fires.
fn suspicion(coordinator: &Coordinator) -> Option<String> {
    let exposition = coordinator.operations().alerts();
    let failed = exposition.into_iter().find(|alert| alert.firing && alert.alert == AlertKind::CheckFailed)?;
    let (_, told) = failed.detail.split_once("THE GRAPH HAS LOST").expect("nothing else was found");
    Some(format!("THE GRAPH HAS LOST{told}"))
}

/// Most often it is another graph, against which what is under way must not be decided.
#[tokio::test]
async fn an_empty_graph_takes_the_place_of_another_only_when_that_is_said() {
    let mut world = World::new(8);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "a").await;
    world.kill(coordinator);
    let kept = std::mem::replace(&mut world.graph, MemoryGraph::new());
    for _ in 0..2 {
        let error = world.start().await.err().expect("the graph is not the one");
        assert!(matches!(error, StartError::EmptyGraph { ledger: 1 }) && error.is_damage(), "{error}");
    }
    let lost = std::mem::replace(&mut world.graph, kept);
    let coordinator = world.start().await.unwrap();
    assert_eq!(coordinator.findings(), [], "nothing was written to either");
    world.kill(coordinator);

    world.graph = lost;
    let mut options = Options::new("/data");
    options.fill_empty_graph = true;
    let coordinator = world.start_with(options).await.unwrap();
    let [Finding::GraphIsOlder { graph: 0, .. }, ..] = coordinator.findings() else {
        panic!("{:?}", coordinator.findings());
    };
    assert_eq!(coordinator.reconcile(Policy::Log).await.repaired, 1);
    assert!(matches!(coordinator.read("a".parse().unwrap()).await, Answer::Entity(Some(_))));
    world.kill(coordinator);
    assert_eq!(world.start().await.unwrap().findings(), []);
}

/// What an earlier start had compared is compared again with what has come back.
#[tokio::test]
async fn a_graph_from_an_older_copy_says_what_it_has_lost() {
    let mut world = World::new(9);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "a").await;
    let copy = world.graph.snapshot();
    commit(&coordinator, "b").await;
    world.kill(coordinator);
    world.kill(world.start().await.unwrap());
    world.graph = MemoryGraph::new();
    world.graph.load(&copy).unwrap();
    let coordinator = world.start().await.unwrap();
    let lost = Finding::GraphLost { incarnation: 1, count: 1, first: vec![tx(1, 2)] };
    assert_eq!(coordinator.findings(), [Finding::GraphIsOlder { ledger: 2, graph: 1 }, lost]);
    world.kill(coordinator);
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
