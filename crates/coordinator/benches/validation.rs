//! How long a comparison of both stores takes, and how much memory.
//!
//!     cargo bench --bench validation -- [ENTITIES]
//!
//! A data folder on a real disk is filled through the service to a tenth of so many entities and then to all of them, each
//! with a link to another one. After each, a fresh process starts a coordinator on it and has it validate. Printed
//! are the time of the start, which reads the whole log, that of the validation, and the most memory that the process
//! held while it validated. Exit code 1 says that ten times the entities took more than a quarter more memory.

mod support;
#[path = "support/transactions.rs"]
mod transactions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use coordinator::commit::{Answer, Decision, Settled};
use futures_util::future::join_all;
use graph::{EntityId, Kind, OPERATIONS_MAX, Operation, Patch, Properties};
use support::{figure, folder, is_smoke, open_graph, production, runtime, start};
use tokio::time::Instant;
use transactions::{create, key};

const ENTITIES: usize = 1_000_000;

/// How many entities a transaction creates, with a link from each to the next: as many operations as it may have.
const RING: usize = OPERATIONS_MAX / 2;

/// How many transactions are under way at once while the folder is filled.
const WRITERS: usize = 32;

/// How much more memory ten times the entities may take.
const GROWTH_MAX: f64 = 1.25;

/// The first argument of a process that is to validate.
const VALIDATE: &str = "__validate";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == VALIDATE) {
        validate(&PathBuf::from(arguments.next().expect("a folder")));
        return ExitCode::SUCCESS;
    }
    let entities = figure(ENTITIES, 10_000);
    let data = folder();
    println!("{:>10}{:>12}{:>14}{:>16}{:>10}", "entities", "started s", "validated s", "entities/s", "MiB");
    let mut filled = 0;
    let peaks = [entities / 10, entities].map(|wanted| {
        filled = fill(data.path(), filled, wanted);
        in_a_process(data.path(), filled)
    });
    let growth = peaks[1] / peaks[0];
    if is_smoke() || growth < GROWTH_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("the memory may not grow with the entities; it did by {growth:.2} times");
    ExitCode::FAILURE
}

/// Fills the folder up to so many entities; returns how many there are.
fn fill(data: &Path, from: usize, to: usize) -> usize {
    let env = production();
    runtime().block_on(async {
        let graph = open_graph(&env, data).await;
        let coordinator = start(env.clone(), data, graph).await.expect("it starts");
        let commit = async |first: usize| match coordinator.submit(key(first), ring(first)).await {
            Ok(Answer::Settled(Settled { decision: Decision::Committed, .. })) => {}
            answer => panic!("transaction {first} was answered {answer:?}"),
        };
        let firsts: Vec<usize> = (from..to).step_by(RING).collect();
        for firsts in firsts.chunks(WRITERS) {
            join_all(firsts.iter().map(|first| commit(*first))).await;
        }
    });
    to
}

/// Creates so many entities, each linked to the next one and the last one to the first.
fn ring(first: usize) -> Patch {
    let mut operations: Vec<Operation> = (first..first + RING).flat_map(|n| create(n).operations).collect();
    let ids: Vec<EntityId> = operations.iter().flat_map(|operation| operation.keys().cloned()).collect();
    let kind = Kind::new("knows").expect("it is a kind");
    for (from, to) in ids.iter().zip(ids.iter().cycle().skip(1)) {
        let (from, to, kind) = (from.clone(), to.clone(), kind.clone());
        operations.push(Operation::Link { from, kind, to, properties: Properties::new() });
    }
    Patch { operations }
}

/// Has a fresh process validate, prints what it says, and returns the most memory that it held, in MiB.
fn in_a_process(data: &Path, entities: usize) -> f64 {
    let program = std::env::current_exe().expect("it runs");
    let output = Command::new(program).arg(VALIDATE).arg(data).output().expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("numbers");
    let figures: Vec<f64> = text.split_whitespace().map(|figure| figure.parse().expect("a number")).collect();
    let [compared, started, validated, peak] = figures[..] else { panic!("{text:?} is not what was agreed on") };
    assert_eq!(compared as usize, entities, "all of them were compared");
    println!("{entities:>10}{started:>12.2}{validated:>14.2}{:>16.0}{peak:>10.1}", compared / validated);
    peak
}

/// Starts a coordinator and validates; prints the entities, the seconds of both, and the peak in MiB.
fn validate(data: &Path) {
    let env = production();
    runtime().block_on(async {
        let began = Instant::now();
        let graph = open_graph(&env, data).await;
        let coordinator = start(env, data, graph).await.expect("it starts");
        let started = began.elapsed().as_secs_f64();
        // The peak of the start is not what is asked for: proc_pid_clear_refs(5).
        fs::write("/proc/self/clear_refs", "5").expect("the kernel lets a peak be forgotten");
        let began = Instant::now();
        let summary = coordinator.validate().await;
        let validated = began.elapsed().as_secs_f64();
        assert!(summary.is_clean(), "{summary:?}");
        assert_eq!(summary.links, summary.entities, "a link each");
        println!("{} {started} {validated} {}", summary.entities, peak_mib());
    });
}

/// The most memory that this process has held.
fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is there");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1_024.0
}
