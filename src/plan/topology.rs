//! The names a scenario may use.

use crate::record::REFUSED;
use crate::sut::{HostSpec, System};

/// What a system has that a scenario may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The hosts that run the system's software, with their points; clients are the scenario's.
    pub hosts: Vec<HostSpec>,
    /// The marks that the system's cores can make, and [`REFUSED`].
    pub marks: Vec<String>,
    /// The checks that judge a run.
    pub checks: Vec<String>,
}

impl Topology {
    /// The names of a system.
    pub fn of<S: System>(system: &S) -> Topology {
        let checks = system.checks();
        Topology {
            hosts: system.hosts(),
            marks: system.marks().into_iter().chain([REFUSED.to_owned()]).collect(),
            checks: checks.iter().map(|check| check.name().to_owned()).collect(),
        }
    }

    /// The host of a name.
    pub fn host(&self, name: &str) -> Option<&HostSpec> {
        self.hosts.iter().find(|host| host.name == name)
    }
}
