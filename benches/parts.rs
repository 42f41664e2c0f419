//! The parts of a run, each by itself, under Criterion: to see which of them a change made slower.
//!
//!     cargo bench --bench parts                       # compares with the last time
//!     cargo bench --bench parts -- --save-baseline x  # and --baseline x
//!
//! What is a ratio of two things has a program of its own that measures both in turn.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use squall::plan::{Plan, expand, load};
use squall::sut::System;
use squall::system::{BiStore, Op};
use squall::verdict::judge;
use squall::world::{self, Options};

/// The smallest story, and one with everything in it.
const SCENARIOS: [&str; 2] = ["one_commit", "swarm"];

fn plan(scenario: &str) -> Plan<Op> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(scenario).with_extension("toml");
    let scenario = load::<BiStore>(&path).expect("it is a scenario");
    expand(&scenario, &system(&scenario.system), 1).expect("it can be expanded")
}

fn system(options: &serde_json::Value) -> BiStore {
    BiStore::new(options).expect("the system has these options")
}

/// From a file to a plan.
fn expanding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("expand");
    for scenario in SCENARIOS {
        group.bench_function(scenario, |bencher| bencher.iter(|| plan(black_box(scenario))));
    }
}

/// From a plan to a record; the throughput is in simulated milliseconds.
fn running(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("run");
    for scenario in SCENARIOS {
        let plan = plan(scenario);
        let run = || world::run::<BiStore>(&plan, Options::default()).expect("it can be run");
        group.throughput(Throughput::Elements(run().simulated_ms));
        group.bench_function(scenario, |bencher| bencher.iter(run));
    }
}

/// From a record to a verdict: all checks.
fn judging(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge");
    for scenario in SCENARIOS {
        let plan = plan(scenario);
        let (system, record) = (system(&plan.system), world::run::<BiStore>(&plan, Options::default()));
        let record = record.expect("it can be run");
        group.bench_function(scenario, |bencher| bencher.iter(|| judge(&system, black_box(&record), false)));
    }
}

criterion_group! {
    name = parts;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = expanding, running, judging
}
criterion_main!(parts);
