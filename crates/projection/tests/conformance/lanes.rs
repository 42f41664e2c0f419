//! The lanes on each of the graphs, against the reference fold.

use projection::lanes::{Input, RequestId, Scope};

use crate::subjects;

#[path = "../it/generate.rs"]
#[expect(dead_code, reason = "the storms need more of it")]
mod logs;
#[path = "../it/world.rs"]
#[expect(dead_code, reason = "the storms need more of it")]
mod world;

const LOGS: usize = 6;

/// Many lanes share a transaction, streams are folded several events at once, and in the middle somebody rebuilds.
#[tokio::test]
async fn the_lanes_leave_what_the_log_says_on_every_graph() {
    for (number, log) in crate::generate::samples(logs::poisoned_log(60), LOGS).into_iter().enumerate() {
        let subjects = subjects::all().await;
        for subject in &subjects {
            let mut world = world::World::new(subject.store.clone(), world::TIGHT, log.clone()).await;
            (0..log.len() / 2).for_each(|_| world.write_one());
            world.settle().await;
            if number % 2 == 0 {
                world.tell(Input::Rebuild { request: RequestId(1), scope: Scope::All }).await;
            }
            world.write_all();
            world.settle().await;
            world.tell(Input::Reconcile { request: RequestId(2), scope: Scope::All }).await;
            world.settle().await;
            world.check().await;
        }
        subjects::leave_empty(&subjects).await;
    }
}
