//! Looking around: neighbourhoods, what is in doubt, the audit trail, and how fresh it is.

use std::collections::BTreeSet;

use coordinator::http::{AuditPage, InDoubtPage, Neighbourhood};
use coordinator::ledger::AuditAction;
use coordinator::problem::{At, ProblemType};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::{Mood, Server, create};

async fn fetch<T: DeserializeOwned>(server: &Server, target: &str) -> T {
    serde_json::from_value(server.get(target).await.json()).unwrap()
}

/// A server with a ring of five, a to e, and f and g hanging from a by links of either direction.
async fn ring() -> Server {
    let server = Server::start().await;
    let mut operations: Vec<Value> =
        ["a", "b", "c", "d", "e", "org/f", "g"].map(|id| json!({"create": {"id": id, "kind": "thing"}})).into();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "a"), ("a", "org/f"), ("g", "a")] {
        operations.push(json!({"link": {"from": from, "kind": "next", "to": to}}));
    }
    server.post("k", &Value::from(operations).to_string()).await.json();
    server
}

fn places(found: &Neighbourhood) -> Vec<(u32, &str)> {
    found.neighbours.iter().map(|neighbour| (neighbour.distance, neighbour.id.as_str())).collect()
}

#[tokio::test]
async fn a_neighbourhood_is_searched_breadth_first_and_both_ways() {
    let server = ring().await;
    let near: Neighbourhood = fetch(&server, "/entities/a/neighbours").await;
    assert_eq!(places(&near), [(1, "b"), (1, "e"), (1, "g"), (1, "org/f")]);
    let far: Neighbourhood = fetch(&server, "/entities/a/neighbours?depth=8").await;
    assert_eq!(places(&far), [(1, "b"), (1, "e"), (1, "g"), (1, "org/f"), (2, "c"), (2, "d")]);
    assert_eq!((far.next, far.truncated, far.depth), (None, false, 8));
    let reply = server.get("/entities/org%2Ff/neighbours?depth=2&limit=1").await.json();
    assert_eq!(
        reply,
        json!({
            "id": "org/f", "consistency": "eventual", "depth": 2, "next": "1:a", "truncated": false,
            "neighbours": [{"id": "a", "distance": 1, "links": [{"from": "a", "kind": "next", "to": "org/f"}]}],
            "freshness": {"indexed_up_to": "tx-1-1", "delay_seconds": 0.0, "complete": true},
        })
    );
    assert_eq!(server.get("/entities/org/f/neighbours?depth=2&limit=1").await.json(), reply);
}

#[tokio::test]
async fn pages_of_a_neighbourhood_are_its_parts() {
    let server = ring().await;
    let whole: Neighbourhood = fetch(&server, "/entities/a/neighbours?depth=3").await;
    let (mut parts, mut after) = (Vec::new(), String::new());
    loop {
        let part: Neighbourhood = fetch(&server, &format!("/entities/a/neighbours?depth=3&limit=2{after}")).await;
        assert!(part.neighbours.len() <= 2);
        parts.extend(part.neighbours);
        let Some(next) = part.next else { break };
        after = format!("&after={next}");
    }
    assert_eq!(parts, whole.neighbours);
}

#[tokio::test]
async fn an_entity_may_be_called_as_the_end_of_a_path() {
    let server = Server::start().await;
    server.post("k", &create("neighbours")).await.json();
    server.post("l", &create("a/neighbours")).await.json();
    assert_eq!(server.get("/entities/neighbours").await.json()["id"], "neighbours");
    assert_eq!(server.get("/entities/a%2Fneighbours").await.json()["id"], "a/neighbours");
    assert_eq!(server.get("/entities/a/neighbours").await.problem().kind, ProblemType::NoSuchEntity);
    let around: Neighbourhood = fetch(&server, "/entities/a%2Fneighbours/neighbours").await;
    assert_eq!((around.id.as_str(), around.neighbours.len()), ("a/neighbours", 0));
}

#[tokio::test]
async fn what_is_not_there_is_said_with_how_fresh_that_is() {
    let server = Server::start().await;
    server.post("k", &create("a")).await.json();
    for target in ["/entities/z?consistency=eventual", "/entities/z/neighbours"] {
        let problem = server.get(target).await.problem();
        assert_eq!(problem.kind, ProblemType::NoSuchEntity);
        assert_eq!(problem.freshness.unwrap().indexed_up_to.to_string(), "tx-1-1", "{target}");
    }
    assert_eq!(server.get("/entities/z").await.problem().freshness, None, "a strong answer needs none");
}

#[tokio::test]
async fn what_is_under_way_keeps_the_low_water_mark_down() {
    let server = Server::start().await;
    server.post("k1", &create("a")).await.json();
    let ledger = rusqlite::Connection::open(server.data.path().join(coordinator::LEDGER_FILE)).unwrap();
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room for events'); END";
    ledger.execute_batch(trigger).unwrap();
    // The graph decides for it, and it is never finished.
    let stuck = server.post("k2", &create("b")).await.problem().tx.unwrap();
    let view = server.get("/entities/b?consistency=eventual").await.json();
    assert_eq!((&view["id"], &view["freshness"]["indexed_up_to"]), (&json!("b"), &json!("tx-1-1")));
    assert_eq!(view["freshness"]["complete"], false);
    let page: InDoubtPage = fetch(&server, "/in-doubt").await;
    assert_eq!(page.in_doubt.iter().map(|doubt| (doubt.tx, doubt.fences)).collect::<Vec<_>>(), [(stuck, 0)]);
}

