//! Random transactions and reads over a few entities, so that clients get in each other's way.

use coordinator::reconcile::Policy;
use graph::{CanonicalKey, EntityId, Kind, Operation, Properties, Value};
use serde::Deserialize;

use super::operation::Op;
use super::projection::workload as events;
use crate::plan::{Client, ClientStep};
use crate::stream::Stream;

/// The most entities that a workload has; with more, clients hardly meet.
const ENTITIES_MAX: u64 = 1_000;

/// The most text that a value has with it: two of them, in a transaction, are within what a server takes by default.
const TEXT_BYTES_MAX: u64 = 256 * 1024;

/// How long after the one who creates resources the others begin: what is about a resource that is not there yet is poison
/// for ever.
const EVENTS_HEAD_START_MS: u64 = 200;

/// The latest start and the longest pause, in simulated time.
const HOUR_MS: u64 = 3_600_000;

/// A workload that makes sense.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Wish")]
pub struct Options(Wish);

/// What a scenario says about its random workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    /// How many entities there are; fewer means more conflicts.
    entities: u64,
    /// How many operations in a hundred are reads.
    reads_percent: u64,
    /// How many transactions in a hundred touch two entities.
    links_percent: u64,
    /// How many operations in a hundred compare or repair both stores.
    passes_percent: u64,
    /// How much text, in bytes, is written with each value.
    text_bytes: u64,
    /// How many transactions in a hundred have the coordinator make ids.
    generated_percent: u64,
    /// How many operations in a hundred are about canonical keys.
    keyed_percent: u64,
    /// How many canonical keys there are; fewer means more conflicts.
    keys: u64,
    /// How often a client sends a transaction again while it is not told the outcome.
    retries: u32,
    /// When clients begin: a coordinator needs about 200 ms to come up.
    start_ms: u64,
    /// The longest pause between two operations of a client.
    pause_ms_max: u64,
    /// Events, where there is a projection.
    events: Option<events::Wish>,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish {
            entities: 3,
            reads_percent: 35,
            links_percent: 25,
            passes_percent: 0,
            text_bytes: 0,
            generated_percent: 0,
            keyed_percent: 0,
            keys: 2,
            retries: 1,
            start_ms: 250,
            pause_ms_max: 60,
            events: None,
        }
    }
}

impl TryFrom<Wish> for Options {
    type Error = String;

    fn try_from(wish: Wish) -> Result<Options, String> {
        let Wish { entities, reads_percent, links_percent, passes_percent, text_bytes, .. } = wish;
        let Wish { generated_percent, keyed_percent, keys, retries: _, start_ms, pause_ms_max, .. } = wish;
        let events = wish.events.as_ref().map(events::Wish::figures);
        let figures = [
            ("entities", entities, 1, ENTITIES_MAX),
            ("reads_percent", reads_percent, 0, 100),
            ("links_percent", links_percent, 0, 100),
            ("passes_percent", passes_percent, 0, 100),
            ("text_bytes", text_bytes, 0, TEXT_BYTES_MAX),
            ("generated_percent", generated_percent, 0, 100),
            ("keyed_percent", keyed_percent, 0, 100),
            ("keys", keys, 1, ENTITIES_MAX),
            ("start_ms", start_ms, 0, HOUR_MS),
            ("pause_ms_max", pause_ms_max, 0, HOUR_MS),
        ];
        for (name, value, low, high) in figures.into_iter().chain(events.into_iter().flatten()) {
            if !(low..=high).contains(&value) {
                return Err(format!("workload option `{name}` takes {low} to {high}, not {value}"));
            }
        }
        Ok(Options(wish))
    }
}

/// Makes `count` operations for each client. The first client begins by creating the entities, so that the others
/// have something to change; what comes too early, or finds what it does not expect, is refused.
pub fn generate(Options(options): &Options, clients: &[String], count: usize, random: &mut Stream) -> Vec<Client<Op>> {
    // Each transaction writes a value of its own, so that a read tells which one it saw.
    let mut value = 0;
    let mut missing: Vec<EntityId> = (1..=options.entities).rev().map(entity).collect();
    let mut events = options.events.as_ref().map(|wish| (wish, events::Generator::new(wish, options.retries)));
    let client = |name: &String| {
        let mut at_ms = options.start_ms;
        let mut steps = Vec::new();
        if let Some((_, generator)) = events.as_mut().filter(|_| clients.first() == Some(name)) {
            let creations = generator.creations(random);
            steps.extend(creations.into_iter().map(|op| ClientStep { at_ms: options.start_ms, op }));
        } else if events.is_some() {
            at_ms += EVENTS_HEAD_START_MS;
        }
        steps.extend((0..count).map(|_| {
            at_ms += random.below(options.pause_ms_max + 1);
            value += 1;
            if let Some((wish, generator)) = &mut events
                && random.percent(wish.percent)
            {
                return ClientStep { at_ms, op: generator.next(random) };
            }
            let mut op = match missing.pop() {
                Some(id) => submit(options, vec![create(options, id, value)]),
                None => operation(options, value, random),
            };
            if let (Some((_, generator)), Op::Submit { operations, .. }) = (&mut events, &mut op) {
                operations.extend(generator.attached(random));
            }
            ClientStep { at_ms, op }
        }));
        Client { name: name.clone(), steps }
    };
    clients.iter().map(client).collect()
}

