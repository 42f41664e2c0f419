//! Events a second: what is appended to streams by itself, one event a call, without HTTP.
//!
//!     cargo bench --bench append -- [EVENTS]
//!
//! Each number of clients appends so many events in all, each client to a stream of its own and then all of them to one
//! stream: they share its lock, and whoever is there at the same moment shares a commit as well.

#[path = "support/percentile.rs"]
mod percentile;
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coordinator::events::{Append, Appended, EventStore};
use coordinator::service::Coordinator;
use futures_util::future::join_all;
use percentile::percentile_ms;
use support::{figure, folder, open_graph, production, runtime, start};
use tokio::time::Instant;

/// How many events each number of clients appends in each way.
const EVENTS: usize = 4_000;

const CLIENTS: [usize; 3] = [1, 8, 64];

fn main() {
    let events = figure(EVENTS, 64);
    runtime().block_on(measure(events));
}

async fn measure(events: usize) {
    let (env, data) = (production(), folder());
    let graph = open_graph(&env, data.path()).await;
    let coordinator = start(env.clone(), data.path(), graph).await.expect("it starts");
    let next = AtomicUsize::new(0);
    println!("{events} events each way");
    println!("{:<9}{:<15}{:>10}{:>10}{:>10}", "clients", "streams", "events/s", "p50 ms", "p99 ms");
    for clients in CLIENTS {
        for shared in [false, true] {
            let each = (events / clients).max(1);
            // To warm up.
            at_once(&coordinator, &next, clients, (each / 10).max(1), shared).await;
            let (mut latencies, took) = at_once(&coordinator, &next, clients, each, shared).await;
            let a_second = latencies.len() as f64 / took.as_secs_f64();
            let [p50, p99] = [50, 99].map(|percent| percentile_ms(&mut latencies, percent));
            let streams = if shared { "one" } else { "one each" };
            println!("{clients:<9}{streams:<15}{a_second:>10.0}{p50:>10.2}{p99:>10.2}");
        }
    }
}

/// So many clients append so many events each, at the same time. Returns how long each took, and all.
async fn at_once(
    coordinator: &Coordinator,
    next: &AtomicUsize,
    clients: usize,
    each: usize,
    shared: bool,
) -> (Vec<Duration>, Duration) {
    let began = Instant::now();
    let client = async |client: usize| {
        let mut latencies = Vec::with_capacity(each);
        for _ in 0..each {
            let append = append(if shared { 0 } else { client }, next.fetch_add(1, Ordering::Relaxed));
            let began = Instant::now();
            match coordinator.append(append).await {
                Ok(Appended::New(_)) => latencies.push(began.elapsed()),
                answer => panic!("an append was answered {answer:?}"),
            }
        }
        latencies
    };
    let latencies = join_all((0..clients).map(client)).await;
    (latencies.concat(), began.elapsed())
}

/// The nth event, of 200 bytes.
fn append(stream: usize, n: usize) -> Append {
    let event = format!(
        r#"{{"id": "event-{n:09}", "type": "annotation:added", "userId": "somebody", "version": 1,
            "payload": {{"annotation": "annotation-{n}", "text": "a line of text that says little"}}}}"#
    );
    let event = serde_json::from_str(&event).expect("it is an event");
    Append { stream: format!("stream-{stream}").parse().expect("an id"), expected: None, events: vec![event] }
}
