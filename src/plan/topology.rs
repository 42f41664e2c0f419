//! The names a scenario may use.

use crate::record::{REFUSED, UNSYNCED};
use crate::sut::{HostSpec, System};

/// What a system has that a scenario may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The hosts that run the system's software, with their points; clients are the scenario's.
    pub hosts: Vec<HostSpec>,
    /// The marks that the system's cores can make, and those of any world: [`REFUSED`] and [`UNSYNCED`].
    pub marks: Vec<String>,
    /// The checks that judge a run.
    pub checks: Vec<String>,
}

impl Topology {
    /// The names of a system.
    pub fn of<S: System>(system: &S) -> Topology {
        let checks = system.checks();
        let worlds = [REFUSED].into_iter().chain(UNSYNCED).map(str::to_owned);
        Topology {
            hosts: system.hosts(),
            marks: system.marks().into_iter().chain(worlds).collect(),
            checks: checks.iter().map(|check| check.name().to_owned()).collect(),
        }
    }

    /// The host of a name.
    pub fn host(&self, name: &str) -> Option<&HostSpec> {
        self.hosts.iter().find(|host| host.name == name)
    }
}
