//! A counterexample as data: what has to happen, step by step, for a property to fail.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path, Property};

/// A path that leads from the beginning to where a property fails (or, for a `sometimes`
/// property, holds).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counterexample {
    /// The property.
    pub property: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step of a counterexample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens, for people.
    pub text: String,
    /// The model's action in its serde form.
    pub action: serde_json::Value,
}

impl Counterexample {
    /// From the actions of a path.
    pub fn new<A: Serialize + fmt::Display>(property: &str, actions: &[A]) -> Counterexample {
        let step = |action: &A| Step {
            text: action.to_string(),
            action: serde_json::to_value(action).expect("an action is plain data"),
        };
        Counterexample { property: property.to_owned(), steps: actions.iter().map(step).collect() }
    }
}

/// One numbered step a line, under the property's name.
impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.property)?;
        for (step, number) in self.steps.iter().zip(1..) {
            writeln!(f, "{number:3}. {}", step.text)?;
        }
        Ok(())
    }
}

/// A shortest path on which one of the `always` properties fails, and which one; none if
/// they hold everywhere.
pub fn shortest<M>(model: M) -> Option<(&'static str, Vec<M::Action>)>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + std::hash::Hash + Send + Sync,
    M::Action: Clone + PartialEq,
{
    let checker = FirstFailure { model, failed: AtomicBool::new(false) }
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        // One thread: several do not search in the order of length.
        .threads(1)
        .spawn_bfs()
        .join();
    let path = checker.discovery(FirstFailure::<M>::PROPERTY)?;
    let failed = checker.model().broken(path.last_state()).expect("the path ends where a property fails");
    Some((failed, path.into_actions()))
}

/// Stops at the first failure. The checker on its own goes on for a while, and keeps the last
/// path it found for a property, which may be longer.
struct FirstFailure<M> {
    model: M,
    failed: AtomicBool,
}

impl<M: Model> FirstFailure<M> {
    const PROPERTY: &'static str = "all properties hold";

    fn broken(&self, state: &M::State) -> Option<&'static str> {
        let broken = |property: &Property<M>| {
            property.expectation == Expectation::Always && !(property.condition)(&self.model, state)
        };
        self.model.properties().into_iter().find(broken).map(|property| property.name)
    }
}

impl<M: Model> Model for FirstFailure<M> {
    type State = M::State;
    type Action = M::Action;

    fn init_states(&self) -> Vec<M::State> {
        self.model.init_states()
    }

    fn actions(&self, state: &M::State, actions: &mut Vec<M::Action>) {
        self.model.actions(state, actions);
    }

    fn next_state(&self, last: &M::State, action: M::Action) -> Option<M::State> {
        self.model.next_state(last, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(Self::PROPERTY, |this, state| {
            this.broken(state).is_none() || this.failed.swap(true, Ordering::Relaxed)
        })]
    }
}

/// Follows the actions of a counterexample again; none if the model does not allow them.
pub fn replay<M>(model: &M, actions: &[M::Action]) -> Option<Path<M::State, M::Action>>
where
    M: Model,
    M::State: PartialEq,
    M::Action: PartialEq,
{
    let first = model.init_states().into_iter().next()?;
    Path::from_actions(model, first, actions)
}
