//! The one seam between the production crates and the outside.
//!
//! Everything that a simulation has to own goes through [`Env`]: connections, tasks,
//! blocking work, the UTC clock, entropy, the SQLite file system, and the claim on a data folder. Timers are not here:
//! `tokio::time` is used directly, because both kinds of world run on tokio. A [`Layer`] is an environment that changes little of
//! another one.
//!
//! [`drive`] is the generic loop that runs any [`Core`] through an `Env`. A protocol is a
//! core and an [`Executor`]; there is no other asynchronous code in it. [`drive_watched`] is the same, with a [`Watch`] that
//! is told all that the core is told and answers; [`Waiting`] has the clients that an answer is for.

mod claim;
mod core;
mod driver;
mod environment;
mod layer;
mod production;
mod waiting;
mod watch;

pub use crate::claim::{Claim, ClaimError, Holder};
pub use crate::core::{Core, Effect, Step};
pub use crate::driver::{Executor, Handle, drive};
pub use crate::environment::{BoxFuture, Connection, Env, Environment, Listener, Observation, Point, Stream, When};
pub use crate::layer::Layer;
pub use crate::production::Production;
pub use crate::waiting::{Place, Waiting};
pub use crate::watch::{Watch, Watched, drive_watched};
