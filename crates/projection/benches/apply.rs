//! Events a second: by the fold alone, by the projector, and by a loop that gives each event a transaction.
//!
//!     cargo bench -p projection --bench apply -- [EVENTS]
//!
//! The loop is what one writes first: read the mark of the event's resource and what the event touches, fold it, write
//! what that changes and the mark in one transaction, take the next event. It keeps the same promises. It and the
//! projector take turns, on an embedded graph in a new folder each time, and the ratio is the median of the rounds. Then they
//! take turns on the server that `SQUALL_BOLT_URL` names, if it names one, which both leave empty.
//!
//! Exit codes: 0 the projector is at least 5 times as fast on the embedded graph; 1 it is not.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use env::{Env, Production};
use graph::EntityId;
use projection::fold::{Picture, State, changes, touches};
use projection::lanes::{Applied, Parts, Want, Write};
use projection::statements::CONSTRAINTS;
use projection::{reading, statements};
use stores::GraphStore;
use support::{LIMIT, MemoryLog, figure, folder, is_smoke, open, project, runtime};
use testbed::Server;
use tokio::time::Instant;

/// How many events each side applies in a round.
const EVENTS: usize = 4_000;

/// Of how many resources they are.
const RESOURCES: usize = 200;

const ROUNDS: usize = 3;

/// How often the log is folded: once takes milliseconds.
const FOLDS: u32 = 20;

/// How many times as fast as the loop the projector has to be.
const RATIO_MIN: f64 = 5.0;

fn main() -> ExitCode {
    let events = figure(EVENTS, RESOURCES);
    let log = Arc::new(MemoryLog::new(events, RESOURCES, 0));
    println!("{events} events of {RESOURCES} resources, in turn");
    println!("{:<22}{:>12}", "", "events/s");
    let fold = fold_alone(&log);
    println!("{:<22}{:>12.0}", "the fold alone", a_second(events, fold));

    let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| round(&log)).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ROUNDS / 2];
    println!("the projector is {ratio:.1} times as fast as the loop; it has to be {RATIO_MIN}");
    if let Some(server) = runtime().block_on(Server::from_environment("events a second")) {
        println!("on {}", server.url);
        let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| round_on(&server, &log)).collect();
        ratios.sort_by(f64::total_cmp);
        println!("the projector is {:.1} times as fast as the loop", ratios[ROUNDS / 2]);
    }
    // So few events say nothing.
    if ratio < RATIO_MIN && !is_smoke() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// All streams folded in memory, once: without a graph, and without what that changes in one.
fn fold_alone(log: &MemoryLog) -> Duration {
    let began = Instant::now();
    for _ in 0..FOLDS {
        let mut states: BTreeMap<EntityId, State> = BTreeMap::new();
        for event in &log.events {
            states.entry(event.position.resource.clone()).or_default().fold(event).expect("the log can be folded");
        }
        black_box(states);
    }
    began.elapsed() / FOLDS
}

/// Both sides, one after the other; how many times as fast the projector was.
fn round(log: &Arc<MemoryLog>) -> f64 {
    let events = log.events.len();
    let looped = {
        let folder = folder();
        runtime().block_on(async { one_by_one(open(folder.path()).await.as_ref(), log).await })
    };
    let projected = {
        let folder = folder();
        runtime().block_on(async { project(open(folder.path()).await, log.clone()).await.1 })
    };
    told(events, looped, projected)
}

/// Both sides on a server; how many times as fast the projector was.
fn round_on(server: &Server, log: &Arc<MemoryLog>) -> f64 {
    let looped = runtime().block_on(async {
        let graph = server.open(&Env::new(Production));
        server.make_ready(&graph).await;
        one_by_one(&graph, log).await
    });
    let projected = runtime().block_on(async {
        let graph = Arc::new(server.open(&Env::new(Production)));
        server.make_ready(graph.as_ref()).await;
        project(graph, log.clone()).await.1
    });
    runtime().block_on(async { server.leave_empty(&server.open(&Env::new(Production))).await });
    told(log.events.len(), looped, projected)
}

/// Prints both, and returns how many times as fast the projector was.
fn told(events: usize, looped: Duration, projected: Duration) -> f64 {
    println!("{:<22}{:>12.0}", "the loop", a_second(events, looped));
    println!("{:<22}{:>12.0}", "the projector", a_second(events, projected));
    looped.as_secs_f64() / projected.as_secs_f64()
}

/// Every event in a transaction of its own.
async fn one_by_one(graph: &dyn GraphStore, log: &MemoryLog) -> Duration {
    let began = Instant::now();
    graph.ensure_unique(CONSTRAINTS).await.expect("an empty graph takes constraints");
    for event in &log.events {
        let resource = &event.position.resource;
        let parts: BTreeSet<_> = touches(event).into_iter().collect();
        let wants = [Want { resource: resource.clone(), parts: Parts::Some(parts) }];
        let rows = graph.execute(statements::load(&wants), LIMIT).await.expect("the graph is readable");
        let found = reading::found(&wants, rows).expect("nobody else writes").remove(0);
        let mut state = found.picture.state().expect("nobody else writes");
        let referenced = found.picture.node.is_some();
        let before = Picture::of(resource, &state, referenced);
        state.fold(event).expect("the log can be folded");
        let changes = changes(&before, &Picture::of(resource, &state, referenced));
        let to = Applied { sequence: event.position.sequence, ..found.applied.clone() };
        let write = Write { resource: resource.clone(), from: found.applied, to, changes };
        graph.execute(statements::apply(0, &[write]), LIMIT).await.expect("it can be written");
    }
    began.elapsed()
}

fn a_second(events: usize, took: Duration) -> f64 {
    events as f64 / took.as_secs_f64()
}
