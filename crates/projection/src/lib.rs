//! The projection: a graph that says what the events say, whatever the order in which they
//! come, however often, and whatever crashes in between.
//!
//! | module | what it is |
//! |---|---|
//! | [`event`] | what happened, in the order of each resource's sequence |
//! | [`fold`] | what a resource is after an event, and what that changes in the graph |
//! | [`lanes`] | how events come into the graph: the protocol, as a sans-IO core |

pub mod event;
pub mod fold;
pub mod lanes;
