//! Atomic transactions over a graph database and SQLite.
//!
//! | module | what it is |
//! |---|---|
//! | [`commit`] | the protocol, as a sans-IO core |
//! | [`events`] | streams of events: appending, reading, waiting for more |
//! | [`ledger`] | what it writes to SQLite |
//! | [`statements`] | what it says to the graph |
//! | [`retention`] | how long the log keeps what is settled, as a sans-IO core |
//! | [`backup`] | both stores in one folder, as of one moment, and back |
//! | [`collection`] | when markers may leave the graph, as a sans-IO core |
//! | [`damage`] | damaged records of the log, each set apart |
//! | [`neighbourhood`] | what is around an entity, in the graph |
//! | [`operations`] | metrics and alerts: what the protocol decided, counted |
//! | [`reconcile`] | whether both stores have the same, and what to do where they do not |
//! | `executor` | carries out the commit core's effects on both stores |
//! | `start` | what has to be true before the protocol begins |
//! | [`service`] | a running coordinator, behind one handle |

mod access;
pub mod backup;
pub mod client;
pub mod collection;
pub mod commit;
pub mod damage;
pub mod events;
mod executor;
pub mod http;
pub mod ledger;
pub mod neighbourhood;
pub mod operations;
pub mod problem;
pub mod reconcile;
pub mod retention;
pub mod service;
mod start;
pub mod statements;
pub mod view;

pub use start::{Contradiction, Finding, LEDGER_FILE};
