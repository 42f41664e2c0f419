//! The two kinds of store behind the production crates.
//!
//! [`sqlite`] opens SQLite so that a committed transaction survives a power cut, and
//! refuses to when it cannot; [`batch`] lets many transactions share one fsync.
//!
//! [`GraphStore`] is a graph database reduced to what the protocols need: all-or-nothing
//! batches of named statements. [`bolt`] speaks to a server, [`embedded`] keeps the graph in
//! an SQLite file, [`memory`] in memory and no more isolated than servers are.

pub mod batch;
pub mod bolt;
pub mod embedded;
pub mod memory;
pub mod sqlite;

mod datum;
mod dump;
mod equality;
mod graph_store;
mod property_graph;
mod statement;

pub use datum::{Datum, Params};
pub use graph_store::{Call, Expect, GraphError, GraphStore, Uniqueness, run_calls};
pub use property_graph::{Direction, EdgeHandle, GraphFault, NodeHandle, PropertyGraph, TextRange};
pub use statement::{Rows, Statement};
