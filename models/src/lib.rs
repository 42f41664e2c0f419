//! Exhaustive models of the protocols, over the cores that production runs.
//!
//! [`registry`] lists them, [`check`] searches one to its end, [`explore`] serves one to a
//! browser. A model passes when every `always` property holds in every state, every
//! `sometimes` property in some, every kind of action is taken, and the number of states is the
//! one that is written down: a model that suddenly is smaller proves less, and one that is larger
//! is not understood.

pub mod append;
pub mod commit;
mod counterexample;
pub mod host;
pub mod identity;
pub mod projection;
pub mod reconcile;
mod registry;
mod search;
mod taken;

pub use counterexample::{Counterexample, Step, replay, shortest};
pub use registry::{Checked, Entry, ExploreError, Size, Space, UnknownModel, check, explore, registry};
pub use search::{Finding, Progress, Report, search};
pub use taken::{Counting, Taken};
