//! Every answer that a working coordinator gives.

use std::time::Duration;

use coordinator::http::{Consistency, Limits};
use coordinator::problem::{At, ProblemType};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{JSON, Reply, Server, create};

#[tokio::test]
async fn a_committed_transaction_is_seen_at_every_tier() {
    let server = Server::start().await;
    let reply = server.post("k1", &create("a")).await;
    assert_eq!(reply.json(), json!({"tx": "tx-1-1", "state": "committed"}));
    assert!(reply.header("date").is_some_and(|date| date.ends_with(" GMT")), "{reply:?}");

    assert_eq!(server.get("/transactions/tx-1-1").await.json(), json!({"tx": "tx-1-1", "state": "committed"}));
    let view = json!({"id": "a", "kind": "thing", "properties": {"n": 1, "x": 1.0}, "links": []});
    let mut strong = view.clone();
    strong["consistency"] = json!("strong");
    strong["version"] = json!(1);
    strong["tx"] = json!("tx-1-1");
    assert_eq!(server.get("/entities/a").await.json(), strong);
    assert_eq!(server.get("/entities/a?consistency=strong").await.json(), strong);
    let mut eventual = view;
    eventual["consistency"] = json!("eventual");
    eventual["freshness"] = json!({"indexed_up_to": "tx-1-1", "delay_seconds": 0.0, "complete": true});
    assert_eq!(server.get("/entities/a?consistency=eventual").await.json(), eventual);
}

#[tokio::test]
async fn a_retry_is_the_same_transaction_and_another_one_needs_another_key() {
    let server = Server::start().await;
    let first = server.post("k1", &create("a")).await.json();
    assert_eq!(server.post("k1", &create("a")).await.json(), first);

    let problem = server.post("k1", &create("b")).await.problem();
    assert_eq!((problem.kind, problem.status), (ProblemType::IdempotencyKeyReused, 409));
    assert_eq!(problem.tx.unwrap().to_string(), "tx-1-1");
    assert_eq!(server.get("/entities/b").await.problem().kind, ProblemType::NoSuchEntity);
}

#[tokio::test]
async fn an_abort_says_why_and_is_final() {
    let server = Server::start().await;
    server.post("k1", &create("a")).await.json();
    for _ in 0..2 {
        let reply = server.post("k2", &create("a")).await;
        let problem = reply.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::Aborted, 409));
        assert!(problem.detail.contains("entity a exists already"), "{problem}");
        assert!(reply.body().contains(r#""reason":{"refused":{"entity_exists":"a"}}"#), "{reply:?}");
        let outcome = server.get(&format!("/transactions/{}", problem.tx.unwrap())).await.json();
        assert_eq!(
            (&outcome["state"], &outcome["reason"]),
            (&json!("aborted"), &json!({"refused": {"entity_exists": "a"}}))
        );
    }
}