fn operation(options: &Wish, value: i64, random: &mut Stream) -> Op {
    // Drawn where they are wanted alone: other workloads stay what they were.
    if options.passes_percent > 0 && random.percent(options.passes_percent) {
        return pass(random);
    }
    if options.generated_percent > 0 && random.percent(options.generated_percent) {
        return generated(options, value, random);
    }
    if options.keyed_percent > 0 && random.percent(options.keyed_percent) {
        return keyed(options, value, random);
    }
    let mut any = || entity(1 + random.below(options.entities));
    let (id, other) = (any(), any());
    if random.percent(options.reads_percent) {
        // Mostly strong reads: a peek promises nothing.
        return if random.percent(20) { Op::Peek { entity: id } } else { Op::Read { entity: id } };
    }
    let properties = properties(options, value);
    let update = |id| Operation::Update { id, set: properties.clone() };
    let link = |from, to| Operation::Link { from, kind: name("knows"), to, properties: properties.clone() };
    let operations = if random.percent(options.links_percent) {
        match random.below(4) {
            0 => vec![Operation::Unlink { from: id, kind: name("knows"), to: other }],
            1 => vec![link(id, other)],
            // Two entities at once, so that a torn transaction shows.
            _ if id != other => vec![update(id), update(other)],
            _ => vec![update(id.clone()), link(id, other)],
        }
    } else {
        match random.below(10) {
            0 => vec![create(options, id, value)],
            1 => vec![Operation::Delete { id }],
            _ => vec![update(id)],
        }
    };
    submit(options, operations)
}

/// A transaction that has the coordinator make ids, sent once more after its outcome is known.
fn generated(options: &Wish, value: i64, random: &mut Stream) -> Op {
    let properties = properties(options, value);
    let link = |to| Operation::Link { from: label("a"), kind: name("knows"), to, properties: properties.clone() };
    let operations = match random.below(3) {
        0 => vec![create(options, label("a"), value)],
        1 => vec![create(options, label("a"), value), create(options, label("b"), value), link(label("b"))],
        // Refused where that one is not there: then the id is burnt.
        _ => vec![create(options, label("a"), value), link(entity(1 + random.below(options.entities)))],
    };
    Op::Submit { operations, retries: options.retries, again: 1, then: Vec::new() }
}

/// Something about a canonical key that the others are after as well.
fn keyed(options: &Wish, value: i64, random: &mut Stream) -> Op {
    let key = CanonicalKey::new(format!("key:{}", 1 + random.below(options.keys))).expect("plain characters");
    let id = entity(1 + random.below(options.entities));
    let create = |id| Operation::Create {
        id,
        kind: name("thing"),
        key: Some(key.clone()),
        properties: properties(options, value),
    };
    match random.below(5) {
        0 | 1 => Op::Find { kind: name("thing"), key },
        2 => submit(options, vec![create(label("a"))]),
        // Whoever has the key, or another one, makes room for it.
        3 => submit(options, vec![Operation::Delete { id: id.clone() }, create(id)]),
        _ => submit(options, vec![create(id)]),
    }
}

fn submit(options: &Wish, operations: Vec<Operation>) -> Op {
    Op::Submit { operations, retries: options.retries, again: 0, then: Vec::new() }
}

fn label(text: &str) -> EntityId {
    EntityId::new(format!("_:{text}")).expect("a letter")
}

/// A comparison, or a repair under any of the policies.
fn pass(random: &mut Stream) -> Op {
    let policies = [Policy::Log, Policy::Graph, Policy::Sql, Policy::Quarantine];
    match policies.get(random.below(1 + policies.len() as u64) as usize) {
        Some(policy) => Op::Reconcile { policy: *policy },
        None => Op::Validate {},
    }
}

fn create(options: &Wish, id: EntityId, value: i64) -> Operation {
    Operation::Create { id, kind: name("thing"), key: None, properties: properties(options, value) }
}

