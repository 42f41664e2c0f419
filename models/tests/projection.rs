//! The projection, searched to the end, and refuted without each of its parts.

#[allow(dead_code, reason = "each binary uses its own part of it")]
mod common;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use common::{assert_checked, complaints, is_large};
use models::projection::{Action, Bounds, Budget, Flaw, Pace, ProjectionModel};
use models::{Counterexample, Size, replay, search, shortest};
use stateright::{Expectation, Model};

const NOTHING: Budget = Budget { deliveries: 0, crashes: 0, losses: 0, rebuilds: 0 };

#[test]
fn the_projection_is_correct() {
    assert_checked("projection", Size::Small);
}

/// Of the orders of eight events that keep each resource's own, none is left out: the model has all
/// interleavings that there are.
#[test]
fn events_take_effect_in_every_order_that_keeps_those_of_each_resource() {
    let model = ProjectionModel::new(Bounds::orders(Pace::Ordered));
    let (mut open, mut seen, mut orders) = (model.init_states(), BTreeSet::new(), BTreeSet::new());
    while let Some(state) = open.pop() {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        if !seen.insert(hasher.finish()) {
            continue;
        }
        let before = open.len();
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        open.extend(actions.into_iter().filter_map(|action| model.next_state(&state, action)));
        if open.len() == before {
            orders.insert(state.seen.order.iter().map(ToString::to_string).collect::<String>());
        }
    }
    assert_eq!(seen.len(), 71_968);
    // a has five events, b two, and c one.
    let mut expected = BTreeSet::from([String::new()]);
    for _ in 0..8 {
        let longer = |order: &String| ["a", "b", "c"].map(|next| format!("{order}{next}"));
        expected = expected.iter().flat_map(longer).collect();
        let fits = |order: &String| {
            [("a", 5), ("b", 2), ("c", 1)].iter().all(|(resource, count)| order.matches(resource).count() <= *count)
        };
        expected.retain(fits);
    }
    assert_eq!(expected.len(), 168);
    assert_eq!(orders, expected);
}

/// What is searched for every change has two troubles at once. Here is one at a time: the fewer there are, the
/// shorter is the way to what is wrong.
#[test]
fn the_projection_is_correct_with_all_events_and_one_trouble() {
    let early = Budget { deliveries: 1, ..NOTHING };
    let crash = Budget { crashes: 1, ..NOTHING };
    let loss = Budget { losses: 1, ..NOTHING };
    let rebuild = Budget { rebuilds: 1, ..NOTHING };
    for (budget, unique) in [(early, 2_128), (crash, 4_473), (loss, 2_051), (rebuild, 10_384)] {
        let report = search(ProjectionModel::new(Bounds::of(budget)), Some(unique), 1, |_| {});
        assert_eq!(complaints(&report), "", "{budget:?}");
    }
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn the_projection_is_correct_with_more_troubles_at_once() {
    if is_large() {
        assert_checked("projection", Size::Large);
    }
}

/// Each part of the argument is needed: without it, these steps break the projection, and no
/// fewer do.
#[test]
fn no_part_of_the_projection_can_be_left_out() {
    for (flaw, name) in Flaw::ALL {
        let budget = match flaw {
            Flaw::MatchForMerge => NOTHING,
            Flaw::TwoPassLiterally => Budget { rebuilds: 1, ..NOTHING },
            Flaw::Unconditional => Budget { crashes: 1, ..NOTHING },
        };
        let bounds = Bounds::of(budget);
        let model = ProjectionModel::flawed(bounds, flaw);
        let (property, actions) = shortest(model.clone()).unwrap_or_else(|| panic!("{name} was not refuted"));
        let counterexample = Counterexample::new(property, &actions);
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, counterexample.to_string());
        });

        let json = serde_json::to_string(&counterexample).expect("it is plain data");
        let read: Counterexample = serde_json::from_str(&json).expect("it reads what it wrote");
        let parse = |step: &models::Step| serde_json::from_value(step.action.clone()).expect("an action");
        let read: Vec<Action> = read.steps.iter().map(parse).collect();
        let path = replay(&model, &read).expect("the model allows it");
        assert!(!(model.property(property).condition)(&model, path.last_state()), "{name}: {property} holds");

        // The projection as it is does the same steps and breaks nothing, or cannot do them.
        let sound = ProjectionModel::new(bounds);
        let same = replay(&sound, &read).map(|path| path.into_states()).unwrap_or_default();
        for property in sound.properties().iter().filter(|one| one.expectation == Expectation::Always) {
            assert!(same.iter().all(|state| (property.condition)(&sound, state)), "{name} is no flaw");
        }
    }
}
