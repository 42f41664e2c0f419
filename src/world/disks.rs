//! The disks after a run.

use std::collections::BTreeMap;

use disk::Disk;

/// Every disk that a host used, as it was when the run ended: alive again, and no longer watched.
#[derive(Debug, Default)]
pub struct Disks(BTreeMap<String, Disk>);

impl Disks {
    pub(super) fn new(disks: BTreeMap<String, Disk>) -> Disks {
        Disks(disks)
    }

    /// The disk of a host; `None` if the host never asked for it.
    pub fn get(&self, host: &str) -> Option<&Disk> {
        self.0.get(host)
    }

    /// Each disk with its host's name, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Disk)> {
        self.0.iter().map(|(host, disk)| (host.as_str(), disk))
    }
}
