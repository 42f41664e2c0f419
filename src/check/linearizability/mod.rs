//! Linearizability of recorded histories.
//!
//! Is there an order of the operations, each at one instant between its invocation and its completion, in which a
//! sequential object gives every answer that the clients saw? The search is that of Wing and Gong (*Testing and
//! verifying concurrent objects*, 1993) with two reductions of Lowe's (*Testing for linearizability*, 2017): a
//! configuration (the set of operations placed so far, and the state) is entered once, and operations on unrelated
//! keys are checked apart, since linearizability is local (Herlihy and Wing, 1990).
//!
//! Operations of unknown outcome follow Jepsen: they may take effect at any time after their invocation, or never.

mod checker;
mod minimal;
mod partition;
mod search;

use std::fmt::Debug;
use std::hash::Hash;

use crate::history::{History, OpId, Operation};

pub use checker::Linearizability;
pub use minimal::minimal_prefix;

use partition::Partition;
use search::Found;

/// A sequential object: what it answers when one operation runs after another.
pub trait Model {
    /// The value of the object.
    type State: Clone + Eq + Hash + Debug;
    /// What a client asks.
    type Op;
    /// What it is answered.
    type Ret;
    /// An independent part of the object.
    type Key: Clone + Ord + Debug;

    /// The value before the first operation.
    fn initial(&self) -> Self::State;

    /// The states in which `op`, run in `state` and answered `ret`, may leave the object: none if it cannot give that
    /// answer. Without a `ret` the outcome is unknown: the states in which any answer may leave it.
    fn step(&self, state: &Self::State, op: &Self::Op, ret: Option<&Self::Ret>) -> Vec<Self::State>;

    /// The keys `op` reads or writes: [`step`](Self::step) must depend on, and change, nothing else. Keys that one
    /// operation names together are checked together. An operation without keys concerns the whole object.
    fn keys(&self, op: &Self::Op) -> Vec<Self::Key>;
}

/// What a search concluded, in the keys and states of a [`Model`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion<Key, State> {
    /// There is such an order.
    Linearizable {
        /// How many parts were checked apart.
        partitions: usize,
        /// How many operations had an answer to explain.
        operations: usize,
        /// How many times the model was stepped.
        explored: u64,
    },
    /// There is no such order.
    Illegal(Counterexample<Key, State>),
    /// A part used up its budget, and no other part is illegal.
    Unknown {
        /// The keys of the first such part; empty when an operation concerned the whole object.
        keys: Vec<Key>,
        /// How many operations it has.
        operations: usize,
        /// How many times the model was stepped, in all parts.
        explored: u64,
    },
}

/// Why a history is not linearizable, told by the illegal part that has the fewest operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample<Key, State> {
    /// The keys of the part; empty when an operation concerned the whole object.
    pub keys: Vec<Key>,
    /// Its operations by invocation, without those that failed.
    pub operations: Vec<OpId>,
    /// The longest order found that explains its answers: no order explains more answers.
    pub order: Vec<OpId>,
    /// The state that this order ends in.
    pub state: State,
    /// The answered operations one of which had to come next: in `state` the model gives none of their answers.
    pub stuck: Vec<OpId>,
    /// How many times the model was stepped, in all parts.
    pub explored: u64,
}

/// Whether `history` is linearizable with respect to `model`.
///
/// `budget` bounds how many times the model is stepped for each part: the only limit, so that the conclusion does not
/// depend on the machine.
pub fn check<M: Model>(model: &M, history: &History<M::Op, M::Ret>, budget: u64) -> Conclusion<M::Key, M::State> {
    check_operations(model, &history.operations(), budget)
}

/// [`check`] for operations that were paired already, in any order.
pub fn check_operations<M: Model>(
    model: &M,
    operations: &[Operation<&M::Op, &M::Ret>],
    budget: u64,
) -> Conclusion<M::Key, M::State> {
    let parts = partition::partition(model, operations);
    let mut explored = 0;
    let mut unknown: Option<&Partition<'_, M>> = None;
    // Smallest first, so that the first illegal part is the smallest.
    for part in &parts {
        let search = search::search(model, part, budget);
        explored += search.explored;
        match search.found {
            Found::Order => {}
            Found::OutOfBudget => {
                unknown.get_or_insert(part);
            }
            Found::DeadEnd { order, state, stuck } => {
                return Conclusion::Illegal(Counterexample {
                    keys: part.keys.clone(),
                    operations: part.ids(),
                    order,
                    state,
                    stuck,
                    explored,
                });
            }
        }
    }
    match unknown {
        Some(part) => Conclusion::Unknown { keys: part.keys.clone(), operations: part.len(), explored },
        None => Conclusion::Linearizable {
            partitions: parts.len(),
            operations: parts.iter().map(|part| part.answered.len()).sum(),
            explored,
        },
    }
}

#[cfg(test)]
mod tests;
