//! Removing markers from the graph that nobody can need any more.
//!
//! A marker is what makes a late *decide* or *fence* harmless: it meets the marker and changes
//! nothing. So a marker may go only when that is taken care of in another way. It is, below a
//! **floor**:
//!
//! - The floor is the last transaction that the retention has forgotten. It and all before it are
//!   over for good, those included that never wrote a record ([`ledger::forget`]): no process will
//!   decide or fence one of them again. What can still come is a request of a process that is no
//!   more, or whose answer was lost.
//! - The floor stands in the graph, on the node that says whom the graph belongs to, and only
//!   rises. A *decide* creates its marker first and reads the floor after that, in one transaction
//!   and one statement ([`CREATE_MARKER`]); below the floor it fails. So a late one either meets
//!   the marker, or comes after the marker was removed, which was after the floor had risen.
//! - A server may show a transaction the floor as it was when the transaction began, and yet no
//!   marker. Therefore nothing is removed for a **grace** after the floor has risen, which has to
//!   be longer than the server lets a transaction live. Where it sets no such limit, markers stay:
//!   collecting them is off unless somebody says that it may be done.
//! - The floor of a restored graph begins above all that the pair which was backed up can have sent
//!   ([`backup`](crate::backup)), and so above what its log has forgotten. Markers go up to the
//!   lower of the two: those of records that the log still has are what a start looks for.
//! - A late *fence* may leave a marker `aborted` below the floor. Nobody waits for what it says,
//!   a start passes over it ([`start`](crate::Finding)), and the floor stands against a decide
//!   as before.
//!
//! Work is done in small batches and in the order of transactions; how far it came is in the ledger
//! ([`ledger::collected`]). After a crash the last batch is removed again, which changes nothing.
//!
//! This is a core like the commit protocol's: it reads no clock and does no I/O.
//!
//! [`ledger::forget`]: crate::ledger::forget
//! [`ledger::collected`]: crate::ledger::collected
//! [`CREATE_MARKER`]: crate::statements::CREATE_MARKER

mod executor;
#[cfg(test)]
mod tests;

use env::Step;
use graph::Millis;

pub(crate) use executor::CollectionExecutor;

/// When markers are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The pause between two passes.
    pub period: Millis,
    /// For how long nothing is removed after the floor has risen: longer than the graph lets a
    /// transaction live.
    pub grace: Millis,
    /// How many markers one graph transaction removes at most; at least 1.
    pub batch: u32,
}

/// Something the core is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The floor is as high as it may be, durably.
    Raised {
        /// Whether there may be markers below it.
        pending: bool,
    },
    /// A batch is gone, durably.
    Collected {
        /// How many markers it had.
        markers: u32,
        /// Whether there may be more.
        more: bool,
    },
    /// It was not done, or nobody can say.
    Failed {
        /// What happened.
        reason: String,
    },
    /// The time has come that `poll_timeout` asked for.
    Timeout,
}

/// Something the core asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CollectionEffect {
    /// Graph: raise the floor to the last transaction that was forgotten.
    Raise,
    /// Graph: remove markers below the floor.
    Collect {
        /// How many to remove at most.
        limit: u32,
    },
}

impl env::Effect for CollectionEffect {
    fn name(&self) -> &'static str {
        match self {
            CollectionEffect::Raise => "raise",
            CollectionEffect::Collect { .. } => "collect",
        }
    }
}

/// A decision of the core that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// So many markers were removed.
    Collected(u32),
    /// A pass failed; the next one comes at its time.
    Uncollected,
}

impl Mark {
    /// The names of all marks, as reports and scenarios write them.
    pub const NAMES: [&'static str; 2] = ["collected", "uncollected"];
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Next {
    /// A pass begins then.
    Raise(Millis),
    /// The floor has risen, and the grace is over then.
    Collect(Millis),
    /// Something is under way.
    Wait,
}

/// The collection of markers of one coordinator process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Collection {
    config: Config,
    next: Next,
}

impl Collection {
    /// The core of a process that starts.
    pub fn new(config: Config) -> Collection {
        assert!(config.batch > 0, "a batch of no markers makes no progress");
        Collection { config, next: Next::Raise(config.period) }
    }

    fn act(&mut self, effect: CollectionEffect) -> Step<CollectionEffect, Mark> {
        self.next = Next::Wait;
        Step { effects: vec![effect], marks: Vec::new() }
    }
}

impl env::Core for Collection {
    const NAME: &'static str = "collection";
    type Input = Input;
    type Effect = CollectionEffect;
    type Mark = Mark;

    fn handle(&mut self, now: Millis, input: Input) -> Step<CollectionEffect, Mark> {
        let Config { period, grace, batch: limit } = self.config;
        match (input, self.next) {
            (Input::Timeout, Next::Raise(at)) if at <= now => self.act(CollectionEffect::Raise),
            (Input::Timeout, Next::Collect(at)) if at <= now => self.act(CollectionEffect::Collect { limit }),
            (Input::Timeout, _) => Step::new(),
            (Input::Raised { pending }, _) => {
                self.next = if pending { Next::Collect(now + grace) } else { Next::Raise(now + period) };
                Step::new()
            }
            (Input::Collected { markers, more }, _) => {
                let mut step = if more {
                    self.act(CollectionEffect::Collect { limit })
                } else {
                    self.next = Next::Raise(now + period);
                    Step::new()
                };
                if markers > 0 {
                    step.marks.push(Mark::Collected(markers));
                }
                step
            }
            (Input::Failed { .. }, _) => {
                self.next = Next::Raise(now + period);
                Step { effects: Vec::new(), marks: vec![Mark::Uncollected] }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Millis> {
        match self.next {
            Next::Raise(at) | Next::Collect(at) => Some(at),
            Next::Wait => None,
        }
    }

    fn timeout() -> Input {
        Input::Timeout
    }
}
