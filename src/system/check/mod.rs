//! The promises of the coordinator, one a file.

mod alerts;
mod atomicity;
mod audit;
mod durability;
#[cfg(test)]
pub mod fixture;
mod honesty;
mod identity;
mod linearizable;
mod liveness;
mod metrics;
mod process;
pub mod projection;
mod provenance;
mod repairs;
mod sequence;
mod tally;

pub use alerts::Alerts;
pub use atomicity::Atomicity;
pub use audit::Audit;
pub use durability::Durability;
pub use honesty::Honesty;
pub use identity::Identity;
pub use linearizable::Linearizable;
pub use liveness::Liveness;
pub use metrics::Metrics;
pub use provenance::Provenance;
pub use repairs::Repairs;
pub use sequence::Sequence;

use std::collections::BTreeMap;

use graph::{Operation, Patch, TxId};

use super::dump::Dump;
use super::key;
use super::operation::{Op, Ret};
use crate::check::{Checker, Verdict, Violation};
use crate::history::{EventKind, OpId};
use crate::record::Record;

/// What a check of the coordinator looks at.
pub type CoordinatorRecord = Record<Op, Ret>;

/// All of them, those that say most about the cause first: where one bug breaks several promises, a report begins with
/// the first of these.
pub fn all() -> Vec<Box<dyn Checker<CoordinatorRecord>>> {
    vec![
        Box::new(Identity),
        Box::new(Repairs),
        Box::new(Atomicity),
        Box::new(Sequence),
        Box::new(Audit),
        Box::new(Provenance),
        Box::new(Durability),
        Box::new(Linearizable),
        Box::new(Honesty),
        Box::new(Metrics),
        Box::new(Alerts),
        Box::new(Liveness),
    ]
}

/// Those that judge a run in which nobody sends a transaction.
pub fn without_transactions() -> Vec<Box<dyn Checker<CoordinatorRecord>>> {
    vec![Box::new(Liveness)]
}

/// The stores after the run, for a check of `property`, or its verdict if they cannot be read: whatever it promises,
/// nobody can see that it holds.
///
/// A coordinator that refuses to work says that its stores are not to be trusted. There is nothing to judge in them
/// then; whether it had a reason is for [`Liveness`] to say.
fn stores<'a>(property: &str, record: &'a CoordinatorRecord) -> Result<Dump<'a>, Verdict> {
    if !record.refusals.is_empty() {
        return Err(Verdict::default());
    }
    Dump::read(&record.dumps).map_err(|error| Verdict {
        violations: vec![
            Violation::new(property, "a store cannot be read")
                .expected("stores that hold what the coordinator writes")
                .actual(error.to_string()),
        ],
        checked: 0,
    })
}

/// Whether the plan made a store lose or change what it had acknowledged.
fn media_broke(record: &CoordinatorRecord) -> bool {
    record.plan.faults.iter().zip(&record.fired).any(|(planned, fired)| *fired && planned.fault.breaks_media())
}

/// What each transaction was to do, by the key that its client sent with it: under the ids that it made, where the log
/// has it.
fn submissions(record: &CoordinatorRecord, dump: &Dump<'_>) -> BTreeMap<String, Vec<Operation>> {
    let named: BTreeMap<&str, TxId> = dump.log.iter().map(|line| (line.key.as_str(), line.tx)).collect();
    let invoked = record.history.events().iter().filter_map(|event| match &event.kind {
        EventKind::Invoke(Op::Submit { operations, .. }) => {
            let key = key_of(event.op);
            let patch = Patch { operations: operations.clone() };
            let patch = named.get(key.as_str()).map_or(patch.clone(), |tx| patch.resolved(*tx));
            Some((key, patch.operations))
        }
        _ => None,
    });
    invoked.collect()
}

fn key_of(op: OpId) -> String {
    key(op.0)
}

#[cfg(test)]
mod tests {
    use super::fixture::{CASTS, Run, caught};
    use super::*;
    use crate::system::dump;

    #[test]
    fn a_run_in_which_nothing_happened_proves_nothing() {
        let record = Run::empty(CASTS[0]).record();
        for check in all() {
            assert!(check.check(&record).is_vacuous(), "{}", check.name());
        }
    }

    #[test]
    fn every_check_passes_a_sound_run_and_has_looked_at_something() {
        for cast in CASTS {
            for check in all() {
                let verdict = check.check(&Run::sound(cast).record());
                assert!(verdict.holds(), "{}: {verdict:?}", check.name());
            }
        }
    }

    #[test]
    fn a_store_that_cannot_be_read_fails_every_check_that_looks_at_stores() {
        let damages: [fn(&mut BTreeMap<String, String>); 3] = [
            |dumps| dumps.clear(),
            |dumps| drop(dumps.insert(dump::UNREADABLE.to_owned(), "database disk image is malformed\n".to_owned())),
            |dumps| drop(dumps.insert(dump::LOG.to_owned(), "tx-1-1 committed\n".to_owned())),
        ];
        for damage in damages {
            let others = ["liveness", "metrics", "alerts"];
            for check in all().iter().filter(|check| !others.contains(&check.name())) {
                caught(&**check, "a store cannot be read", |run| run.damage = Some(damage));
            }
        }
    }

    #[test]
    fn the_names_of_the_checks_differ() {
        let checks = all();
        let names: std::collections::BTreeSet<&str> = checks.iter().map(|check| check.name()).collect();
        assert_eq!(names.len(), checks.len());
    }
}
