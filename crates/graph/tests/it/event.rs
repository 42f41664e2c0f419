use graph::{
    EventId, EventProblem, Json, NewEvent, Operation, PAYLOAD_DEPTH_MAX, Patch, SYSTEM_STREAM, Snapshot,
    TEXT_BYTES_MAX, TxId, stream_of,
};
use serde_json::json;

use crate::{id, kind};

fn event(name: &str) -> NewEvent {
    serde_json::from_value(json!({ "id": name, "type": "noted", "userId": "ann", "version": 1 })).unwrap()
}

fn append(resource: Option<&str>, name: &str) -> Operation {
    Operation::Append { resource: resource.map(id), event: event(name) }
}

fn said(operations: Vec<Operation>) -> String {
    Patch { operations }.validate().unwrap_err().to_string()
}

#[test]
fn an_event_reads_as_it_is_written() {
    let json = r#"{"append":{"resource":"a","event":{"id":"e","type":"noted","timestamp":"t","userId":"ann","version":1,"payload":{"a":[1,2.5,null],"b":{}},"correlationId":"c"}}}"#;
    let operation: Operation = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&operation).unwrap(), json);
    let Operation::Append { resource: None, event } = serde_json::from_str::<Operation>(
        r#"{"append":{"event":{"id":"e","type":"noted","userId":"ann","version":1}}}"#,
    )
    .unwrap() else {
        panic!("it has no resource")
    };
    assert_eq!((event.timestamp, event.payload), (None, Json::default()));
    for unknown in [
        r#"{"append":{"event":{"id":"e","type":"noted","userId":"ann","version":1,"sequence":1}}}"#,
        r#"{"append":{"event":{"id":"","type":"noted","userId":"ann","version":1}}}"#,
    ] {
        assert!(serde_json::from_str::<Operation>(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn payloads_of_one_content_are_one_text() {
    let parse = |text: &str| serde_json::from_str::<Json>(text).unwrap();
    assert_eq!(parse(r#"{"b": 1, "a": {"d": 2.50, "c": "\u00e9"}}"#), parse(r#"{"a":{"c":"é","d":2.5},"b":1}"#));
    assert_ne!(parse("1"), parse("1.0"));
}

#[test]
fn the_depth_of_a_payload_is_that_of_its_lists_and_objects() {
    let depth = |text: &str| serde_json::from_str::<Json>(text).unwrap().depth();
    assert_eq!(depth("1"), 0);
    assert_eq!(depth(r#""[[{""#), 0, "what a text says is no nesting");
    assert_eq!(depth(r#""\"[\\""#), 0);
    assert_eq!(depth(r#"{"a":[],"b":[{"c":"]}"},1]}"#), 3);
}

fn said_of(payload: Json) -> Option<String> {
    NewEvent { payload, ..event("e") }.validate().err().map(|problem| problem.to_string())
}

#[test]
fn an_event_has_texts_of_bounded_length_without_control_characters() {
    assert_eq!(Patch { operations: vec![append(None, "e")] }.validate(), Ok(()));
    let wrong = |change: &dyn Fn(&mut NewEvent)| {
        let mut event = event("e");
        change(&mut event);
        said(vec![Operation::Append { resource: None, event }])
    };
    insta::assert_snapshot!(wrong(&|event| event.kind.clear()), @"operations[0]: event: `type` has 1 to 100 bytes, this one has 0");
    insta::assert_snapshot!(wrong(&|event| event.user_id = "u".repeat(201)), @"operations[0]: event: `userId` has 1 to 200 bytes, this one has 201");
    insta::assert_snapshot!(wrong(&|event| event.timestamp = Some("a\nb".to_owned())), @"operations[0]: event: `timestamp` must not contain control characters");
    insta::assert_snapshot!(wrong(&|event| event.payload = json!("x".repeat(TEXT_BYTES_MAX)).into()), @"operations[0]: event: the payload has 1048578 bytes: keep at most 1048576 and store the rest elsewhere");
    let nested = |depth: usize| serde_json::from_str::<Json>(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(said_of(nested(PAYLOAD_DEPTH_MAX).unwrap()), None);
    let deep = nested(PAYLOAD_DEPTH_MAX + 1).unwrap();
    insta::assert_snapshot!(said_of(deep).unwrap(), @"the payload is nested 65 deep: at most 64, for whoever reads it back");
    assert!(matches!(EventId::new("a\u{7f}"), Err(EventProblem::Control(_))));
}

#[test]
fn an_id_is_one_event_and_a_label_has_to_be_created() {
    insta::assert_snapshot!(said(vec![append(Some("a"), "e"), append(None, "e")]), @"operations[1]: event e is appended by an operation before: one id is one event");
    insta::assert_snapshot!(said(vec![append(Some("_:a"), "e")]), @"operations[0]: label _:a is created by no operation before: labels mean something in their own patch alone");
    let create = Operation::Create { id: id("_:a"), kind: kind("person"), key: None, properties: [].into() };
    let patch = Patch { operations: vec![create, append(Some("_:a"), "e")] };
    assert_eq!(patch.validate(), Ok(()));
    let resolved = patch.resolved(TxId { incarnation: 1, serial: 2 });
    assert_eq!(resolved.operations[1], append(Some("e-1-2-0"), "e"));
}

#[test]
fn the_graph_does_not_hear_of_it() {
    let mut snapshot = Snapshot::default();
    Patch { operations: vec![append(Some("nobody"), "e")] }.apply(&mut snapshot).unwrap();
    assert_eq!(snapshot, Snapshot::default());
    assert_eq!(append(Some("nobody"), "e").keys().count(), 0);
    assert_eq!(stream_of(None).as_str(), SYSTEM_STREAM);
}
