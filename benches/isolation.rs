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
//! All three do the same work, but for what depends on entropy: that their hosts pass the same number of points, within a
//! hundredth, is asserted. Printed are the medians of the rounds, in
//! milliseconds a run: by the wall's clock, and of CPU time in all processes together, which holds on a busy machine too.

mod measure;

use std::fs;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use interpose::Reading;
use measure::{Cost, medians, timed};
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
    let rounds = measure::rounds(ROUNDS);
    let mut campaign = Campaign::<BiStore>::start(Setup { jobs: NonZero::<usize>::MIN, ..Setup::new() })
        .expect("a worker can be started");
    let plans = plans();
    println!("{rounds} rounds of {} plans; {}", plans.len(), campaign.choice().sentence);

    let mut samples: [Vec<Cost>; 3] = Default::default();
    for round in 0..=rounds {
        let ways = [
            timed(|| in_children(&mut campaign, &plans)),
            timed(|| in_this_process(&plans, Options::default())),
            timed(|| in_this_process(&plans, Options { bare: true, ..Options::default() })),
        ];
        let [isolated, here, bare] = [0, 1, 2].map(|way: usize| sum(&ways[way].1));
        assert!(isolated.abs_diff(here).max(isolated.abs_diff(bare)) < isolated / 100, "{isolated}, {here}, {bare}");
        // The first round warms up.
        if round > 0 {
            for (samples, (cost, _)) in samples.iter_mut().zip(ways) {
                samples.push(cost);
            }
        }
    }

    println!("{:<10}{:>8}{:>8}", "", "wall", "cpu");
    let medians = samples.map(|samples| medians(&samples, plans.len() as f64));
    for (way, Cost { wall, cpu }) in ["isolated", "here", "bare"].into_iter().zip(medians) {
        println!("{way:<10}{wall:>8.2}{cpu:>8.2}");
    }
    let [isolated, _, bare] = medians;
    let share = |of: fn(Cost) -> f64| 100.0 * (of(isolated) - of(bare)) / of(isolated);
    let (wall, cpu) = (share(|cost| cost.wall), share(|cost| cost.cpu));
    println!("the isolation is {wall:.1} % of the time, {cpu:.1} % of the CPU time");
    if measure::is_smoke() || cpu < COST_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("it may be less than {COST_MAX} %");
    ExitCode::FAILURE
}

/// The plans of all scenarios.
fn plans() -> Vec<Plan<Op>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = fs::read_dir(folder).expect("there is a folder of scenarios");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    let scenarios = files.into_iter().map(|path| load::<BiStore>(&path).expect("it is a scenario"));
    let plans = scenarios.flat_map(|scenario| {
        let system = BiStore::new(&scenario.system).expect("the system has these options");
        let seeds = if measure::is_smoke() { 1 } else { SEEDS };
        (0..seeds).map(move |seed| expand(&scenario, &system, seed).expect("it can be expanded"))
    });
    plans.collect()
}

/// How many points were passed in all.
fn sum(points: &[Points]) -> u64 {
    points.iter().flat_map(|hosts| hosts.values()).flat_map(|kinds| kinds.values()).sum()
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
