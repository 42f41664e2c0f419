use serde_json::{Value, json};

use super::*;

fn event(kind: &str, payload: &Value) -> Event {
    let envelope = json!({
        "id": "e1", "type": kind, "timestamp": "2026-01-01T00:00:00Z", "resourceId": "r1", "userId": "did:web:me",
        "version": 1, "payload": payload, "metadata": { "sequenceNumber": 3, "correlationId": "c1" },
        "signature": { "ed25519": "…" },
    });
    serde_json::from_value(envelope).expect("an event")
}

/// A payload for each type that has all that it must have.
fn payload(kind: Kind) -> Value {
    let created = json!({ "name": "n", "format": "text/plain", "contentChecksum": "c", "parentResourceId": "r0" });
    let annotation = json!({
        "id": "a1", "motivation": "linking", "target": { "source": "r1", "selector": { "start": 1 } },
        "body": [
            { "type": "TextualBody", "value": "v", "purpose": "tagging" },
            { "type": "SpecificResource", "source": "r2" },
        ],
    });
    let item = json!({ "type": "SpecificResource", "source": "r2", "purpose": "linking" });
    match kind {
        Kind::ResourceCreated | Kind::ResourceCloned => created,
        Kind::ResourceUpdated => json!({ "contentChecksum": "d" }),
        Kind::ResourceMoved => json!({ "fromUri": "a", "toUri": "b" }),
        Kind::RepresentationAdded => json!({ "representation": { "checksum": "c" } }),
        Kind::RepresentationRemoved => json!({ "checksum": "c" }),
        Kind::ResourceArchived | Kind::ResourceUnarchived => json!({}),
        Kind::AnnotationAdded => json!({ "annotation": annotation }),
        Kind::AnnotationRemoved => json!({ "annotationId": "a1" }),
        Kind::AnnotationBodyUpdated => json!({ "annotationId": "a1", "operations": [
            { "op": "add", "item": item }, { "op": "remove", "item": item },
            { "op": "replace", "oldItem": item, "newItem": item },
        ] }),
        Kind::EntityTagAdded | Kind::EntityTagRemoved | Kind::EntityTypeAdded => json!({ "entityType": "Person" }),
        Kind::TagSchemaAdded => json!({ "schema": { "id": "s", "tags": ["x"] } }),
        Kind::JobStarted | Kind::JobProgress | Kind::JobCompleted | Kind::JobFailed => {
            json!({ "jobId": "j", "jobType": "t" })
        }
    }
}

#[test]
fn every_type_is_read_under_both_names_and_written_as_it_was() {
    for kind in Kind::ALL {
        for name in [kind.name(), kind.upstream_name()] {
            let read = event(name, &payload(*kind));
            let Content::Known(known) = &read.content else { panic!("{name}: {:?}", read.content) };
            assert_eq!(known.kind(), *kind);
            assert_eq!(read.position.to_string(), "r1@3");
            let written = serde_json::to_value(&read).expect("it is plain data");
            assert_eq!(written["payload"], payload(*kind), "{name}");
            assert_eq!(serde_json::from_value::<Event>(written).expect("an event"), read);
        }
    }
}

#[test]
fn what_is_missing_makes_it_malformed_and_it_keeps_its_place() {
    for kind in Kind::ALL {
        let Value::Object(whole) = payload(*kind) else { panic!("an object") };
        for field in whole.keys() {
            let optional = *kind == Kind::ResourceCreated && field == "parentResourceId";
            let mut torn = whole.clone();
            torn.remove(field);
            let read = event(kind.name(), &Value::Object(torn));
            let malformed = matches!(read.content, Content::Malformed { .. });
            assert_eq!(malformed, !optional, "{} without {field}", kind.name());
            assert_eq!(read.position.sequence, 3);
        }
    }
}

#[test]
fn what_is_not_known_is_refused_and_kept_as_it_is() {
    let unknown = event("resource.vanished", &json!({ "why": [1, 2] }));
    assert_eq!(unknown.content.treatment(), Treatment::Refused);
    let written = serde_json::to_value(&unknown).expect("it is plain data");
    assert_eq!((&written["type"], &written["payload"]), (&json!("resource.vanished"), &json!({ "why": [1, 2] })));
    assert_eq!(serde_json::from_value::<Event>(written).expect("an event"), unknown);

    let newer = json!({
        "id": "e", "type": "resource.archived", "timestamp": "", "resourceId": "r1", "userId": "u",
        "version": SCHEMA_VERSION + 1, "payload": {}, "metadata": { "sequenceNumber": 1 },
    });
    let newer: Event = serde_json::from_value(newer).expect("an event");
    assert!(matches!(newer.content, Content::Unknown { .. }), "what a newer schema means nobody here knows");
}

#[test]
fn an_event_of_no_resource_is_in_the_system_stream() {
    let event = json!({
        "id": "e", "type": "entitytype.added", "timestamp": "", "userId": "u", "version": 1,
        "payload": { "entityType": "Person" }, "metadata": { "sequenceNumber": 1 },
    });
    let event: Event = serde_json::from_value(event).expect("an event");
    assert_eq!(event.position.resource, system());
    assert_eq!(serde_json::to_value(&event).expect("it is plain data").get("resourceId"), None);
}

#[test]
fn an_event_without_a_place_is_none() {
    let event = json!({
        "id": "e", "type": "entitytype.added", "timestamp": "", "userId": "u", "version": 1,
        "payload": { "entityType": "Person" }, "metadata": { "sequenceNumber": 0 },
    });
    assert!(serde_json::from_value::<Event>(event).is_err());
}

#[test]
fn what_is_not_in_the_graph_is_not_there_on_purpose() {
    let outside: Vec<&str> =
        Kind::ALL.iter().filter(|kind| kind.treatment() == Treatment::NotInTheGraph).map(|kind| kind.name()).collect();
    assert_eq!(
        outside,
        [
            "resource.updated",
            "resource.moved",
            "representation.added",
            "representation.removed",
            "job.started",
            "job.progress",
            "job.completed",
            "job.failed",
        ]
    );
}
