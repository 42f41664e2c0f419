//! What cannot be read, in the log or in the graph: it stops what it is about, and nothing else.

use std::collections::BTreeMap;

use graph::Value;
use projection::lanes::{Answer, Config, Ended, Input, Mark, RequestId, Scope};
use projection::statements;
use stores::{Call, Expect, Statement};

use crate::script::{answer, created, id, linked, settled, strange};
use crate::world::{LIMIT, World};

/// The pause after which what was left out, or is parked, is tried again.
const PERIOD_MS: u64 = 60_000;

/// Makes of the sequence in the mark of `a` what is none, or a number again.
static BREAK_MARK: Statement = Statement {
    name: "break_mark",
    cypher: "never sent",
    columns: &[],
    run: |graph, params| {
        for mark in graph.find("Applied", "resource", &Value::from("a"))? {
            let mut properties = graph.properties(mark)?;
            properties.insert("seq".to_owned(), params["seq"].to_value().expect("a value"));
            graph.set_properties(mark, properties)?;
        }
        Ok(Vec::new())
    },
};

async fn set_mark(world: &World, seq: impl Into<stores::Datum>) {
    let params = BTreeMap::from([("seq".to_owned(), seq.into())]);
    let call = Call { statement: &BREAK_MARK, params, expect: Expect::Anything };
    world.graph.execute(vec![call], LIMIT).await.expect("anybody can do harm");
}

async fn ask(world: &mut World, request: u64, input: impl FnOnce(RequestId) -> Input) -> Ended {
    world.tell(input(RequestId(request))).await;
    world.settle().await;
    match answer(world, request) {
        Some(Answer::Ended(ended)) => ended,
        other => panic!("{other:?} is no end"),
    }
}

fn names(ended: &Ended) -> Vec<&str> {
    ended.left_out.iter().map(|out| out.resource.as_str()).collect()
}

#[tokio::test]
async fn a_damaged_event_stops_its_stream_and_no_other() {
    let log = vec![created("a"), linked("a", 2, "b"), linked("a", 3, "c"), created("b")];
    let mut world = World::in_memory(Config::default(), log).await;
    world.log.damage(2, true);
    world.write_all();
    world.settle().await;
    let marks = world.dump().await.marks;
    assert_eq!((marks[&id("a")].sequence, marks[&id("b")].sequence), (1, 1));
    let poison = marks[&id("a")].poison.clone().expect("its stream stops there");
    assert_eq!(poison.sequence, 2);
    assert!(poison.why.contains("a bit fell over"), "{poison:?}");
    assert_eq!(world.core.parked().keys().collect::<Vec<_>>(), [&id("a")]);
    assert!(world.marks.contains(&Mark::Unread(2)) && world.marks.contains(&Mark::StreamDamaged(id("a"))));
    let status = world.core.status();
    assert_eq!((status.read, status.low_water, status.unread), (4, 4, 0), "nobody waits for it");
    // Once it is repaired the lane goes on by itself.
    world.log.repair();
    world.later(PERIOD_MS).await;
    world.check().await;
}

/// The event was applied before it was damaged.
#[tokio::test]
async fn what_is_in_the_graph_already_does_not_have_to_be_read() {
    let mut world = settled(Config::default(), vec![created("a"), linked("a", 2, "b"), created("b")]).await;
    world.log.damage(2, true);
    world.crash().await;
    world.settle().await;
    world.check().await;
}

#[tokio::test]
async fn nothing_is_called_shown_behind_an_event_of_which_nobody_knows_whose_it_is() {
    let log = vec![created("a"), created("c"), created("b"), linked("a", 2, "b")];
    let mut world = World::in_memory(Config::default(), log).await;
    world.log.damage(2, false);
    world.write_all();
    world.settle().await;
    let marks = world.dump().await.marks;
    assert_eq!((marks[&id("a")].sequence, marks[&id("b")].sequence), (2, 1), "all others go on");
    let status = world.core.status();
    assert_eq!((status.read, status.low_water, status.unread), (4, 1, 1));
    assert_eq!(world.core.unread_events()[&2], "a bit fell over");
    // The next process finds it as well, or reads it if it was repaired.
    world.crash().await;
    world.settle().await;
    assert_eq!((world.core.status().low_water, world.core.status().unread), (1, 1));
    world.log.repair();
    world.crash().await;
    world.settle().await;
    world.check().await;
}

