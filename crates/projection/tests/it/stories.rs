//! One story each: what the lanes do when one thing happens.

use std::sync::Arc;

use env::Core;
use graph::Millis;
use projection::event::Event;
use projection::lanes::{Action, Answer, Config, Input, Lanes, LanesEffect, Mark, OnUnknown, RequestId, Scope};
use projection::{listing, statements};

use crate::script::{answer, created, id, linked, settled, strange};
use crate::world::{LIMIT, TIGHT, World};

fn at(world: &World, wanted: fn(&Action) -> bool) -> Option<usize> {
    world.pending.iter().position(|effect| matches!(effect, LanesEffect::Do { action, .. } if wanted(action)))
}

#[tokio::test]
async fn an_edge_before_its_target_and_after_it_are_the_same_graph() {
    let one_way = vec![created("a"), linked("a", 2, "b"), created("b")];
    let other_way = vec![created("b"), created("a"), linked("a", 2, "b")];
    let mut texts = Vec::new();
    for log in [one_way, other_way] {
        let world = settled(Config::default(), log).await;
        world.check().await;
        texts.push(world.graph_text().await);
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn stubs_are_counted_and_listed_until_they_are_created() {
    let mut world = World::in_memory(Config::default(), vec![created("a"), linked("a", 2, "b"), created("b")]).await;
    let stubs = async |world: &World| {
        let list = listing::keys(world.graph.as_ref(), &statements::LIST_STUBS, "", 10, LIMIT).await.expect("a read");
        (listing::count_stubs(world.graph.as_ref(), LIMIT).await.expect("a read"), list)
    };
    world.write_one();
    world.write_one();
    world.settle().await;
    assert_eq!(stubs(&world).await, (1, vec!["b".to_owned()]));
    world.write_one();
    world.settle().await;
    assert_eq!(stubs(&world).await, (0, Vec::new()));
}

#[tokio::test]
async fn a_reader_waits_for_the_event_and_no_longer_than_it_wants_to() {
    let mut world = World::in_memory(Config::default(), vec![created("a"), linked("a", 2, "b")]).await;
    let wait = |request, sequence| Input::WhenApplied { request: RequestId(request), resource: id("a"), sequence };
    world.tell(wait(1, 2)).await;
    world.write_all();
    world.settle().await;
    assert_eq!(answer(&world, 1), Some(Answer::Applied { sequence: 2 }));
    world.tell(wait(2, 1)).await;
    world.tell(wait(3, 3)).await;
    world.settle().await;
    assert_eq!(answer(&world, 2), Some(Answer::Applied { sequence: 2 }), "it is long since there");
    assert_eq!(answer(&world, 3), Some(Answer::NotApplied { sequence: 2, poison: None }));
}

#[tokio::test]
async fn a_poison_is_told_of_and_stays_until_it_is_cleared() {
    let mut world =
        settled(Config::default(), vec![created("a"), strange("a", 2), linked("a", 3, "b"), created("c")]).await;
    world.check().await;
    assert!(world.marks.contains(&Mark::Parked(id("a"))));
    world.tell(Input::WhenApplied { request: RequestId(1), resource: id("a"), sequence: 3 }).await;
    world.settle().await;
    let Some(Answer::NotApplied { sequence: 1, poison: Some(poison) }) = answer(&world, 1) else {
        panic!("{:?}", answer(&world, 1))
    };
    assert_eq!(poison.sequence, 2);
    // The next process tries it again, and knows of it afterwards.
    world.crash().await;
    world.settle().await;
    world.check().await;
    assert_eq!(world.core.parked().keys().collect::<Vec<_>>(), [&id("a")]);
}

#[tokio::test]
async fn what_the_graph_refuses_for_good_stops_one_lane_and_a_rebuild_clears_it() {
    let mut world = World::in_memory(Config::default(), vec![created("a"), linked("a", 2, "b"), created("c")]).await;
    world.write_all();
    let is_apply = |action: &Action| matches!(action, Action::Apply { .. });
    // Together, then each on its own, then event by event: whatever has an event of `a` is refused.
    for _ in 0..40 {
        let Some(effect) = at(&world, is_apply) else {
            if at(&world, |action| !matches!(action, Action::Feed { after: 3, .. })).is_none() {
                break;
            }
            let other = at(&world, |action| !matches!(action, Action::Feed { after: 3, .. })).expect("just looked");
            world.execute(other).await;
            continue;
        };
        let LanesEffect::Do { action: Action::Apply { writes, .. }, .. } = &world.pending[effect] else {
            unreachable!()
        };
        let has_event = |write: &projection::lanes::Write| write.to.sequence > write.from.sequence;
        if writes.iter().any(|write| write.resource == id("a") && has_event(write)) {
            world.refuse(effect, false).await;
        } else {
            world.execute(effect).await;
        }
    }
    assert!(world.marks.iter().any(|mark| matches!(mark, Mark::Separated(_))), "{:?}", world.marks);
    assert_eq!(world.core.parked()[&id("a")].sequence, 1);
    assert_eq!(world.dump().await.marks[&id("c")].sequence, 1, "the other one goes on");
    world.tell(Input::Rebuild { request: RequestId(1), scope: Scope::One(id("a")) }).await;
    world.settle().await;
    world.check().await;
}

#[tokio::test]
async fn an_unknown_type_ends_the_process_where_that_is_wanted() {
    let config = Config { on_unknown: OnUnknown::Halt, ..Config::default() };
    let world = settled(config, vec![created("a"), strange("a", 2)]).await;
    assert!(world.core.status().halted);
    assert!(!world.dump().await.marks.contains_key(&id("a")), "not even what came before it with it");
    let mut core = world.core.clone();
    let request = RequestId(9);
    let step = core.handle(Millis(0), Input::Rebuild { request, scope: Scope::All });
    assert!(matches!(step.effects.as_slice(), [LanesEffect::Reply { answer: Answer::Rejected(_), .. }]));
}

#[tokio::test]
async fn many_events_are_few_transactions() {
    let names: Vec<String> = (0..50).map(|n| format!("r{n}")).collect();
    let mut log: Vec<Arc<Event>> = names.iter().map(|name| created(name)).collect();
    for sequence in 2..8 {
        log.extend(names.iter().map(|name| linked(name, sequence, "r0")));
    }
    let mut world = World::in_memory(Config::default(), log).await;
    world.write_all();
    let mut transactions = 0;
    while let Some(next) = at(&world, |action| !matches!(action, Action::Feed { after: 350, .. })) {
        let LanesEffect::Do { action, .. } = &world.pending[next] else { unreachable!() };
        transactions += usize::from(matches!(action, Action::Apply { .. } | Action::Load { .. }));
        world.execute(next).await;
    }
    world.settle().await;
    world.check().await;
    assert!(transactions * 10 <= 350, "{transactions} transactions for 350 events");
}

#[tokio::test]
async fn a_hole_is_never_passed() {
    let mut world = World::in_memory(Config::default(), vec![created("a"), linked("a", 2, "b")]).await;
    // Nothing is written before the log was heard of.
    world.settle().await;
    world.tell(Input::Deliver { events: vec![linked("a", 2, "b")] }).await;
    for _ in 0..50 {
        match at(&world, |action| !matches!(action, Action::Feed { .. })) {
            Some(next) => world.execute(next).await,
            None => world.pass_time().await,
        }
    }
    assert!(world.marks.contains(&Mark::Missing(id("a"))));
    assert_eq!(world.dump().await.marks.get(&id("a")), None);
    world.write_all();
    world.settle().await;
    world.check().await;
}

/// However much there is to read and however slow the graph is: beyond so many lanes the log waits, and a lane with nothing
/// to do is none.
#[tokio::test]
async fn the_lanes_in_memory_are_bounded_and_the_idle_ones_forgotten() {
    let resources: Vec<String> = (0..200).map(|number| format!("r{number}")).collect();
    let log = resources.iter().map(|resource| created(resource)).collect();
    let mut world = World::in_memory(TIGHT, log).await;
    world.write_all();
    let mut most = 0;
    while world.core.status().read < resources.len() as u64 {
        // The log is always read first, as far as the lanes will.
        let next = at(&world, |action| matches!(action, Action::Feed { .. })).unwrap_or(0);
        world.execute(next).await;
        most = most.max(world.core.status().lanes);
    }
    let bound = (TIGHT.lanes_max - 1 + TIGHT.page) as u64;
    assert!((TIGHT.lanes_max as u64..=bound).contains(&most), "{most} lanes; the bound is {bound}");
    world.settle().await;
    world.check().await;
    assert_eq!(world.core.status().lanes, 0);
}

/// Few lanes may hold much.
#[tokio::test]
async fn the_events_in_memory_are_bounded() {
    let config = Config { buffer_max: 1_000, page: 10, buffered_max: 25, ..Config::default() };
    let log = ["a", "b"].into_iter().flat_map(|name| {
        std::iter::once(created(name)).chain((2..=100).map(move |sequence| linked(name, sequence, "c")))
    });
    let mut world = World::in_memory(config, log.collect()).await;
    world.write_all();
    let mut most = 0;
    while world.core.status().read < 200 {
        // The log is always read first, as far as the lanes will.
        let next = at(&world, |action| matches!(action, Action::Feed { .. })).unwrap_or(0);
        world.execute(next).await;
        most = most.max(world.core.status().buffered);
    }
    let bound = (config.buffered_max - 1 + config.page) as u64;
    assert!((config.buffered_max as u64..=bound).contains(&most), "{most} events; the bound is {bound}");
    world.settle().await;
    world.check().await;
}

#[test]
fn a_start_asks_for_nothing_but_what_it_has_to_know() {
    let (core, first) = Lanes::start(Config::default());
    assert!(matches!(first.effects.as_slice(), [LanesEffect::Do { action: Action::Open, .. }]));
    assert_eq!(core.poll_timeout(), None);
}

#[test]
fn every_mark_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Mark::NAMES.iter().collect();
    assert_eq!(names.len(), Mark::NAMES.len());
    assert!(Mark::NAMES.contains(&Mark::Raised(1).name()));
}

/// Each of them shares its transactions: that another one was faster shows all the same, at the lane whose mark it moved.
#[tokio::test]
async fn who_was_fenced_in_a_shared_transaction_is_counted() {
    let config = Config { revive_period_ms: Millis(0), ..Config::default() };
    let mut world = settled(config, Vec::new()).await;
    let mut other = World::beside(&world).await;
    other.settle().await;
    let log = vec![created("a"), created("b"), created("c")];
    world.log.replace("", log.clone());
    let is_apply = |action: &Action| matches!(action, Action::Apply { .. });
    while at(&world, is_apply).is_none() {
        world.execute(0).await;
    }
    // The other one writes one of the three in between.
    other.tell(Input::Deliver { events: vec![log[1].clone()] }).await;
    while let Some(next) = at(&other, |action| !matches!(action, Action::Feed { .. })) {
        other.execute(next).await;
    }
    world.settle().await;
    let fenced: Vec<&Mark> = world.marks.iter().filter(|mark| matches!(mark, Mark::Fenced(_))).collect();
    assert_eq!(fenced, [&Mark::Fenced(id("b"))], "{:?}", world.marks);
    assert!(world.marks.contains(&Mark::Separated(id("a"))), "they were tried together");
    other.settle().await;
    world.check().await;
}
