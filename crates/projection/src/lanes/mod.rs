//! Lanes: events on their way into the graph.
//!
//! Every resource has a lane, in which its events are applied one after the other; lanes run in
//! parallel. A lane *loads* the mark and the parts that its next events touch, *folds* the events,
//! and *applies* the difference together with the mark, in one graph transaction that takes effect
//! only if the mark is still where it was read. Loads and applications of many lanes share a
//! transaction.
//!
//! # Why this is enough
//!
//! - The mark moves from where it was read, in the transaction of the effect: an event has its
//!   effect once, however often it comes and whoever else applies events. So nobody needs to know
//!   what became of a transaction whose outcome is unknown: the mark is read again.
//! - An event is applied right behind its predecessor. One that comes early waits, and the log is
//!   asked for what is missing; a hole is never passed, however long it stays.
//! - A lane that holds an event which cannot be applied is *parked*: that is written next to the
//!   mark, counted, and the mark stays below. Other lanes go on. It is tried again by each process that starts, and
//!   every now and then. Whoever reads a later event of the resource looks at the mark again: somebody may have cleared it.
//! - What is in memory is not needed for anything but speed. A lane with nothing to do is
//!   forgotten; a process that starts knows nothing but the low-water mark of the log.
//!
//! # The low-water mark
//!
//! The log is also read in its own order, from a position that is written down in the graph. That
//! position never passes an event that is neither in the graph nor parked nor behind one that is:
//! every lane holds it below the first such event that it was given. An event that the log has damaged is its stream's
//! affair: the lane asks for it there, is told the same, and is parked. Where nobody can say whose it is, the mark stays below it.
//!
//! # Another log
//!
//! The position is one of a certain log. Where that is replaced, by an older copy of it or by a new one, the feed says so:
//! its id is another one, or it ends before the position. The lanes then let end what is under way, and *turn*: in one
//! transaction the graph becomes that of the other log, the position is 0, and the generation of all is raised for a
//! rebuild of all. It is asked even where there is no room for its events: what takes the room may wait for some that only
//! the old log had. Nothing in memory is kept but who waits. Each application says in which generation the log was begun that
//! its events are of, and takes effect only while the graph is of that log: whoever has not heard of the new one writes no
//! more, and is told. A mark of an older generation speaks of the old log. Its numbers
//! mean nothing, whether the new log has come as far or not, so the resource is rebuilt from the new log before any event is
//! applied to it: a mark that is ahead of the log goes back to where the log ends, and what the log does not have is cleared.
//!
//! Two projectors of different event stores would take one graph from each other for ever. So a log is turned to only from the
//! log that this projector has read last, be it in this process or in one before: then it was replaced. A graph of any other
//! log was given to that by somebody else, and the process ends instead.
//!
//! # Rebuilds
//!
//! A resource is rebuilt by folding its stream from the beginning, reading all that the graph has
//! of it, and applying the difference in one transaction which also raises its *generation*. So
//! there is no moment at which something is missing, nothing of another resource is touched, and
//! whoever read the resource before writes no more, even where the sequence is the same.
//!
//! All are rebuilt in two passes over the resources. Before the first, the generation of all is
//! raised, durably, so that any process finds an unfinished rebuild and ends it. The first pass
//! raises the generation of each resource and makes sure that whatever was created has its node;
//! the resource is *partial* from there on, and takes no events. The second pass rebuilds each
//! resource from its whole stream, not from the events of one type: what a body was before an
//! annotation was removed and added again must not come back. Last comes what the graph has and
//! the log does not. Readers see the old graph of a resource while it is of an older generation or
//! partial, and the new one afterwards.
//!
//! Reconciliation is the same without the raising of all: the stream is folded as far as the mark
//! says, or to its end where the mark is of another log, and what differs is put right. Where the log goes on behind the
//! mark, the lane does.
//!
//! What cannot be read, in the graph or in the log, or is refused for good, is *left out*: the resource stays as it is, whoever
//! asked is told, and it is tried again from time to time. A rebuild of all is not closed before.

mod accept;
mod campaign;
mod core;
mod dispatch;
mod lane;
mod messages;
mod outcome;
mod progress;
mod tasks;
mod turn;

pub use self::core::{Config, Lanes, OnForeign, OnUnknown};
pub use messages::{
    Action, Answer, Applied, EffectId, Ended, Failure, Found, Input, LEFT_OUT_MAX, LanesEffect, LeftOut, Listing, Mark,
    Parts, Poison, Projection, Rejection, Report, RequestId, Scope, Status, Want, Write,
};