/// Whose it is shows at its neighbour.
#[tokio::test]
async fn a_hole_that_nobody_tells_of_is_found_at_the_next_event() {
    let log = vec![created("a"), linked("a", 2, "b"), linked("a", 3, "c")];
    let mut world = World::in_memory(Config::default(), log).await;
    world.log.damage(2, false);
    world.write_all();
    world.settle().await;
    assert_eq!(world.core.parked()[&id("a")].sequence, 2);
    world.log.repair();
    world.crash().await;
    world.settle().await;
    world.check().await;
}

#[tokio::test]
async fn a_rebuild_of_all_ends_names_what_it_left_out_and_tries_that_again() {
    let log = vec![created("a"), created("b"), linked("b", 2, "a"), linked("b", 3, "c"), created("c"), created("d")];
    let mut world = settled(Config::default(), log).await;
    set_mark(&world, "one").await;
    world.log.damage(3, true);
    let ended = ask(&mut world, 1, |request| Input::Rebuild { request, scope: Scope::All }).await;
    assert_eq!((ended.failed, names(&ended)), (2, vec!["a", "b"]));
    assert!(ended.left_out[0].why.contains("a mark") && ended.left_out[1].why.contains("a bit fell over"), "{ended:?}");
    let status = world.core.status();
    assert_eq!((status.left_out, status.rebuilding), (2, true), "it has not ended for them");
    let looked = statements::look_up(&["a", "b", "c", "d"].map(id));
    let rows = world.graph.execute(looked, LIMIT).await.expect("it is readable");
    let stands: Vec<_> = rows[1].iter().map(|mark| (mark[0].as_text(), mark[1].as_int(), mark[2].as_int())).collect();
    let rebuilt = |name| (Some(name), Some(1), Some(1));
    let left = [(Some("a"), None, Some(0)), (Some("b"), Some(3), Some(1))];
    assert_eq!(stands, [left[0], left[1], rebuilt("c"), rebuilt("d")], "two stay as they were");
    // Again and again, one by one as they become readable.
    world.later(PERIOD_MS).await;
    assert_eq!(world.core.status().left_out, 2);
    set_mark(&world, 1).await;
    world.later(PERIOD_MS).await;
    assert_eq!((world.core.status().left_out, world.core.status().rebuilding), (1, true));
    world.log.repair();
    world.later(PERIOD_MS).await;
    assert_eq!((world.core.status().left_out, world.core.status().rebuilding), (0, false));
    world.later(PERIOD_MS).await;
    world.check().await;
    assert!(world.dump().await.marks.values().all(|mark| mark.generation == 1));
}

#[tokio::test]
async fn a_comparison_of_all_ends_names_what_it_left_out_and_tries_that_again() {
    let log = vec![created("a"), created("b"), linked("b", 2, "a"), created("c")];
    let mut world = settled(Config::default(), log).await;
    set_mark(&world, "one").await;
    world.log.damage(2, true);
    let ended = ask(&mut world, 1, |request| Input::Reconcile { request, scope: Scope::All }).await;
    assert_eq!((ended.failed, names(&ended), ended.resources), (2, vec!["a", "b"], 3));
    assert_eq!((world.core.status().left_out, world.core.status().rebuilding), (2, false));
    set_mark(&world, 1).await;
    world.log.repair();
    world.later(PERIOD_MS).await;
    assert_eq!(world.core.status().left_out, 0);
    world.check().await;
}

#[tokio::test]
async fn whoever_asks_for_one_resource_is_told_that_it_cannot_be_read() {
    let mut world = settled(Config::default(), vec![created("a"), created("b")]).await;
    set_mark(&world, "one").await;
    world.log.damage(2, true);
    for (request, name) in [(1, "a"), (2, "b")] {
        let ended = ask(&mut world, request, |request| Input::Rebuild { request, scope: Scope::One(id(name)) }).await;
        assert_eq!((ended.failed, names(&ended)), (1, vec![name]));
        let ended =
            ask(&mut world, 10 + request, |request| Input::Reconcile { request, scope: Scope::One(id(name)) }).await;
        assert_eq!((ended.failed, names(&ended)), (1, vec![name]));
    }
}

