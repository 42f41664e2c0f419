//! The Bolt client and the Bolt server against each other, and against what goes wrong.

mod anomalies;
mod tls;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use env::{Env, Production};
use graph::Value;
use stores::bolt::client::{
    BUSY, BoltGraph, BoltOptions, BoltUrl, NOT_UNIQUE, Password, UNEXPECTED_RESULT, UNREACHABLE,
};
use stores::bolt::server::{BoltServer, Credentials, Failure, Hooks, Request, serve};
use stores::memory::MemoryGraph;
use stores::{Datum, Expect, GraphError, GraphStore, PropertyGraph, Uniqueness};
use world::{ADD, COUNT, Cut, LIMIT, NAMES, STATEMENTS, UNIQUE, World, add, call, options};

fn refusal(error: GraphError) -> (String, bool) {
    match error {
        GraphError::Refused { code, retryable, .. } => (code, retryable),
        other => panic!("not a refusal: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_returns_the_rows_of_each_statement() {
    let world = World::new();
    let graph = world.client();
    let rows = graph.execute(vec![add("a"), add("b"), call(&COUNT), call(&NAMES)], LIMIT).await.unwrap();
    let text = |name: &str| vec![Datum::from(name)];
    assert_eq!(rows[2], [[Datum::Int(2)]]);
    assert_eq!(rows[3], [text("a"), text("b")]);
    assert_eq!(world.names(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn more_statements_than_one_batch_holds_run_in_order() {
    let world = World::new();
    let names: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
    let mut calls: Vec<_> = names.iter().map(|name| add(name)).collect();
    calls.insert(50, call(&COUNT));
    let rows = world.client().execute(calls, LIMIT).await.unwrap();
    assert_eq!(rows[50], [[Datum::Int(50)]]);
    assert_eq!(world.names(), names);
}

#[tokio::test(start_paused = true)]
async fn a_large_result_and_a_large_parameter_arrive_whole() {
    let world = World::new();
    let graph = world.client();
    let name = "x".repeat(200_000);
    graph.execute(vec![add(&name)], LIMIT).await.unwrap();
    let rows = graph.execute(vec![call(&NAMES)], LIMIT).await.unwrap();
    assert_eq!(rows[0], [[Datum::Text(name)]]);
}

#[tokio::test(start_paused = true)]
async fn a_count_that_is_not_the_expected_one_rolls_back() {
    let world = World::new();
    let graph = world.client();
    let mut wrong = add("b");
    wrong.expect = Expect::Changed(2);
    let error = graph.execute(vec![add("a"), wrong, add("c")], LIMIT).await.unwrap_err();
    assert_eq!(error, GraphError::Unexpected { statement: "add", expected: 2, actual: "[[1]]".to_owned() });
    let mut rows = call(&NAMES);
    rows.expect = Expect::Changed(1);
    let error = graph.execute(vec![rows], LIMIT).await.unwrap_err();
    assert_eq!(error, GraphError::Unexpected { statement: "names", expected: 1, actual: "[]".to_owned() });
    assert!(world.names().is_empty());
    // The connection is in order again, and it is the same one.
    graph.execute(vec![add("d")], LIMIT).await.unwrap();
    assert_eq!((world.names(), world.opened()), (vec!["d".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_statement_and_a_missing_parameter_are_refusals() {
    let world = World::new();
    let graph = world.client();
    let error = graph.execute(vec![add("a"), call(&world::UNHEARD_OF)], LIMIT).await.unwrap_err();
    assert_eq!(refusal(error), ("Neo.ClientError.Statement.SyntaxError".to_owned(), false));
    let error = graph.execute(vec![call(&ADD)], LIMIT).await.unwrap_err();
    assert_eq!(refusal(error), ("Neo.ClientError.Statement.ParameterMissing".to_owned(), false));
    assert!(world.names().is_empty());
    assert_eq!(world.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_columns_than_the_statement_says_are_a_refusal() {
    let world = World::new();
    let error = world.client().execute(vec![call(&world::MISNAMED)], LIMIT).await.unwrap_err();
    assert_eq!(refusal(error), (UNEXPECTED_RESULT.to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn a_constraint_is_proven_or_found_missing() {
    let world = World::new();
    let graph = world.client();
    graph.ensure_unique(&[UNIQUE]).await.unwrap();
    graph.ensure_unique(&[UNIQUE]).await.unwrap();
    assert!(world.names().is_empty(), "the proof left something behind");
    graph.execute(vec![add("a")], LIMIT).await.unwrap();
    let error = graph.execute(vec![add("b"), add("a")], LIMIT).await.unwrap_err();
    assert!(matches!(error, GraphError::Constraint { .. }), "{error}");
    assert_eq!(world.names(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_constraints_is_found_out() {
    let world = World::with(|server| server.with_hooks(world::LacksConstraints));
    let error = world.client().ensure_unique(&[UNIQUE]).await.unwrap_err();
    assert_eq!(refusal(error), (NOT_UNIQUE.to_owned(), false));
    assert!(world.names().is_empty(), "the proof left something behind");
}

#[tokio::test(start_paused = true)]
async fn duplicates_that_are_there_already_keep_a_constraint_from_being_proven() {
    let world = World::new();
    let graph = world.client();
    graph.execute(vec![add("a"), add("a")], LIMIT).await.unwrap();
    let error = graph.ensure_unique(&[UNIQUE]).await.unwrap_err();
    assert!(error.to_string().contains("ConstraintCreationFailed"), "{error}");
    assert_eq!(refusal(error).0, NOT_UNIQUE);
    assert_eq!(world.names(), ["a", "a"]);
}

/// Fails one request, once; or reports a failure for the first commit that took place.
struct FailOnce {
    request: Option<Request<'static>>,
    code: &'static str,
    left: AtomicUsize,
}

impl FailOnce {
    fn on(request: Request<'static>, code: &'static str) -> FailOnce {
        FailOnce { request: Some(request), code, left: AtomicUsize::new(1) }
    }

    fn after_commit(code: &'static str) -> FailOnce {
        FailOnce { request: None, code, left: AtomicUsize::new(1) }
    }

    fn take(&self) -> Option<Failure> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.ok().map(|_| Failure { code: self.code.to_owned(), message: "injected".to_owned() })
    }
}

impl Hooks for FailOnce {
    fn on_request(&self, request: Request<'_>) -> Option<Failure> {
        if self.request == Some(request) { self.take() } else { None }
    }

    fn after_commit(&self) -> Option<Failure> {
        if self.request.is_none() { self.take() } else { None }
    }
}

const DEADLOCK: &str = "Neo.TransientError.Transaction.DeadlockDetected";
const ODD: &str = "Neo.DatabaseError.General.UnknownError";

#[tokio::test(start_paused = true)]
async fn a_listed_failure_is_a_refusal_wherever_it_comes() {
    for request in [Request::Begin, Request::Run("add"), Request::Pull, Request::Commit] {
        let world = World::with(|server| server.with_hooks(FailOnce::on(request, DEADLOCK)));
        let graph = world.client();
        let error = graph.execute(vec![add("a")], LIMIT).await.unwrap_err();
        assert_eq!(refusal(error), (DEADLOCK.to_owned(), true));
        assert!(world.names().is_empty());
        graph.execute(vec![add("b")], LIMIT).await.unwrap();
        assert_eq!(world.names(), ["b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unlisted_failure_is_unknown_once_a_statement_was_sent() {
    let run = FailOnce::on(Request::Run("add"), ODD);
    let world = World::with(|server| server.with_hooks(run));
    let error = world.client().execute(vec![add("a")], LIMIT).await.unwrap_err();
    assert!(matches!(error, GraphError::Unknown { .. }), "{error}");

    let begin = FailOnce::on(Request::Begin, ODD);
    let world = World::with(|server| server.with_hooks(begin));
    let error = world.client().execute(vec![add("a")], LIMIT).await.unwrap_err();
    assert_eq!(refusal(error), (ODD.to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn a_failure_reported_for_a_commit_that_took_place_is_unknown() {
    let world = World::with(|server| server.with_hooks(FailOnce::after_commit(ODD)));
    let error = world.client().execute(vec![add("a")], LIMIT).await.unwrap_err();
    assert!(matches!(error, GraphError::Unknown { .. }), "{error}");
    assert_eq!(world.names(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_a_refusal_and_does_not_leak() {
    let credentials = Credentials { user: "neo4j".to_owned(), password: Password::from("right") };
    let world = World::with(|server| server.with_credentials(credentials));
    let error = world.client().execute(vec![add("a")], LIMIT).await.unwrap_err();
    assert!(!error.to_string().contains("secret"));
    assert_eq!(refusal(error), ("Neo.ClientError.Security.Unauthorized".to_owned(), false));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_unreachable() {
    let world = World::new();
    world.cut(Cut::Refuse);
    let error = world.client().execute(vec![add("a")], LIMIT).await.unwrap_err();
    assert_eq!(refusal(error), (UNREACHABLE.to_owned(), true));
    world.cut(Cut::Never);
    world.client().execute(vec![add("a")], LIMIT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_unreachable() {
    let world = World::new();
    world.cut(Cut::Silent);
    let error = world.client().execute(vec![add("a")], LIMIT).await.unwrap_err();
    assert_eq!(refusal(error), (UNREACHABLE.to_owned(), true));
}

/// At each byte that goes to the server, and at each that comes back.
#[tokio::test(start_paused = true)]
async fn a_connection_cut_anywhere_never_makes_a_lie() {
    let mut outcomes = [0; 4];
    for direction in [Cut::AfterSent as fn(usize) -> Cut, Cut::AfterReceived] {
        for bytes in 0.. {
            let world = World::new();
            world.cut(direction(bytes));
            let result = world.client().execute(vec![add("a"), add("b")], LIMIT).await;
            world.settle().await;
            let names = world.names();
            assert!(names.is_empty() || names == ["a", "b"], "half a transaction: {names:?}");
            match result {
                Ok(_) => {
                    assert_eq!(names, ["a", "b"], "an acknowledged commit is lost");
                    outcomes[0] += 1;
                    break;
                }
                Err(GraphError::Refused { code, retryable, .. }) => {
                    assert_eq!((code.as_str(), retryable), (UNREACHABLE, true));
                    assert!(names.is_empty(), "a refused transaction left {names:?}");
                    outcomes[1] += 1;
                }
                Err(GraphError::Unknown { .. }) => outcomes[if names.is_empty() { 2 } else { 3 }] += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "not every outcome was seen: {outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_time_out_before_the_commit_and_after_it_is_unknown() {
    let mut landed = [false; 2];
    for bytes in (0..2_000).step_by(10) {
        let world = World::new();
        world.cut(Cut::SilentAfterReceived(bytes));
        match world.client().execute(vec![add("a")], LIMIT).await {
            Ok(_) => break,
            Err(GraphError::Unknown { why }) => {
                assert!(why.contains("within"), "{why}");
                landed[usize::from(!world.names().is_empty())] = true;
            }
            Err(error) => assert_eq!(refusal(error), (UNREACHABLE.to_owned(), true)),
        }
    }
    assert_eq!(landed, [true, true], "a time-out on both sides of the commit");
}

#[tokio::test(start_paused = true)]
async fn a_pooled_connection_that_died_is_replaced_before_anything_is_sent() {
    let world = World::new();
    let graph = world.client();
    graph.execute(vec![add("a")], LIMIT).await.unwrap();
    world.kill_connections();
    graph.execute(vec![add("b")], LIMIT).await.unwrap();
    assert_eq!((world.names(), world.opened()), (vec!["a".to_owned(), "b".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_takes_its_connection_with_it() {
    let world = World::new();
    let graph = world.client();
    graph.execute(vec![add("a")], LIMIT).await.unwrap();
    world.cut(Cut::Hold);
    let call = graph.execute(vec![add("b")], LIMIT);
    assert!(tokio::time::timeout(Duration::from_millis(10), call).await.is_err());
    world.cut(Cut::Never);
    graph.execute(vec![add("c")], LIMIT).await.unwrap();
    world.settle().await;
    assert_eq!((world.names(), world.opened()), (vec!["a".to_owned(), "c".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn callers_beyond_the_pool_wait_their_turn_and_then_are_busy() {
    let world = World::new();
    // Opening a transaction may take longer than the call, so that the first two hold on.
    let options = BoltOptions { pool_size: 2, connect_timeout: 2 * LIMIT, ..options() };
    let graph = Arc::new(BoltGraph::new(world.env(), options).unwrap());
    let calls = (0..20).map(|n| {
        let graph = graph.clone();
        async move { graph.execute(vec![add(&format!("{n:02}"))], LIMIT).await }
    });
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!((world.names().len(), world.opened()), (20, 2));

    world.cut(Cut::Hold);
    let calls = [LIMIT, LIMIT, LIMIT / 2].map(|limit| graph.execute(vec![add("late")], limit));
    let results = futures_util::future::join_all(calls).await;
    let codes: Vec<String> = results.into_iter().map(|result| refusal(result.unwrap_err()).0).collect();
    assert_eq!(codes, [UNREACHABLE, UNREACHABLE, BUSY]);
}

/// PackStream writes a name as its length and its bytes, 30,000 as 0xC9 and two bytes.
#[tokio::test(start_paused = true)]
async fn the_server_is_told_the_limit_and_the_database() {
    let world = World::new();
    let options = BoltOptions { database: Some("graph".to_owned()), ..options() };
    let graph = BoltGraph::new(world.env(), options).unwrap();
    graph.execute(vec![add("a")], LIMIT).await.unwrap();
    assert_eq!(LIMIT.as_millis(), 30_000);
    assert!(world.was_sent(b"\x8atx_timeout\xc9\x75\x30"));
    assert!(world.was_sent(b"\x82db\x85graph"));
}

#[tokio::test]
async fn a_server_on_a_socket_serves_many() {
    let env = Env::new(Production);
    let mut listener = env.listen("127.0.0.1:0").await.unwrap();
    let url: BoltUrl = format!("bolt://{}", listener.local_address()).parse().unwrap();
    let backend = MemoryGraph::new();
    let server = Arc::new(BoltServer::new(backend.clone(), STATEMENTS, &[UNIQUE]));
    let host = env.clone();
    env.spawn(async move { serve(&host, listener.as_mut(), &server).await.unwrap() });

    let graph = BoltGraph::new(env, BoltOptions::new(&url, "")).unwrap();
    graph.ensure_unique(&[UNIQUE]).await.unwrap();
    let names: Vec<String> = (0..50).map(|n| format!("{n:02}")).collect();
    let calls = names.iter().map(|name| graph.execute(vec![add(name)], LIMIT));
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(backend.snapshot().nodes().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_server_ends_a_transaction_that_takes_too_long() {
    let world = World::new();
    let mut raw = world.raw().await;
    raw.begin(100).await;
    raw.run(&ADD, "name", "slow").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let failure = raw.commit().await.unwrap_err();
    assert_eq!(failure, "Neo.ClientError.Transaction.TransactionTimedOut");
    assert!(world.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_transaction_in_time_is_not_ended() {
    let world = World::new();
    let mut raw = world.raw().await;
    raw.begin(100).await;
    raw.run(&ADD, "name", "quick").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    raw.commit().await.unwrap();
    assert_eq!(world.names(), ["quick"]);
}

#[tokio::test(start_paused = true)]
async fn a_statement_can_be_a_transaction_of_its_own_and_be_pulled_in_parts() {
    let world = World::new();
    let mut raw = world.raw().await;
    for name in ["a", "b", "c"] {
        raw.run(&ADD, "name", name).await.unwrap();
    }
    assert_eq!(world.names(), ["a", "b", "c"]);
    assert_eq!(raw.pull_in_parts(&NAMES, 2).await, [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_failure_is_ignored_until_reset() {
    let world = World::new();
    let mut raw = world.raw().await;
    assert_eq!(raw.fail_and_recover().await, ["FAILURE", "IGNORED", "IGNORED", "SUCCESS", "SUCCESS"]);
}

#[tokio::test(start_paused = true)]
async fn warnings_speak_of_durability_only_where_it_is_in_doubt() {
    let world = World::new();
    assert_eq!(world.client().warnings().await, [] as [String; 0]);
    world.cut(Cut::Refuse);
    assert_eq!(world.client().warnings().await.len(), 1);
}

#[test]
fn the_memory_graph_is_the_backend_that_was_given() {
    let graph = MemoryGraph::new();
    let server = BoltServer::new(graph.clone(), STATEMENTS, &[] as &[Uniqueness]);
    let create = |graph: &mut dyn PropertyGraph| -> Result<_, stores::GraphFault> {
        graph.create(&["Name"], [("name".to_owned(), Value::from("a"))].into())
    };
    graph.autocommit(create).unwrap();
    assert_eq!(server.backend().snapshot(), graph.snapshot());
}
