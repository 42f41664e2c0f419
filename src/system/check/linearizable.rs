//! Transactions and strong reads take effect one after another, each while it runs.

use std::collections::BTreeSet;

use graph::EntityId;

use super::CoordinatorRecord;
use crate::check::linearizability::{Linearizability, Model};
use crate::check::{Checker, Verdict};
use crate::history::{ClientId, EventKind, Millis};
use crate::system::dump;
use crate::system::model::Entities;
use crate::system::operation::{Op, Ret};

/// How many steps of the model a component may cost before the search gives up.
const BUDGET: u64 = 5_000_000;

/// Linearizability of what the clients saw, and of what the stores held in the end: that
/// counts as one more read of every entity, so that a lost update shows even if nobody
/// looked.
#[derive(Clone, Copy, Debug)]
pub struct Linearizable;

impl Checker<CoordinatorRecord> for Linearizable {
    fn name(&self) -> &'static str {
        "linearizability"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut history = record.history.clone();
        if record.settled.is_ok() {
            let operations = record.history.events().iter().filter_map(|event| match &event.kind {
                EventKind::Invoke(op) => Some(Entities.keys(op)),
                _ => None,
            });
            let named: BTreeSet<EntityId> = operations.flatten().collect();
            let mut last = dump::entities(&record.dumps);
            let (at, auditor) = (Millis(record.simulated_ms), ClientId(u64::MAX));
            for entity in named {
                let view = last.remove(&entity);
                let read = history.invoke(at, auditor, Op::Read { entity });
                history.ok(at, read, Ret::Entity(view)).expect("it was invoked just now");
            }
        }
        Linearizability { model: Entities, budget: BUDGET }.check(&history)
    }
}
