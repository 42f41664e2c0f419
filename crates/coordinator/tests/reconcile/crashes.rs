//! A repair is a transaction: a crash anywhere in it leaves nothing half done.

use coordinator::reconcile::Policy;
use disk::{Death, Unsynced};

use crate::stores_by_hand::{both, in_graph, in_sql, two_friends, versions};
use crate::world::World;

const POINTS: [&str; 10] = [
    "commit.examine.before",
    "commit.examine.after",
    "commit.intend_repair.before",
    "commit.intend_repair.after",
    "commit.decide.before",
    "commit.decide.after",
    "commit.finish.before",
    "commit.finish.after",
    "reconcile.repair.before",
    "reconcile.repair.after",
];

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_point_of_a_repair_is_survived() {
    for (number, point) in (500..).zip(POINTS) {
        for death in [Death::Kill, Death::PowerCut(Unsynced::Drawn)] {
            let world = World::new(number);
            let coordinator = world.start().await.unwrap();
            two_friends(&coordinator).await;
            let (sound, rows) = (both(&world), versions(&world));
            in_graph(&world, r#"[{"unlink":{"from":"a","kind":"knows","to":"b"}},{"delete":{"id":"a"}}]"#);
            in_sql(&world, "UPDATE entity SET kind = 'robot' WHERE id = 'b'");
            let (reached, mut left) = tokio::sync::oneshot::channel::<()>();
            let (disk, mut reached) = (world.disk.clone(), Some(reached));
            world.at_point(move |name| {
                if name == point && reached.is_some() {
                    disk.die(death);
                    // Told by being dropped: nothing goes on after this.
                    drop(reached.take());
                }
            });
            tokio::select! {
                biased;
                _ = &mut left => {}
                summary = coordinator.reconcile(Policy::Log) => panic!("{point} was not passed: {summary:?}"),
            }
            drop(coordinator);
            world.disk.revive();

            let coordinator = world.start().await.unwrap();
            let repaired = coordinator.reconcile(Policy::Log).await;
            assert!(repaired.is_clean() && repaired.repaired <= 3, "{point}: {repaired:#?}");
            assert_eq!((both(&world), versions(&world)), (sound, rows), "{point}");
            assert_eq!(coordinator.reconcile(Policy::Log).await.suspects, 0);
            world.kill(coordinator);
        }
    }
}
