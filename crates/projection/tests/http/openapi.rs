//! The OpenAPI document against the server: its routes, its examples, the shape of its answers.

use std::collections::BTreeSet;

use projection::http::{ProblemType, paths};
use projection::operations::AlertKind;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::openapi_document::{differences, object, operations, request};
use crate::store::EventStore;
use crate::support::{Reply, Running, created, linked, open, unknown};

/// A projector that has something of everything to show.
async fn start() -> (EventStore, TempDir, Running, Value) {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    store.append([created("r1"), linked("r1", 2, "stub"), created("s"), linked("s", 2, "r1"), unknown("p", 1)]);
    store.append([created("t"), linked("t", 2, "p")]);
    projector.settle(&store).await;
    let document = projector.get("/openapi.json").await.json();
    (store, folder, projector, document)
}

#[track_caller]
fn assert_documented(document: &Value, operation: &Value, reply: &Reply) {
    let name = &operation["operationId"];
    let said = &operation["responses"][reply.status.to_string()];
    assert!(said.is_object(), "{name} answered {} and the document does not say so: {reply:?}", reply.status);
    let media_type = reply.header("content-type").unwrap().split(';').next().unwrap();
    let schema = &said["content"][media_type]["schema"];
    assert!(schema.is_object(), "{name} answered {media_type}, and the document does not say so");
    if media_type.ends_with("json") {
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        let found = differences(document, schema, &body, "");
        assert!(found.is_empty(), "{name}: {found:#?}\nin {body:#}");
    }
    for header in said.get("headers").map(object).into_iter().flatten() {
        assert!(reply.header(header.0).is_some(), "{name}: no {} in {reply:?}", header.0);
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_the_other_way_round() {
    let (_store, _folder, projector, document) = start().await;
    let documented: BTreeSet<&str> = object(&document["paths"]).keys().map(String::as_str).collect();
    assert_eq!(documented, paths().collect::<BTreeSet<_>>());
    for (path, methods) in object(&document["paths"]) {
        let target = path.replace("{id}", "r1").replace("{sequence}", "1");
        for method in ["get", "post", "put", "patch", "delete"] {
            let name = method.to_uppercase();
            let reply =
                projector.send(&format!("{name} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
            assert_eq!(reply.status != 405, methods.get(method).is_some(), "{method} {path}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn every_example_is_accepted_and_answered_as_the_document_says() {
    let (_store, _folder, projector, document) = start().await;
    for (path, method, operation) in operations(&document) {
        let reply = projector.send(&request(path, method, operation)).await;
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
        assert_documented(&document, operation, &reply);
    }
}

#[tokio::test]
async fn whatever_goes_wrong_is_answered_as_the_document_says() {
    let (_store, _folder, projector, document) = start().await;
    let said = |path: &str, method: &str| document["paths"][path][method].clone();
    for (path, target) in [
        ("/resources/{id}", "/resources/nobody"),
        ("/resources/{id}", "/resources/a%20b"),
        ("/resources/{id}", "/resources/p"),
        ("/resources/{id}/referenced-by", "/resources/nobody/referenced-by"),
        ("/resources/{id}/referenced-by", "/resources/r1/referenced-by?limit=0"),
        ("/applied/{id}/{sequence}", "/applied/p/1?wait_ms=1"),
        ("/applied/{id}/{sequence}", "/applied/p/one"),
        ("/stubs", "/stubs?limit=0"),
        ("/parked", "/parked?before=x"),
    ] {
        assert_documented(&document, &said(path, "get"), &projector.get(target).await);
    }
    for path in ["/rebuilds", "/reconciliations"] {
        for body in ["{\"resource\": \"nobody\"}", "1"] {
            let length = body.len();
            let head = "Host: x\r\nConnection: close\r\nContent-Type: application/json\r\n";
            let request = format!("POST {path} HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}");
            assert_documented(&document, &said(path, "post"), &projector.send(&request).await);
        }
    }
}

#[tokio::test]
async fn the_document_knows_every_word_that_the_server_uses() {
    let (_store, _folder, _projector, document) = start().await;
    let words = |pointer: &str| -> Vec<String> {
        serde_json::from_value(document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")).clone()).unwrap()
    };
    let problems: Vec<String> = ProblemType::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(words("/components/schemas/Problem/properties/type/enum"), problems);
    let alerts: Vec<&str> = AlertKind::ALL.iter().map(|alert| alert.name()).collect();
    assert_eq!(words("/components/schemas/Alert/properties/alert/enum"), alerts);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}
