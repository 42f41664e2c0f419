//! A log that is replaced by another one: an older copy of it, or one that has nothing to do with it.

use projection::lanes::{
    Action, Answer, Config, EffectId, Failure, Input, LanesEffect, Listing, Mark, Report, RequestId, Scope,
};

use projection::lanes::OnForeign;
use projection::log::LogId;

use crate::script::{answer, created, id, linked, settled, strange};
use crate::world::{TIGHT, World};

/// How often the graph was given to another log.
fn turned(world: &World) -> usize {
    world.marks.iter().filter(|mark| matches!(mark, Mark::Turned(_))).count()
}

async fn old() -> World {
    let log = vec![created("a"), linked("a", 2, "b"), created("b"), linked("a", 3, "c"), created("gone")];
    let world = settled(Config::default(), log).await;
    world.check().await;
    assert_eq!(turned(&world), 0, "the first log is not another one");
    world
}

/// The restored log is shorter and goes on differently, at positions that were read long ago.
#[tokio::test]
async fn a_log_that_was_restored_is_read_from_its_beginning() {
    for id_of_it in ["restored", ""] {
        let mut world = old().await;
        // A store that kept its id says by its end that it is another one.
        world.log.replace(id_of_it, vec![created("a"), linked("a", 2, "d"), created("d")]);
        world.settle().await;
        world.check().await;
        assert_eq!(turned(&world), 1);
        assert!(world.marks.contains(&Mark::AheadOfLog(id("a"))), "its mark goes back to where the log ends");
        let marks = world.dump().await.marks;
        assert_eq!((marks[&id("a")].sequence, marks[&id("gone")].sequence), (2, 0));
        assert!(marks.values().all(|mark| mark.generation > 0), "{marks:?}");
        // What is written behind the position of the old log, and before it, is read as ever.
        world.log.replace(id_of_it, vec![created("a"), linked("a", 2, "d"), created("d"), created("e"), created("f")]);
        world.settle().await;
        world.check().await;
        assert_eq!(turned(&world), 1);
    }
}

#[tokio::test]
async fn a_log_that_has_come_further_than_the_old_one_is_told_apart_by_its_id() {
    let mut world = old().await;
    let mut log = vec![created("a"), created("x")];
    log.extend((2..9).map(|sequence| linked("a", sequence, "x")));
    world.log.replace("new", log);
    world.settle().await;
    world.check().await;
    assert_eq!((turned(&world), world.core.log().map(|log| log.0.as_str())), (1, Some("new")));
    // Whoever starts next knows it.
    world.crash().await;
    world.settle().await;
    world.check().await;
    assert_eq!(turned(&world), 1);
}

/// A mark of the old log may be where the new one has its next event: it is not applied to what the old one left.
#[tokio::test]
async fn nothing_is_applied_to_what_the_old_log_left() {
    let mut world = old().await;
    world.log.replace("new", vec![created("a"), linked("a", 2, "x"), linked("a", 3, "y"), linked("a", 4, "z")]);
    let mut untrusted = 0;
    while turned(&world) == 0 || world.core.status().rebuilding {
        let effect = world
            .pending
            .iter()
            .position(|effect| matches!(effect, LanesEffect::Do { action: Action::Apply { .. }, .. }));
        let effect = effect.unwrap_or(0);
        if let LanesEffect::Do { action: Action::Apply { writes, .. }, .. } = &world.pending[effect] {
            for write in writes.iter().filter(|write| write.from.sequence > 0 && write.from.generation == 0) {
                untrusted += 1;
                assert!(write.to.generation > 0, "{write:?} is no rebuild");
            }
        }
        world.execute(effect).await;
    }
    assert!(untrusted > 0, "there was something to distrust");
    world.settle().await;
    world.check().await;
}

