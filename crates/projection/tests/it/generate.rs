//! Random logs: links in cycles and to oneself, inline links, operations on bodies, names that are
//! used again, equal timestamps, streams that stop at something nobody can fold.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::EntityId;
use projection::event::Event;
use proptest::prelude::*;
use serde_json::{Value, json};

pub const RESOURCES: u8 = 4;

/// An event before it is written out: which resource, what, and two choices.
pub type Seed = (u8, u8, u8, u8);

pub fn log(events_max: usize) -> impl Strategy<Value = Vec<Arc<Event>>> {
    proptest::collection::vec(any::<Seed>(), 0..events_max).prop_map(|seeds| write(&seeds, false))
}

/// The same, with now and then an event that nobody can fold.
pub fn poisoned_log(events_max: usize) -> impl Strategy<Value = Vec<Arc<Event>>> {
    proptest::collection::vec(any::<Seed>(), 0..events_max).prop_map(|seeds| write(&seeds, true))
}

pub fn write(seeds: &[Seed], poison: bool) -> Vec<Arc<Event>> {
    let mut heads = vec![0; usize::from(RESOURCES) + 1];
    let mut known = BTreeSet::new();
    seeds
        .iter()
        .map(|(resource, what, x, y)| {
            let resource = resource % (RESOURCES + 1);
            let sequence = &mut heads[usize::from(resource)];
            *sequence += 1;
            let (kind, payload) = match (resource, *sequence) {
                (RESOURCES, _) => of_the_system(*what, *x),
                (_, 1) => created(*x),
                _ => {
                    let seen = known.contains(&(resource, x % 2));
                    if what % 16 <= 6 {
                        known.insert((resource, x % 2));
                    }
                    of_a_resource(resource, *what, *x, *y, poison, seen)
                }
            };
            event(resource, *sequence, kind, &payload)
        })
        .collect()
}

fn event(resource: u8, sequence: u64, kind: &str, payload: &Value) -> Arc<Event> {
    let mut envelope = json!({
        "id": format!("e-{resource}-{sequence}"), "type": kind, "timestamp": "t", "userId": "u", "version": 1,
        "payload": payload, "metadata": { "sequenceNumber": sequence },
    });
    if resource != RESOURCES {
        envelope["resourceId"] = json!(name(resource));
    }
    Arc::new(serde_json::from_value(envelope).expect("an event"))
}

pub fn name(resource: u8) -> String {
    format!("r{resource}")
}

pub fn id(resource: u8) -> EntityId {
    EntityId::new(name(resource)).expect("an id")
}

fn created(x: u8) -> (&'static str, Value) {
    (
        "resource.created",
        json!({ "name": format!("n{}", x % 3), "format": "f", "contentChecksum": "c", "entityTypes": ["Z"] }),
    )
}

fn of_the_system(what: u8, x: u8) -> (&'static str, Value) {
    match what % 3 {
        0 => ("tagschema.added", json!({ "schema": { "id": format!("s{}", x % 2), "tags": [x] } })),
        1 => ("job.started", json!({ "jobId": "j", "jobType": "t" })),
        _ => ("entitytype.added", json!({ "entityType": format!("T{}", x % 3) })),
    }
}

fn of_a_resource(resource: u8, what: u8, x: u8, y: u8, poison: bool, known: bool) -> (&'static str, Value) {
    let annotation = format!("a{}", x % 2);
    match what % 16 {
        0..=4 => {
            let body: Vec<Value> = (0..y % 4).map(|at| item(y / 4 + at * 3)).collect();
            let target = json!({ "source": name(resource) });
            let annotation = json!({ "id": annotation, "motivation": "m", "target": target, "body": body });
            ("annotation.added", json!({ "annotation": annotation }))
        }
        5..=6 => ("annotation.removed", json!({ "annotationId": annotation })),
        // Where there never was such an annotation, this is one that nobody can fold.
        7..=9 if poison || known => {
            let operations: Vec<Value> = (0..1 + y % 3).map(|at| operation(x / 2 + at, y / 3 + at * 5)).collect();
            ("annotation.body.updated", json!({ "annotationId": annotation, "operations": operations }))
        }
        10 => ("resource.archived", json!({})),
        11 => ("resource.unarchived", json!({})),
        12 => ("entitytag.added", json!({ "entityType": format!("T{}", y % 3) })),
        13 => ("entitytag.removed", json!({ "entityType": format!("T{}", y % 3) })),
        14 => created(x),
        15 if poison && y < 8 => ("resource.vanished", json!({})),
        _ => ("resource.updated", json!({ "contentChecksum": "d" })),
    }
}

fn item(y: u8) -> Value {
    match y % 8 {
        0 => json!({ "type": "TextualBody", "value": "v" }),
        1 => json!({ "type": "TextualBody", "value": "v", "purpose": "tagging" }),
        2 => json!({ "type": "SpecificResource", "source": "never", "purpose": "linking" }),
        3 => json!({ "type": "SpecificResource", "source": name(y / 8 % RESOURCES), "purpose": "linking" }),
        other => json!({ "type": "SpecificResource", "source": name(other - 4) }),
    }
}

fn operation(x: u8, y: u8) -> Value {
    match x % 4 {
        0 => json!({ "op": "remove", "item": item(y) }),
        1 => json!({ "op": "replace", "oldItem": item(y), "newItem": item(y.wrapping_add(3)) }),
        _ => json!({ "op": "add", "item": item(y) }),
    }
}
