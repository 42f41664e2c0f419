//! What can be taken out of a plan.

use std::ops::Range;

use crate::plan::{Place, Plan, PlannedFault, Trigger};

/// A kind of part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A client with its operations, and the faults that concern it.
    Client,
    /// A fault.
    Fault,
    /// An operation; all clients' operations are counted through.
    Operation,
}

impl Part {
    pub const COARSE_TO_FINE: [Part; 3] = [Part::Client, Part::Fault, Part::Operation];

    /// How many a plan has.
    pub fn count<Op>(self, plan: &Plan<Op>) -> usize {
        match self {
            Part::Client => plan.clients.len(),
            Part::Fault => plan.faults.len(),
            Part::Operation => plan.clients.iter().map(|client| client.steps.len()).sum(),
        }
    }

    /// How much a plan that passes without one of them tells of the failure: most without a fault, less without an operation
    /// than with one at another time.
    pub fn is_telling(self) -> u8 {
        match self {
            Part::Client => 0,
            Part::Operation => 1,
            Part::Fault => 3,
        }
    }
}

/// A plan without some of its parts, by their places.
pub(super) fn without<Op: Clone>(plan: &Plan<Op>, part: Part, places: Range<usize>) -> Plan<Op> {
    let mut plan = plan.clone();
    match part {
        Part::Client => {
            let end = places.end.min(plan.clients.len());
            let gone: Vec<String> = plan.clients.drain(places.start..end).map(|client| client.name).collect();
            plan.faults.retain(|fault| !gone.iter().any(|client| concerns(fault, client)));
        }
        Part::Fault => {
            let end = places.end.min(plan.faults.len());
            plan.faults.drain(places.start..end);
        }
        Part::Operation => {
            let mut place = 0..;
            for client in &mut plan.clients {
                client.steps.retain(|_| !places.contains(&place.next().expect("it has no end")));
            }
        }
    }
    plan
}

/// Whether a fault strikes a host, or waits for it.
pub(super) fn concerns(PlannedFault { at, fault }: &PlannedFault, name: &str) -> bool {
    let waits = match at {
        Trigger::Ms(_) => false,
        Trigger::Point { host, .. } | Trigger::Ordinal { host, .. } => host == name,
    };
    waits
        || match fault.place() {
            Place::Host(host) | Place::Client(host) => host == name,
            Place::Link { from, to, .. } => from == name || to == name,
        }
}