/// What is under way when the log is found to be another one was asked of the old one.
#[tokio::test]
async fn what_is_under_way_ends_before_the_graph_is_turned() {
    let mut world = old().await;
    world.tell(Input::Rebuild { request: RequestId(1), scope: Scope::One(id("a")) }).await;
    world.tell(Input::WhenApplied { request: RequestId(2), resource: id("b"), sequence: 2 }).await;
    world.log.replace("new", vec![created("b"), linked("b", 2, "a")]);
    let is = |wanted: &EffectId, effect: &LanesEffect| matches!(effect, LanesEffect::Do { id, .. } if id == wanted);
    let feed = world.pending.iter().position(|effect| is(&EffectId::Feed, effect)).expect("the log is read");
    world.execute(feed).await;
    assert!(!world.pending.is_empty() && !world.pending.iter().any(|effect| is(&EffectId::Turn, effect)));
    while !world.pending.iter().any(|effect| is(&EffectId::Turn, effect)) {
        world.execute(0).await;
    }
    assert_eq!(world.pending.len(), 1, "{:?}", world.pending);
    // It is tried until it is done, and whoever waited is answered from the new log.
    world.refuse(0, true).await;
    world.settle().await;
    world.check().await;
    assert!(matches!(answer(&world, 1), Some(Answer::Ended(_))), "{:?}", answer(&world, 1));
    assert_eq!(answer(&world, 2), Some(Answer::Applied { sequence: 2 }));
}

/// A position of the old log, written by a process that is no more, is none of the new one.
#[tokio::test]
async fn a_late_checkpoint_of_the_old_log_changes_nothing() {
    let mut world = old().await;
    world.log.replace("new", vec![created("d")]);
    world.settle().await;
    let action = Action::Checkpoint { since: 0, position: 5 };
    world.strays.push(LanesEffect::Do { id: EffectId::Checkpoint, action });
    world.arrive(0).await;
    world.crash().await;
    world.log.replace("new", (0..9).map(|number| created(&format!("r{number}"))).collect());
    world.settle().await;
    assert_eq!(world.core.status().read, 9);
    assert!(world.dump().await.marks.contains_key(&id("r2")), "what is before that position was read");
}

/// Whoever is told by the graph that it is of another log now looks again.
#[tokio::test]
async fn a_checkpoint_of_another_log_is_refused_and_noticed() {
    let mut world = old().await;
    let mut other = World::beside(&world).await;
    other.settle().await;
    world.log.replace("new", vec![created("d")]);
    world.settle().await;
    // The other one has not heard of it, and is about to write down how far it has come.
    let report = Report::Checkpointed { since: world.core.status().generation };
    other.tell(Input::Done { effect: EffectId::Checkpoint, report }).await;
    other.settle().await;
    other.check().await;
    assert_eq!(turned(&other), 1);
}

#[tokio::test]
async fn two_projectors_turn_the_graph_once() {
    let mut one = old().await;
    let mut other = World::beside(&one).await;
    other.settle().await;
    one.log.replace("new", vec![created("a"), linked("a", 2, "d"), created("d")]);
    for _ in 0..200 {
        for world in [&mut one, &mut other] {
            if !world.pending.is_empty() {
                world.execute(0).await;
            }
        }
    }
    one.settle().await;
    other.settle().await;
    one.check().await;
    other.check().await;
    let generations: Vec<u64> = [&one, &other].map(|world| world.core.status().generation).into();
    assert_eq!(generations[0], generations[1], "what one of them began the other one goes on with");
}

