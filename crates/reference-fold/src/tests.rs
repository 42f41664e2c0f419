//! Written out by hand, so that what everything else is compared with is compared with something.

use super::*;

fn log(events: &[(&str, u64, &str, Json)]) -> Vec<Event> {
    let event = |(resource, sequence, kind, payload): &(&str, u64, &str, Json)| {
        let envelope = serde_json::json!({
            "id": format!("{resource}-{sequence}"), "type": kind, "timestamp": "t", "resourceId": resource,
            "userId": "u", "version": 1, "payload": payload, "metadata": { "sequenceNumber": sequence },
        });
        serde_json::from_value(envelope).expect("an event")
    };
    events.iter().map(event).collect()
}

fn created(name: &str) -> Json {
    serde_json::json!({ "name": name, "format": "text/plain", "contentChecksum": "c", "entityTypes": ["Z", "A"] })
}

fn added(resource: &str, body: Json) -> Json {
    serde_json::json!({ "annotation": { "id": "a", "motivation": "m", "target": { "source": resource }, "body": body } })
}

fn link(to: &str) -> Json {
    serde_json::json!({ "type": "SpecificResource", "source": to })
}

#[test]
fn a_log_is_a_graph() {
    let operations = serde_json::json!([
        { "op": "replace", "oldItem": link("r2"), "newItem": link("r4") },
        { "op": "add", "item": { "type": "TextualBody", "value": "v" } },
    ]);
    let update = serde_json::json!({ "annotationId": "a", "operations": operations });
    let reference = fold(&log(&[
        ("r1", 3, "annotation.body.updated", update),
        ("r1", 2, "annotation.added", added("r1", serde_json::json!([link("r2"), link("r3"), link("r2")]))),
        ("r1", 1, "resource.created", created("one")),
        ("r1", 1, "resource.created", created("one")),
        ("r3", 1, "resource.created", created("three")),
        ("r3", 2, "resource.archived", Json::Null),
        ("r3", 3, "annotation.removed", serde_json::json!({ "annotationId": "b" })),
        ("__system__", 1, "entitytype.added", serde_json::json!({ "entityType": "Z" })),
    ]));
    assert_eq!(
        reference.graph.to_string(),
        r#"node entity_type:Z :Vocabulary {"kind":"entity_type","name":"Z"}
node r1 :Resource {"archived":false,"created":"t","entityTypes":["A","Z"],"format":"text/plain","name":"one","stub":false}
node "r1#a" :Annotation {"annotation":"a","body":["{\"source\":\"r4\",\"type\":\"SpecificResource\"}","{\"source\":\"r3\",\"type\":\"SpecificResource\"}","{\"type\":\"TextualBody\",\"value\":\"v\"}"],"motivation":"m","resource":"r1"}
node r3 :Resource {"archived":true,"created":"t","entityTypes":["A","Z"],"format":"text/plain","name":"three","stub":false}
node "r3#b" :Tombstone {"annotation":"b","resource":"r3","seq":3}
node r4 :Resource {"stub":true}
edge "r1#a" -[BELONGS_TO {}]-> r1
edge "r1#a" -[REFERENCES {}]-> r3
edge "r1#a" -[REFERENCES {}]-> r4
edge "r3#b" -[BELONGS_TO {}]-> r3
"#
    );
    let mark = |resource: &str| reference.marks[&EntityId::new(resource).expect("an id")];
    assert_eq!((mark("r1"), mark("r3"), mark("__system__")), (3, 3, 1));
    assert_eq!(reference.stubs, BTreeSet::from([EntityId::new("r4").expect("an id")]));
}

#[test]
fn a_stream_ends_at_its_first_hole_and_at_its_first_poison() {
    let update = serde_json::json!({ "annotationId": "a", "operations": [] });
    let reference = fold(&log(&[
        ("hole", 1, "resource.created", created("hole")),
        ("hole", 3, "resource.archived", Json::Null),
        ("poison", 1, "resource.created", created("poison")),
        ("poison", 2, "annotation.body.updated", update.clone()),
        ("poison", 3, "resource.archived", Json::Null),
        ("buried", 1, "resource.created", created("buried")),
        ("buried", 2, "annotation.removed", serde_json::json!({ "annotationId": "a" })),
        ("buried", 3, "annotation.body.updated", update),
        ("early", 1, "resource.archived", Json::Null),
        ("strange", 1, "resource.vanished", Json::Null),
        ("ignored", 1, "job.started", serde_json::json!({ "jobId": "j", "jobType": "t" })),
    ]));
    let of = |map: &BTreeMap<EntityId, u64>, name: &str| map.get(&EntityId::new(name).expect("an id")).copied();
    let names = ["hole", "poison", "buried", "early", "strange", "ignored"];
    assert_eq!(names.map(|name| of(&reference.marks, name)), [1, 1, 3, 0, 0, 1].map(Some));
    assert_eq!(names.map(|name| of(&reference.poison, name)), [None, Some(2), None, Some(1), Some(1), None]);
}
