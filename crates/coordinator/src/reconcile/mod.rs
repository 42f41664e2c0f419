//! Whether both stores have the same, and what to do where they do not.
//!
//! A *pass* goes through both stores in the order of keys, a page of each at a time, and merges
//! the pages. The stores are not read at the same moment, and nothing stands still meanwhile, so
//! what the pages see differently is only *suspect*. Each suspect is then given to the commit
//! core, which takes its locks and has both stores read again; what differs then is a *finding*
//! (a validation) or is *repaired* (a reconciliation).
//!
//! # Why that is enough
//!
//! *No finding is a transaction under way.* A transaction holds the exclusive locks of all that
//! it touches from before its intent until its rows are durable, and one that a crash interrupted
//! is locked again before anything else happens. The examination holds the lock as well, so it
//! sees each transaction in both stores or in neither. A finding is therefore true at one moment
//! that no transaction straddles: that of its lock.
//!
//! *No writer waits long.* Only a suspect's locks are taken, one suspect at a time, for one
//! strong read or one transaction; the scans take none.
//!
//! *Nothing that just committed is undone.* A repair decides from what is read under the very
//! locks that it then writes under, see `commit::repair`. A scan only says where to look.
//! An entity that was in one scan and not in the other because it was created in between is in
//! both stores by then. What a policy may do is bounded as well: what events say exists is not
//! deleted, and what they say is gone is not brought back, see [`judge`].
//!
//! *Every difference that was there before a pass, and is not touched meanwhile, is found.* Both
//! scans visit each key that is there throughout, because a page begins where the last one ended
//! and ends where the shorter of the two full pages does. A difference that arises behind the
//! scan is for the next pass. So is one that a transaction under way keeps from both scans: what
//! somebody removes from the graph between a creation's decide and its finish is in neither store
//! then, and nothing there is suspect.
//!
//! *One pass reaches the fixed point.* A repair leaves both stores the same, so none is repaired
//! twice. Entities are put before links, which need their ends; links go before the entities
//! that have to go, which must have none; and an entity gets its canonical key back after the one
//! that has it in a store has given it up. That takes further ways through the entities, only if there
//! are such, and for as long as each has repaired something. What is left is undecided, and has its one
//! open case: the next pass finds the same cases and repairs nothing. Two that have each other's key
//! are such: neither can give up its own first, so a person takes one from them.
//!
//! *Two passes do not fight*, in one process or, for whoever drives the commit core otherwise, at
//! once: the second to get a lock finds the stores in agreement. Even under another policy that
//! leaves it nothing to do.
//!
//! *A crash loses nothing but the pass.* Each repair is a transaction of its own, with intent,
//! marker and finish, and recovery ends it as it does any other.
//!
//! # What is compared
//!
//! Entities by type, canonical key and properties, links by properties; of SQLite its rows, never its log. A
//! row is held against its events as well: what they make of it, and the version and the transaction
//! that readers are told, which the graph does not have. With
//! the policy `log` it is the events that say who is right: rows and nodes can both be
//! changed by hand, and the events are the one account that nothing overwrites. Where both stores
//! have the same, though, and the events say otherwise, no policy turns two accounts into one's: a person does. A repair that
//! restores what they say is no event of its own: the entity gets the version and the
//! transaction of its last event back, as if nothing had happened. One that says otherwise (the
//! policies `graph` and `sql`, or a person) is an event like any change.

mod case;
mod compare;
mod core;
mod evidence;
mod executor;
mod judge;
mod pass;
mod service;
mod summary;
#[cfg(test)]
mod tests;

pub use self::core::{Config, Input, Mark, Reconcile, ReconcileEffect, Task};
pub use case::{Case, Ending};
pub use compare::{Page, Position, compare};
pub use evidence::{Divergence, Evidence, Held, Logged, Rival};
pub(crate) use executor::ReconcileExecutor;
pub use executor::repaired;
pub use judge::{Authority, Order, Policy, Reason, UnknownWord, Verdict, judge};
pub use pass::Repaired;
pub use service::{Resolution, ResolveError};
pub use summary::{Done, Finding, Summary};
