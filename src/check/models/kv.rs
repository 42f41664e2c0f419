//! A map of strings with get, put and append.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::linearizability::Model;

/// A map in which every key begins with the empty string. Each operation touches one key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kv;

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Read the value of a key.
    Get {
        /// Which one.
        key: String,
    },
    /// Replace the value of a key.
    Put {
        /// Which one.
        key: String,
        /// The new value.
        value: String,
    },
    /// Lengthen the value of a key.
    Append {
        /// Which one.
        key: String,
        /// What is added at its end.
        value: String,
    },
}

/// What the map answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret {
    /// The value read.
    Value(String),
    /// The change was done.
    Done,
}

impl Op {
    /// The key it touches.
    pub fn key(&self) -> &str {
        match self {
            Self::Get { key } | Self::Put { key, .. } | Self::Append { key, .. } => key,
        }
    }
}

impl Model for Kv {
    /// Keys that were never written are absent.
    type State = BTreeMap<String, String>;
    type Op = Op;
    type Ret = Ret;
    type Key = String;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn step(&self, state: &Self::State, op: &Op, ret: Option<&Ret>) -> Vec<Self::State> {
        let value = state.get(op.key()).map_or("", String::as_str);
        let (matches, changed) = match op {
            Op::Get { .. } => (ret.is_none_or(|ret| matches!(ret, Ret::Value(seen) if seen == value)), None),
            Op::Put { value: new, .. } => (ret.is_none_or(|ret| *ret == Ret::Done), Some(new.clone())),
            Op::Append { value: more, .. } => (ret.is_none_or(|ret| *ret == Ret::Done), Some(format!("{value}{more}"))),
        };
        if !matches {
            return vec![];
        }
        let mut next = state.clone();
        next.extend(changed.map(|value| (op.key().to_owned(), value)));
        vec![next]
    }

    fn keys(&self, op: &Op) -> Vec<String> {
        vec![op.key().to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn append_lengthens_put_replaces_and_get_admits_only_the_value() {
        let key = || "k".to_owned();
        let state = |value: &str| BTreeMap::from([(key(), value.to_owned())]);
        let get = Op::Get { key: key() };
        let put = Op::Put { key: key(), value: "x".into() };
        let append = Op::Append { key: key(), value: "y".into() };

        assert_eq!(Kv.step(&Kv.initial(), &append, Some(&Ret::Done)), [state("y")]);
        assert_eq!(Kv.step(&state("x"), &append, None), [state("xy")]);
        assert_eq!(Kv.step(&state("xy"), &put, Some(&Ret::Done)), [state("x")]);
        assert_eq!(Kv.step(&state("xy"), &get, Some(&Ret::Value("xy".into()))), [state("xy")]);
        assert!(Kv.step(&state("xy"), &get, Some(&Ret::Value("x".into()))).is_empty());
        assert_eq!(Kv.step(&Kv.initial(), &get, Some(&Ret::Value(String::new()))), [Kv.initial()]);
        assert!(Kv.step(&state("x"), &put, Some(&Ret::Value("x".into()))).is_empty());
    }
}
