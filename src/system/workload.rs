//! Random transactions and reads over a few entities, so that clients get in each other's way.

use graph::{EntityId, Kind, Operation, Properties, Value};
use serde::Deserialize;

use super::operation::Op;
use crate::plan::{Client, ClientStep};
use crate::stream::Stream;

/// What a scenario says about its random workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How many entities there are; fewer means more conflicts.
    pub entities: u64,
    /// How many operations in a hundred are reads.
    pub reads_percent: u64,
    /// How many transactions in a hundred touch two entities.
    pub links_percent: u64,
    /// How often a client sends a transaction again while it is not told the outcome.
    pub retries: u32,
    /// When clients begin: a coordinator needs about 200 ms to come up.
    pub start_ms: u64,
    /// The longest pause between two operations of a client.
    pub pause_ms_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { entities: 3, reads_percent: 35, links_percent: 25, retries: 1, start_ms: 250, pause_ms_max: 60 }
    }
}

/// Makes `count` operations for each client. The first client begins by creating the entities, so that the others
/// have something to change; what comes too early, or finds what it does not expect, is refused.
pub fn generate(options: &Options, clients: &[String], count: usize, random: &mut Stream) -> Vec<Client<Op>> {
    // Each transaction writes a value of its own, so that a read tells which one it saw.
    let mut value = 0;
    let mut missing: Vec<EntityId> = (1..=options.entities).rev().map(entity).collect();
    let client = |name: &String| {
        let mut at_ms = options.start_ms;
        let steps = (0..count).map(|_| {
            at_ms += random.below(options.pause_ms_max + 1);
            value += 1;
            let op = match missing.pop() {
                Some(id) => submit(options, vec![create(id, value)]),
                None => operation(options, value, random),
            };
            ClientStep { at_ms, op }
        });
        Client { name: name.clone(), steps: steps.collect() }
    };
    clients.iter().map(client).collect()
}

fn operation(options: &Options, value: i64, random: &mut Stream) -> Op {
    let mut any = || entity(1 + random.below(options.entities.max(1)));
    let (id, other) = (any(), any());
    if random.percent(options.reads_percent) {
        // Mostly strong reads: a peek promises nothing.
        return if random.percent(20) { Op::Peek { entity: id } } else { Op::Read { entity: id } };
    }
    let properties = Properties::from([("value".to_owned(), Value::Int(value))]);
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
            0 => vec![create(id, value)],
            1 => vec![Operation::Delete { id }],
            _ => vec![update(id)],
        }
    };
    submit(options, operations)
}

fn submit(options: &Options, operations: Vec<Operation>) -> Op {
    Op::Submit { operations, retries: options.retries }
}

fn create(id: EntityId, value: i64) -> Operation {
    let properties = Properties::from([("value".to_owned(), Value::Int(value))]);
    Operation::Create { id, kind: name("thing"), properties }
}

fn entity(number: u64) -> EntityId {
    EntityId::new(format!("e{number}")).expect("a letter and a number")
}

fn name(text: &str) -> Kind {
    Kind::new(text).expect("a plain word")
}
