//! The statements about uniqueness constraints.
//!
//! A label cannot be a parameter, so these texts are made where they are needed. Labels and
//! properties come from our own source, never from a user.

use crate::Uniqueness;

/// The value that probes use. One for all: a node that an interrupted probe left behind
/// makes the next one fail as it should.
pub const PROBE_VALUE: &str = "squall-uniqueness-probe";

/// Creates the constraint where it is missing. Neo4j from 4.4, ArcadeDB.
pub(super) fn create_constraint(uniqueness: &Uniqueness) -> String {
    let Uniqueness { label, property } = uniqueness;
    let name = format!("{label}_{property}_unique").to_lowercase();
    format!("CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{label}) REQUIRE n.{property} IS UNIQUE")
}

/// Violates the constraint, so must fail where it holds.
pub(super) fn violate(uniqueness: &Uniqueness) -> String {
    let Uniqueness { label, property } = uniqueness;
    format!("CREATE (:{label} {{{property}: $value}}), (:{label} {{{property}: $value}})")
}

/// Removes what [`violate`] left where no constraint held.
pub(super) fn clean_up(uniqueness: &Uniqueness) -> String {
    let Uniqueness { label, property } = uniqueness;
    format!("MATCH (n:{label} {{{property}: $value}}) DELETE n")
}