/// A resource that the graph never stops refusing holds nobody up for ever.
#[tokio::test]
async fn what_fails_too_often_is_left_out() {
    let mut world = settled(Config { attempts_max: 3, ..Config::default() }, vec![created("a"), created("b")]).await;
    world.tell(Input::Rebuild { request: RequestId(1), scope: Scope::All }).await;
    for _ in 0..10_000 {
        if answer(&world, 1).is_some() {
            break;
        }
        let is_of_a = |effect: &projection::lanes::LanesEffect| match effect {
            projection::lanes::LanesEffect::Do { action: projection::lanes::Action::Apply { writes, .. }, .. } => {
                writes.iter().any(|write| write.resource == id("a"))
            }
            _ => false,
        };
        let feeds = |effect: &projection::lanes::LanesEffect| {
            matches!(effect, projection::lanes::LanesEffect::Do { action: projection::lanes::Action::Feed { .. }, .. })
        };
        match world.pending.iter().position(|effect| !feeds(effect)) {
            Some(at) if is_of_a(&world.pending[at]) => world.lose(at, false).await,
            Some(at) => world.execute(at).await,
            None => world.pass_time().await,
        }
    }
    let Some(Answer::Ended(ended)) = answer(&world, 1) else { panic!("it never ends") };
    assert_eq!((ended.failed, names(&ended)), (1, vec!["a"]), "{ended:?}");
}

/// Somebody else clears what stood in the way, and is gone before the next event.
#[tokio::test]
async fn what_another_process_unparked_goes_on_here() {
    let log = vec![created("a"), created("b"), linked("a", 2, "b")];
    let mut world = World::in_memory(Config::default(), log).await;
    world.write_one();
    refuse_events_of_a(&mut world).await;
    assert_eq!(world.core.parked()[&id("a")].sequence, 1);
    let mut other = World::beside(&world).await;
    other.settle().await;
    assert_eq!(other.dump().await.marks[&id("a")].sequence, 1, "the other one could apply it");
    drop(other);
    world.write_all();
    world.settle().await;
    world.check().await;
}

#[tokio::test]
async fn that_another_process_unparked_it_is_noticed_without_an_event_too() {
    let mut world = World::in_memory(Config::default(), vec![created("a"), strange("b", 1)]).await;
    world.write_all();
    refuse_events_of_a(&mut world).await;
    world.settle().await;
    World::beside(&world).await.settle().await;
    let parked = |world: &World| world.marks.iter().filter(|mark| matches!(mark, Mark::Parked(_))).count();
    let before = parked(&world);
    assert_eq!(world.core.parked().keys().collect::<Vec<_>>(), [&id("a"), &id("b")]);
    world.later(PERIOD_MS).await;
    world.check().await;
    assert_eq!(world.core.parked().keys().collect::<Vec<_>>(), [&id("b")]);
    assert_eq!(parked(&world), before, "what is parked still is not parked once more");
}

/// A list that was read before says nothing about what is parked since.
#[tokio::test]
async fn what_is_parked_while_a_list_is_under_way_stays_so() {
    use projection::lanes::{EffectId, Input, LanesEffect, Listing, Report};
    let mut world = World::in_memory(Config::default(), vec![strange("a", 1), strange("b", 1)]).await;
    world.write_all();
    let lists = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { id: EffectId::List(Listing::Parked), .. });
    let feeds = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { id: EffectId::Feed, .. });
    while world.core.parked().len() < 2 {
        let next =
            world.pending.iter().position(|effect| !lists(effect) && (!feeds(effect) || world.core.status().read == 0));
        world.execute(next.expect("there is something to do")).await;
    }
    let list = world.pending.iter().position(lists).expect("the list is under way");
    world.pending.remove(list);
    let report = Report::Listed { resources: Vec::new(), more: false };
    world.tell(Input::Done { effect: EffectId::List(Listing::Parked), report }).await;
    world.settle().await;
    assert_eq!(world.core.parked().keys().collect::<Vec<_>>(), [&id("a"), &id("b")]);
    assert_eq!(world.core.status().parked, 2);
    world.check().await;
}

