//! The event store over real sockets and files: appending, following, and what goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coordinator::client::{Client, ClientError};
use coordinator::commit::{Decision, IdempotencyKey};
use coordinator::events::{Append, Appended, Envelope, Placed, WAIT_MAX};
use coordinator::http::{FeedPage, Limits};
use coordinator::problem::{At, ProblemType};
use graph::{EntityId, NewEvent, Operation, Patch};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Mood, Server};

fn event(id: &str) -> NewEvent {
    serde_json::from_value(json!({ "id": id, "type": "noted", "userId": "ann", "version": 1 })).unwrap()
}

fn stream(name: &str) -> EntityId {
    name.parse().unwrap()
}

fn append(name: &str, ids: &[&str]) -> Append {
    Append { stream: stream(name), expected: None, events: ids.iter().map(|id| event(id)).collect() }
}

/// A transaction that creates an entity and appends to a stream.
fn transaction(entity: &str, appends: &[(&str, &str)]) -> Patch {
    let create =
        Operation::Create { id: stream(entity), kind: "thing".parse().unwrap(), key: None, properties: [].into() };
    let append = |(name, id): &(&str, &str)| Operation::Append { resource: Some(stream(name)), event: event(id) };
    Patch { operations: [create].into_iter().chain(appends.iter().map(append)).collect() }
}

async fn submit(client: &Client, key: &str, patch: &Patch) -> Decision {
    client.submit(&IdempotencyKey(key.to_owned()), patch).await.unwrap().decision
}

fn ids(page: &FeedPage<Envelope>) -> Vec<&str> {
    page.events.iter().map(|positioned| positioned.event.id.as_str()).collect()
}

