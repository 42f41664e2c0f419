//! The log of the model: three resources that link to each other, and to themselves.

use std::sync::Arc;

use graph::EntityId;
use projection::event::Event;
use serde_json::{Value, json};

/// The resources.
pub const RESOURCES: [&str; 3] = ["a", "b", "c"];

/// The first so many of: an annotation with an inline link, which gets a second link, goes, and
/// comes again under its name with a link to its own resource; one that links back and to a third;
/// and that third resource.
pub fn log(events: usize) -> Vec<Arc<Event>> {
    let script = [
        ("a", created()),
        ("a", added("a", &["b"])),
        ("b", created()),
        ("a", updated("c")),
        ("b", added("b", &["a", "c"])),
        ("a", ("annotation.removed", json!({ "annotationId": "x" }))),
        ("a", added("a", &["a"])),
        ("c", created()),
    ];
    let mut heads = std::collections::BTreeMap::new();
    let event = |(resource, (kind, payload)): (&'static str, (&str, Value))| {
        let sequence = heads.entry(resource).or_insert(0);
        *sequence += 1;
        let envelope = json!({
            "id": format!("{resource}{sequence}"), "type": kind, "timestamp": "t", "resourceId": resource,
            "userId": "u", "version": 1, "payload": payload, "metadata": { "sequenceNumber": sequence },
        });
        Arc::new(serde_json::from_value(envelope).expect("an event"))
    };
    script.into_iter().map(event).take(events).collect()
}

/// The resource of that name.
pub fn id(name: &str) -> EntityId {
    EntityId::new(name).expect("an id")
}

fn created() -> (&'static str, Value) {
    ("resource.created", json!({ "name": "n", "format": "f", "contentChecksum": "c" }))
}

fn link(to: &str) -> Value {
    json!({ "type": "SpecificResource", "source": to })
}

fn added(resource: &str, to: &[&str]) -> (&'static str, Value) {
    let target = json!({ "source": resource });
    let body: Vec<Value> = to.iter().map(|to| link(to)).collect();
    let annotation = json!({ "id": "x", "motivation": "m", "target": target, "body": body });
    ("annotation.added", json!({ "annotation": annotation }))
}

fn updated(to: &str) -> (&'static str, Value) {
    let operation = json!({ "op": "add", "item": link(to) });
    ("annotation.body.updated", json!({ "annotationId": "x", "operations": [operation] }))
}
