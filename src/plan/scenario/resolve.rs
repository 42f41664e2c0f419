//! The rules of scenarios, for plans: somebody may have edited one by hand, and what varies plans must not break them.

use super::check::{self, Spot};
use super::error::ScenarioError;
use crate::plan::{Plan, PlannedFault, Topology, Trigger};
use crate::sut::System;

/// A place in a plan, by the names that lead there.
#[derive(Clone, Debug)]
struct Path<'f> {
    file: &'f str,
    path: String,
}

impl Spot for Path<'_> {
    fn key(&self, key: &str) -> Self {
        Path { path: format!("{}.{key}", self.path), ..*self }
    }

    fn item(&self, index: usize) -> Self {
        Path { path: format!("{}[{index}]", self.path), ..*self }
    }

    fn error(&self, message: impl Into<String>, remedy: impl Into<String>) -> ScenarioError {
        ScenarioError::whole(&format!("{}: {}", self.file, self.path), message, remedy)
    }
}

/// Checks that everything exists that a plan names, and that its network can be built: a fault of a host that is not
/// there strikes nobody, and a check that is not there finds nothing.
///
/// What only a person would not write, such as a step after the end, is left as it is: plans are varied and made small.
///
/// # Errors
///
/// What is wrong first, where in `file`, and what to write instead.
pub fn resolve<S: System>(file: &str, plan: &Plan<S::Op>) -> Result<(), ScenarioError> {
    let root = Path { file, path: "plan".to_owned() };
    let system = S::new(&plan.system).map_err(|refusal| root.key("system").error(refusal, "correct the option"))?;
    let topology = Topology::of(&system);
    check::network(plan.network, &root.key("network"))?;
    for (index, name) in plan.checks.iter().enumerate() {
        let checks = topology.checks.iter().map(String::as_str);
        check::known(name, checks, "checks", &root.key("checks").item(index))?;
    }
    let clients: Vec<String> = plan.clients.iter().map(|client| client.name.clone()).collect();
    for (index, planned) in plan.faults.iter().enumerate() {
        let place = root.key("faults").item(index);
        let at = place.key("at").key(match &planned.at {
            Trigger::Ms(_) => "ms",
            Trigger::Point { .. } => "point",
            Trigger::Ordinal { .. } => "ordinal",
        });
        if let Trigger::Point { nth, .. } | Trigger::Ordinal { nth, .. } = &planned.at {
            check::counted_from_1(*nth, &at.key("nth"))?;
        }
        check::struck(planned, &clients, &topology, &at, &place.key("fault").key(check::spelled(&planned.fault)))?;
    }
    Ok(())
}

/// Whether a scenario with these clients may have this fault.
pub fn may_have<Op>(plan: &Plan<Op>, planned: &PlannedFault, topology: &Topology) -> bool {
    let clients: Vec<String> = plan.clients.iter().map(|client| client.name.clone()).collect();
    let nowhere = Path { file: "", path: String::new() };
    check::fault(planned, plan.limit_ms, &nowhere).is_ok()
        && check::struck(planned, &clients, topology, &nowhere, &nowhere).is_ok()
}