#[tokio::test]
async fn an_id_may_contain_slashes() {
    let server = Server::start().await;
    server.post("k1", &create("org/eng:a")).await.json();
    for target in ["/entities/org%2Feng:a", "/entities/org%2feng%3Aa?consistency=eventual", "/entities/org/eng:a"] {
        assert_eq!(server.get(target).await.json()["id"], "org/eng:a", "{target}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_transaction_is_refused_at_its_place() {
    let server = Server::start().await;
    let body = |line, column| At::Body { line, column };
    let pointer = |text: &str| At::Pointer(text.to_owned());
    let reserved = r#"[{"delete": {"id": "a"}}, {"update": {"id": "a", "set": {"kind": "x"}}}]"#;
    for (json, at) in [
        ("", body(1, 0)),
        ("{", body(1, 1)),
        ("{\"operations\":\n nonsense}", body(2, 3)),
        (r#"{"operations": []}"#, pointer("/operations")),
        (r#"{"operations": [], "x": 1}"#, body(1, 22)),
        (r#"{"operations": [{"creat": {}}]}"#, body(1, 24)),
        (r#"{"operations": [{"delete": {"id": "a b"}}]}"#, body(1, 40)),
        (r#"{"operations": [{"update": {"id": "a", "set": {"n": 18446744073709551616}}}]}"#, body(1, 53)),
        (&format!(r#"{{"operations": {reserved}}}"#), pointer("/operations/1")),
    ] {
        let reply = server.post_body(&format!("Idempotency-Key: k\r\n{JSON}"), json).await;
        let problem = reply.problem();
        assert_eq!(
            (problem.kind, problem.status, problem.at),
            (ProblemType::MalformedRequest, 400, Some(at)),
            "{json}"
        );
    }
    let status = server.get("/status").await.json();
    assert_eq!(status["open"], 0);
    assert_eq!(server.get("/transactions/tx-1-1").await.problem().kind, ProblemType::NoSuchTransaction);
}

#[tokio::test]
async fn a_key_is_required_once_and_visible() {
    let server = Server::start().await;
    let body = format!(r#"{{"operations": {}}}"#, create("a"));
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(201));
    for headers in
        ["", "Idempotency-Key:\r\n", "Idempotency-Key: a b\r\n", "Idempotency-Key: a\r\nIdempotency-Key: a\r\n", &long]
    {
        let problem = server.post_body(&format!("{headers}{JSON}"), &body).await.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::IdempotencyKeyInvalid, 400), "{headers}");
        assert_eq!(problem.at, Some(At::Header("idempotency-key".to_owned())));
    }
    assert_eq!(server.get("/entities/a").await.status, 404);
    let longest = "k".repeat(200);
    assert_eq!(server.post(&longest, &create("a")).await.status, 200);
}

#[tokio::test]
async fn a_body_has_to_call_itself_json() {
    let server = Server::start().await;
    let body = format!(r#"{{"operations": {}}}"#, create("a"));
    for media_type in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
        let problem = server.post_body(&format!("Idempotency-Key: k\r\n{media_type}"), &body).await.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::UnsupportedMediaType, 415), "{media_type}");
    }
    let charset = "Idempotency-Key: k\r\nContent-Type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(server.post_body(charset, &body).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let limits = Limits { body_bytes_max: 100, ..Limits::default() };
    let server = Server::start_with(|_| {}, limits).await;
    let head = format!("POST /transactions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIdempotency-Key: k\r\n{JSON}");
    let spaces = " ".repeat(101);
    for request in [
        format!("{head}Content-Length: 101\r\n\r\n"),
        format!("{head}Content-Length: 9223372036854775807\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n65\r\n{spaces}\r\n0\r\n\r\n"),
    ] {
        let problem = server.send(&request).await.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::TooLarge, 413), "{request}");
    }
    let padded = format!("{:<100}", r#"{"operations": [{"create": {"id": "a", "kind": "k"}}]}"#);
    assert_eq!(server.post_body(&format!("Idempotency-Key: k\r\n{JSON}"), &padded).await.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let limits = Limits { body_read_timeout: Duration::from_millis(20), ..Limits::default() };
    let server = Server::start_with(|_| {}, limits).await;
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let head =
        format!("POST /transactions HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\n{JSON}Content-Length: 10\r\n\r\n[");
    stream.write_all(head.as_bytes()).await.unwrap();
    let problem = Reply::read(&mut stream).await.problem();
    assert_eq!((problem.kind, problem.status), (ProblemType::BodyTimeout, 408));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    for (target, consistency) in [
        ("/entities/a", Consistency::Strong),
        ("/entities/a?consistency=strong", Consistency::Strong),
        ("/entities/a?consistency=eventual", Consistency::Eventual),
    ] {
        let problem = server.get(target).await.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::NoSuchEntity, 404));
        assert_eq!(problem.consistency, Some(consistency), "{target}");
    }
    let problem = server.get("/transactions/tx-9-9").await.problem();
    assert_eq!((problem.kind, problem.status), (ProblemType::NoSuchTransaction, 404));
    for target in ["/", "/entity", "/entities/", "/transactions/tx-1-1/x", "/nowhere?x=1"] {
        let problem = server.get(target).await.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::NoSuchRoute, 404), "{target}");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_know_is_answered_with_those_it_knows() {
    let server = Server::start().await;
    for (method, target, allow) in
        [("GET", "/transactions", "POST"), ("DELETE", "/entities/a", "GET,HEAD"), ("POST", "/healthz", "GET,HEAD")]
    {
        let reply = server.send(&format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        let problem = reply.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::MethodNotAllowed, 405), "{method} {target}");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {target}");
    }
}

#[tokio::test]
async fn a_malformed_target_is_refused_at_its_part() {
    let server = Server::start().await;
    let path = |name: &str| At::Path(name.to_owned());
    let query = |text: &str| At::Query(text.to_owned());
    for (target, at) in [
        ("/transactions/17", path("tx")),
        ("/transactions/tx-01-1", path("tx")),
        ("/entities/a%20b", path("id")),
        ("/entities/a%FFb", path("id")),
        ("/entities/a?consistency=linearizable", query("consistency=linearizable")),
        ("/entities/a?tier=strong", query("tier=strong")),
    ] {
        let problem = server.get(target).await.problem();
        assert_eq!(
            (problem.kind, problem.status, problem.at),
            (ProblemType::MalformedRequest, 400, Some(at)),
            "{target}"
        );
    }
}

#[tokio::test]
async fn a_coordinator_that_works_says_so() {
    let server = Server::start().await;
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "open": 0, "recovering": 0, "waiting": 0, "halted": false,
        "damaged_records": 0
    });
    assert_eq!(server.get("/healthz").await.json(), expected);
    assert_eq!(server.get("/status").await.json(), expected);
}
