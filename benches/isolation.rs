//! What it costs that a run is isolated from the machine and digested.
//!
//!     cargo bench --bench isolation -- [ROUNDS]
//!
//! The same plans are run in three ways, in turn, round after round:
//!
//! - *isolated*: as `squall run` does, each in a child forked from a worker, interposed and digested;
//! - *here*: interposed and digested, in this process, one after the other;
//! - *bare*: in this process, and neither interposed nor digested. A clock that stands still stands in for libc's, which
//!   is no faster, so the comparison is not kind to the isolation.
//!
//! All three do the same work, which is asserted: the hosts pass the same points. A line has the medians of the rounds, in
//! milliseconds a run, and how much of the isolated time the isolation is.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use interpose::{Reading, real_monotonic};
use squall::campaign::{Campaign, Detail, Setup, program};
use squall::plan::{Plan, expand, load};
use squall::record::Points;
use squall::sut::System;
use squall::system::{BiStore, Op};
use squall::verdict::judge;
use squall::worker::serve_if_asked;
use squall::world::{self, Options};

const ROUNDS: usize = 15;

/// How many seeds of each scenario.
const SEEDS: u64 = 4;

/// What the isolation may cost of the isolated time, in percent.
const COST_MAX: f64 = 15.0;

/// The clock of a bare run. It does not begin at zero, since some programs subtract from "now".
const STILL: Reading = Reading { utc_ns: 1_700_000_000_000_000_000, monotonic_ns: 1_000_000_000_000 };

fn main() -> ExitCode {
    serve_if_asked(program::<BiStore>());
    // cargo adds an argument of its own.
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS);
    let mut campaign = Campaign::<BiStore>::start(Setup { jobs: NonZero::<usize>::MIN, ..Setup::new() })
        .expect("a worker can be started");
    println!("{rounds} rounds, {SEEDS} seeds; {}", campaign.choice().sentence);

    let plans = plans();
    let mut samples: BTreeMap<&str, [Vec<f64>; 3]> = BTreeMap::new();
    for round in 0..=rounds {
        for (scenario, plans) in &plans {
            let [isolated, here, bare] = [
                timed(|| in_children(&mut campaign, plans)),
                timed(|| in_this_process(plans, Options::default())),
                timed(|| in_this_process(plans, Options { bare: true, ..Options::default() })),
            ];
            assert!(isolated.1 == here.1 && here.1 == bare.1, "{scenario}: they did not do the same work");
            // The first round warms up.
            if round > 0 {
                let samples = samples.entry(scenario).or_default();
                for (samples, (ms, _)) in samples.iter_mut().zip([isolated, here, bare]) {
                    samples.push(ms / plans.len() as f64);
                }
            }
        }
    }

    println!("{:<26}{:>10}{:>10}{:>10}{:>10}", "scenario", "isolated", "here", "bare", "cost");
    let mut sums = [0.0; 3];
    for (scenario, samples) in samples {
        let medians = samples.map(median);
        sums = std::array::from_fn(|way| sums[way] + medians[way]);
        print_line(scenario, medians);
    }
    print_line("all", sums);
    if cost(sums) < COST_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("the isolation costs {COST_MAX} % or more");
    ExitCode::FAILURE
}

/// The plans of each scenario.
fn plans() -> BTreeMap<String, Vec<Plan<Op>>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = std::fs::read_dir(folder).expect("there is a folder of scenarios");
    let files = files.map(|entry| entry.expect("it can be read").path());
    let scenarios = files.map(|path| load::<BiStore>(&path).expect("it is a scenario"));
    let plans = scenarios.map(|scenario| {
        let system = BiStore::new(&scenario.system).expect("the system has these options");
        let plan = |seed| expand(&scenario, &system, seed).expect("it can be expanded");
        (scenario.name.clone(), (0..SEEDS).map(plan).collect())
    });
    plans.collect()
}

/// How many milliseconds something took, and what came of it.
fn timed(work: impl FnOnce() -> Vec<Points>) -> (f64, Vec<Points>) {
    let started = real_monotonic();
    let points = work();
    ((real_monotonic() - started).as_secs_f64() * 1_000.0, points)
}

fn in_children(campaign: &mut Campaign<BiStore>, plans: &[Plan<Op>]) -> Vec<Points> {
    let mut points = vec![Points::new(); plans.len()];
    let ran = campaign.run(plans, Detail::default(), |index, verdict| {
        points[index] = verdict.expect("it has a verdict").points;
        ControlFlow::Continue(())
    });
    ran.expect("the workers work");
    points
}

fn in_this_process(plans: &[Plan<Op>], options: Options) -> Vec<Points> {
    let run = |plan: &Plan<Op>| {
        let system = BiStore::new(&plan.system).expect("the system has these options");
        let run = || world::run::<BiStore>(plan, options).expect("it can be run");
        let record = interpose::simulate(0, &|| STILL, run);
        judge(&system, &record, false).points
    };
    plans.iter().map(run).collect()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// How much of the isolated time the isolation is, in percent.
fn cost([isolated, _, bare]: [f64; 3]) -> f64 {
    100.0 * (isolated - bare) / isolated
}

fn print_line(scenario: &str, medians: [f64; 3]) {
    let [isolated, here, bare] = medians;
    println!("{scenario:<26}{isolated:>10.2}{here:>10.2}{bare:>10.2}{:>8.1} %", cost(medians));
}
