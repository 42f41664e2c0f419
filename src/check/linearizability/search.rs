//! The search for a linearization of one part.

use std::cmp::Reverse;
#[expect(clippy::disallowed_types, reason = "its hasher has fixed keys, and its order is never looked at")]
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};

use crate::history::OpId;

use super::Model;
use super::partition::{Call, Partition};

/// What a search found, and what it cost.
pub(super) struct Search<State> {
    pub found: Found<State>,
    /// How many times the model was stepped.
    pub explored: u64,
}

pub(super) enum Found<State> {
    /// An order that explains every answer.
    Order,
    /// There is none. `order` explains as many answers as any other, with as few unknown operations as any of those;
    /// it ends in `state`, which refuses each of `stuck`, one of which had to come next.
    DeadEnd { order: Vec<OpId>, state: State, stuck: Vec<OpId> },
    /// The budget did not suffice to tell.
    OutOfBudget,
}

/// Searches depth first for an order of the answered operations of `part`, and of any of its unknown ones.
///
/// Unknown operations are tried last: most take part in no explanation, and each that is tried doubles what is to be
/// explored.
pub(super) fn search<M: Model>(model: &M, part: &Partition<'_, M>, budget: u64) -> Search<M::State> {
    let calls: Vec<&Call<'_, M>> = part.answered.iter().chain(&part.unknown).collect();
    let answered = part.answered.len();
    let mut explored = 0;
    let mut entered = Memo::<M::State>::default();
    let mut best: Option<DeadEnd<M::State>> = None;
    let mut placed = Placed::new(calls.len(), answered);
    let mut path = vec![Frame::new(model.initial(), None, &calls, &placed)];
    while let Some(frame) = path.last_mut() {
        if placed.answered == answered {
            return Search { found: Found::Order, explored };
        }
        if let Some((call, state)) = frame.branches.pop() {
            placed.insert(call);
            if entered.insert((placed.key(), state.clone())) {
                path.push(Frame::new(state, Some(call), &calls, &placed));
            } else {
                placed.remove(call);
            }
        } else if let Some(index) = frame.untried.pop() {
            if explored == budget {
                return Search { found: Found::OutOfBudget, explored };
            }
            explored += 1;
            let call = calls[index];
            frame.branches.extend(
                model
                    .step(&frame.state, call.op, call.ret)
                    .into_iter()
                    // An unknown operation without effect might as well not have happened.
                    .filter(|next| call.ret.is_some() || *next != frame.state)
                    .map(|next| (index, next)),
            );
        } else if let Some(frame) = path.pop() {
            let rank = (placed.answered, Reverse(path.len()));
            if best.as_ref().is_none_or(|best| rank > best.rank) {
                let order = path.iter().chain([&frame]).filter_map(|frame| frame.call).collect();
                best = Some(DeadEnd { rank, order, state: frame.state, stuck: placed.candidates(&calls) });
            }
            if let Some(call) = frame.call {
                placed.remove(call);
            }
        }
    }
    let best = best.expect("the initial configuration is entered, and left only as a dead end");
    let ids = |indices: Vec<usize>| indices.into_iter().map(|index| calls[index].id).collect();
    let stuck = best.stuck.into_iter().filter(|index| *index < answered).collect();
    Search { found: Found::DeadEnd { order: ids(best.order), state: best.state, stuck: ids(stuck) }, explored }
}

/// The configurations that were entered: [`Placed::key`] and the state.
#[expect(clippy::disallowed_types, reason = "its hasher has fixed keys, and its order is never looked at")]
type Memo<State> = HashSet<(Box<[u64]>, State), BuildHasherDefault<DefaultHasher>>;

/// A configuration on the path from the initial one to the current one.
struct Frame<State> {
    /// The operation that led here.
    call: Option<usize>,
    state: State,
    /// The operations that may come next and were not stepped yet, the first to try at the end.
    untried: Vec<usize>,
    /// The configurations the last step led to that were not entered yet.
    branches: Vec<(usize, State)>,
}

impl<State> Frame<State> {
    fn new<M: Model<State = State>>(
        state: State,
        call: Option<usize>,
        calls: &[&Call<'_, M>],
        placed: &Placed,
    ) -> Self {
        let mut untried = placed.candidates(calls);
        untried.reverse();
        Self { call, state, untried, branches: vec![] }
    }
}

/// A configuration that nothing can follow.
struct DeadEnd<State> {
    /// The answers explained; among equals, the shorter order.
    rank: (usize, Reverse<usize>),
    order: Vec<usize>,
    state: State,
    /// The operations that may come next.
    stuck: Vec<usize>,
}

/// The set of the operations placed so far. The answered ones have the lower indices.
struct Placed {
    /// A bit for each answered operation.
    answered_bits: Vec<u64>,
    /// A bit for each unknown operation.
    unknown_bits: Vec<u64>,
    /// How many answered operations are in the set.
    answered: usize,
    /// How many answered operations there are.
    answered_max: usize,
}

impl Placed {
    fn new(calls: usize, answered_max: usize) -> Self {
        Self {
            answered_bits: vec![0; answered_max.div_ceil(64)],
            unknown_bits: vec![0; (calls - answered_max).div_ceil(64)],
            answered: 0,
            answered_max,
        }
    }

    fn contains(&self, index: usize) -> bool {
        let (bits, index) = match index.checked_sub(self.answered_max) {
            Some(index) => (&self.unknown_bits, index),
            None => (&self.answered_bits, index),
        };
        bits[index / 64] >> (index % 64) & 1 == 1
    }

    /// Adds an operation that is not in the set.
    fn insert(&mut self, index: usize) {
        self.answered += usize::from(index < self.answered_max);
        self.flip(index);
    }

    /// Takes out an operation that is in the set.
    fn remove(&mut self, index: usize) {
        self.answered -= usize::from(index < self.answered_max);
        self.flip(index);
    }

    fn flip(&mut self, index: usize) {
        let (bits, index) = match index.checked_sub(self.answered_max) {
            Some(index) => (&mut self.unknown_bits, index),
            None => (&mut self.answered_bits, index),
        };
        bits[index / 64] ^= 1 << (index % 64);
    }

    /// The set, as a value of its own. All but a window of the answered operations are all in or all out, so it stays
    /// small however long the history is.
    fn key(&self) -> Box<[u64]> {
        let full = self.full_words();
        let end = self.answered_bits.iter().rposition(|word| *word != 0).map_or(full, |last| full.max(last + 1));
        let mut key = Vec::with_capacity(1 + end - full + self.unknown_bits.len());
        key.push(full as u64);
        key.extend_from_slice(&self.answered_bits[full..end]);
        key.extend_from_slice(&self.unknown_bits);
        key.into()
    }

    fn full_words(&self) -> usize {
        self.answered_bits.iter().take_while(|word| **word == u64::MAX).count()
    }

    /// The operations outside the set before whose invocation no other one outside it was completed.
    fn candidates<M: Model>(&self, calls: &[&Call<'_, M>]) -> Vec<usize> {
        let mut candidates = vec![];
        let mut end = usize::MAX;
        // By invocation, so whatever completed before a candidate was invoked comes before it here.
        let answered = calls.iter().enumerate().take(self.answered_max).skip(64 * self.full_words());
        for (index, call) in answered.filter(|(index, _)| !self.contains(*index)) {
            if call.invoked > end {
                break;
            }
            end = end.min(call.completed);
            candidates.push(index);
        }
        let unknown = (self.answered_max..calls.len()).take_while(|index| calls[*index].invoked < end);
        candidates.extend(unknown.filter(|index| !self.contains(*index)));
        candidates
    }
}
