//! Strict serializability as a [`Checker`].

use std::fmt::Debug;

use crate::check::{Checker, Verdict, Violation};

use super::{Anomaly, Transaction, Version, check};

/// Checks transactions for strict serializability. Counts transactions.
#[derive(Clone, Copy, Debug)]
pub struct StrictSerializability;

impl<Key: Clone + Ord + Debug> Checker<[Transaction<Key>]> for StrictSerializability {
    fn name(&self) -> &'static str {
        "strict-serializability"
    }

    fn check(&self, transactions: &[Transaction<Key>]) -> Verdict {
        let name = Checker::<[Transaction<Key>]>::name(self);
        let violations = check(transactions).iter().map(|anomaly| violation(name, anomaly)).collect();
        Verdict { violations, checked: transactions.len() as u64 }
    }
}

fn violation<Key: Debug>(name: &str, anomaly: &Anomaly<Key>) -> Violation {
    match anomaly {
        Anomaly::DuplicateVersion { key, version: Version::INITIAL, writers } => {
            Violation::new(name, "initial version")
                .expected(format!("version 0 of {key:?} only before anybody wrote it"))
                .actual(format!("installed by {}", list(writers)))
        }
        Anomaly::DuplicateVersion { key, version, writers } => Violation::new(name, "duplicate version")
            .expected(format!("one transaction that installed version {} of {key:?}", version.0))
            .actual(list(writers)),
        Anomaly::PhantomVersion { key, version, reader } => Violation::new(name, "phantom version")
            .expected(format!("{reader} to read a version of {key:?} that a committed transaction installed"))
            .actual(format!("it read version {}, which none did", version.0)),
        Anomaly::Cycle { class, edges } => Violation::new(name, class.to_string())
            .expected("an order of the transactions that explains every version and keeps to real time")
            .actual(format!("{class}: a cycle of {} transactions, each of which comes before the next", edges.len()))
            .details(edges.iter().map(ToString::to_string)),
    }
}

fn list(ids: &[impl ToString]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}
