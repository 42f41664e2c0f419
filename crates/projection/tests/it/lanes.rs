//! Lanes are sequential each, and independent of each other.

use std::collections::BTreeSet;

use graph::EntityId;
use projection::lanes::{Action, Config, LanesEffect};
use proptest::prelude::*;

use crate::generate;
use crate::script::{created, id, linked};
use crate::world::{TIGHT, World};

/// The resources that each write under way is of.
fn under_way(world: &World) -> Vec<BTreeSet<EntityId>> {
    let writes = world.pending.iter().filter_map(|effect| match effect {
        LanesEffect::Do { action: Action::Apply { writes, .. }, .. } => Some(writes),
        _ => None,
    });
    writes.map(|writes| writes.iter().map(|write| write.resource.clone()).collect()).collect()
}

#[tokio::test]
async fn a_write_that_hangs_holds_up_no_other_lane() {
    let log = vec![
        created("slow"),
        created("a"),
        linked("a", 2, "slow"),
        linked("slow", 2, "a"),
        created("b"),
        linked("b", 2, "slow"),
    ];
    let mut world = World::in_memory(Config { batch_lanes_max: 1, ..TIGHT }, log).await;
    world.write_all();
    let hangs = |effect: &LanesEffect| match effect {
        LanesEffect::Do { action: Action::Apply { writes, .. }, .. } => {
            writes.iter().any(|write| write.resource == id("slow"))
        }
        LanesEffect::Do { action: Action::Feed { after, .. }, .. } => *after == 6,
        _ => false,
    };
    let mut at_once = 0;
    while let Some(at) = world.pending.iter().position(|effect| !hangs(effect)) {
        at_once = at_once.max(under_way(&world).len());
        world.execute(at).await;
    }
    assert!(at_once > 1, "others are written while it hangs");
    assert_eq!(under_way(&world), [BTreeSet::from([id("slow")])], "it hangs, and nothing else is open");
    let marks = world.dump().await.marks;
    let applied = ["slow", "a", "b"].map(|resource| marks.get(&id(resource)).map_or(0, |mark| mark.sequence));
    assert_eq!(applied, [0, 2, 2]);
    world.settle().await;
    world.check().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_a_resource_no_two_writes_are_under_way(log in generate::log(40), turns in proptest::collection::vec(any::<u16>(), 400)) {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
            let mut world = World::in_memory(TIGHT, log).await;
            world.write_all();
            for turn in turns {
                if world.pending.is_empty() {
                    world.pass_time().await;
                } else {
                    world.execute(usize::from(turn) % world.pending.len()).await;
                }
                let writes = under_way(&world);
                let resources: BTreeSet<_> = writes.iter().flatten().collect();
                assert_eq!(resources.len(), writes.iter().map(BTreeSet::len).sum::<usize>(), "{writes:?}");
            }
            world.settle().await;
            world.check().await;
        });
    }
}
