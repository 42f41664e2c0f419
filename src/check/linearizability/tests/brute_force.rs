//! The search against the definition: every order of every choice of unknown operations.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::check::linearizability::{Conclusion, Model, check, minimal_prefix};
use crate::history::{ClientId, History, Millis, Operation, Outcome};

/// Registers `0..3`, zero at first. Some operations touch two keys, some the whole object.
struct Cells;

#[derive(Clone, Copy, Debug)]
enum Op {
    Read(u8),
    Write(u8, u8),
    /// Copies one register to another; answers with the value.
    Copy(u8, u8),
    Sum,
    /// Adds one or two; answers with the new value. Of unknown outcome it has two possible effects.
    Bump(u8),
}

impl Model for Cells {
    type State = BTreeMap<u8, u8>;
    type Op = Op;
    type Ret = u8;
    type Key = u8;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn step(&self, state: &Self::State, op: &Op, ret: Option<&u8>) -> Vec<Self::State> {
        let get = |key: &u8| state.get(key).copied().unwrap_or(0);
        let set = |key: &u8, value| {
            let mut next = state.clone();
            next.insert(*key, value);
            next
        };
        let branches = match op {
            Op::Read(key) => vec![(get(key), state.clone())],
            Op::Write(key, value) => vec![(*value, set(key, *value))],
            Op::Copy(from, to) => vec![(get(from), set(to, get(from)))],
            Op::Sum => vec![(state.values().sum(), state.clone())],
            Op::Bump(key) => [1, 2].map(|by| (get(key) + by, set(key, get(key) + by))).into(),
        };
        branches.into_iter().filter(|(answer, _)| ret.is_none_or(|ret| ret == answer)).map(|(_, next)| next).collect()
    }

    fn keys(&self, op: &Op) -> Vec<u8> {
        match op {
            Op::Read(key) | Op::Write(key, _) | Op::Bump(key) => vec![*key],
            Op::Copy(from, to) => vec![*from, *to],
            Op::Sum => vec![],
        }
    }
}

/// Linearizable by definition: for some choice of the unknown operations, some permutation of the chosen and the
/// answered ones keeps to real time and gives every answer.
fn brute_force(operations: &[Operation<&Op, &u8>]) -> bool {
    let (unknown, answered): (Vec<_>, Vec<_>) = operations
        .iter()
        .filter(|operation| operation.outcome != Outcome::Fail)
        .partition(|operation| operation.outcome == Outcome::Info);
    (0..1u32 << unknown.len()).any(|choice| {
        let chosen = unknown.iter().enumerate().filter(|(index, _)| choice >> index & 1 == 1).map(|(_, o)| *o);
        any_permutation(&mut answered.iter().copied().chain(chosen).collect(), 0)
    })
}

fn any_permutation(order: &mut Vec<&Operation<&Op, &u8>>, fixed: usize) -> bool {
    if fixed == order.len() {
        return explains(order);
    }
    (fixed..order.len()).any(|index| {
        order.swap(fixed, index);
        let found = any_permutation(order, fixed + 1);
        order.swap(fixed, index);
        found
    })
}

fn explains(order: &[&Operation<&Op, &u8>]) -> bool {
    let in_real_time = order.iter().enumerate().all(|(index, earlier)| {
        order[index + 1..].iter().all(|later| {
            let ended = later.completed.filter(|_| later.outcome != Outcome::Info);
            ended.is_none_or(|end| end > earlier.invoked)
        })
    });
    in_real_time && {
        let mut states = vec![Cells.initial()];
        for operation in order {
            let ret = match operation.outcome {
                Outcome::Ok(ret) => Some(ret),
                Outcome::Fail | Outcome::Info => None,
            };
            states = states.iter().flat_map(|state| Cells.step(state, operation.op, ret)).collect();
        }
        !states.is_empty()
    }
}

fn operation() -> impl Strategy<Value = Op> {
    let key = || 0..3u8;
    prop_oneof![
        4 => key().prop_map(Op::Read),
        4 => (key(), 1..3u8).prop_map(|(key, value)| Op::Write(key, value)),
        1 => (key(), key()).prop_map(|(from, to)| Op::Copy(from, to)),
        1 => Just(Op::Sum),
        1 => key().prop_map(Op::Bump),
    ]
}

/// Up to six operations, each invoked and perhaps completed at some instant; a write is always answered with its
/// value, so that about half of the histories are linearizable.
fn history() -> impl Strategy<Value = History<Op, u8>> {
    let completion = prop_oneof![6 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)];
    let call = (operation(), 0..20usize, 1..8usize, completion, 0..3u8, any::<bool>());
    prop::collection::vec(call, 1..=6).prop_map(|calls| {
        let mut history = History::new();
        let mut ids = vec![None; calls.len()];
        for instant in 0..30 {
            let at = Millis(instant as u64);
            for (index, (op, start, length, completion, ret, explicit)) in calls.iter().enumerate() {
                if instant == *start {
                    ids[index] = Some(history.invoke(at, ClientId(index as u64), *op));
                }
                let (Some(id), true) = (ids[index], instant == start + length) else { continue };
                match completion {
                    Some(true) => {
                        let ret = if let Op::Write(_, value) = op { *value } else { *ret };
                        history.ok(at, id, ret).unwrap();
                    }
                    Some(false) => history.fail(at, id, "refused").unwrap(),
                    None if *explicit => history.info(at, id, "timed out").unwrap(),
                    None => {}
                }
            }
        }
        history
    })
}

fn is_linearizable(history: &History<Op, u8>) -> bool {
    match check(&Cells, history, u64::MAX) {
        Conclusion::Linearizable { .. } => true,
        Conclusion::Illegal(_) => false,
        Conclusion::Unknown { .. } => panic!("undecided without a bound"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_search_agrees_with_the_definition(history in history()) {
        prop_assert_eq!(is_linearizable(&history), brute_force(&history.operations()), "\n{}", history);
    }

    #[test]
    fn the_minimal_prefix_is_the_first_illegal_one(history in history()) {
        let first = (0..=history.len()).find(|events| !brute_force(&history.operations_after(*events)));
        prop_assert_eq!(minimal_prefix(&Cells, &history, u64::MAX), first, "\n{}", history);
    }

    #[test]
    fn the_order_of_a_counterexample_is_explained_and_the_stuck_cannot_follow(history in history()) {
        let Conclusion::Illegal(found) = check(&Cells, &history, u64::MAX) else { return Ok(()) };
        let operations: BTreeMap<_, _> = history.operations().into_iter().map(|o| (o.id, o)).collect();
        let order: Vec<_> = found.order.iter().map(|id| &operations[id]).collect();
        prop_assert!(explains(&order), "\n{}", history);
        for stuck in &found.stuck {
            let Outcome::Ok(ret) = operations[stuck].outcome else { panic!("{stuck} has no answer") };
            prop_assert!(Cells.step(&found.state, operations[stuck].op, Some(ret)).is_empty(), "\n{}", history);
        }
    }
}

#[test]
fn the_random_histories_are_of_both_kinds() {
    let mut runner = TestRunner::deterministic();
    let samples = 500;
    let linearizable =
        (0..samples).filter(|_| is_linearizable(&history().new_tree(&mut runner).unwrap().current())).count();
    assert!((samples / 10..samples * 9 / 10).contains(&linearizable), "{linearizable} of {samples}");
}