#[tokio::test]
async fn events_go_in_are_told_apart_from_repetitions_and_come_out_as_they_were_sent() {
    let server = Server::start().await;
    let full = json!({ "resource": "a/b", "expectedVersion": 0, "events": [{
        "id": "e1", "type": "noted", "timestamp": "2026-01-02T03:04:05Z", "userId": "ann", "version": 3,
        "payload": { "z": 1.0, "a": [18_446_744_073_709_551_615_u64, null] }, "correlationId": "c",
    }]})
    .to_string();
    let placed = json!({ "resource": "a/b", "sequences": [1, 1], "position": 1 });
    for status in [201, 200] {
        let reply = server.post_to("/events", &full).await;
        assert_eq!((reply.status, serde_json::from_str::<Value>(reply.body()).unwrap()), (status, placed.clone()));
    }
    let system =
        server.post_to("/events", r#"{"events": [{"id": "e2", "type": "t", "userId": "u", "version": 1}]}"#).await;
    let placed: Value = serde_json::from_str(system.body()).unwrap();
    assert_eq!(placed, json!({ "resource": null, "sequences": [1, 1], "position": 2 }));

    let feed = server.get("/events").await.json();
    assert_eq!(feed["through"], 2);
    let first = json!({ "position": 1, "event": {
        "id": "e1", "type": "noted", "timestamp": "2026-01-02T03:04:05Z", "resourceId": "a/b", "userId": "ann",
        "version": 3, "payload": { "z": 1.0, "a": [18_446_744_073_709_551_615_u64, null] },
        "metadata": { "sequenceNumber": 1, "correlationId": "c" },
    }});
    assert_eq!(feed["events"][0], first);
    assert_eq!(feed["events"][1]["event"].get("resourceId"), None);
    assert_eq!(server.get("/streams/a%2Fb/events").await.json(), json!({ "items": [first["event"]], "more": false }));
    assert_eq!(server.get("/streams").await.json(), json!({ "items": ["__system__", "a/b"], "more": false }));
    assert_eq!(server.get("/streams/nobody/events").await.json(), json!({ "items": [], "more": false }));
    let audited = server.get("/audit").await.json();
    assert_eq!(audited["entries"][0]["tx"], Value::Null);
    assert_eq!(audited["entries"][0]["action"], "appended");
}

#[tokio::test]
async fn a_conflict_says_with_what() {
    let server = Server::start().await;
    let client = server.client();
    let placed = Placed { stream: stream("s"), first: 1, last: 2, position: 2 };
    assert_eq!(client.append(&append("s", &["a", "b"])).await.unwrap(), Appended::New(placed.clone()));
    assert_eq!(client.append(&append("s", &["a", "b"])).await.unwrap(), Appended::Repeated(placed));
    let expecting = Append { expected: Some(1), ..append("s", &["c"]) };
    assert_eq!(client.append(&expecting).await.unwrap(), Appended::VersionConflict { actual: 2 });
    let reused = client.append(&append("r", &["a"])).await.unwrap();
    assert_eq!(reused, Appended::EventIdReused("a".parse().unwrap()));
    let malformed =
        server.post_to("/events", r#"{"events": [{"id": "", "type": "t", "userId": "u", "version": 1}]}"#).await;
    assert_eq!(malformed.problem().kind, ProblemType::MalformedRequest);
    let unnamed =
        server.post_to("/events", r#"{"events": [{"id": "x", "type": "t", "userId": "", "version": 1}]}"#).await;
    assert_eq!(unnamed.problem().at, Some(At::Pointer("/events/0".to_owned())));
}

#[tokio::test]
async fn a_transaction_appends_with_its_outcome_or_not_at_all() {
    let server = Server::start().await;
    let client = server.client();
    let patch = transaction("_:new", &[("_:new", "a"), ("s", "b")]);
    let submitted = client.submit(&IdempotencyKey("k1".to_owned()), &patch).await.unwrap();
    let id = &submitted.created[&stream("_:new")];
    assert_eq!(submit(&client, "k1", &patch).await, Decision::Committed, "a retry appends nothing");
    let refused = submit(&client, "k2", &transaction("x", &[("s", "c"), ("s", "b")])).await;
    assert!(matches!(refused, Decision::Aborted { .. }));
    server.mood.send_replace(Mood::Unwilling);
    let refused = submit(&client, "k3", &transaction("y", &[("s", "d")])).await;
    assert!(matches!(refused, Decision::Aborted { .. }));
    let feed = client.feed(0, 99, Duration::ZERO).await.unwrap();
    assert_eq!(ids(&feed), ["a", "b"]);
    assert_eq!(feed.events[0].event.resource_id.as_ref(), Some(id));
    assert_eq!(client.stream(&stream("s"), 0, 9).await.unwrap().items[0].metadata.sequence_number, 1);
}

#[tokio::test]
async fn appends_need_no_graph_but_wait_for_a_transaction_in_doubt_on_their_stream() {
    let server = Server::start_impatient().await;
    let client = server.client();
    server.mood.send_replace(Mood::Silent);
    let key = IdempotencyKey("k".to_owned());
    let unknown = client.submit(&key, &transaction("x", &[("s", "a")])).await.unwrap_err();
    assert!(unknown.is_unknown());
    assert!(matches!(client.append(&append("free", &["b"])).await.unwrap(), Appended::New(_)));
    let Err(ClientError::Refused(busy)) = client.append(&append("s", &["c"])).await else { panic!("it waits") };
    assert_eq!(busy.kind, ProblemType::Busy);
    server.mood.send_replace(Mood::Willing);
    loop {
        match client.append(&append("s", &["c"])).await {
            Ok(Appended::New(placed)) => {
                let stream = client.stream(&stream("s"), 0, 9).await.unwrap();
                assert_eq!(placed.last, stream.items.len() as u64);
                break;
            }
            Err(ClientError::Refused(problem)) => assert_eq!(problem.kind, ProblemType::Busy),
            other => panic!("{other:?}"),
        }
    }
}

/// The heart of it: whatever is being written, who follows the feed sees every event once, in an order
/// that never changes, and each stream without a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_pass_no_event_by_while_many_write() {
    const WRITERS: usize = 6;
    const ROUNDS: usize = 12;
    let server = Server::start().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let client = server.client();
        writers.spawn(async move {
            for round in 0..ROUNDS {
                let (own, shared) = (format!("own-{writer}"), format!("shared-{}", round % 2));
                let name = |what: &str| format!("{what}-{writer}-{round}");
                if writer % 2 == 0 {
                    let patch = transaction(&name("x"), &[(&shared, &name("t")), (&own, &name("u"))]);
                    assert_eq!(submit(&client, &name("k"), &patch).await, Decision::Committed);
                } else {
                    let (first, second) = (name("p"), name("q"));
                    let appended = client.append(&append(&shared, &[&first, &second])).await.unwrap();
                    assert!(matches!(appended, Appended::New(_)), "{appended:?}");
                }
            }
        });
    }
    let mut readers = JoinSet::new();
    for limit in [1, 7, 1_000] {
        let client = server.client();
        readers.spawn(async move {
            let (mut seen, mut through) = (Vec::new(), 0);
            while seen.len() < WRITERS * ROUNDS * 2 {
                let page = client.feed(through, limit, Duration::from_secs(5)).await.unwrap();
                let positions = page.events.iter().map(|event| event.position);
                assert!(positions.eq(through + 1..=page.through), "after {through}: {page:?}");
                through = page.through;
                seen.extend(page.events.into_iter().map(|positioned| positioned.event));
            }
            seen
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let mut seen: Vec<Vec<Envelope>> = Vec::new();
    while let Some(reader) = readers.join_next().await {
        seen.push(reader.unwrap());
    }
    assert!(seen.iter().all(|events| *events == seen[0]), "the order is one for all");
    let distinct: BTreeSet<_> = seen[0].iter().map(|event| &event.id).collect();
    assert_eq!(distinct.len(), WRITERS * ROUNDS * 2);
    let mut streams: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for event in &seen[0] {
        streams.entry(event.resource_id.clone()).or_default().push(event.metadata.sequence_number);
    }
    for (stream, numbers) in streams {
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{stream:?}: {numbers:?}");
    }
}

#[tokio::test]
async fn a_reader_that_waits_is_answered_as_soon_as_there_is_something() {
    let server = Server::start().await;
    let client = server.client();
    let (page, ()) = tokio::join!(client.feed(0, 9, WAIT_MAX), async {
        wait_for_readers(&client, 1).await;
        client.append(&append("s", &["a"])).await.unwrap();
    });
    assert_eq!(ids(&page.unwrap()), ["a"]);
    let empty = client.feed(1, 9, Duration::from_millis(10)).await.unwrap();
    assert_eq!((empty.events.len(), empty.through), (0, 1));
    wait_for_readers(&client, 0).await;
}

#[tokio::test]
async fn too_many_waiting_readers_are_refused_and_hinder_nobody() {
    let server = Server::start_with(|options| options.waiting_readers_max = 1, Limits::default()).await;
    let client = server.client();
    let (page, ()) = tokio::join!(client.feed(0, 9, WAIT_MAX), async {
        wait_for_readers(&client, 1).await;
        let Err(ClientError::Refused(problem)) = client.feed(0, 9, WAIT_MAX).await else { panic!("there is no place") };
        assert_eq!(problem.kind, ProblemType::Overloaded);
        assert_eq!(client.feed(0, 9, Duration::ZERO).await.unwrap().through, 0);
        client.append(&append("s", &["a"])).await.unwrap();
    });
    assert_eq!(page.unwrap().through, 1);
}

#[tokio::test]
async fn a_reader_that_waits_does_not_hold_up_the_end() {
    let server = Server::start().await;
    let client = server.client();
    let (page, ()) = tokio::join!(client.feed(0, 9, WAIT_MAX), async {
        wait_for_readers(&client, 1).await;
        server.stop().await.unwrap();
    });
    assert_eq!(page.unwrap().through, 0);
}

#[tokio::test]
async fn a_damaged_event_is_said_and_counted_and_stops_nobody_else() {
    let server = Server::start().await;
    let client = server.client();
    client.append(&append("s", &["a", "b", "c"])).await.unwrap();
    let sql = rusqlite::Connection::open(server.data.path().join("ledger.db")).unwrap();
    sql.execute_batch("UPDATE stored_event SET body = replace(body, 'noted', 'voted') WHERE position = 2").unwrap();
    let page = client.feed(0, 9, Duration::ZERO).await.unwrap();
    assert_eq!((ids(&page), page.through), (vec!["a"], 1));
    for target in ["/events?after=1", "/events?after=1&wait_ms=1000", "/streams/s/events?after=1"] {
        let problem = server.get(target).await.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::EventDamaged, 500));
        assert!(problem.detail.contains("at position 2 is damaged"), "{}", problem.detail);
    }
    assert!(client.metrics().await.unwrap().contains("\ncoordinator_damaged_event_reads_total 3\n"));
    let told = server.get("/events?on_damage=tell").await.json();
    assert_eq!((&told["through"], &told["last"], told["events"].as_array().unwrap().len()), (&json!(3), &json!(3), 2));
    assert_eq!(told["damaged"][0]["position"], 2);
    assert_eq!(told["damaged"][0]["claims"], json!({ "stream": "s", "sequence": 2 }));
    assert!(client.metrics().await.unwrap().contains("\ncoordinator_damaged_event_reads_total 4\n"));
    assert!(matches!(client.append(&append("s", &["d"])).await.unwrap(), Appended::New(_)));
    assert_eq!(ids(&client.feed(2, 9, Duration::ZERO).await.unwrap()), ["c", "d"]);
}

/// It is no passing trouble, so nobody is asked to come back.
#[tokio::test]
async fn an_append_that_meets_a_damaged_event_is_told_where_and_what_to_do() {
    let server = Server::start().await;
    let client = server.client();
    client.append(&append("s", &["a", "b"])).await.unwrap();
    let sql = rusqlite::Connection::open(server.data.path().join("ledger.db")).unwrap();
    sql.execute_batch("UPDATE stored_event SET hash = 'x' WHERE position = 2").unwrap();
    let Err(ClientError::Refused(problem)) = client.append(&append("s", &["b"])).await else { panic!("it is damaged") };
    assert_eq!((problem.kind, problem.status), (ProblemType::EventDamaged, 500));
    assert!(problem.detail.contains("the event at position 2 is damaged: its checksum"), "{}", problem.detail);
    assert!(problem.detail.contains("restore the data folder from a backup"), "{}", problem.detail);
    let metrics = client.metrics().await.unwrap();
    for line in [
        r#"requests_total{request="append",answer="event_damaged"} 1"#,
        r#"requests_total{request="append",answer="unavailable"} 0"#,
        "damaged_event_reads_total 1",
    ] {
        assert!(metrics.contains(&format!("\ncoordinator_{line}\n")), "{line} in {metrics}");
    }
    assert!(matches!(client.append(&append("s", &["c"])).await.unwrap(), Appended::New(_)), "others go on");
}

/// What is taken can be read back, by itself and with what it travels in.
#[tokio::test]
async fn a_payload_is_nested_no_deeper_than_readers_can_read() {
    let server = Server::start().await;
    let client = server.client();
    let nested = |id: &str, depth: usize| {
        let payload = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"events": [{{"id": "{id}", "type": "t", "userId": "u", "version": 1, "payload": {payload}}}]}}"#)
    };
    assert_eq!(server.post_to("/events", &nested("a", 64)).await.status, 201);
    for depth in [65, 123, 124] {
        let problem = server.post_to("/events", &nested("b", depth)).await.problem();
        assert_eq!((problem.kind, problem.status), (ProblemType::MalformedRequest, 400));
        assert_eq!(problem.at, Some(At::Pointer("/events/0".to_owned())));
        assert!(problem.detail.contains(&format!("the payload is nested {depth} deep")), "{}", problem.detail);
    }
    assert_eq!(ids(&client.feed(0, 9, Duration::ZERO).await.unwrap()), ["a"]);
}

