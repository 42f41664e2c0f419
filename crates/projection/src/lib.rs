//! The projection: a graph that says what the events say, whatever the order in which they
//! come, however often, and whatever crashes in between.
//!
//! | module | what it is |
//! |---|---|
//! | [`event`] | what happened, in the order of each resource's sequence |

pub mod event;
