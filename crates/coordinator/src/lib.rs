//! Atomic transactions over a graph database and SQLite.
//!
//! | module | what it is |
//! |---|---|
//! | [`commit`] | the protocol, as a sans-IO core |
//! | [`ledger`] | what it writes to SQLite |
//! | [`statements`] | what it says to the graph |
//! | `executor` | carries out the core's effects on both |
//! | [`service`] | a running coordinator, behind one handle |

pub mod client;
pub mod commit;
pub mod data_dir;
mod executor;
pub mod http;
pub mod ledger;
pub mod problem;
pub mod service;
pub mod statements;
pub mod view;

pub use executor::LEDGER_FILE;