fn properties(options: &Wish, value: i64) -> Properties {
    let mut properties = Properties::from([("value".to_owned(), Value::Int(value))]);
    if options.text_bytes > 0 {
        // Of every value another text, so that two cannot be mixed up.
        let text = format!("{value} ").repeat(1 + options.text_bytes as usize / 2);
        properties.insert("text".to_owned(), Value::Text(text[..options.text_bytes as usize].to_owned()));
    }
    properties
}

fn entity(number: u64) -> EntityId {
    EntityId::new(format!("e{number}")).expect("a letter and a number")
}

fn name(text: &str) -> Kind {
    Kind::new(text).expect("a plain word")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn options(json: serde_json::Value) -> Options {
        Options::deserialize(json).expect("good options")
    }

    fn refused(json: serde_json::Value) -> String {
        Options::deserialize(json).expect_err("bad options").to_string()
    }

    fn made(options: &Options, count: usize, seed: u64) -> Vec<Client<Op>> {
        let clients = ["c1", "c2", "c3"].map(str::to_owned);
        generate(options, &clients, count, &mut Stream::new(seed, "workload"))
    }

    fn operations(clients: &[Client<Op>]) -> impl Iterator<Item = &Op> {
        clients.iter().flat_map(|client| &client.steps).map(|step| &step.op)
    }

    fn written(op: &Op) -> &[Operation] {
        match op {
            Op::Submit { operations, .. } => operations,
            _ => &[],
        }
    }

    #[test]
    fn a_seed_always_makes_the_same_and_another_seed_something_else() {
        let options = Options::default();
        assert_eq!(made(&options, 20, 7), made(&options, 20, 7));
        assert_ne!(made(&options, 20, 7), made(&options, 20, 8));
    }

    #[test]
    fn every_client_gets_its_share_in_order_of_time() {
        let made = made(&options(json!({ "start_ms": 400, "pause_ms_max": 10 })), 20, 1);
        assert_eq!(made.iter().map(|client| client.name.as_str()).collect::<Vec<_>>(), ["c1", "c2", "c3"]);
        for Client { steps, .. } in &made {
            assert_eq!(steps.len(), 20);
            assert!(steps[0].at_ms >= 400);
            assert!(steps.windows(2).all(|pair| (0..=10).contains(&(pair[1].at_ms - pair[0].at_ms))));
        }
    }

    #[test]
    fn every_kind_of_operation_occurs_and_so_do_transactions_on_two_entities() {
        let mut kinds = BTreeSet::new();
        for seed in 0..20 {
            for op in operations(&made(&Options::default(), 20, seed)) {
                kinds.insert(match op {
                    Op::Read { .. } => "read",
                    Op::Peek { .. } => "peek",
                    Op::Find { .. } => "find",
                    Op::Validate {} | Op::Reconcile { .. } => "pass",
                    Op::Submit { operations, .. } if operations.len() > 1 => "several",
                    Op::Submit { .. } => "one",
                    other => panic!("nobody asked for {other:?}"),
                });
                kinds.extend(written(op).iter().map(|operation| match operation {
                    Operation::Create { .. } => "create",
                    Operation::Update { .. } => "update",
                    Operation::Delete { .. } => "delete",
                    Operation::Link { from, to, .. } if from == to => "link to itself",
                    Operation::Link { .. } => "link",
                    Operation::Unlink { .. } => "unlink",
                    Operation::Restore { .. } => "restore",
                    Operation::Append { .. } => "append",
                }));
            }
        }
        let all = ["read", "peek", "one", "several", "create", "update", "delete", "link", "link to itself", "unlink"];
        assert_eq!(kinds, BTreeSet::from(all));
    }

    #[test]
    fn everything_it_makes_is_well_formed_and_every_transaction_writes_a_value_of_its_own() {
        let made = made(&Options::default(), 50, 3);
        let mut seen = BTreeSet::new();
        for operations in operations(&made).map(written).filter(|operations| !operations.is_empty()) {
            assert_eq!(graph::Patch { operations: operations.to_vec() }.validate(), Ok(()));
            let values: BTreeSet<&Value> = operations
                .iter()
                .filter_map(|operation| match operation {
                    Operation::Create { properties, .. } | Operation::Link { properties, .. } => Some(properties),
                    Operation::Update { set, .. } => Some(set),
                    Operation::Delete { .. }
                    | Operation::Unlink { .. }
                    | Operation::Restore { .. }
                    | Operation::Append { .. } => None,
                })
                .map(|properties| &properties["value"])
                .collect();
            assert!(values.len() <= 1, "{operations:?}");
            assert!(values.into_iter().all(|value| seen.insert(value.clone())), "{operations:?}");
        }
    }

    #[test]
    fn the_entities_are_created_first_and_no_other_is_named() {
        let made = made(&options(json!({ "entities": 4 })), 3, 1);
        let created = |op: &Op| matches!(written(op), [Operation::Create { .. }]);
        assert!(operations(&made).take(4).all(created));
        let names = operations(&made).flat_map(written).flat_map(Operation::keys).map(EntityId::as_str);
        assert_eq!(names.collect::<BTreeSet<_>>(), BTreeSet::from(["e1", "e2", "e3", "e4"]));
    }

    #[test]
    fn ids_are_made_and_keys_are_fought_for_where_that_is_wanted() {
        let wanted = options(json!({ "generated_percent": 30, "keyed_percent": 40, "keys": 1 }));
        let (mut labels, mut keys, mut finds) = (0, BTreeSet::new(), 0);
        for seed in 0..10 {
            for op in operations(&made(&wanted, 20, seed)) {
                finds += u64::from(matches!(op, Op::Find { .. }));
                for operation in written(op) {
                    let Operation::Create { id, key, .. } = operation else { continue };
                    labels += u64::from(id.is_label());
                    keys.extend(key.clone());
                }
                assert!(written(op).is_empty() || graph::Patch { operations: written(op).to_vec() }.validate().is_ok());
            }
        }
        assert!(labels > 50 && finds > 50, "{labels} labels, {finds} look-ups");
        assert_eq!(keys.into_iter().map(String::from).collect::<Vec<_>>(), ["key:1"]);
    }

    #[test]
    fn percentages_of_nothing_and_of_all_are_kept() {
        let reads = |percent: u64| {
            let made = made(&options(json!({ "reads_percent": percent, "entities": 1 })), 30, 1);
            operations(&made).skip(1).filter(|op| written(op).is_empty()).count()
        };
        assert_eq!((reads(0), reads(100)), (0, 89));
        let links = |percent: u64| {
            let made = made(&options(json!({ "links_percent": percent, "reads_percent": 0, "entities": 1 })), 30, 1);
            let links = |operations: &[Operation]| {
                operations.iter().any(|o| matches!(o, Operation::Link { .. } | Operation::Unlink { .. }))
            };
            operations(&made).skip(1).filter(|op| links(written(op))).count()
        };
        assert_eq!((links(0), links(100)), (0, 89));
    }

    #[test]
    fn passes_and_large_entities_are_made_where_they_are_asked_for() {
        let made = made(&options(json!({ "passes_percent": 30, "text_bytes": 1_000 })), 60, 1);
        let passes: BTreeSet<String> = operations(&made)
            .filter(|op| matches!(op, Op::Validate {} | Op::Reconcile { .. }))
            .map(|op| format!("{op:?}"))
            .collect();
        assert_eq!(passes.len(), 5, "every policy, and validation: {passes:?}");
        let mut texts = BTreeSet::new();
        for operation in operations(&made).flat_map(written) {
            if let Operation::Create { properties, .. } | Operation::Update { set: properties, .. } = operation {
                let text = properties["text"].as_text().expect("a text");
                assert_eq!(text.len(), 1_000);
                texts.insert((text, properties["value"].clone()));
            }
        }
        assert!(texts.len() > 20, "a text goes with its value: {}", texts.len());
    }

    #[test]
    fn options_that_make_no_sense_are_refused_by_name_with_what_they_take() {
        for (json, message) in [
            (json!({ "entities": 0 }), "workload option `entities` takes 1 to 1000, not 0"),
            (json!({ "entities": 1001 }), "workload option `entities` takes 1 to 1000, not 1001"),
            (json!({ "reads_percent": 101 }), "workload option `reads_percent` takes 0 to 100, not 101"),
            (json!({ "links_percent": 250 }), "workload option `links_percent` takes 0 to 100, not 250"),
            (
                json!({ "start_ms": u64::MAX }),
                "workload option `start_ms` takes 0 to 3600000, not 18446744073709551615",
            ),
            (json!({ "pause_ms_max": 3_600_001 }), "workload option `pause_ms_max` takes 0 to 3600000, not 3600001"),
        ] {
            assert_eq!(refused(json), message);
        }
    }

    #[test]
    fn an_unknown_option_is_refused_with_those_that_exist() {
        assert_eq!(
            refused(json!({ "entitys": 3 })),
            "unknown field `entitys`, expected one of `entities`, `reads_percent`, `links_percent`, \
             `passes_percent`, `text_bytes`, `generated_percent`, `keyed_percent`, `keys`, `retries`, `start_ms`, \
             `pause_ms_max`, `events`"
        );
        assert!(refused(json!({ "entities": "three" })).contains("expected u64"));
    }
}
