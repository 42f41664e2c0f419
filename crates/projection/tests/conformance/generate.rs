//! Random transactions, the same in every run.

use std::collections::{BTreeMap, BTreeSet};

use graph::{EntityId, Properties, Value};
use projection::event::system;
use projection::fold::{Change, Part, Term};
use projection::lanes::{Applied, Parts, Poison, Want, Write};
use projection::log::LogId;
use projection::statements;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stores::{Call, Expect};

/// Few, so that operations meet.
const RESOURCES: [&str; 4] = ["r", "r/b", "R.1", "z-1"];
const NAMES: [&str; 2] = ["a", "A:1"];
const WORDS: [&str; 2] = ["entity_type:é", "tag_schema:s"];

/// `count` values of a strategy.
pub fn samples<S: Strategy>(strategy: S, count: usize) -> Vec<S::Value> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"squall conformance suite, seed 2");
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("nothing is filtered out").current()).collect()
}

/// A sequence of transactions.
pub fn sequence() -> impl Strategy<Value = Vec<Vec<Call>>> {
    prop::collection::vec(transaction(), 1..30)
}

fn transaction() -> impl Strategy<Value = Vec<Call>> {
    prop_oneof![
        // As the lanes do it: what does not fit rolls everything back.
        4 => (since(), writes()).prop_map(|(since, writes)| statements::apply(since, &writes)),
        // What does not fit changes nothing, and the rest is committed.
        8 => (since(), writes()).prop_map(|(since, writes)| {
            let lenient = |call| Call { expect: Expect::Anything, ..call };
            statements::apply(since, &writes).into_iter().map(lenient).collect()
        }),
        4 => wants().prop_map(|wants| statements::load(&wants)),
        4 => lists(),
        2 => (0..4_u64, 0..9_u64).prop_map(|(since, position)| statements::checkpoint(since, position)),
        2 => (prop::option::of(log()), 0..4_u64, log())
            .prop_map(|(was, since, log)| statements::turn(was.as_ref(), since, &log)),
        1 => Just(statements::raise_generation()),
        1 => (0..4_u64).prop_map(statements::close_rebuild),
        1 => Just(statements::read_projection()),
    ]
}

/// Often that of the first log.
fn since() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0), 1 => 0..5_u64]
}

fn log() -> impl Strategy<Value = LogId> {
    prop::sample::select(&["l1", "l2"][..]).prop_map(|id| LogId(id.to_owned()))
}

fn id() -> impl Strategy<Value = EntityId> {
    prop::sample::select(&RESOURCES[..]).prop_map(|id| id.parse().expect("an id"))
}

fn name() -> impl Strategy<Value = EntityId> {
    prop::sample::select(&NAMES[..]).prop_map(|id| id.parse().expect("an id"))
}

/// What is written of several resources, each once, as [`statements::apply`] wants it.
fn writes() -> impl Strategy<Value = Vec<Write>> {
    let of_one = (mark(), mark(), prop::collection::vec(change(), 0..5));
    prop::collection::btree_map(id(), of_one, 1..4).prop_map(|writes| {
        let (mut nodes, mut edges, mut words) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let write = |(resource, (from, to, mut changes)): (EntityId, (Applied, Applied, Vec<Change>))| {
            // No element is twice in a transaction.
            changes.retain(|change| match change {
                Change::PutResource { .. } | Change::DropResource { .. } => nodes.insert((resource.clone(), None, 0)),
                Change::PutAnnotation { name, .. } | Change::DropAnnotation { name, .. } => {
                    nodes.insert((resource.clone(), Some(name.clone()), 1))
                }
                Change::PutTombstone { name, .. } | Change::DropTombstone { name } => {
                    nodes.insert((resource.clone(), Some(name.clone()), 2))
                }
                Change::Link { name, target } | Change::Unlink { name, target } => {
                    edges.insert((resource.clone(), name.clone(), target.clone()))
                }
                Change::PutWord { id, .. } | Change::DropWord { id } => words.insert(id.clone()),
            });
            Write { resource, from, to, changes }
        };
        writes.into_iter().map(write).collect()
    })
}

