//! The system under test, as squall sees it.
//!
//! Somebody with a system of their own implements [`System`] for it and hands it to
//! [`squall::main!`](crate::main). Nothing in this file, or in what it uses, knows the
//! crates that squall was first built to test.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::check::Checker;
use crate::history::OpId;
use crate::plan::{Client, Plan};
use crate::record::Record;
use crate::stream::Stream;
use crate::world::{ClientHost, Disks, Host};

/// A future of one simulated host; hosts share one thread.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// A check of a system's runs.
pub type Check<S> = Box<dyn Checker<Record<<S as System>::Op, <S as System>::Ret>>>;

/// A scenario written in Rust: makes the plan of a seed.
pub type ScenarioFn<Op> = fn(u64) -> Plan<Op>;

/// What a client learnt about one operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<Ret> {
    /// It happened, and this came back.
    Ok(Ret),
    /// It certainly did not happen.
    Fail(String),
    /// Nobody told the client whether it happened.
    Info(String),
}

/// How a process ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As asked.
    Clean,
    /// With an error, which its supervisor sees in the log.
    Failed(String),
    /// It will not work on the stores that it found, and says why. Its supervisor does not start it again: somebody has
    /// to look.
    Refused(String),
}

/// A host of the system's topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// Its name, which is also its address.
    pub name: &'static str,
    /// Which of its points a scenario may name.
    pub points: Vec<String>,
    /// Those that are passed without waiting ([`Host::pass`]): as triggers they are like the others, but nobody can be
    /// paused there.
    pub passes: Vec<String>,
    /// The files that its software keeps on the host's disk, and which a scenario may damage.
    pub files: Vec<&'static str>,
    /// Whether its store forgets as many acknowledged commits as [`Host::forgotten`] says.
    pub forgets: bool,
}

impl HostSpec {
    /// A host with a name and nothing that a scenario may name.
    pub fn new(name: &'static str) -> HostSpec {
        HostSpec { name, points: Vec::new(), passes: Vec::new(), files: Vec::new(), forgets: false }
    }
}

/// A system that squall can run, break and judge.
pub trait System: Sized + Send + Sync + 'static {
    /// An operation of a client. Its serialised form is how scenarios spell it.
    type Op: Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What a client gets back.
    type Ret: Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + 'static;

    /// The system's name.
    const NAME: &'static str;

    /// How its program is called on the command line: what commands begin with that a reader is to type.
    const PROGRAM: &'static str = "squall";

    /// Makes the system for one run from the scenario's options (`Null` if it has none).
    /// An error names the option and what it takes.
    fn new(options: &serde_json::Value) -> Result<Self, String>;

    /// The hosts that run its software, in the order in which they start.
    fn hosts(&self) -> Vec<HostSpec>;

    /// The marks that its cores can make, in snake case.
    fn marks(&self) -> Vec<String>;

    /// The software of a host, from its start to its end. Called again after each restart.
    fn boot(&self, host: Host) -> LocalFuture<Exit>;

    /// Whether a plan with these options still has to pass its checks when a hunt has moved, lengthened, added or taken
    /// away faults in it. Not where the options have somebody harm the stores by hand, and the plan has what puts that
    /// right: harm that comes behind its remedy is no finding. Such a plan is run with other seeds, and so is one with a
    /// fault that [breaks media](crate::plan::Fault::breaks_media).
    fn may_vary(&self) -> bool {
        true
    }

    /// Carries out one operation of a client. Must come back: use time-outs.
    /// `id` is its number in the history, the same for the same plan.
    fn perform(&self, client: ClientHost, id: OpId, op: Self::Op) -> LocalFuture<Outcome<Self::Ret>>;

    /// Whether an answer says that the operation was not done: it is counted among those that failed.
    fn is_refusal(_ret: &Self::Ret) -> bool {
        false
    }

    /// Makes `count` operations for each of the named clients, for a scenario that asks for
    /// a random workload; `options` are the workload's own words.
    fn workload(
        &self,
        options: &serde_json::Value,
        clients: &[String],
        count: usize,
        random: &mut Stream,
    ) -> Result<Vec<Client<Self::Op>>, String>;

    /// Operations that ask for less than this one in one respect each: what shrinking tries in its place. Each must be
    /// smaller in some measure that cannot fall for ever.
    fn simpler(_op: &Self::Op) -> Vec<Self::Op> {
        Vec::new()
    }

    /// Called when clients are done, faults are healed and hosts are up: waits until the
    /// system says that nothing is left to do. Runs on a client host of its own, bounded by
    /// the plan's `settle_ms`.
    fn settle(&self, client: ClientHost, plan: &Plan<Self::Op>) -> LocalFuture<Result<(), String>>;

    /// Canonical dumps of every store, by name, taken after the run: one line an element.
    fn dump(&self, disks: &Disks) -> BTreeMap<String, String>;

    /// The dumps as they should be by what was decided in the run, of the stores of which that can be told: for readers.
    /// Nothing is judged by it.
    fn expected(&self, _record: &Record<Self::Op, Self::Ret>) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// The checks that judge a run.
    fn checks(&self) -> Vec<Check<Self>>;

    /// Scenarios written in Rust, by name: each reaches the same kind of plan as a file.
    fn scenarios() -> Vec<(&'static str, ScenarioFn<Self::Op>)> {
        Vec::new()
    }
}