/// One of two projectors holds an event of the old log while the other one turns the graph and rebuilds the resource: what it
/// was about to write does not follow what the graph has now, though the sequence says so.
#[tokio::test]
async fn an_event_of_the_old_log_is_not_applied_to_what_was_rebuilt_from_the_new_one() {
    let log = vec![created("a"), linked("a", 2, "b"), linked("a", 3, "c")];
    let mut slow = World::in_memory(Config::default(), log).await;
    (0..2).for_each(|_| slow.write_one());
    slow.settle().await;
    let mut quick = World::beside(&slow).await;
    quick.settle().await;
    slow.write_one();
    let is = |effect: &LanesEffect, wanted: fn(&Action) -> bool| matches!(effect, LanesEffect::Do { action, .. } if wanted(action));
    let applies = |effect: &LanesEffect| is(effect, |action| matches!(action, Action::Apply { .. }));
    while !slow.pending.iter().any(applies) {
        slow.execute(0).await;
    }
    let new = vec![created("a"), linked("a", 2, "d"), created("d")];
    quick.log.replace("new", new.clone());
    quick.settle().await;
    let rebuilt = quick.dump().await;
    assert_eq!((turned(&quick), rebuilt.marks[&id("a")].sequence), (1, 2));
    // It goes on where it stood, and has not heard of the new log.
    for _ in 0..20 {
        let next = slow.pending.iter().position(|effect| !is(effect, |action| matches!(action, Action::Feed { .. })));
        match next {
            Some(next) => slow.execute(next).await,
            None => slow.pass_time().await,
        }
    }
    assert_eq!(quick.dump().await, rebuilt, "nothing of the old log came into the graph");
    let end = linked("a", 3, "e");
    quick.log.replace("new", new.into_iter().chain([end]).collect());
    slow.settle().await;
    quick.settle().await;
    slow.check().await;
    quick.check().await;
    assert!(slow.marks.contains(&Mark::Fenced(id("a"))), "{:?}", slow.marks);
}

/// A write of a process that is no more changes nothing in the graph of another log: not even of a resource that this log does
/// not have.
#[tokio::test]
async fn a_late_write_of_the_old_log_changes_nothing() {
    let mut world = World::in_memory(Config::default(), vec![created("a"), created("gone")]).await;
    world.write_one();
    world.settle().await;
    world.write_one();
    let applies = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { action: Action::Apply { .. }, .. });
    while !world.pending.iter().any(applies) {
        world.execute(0).await;
    }
    world.crash().await;
    world.log.replace("new", vec![created("a"), linked("a", 2, "b")]);
    world.settle().await;
    while !world.strays.is_empty() {
        world.arrive(0).await;
    }
    world.check().await;
    assert!(!world.dump().await.marks.contains_key(&id("gone")));
}

/// As for any other effect: nobody knows, so it is asked again, and done once.
#[tokio::test]
async fn a_turn_of_which_nobody_knows_is_done_once() {
    for done in [true, false] {
        let mut world = old().await;
        world.log.replace("new", vec![created("d")]);
        let turn = loop {
            let turn = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { action: Action::Turn { .. }, .. });
            match world.pending.iter().position(turn) {
                Some(at) => break at,
                None => world.execute(0).await,
            }
        };
        world.lose(turn, done).await;
        world.settle().await;
        while !world.strays.is_empty() {
            world.arrive(0).await;
        }
        world.settle().await;
        world.check().await;
        assert_eq!(turned(&world), 1);
        let failed = Input::Failed { effect: EffectId::Feed, failure: Failure::Unknown { reason: String::new() } };
        let feeds =
            world.pending.iter().position(|effect| matches!(effect, LanesEffect::Do { id: EffectId::Feed, .. }));
        world.pending.remove(feeds.expect("the log is read on"));
        world.tell(failed).await;
        world.settle().await;
        world.check().await;
    }
}

/// How the projector is called to that log by its graph: it takes it, or it ends.
async fn meets(graph_of: &str, config: Config, own: Option<&str>) -> World {
    let mut first = settled(Config::default(), vec![created("a")]).await;
    first.log.replace(graph_of, vec![created("a")]);
    first.settle().await;
    first.log.replace("here", vec![created("a"), linked("a", 2, "b")]);
    let mut world = World::going_on(&first, config, own.map(|id| LogId(id.to_owned()))).await;
    world.settle().await;
    world
}

