//! What an event costs with more resources and with more that stand still, and a rebuild of everything.
//!
//!     cargo bench -p projection --bench scale -- [EVENTS]
//!
//! The log is in memory and the graph an embedded one, in a new folder each time. The rebuild has five times as many
//! events as the tables.
//!
//! Exit codes: 0 everything was shown, and every lane was forgotten; 1 a rebuild did not put everything right.

mod support;

use std::process::ExitCode;
use std::sync::Arc;

use projection::lanes::Scope;
use support::{MemoryLog, figure, folder, open, project, runtime};
use tokio::time::Instant;

/// How many events each line of the tables has.
const EVENTS: usize = 20_000;

const RESOURCES: [usize; 4] = [10, 100, 1_000, 10_000];

/// How many resources stand still, of `PARKED_OF`.
const PARKED: [usize; 4] = [0, 10, 100, 1_000];

const PARKED_OF: usize = 2_000;

/// How many resources the rebuild has for each of its events.
const REBUILD_EVENTS_EACH: usize = 20;

fn main() -> ExitCode {
    let events = figure(EVENTS, 200);
    println!("{events} events");
    println!("{:>10}{:>10}{:>12}{:>10}", "resources", "parked", "events/s", "µs each");
    let points = RESOURCES.map(|resources| (resources, 0)).into_iter().chain(PARKED.map(|parked| (PARKED_OF, parked)));
    for (resources, parked) in points {
        runtime().block_on(point(events, resources, parked));
    }
    runtime().block_on(rebuild(5 * events))
}

async fn point(events: usize, resources: usize, parked: usize) {
    let (folder, log) = (folder(), Arc::new(MemoryLog::new(events, resources, parked)));
    let (_projector, took) = project(open(folder.path()).await, log).await;
    let (a_second, each) = (events as f64 / took.as_secs_f64(), took.as_secs_f64() * 1e6 / events as f64);
    println!("{resources:>10}{parked:>10}{a_second:>12.0}{each:>10.1}");
}

async fn rebuild(events: usize) -> ExitCode {
    let (folder, resources) = (folder(), events / REBUILD_EVENTS_EACH);
    let log = Arc::new(MemoryLog::new(events, resources, 0));
    let (projector, took) = project(open(folder.path()).await, log).await;
    println!("{events} events of {resources} resources: shown in {:.1} s", took.as_secs_f64());
    let began = Instant::now();
    let ended = projector.rebuild(Scope::All).await.expect("nobody else uses it");
    println!("rebuilt in {:.1} s: {ended:?}", began.elapsed().as_secs_f64());
    if ended.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
