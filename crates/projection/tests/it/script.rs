//! Events written by hand, and worlds that have read them.

use std::sync::Arc;

use graph::EntityId;
use projection::event::Event;
use projection::lanes::{Answer, Config};
use serde_json::{Value, json};

use crate::world::World;

pub fn event(resource: &str, sequence: u64, kind: &str, payload: &Value) -> Arc<Event> {
    let envelope = json!({
        "id": format!("{resource}-{sequence}"), "type": kind, "timestamp": "t", "resourceId": resource, "userId": "u",
        "version": 1, "payload": payload, "metadata": { "sequenceNumber": sequence },
    });
    Arc::new(serde_json::from_value(envelope).expect("an event"))
}

pub fn created(resource: &str) -> Arc<Event> {
    event(resource, 1, "resource.created", &json!({ "name": "n", "format": "f", "contentChecksum": "c" }))
}

pub fn linked(resource: &str, sequence: u64, to: &str) -> Arc<Event> {
    let body = json!([{ "type": "SpecificResource", "source": to }]);
    let annotation = json!({ "id": "a", "motivation": "m", "target": { "source": resource }, "body": body });
    event(resource, sequence, "annotation.added", &json!({ "annotation": annotation }))
}

pub fn strange(resource: &str, sequence: u64) -> Arc<Event> {
    event(resource, sequence, "resource.vanished", &json!({}))
}

pub fn id(name: &str) -> EntityId {
    EntityId::new(name).expect("an id")
}

pub async fn settled(config: Config, log: Vec<Arc<Event>>) -> World {
    let mut world = World::in_memory(config, log).await;
    world.write_all();
    world.settle().await;
    world
}

pub fn answer(world: &World, request: u64) -> Option<Answer> {
    let answers = world.answers.0.lock().expect("no test panics with it");
    answers.iter().find(|(to, _)| to.0 == request).map(|(_, answer)| answer.clone())
}