#[tokio::test]
async fn a_graph_of_another_event_store_is_taken_over_by_whoever_is_told_to_or_has_read_its_log() {
    let careful = Config { on_foreign: OnForeign::Halt, ..Config::default() };
    for (graph_of, config, own) in [
        ("here", careful, None),
        ("there", careful, Some("there")),
        ("there", Config::default(), None),
        ("there", Config::default(), Some("elsewhere")),
    ] {
        let world = meets(graph_of, config, own).await;
        world.check().await;
        assert_eq!(turned(&world), usize::from(graph_of != "here"), "{own:?}");
        assert_eq!(world.core.own_log(), Some(&LogId("here".to_owned())));
    }
    for own in [None, Some("here"), Some("elsewhere")] {
        let world = meets("there", careful, own).await;
        assert!(world.core.status().halted, "{own:?}");
        assert_eq!(turned(&world), 0);
        assert_eq!(world.dump().await.marks[&id("a")].sequence, 1, "the graph stays as it was");
    }
}

/// Each of them has an event store of its own, and the second was told to take the graph over.
#[tokio::test]
async fn two_event_stores_do_not_fight_for_a_graph() {
    let mut one = settled(Config::default(), vec![created("a"), created("b")]).await;
    let mut other = World::of_another_store(&one, "other", vec![created("c")]).await;
    for _ in 0..50 {
        one.settle().await;
        other.settle().await;
        // What one of them does is seen by the other one at its next write.
        one.log.replace("", [one.log.visible(), vec![created(&format!("r{}", one.log.visible().len()))]].concat());
    }
    assert!(one.core.status().halted, "the graph was taken from it, and its own log is what it was");
    assert!(!other.core.status().halted);
    assert_eq!((turned(&one), turned(&other)), (1, 1), "one has heard of it, and turned nothing back");
    other.check().await;
}

/// Whoever asks, and whatever the stream has: before it is known which log that is, nothing of it comes into the graph.
#[tokio::test]
async fn nothing_is_applied_before_the_log_is_known_to_be_the_graphs() {
    let first = settled(Config::default(), vec![created("a")]).await;
    for on_foreign in [OnForeign::Halt, OnForeign::TakeOver] {
        let config = Config { on_foreign, ..Config::default() };
        let mut world = World::of_another_store(&first, "other", vec![created("b")]).await;
        (world.core, _) = projection::lanes::Lanes::start(config);
        world.tell(Input::WhenApplied { request: RequestId(1), resource: id("b"), sequence: 1 }).await;
        for _ in 0..20 {
            let is_feed = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { action: Action::Feed { .. }, .. });
            match world.pending.iter().position(|effect| !is_feed(effect)) {
                Some(next) => world.execute(next).await,
                None => break,
            }
        }
        assert!(!world.dump().await.marks.contains_key(&id("b")), "{on_foreign:?}");
        world.settle().await;
        assert_eq!(world.core.status().halted, on_foreign == OnForeign::Halt);
    }
}

/// A lane that waits for an event of the old log takes all the room that there is, and that log will not be read again.
#[tokio::test]
async fn a_log_that_is_replaced_is_noticed_where_there_is_no_room_to_read_it() {
    let config = Config { lanes_max: 1, buffer_max: 1, ..TIGHT };
    let mut world = World::in_memory(config, vec![created("a"), linked("a", 2, "b"), linked("a", 3, "c")]).await;
    world.write_all();
    // It hears of all three events and keeps the first.
    while world.core.read() < 3 {
        world.execute(0).await;
    }
    world.log.replace("new", vec![created("b"), linked("b", 2, "a")]);
    world.settle().await;
    world.check().await;
    assert!(
        world.marks.contains(&Mark::Missing(id("a"))),
        "it asked the new log for what only the old one had: {:?}",
        world.marks
    );
}

/// What somebody tells of need never come to be in the log.
#[tokio::test]
async fn what_the_log_never_had_does_not_keep_it_from_being_read() {
    let mut world = World::in_memory(Config { lanes_max: 1, ..TIGHT }, vec![created("b"), created("c")]).await;
    world.settle().await;
    world.tell(Input::Deliver { events: vec![linked("a", 7, "b")] }).await;
    world.write_all();
    world.settle().await;
    world.check().await;
}

