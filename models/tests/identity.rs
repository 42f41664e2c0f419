//! The identity model, and the argument behind it: what happens without each of its parts.

#[allow(dead_code, reason = "each binary uses its own part of it")]
mod common;

use common::{assert_checked, is_large};
use models::commit::Action;
use models::identity::{Bounds, Flaw, IdentityModel, State};
use models::{Counterexample, Size, replay, shortest};
use stateright::{Model, Property};

#[test]
fn ids_and_keys_are_as_promised() {
    assert_checked("identity", Size::Small);
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn ids_and_keys_are_as_promised_with_more_crashes() {
    if is_large() {
        assert_checked("identity", Size::Large);
    }
}

/// Each part of the argument is needed: without it, these steps break the promise that it is for, and no fewer do.
#[test]
fn no_part_can_be_left_out() {
    for (flaw, name) in Flaw::ALL {
        let promise = match flaw {
            Flaw::IncarnationNotAdvanced | Flaw::BurntSerialReused => "no id is made twice",
            Flaw::KeyNotLocked => "one living entity has the key",
        };
        let model = IdentityModel::flawed(Bounds::SMALL, flaw);
        let (_, actions) = shortest(Only { model: model.clone(), promise })
            .unwrap_or_else(|| panic!("{promise} was not refuted by {name}"));
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, Counterexample::new(promise, &actions).to_string());
        });
        let path = replay(&model, &actions).expect("the model allows it");
        assert!(!(model.property(promise).condition)(&model, path.last_state()), "{name}: {promise} holds");
    }
}

/// A model of which one promise alone is looked at: others may break sooner.
#[derive(Clone)]
struct Only {
    model: IdentityModel,
    promise: &'static str,
}

impl Model for Only {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.model.init_states()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.model.actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.model.next_state(last, action)
    }

    fn properties(&self) -> Vec<Property<Only>> {
        vec![Property::always("the promise", |only: &Only, state| {
            (only.model.property(only.promise).condition)(&only.model, state)
        })]
    }
}