/// Positions mean something in one store alone, so the feed says in which.
#[tokio::test]
async fn the_feed_says_whose_it_is_and_up_to_where_it_goes() {
    let server = Server::start().await;
    let client = server.client();
    client.append(&append("s", &["a", "b", "c"])).await.unwrap();
    let page = client.feed(0, 2, Duration::ZERO).await.unwrap();
    assert_eq!((page.through, page.last), (2, 3));
    let end = client.feed(2, 2, Duration::ZERO).await.unwrap();
    assert_eq!((end.through, end.last), (3, 3));
    assert_eq!(page.store, end.store);
    // Nobody waits for a store to come as far as another one was.
    let beyond = client.feed(9, 2, WAIT_MAX).await.unwrap();
    assert_eq!((beyond.through, beyond.last), (3, 3));
    let other = Server::start().await;
    assert_ne!(other.client().feed(0, 2, Duration::ZERO).await.unwrap().store, page.store);
}

#[tokio::test]
async fn what_is_appended_is_counted() {
    let server = Server::start().await;
    let client = server.client();
    client.append(&append("s", &["a", "b"])).await.unwrap();
    client.append(&append("s", &["a", "b"])).await.unwrap();
    client.append(&append("r", &["a"])).await.unwrap();
    client.append(&Append { expected: Some(9), ..append("s", &["c"]) }).await.unwrap();
    submit(&client, "k", &transaction("x", &[("s", "d")])).await;
    submit(&client, "l", &transaction("y", &[("s", "d")])).await;
    let metrics = client.metrics().await.unwrap();
    for line in [
        "events_total 3",
        r#"requests_total{request="append",answer="appended"} 1"#,
        r#"requests_total{request="append",answer="repeated"} 1"#,
        r#"requests_total{request="append",answer="version_conflict"} 1"#,
        r#"requests_total{request="append",answer="event_id_reused"} 1"#,
        r#"id_conflicts_total{kind="event"} 1"#,
        r#"decisions_total{decision="append_refused"} 2"#,
    ] {
        assert!(metrics.contains(&format!("\ncoordinator_{line}\n")), "{line} in {metrics}");
    }
}

/// Until so many readers wait for events.
async fn wait_for_readers(client: &Client, readers: usize) {
    let line = format!("\ncoordinator_feed_readers_waiting {readers}\n");
    while !client.metrics().await.unwrap().contains(&line) {
        tokio::task::yield_now().await;
    }
}
