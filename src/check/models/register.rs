//! One register with read, write and compare-and-set: Jepsen's classic.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::check::linearizability::Model;

/// A register of `V`, empty at first.
#[derive(Clone, Copy, Debug)]
pub struct Register<V>(PhantomData<V>);

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op<V> {
    /// Read the value.
    Read,
    /// Set the value.
    Write(V),
    /// Set the value to `to` if it is `from`.
    Cas {
        /// The value expected.
        from: V,
        /// The new value.
        to: V,
    },
}

/// What the register answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret<V> {
    /// The value read.
    Read(Option<V>),
    /// The write was done.
    Written,
    /// Whether the compare-and-set found the value it expected.
    Cas(bool),
}

impl<V> Register<V> {
    /// The model.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V> Default for Register<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Clone + Eq + Hash + Debug> Model for Register<V> {
    type State = Option<V>;
    type Op = Op<V>;
    type Ret = Ret<V>;
    type Key = ();

    fn initial(&self) -> Option<V> {
        None
    }

    fn step(&self, state: &Option<V>, op: &Op<V>, ret: Option<&Ret<V>>) -> Vec<Option<V>> {
        let (answer, next) = match op {
            Op::Read => (Ret::Read(state.clone()), state.clone()),
            Op::Write(value) => (Ret::Written, Some(value.clone())),
            Op::Cas { from, to } if state.as_ref() == Some(from) => (Ret::Cas(true), Some(to.clone())),
            Op::Cas { .. } => (Ret::Cas(false), state.clone()),
        };
        if ret.is_none_or(|ret| *ret == answer) { vec![next] } else { vec![] }
    }

    fn keys(&self, _: &Op<V>) -> Vec<()> {
        vec![()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_admits_only_the_states_that_give_it() {
        let model = Register::new();
        let cas = Op::Cas { from: 1, to: 2 };
        for (state, op, ret, next) in [
            (None, Op::Read, Some(Ret::Read(None)), vec![None]),
            (Some(1), Op::Read, Some(Ret::Read(None)), vec![]),
            (Some(1), Op::Write(3), Some(Ret::Written), vec![Some(3)]),
            (Some(1), cas.clone(), Some(Ret::Cas(true)), vec![Some(2)]),
            (Some(1), cas.clone(), Some(Ret::Cas(false)), vec![]),
            (None, cas.clone(), Some(Ret::Cas(false)), vec![None]),
            (Some(1), cas.clone(), None, vec![Some(2)]),
            (Some(5), cas, None, vec![Some(5)]),
            (Some(1), Op::Write(3), Some(Ret::Cas(true)), vec![]),
        ] {
            assert_eq!(model.step(&state, &op, ret.as_ref()), next, "{op:?} in {state:?} answered {ret:?}");
        }
    }
}
