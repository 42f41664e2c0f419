//! What isolation costs: the time of one fork and the wait for its child.
//!
//! `cargo run --release -p interpose --example fork_cost [MEGABYTES]` touches so
//! much memory first, since a fork copies the page tables of what is in use.

use std::time::Duration;

use interpose::process::{self, Fork};

const FORKS: usize = 2_000;

fn main() {
    let megabytes: usize = std::env::args().nth(1).map_or(16, |text| text.parse().expect("a number of megabytes"));
    let memory = std::hint::black_box(vec![1_u8; megabytes << 20]);
    let mut costs: Vec<Duration> = (0..FORKS).map(|_| cost_of_one()).collect();
    costs.sort_unstable();
    println!(
        "{FORKS} forks with {megabytes} MB in use: median {:?}, 99th percentile {:?}",
        costs[FORKS / 2],
        costs[FORKS * 99 / 100]
    );
    drop(memory);
}

fn cost_of_one() -> Duration {
    let start = interpose::real_monotonic();
    match process::fork().expect("one thread runs") {
        Fork::Child => process::exit_now(0),
        Fork::Parent(child) => child.wait().expect("it is our child"),
    };
    interpose::real_monotonic() - start
}
