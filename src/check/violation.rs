//! A broken promise, told so that a reader can act on it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Fingerprint;
use crate::history::OpId;

/// One place where a run broke a property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The property, as [`Checker::name`](super::Checker::name) gives it.
    pub property: String,
    /// The kind of failure within the property, free of ids, times and values: with the property it makes the
    /// [`fingerprint`](Self::fingerprint). [`normalise`](super::normalise) makes one from a message.
    pub key: String,
    /// Where in the record it shows: the index of an event or a step, in the checker's own unit.
    pub step: Option<u64>,
    /// When it shows, in simulated milliseconds, where the check knows.
    #[serde(default)]
    pub at_ms: Option<u64>,
    /// What should have been seen.
    pub expected: String,
    /// What was seen.
    pub actual: String,
    /// Evidence, a line each.
    pub details: Vec<String>,
    /// The operations of clients that show it, where any do.
    #[serde(default)]
    pub operations: Vec<OpId>,
    /// Of a history that has no legal order: the longest order that explains what was answered in it.
    #[serde(default)]
    pub order: Vec<OpId>,
}

impl Violation {
    /// A violation of `property` of the kind `key`; the rest is added with the methods below.
    pub fn new(property: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            property: property.into(),
            key: key.into(),
            step: None,
            at_ms: None,
            expected: String::new(),
            actual: String::new(),
            details: Vec::new(),
            operations: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Says where it shows.
    #[must_use]
    pub fn at_step(mut self, step: u64) -> Self {
        self.step = Some(step);
        self
    }

    /// Says when it shows, in simulated milliseconds.
    #[must_use]
    pub fn at_ms(mut self, at_ms: u64) -> Self {
        self.at_ms = Some(at_ms);
        self
    }

    /// Says what should have been seen.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// Says what was seen.
    #[must_use]
    pub fn actual(mut self, actual: impl Into<String>) -> Self {
        self.actual = actual.into();
        self
    }

    /// Adds lines of evidence.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }

    /// Names operations of clients that show it.
    #[must_use]
    pub fn about(mut self, operations: impl IntoIterator<Item = OpId>) -> Self {
        self.operations.extend(operations);
        self
    }

    /// Names the longest order that explains what was answered in it.
    #[must_use]
    pub fn explained(mut self, order: impl IntoIterator<Item = OpId>) -> Self {
        self.order.extend(order);
        self
    }

    /// Identifies this kind of failure: depends on `property` and `key` alone.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.property, &self.key)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} violated", self.property)?;
        if let Some(step) = self.step {
            write!(f, " at step {step}")?;
        }
        writeln!(f, " [{}]\n  expected: {}\n  actual:   {}", self.fingerprint(), self.expected, self.actual)?;
        self.details.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphan(tx: u64) -> Violation {
        Violation::new("atomicity", "only in the graph")
            .at_step(tx * 3)
            .expected(format!("tx {tx} in both stores"))
            .actual(format!("tx {tx} only in the graph"))
            .details([format!("graph has node {tx}")])
    }

    #[test]
    fn the_fingerprint_ignores_ids_times_and_values() {
        assert_eq!(orphan(1).fingerprint(), orphan(99).fingerprint());
        assert_ne!(orphan(1).fingerprint(), Violation::new("atomicity", "only in the log").fingerprint());
        assert_ne!(orphan(1).fingerprint(), Violation::new("durability", "only in the graph").fingerprint());
    }

    #[test]
    fn it_prints_as_a_block() {
        let violation = orphan(4);
        let fingerprint = violation.fingerprint();
        assert_eq!(
            violation.to_string(),
            format!(
                "atomicity violated at step 12 [{fingerprint}]\n  expected: tx 4 in both stores\n  \
                 actual:   tx 4 only in the graph\n  graph has node 4\n"
            )
        );
    }
}
