//! Ids that the coordinator makes, and canonical keys.

use coordinator::client::Submitted;
use coordinator::commit::{AbortReason, Decision, IdempotencyKey};
use coordinator::problem::{At, ProblemType};
use graph::{CanonicalKey, EntityId, Kind, Patch, Refusal, TxId};
use serde_json::json;

use crate::support::Server;

const LABELLED: &str = r#"[
    {"create": {"id": "_:book", "kind": "book", "key": "isbn:1"}},
    {"create": {"id": "alice", "kind": "person"}},
    {"create": {"id": "_:note", "kind": "note"}},
    {"link": {"from": "alice", "kind": "wrote", "to": "_:book"}}
]"#;

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey(text.to_owned())
}

fn patch(operations: &str) -> Patch {
    serde_json::from_str(operations).unwrap()
}

fn id(text: &str) -> EntityId {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_answer_says_what_the_labels_became_and_a_retry_says_the_same() {
    let server = Server::start().await;
    let created = json!({"_:book": "e-1-1-0", "_:note": "e-1-1-1"});
    for _ in 0..2 {
        let reply = server.post("k1", LABELLED).await.json();
        assert_eq!(reply, json!({"tx": "tx-1-1", "state": "committed", "created": created}));
    }
    let asked = server.get("/transactions/tx-1-1").await.json();
    assert_eq!(asked, json!({"tx": "tx-1-1", "state": "committed", "created": created}), "without the operations");
    assert_eq!(server.get("/entities/e-1-1-0").await.json()["key"], json!("isbn:1"));
    assert_eq!(server.get("/entities/alice").await.json()["links"][0]["to"], json!("e-1-1-0"));
    let second = r#"[{"create": {"id": "_:book", "kind": "note"}}, {"update": {"id": "e-1-1-1", "set": {"x": 1}}}]"#;
    let Submitted { tx, created, .. } = server.client().submit(&key("k2"), &patch(second)).await.unwrap();
    // The retry had a name of its own before the log knew its key: that one is burnt.
    assert_eq!(tx, TxId { incarnation: 1, serial: 3 });
    assert_eq!(created, [(id("_:book"), id("e-1-3-0"))].into());
}

#[tokio::test]
async fn a_patch_that_misuses_ids_is_malformed_and_says_where() {
    let server = Server::start().await;
    for (operations, pointer, words) in [
        (r#"[{"create": {"id": "e-1-2-0", "kind": "k"}}]"#, "/operations/0", "the coordinator makes"),
        (r#"[{"delete": {"id": "_:x"}}]"#, "/operations/0", "created by no operation before"),
        (r#"[{"delete": {"id": "_:x"}}, {"create": {"id": "_:x", "kind": "k"}}]"#, "/operations/0", "_:x"),
        (
            r#"[{"create": {"id": "_:x", "kind": "k"}}, {"create": {"id": "_:x", "kind": "k"}}]"#,
            "/operations/1",
            "one label is one entity",
        ),
    ] {
        let problem = server.post("k", operations).await.problem();
        assert_eq!((problem.kind, problem.at), (ProblemType::MalformedRequest, Some(At::Pointer(pointer.to_owned()))));
        assert!(problem.detail.contains(words), "{}", problem.detail);
    }
    for key in ["", " a", "a\\u00a0", "a\\n", &"k".repeat(501)] {
        let operations = format!(r#"[{{"create": {{"id": "a", "kind": "k", "key": "{key}"}}}}]"#);
        let problem = server.post("k", &operations).await.problem();
        assert_eq!(problem.kind, ProblemType::MalformedRequest, "{key:?}");
        assert!(problem.detail.contains("canonical key"), "{}", problem.detail);
    }
}

#[tokio::test]
async fn a_key_that_is_taken_is_a_conflict_that_names_who_has_it() {
    let server = Server::start().await;
    let client = server.client();
    client.submit(&key("k1"), &patch(LABELLED)).await.unwrap();
    let second = r#"[{"create": {"id": "other", "kind": "book", "key": "isbn:1"}}]"#;
    let problem = server.post("k2", second).await.problem();
    assert_eq!((problem.kind, problem.status), (ProblemType::Aborted, 409));
    let (kind, isbn): (Kind, CanonicalKey) = ("book".parse().unwrap(), "isbn:1".parse().unwrap());
    let refusal = Refusal::KeyTaken { kind: kind.clone(), key: isbn.clone(), by: id("e-1-1-0") };
    assert_eq!(problem.reason, Some(AbortReason::Refused(refusal)));

    // The id is who is meant; a key of another kind, or of other bytes, is another key.
    let others = r#"[{"create": {"id": "film", "kind": "film", "key": "isbn:1"}},
        {"create": {"id": "ISBN", "kind": "book", "key": "ISBN:1"}}]"#;
    let committed = client.submit(&key("k3"), &patch(others)).await.unwrap();
    assert_eq!(committed.decision, Decision::Committed);
    let replace = r#"[{"unlink": {"from": "alice", "kind": "wrote", "to": "e-1-1-0"}}, {"delete": {"id": "e-1-1-0"}},
        {"create": {"id": "other", "kind": "book", "key": "isbn:1"}}]"#;
    assert_eq!(client.submit(&key("k4"), &patch(replace)).await.unwrap().decision, Decision::Committed);
    assert_eq!(client.find(&kind, &isbn).await.unwrap().unwrap().id, id("other"));
}

#[tokio::test]
async fn an_entity_is_found_by_its_key_at_every_tier() {
    let server = Server::start().await;
    let operations = r#"[{"create": {"id": "a", "kind": "book", "key": "A & B: 100 % é", "properties": {"n": 1}}}]"#;
    server.post("k1", operations).await.json();
    let at = "key=A%20%26%20B%3A%20100%20%25%20%C3%A9";
    for tier in ["strong", "eventual"] {
        let found = server.get(&format!("/entities?kind=book&{at}&consistency={tier}")).await.json();
        assert_eq!((&found["id"], &found["consistency"]), (&json!("a"), &json!(tier)));
        assert_eq!(found, server.get(&format!("/entities/a?consistency={tier}")).await.json());
        let absent = server.get(&format!("/entities?kind=film&{at}&consistency={tier}")).await.problem();
        assert_eq!((absent.kind, absent.status), (ProblemType::NoSuchEntity, 404));
        assert!(absent.detail.contains("no film has the key \"A & B: 100 % é\""), "{}", absent.detail);
    }
    let (kind, key) = ("book".parse().unwrap(), "A & B: 100 % é".parse().unwrap());
    assert_eq!(server.client().find(&kind, &key).await.unwrap().unwrap().key, Some(key.clone()));
    assert_eq!(server.client().find(&"film".parse().unwrap(), &key).await.unwrap(), None);
    assert_eq!(server.client().find_eventual(&kind, &key).await.unwrap().unwrap().key, Some(key.clone()));
    assert_eq!(server.client().find_eventual(&"film".parse().unwrap(), &key).await.unwrap(), None);
    for query in ["", "?kind=book", "?kind=book&key=", "?kind=a%20b&key=x"] {
        assert_eq!(server.get(&format!("/entities{query}")).await.problem().kind, ProblemType::MalformedRequest);
    }
}
