//! Tests of the public face of the crate, a file for each subject.

mod apply;
mod diff;
mod dump;
mod event;
mod id;
mod identity;
mod strategies;
mod validate;
mod value;

use graph::{Edge, EntityId, Kind, Node, Properties, Value};

fn id(text: &str) -> EntityId {
    EntityId::new(text).expect("a valid id")
}

fn kind(text: &str) -> Kind {
    Kind::new(text).expect("a valid kind")
}

fn properties<const N: usize>(properties: [(&str, Value); N]) -> Properties {
    properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A person of that age.
fn person(name: &str, age: i64) -> Node {
    Node::entity(&id(name), &kind("person"), &properties([("age", Value::Int(age))]))
}

fn knows(from: &str, to: &str) -> Edge {
    Edge::link(&id(from), &kind("knows"), &id(to), &Properties::new())
}
