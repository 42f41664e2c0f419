//! More of a stream than a page has stands behind a mark, and the feed has told of all of it long ago.

use std::sync::Arc;

use projection::event::Event;
use projection::lanes::{Action, Answer, EffectId, Input, LanesEffect, RequestId, Scope};

use crate::script::{answer, created, id, linked};
use crate::world::{TIGHT, World};

/// Several pages of [`TIGHT`].
const EVENTS: u64 = 12;

fn long() -> Vec<Arc<Event>> {
    let links = (2..=EVENTS).map(|sequence| linked("a", sequence, &format!("b{sequence}")));
    std::iter::once(created("a")).chain(links).collect()
}

#[tokio::test]
async fn all_that_is_behind_a_cleared_poison_is_applied() {
    let mut world = World::in_memory(TIGHT, long()).await;
    world.log.damage(2, true);
    world.write_all();
    world.settle().await;
    assert_eq!(world.core.parked()[&id("a")].sequence, 2);
    assert_eq!(world.core.status().low_water, EVENTS, "the feed is done with it");
    world.log.repair();
    world.later(TIGHT.revive_period_ms.0).await;
    world.check().await;
}

/// The graph is an older copy of itself, but for the position.
#[tokio::test]
async fn a_comparison_applies_all_that_the_graph_has_lost() {
    for scope in [Scope::One(id("a")), Scope::All] {
        let mut world = World::in_memory(TIGHT, long()).await;
        (0..2).for_each(|_| world.write_one());
        world.settle().await;
        let action = Action::Checkpoint { since: 0, position: EVENTS };
        world.strays.push(LanesEffect::Do { id: EffectId::Checkpoint, action });
        world.arrive(0).await;
        world.write_all();
        world.crash().await;
        world.settle().await;
        assert_eq!((world.core.status().read, world.dump().await.marks[&id("a")].sequence), (EVENTS, 2));
        world.tell(Input::Reconcile { request: RequestId(1), scope }).await;
        world.settle().await;
        assert!(matches!(answer(&world, 1), Some(Answer::Ended(_))), "{:?}", answer(&world, 1));
        world.check().await;
    }
}
