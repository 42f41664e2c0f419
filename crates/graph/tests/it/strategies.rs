//! Random ids, values, snapshots and patches, from small domains so that they collide.

use graph::{CanonicalKey, Edge, EntityId, Kind, Node, Operation, Patch, Properties, Real, Snapshot, Value};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
use proptest::prelude::*;

/// Text that tries to pass for the syntax around it.
pub fn text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "",
        " ",
        "\"",
        "\\",
        "\n",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{202e}",
        "\u{feff}",
        "]-> bob",
        "é",
        "👩‍👧",
        "null",
        "1.0",
        "{}",
        ":Entity",
        "absent",
    ]);
    prop_oneof![hostile.prop_map(str::to_owned), any::<String>(), "[a-c]"]
}

pub fn real() -> impl Strategy<Value = Real> {
    (NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE).prop_map(|float| Real::try_from(float).expect("a finite float"))
}

pub fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (0..2_i64).prop_map(Value::Int),
        real().prop_map(Value::Real),
        text().prop_map(Value::Text),
    ];
    scalar.prop_recursive(3, 12, 4, |item| vec(item, 0..4).prop_map(Value::List))
}

pub fn properties() -> impl Strategy<Value = Properties> {
    btree_map(prop_oneof![Just("kind".to_owned()), "[a-c]", text()], value(), 0..3)
}

fn node() -> impl Strategy<Value = Node> {
    let labels = btree_set(prop_oneof![Just("Entity".to_owned()), text()], 0..3);
    (prop_oneof!["[a-c]", text()], labels, properties()).prop_map(|(id, labels, properties)| Node {
        id,
        labels,
        properties,
    })
}

fn edge() -> impl Strategy<Value = Edge> {
    let end = || prop_oneof!["[a-c]", text()];
    (end(), kind(), end(), properties()).prop_map(|(from, kind, to, properties)| Edge { from, kind, to, properties })
}

/// Anything that a store gone wrong could return: duplicates, dangling edges, odd names.
pub fn snapshot() -> impl Strategy<Value = Snapshot> {
    (vec(node(), 0..5), vec(edge(), 0..5)).prop_map(|(nodes, edges)| Snapshot::new(nodes, edges))
}

/// A snapshot, and another that differs in a few elements or in none.
pub fn two_snapshots() -> impl Strategy<Value = (Snapshot, Snapshot)> {
    let change = (any::<prop::sample::Index>(), prop::option::of(node()), properties(), any::<bool>());
    let alike = (snapshot(), vec(change, 0..3)).prop_map(|(old, changes)| {
        let (mut nodes, mut edges) = (old.nodes().to_vec(), old.edges().to_vec());
        for (at, added, properties, again) in changes {
            if let Some(node) = nodes.get_mut(at.index(5)) {
                node.properties = properties.clone();
            }
            if let Some(edge) = edges.get_mut(at.index(5)) {
                edge.properties = properties;
            }
            nodes.extend(nodes.last().filter(|_| again).cloned());
            nodes.extend(added);
        }
        (old, Snapshot::new(nodes, edges))
    });
    prop_oneof![alike, (snapshot(), snapshot())]
}

pub fn id() -> impl Strategy<Value = EntityId> {
    "[a-d]".prop_map(|text| EntityId::new(text).expect("a valid id"))
}

pub fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec!["LINK", "knows", "likes"]).prop_map(|text| Kind::new(text).expect("a valid kind"))
}

pub fn key() -> impl Strategy<Value = CanonicalKey> {
    prop::sample::select(vec!["isbn:1", "isbn:2", "a b"]).prop_map(|text| CanonicalKey::new(text).expect("a valid key"))
}

/// Properties that a patch may carry.
pub fn valid_properties(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Properties> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        real().prop_map(Value::Real),
        text().prop_map(Value::Text),
        vec(any::<i64>().prop_map(Value::Int), 0..3).prop_map(Value::List),
        vec(text().prop_map(Value::Text), 0..3).prop_map(Value::List),
    ];
    btree_map("[a-c]", value, count)
}

pub fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (id(), kind(), prop::option::of(key()), valid_properties(0..3))
            .prop_map(|(id, kind, key, properties)| Operation::Create { id, kind, key, properties }),
        1 => (id(), valid_properties(1..3)).prop_map(|(id, set)| Operation::Update { id, set }),
        1 => id().prop_map(|id| Operation::Delete { id }),
        2 => (id(), kind(), id(), valid_properties(0..3))
            .prop_map(|(from, kind, to, properties)| Operation::Link { from, kind, to, properties }),
        1 => (id(), kind(), id()).prop_map(|(from, kind, to)| Operation::Unlink { from, kind, to }),
    ]
}

pub fn patch() -> impl Strategy<Value = Patch> {
    vec(operation(), 1..5).prop_map(|operations| Patch { operations })
}

/// What some patches make of an empty graph: entities and links without anomalies.
pub fn sound_snapshot() -> impl Strategy<Value = Snapshot> {
    vec(operation(), 0..30).prop_map(|operations| {
        let mut snapshot = Snapshot::default();
        for operation in operations {
            // A refused one has no part in the graph.
            let _ = Patch { operations: vec![operation] }.apply(&mut snapshot);
        }
        snapshot
    })
}
