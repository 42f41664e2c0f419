//! The world: one plan, run.
//!
//! [`run`] takes a [`Plan`](crate::plan::Plan) and a [`System`](crate::sut::System) and returns the
//! [`Record`](crate::record::Record) of what happened. Everything runs on the calling thread, in simulated time.
//!
//! | part | what it is |
//! |---|---|
//! | `run` | the phases of a run: work, heal, settle, dump |
//! | `engine` | the only code that names turmoil: hosts, steps, sockets, messages in flight |
//! | `state` | what the parts share behind one lock: which hosts live, and what happens when a point is reached |
//! | `network` | the link table: which message is in flight, when it is due, what becomes of it |
//! | `faults` | the planned faults: waiting, active, over; and whether each took effect |
//! | `damage` | what a machine finds changed on its medium when it comes back |
//! | `host` | what simulated software sees: [`Host`], [`ClientHost`] |
//! | `recorder` | trace, counters, digests, chain |
//! | `surroundings` | what of the real world can be noticed from within a run |
//! | `panics`, `log` | where panics and log lines of simulated software go |
//!
//! # Steps
//!
//! Time advances in steps of the plan's `tick_ms`. Between two steps messages are collected and delivered, faults
//! strike, the dead are buried and restarted; within a step each host runs in turn. A fault whose trigger lies *within*
//! a step strikes there: the host's disk dies at once and its [`Host`] stops answering (no byte leaves or reaches a
//! socket, no point is passed), and at the end of the step its tasks are dropped. What a task does between its host's
//! death and its next `await`, nobody sees.

mod client;
mod damage;
mod disks;
mod engine;
mod faults;
mod host;
mod log;
mod network;
mod panics;
mod recorder;
mod run;
mod state;
mod surroundings;

#[cfg(test)]
mod tests;

pub use client::ClientHost;
pub use disks::Disks;
pub use engine::{TcpListener, TcpStream};
pub use host::Host;
pub use log::Log;
pub use run::{Options, RunError, run};

/// The name of the host on which [`System::settle`](crate::sut::System::settle) runs.
pub const SETTLER: &str = "settler";

/// Who did what no host did.
const WORLD: &str = "world";

/// 2026-01-01T00:00:00Z: when every run begins, in milliseconds since the Unix epoch.
pub const EPOCH_MS: u64 = 1_767_225_600_000;