#[tokio::test]
async fn what_is_in_doubt_is_listed_page_by_page() {
    let server = Server::start_impatient().await;
    server.mood.send_replace(Mood::Silent);
    let mut stuck = BTreeSet::new();
    for (key, id) in [("k1", "a"), ("k2", "b"), ("k3", "c")] {
        stuck.insert(server.post(key, &create(id)).await.problem().tx.unwrap());
    }
    let (mut listed, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page: InDoubtPage = fetch(&server, &format!("/in-doubt?limit=2{after}")).await;
        assert!(page.in_doubt.len() <= 2);
        listed.extend(page.in_doubt.iter().map(|doubt| doubt.tx));
        let Some(next) = page.next else { break };
        after = format!("&after={next}");
    }
    assert_eq!(listed, stuck);
    let view = server.get("/status").await.json();
    assert_eq!(view["open"], 3);
}

#[tokio::test]
async fn every_decision_is_in_the_audit_trail_without_a_gap() {
    let server = Server::start_impatient().await;
    server.post("k1", &create("a")).await.json();
    server.post("k1", &create("a")).await.json();
    server.post("k2", &create("a")).await.problem();
    server.mood.send_replace(Mood::Unwilling);
    server.post("k3", &create("b")).await.problem();
    let of = async |tx: &str| {
        let page: AuditPage = fetch(&server, &format!("/transactions/{tx}/audit")).await;
        assert_eq!(page.next, None);
        page.entries.into_iter().map(|entry| (entry.action, entry.detail)).collect::<Vec<_>>()
    };
    let told = |action, detail: &str| (action, detail.to_owned());
    assert_eq!(of("tx-1-1").await, [told(AuditAction::Intended, ""), told(AuditAction::Committed, "")]);
    // The second is the retry's own number: it never was a transaction.
    assert_eq!(server.get("/transactions/tx-1-2/audit").await.problem().kind, ProblemType::NoSuchTransaction);
    assert_eq!(of("tx-1-3").await, [told(AuditAction::Aborted, "entity a exists already")]);
    let refused = "the graph refused it: No: not today";
    assert_eq!(of("tx-1-4").await, [told(AuditAction::Intended, ""), told(AuditAction::Aborted, refused)]);

    let (mut entries, mut after) = (Vec::new(), 0);
    loop {
        let page: AuditPage = fetch(&server, &format!("/audit?limit=2&after={after}")).await;
        assert!(page.entries.len() <= 2);
        entries.extend(page.entries.iter().map(|entry| entry.entry));
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(entries, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_a_fence_found_is_in_the_audit_trail() {
    let server = Server::start_impatient().await;
    server.mood.send_replace(Mood::Silent);
    let tx = server.post("k1", &create("a")).await.problem().tx.unwrap();
    server.mood.send_replace(Mood::Willing);
    while server.post("k1", &create("a")).await.status >= 500 {}
    let page: AuditPage = fetch(&server, &format!("/transactions/{tx}/audit")).await;
    let told: Vec<(AuditAction, &str)> = page.entries.iter().map(|entry| (entry.action, &*entry.detail)).collect();
    let fenced = "the graph did not confirm it in time, and it was fenced off";
    assert_eq!(
        told,
        [(AuditAction::Intended, ""), (AuditAction::Fenced, "its marker says aborted"), (AuditAction::Aborted, fenced)]
    );
}

#[tokio::test]
async fn nothing_is_acknowledged_that_the_audit_trail_does_not_have() {
    for (action, status) in [("intended", 503), ("aborted", 503), ("committed", 504)] {
        let server = Server::start().await;
        server.post("k1", &create("a")).await.json();
        let ledger = rusqlite::Connection::open(server.data.path().join(coordinator::LEDGER_FILE)).unwrap();
        let trigger = format!(
            "CREATE TRIGGER mute BEFORE INSERT ON audit WHEN new.action = '{action}'
             BEGIN SELECT RAISE(ABORT, 'no room for the audit trail'); END"
        );
        ledger.execute_batch(&trigger).unwrap();
        let id = if action == "aborted" { "a" } else { "b" };
        assert_eq!(server.post("k2", &create(id)).await.problem().status, status, "{action}");
        let states: Vec<String> = coordinator::ledger::log_entries(&ledger)
            .unwrap()
            .into_iter()
            .filter(|entry| entry.key == "k2")
            .map(|entry| entry.state)
            .collect();
        // What could not be audited did not happen; what had happened before stays.
        let left: &[&str] = if action == "committed" { &["intended"] } else { &[] };
        assert_eq!(states, left, "{action}");
    }
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_refused() {
    let server = Server::start().await;
    for (path, query) in [
        ("/entities/a/neighbours", "depth=0"),
        ("/entities/a/neighbours", "depth=9"),
        ("/entities/a/neighbours", "limit=0"),
        ("/entities/a/neighbours", "after=alice"),
        ("/entities/a/neighbours", "consistency=strong"),
        ("/in-doubt", "limit=1001"),
        ("/in-doubt", "after=17"),
        ("/audit", "after=-1"),
        ("/transactions/tx-1-1/audit", "page=2"),
    ] {
        let problem = server.get(&format!("{path}?{query}")).await.problem();
        assert_eq!((problem.kind, problem.at), (ProblemType::MalformedRequest, Some(At::Query(query.to_owned()))));
    }
    assert_eq!(server.get("/transactions/17/audit").await.problem().at, Some(At::Path("tx".to_owned())));
    assert_eq!(server.get("/entities/a%20b/neighbours").await.problem().at, Some(At::Path("id".to_owned())));
}
