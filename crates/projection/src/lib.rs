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
//! | [`listing`] | lists out of the graph, read to their end |
//! | [`log`] | what is asked of the log, and how an event store is asked over HTTP |
//! | [`executor`] | carries out the lanes' effects on both |
//! | [`stubs`] | what is linked to and was never created, and why |
//! | [`operations`] | counts and alerts: what the lanes decided, and how far behind they are |
//! | [`view`] | what readers of the graph are told, and how fresh that is |
//! | [`service`] | a running projector, behind one handle |
//! | [`http`] | its HTTP API, and [`client`] for it |

pub mod client;
pub mod dump;
pub mod event;
pub mod executor;
pub mod fold;
pub mod http;
pub mod lanes;
pub mod listing;
pub mod log;
pub mod operations;
pub mod reading;
pub mod service;
pub mod statements;
pub mod stubs;
pub mod view;
