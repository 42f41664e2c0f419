//! A scenario: one story, as a person writes it.
//!
//! It is a TOML file with a comment that tells the story, a step a line, and the names of what is expected. Every
//! refusal says where in the file and what to write instead: names are resolved against the system when the file is
//! read, so that a typing mistake is found there and not by a fault that silently never strikes.
//! [`expand`](super::expand) makes a plan of it; [`Scenario::to_toml`] prints it back.

mod check;
mod document;
mod error;
mod form;
mod nearest;
mod reader;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use error::{Location, ScenarioError};
pub(super) use form::{StepForm, default_clients};
pub use resolve::{may_have, resolve};

use super::{Ground, Network, Plan, PlannedFault, Profile, Topology, expand};
use crate::sut::System;
use document::Document;

/// How long the clients may take when a scenario does not say.
pub const LIMIT_MS: u64 = 30_000;

/// How long the system may take to settle when a scenario does not say.
pub const SETTLE_MS: u64 = 30_000;

/// How soon a supervisor starts a process again when a scenario does not say.
pub const SUPERVISOR_RESTART_MS: u64 = 200;

/// One story: what clients do, what breaks, and what must be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario<Op> {
    /// The file's name without its ending.
    pub name: String,
    /// The story in words, from the comment at the top of the file; lines without their `#`.
    pub about: String,
    /// The clients, at least one.
    pub clients: Vec<String>,
    /// How long the clients may take, in simulated time.
    pub limit_ms: u64,
    /// How long the system may take to settle once faults are healed.
    pub settle_ms: u64,
    /// How long after a process ended by itself its supervisor starts it again.
    pub supervisor_restart_ms: u64,
    /// The network's speed.
    pub network: Network,
    /// What happens, told explicitly; in the file's order, which need not be that of time.
    pub steps: Vec<Step<Op>>,
    /// Operations that the system draws.
    pub workload: Option<Workload>,
    /// Faults that the seed draws.
    pub profile: Profile,
    /// Options of the system; `Null` when there are none.
    pub system: serde_json::Value,
    /// What some seed must show.
    pub expect: Expect,
    /// Names of the checks that decide; empty means all the system has.
    pub checks: Vec<String>,
    /// The seeds whose results are kept as snapshots.
    pub seeds: Vec<u64>,
    /// Whether the story is small enough for each of its crash points to be tried.
    pub sweep: bool,
}

/// One step of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<Op> {
    /// A client does something.
    Operation {
        /// Which.
        client: String,
        /// Not before this simulated time, and not before the client's previous operation ended.
        at_ms: u64,
        /// What.
        op: Op,
    },
    /// Something breaks.
    Fault(PlannedFault),
}

/// Operations that the system draws for each client.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// How many for each client, at least one.
    pub operations: usize,
    /// The workload's own words.
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// What some seed of a scenario must show; without it a story can pass that never happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// Marks that must be reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// Kinds of faults that must take effect; `None` means all that the scenario has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<String>>,
}

impl Expect {
    /// Nothing at all: whatever is left of the story once what it found is mended, nobody misses anything.
    pub fn nothing() -> Expect {
        Expect { marks: Vec::new(), faults: Some(Vec::new()) }
    }
}

impl<Op> Scenario<Op> {
    /// The kinds of faults that some seed must show: those named, or all that the steps and the profile can make.
    pub fn expected_faults(&self, topology: &Topology) -> BTreeSet<String> {
        match &self.expect.faults {
            Some(named) => named.iter().cloned().collect(),
            None => self.possible_faults(topology).into_iter().map(str::to_owned).collect(),
        }
    }

    /// The kinds of faults that the steps and the profile can make.
    fn possible_faults(&self, topology: &Topology) -> BTreeSet<&'static str> {
        let ground = Ground { hosts: &topology.hosts, clients: &self.clients, active_ms: self.limit_ms };
        let explicit = self.steps.iter().filter_map(|step| match step {
            Step::Fault(planned) => Some(planned.fault.name()),
            Step::Operation { .. } => None,
        });
        explicit.chain(self.profile.kinds(&ground)).collect()
    }

    /// The scenario that spells a plan out, step by step: how a shrunk failure becomes a file.
    ///
    /// Expanded with the plan's seed it gives the plan's faults and, for each client, its operations in their order.
    /// An operation due before its predecessor is said to be due with it, which changes nothing that happens.
    pub fn from_plan(plan: &Plan<Op>) -> Scenario<Op>
    where
        Op: Clone,
    {
        let operations = plan.clients.iter().flat_map(|client| {
            client.steps.iter().scan(0, |due_ms, step| {
                *due_ms = step.at_ms.max(*due_ms);
                Some(Step::Operation { client: client.name.clone(), at_ms: *due_ms, op: step.op.clone() })
            })
        });
        Scenario {
            name: plan.scenario.clone(),
            about: String::new(),
            clients: plan.clients.iter().map(|client| client.name.clone()).collect(),
            limit_ms: plan.limit_ms,
            settle_ms: plan.settle_ms,
            supervisor_restart_ms: plan.supervisor_restart_ms,
            network: plan.network,
            steps: operations.chain(plan.faults.iter().cloned().map(Step::Fault)).collect(),
            workload: None,
            profile: Profile::Calm,
            system: plan.system.clone(),
            expect: Expect { marks: plan.marks.clone(), faults: None },
            checks: plan.checks.clone(),
            seeds: vec![plan.seed],
            sweep: false,
        }
    }
}

impl<Op: DeserializeOwned> Scenario<Op> {
    /// Reads the text of a scenario file, without a system that could say which names exist.
    ///
    /// `file` is the name that errors show; its stem is the scenario's name.
    pub fn parse(file: &str, text: &str) -> Result<Scenario<Op>, ScenarioError> {
        let document = Document::parse(file, text)?;
        read_shape(&document)
    }
}

/// Reads a scenario file and resolves every name in it against the system.
pub fn load<S: System>(path: &Path) -> Result<Scenario<S::Op>, ScenarioError> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        let remedy = "give the path of a scenario file, for example `scenarios/NAME.toml`";
        ScenarioError::whole(&file, format!("the file cannot be read: {error}"), remedy)
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ScenarioError::whole(&file, format!("byte {at} of the file is not UTF-8"), "store the file as UTF-8")
    })?;
    parse_for::<S>(&file, &text)
}

/// Reads the text of a scenario file and resolves every name in it against the system.
pub fn parse_for<S: System>(file: &str, text: &str) -> Result<Scenario<S::Op>, ScenarioError> {
    let document = Document::parse(file, text)?;
    let scenario: Scenario<S::Op> = read_shape(&document)?;
    let system = S::new(&scenario.system).map_err(|refusal| check::refused(&document, "system", &refusal))?;
    check::names(&scenario, &document, &Topology::of(&system))?;
    // Only an expansion shows whether the system understands the workload's options; the seed does not matter.
    expand(&scenario, &system, 0).map_err(|refusal| check::refused(&document, "workload", &refusal.to_string()))?;
    Ok(scenario)
}

fn read_shape<Op: DeserializeOwned>(document: &Document<'_>) -> Result<Scenario<Op>, ScenarioError> {
    let scenario = form::read(document)?;
    check::figures(&scenario, document)?;
    Ok(scenario)
}
