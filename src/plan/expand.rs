//! From a scenario and a seed to a plan.

use super::profile::Ground;
use super::scenario::{Scenario, Step};
use super::{Client, ClientStep, PLAN_FORMAT, Plan};
use crate::stream::Stream;
use crate::sut::System;

/// Why a scenario cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// The system refused the workload's options; it says which and what it takes.
    #[error("{0}")]
    Refused(String),
    /// A step, or the system's workload, is for somebody who is not among the scenario's clients.
    #[error("there are operations for `{0}`, which is not a client of the scenario")]
    Stranger(String),
}

/// How much simulated time one operation is taken to need, when guessing how long the clients are busy.
///
/// Only the window of drawn faults depends on it: too long wastes some on a system that has finished, too short leaves
/// its last operations in peace. A few round trips and an fsync fit, a time-out does not.
const OPERATION_MS: u64 = 100;

/// Expands a scenario by a seed.
///
/// The same scenario, system and seed always give the same plan. Each draw has a stream of its own, so that a change
/// of the workload leaves the drawn faults of every kind alone, save for the window of time they fall into.
pub fn expand<S: System>(scenario: &Scenario<S::Op>, system: &S, seed: u64) -> Result<Plan<S::Op>, ExpandError> {
    let clients = clients(scenario, system, seed)?;
    let explicit = scenario.steps.iter().filter_map(|step| match step {
        Step::Fault(planned) => Some(planned.clone()),
        Step::Operation { .. } => None,
    });
    let hosts = system.hosts();
    let ground =
        Ground { hosts: &hosts, clients: &scenario.clients, active_ms: active_ms(&clients, scenario.limit_ms) };
    let drawn = scenario.profile.draw(&ground, seed);
    Ok(Plan {
        format: PLAN_FORMAT,
        scenario: scenario.name.clone(),
        seed,
        network: scenario.network,
        limit_ms: scenario.limit_ms,
        settle_ms: scenario.settle_ms,
        supervisor_restart_ms: scenario.supervisor_restart_ms,
        system: scenario.system.clone(),
        clients,
        faults: explicit.chain(drawn).collect(),
        checks: scenario.checks.clone(),
        marks: scenario.expect.marks.clone(),
        reseed: None,
    })
}

/// What each client does: its explicit steps and its share of the workload, by time; explicit ones first among equals.
fn clients<S: System>(scenario: &Scenario<S::Op>, system: &S, seed: u64) -> Result<Vec<Client<S::Op>>, ExpandError> {
    let mut clients: Vec<Client<S::Op>> =
        scenario.clients.iter().map(|name| Client { name: name.clone(), steps: Vec::new() }).collect();
    let explicit = scenario.steps.iter().filter_map(|step| match step {
        Step::Operation { client, at_ms, op } => Some((client, ClientStep { at_ms: *at_ms, op: op.clone() })),
        Step::Fault(_) => None,
    });
    for (name, step) in explicit {
        add(&mut clients, name, [step])?;
    }
    if let Some(workload) = &scenario.workload {
        let options = serde_json::Value::Object(workload.options.clone());
        let mut random = Stream::new(seed, "workload");
        let drawn = system.workload(&options, &scenario.clients, workload.operations, &mut random);
        for client in drawn.map_err(ExpandError::Refused)? {
            add(&mut clients, &client.name, client.steps)?;
        }
    }
    for client in &mut clients {
        client.steps.sort_by_key(|step| step.at_ms);
    }
    Ok(clients)
}

fn add<Op>(
    clients: &mut [Client<Op>],
    name: &str,
    steps: impl IntoIterator<Item = ClientStep<Op>>,
) -> Result<(), ExpandError> {
    let client = clients.iter_mut().find(|client| client.name == name);
    client.ok_or_else(|| ExpandError::Stranger(name.to_owned()))?.steps.extend(steps);
    Ok(())
}

/// For how long the clients are likely to be busy: when drawn faults are worth their while.
fn active_ms<Op>(clients: &[Client<Op>], limit_ms: u64) -> u64 {
    let busy = clients.iter().map(|client| {
        let last_ms = client.steps.last().map_or(0, |step| step.at_ms);
        last_ms + OPERATION_MS * client.steps.len() as u64
    });
    busy.max().unwrap_or(0).clamp(1, limit_ms)
}

#[cfg(test)]
mod tests;
