//! How long the log keeps what is settled.
//!
//! A settled transaction's record is its idempotency key and its outcome: what a retry is
//! answered from. It is kept for at least [`Config::keep`] and then removed, a small batch at a
//! time. What is not settled is never removed; nor are the audit trail, the events and the
//! markers in the graph. A transaction that was forgotten is one that never began, for whoever
//! asks for it: a look-up does not find it, and its key is free for another one.
//!
//! # Age is running time
//!
//! The UTC clock may jump a year ahead and back, and would take the log with it. So age
//! counts in *running time*: for how long coordinators have been running on this ledger, by
//! their monotonic clocks. Each pass adds what has gone by since the last one to a number in
//! the ledger, and an outcome is stamped with the running time at which it was written, which
//! goes on between passes. A crash loses what was not written down, at most one
//! [`Config::period`], and while no coordinator runs no time passes: records are kept longer by
//! that, never shorter.
//!
//! # Order
//!
//! Records go in the order of their transactions. One that may not go yet keeps those behind
//! it, which in exchange are described by one number, the last transaction that was forgotten:
//! a start compares the graph's markers with the log and needs to know which records are
//! missing rightly.
//!
//! This is a core like the commit protocol's: it reads no clock and does no I/O.

mod executor;
#[cfg(test)]
mod tests;

use env::Step;
use graph::Millis;

pub(crate) use executor::{RetentionExecutor, RunningClock};

/// What is kept for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// For how long the record of a settled transaction is kept, at least; in running time.
    pub keep: Millis,
    /// The pause between two passes, and the running time that a crash loses at most.
    pub period: Millis,
    /// How many records one SQLite transaction removes at most; at least 1.
    pub batch: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config { keep: Millis(7 * 24 * 60 * 60 * 1_000), period: Millis(60_000), batch: 64 }
    }
}

/// Something the core is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A batch is gone, durably.
    Done {
        /// How many records it had.
        removed: u32,
    },
    /// A batch was not removed, or nobody can say.
    Failed {
        /// What happened.
        reason: String,
    },
    /// The time has come that `poll_timeout` asked for.
    Timeout,
}

/// Something the core asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RetentionEffect {
    /// SQLite: write the running time down, and remove the oldest records as far as they are due.
    Forget {
        /// The running time.
        running: Millis,
        /// What was settled then or before is due; nothing is while no coordinator has been
        /// running for long enough.
        settled_by: Option<Millis>,
        /// How many to remove at most.
        limit: u32,
    },
}

impl env::Effect for RetentionEffect {
    fn name(&self) -> &'static str {
        match self {
            RetentionEffect::Forget { .. } => "forget",
        }
    }
}

/// A decision of the core that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// So many records were removed.
    Forgot(u32),
    /// A pass failed; the next one comes at its time.
    Postponed,
}

impl Mark {
    /// The names of all marks, as reports and scenarios write them.
    pub const NAMES: [&'static str; 2] = ["forgot", "postponed"];
}

/// The retention of one coordinator process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Retention {
    config: Config,
    /// The running time when this process began.
    before: Millis,
    /// When the next pass begins; none while one is under way.
    next: Option<Millis>,
}

impl Retention {
    /// The core of a process that starts on a ledger on which coordinators have been running
    /// for `before`.
    pub fn new(config: Config, before: Millis) -> Retention {
        assert!(config.batch > 0, "a batch of no records makes no progress");
        Retention { config, before, next: Some(config.period) }
    }

    fn pass(&mut self, now: Millis) -> Step<RetentionEffect, Mark> {
        self.next = None;
        let running = self.before + now;
        let Config { keep, batch: limit, .. } = self.config;
        let settled_by = (running >= keep).then(|| running - keep);
        let effects = vec![RetentionEffect::Forget { running, settled_by, limit }];
        Step { effects, marks: Vec::new() }
    }
}

impl env::Core for Retention {
    const NAME: &'static str = "retention";
    type Input = Input;
    type Effect = RetentionEffect;
    type Mark = Mark;

    fn handle(&mut self, now: Millis, input: Input) -> Step<RetentionEffect, Mark> {
        match input {
            Input::Timeout if self.next.is_some_and(|next| next <= now) => self.pass(now),
            Input::Timeout => Step::new(),
            Input::Done { removed } => {
                // A full batch: there may be more.
                let mut step = if removed == self.config.batch {
                    self.pass(now)
                } else {
                    self.next = Some(now + self.config.period);
                    Step::new()
                };
                if removed > 0 {
                    step.marks.push(Mark::Forgot(removed));
                }
                step
            }
            Input::Failed { .. } => {
                self.next = Some(now + self.config.period);
                Step { effects: Vec::new(), marks: vec![Mark::Postponed] }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.next
    }

    fn timeout() -> Input {
        Input::Timeout
    }
}