/// Whatever has an event of `a` is refused for good, until that is parked.
async fn refuse_events_of_a(world: &mut World) {
    use projection::lanes::{Action, LanesEffect};
    while !world.core.parked().contains_key(&id("a")) {
        let apply = world.pending.iter().position(|effect| {
            matches!(effect, LanesEffect::Do { action: Action::Apply { writes, .. }, .. }
                if writes.iter().any(|write| write.resource == id("a") && write.to.sequence > 0))
        });
        match apply {
            Some(at) => world.refuse(at, false).await,
            None if world.pending.len() > 1 || world.core.status().read == 0 => world.execute(0).await,
            None => world.pass_time().await,
        }
    }
}

/// The log as a release reads it that does not know an event which another one has applied; and as that one reads it.
fn two_readings() -> [Vec<std::sync::Arc<projection::event::Event>>; 2] {
    let known = vec![created("a"), linked("a", 2, "b"), linked("a", 3, "c"), created("d"), linked("d", 2, "a")];
    let mut unknown = known.clone();
    unknown[1] = strange("a", 2);
    [unknown, known]
}

#[tokio::test]
async fn what_another_release_has_applied_stays_where_this_one_cannot_follow() {
    for scope in [Scope::One(id("a")), Scope::All] {
        let [unknown, known] = two_readings();
        let mut world = settled(Config::default(), known.clone()).await;
        let before = world.dump().await;
        world.log.replace("", unknown);
        let rebuild = |request| Input::Rebuild { request, scope: scope.clone() };
        let reconcile = |request| Input::Reconcile { request, scope: scope.clone() };
        for ended in [ask(&mut world, 1, reconcile).await, ask(&mut world, 2, rebuild).await] {
            assert_eq!((ended.failed, names(&ended)), (1, vec!["a"]));
            assert!(ended.left_out[0].why.contains("event 2 is in the graph"), "{ended:?}");
        }
        let after = world.dump().await;
        assert_eq!(after.graph.to_string(), before.graph.to_string(), "what the other one shows is shown");
        assert_eq!(after.marks[&id("a")].sequence, 3);
        assert!(!world.marks.contains(&Mark::AheadOfLog(id("a"))), "the log has all of it");
        // The other release goes on with it.
        world.log.replace("", known);
        world.later(PERIOD_MS).await;
        world.check().await;
        assert_eq!(world.core.status().left_out, 0);
    }
}

/// Nobody asked for it, and the lane cannot go on without: it is parked, and shows what it did.
#[tokio::test]
async fn a_resource_that_has_to_be_rebuilt_and_cannot_be_is_parked_and_stays() {
    let [mut unknown, mut known] = two_readings();
    let mut world = settled(Config::default(), known.clone()).await;
    let rebuild = |request| Input::Rebuild { request, scope: Scope::All };
    world.log.replace("", unknown.clone());
    ask(&mut world, 1, rebuild).await;
    let before = world.dump().await;
    assert!(before.marks[&id("a")].partial, "the second pass has left it out");
    for log in [&mut known, &mut unknown] {
        log.push(linked("a", 4, "e"));
    }
    world.log.replace("", unknown);
    world.settle().await;
    let after = world.dump().await;
    assert_eq!(after.graph.to_string(), before.graph.to_string());
    assert_eq!(after.marks[&id("a")].sequence, 3);
    assert_eq!(world.core.parked()[&id("a")].sequence, 2);
    world.log.replace("", known);
    world.later(PERIOD_MS).await;
    world.check().await;
}

/// What stands next to the mark is behind it: nothing stands in the way of what follows.
#[tokio::test]
async fn a_poison_that_the_mark_has_passed_is_taken_away() {
    let mut world = settled(Config::default(), vec![created("a"), linked("a", 2, "b"), linked("a", 3, "c")]).await;
    let from = world.dump().await.marks[&id("a")].clone();
    let poison = projection::lanes::Poison { sequence: 2, why: "it was once".to_owned() };
    let to = projection::lanes::Applied { poison: Some(poison), ..from.clone() };
    let write = projection::lanes::Write { resource: id("a"), from, to, changes: Vec::new() };
    world.graph.execute(statements::apply(0, &[write]), LIMIT).await.expect("it is there");
    // Nobody here has parked it: the graph says so.
    world.later(PERIOD_MS).await;
    world.check().await;
    assert!(world.marks.contains(&Mark::Unparked(id("a"))), "{:?}", world.marks);
}
