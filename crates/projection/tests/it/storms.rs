//! Whatever the order, the duplicates, the losses and the crashes: in the end the graph is what the
//! reference makes of the log.

use std::sync::Arc;

use projection::event::Event;
use projection::lanes::{Input, RequestId, Scope};
use proptest::prelude::*;

use crate::generate;
use crate::world::{TIGHT, World};

/// One thing that happens, and a choice.
type Turn = (u8, u16);

fn turns(max: usize) -> impl Strategy<Value = Vec<Turn>> {
    proptest::collection::vec(any::<Turn>(), 0..max)
}

async fn turn(world: &mut World, (what, choice): Turn) {
    let choice = usize::from(choice);
    let pick = |count: usize| (count > 0).then(|| choice % count);
    match what % 32 {
        0..=13 => {
            if let Some(at) = pick(world.pending.len()) {
                world.execute(at).await;
            }
        }
        14..=18 => (0..=choice % 5).for_each(|_| world.write_one()),
        19..=22 => {
            let visible = world.log.visible();
            if let Some(at) = pick(visible.len()) {
                // Some of them, backwards.
                let events: Vec<Arc<Event>> = visible[at..].iter().rev().take(1 + choice % 4).cloned().collect();
                world.tell(Input::Deliver { events }).await;
            }
        }
        23 | 24 => {
            if let Some(at) = pick(world.pending.len()) {
                world.lose(at, choice.is_multiple_of(2)).await;
            }
        }
        25 => {
            if let Some(at) = pick(world.pending.len()) {
                world.refuse(at, true).await;
            }
        }
        26 => {
            if let Some(at) = pick(world.strays.len()) {
                world.arrive(at).await;
            }
        }
        27 | 28 => world.pass_time().await,
        29 => world.crash().await,
        30 if choice.is_multiple_of(4) => {
            let scope = Scope::All;
            let request = RequestId(choice as u64);
            let rebuild = Input::Rebuild { request, scope: scope.clone() };
            let input = if choice.is_multiple_of(8) { rebuild } else { Input::Reconcile { request, scope } };
            world.tell(input).await;
        }
        _ => {
            let resource = generate::id((choice % 7) as u8 % generate::RESOURCES);
            let request = RequestId(choice as u64);
            let input = match choice % 3 {
                0 => Input::Rebuild { request, scope: Scope::One(resource) },
                1 => Input::Reconcile { request, scope: Scope::One(resource) },
                _ => Input::WhenApplied { request: RequestId(u64::MAX - choice as u64), resource, sequence: 3 },
            };
            // A client uses a name once.
            if !world.asked.insert(input_request(&input)) {
                return;
            }
            world.tell(input).await;
        }
    }
}

fn input_request(input: &Input) -> RequestId {
    match input {
        Input::Rebuild { request, .. } | Input::Reconcile { request, .. } | Input::WhenApplied { request, .. } => {
            *request
        }
        other => unreachable!("{other:?} is no request"),
    }
}

async fn storm(world: &mut World, turns: Vec<Turn>) {
    for one in turns {
        turn(world, one).await;
    }
    world.write_all();
    world.settle().await;
    // What was delayed for longest comes when all is done, and does nothing any more.
    while !world.strays.is_empty() {
        world.arrive(0).await;
    }
    world.settle().await;
    world.check().await;
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_graph_is_what_the_events_say(log in generate::log(60), turns in turns(250)) {
        run(async {
            let mut world = World::in_memory(TIGHT, log).await;
            storm(&mut world, turns).await;
        });
    }

    /// By one that has nothing to do with it but the names; with all that was under way.
    #[test]
    fn a_log_that_is_replaced_is_what_counts(
        logs in (generate::poisoned_log(40), generate::poisoned_log(40)),
        storms in (turns(150), turns(150)),
        known in any::<bool>(),
    ) {
        run(async {
            let mut world = World::in_memory(TIGHT, logs.0).await;
            for one in storms.0 {
                turn(&mut world, one).await;
            }
            // A process that was slow to claim the graph for the first log claims it under the eyes of one that reads the
            // second: to that one it is a projector of somebody else's, and whoever starts it again says otherwise.
            world.supervised = !known;
            // A log that was never read cannot be told from the one that came in its place.
            if known {
                world.write_all();
                world.settle().await;
            }
            world.log.replace("another", logs.1);
            for one in storms.1 {
                turn(&mut world, one).await;
                // What was sent before a crash is done, or never, long before a rebuild of all is over.
                while !world.strays.is_empty() {
                    world.arrive(0).await;
                }
            }
            world.settle().await;
            world.check().await;
        });
    }

    #[test]
    fn a_poison_stops_its_own_lane_only(log in generate::poisoned_log(60), turns in turns(250)) {
        run(async {
            let mut world = World::in_memory(TIGHT, log).await;
            storm(&mut world, turns).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hundreds_of_events(log in generate::log(600), turns in turns(800)) {
        run(async {
            let mut world = World::in_memory(TIGHT, log).await;
            storm(&mut world, turns).await;
        });
    }

    #[test]
    fn the_graph_in_sqlite_is_what_the_events_say(log in generate::poisoned_log(80), turns in turns(150)) {
        run(async {
            let folder = tempfile::TempDir::new().expect("a folder");
            let mut world = World::on_sqlite(&folder, TIGHT, log).await;
            storm(&mut world, turns).await;
        });
    }
}
