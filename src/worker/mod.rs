//! Worker processes: each job in a process image of its own.
//!
//! Whatever a run leaves in a process, the next one finds: generators that are
//! seeded once, lazily built tables, the heap's layout. So a worker is this
//! program, executed again with addresses that are not randomised, warmed up and
//! single-threaded; it forks a child for each job, and the child's end takes
//! everything with it. Parallelism is more workers.
//!
//! ```text
//! Pool (threads)  --job-->  worker (one thread)  --fork-->  child: run(job)
//!                 <-result-                      <-result-  _exit
//! ```
//!
//! Where a worker must not fork, it serves one job itself and ends
//! ([`Isolation::Process`]); a debugger wants the job in the very process that
//! it debugs ([`Isolation::None`]).
//!
//! A job runs on a fresh thread of its process, because thread-local generators
//! are seeded once as well, and inside a simulation with a constant seed and a
//! clock that stands still: what it draws before it calls
//! [`interpose::simulate`] with its own seed is at least the same each time.

mod frame;
mod job;
mod pool;
mod serve;
mod watchdog;

use std::num::NonZero;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use pool::Pool;
pub use serve::serve_if_asked;

/// What a worker runs. Both functions must be the same in the pool's process
/// and in the worker, which they are when `main` names them once.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Run once in each worker, simulated: does what every job would otherwise
    /// do first, such as initialising libraries. It should leave no thread
    /// running; if it does, the worker cannot fork.
    pub warm_up: fn(),
    /// Turns a job into its result. Standard output goes to the standard error,
    /// which passes through uncaptured.
    pub run: fn(&[u8]) -> Vec<u8>,
}

/// What separates a job from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// A child forked from a warm worker.
    Fork,
    /// A fresh process, which pays for the warm-up each time.
    Process,
    /// Nothing: the jobs run in this very process, one after the other and
    /// without a watchdog, for the sake of debuggers.
    None,
}

/// Whether the system randomises the addresses of a worker.
///
/// Nothing correct may depend on addresses; a verification run has them random
/// to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aslr {
    /// Every worker has the same addresses.
    Off,
    /// Every worker has addresses of its own.
    On,
}

/// What is asked of a pool.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many jobs run at once; [`Isolation::None`] runs one.
    pub workers: NonZero<usize>,
    /// The isolation to use if the system and the program allow it.
    pub isolation: Isolation,
    /// The address randomisation to use if the system allows it.
    pub aslr: Aslr,
    /// For how long a job may compute before it is killed, in processor time; one that stands still has so long by the real
    /// clock.
    pub watchdog: Duration,
}

impl Default for Config {
    /// A forking worker for each processor, fixed addresses, 60 seconds of a processor a job.
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            isolation: Isolation::Fork,
            aslr: Aslr::Off,
            watchdog: Duration::from_secs(60),
        }
    }
}

/// What a pool does, which may be less than what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The isolation that is used.
    pub isolation: Isolation,
    /// What the addresses are.
    pub aslr: Aslr,
    /// Both for people, with the reason where it is not what was asked.
    pub sentence: String,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The program's result.
    #[serde(skip)] // as long as it likes, so it travels as it is
    Finished(Vec<u8>),
    /// The program panicked.
    Panicked {
        /// What the panic said.
        message: String,
        /// `file:line:column`, if the panic hook was not replaced meanwhile.
        location: Option<String>,
    },
    /// A signal ended the job's process: 6 after an abort or a stack overflow, 9
    /// when the system was out of memory, 11 after an invalid access.
    Died {
        /// The signal's number.
        signal: i32,
    },
    /// The job's process ended itself before there was a result.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// The watchdog killed it.
    TimedOut {
        /// For how long the job was allowed to compute.
        watchdog: Duration,
    },
    /// The worker ended or failed under the job, which may be innocent. The next
    /// job gets a new worker.
    WorkerLost {
        /// What happened to the worker.
        reason: String,
    },
}

/// Why a pool cannot run jobs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No run in this process image would be deterministic.
    #[error(transparent)]
    NotOurs(#[from] interpose::NotOurs),
    /// A worker could not be started, or ended before it was ready. Its standard
    /// error may say why.
    #[error("start a worker: {0}")]
    Start(String),
    /// The system refused what a pool itself needs.
    #[error("run a pool of workers")]
    Io(#[from] std::io::Error),
}