/// The first pass of the rebuild leaves a mark where the old log had it, and next to it what stood in the way there.
#[tokio::test]
async fn what_stood_in_the_way_of_the_old_log_hides_nothing_of_the_new_one() {
    let mut world = settled(TIGHT, vec![created("a"), strange("a", 2)]).await;
    assert!(world.core.parked().contains_key(&id("a")));
    world.log.replace("new", vec![created("a"), linked("a", 2, "b"), created("b")]);
    while turned(&world) == 0 {
        world.execute(0).await;
    }
    // The rebuild is faster than the feed, and its second pass is slow to begin.
    let is_slow = |effect: &LanesEffect| {
        matches!(effect, LanesEffect::Do { id: EffectId::List(Listing::Parked) | EffectId::Feed, .. })
    };
    while !world.marks.contains(&Mark::NodeMade(id("a"))) {
        let next = world.pending.iter().position(|effect| !is_slow(effect)).expect("it is rebuilt");
        world.execute(next).await;
    }
    assert!(world.core.parked().is_empty(), "{:?}", world.core.parked());
    let is_walk =
        |effect: &LanesEffect| matches!(effect, LanesEffect::Do { id: EffectId::List(_) | EffectId::Feed, .. });
    world.tell(Input::Reconcile { request: RequestId(1), scope: Scope::One(id("a")) }).await;
    while answer(&world, 1).is_none() {
        let next = world.pending.iter().position(|effect| !is_walk(effect)).expect("it is compared");
        world.execute(next).await;
    }
    assert_eq!(world.dump().await.marks[&id("a")].sequence, 2, "it is compared with all of the new log");
    world.crash().await;
    world.settle().await;
    world.check().await;
}

/// The old log had more of the resource, so the mark says that it is in the graph; and then the rebuild takes the mark back.
#[tokio::test]
async fn an_event_that_comes_while_its_resource_is_rebuilt_from_the_new_log_is_no_duplicate() {
    let mut world = old().await;
    world.log.replace("new", vec![created("a")]);
    let is_rebuilt = |effect: &LanesEffect| match effect {
        LanesEffect::Do { action: Action::Apply { writes, .. }, .. } => {
            writes.iter().any(|write| write.resource == id("a") && write.to.generation > 0 && !write.to.partial)
        }
        _ => false,
    };
    while !world.pending.iter().any(is_rebuilt) {
        world.execute(0).await;
    }
    world.log.replace("new", vec![created("a"), linked("a", 2, "b")]);
    let is_feed = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { id: EffectId::Feed, .. });
    let feed = world.pending.iter().position(is_feed).expect("the log is read");
    world.execute(feed).await;
    assert_eq!(world.core.read(), 2);
    world.settle().await;
    world.check().await;
}

#[tokio::test]
async fn what_the_new_log_has_damaged_parks_a_resource_that_the_old_one_had() {
    let mut world = settled(TIGHT, vec![created("a")]).await;
    world.log.replace("new", vec![created("a"), linked("a", 2, "b"), created("b")]);
    world.log.damage(2, true);
    world.settle().await;
    assert_eq!(world.core.parked()[&id("a")].sequence, 2);
    world.log.repair();
    world.later(TIGHT.revive_period_ms.0.max(TIGHT.left_out_period_ms.0)).await;
    world.check().await;
}

/// It is tried again every so often, and keeps no room in between.
#[tokio::test]
async fn what_somebody_told_of_and_the_log_never_had_parks_its_resource_alone() {
    let mut world = World::in_memory(Config { lanes_max: 1, ..TIGHT }, vec![created("a"), created("b")]).await;
    world.write_one();
    world.settle().await;
    world.tell(Input::Deliver { events: vec![strange("a", 2)] }).await;
    world.settle().await;
    assert_eq!(world.core.parked()[&id("a")].sequence, 2);
    for _ in 0..3 {
        world.later(TIGHT.revive_period_ms.0).await;
    }
    world.write_all();
    world.settle().await;
    assert_eq!(world.dump().await.marks[&id("b")].sequence, 1);
}