/// Often the first or the second, so that some are where they have to be.
fn mark() -> impl Strategy<Value = Applied> {
    let poison = prop::option::weighted(0.3, (1..4_u64, text()).prop_map(|(sequence, why)| Poison { sequence, why }));
    prop_oneof![
        3 => Just(Applied::default()),
        3 => Just(Applied { sequence: 1, ..Applied::default() }),
        2 => (0..2_u64, 0..2_u64, any::<bool>(), poison).prop_map(|(sequence, generation, partial, poison)| {
            Applied { sequence, generation, partial, poison }
        }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => properties(&["name", "archived", "entityTypes"]).prop_map(|mut set| {
            set.insert("stub".to_owned(), Value::Bool(false));
            Change::PutResource { set }
        }),
        4 => (name(), properties(&["motivation", "body", "selector"]), any::<bool>())
            .prop_map(|(name, set, misowned)| Change::PutAnnotation { name, set, misowned }),
        2 => (name(), prop::collection::btree_set(id(), 0..3))
            .prop_map(|(name, links)| Change::DropAnnotation { name, links }),
        2 => (name(), properties(&["seq"]), any::<bool>())
            .prop_map(|(name, set, misowned)| Change::PutTombstone { name, set, misowned }),
        1 => name().prop_map(|name| Change::DropTombstone { name }),
        4 => (name(), id()).prop_map(|(name, target)| Change::Link { name, target }),
        3 => (name(), id()).prop_map(|(name, target)| Change::Unlink { name, target }),
        1 => (word(), properties(&["kind", "schema"])).prop_map(|(id, set)| Change::PutWord { id, set }),
        1 => word().prop_map(|id| Change::DropWord { id }),
    ]
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(&WORDS[..]).prop_map(str::to_owned)
}

/// A null takes a property away.
fn properties(names: &'static [&'static str]) -> impl Strategy<Value = Properties> {
    prop::collection::btree_map(prop::sample::select(names).prop_map(str::to_owned), value(), 0..3)
}

/// What the fold writes: texts, lists of them, numbers and truths.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0..i64::MAX).prop_map(Value::Int),
        text().prop_map(Value::Text),
        prop::collection::vec(text().prop_map(Value::Text), 0..3).prop_map(Value::List),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), Just(r#"{"type":"TextualBody","value":"é\n"}"#.to_owned())]
}

fn wants() -> impl Strategy<Value = Vec<Want>> {
    let part = prop_oneof![
        name().prop_map(Part::Annotation),
        Just(Part::Term(Term::EntityType("é".to_owned()))),
        Just(Part::Term(Term::TagSchema("s".to_owned()))),
    ];
    let parts = prop_oneof![Just(Parts::All), prop::collection::btree_set(part, 0..3).prop_map(Parts::Some)];
    let resource = prop_oneof![4 => id(), 1 => Just(system())];
    prop::collection::btree_map(resource, parts, 1..4).prop_map(|wants: BTreeMap<EntityId, Parts>| {
        wants.into_iter().map(|(resource, parts)| Want { resource, parts }).collect()
    })
}

/// Pages of everything, and what readers ask for.
fn lists() -> impl Strategy<Value = Vec<Call>> {
    let all = [
        &statements::LIST_STUBS,
        &statements::LIST_PARKED,
        &statements::LIST_ANNOTATIONS,
        &statements::LIST_TOMBSTONES,
        &statements::DUMP_RESOURCES,
        &statements::DUMP_ANNOTATIONS,
        &statements::DUMP_TOMBSTONES,
        &statements::DUMP_VOCABULARY,
        &statements::DUMP_MARKS,
    ];
    let ids = prop::collection::btree_set(id(), 1..3);
    (id(), name(), id(), 1..4_u32, ids).prop_map(move |(id, name, to, limit, ids)| {
        let node = format!("{id}#{name}");
        let ids: Vec<EntityId> = ids.into_iter().collect();
        let mut calls: Vec<Call> =
            all.into_iter().map(|statement| statements::page(statement, id.as_str(), limit)).collect();
        calls.push(statements::edge_page(&statements::DUMP_OWNERS, &node, to.as_str(), limit));
        calls.push(statements::edge_page(&statements::DUMP_REFERENCES, &node, to.as_str(), limit));
        calls.push(statements::count_stubs(id.as_str(), limit));
        calls.extend(statements::look_up(&ids));
        calls.push(statements::referrers(&to, &node, limit));
        calls
    })
}
