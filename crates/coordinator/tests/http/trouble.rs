//! What a coordinator answers when its stores fail it.

use std::time::Duration;

use coordinator::http::{Limits, Outcome};
use coordinator::problem::ProblemType;
use serde_json::json;

use crate::support::{Mood, PATIENCE, Reply, Server, create};

/// Asks again until the answer is not "unknown" or "busy" any more.
async fn insist(server: &Server, key: &str, operations: &str) -> Reply {
    for _ in 0..100 {
        let reply = server.post(key, operations).await;
        if reply.status < 500 {
            return reply;
        }
    }
    panic!("no outcome in 100 attempts");
}

#[tokio::test]
async fn an_unknown_outcome_is_called_so_and_settled_later() {
    let server = Server::start_impatient().await;
    server.mood.send_replace(Mood::Silent);
    let reply = server.post("k1", &create("a")).await;
    let problem = reply.problem();
    assert_eq!((problem.kind, problem.status), (ProblemType::OutcomeUnknown, 504));
    let tx = problem.tx.unwrap();
    let path = format!("/transactions/{tx}");
    assert_eq!(problem.outcome.as_ref(), Some(&path));
    assert_eq!(reply.header("link"), Some(format!("<{path}>; rel=\"status\"").as_str()));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert!(problem.detail.contains("same idempotency key"), "{problem}");
    assert_eq!(server.get(&path).await.json(), json!({"tx": tx.to_string(), "state": "undecided"}));
    assert_eq!(server.get("/healthz").await.json()["open"], 1);

    server.mood.send_replace(Mood::Willing);
    let settled = insist(&server, "k1", &create("a")).await.problem();
    assert_eq!((settled.kind, settled.tx), (ProblemType::Aborted, Some(tx)));
    let outcome: Outcome = serde_json::from_value(server.get(&path).await.json()).unwrap();
    assert_eq!(outcome, Outcome::Aborted { tx, reason: settled.reason.unwrap() });
}

#[tokio::test]
async fn who_waits_for_locks_too_long_is_told_that_nothing_was_done() {
    let server = Server::start_impatient().await;
    server.mood.send_replace(Mood::Silent);
    assert_eq!(server.post("k1", &create("a")).await.status, 504);
    for reply in [server.post("k2", &create("a")).await, server.get("/entities/a").await] {
        let problem = reply.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::Busy, 503), "{problem}");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn a_graph_that_refuses_aborts() {
    let server = Server::start().await;
    server.mood.send_replace(Mood::Unwilling);
    let reply = server.post("k1", &create("a")).await;
    assert_eq!(reply.problem().kind, ProblemType::Aborted);
    assert!(reply.body().contains(r#""reason":{"graph_refused":"No: not today"}"#), "{reply:?}");
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_unavailable() {
    let server = Server::start().await;
    server.mood.send_replace(Mood::Unwilling);
    for target in ["/entities/a", "/entities/a?consistency=eventual"] {
        let reply = server.get(target).await;
        let problem = reply.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::Unavailable, 503), "{problem}");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_leaves_no_trace() {
    let server = Server::start().await;
    alter_ledger(&server, "DROP TABLE log");
    let problem = server.post("k1", &create("a")).await.problem();
    assert_eq!((problem.kind, problem.status), (ProblemType::Unavailable, 503));
    assert_eq!(server.get("/entities/a").await.problem().kind, ProblemType::NoSuchEntity);
}

#[tokio::test]
async fn what_is_decided_and_cannot_be_finished_is_unknown_and_ends_the_process() {
    let server = Server::start().await;
    alter_ledger(
        &server,
        "CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room for events'); END",
    );
    let problem = server.post("k1", &create("a")).await.problem();
    assert_eq!((problem.kind, problem.status), (ProblemType::OutcomeUnknown, 504));

    let unhealthy = server.get("/healthz").await;
    assert_eq!(unhealthy.status, 503);
    assert!(unhealthy.body().contains(r#""halted":true"#), "{unhealthy:?}");
    assert_eq!(server.get("/status").await.json()["halted"], true);
    for reply in [
        server.post("k2", &create("b")).await,
        server.get("/entities/a").await,
        server.get("/transactions/tx-1-1").await,
    ] {
        assert_eq!(reply.problem().kind, ProblemType::Unavailable);
    }
}

/// Does something to the ledger behind the coordinator's back.
fn alter_ledger(server: &Server, sql: &str) {
    let ledger = rusqlite::Connection::open(server.data.path().join(coordinator::LEDGER_FILE)).unwrap();
    ledger.busy_timeout(PATIENCE).unwrap();
    ledger.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn too_many_requests_are_refused_before_anything_is_begun() {
    let tune = |options: &mut coordinator::service::Options| {
        options.requests_max = 2;
        options.commit.answer_timeout_ms.0 = 300;
        options.commit.backoff_ms.0 = 5;
        options.graph_limit = Duration::from_millis(20);
    };
    let server = Server::start_with(tune, Limits::default()).await;
    server.mood.send_replace(Mood::Silent);
    let (first, second) = (create("a"), create("b"));
    let (first, second, refused) = tokio::join!(server.post("k1", &first), server.post("k2", &second), async {
        until_open(&server, 2).await;
        let refused = [
            server.post("k3", &create("c")).await,
            // Its body never comes.
            server
                .send("POST /transactions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n")
                .await,
            server.get("/entities/c").await,
            server.get("/entities/c?consistency=eventual").await,
            server.get("/transactions/tx-1-1").await,
        ];
        for open_to_all in ["/healthz", "/status", "/metrics", "/alerts"] {
            assert_eq!(server.get(open_to_all).await.status, 200, "{open_to_all}");
        }
        refused
    });
    for reply in refused {
        let problem = reply.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::Overloaded, 503), "{problem}");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!([first.status, second.status], [504, 504]);

    server.mood.send_replace(Mood::Willing);
    assert_eq!(server.post("k3", &create("c")).await.json()["state"], "committed");
    let page = server.get("/metrics").await;
    assert!(page.body().contains("\ncoordinator_overloaded_total 5\n"), "{}", page.body());
}

#[tokio::test]
async fn a_client_that_goes_away_keeps_its_place_until_its_transaction_is_answered() {
    let tune = |options: &mut coordinator::service::Options| options.requests_max = 1;
    let server = Server::start_with(tune, Limits::default()).await;
    server.mood.send_replace(Mood::Silent);
    let gone = create("a");
    tokio::select! {
        biased;
        reply = server.post("k1", &gone) => panic!("an answer of a silent graph: {reply:?}"),
        () = until_open(&server, 1) => {}
    }
    assert_eq!(server.get("/entities/b").await.problem().kind, ProblemType::Overloaded);
}

async fn until_open(server: &Server, count: u64) {
    while server.get("/status").await.json()["open"] != count {
        tokio::task::yield_now().await;
    }
}
