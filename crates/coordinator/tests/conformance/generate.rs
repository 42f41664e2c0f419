//! Random transactions, the same in every run.

use coordinator::statements::{self, RESERVED};
use graph::{CanonicalKey, EntityId, Kind, Operation, Patch, Properties, Real, TxId, Value};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stores::{Call, Datum, Expect, Params};

/// Few, so that operations meet.
const IDS: [&str; 5] = ["a", "a/b", "B", "z-1", "z.1"];
const KINDS: [&str; 2] = ["knows", "person"];
const KEYS: [&str; 2] = ["isbn:1", "a b/é"];
const NAMES: [&str; 8] = ["name", "x", "a b", "ünï", "in", "$set", "select", "properties"];

/// `count` values of a strategy.
pub fn samples<S: Strategy>(strategy: S, count: usize) -> Vec<S::Value> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"squall conformance suite, seed 1");
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("nothing is filtered out").current()).collect()
}

/// A sequence of transactions.
pub fn sequence() -> impl Strategy<Value = Vec<Vec<Call>>> {
    prop::collection::vec(transaction(), 1..40)
}

fn transaction() -> impl Strategy<Value = Vec<Call>> {
    prop_oneof![
        // As the coordinator does it: what does not fit rolls everything back.
        6 => (tx(), patch(1..5)).prop_map(|(tx, patch)| statements::decide(tx, &patch)),
        2 => tx().prop_map(statements::fence),
        2 => id().prop_map(|id| statements::read_entity(&id)),
        // What does not fit changes nothing, and the rest is committed.
        4 => patch(1..5).prop_map(|patch| {
            let lenient = |call| Call { expect: Expect::Anything, ..call };
            statements::calls_for(&patch).into_iter().map(lenient).collect()
        }),
        1 => reads(),
    ]
}

fn reads() -> impl Strategy<Value = Vec<Call>> {
    (id(), kind(), id(), tx(), tx(), 0..4_i64).prop_map(|(id, kind, to, tx, before, limit)| {
        let (id, kind, to) = (Datum::from(id.as_str()), Datum::from(kind.as_str()), Datum::from(to.as_str()));
        let all = [
            ("id", id.clone()),
            ("after", id.clone()),
            ("from", id),
            ("kind", kind),
            ("key", "person isbn:1".into()),
            ("to", to),
            ("limit", limit.into()),
        ];
        let of_markers = [
            ("id", Datum::from(tx.to_string())),
            ("after", tx.to_string().into()),
            ("before", before.to_string().into()),
            ("limit", limit.into()),
        ];
        let call = |statement: &'static stores::Statement, all: &[(&str, Datum)]| {
            // A server ignores the parameters that a statement does not name, or may refuse them.
            let named = |(name, _): &(&str, Datum)| statement.cypher.contains(&format!("${name}"));
            let params =
                all.iter().filter(|param| named(param)).map(|(name, datum)| ((*name).to_owned(), datum.clone()));
            Call { statement, params: params.collect::<Params>(), expect: Expect::Anything }
        };
        let reads = [
            &statements::READ_ENTITY,
            &statements::FIND_ENTITY,
            &statements::READ_LINK,
            &statements::READ_LINKS_OUT,
            &statements::READ_LINKS_IN,
            &statements::DUMP_ENTITIES,
            &statements::DUMP_LINKS,
            &statements::DUMP_MARKERS,
        ];
        let calls = reads.map(|statement| call(statement, &all));
        let markers = [&statements::READ_MARKER, &statements::MARKERS_BETWEEN];
        let calls = calls.into_iter().chain(markers.map(|statement| call(statement, &of_markers)));
        calls.collect()
    })
}

fn patch(length: std::ops::Range<usize>) -> impl Strategy<Value = Patch> {
    prop::collection::vec(operation(), length).prop_map(|operations| Patch { operations })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        2 => (id(), kind(), prop::option::of(key()), properties())
            .prop_map(|(id, kind, key, properties)| Operation::Create { id, kind, key, properties }),
        3 => (id(), properties()).prop_map(|(id, set)| Operation::Update { id, set }),
        2 => id().prop_map(|id| Operation::Delete { id }),
        4 => (id(), kind(), id(), properties())
            .prop_map(|(from, kind, to, properties)| Operation::Link { from, kind, to, properties }),
        2 => (id(), kind(), id()).prop_map(|(from, kind, to)| Operation::Unlink { from, kind, to }),
    ]
}

fn tx() -> impl Strategy<Value = TxId> {
    (1..3_u64, 1..400_u64).prop_map(|(incarnation, serial)| TxId { incarnation, serial })
}

fn id() -> impl Strategy<Value = EntityId> {
    prop::sample::select(&IDS[..]).prop_map(|id| EntityId::new(id).unwrap())
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(&KINDS[..]).prop_map(|kind| Kind::new(kind).unwrap())
}

/// One for two kinds: the same key of another kind is another one.
fn key() -> impl Strategy<Value = CanonicalKey> {
    prop::sample::select(&KEYS[..]).prop_map(|key| CanonicalKey::new(key).unwrap())
}

fn properties() -> impl Strategy<Value = Properties> {
    assert!(NAMES.iter().all(|name| !RESERVED.contains(name)));
    prop::collection::btree_map(prop::sample::select(&NAMES[..]).prop_map(str::to_owned), value(), 0..4)
}

/// What all servers keep: Neo4j takes no list in a list, no null in a list and only one
/// type of item.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        real(),
        text(),
        prop::collection::vec(any::<i64>().prop_map(Value::Int), 0..4).prop_map(Value::List),
        prop::collection::vec(real(), 0..4).prop_map(Value::List),
        prop::collection::vec(text(), 0..4).prop_map(Value::List),
        prop::collection::vec(any::<bool>().prop_map(Value::Bool), 0..4).prop_map(Value::List),
    ]
}

fn real() -> impl Strategy<Value = Value> {
    prop_oneof![prop::num::f64::NORMAL, prop::num::f64::SUBNORMAL, Just(0.0), (-100..100_i32).prop_map(f64::from)]
        .prop_map(|float| Value::Real(Real::try_from(float).expect("only finite floats are drawn")))
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![any::<String>(), "[a-z]{0,300}", Just("2024-02-30".to_owned())].prop_map(Value::Text)
}
