//! The projection's place in the simulation: its hosts, what clients ask of it, and who watches it.

mod bus;
pub mod client;
pub mod event;
pub mod harm;
pub mod hosts;
pub mod log;
pub mod operation;
pub mod picture;
pub mod watch;
pub mod workload;

use crate::history::OpId;

pub use bus::Delivery;

/// The hosts of the projectors; a scenario says how many of them there are.
pub const PROJECTORS: [&str; 2] = ["projector", "projector2"];

/// Where a projector listens.
const PROJECTOR_PORT: u16 = 7410;

/// The id of the `nth` event that an operation writes, from 0: the same, however often it is sent.
pub fn event_id(operation: OpId, nth: usize) -> String {
    format!("op-{}-{nth}", operation.0)
}
