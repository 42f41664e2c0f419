//! Named statements: Cypher for a real server, and what it means for every other graph.

use std::fmt;

use crate::{Datum, GraphFault, Params, PropertyGraph};

/// The rows a statement returned, each as long as its `columns`.
pub type Rows = Vec<Vec<Datum>>;

/// A statement with a name, in two forms that must never drift apart: the conformance
/// suite runs both against the same inputs.
pub struct Statement {
    /// Its name in logs, errors and reports.
    pub name: &'static str,
    /// The text that Bolt sends.
    pub cypher: &'static str,
    /// The names of the columns it returns.
    pub columns: &'static [&'static str],
    /// The same over a property graph.
    pub run: fn(&mut dyn PropertyGraph, &Params) -> Result<Rows, GraphFault>,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
