//! What the client concludes from each way in which an exchange can end.

use std::time::Duration;

use coordinator::client::{Client, ClientError};
use coordinator::commit::{AbortReason, Decision, IdempotencyKey};
use coordinator::http::Outcome;
use coordinator::problem::{Problem, ProblemType};
use graph::{EntityId, Patch, Refusal, TxId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Mood, PATIENCE, Server, create, production};

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey(text.to_owned())
}

fn patch(operations: &str) -> Patch {
    serde_json::from_str(operations).unwrap()
}

fn id(text: &str) -> EntityId {
    text.parse().unwrap()
}

const TX: TxId = TxId { incarnation: 1, serial: 1 };

#[tokio::test]
async fn it_says_what_the_coordinator_said() {
    let server = Server::start().await;
    let client = server.client();
    let committed = client.submit(&key("k1"), &patch(&create("org/a"))).await.unwrap();
    assert_eq!((committed.tx, committed.decision), (TX, Decision::Committed));
    assert_eq!(client.outcome(TX).await.unwrap(), Some(Outcome::Committed { tx: TX, created: [].into() }));
    let view = client.read(&id("org/a")).await.unwrap().unwrap();
    assert_eq!((view.tx, view.version), (TX, 1));
    let eventual = client.read_eventual(&id("org/a")).await.unwrap().unwrap();
    assert_eq!((eventual.id, eventual.properties), (view.id, view.properties));

    let aborted = client.submit(&key("k2"), &patch(&create("org/a"))).await.unwrap();
    let reason = AbortReason::Refused(Refusal::EntityExists(id("org/a")));
    assert_eq!(aborted.decision, Decision::Aborted { reason });

    assert_eq!(client.read(&id("b")).await.unwrap(), None);
    assert_eq!(client.read_eventual(&id("b")).await.unwrap(), None);
    assert_eq!(client.outcome(TxId { incarnation: 9, serial: 9 }).await.unwrap(), None);
    assert_eq!(client.status().await.unwrap().version, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_refusal_left_no_trace_and_an_unknown_outcome_has_a_name() {
    let server = Server::start_impatient().await;
    let client = server.client();
    let malformed = client.submit(&key("k1"), &Patch::default()).await.unwrap_err();
    assert!(matches!(&malformed, ClientError::Refused(problem) if problem.kind == ProblemType::MalformedRequest));
    server.mood.send_replace(Mood::Silent);
    let unknown = client.submit(&key("k2"), &patch(&create("a"))).await.unwrap_err();
    assert!(matches!(unknown, ClientError::Unknown { tx: Some(TX), .. }), "{unknown}");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    // Bound and not listened to by anybody any more: the system refuses.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(production(), address.to_string(), PATIENCE);
    let error = client.submit(&key("k"), &patch(&create("a"))).await.unwrap_err();
    assert!(matches!(error, ClientError::NotSent { .. }), "{error}");
}

#[tokio::test]
async fn a_key_that_no_header_carries_is_not_sent() {
    let client = Client::new(production(), "127.0.0.1:1", PATIENCE);
    for text in ["", "a b", "a\r\nX: y"] {
        let error = client.submit(&key(text), &patch(&create("a"))).await.unwrap_err();
        assert!(matches!(&error, ClientError::NotSent { why } if why.contains("idempotency key")), "{error}");
    }
}

/// Submits to a server that reads the whole request and then writes `answer`, and closes
/// the connection if `then_close`.
async fn submit_to(answer: &'static str, then_close: bool, timeout: Duration) -> Result<(), ClientError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(production(), listener.local_addr().unwrap().to_string(), timeout);
    production().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        if !then_close {
            std::future::pending::<()>().await;
        }
    });
    client.submit(&key("k"), &patch(&create("a"))).await.map(|_| ())
}

async fn read_request(stream: &mut TcpStream) {
    let mut text = String::new();
    while !text.ends_with("]}") {
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer).await.unwrap();
        assert_ne!(length, 0, "the client sent only {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_request_leaves_the_outcome_unknown() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"tx\": \"tx-1-1\"",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\n{",
        "SSH-2.0-OpenSSH\r\n",
    ] {
        let error = submit_to(answer, true, PATIENCE).await.unwrap_err();
        assert!(matches!(error, ClientError::Unknown { tx: None, .. }), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_the_outcome_unknown() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"] {
        let error = submit_to(answer, false, Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, ClientError::Unknown { tx: None, .. }), "{answer:?}: {error}");
    }
}

/// A whole response with this body.
fn response(status: u16, body: &str) -> &'static str {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).leak()
}

#[tokio::test]
async fn an_answer_that_no_coordinator_gives_proves_nothing() {
    let busy = serde_json::to_string(&Problem::new(ProblemType::Busy, "wait")).unwrap();
    let foreign = busy.replace("urn:squall:problem:busy", "about:blank");
    for (status, body) in [
        (200, "<html>"),
        (200, r#"{"tx": "tx-1-1", "state": "undecided"}"#),
        (204, ""),
        (400, ""),
        (502, "<html>Bad Gateway</html>"),
        (503, foreign.as_str()),
        // The problem of another exchange, as it were.
        (500, busy.as_str()),
    ] {
        let error = submit_to(response(status, body), true, PATIENCE).await.unwrap_err();
        assert!(matches!(error, ClientError::Unknown { tx: None, .. }), "{status} {body}: {error}");
    }
    let error = submit_to(response(503, &busy), true, PATIENCE).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(problem) if problem.kind == ProblemType::Busy), "{error}");
}
