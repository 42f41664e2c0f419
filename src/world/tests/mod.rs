//! The world, tested on a system that has nothing to do with anything.

mod clocks;
mod determinism;
mod links;
mod media;
mod processes;
mod runs;
mod toy;

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Options, run};
use crate::history::{EventKind, OpId};
use crate::plan::{Client, ClientStep, Fault, Network, PLAN_FORMAT, Plan, PlannedFault, PointKind, Trigger};
use crate::record::{self, What};
use toy::{Op, Ret, Toy};

type Record = record::Record<Op, Ret>;

/// A plan without faults in which each client does its operations at the given times. Clients are c0, c1 …
fn plan(clients: &[&[(u64, Op)]]) -> Plan<Op> {
    let client = |(index, steps): (usize, &&[(u64, Op)])| Client {
        name: format!("c{index}"),
        steps: steps.iter().map(|(at_ms, op)| ClientStep { at_ms: *at_ms, op: op.clone() }).collect(),
    };
    Plan {
        format: PLAN_FORMAT,
        scenario: "test".to_owned(),
        seed: 1,
        network: Network::default(),
        limit_ms: 5_000,
        settle_ms: 1_000,
        supervisor_restart_ms: 100,
        system: Value::Null,
        clients: clients.iter().enumerate().map(client).collect(),
        faults: Vec::new(),
        checks: Vec::new(),
        marks: Vec::new(),
        reseed: None,
    }
}

/// One client that appends the numbers from 1, one every 20 ms.
fn appends(count: u64) -> Plan<Op> {
    let steps: Vec<_> = (1..=count).map(|number| (number * 20, Op::Append(number))).collect();
    plan(&[&steps])
}

fn at_ms(ms: u64, fault: Fault) -> PlannedFault {
    PlannedFault { at: Trigger::Ms(ms), fault }
}

fn at_point(point: &str, nth: u64, fault: Fault) -> PlannedFault {
    PlannedFault { at: Trigger::Point { host: "server".to_owned(), point: point.to_owned(), nth }, fault }
}

fn at_ordinal(kind: PointKind, nth: u64, fault: Fault) -> PlannedFault {
    PlannedFault { at: Trigger::Ordinal { host: "server".to_owned(), kind, nth }, fault }
}

fn kill(restart_after_ms: u64) -> Fault {
    Fault::Kill { host: "server".to_owned(), restart_after_ms }
}

fn power_cut(restart_after_ms: u64) -> Fault {
    Fault::PowerCut { host: "server".to_owned(), restart_after_ms }
}

/// Runs a plan with everything in the trace, as a process would that runs nothing else: on a fresh thread, and alone,
/// because SQLite's generator is one for the process.
fn ran(plan: &Plan<Op>) -> Record {
    ran_with(plan, Options { detail: true, ..Options::default() })
}

#[expect(clippy::disallowed_methods, reason = "a run wants a fresh thread")]
fn ran_with(plan: &Plan<Op>, options: Options) -> Record {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = plan.clone();
    std::thread::spawn(move || run::<Toy>(&plan, options)).join().expect("a run does not panic").expect("a good plan")
}

/// What the clients learnt of each operation, by invocation: `ok`, `fail`, `info` or `open`.
fn outcomes(record: &Record) -> Vec<&'static str> {
    let outcome = |id: OpId| {
        let last = record.history.events().iter().rfind(|event| event.op == id);
        last.map_or("open", |event| match event.kind {
            EventKind::Invoke(_) => "open",
            EventKind::Ok(_) => "ok",
            EventKind::Fail(_) => "fail",
            EventKind::Info(_) => "info",
        })
    };
    record.history.operations().iter().map(|operation| outcome(operation.id)).collect()
}

/// How long each completed operation took, by invocation.
fn durations_ms(record: &Record) -> Vec<u64> {
    let operations = record.history.operations();
    operations.iter().filter_map(|op| Some(op.completed?.at.0 - op.invoked.at.0)).collect()
}

/// The numbers that were appended with success.
fn acknowledged(record: &Record) -> Vec<u64> {
    let done = record.history.operations().into_iter().zip(outcomes(record)).filter(|(_, outcome)| *outcome == "ok");
    done.filter_map(|(operation, _)| if let Op::Append(number) = operation.op { Some(*number) } else { None }).collect()
}

/// The numbers that the server kept.
fn kept(record: &Record) -> Vec<u64> {
    serde_json::from_str(&record.dumps["list"]).expect("the list is intact")
}

/// Which acknowledged numbers are gone.
fn lost(record: &Record) -> Vec<u64> {
    let kept = kept(record);
    acknowledged(record).into_iter().filter(|number| !kept.contains(number)).collect()
}

/// When a line of the trace that begins with `text` was written.
fn when(record: &Record, what: What, text: &str) -> Vec<u64> {
    record.trace.iter().filter(|e| e.what == what && e.text.starts_with(text)).map(|e| e.at_ms).collect()
}

/// How many faults of a kind took effect.
fn fired(record: &Record, kind: &str) -> u64 {
    record.faults.get(kind).copied().unwrap_or(0)
}

fn options(value: Value) -> impl FnOnce(Plan<Op>) -> Plan<Op> {
    move |plan| Plan { system: value, ..plan }
}

/// Clients that wait longer than any fault here lasts.
fn patient(plan: Plan<Op>) -> Plan<Op> {
    options(json!({ "timeout_ms": 3_000 }))(plan)
}

fn with_faults(plan: Plan<Op>, faults: Vec<PlannedFault>) -> Plan<Op> {
    Plan { faults, ..plan }
}
