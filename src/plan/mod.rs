//! The plan: a scenario fully expanded by its seed.
//!
//! Every client operation and every fault with its trigger stands in it. It can be
//! stored, edited and replayed; the only randomness left are the labelled streams that
//! the world derives from the seed (network latency, disk sectors).

mod canonical;
mod expand;
#[cfg(test)]
pub(crate) mod fake;
mod fault;
mod profile;
mod scenario;
mod topology;

use serde::{Deserialize, Serialize};

pub use canonical::PrintError;
pub use expand::{ExpandError, expand};
pub use fault::{CutKind, Direction, DiskKind, Fault, Place, PlannedFault, PointKind, Trigger};
pub use profile::{FAULT_KINDS, Ground, Profile};
pub use scenario::{
    Expect, LIMIT_MS, Location, SETTLE_MS, SUPERVISOR_RESTART_MS, Scenario, ScenarioError, Step, Workload, load,
    may_have, parse_for, resolve,
};
pub use topology::Topology;

/// The version of the plan's form; a plan of another version is refused.
pub const PLAN_FORMAT: u32 = 1;

/// Everything a world needs to run, generic over the system's operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan<Op> {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// The scenario it was expanded from.
    pub scenario: String,
    /// The seed it was expanded with; also the root of the labelled streams.
    pub seed: u64,
    /// The network's speed.
    pub network: Network,
    /// How long the clients may take, in simulated time, before the run is ended as stuck.
    pub limit_ms: u64,
    /// After clients are done and faults are healed: how long the system may take to settle.
    pub settle_ms: u64,
    /// How long after a process ended by itself its supervisor starts it again.
    pub supervisor_restart_ms: u64,
    /// Options of the system, in the system's own words.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub system: serde_json::Value,
    /// What each client does, in order.
    pub clients: Vec<Client<Op>>,
    /// The faults and when each strikes.
    pub faults: Vec<PlannedFault>,
    /// Names of the checks that decide about the run; empty means all the system has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// Marks that some seed of the scenario must reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
    /// From when on chance is another: to see how much of a failure is left to it. No scenario says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseed: Option<Reseed>,
}

/// Another chance for the rest of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reseed {
    /// From this simulated time on, it included: every labelled stream is another seed's, and each fault that has not
    /// struck does so with even odds.
    pub at_ms: u64,
    /// The seed.
    pub seed: u64,
}

/// How quickly messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// One step of simulated time. Finer is truer, coarser is faster.
    pub tick_ms: u64,
    /// The shortest time a message takes.
    pub latency_ms_min: u64,
    /// The longest time a message takes on a healthy link.
    pub latency_ms_max: u64,
}

impl Default for Network {
    fn default() -> Network {
        Network { tick_ms: 1, latency_ms_min: 1, latency_ms_max: 5 }
    }
}

/// One client: a sequential process that invokes operations one after another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client<Op> {
    /// Its name, which is also its host's name.
    pub name: String,
    /// Its operations, in order.
    pub steps: Vec<ClientStep<Op>>,
}

/// One operation of a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientStep<Op> {
    /// Not before this simulated time, and not before the previous operation ended.
    pub at_ms: u64,
    /// What to invoke.
    pub op: Op,
}
