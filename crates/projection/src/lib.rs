//! The projection: a graph that says what the events say, whatever the order in which they
//! come, however often, and whatever crashes in between.
//!
//! | module | what it is |
//! |---|---|
//! | [`event`] | what happened, in the order of each resource's sequence |
//! | [`fold`] | what a resource is after an event, and what that changes in the graph |
//! | [`lanes`] | how events come into the graph: the protocol, as a sans-IO core |
//! | [`statements`] | what is said to the graph, and [`reading`] what it answers |
//! | [`dump`] | all that the projection has in a graph |
//! | [`log`] | what is asked of the log |
//! | [`executor`] | carries out the lanes' effects on both |
//! | [`stubs`] | what is linked to and was never created, and why |

pub mod dump;
pub mod event;
pub mod executor;
pub mod fold;
pub mod lanes;
pub mod log;
pub mod reading;
pub mod statements;
pub mod stubs;
