//! What squall costs over the engine that it is built on.
//!
//!     cargo bench --bench turmoil -- [ROUNDS]
//!
//! The same coordinator, graph database and clients do the same operations at the same simulated times, without faults,
//! in three ways, in turn, round after round:
//!
//! - *squall*: as `squall run` does it, each run in a forked child, interposed, on simulated disks, recorded, digested,
//!   dumped and judged;
//! - *here*: the same in this process, without the fork;
//! - *turmoil*: the [`bare`] engine, with nothing of that: SQLite is on real files in memory, where a sync costs nothing.
//!
//! Two workloads: *short* is what most scenarios are like, and *long* is one where the work outweighs what a run costs
//! once. Printed are, by the medians of the rounds, CPU time, simulations a second and simulated seconds a second, and
//! the ratios of CPU time for the same operations. Exit code 1 says that squall costs more than it may.

mod bare;
#[path = "../measure/mod.rs"]
mod measure;

use std::num::NonZero;
use std::ops::ControlFlow;
use std::process::ExitCode;

use measure::{Cost, medians, timed};
use squall::campaign::{Campaign, Detail, Setup, program};
use squall::plan::{Plan, expand, parse_for};
use squall::sut::System;
use squall::system::{BiStore, Op};
use squall::verdict::judge;
use squall::worker::serve_if_asked;
use squall::world::{self, Options};

const ROUNDS: usize = 15;

/// How much of bare turmoil's time squall may take.
const RATIO_MAX: f64 = 1.3;

/// Name, operations of each client, and how many seeds a round has.
const WORKLOADS: [(&str, usize, u64); 2] = [("short", 10, 64), ("long", 100, 8)];

const WAYS: [&str; 3] = ["squall", "here", "turmoil"];

/// What was simulated in a round.
#[derive(Clone, Copy, Debug, Default)]
struct Simulated {
    ms: u64,
    /// Operations that were answered; a refusal is an answer.
    answered: u64,
}

fn main() -> ExitCode {
    serve_if_asked(program::<BiStore>());
    let rounds = measure::rounds(ROUNDS);
    let mut campaign = Campaign::<BiStore>::start(Setup { jobs: NonZero::<usize>::MIN, ..Setup::new() })
        .expect("a worker can be started");
    let mut worst: f64 = 0.0;
    for (name, operations, seeds) in WORKLOADS {
        let seeds = if measure::is_smoke() { 1 } else { seeds };
        let plans = plans(operations, seeds);
        println!("{name}: {rounds} rounds of {seeds} seeds, 3 clients with {operations} operations each");
        worst = worst.max(compare(&mut campaign, &plans, rounds));
    }
    if measure::is_smoke() || worst < RATIO_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("squall may cost less than {RATIO_MAX} times bare turmoil");
    ExitCode::FAILURE
}

/// Measures the three ways, prints them, and returns how many times the CPU time of bare turmoil squall takes.
fn compare(campaign: &mut Campaign<BiStore>, plans: &[Plan<Op>], rounds: usize) -> f64 {
    let mut samples: [Vec<Cost>; 3] = Default::default();
    let mut simulated = [Simulated::default(); 3];
    for round in 0..=rounds {
        let ways = [
            timed(|| in_children(campaign, plans)),
            timed(|| in_this_process(plans)),
            timed(|| plans.iter().map(bare::run).fold(Simulated::default(), sum)),
        ];
        // The first round warms up.
        if round > 0 {
            for (way, (cost, done)) in ways.into_iter().enumerate() {
                samples[way].push(cost);
                simulated[way] = done;
            }
        }
    }
    let [squall, _, turmoil] = simulated;
    assert_eq!(squall.answered, turmoil.answered, "both answer every operation");

    let runs = plans.len() as f64;
    println!("{:<10}{:>12}{:>12}{:>14}{:>16}", "", "cpu ms/run", "runs/s", "simulated s", "simulated s/s");
    let costs = [0, 1, 2].map(|way| medians(&samples[way], runs));
    for way in 0..3 {
        let (cost, seconds) = (costs[way], simulated[way].ms as f64 / 1_000.0 / runs);
        let a_second = 1_000.0 / cost.cpu;
        println!("{:<10}{:>12.2}{a_second:>12.1}{seconds:>14.2}{:>16.1}", WAYS[way], cost.cpu, seconds * a_second);
    }
    let ratio = |way: usize| measure::median(samples[way].iter().zip(&samples[2]).map(|(a, b)| a.cpu / b.cpu));
    let (squall, here) = (ratio(0), ratio(1));
    println!("squall takes {squall:.2} times the CPU time of bare turmoil, {here:.2} times without the fork\n");
    squall
}

/// Fault-free plans: three clients, random transactions and reads over a few entities.
fn plans(operations: usize, seeds: u64) -> Vec<Plan<Op>> {
    // One latency for all messages, since turmoil draws them otherwise than squall does: so both simulate the same time.
    let text = format!(
        "clients = 3\n[network]\nlatency_ms_min = 3\nlatency_ms_max = 3\n[workload]\noperations = {operations}\nentities = 5\n"
    );
    let scenario = parse_for::<BiStore>("a benchmark", &text).expect("it is a scenario");
    let system = BiStore::new(&scenario.system).expect("the system has these options");
    (0..seeds).map(|seed| expand(&scenario, &system, seed).expect("it can be expanded")).collect()
}

fn sum(a: Simulated, b: Simulated) -> Simulated {
    Simulated { ms: a.ms + b.ms, answered: a.answered + b.answered }
}

fn in_children(campaign: &mut Campaign<BiStore>, plans: &[Plan<Op>]) -> Simulated {
    let mut simulated = Simulated::default();
    let ran = campaign.run(plans, Detail::default(), |_, verdict| {
        simulated = sum(simulated, of(&verdict.expect("it has a verdict")));
        ControlFlow::Continue(())
    });
    ran.expect("the workers work");
    simulated
}

fn in_this_process(plans: &[Plan<Op>]) -> Simulated {
    let run = |plan: &Plan<Op>| {
        let system = BiStore::new(&plan.system).expect("the system has these options");
        let record = world::run::<BiStore>(plan, Options::default()).expect("it can be run");
        of(&judge(&system, &record, false))
    };
    plans.iter().map(run).fold(Simulated::default(), sum)
}

fn of(verdict: &squall::verdict::Verdict) -> Simulated {
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    Simulated { ms: verdict.simulated_ms, answered: verdict.operations.ok + verdict.operations.fail }
}
