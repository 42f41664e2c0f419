//! How the server ends, and what it does not wait for.

use std::time::Duration;

use coordinator::client::ClientError;
use coordinator::commit::IdempotencyKey;
use coordinator::http::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::{Mood, PATIENCE, Server, create, production};

/// Longer than a test may take: whoever waits for it has failed.
const NEVER: Duration = Duration::from_secs(3600);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it hangs")
}

/// Submits in the background; the receiver gets the answer.
fn submit(server: &Server) -> oneshot::Receiver<Result<(), ClientError>> {
    let (client, (sender, receiver)) = (server.client(), oneshot::channel());
    production().spawn(async move {
        let patch = serde_json::from_str(&create("a")).unwrap();
        let answer = client.submit(&IdempotencyKey("k".to_owned()), &patch).await;
        let _ = sender.send(answer.map(|_| ()));
    });
    receiver
}

async fn until_one_is_open(server: &Server) {
    soon(async {
        while server.get("/status").await.json()["open"] != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let server = Server::start_with(|_| {}, Limits { drain_timeout: NEVER, ..Limits::default() }).await;
    let address = server.address.clone();
    let _silent = TcpStream::connect(&address).await.unwrap();
    let mut kept = TcpStream::connect(&address).await.unwrap();
    kept.write_all(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_ne!(kept.read(&mut [0; 1024]).await.unwrap(), 0);
    soon(server.stop()).await.unwrap();
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn an_open_request_gets_its_answer() {
    let tune = |options: &mut coordinator::service::Options| options.graph_limit = Duration::from_millis(20);
    let server = Server::start_with(tune, Limits { drain_timeout: NEVER, ..Limits::default() }).await;
    server.mood.send_replace(Mood::Silent);
    let answer = submit(&server);
    until_one_is_open(&server).await;
    let mood = server.mood.clone();
    let ended = server.stop();
    mood.send_replace(Mood::Willing);
    soon(answer).await.unwrap().unwrap();
    soon(ended).await.unwrap();
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_cut() {
    let tune = |options: &mut coordinator::service::Options| options.commit.answer_timeout_ms.0 = 3_600_000;
    let server =
        Server::start_with(tune, Limits { drain_timeout: Duration::from_millis(20), ..Limits::default() }).await;
    server.mood.send_replace(Mood::Silent);
    let answer = submit(&server);
    until_one_is_open(&server).await;
    soon(server.stop()).await.unwrap();
    let error = soon(answer).await.unwrap().unwrap_err();
    assert!(error.is_unknown(), "{error}");
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_not_waited_for() {
    let limits = Limits { header_read_timeout: Duration::from_millis(20), ..Limits::default() };
    let server = Server::start_with(|_| {}, limits).await;
    for beginning in ["", "GET /status HTTP/1.1\r\nHo"] {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        // A short farewell at most, then the end.
        soon(stream.read_to_end(&mut Vec::new())).await.unwrap();
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let server = Server::start_with(|_| {}, Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = TcpStream::connect(&server.address).await.unwrap();
    first.write_all(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_ne!(first.read(&mut [0; 1024]).await.unwrap(), 0);
    let second = server.get("/status");
    let mut second = std::pin::pin!(second);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), second.as_mut()).await.is_err(),
        "it was served beside the first"
    );
    drop(first);
    assert_eq!(soon(second).await.status, 200);
}
