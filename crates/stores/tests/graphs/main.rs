//! What the graphs of this crate promise, and what they deliberately do not.

mod anomalies;
mod embedded;
mod equivalence;
mod faults;
mod statements;
