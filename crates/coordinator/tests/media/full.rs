//! A disk without room, and one whose syncs fail.

use coordinator::commit::{Answer, Decision, Rejection, Settled};
use disk::{IoFault, OpKind, Verdict};

use crate::world::{World, commit, create, key};

#[tokio::test]
async fn new_work_is_refused_reads_go_on_and_room_is_all_it_takes() {
    let world = World::new(20);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "a").await;
    world.disk.set_capacity(world.disk.used());
    for _ in 0..3 {
        let answer = coordinator.submit(key("b"), create("b")).await.unwrap();
        assert!(
            matches!(&answer, Answer::Rejected(Rejection::Unavailable(why)) if why.contains("disk is full")),
            "{answer:?}"
        );
    }
    assert!(matches!(coordinator.read("a".parse().unwrap()).await, Answer::Entity(Some(_))));
    assert!(matches!(
        coordinator.submit(key("a"), create("a")).await.unwrap(),
        Answer::Rejected(_) | Answer::Settled(_)
    ));
    assert!(!coordinator.status().await.halted);

    world.disk.set_capacity(u64::MAX);
    commit(&coordinator, "b").await;
    world.kill(coordinator);
    let coordinator = world.start().await.unwrap();
    for name in ["a", "b"] {
        assert!(matches!(coordinator.read(name.parse().unwrap()).await, Answer::Entity(Some(_))), "{name}");
    }
}

/// It is decided and cannot be finished: nobody may be told anything, and nothing may go on,
/// until there is room.
#[tokio::test]
async fn what_cannot_be_finished_for_lack_of_room_is_finished_when_there_is() {
    let world = World::new(21);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "a").await;
    let disk = world.disk.clone();
    world.at_point(move |point| {
        if point == "commit.finish.before" {
            disk.set_capacity(disk.used());
        }
    });
    let answer = coordinator.submit(key("b"), create("b")).await.unwrap();
    assert!(matches!(answer, Answer::Unknown(Some(_))), "{answer:?}");
    assert!(coordinator.halted().await.contains("disk is full"));
    world.kill(coordinator);
    for _ in 0..3 {
        let error = world.start().await.err().expect("there is still no room");
        assert!(error.is_passing() && !error.is_damage() && error.to_string().contains("disk is full"), "{error}");
    }
    world.disk.set_capacity(u64::MAX);
    let coordinator = world.start().await.unwrap();
    commit(&coordinator, "b").await;
    assert_eq!(coordinator.findings(), []);
}

#[tokio::test]
async fn a_failed_sync_ends_the_process_and_the_next_one_knows() {
    for at in ["commit.intend.before", "commit.finish.before"] {
        let world = World::new(22);
        let coordinator = world.start().await.unwrap();
        let disk = world.disk.clone();
        world.at_point(move |point| {
            if point == at {
                disk.observe(Box::new(|operation| match operation.kind {
                    OpKind::Sync => Verdict::Fail(IoFault::Eio),
                    _ => Verdict::Proceed,
                }));
            }
        });
        let answer = coordinator.submit(key("a"), create("a")).await.unwrap();
        assert!(matches!(answer, Answer::Unknown(_)), "{at}: {answer:?}");
        coordinator.halted().await;
        world.disk.stop_observing();
        world.kill(coordinator);
        let coordinator = world.start().await.unwrap();
        let answer = coordinator.submit(key("a"), create("a")).await.unwrap();
        let Answer::Settled(Settled { decision, .. }) = answer else { panic!("{at}: {answer:?}") };
        let there = matches!(coordinator.read("a".parse().unwrap()).await, Answer::Entity(Some(_)));
        assert_eq!(there, decision == Decision::Committed, "{at}");
    }
}
