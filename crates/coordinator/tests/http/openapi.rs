//! The OpenAPI document against the server: its routes, its examples, the shape of its answers.

use std::collections::BTreeSet;

use coordinator::http::paths;
use coordinator::operations::AlertKind;
use coordinator::problem::ProblemType;
use coordinator::reconcile::Policy;
use coordinator::statements::calls_for;
use serde_json::{Value, json};
use stores::GraphStore;

use crate::openapi_document::{differences, object, operations, request};
use crate::support::{Mood, PATIENCE, Reply, Server, create};

async fn document(server: &Server) -> Value {
    server.get("/openapi.json").await.json()
}

/// Checks an answer against what the document says about its status.
#[track_caller]
fn assert_documented(document: &Value, operation: &Value, reply: &Reply) {
    let name = &operation["operationId"];
    let said = &operation["responses"][reply.status.to_string()];
    assert!(said.is_object(), "{name} answered {} and the document does not say so: {reply:?}", reply.status);
    let media_type = reply.header("content-type").unwrap().split(';').next().unwrap();
    let schema = &said["content"][media_type]["schema"];
    assert!(schema.is_object(), "{name} answered {media_type}, and the document does not say so");
    if media_type.ends_with("json") {
        let body: Value = serde_json::from_str(reply.body()).unwrap();
        let found = differences(document, schema, &body, "");
        assert!(found.is_empty(), "{name}: {found:#?}\nin {body:#}");
    }
    if let Some(headers) = said.get("headers") {
        for header in object(headers).keys() {
            assert!(reply.header(header).is_some(), "{name}: no {header} in {reply:?}");
        }
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_the_other_way_round() {
    let server = Server::start().await;
    let document = document(&server).await;
    let documented: BTreeSet<&str> = object(&document["paths"]).keys().map(String::as_str).collect();
    assert_eq!(documented, paths().collect::<BTreeSet<_>>());
    for (path, methods) in object(&document["paths"]) {
        let target = path.replace("{id}", "alice").replace("{tx}", "tx-1-1").replace("{number}", "1");
        let target = target.replace("{resource}", "alice");
        for method in ["get", "post", "put", "patch", "delete"] {
            let request =
                format!("{} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method.to_uppercase());
            let reply = server.send(&request).await;
            assert_eq!(reply.status != 405, methods.get(method).is_some(), "{method} {path}: {reply:?}");
            assert!(reply.status != 404 || reply.problem().kind != ProblemType::NoSuchRoute, "{method} {path}");
        }
    }
}

/// Makes a difference between the stores that is left to a person.
async fn leave_a_case(server: &Server) {
    let stray = serde_json::from_str(r#"[{"create": {"id": "stray", "kind": "thing"}}]"#).unwrap();
    server.graph.graph.execute(calls_for(&stray), PATIENCE).await.unwrap();
    let summary = server.client().reconcile(Policy::Quarantine).await.unwrap();
    assert_eq!(summary.undecided, 1, "{summary:?}");
}

#[tokio::test]
async fn every_example_is_accepted_and_answered_as_the_document_says() {
    let server = Server::start().await;
    let document = document(&server).await;
    let mut operations = operations(&document);
    // What there is to read has to be written first.
    operations.sort_by_key(|(path, method, _)| (*method != "post", *path != "/transactions"));
    for (path, method, operation) in operations {
        if path.starts_with("/cases/") {
            leave_a_case(&server).await;
        }
        // Of a damaged log and of the folders of this machine the tests of the program have more to say.
        if ["/damaged-records/{tx}/resolution", "/backups"].contains(&path) {
            let reply = server.send(&request(path, method, operation)).await;
            assert_documented(&document, operation, &reply);
            continue;
        }
        let reply = server.send(&request(path, method, operation)).await;
        let success = if operation["responses"]["201"].is_object() { 201 } else { 200 };
        assert_eq!(reply.status, success, "{method} {path}: {reply:?}");
        assert_documented(&document, operation, &reply);
        for (media_type, content) in object(&operation["responses"][success.to_string()]["content"]) {
            if let Some(example) = content.get("example") {
                let answer: Value = serde_json::from_str(reply.body()).unwrap();
                assert_eq!(example, &answer, "{method} {path}: {media_type}");
            }
        }
        if let Some(body) = operation["requestBody"].as_object() {
            let body = &body["content"]["application/json"];
            assert!(differences(&document, &body["schema"], &body["example"], "").is_empty(), "{path}");
        }
    }
}

#[tokio::test]
async fn whatever_goes_wrong_is_answered_as_the_document_says() {
    let server = Server::start_impatient().await;
    let document = document(&server).await;
    let said = |path: &str, method: &str| document["paths"][path][method].clone();
    let transactions = said("/transactions", "post");
    let append = said("/events", "post");
    for (body, status) in [
        (r#"{"events": [{"id": "a", "type": "t", "userId": "u", "version": 1}]}"#, 201),
        (r#"{"events": [{"id": "a", "type": "t", "userId": "u", "version": 1}]}"#, 200),
        (r#"{"events": [{"id": "a", "type": "t", "userId": "u", "version": 2}]}"#, 409),
        (r#"{"expectedVersion": 7, "events": [{"id": "b", "type": "t", "userId": "u", "version": 1}]}"#, 409),
        (r#"{"events": []}"#, 400),
    ] {
        let reply = server.post_to("/events", body).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert_documented(&document, &append, &reply);
    }
    assert_documented(&document, &said("/events", "get"), &server.get("/events?wait_ms=30001").await);
    assert_documented(&document, &said("/streams", "get"), &server.get("/streams?limit=0").await);
    assert_documented(&document, &said("/streams/{resource}/events", "get"), &server.get("/streams/a%20/events").await);
    server.post("k1", &create("a")).await.json();
    for (key, operations) in [
        ("k1", create("b")),
        ("k2", create("a")),
        ("k3", json!([{"delete": {"id": "z"}}]).to_string()),
        ("k4", json!([{"link": {"from": "a", "kind": "k", "to": "a"}}, {"delete": {"id": "a"}}]).to_string()),
        ("k5", json!([{"unlink": {"from": "a", "kind": "k", "to": "a"}}]).to_string()),
        ("", create("b")),
        ("k6", "[]".to_owned()),
    ] {
        let reply = server.post(key, &operations).await;
        assert!(reply.status >= 400, "{reply:?}");
        assert_documented(&document, &transactions, &reply);
    }
    assert_documented(&document, &transactions, &server.post_body("Idempotency-Key: k7\r\n", "{}").await);
    let read = said("/entities/{id}", "get");
    assert_documented(&document, &read, &server.get("/entities/a").await);
    for target in ["/entities/z", "/entities/z?consistency=eventual", "/entities/a?tier=1", "/entities/a%20b"] {
        assert_documented(&document, &read, &server.get(target).await);
    }
    let neighbours = said("/entities/{id}/neighbours", "get");
    for target in ["/entities/z/neighbours", "/entities/a/neighbours?depth=9"] {
        assert_documented(&document, &neighbours, &server.get(target).await);
    }
    for (path, target) in
        [("/transactions/{tx}", "/transactions/tx-9-9"), ("/transactions/{tx}/audit", "/transactions/tx-9-9/audit")]
    {
        assert_documented(&document, &said(path, "get"), &server.get(target).await);
    }
    server.mood.send_replace(Mood::Unwilling);
    assert_documented(&document, &transactions, &server.post("k8", &create("c")).await);
    for target in ["/entities/a", "/entities/a?consistency=eventual"] {
        assert_documented(&document, &read, &server.get(target).await);
    }
    assert_documented(&document, &neighbours, &server.get("/entities/a/neighbours").await);
    let resolution = said("/cases/{number}/resolution", "post");
    for (number, body) in [("1", r#"{"authority": "log", "by": "x", "note": "y"}"#), ("1", "{}"), ("x", "{}")] {
        let target = format!("/cases/{number}/resolution");
        let length = body.len();
        let reply = server.send(&format!("POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")).await;
        assert!(reply.status >= 400, "{reply:?}");
        assert_documented(&document, &resolution, &reply);
    }
    assert_documented(&document, &said("/cases", "get"), &server.get("/cases?limit=0").await);
    server.mood.send_replace(Mood::Silent);
    let unknown = server.post("k9", &create("d")).await;
    assert_eq!(unknown.status, 504);
    assert_documented(&document, &transactions, &unknown);
    let outcome = server.get(unknown.problem().outcome.as_deref().unwrap()).await;
    assert_documented(&document, &said("/transactions/{tx}", "get"), &outcome);
    assert_documented(&document, &said("/in-doubt", "get"), &server.get("/in-doubt").await);
}

#[tokio::test]
async fn the_document_knows_every_word_that_the_server_uses() {
    let server = Server::start().await;
    let document = document(&server).await;
    let words = |pointer: &str| -> Vec<String> {
        serde_json::from_value(document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")).clone()).unwrap()
    };
    let problems: Vec<String> = ProblemType::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(words("/components/schemas/Problem/properties/type/enum"), problems);
    let alerts: Vec<&str> = AlertKind::ALL.iter().map(|alert| alert.name()).collect();
    assert_eq!(words("/components/schemas/Alert/properties/alert/enum"), alerts);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}
