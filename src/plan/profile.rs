//! Random profiles: which kinds of faults a seed draws, how many, where and when.
//!
//! A profile is Rust rather than TOML, so that randomness which several stories share is written once. Every kind has a
//! stream of its own: one kind more, or one draw more within a kind, leaves the others' draws as they were.
//!
//! Each seed enables a random subset of a profile's kinds rather than a little of everything: a run under one kind alone
//! reaches states that a run under all of them rarely does, since faults mask one another (Groce, Zhang, Eide, Chen and
//! Regehr, "Swarm Testing", ISSTA 2012).

mod draw;

use serde::{Deserialize, Serialize};

use super::PlannedFault;
use crate::stream::Stream;
use crate::sut::HostSpec;

/// Every kind of fault, as [`Fault::name`](super::Fault::name) calls it.
pub const FAULT_KINDS: [&str; 22] = [
    "kill",
    "power_cut",
    "pause",
    "stall",
    "blackhole",
    "one_way_cut",
    "delay",
    "reorder",
    "duplicate",
    "read_error",
    "short_read",
    "write_error",
    "sync_error",
    "disk_full",
    "lying_sync",
    "slow_disk",
    "bit_rot",
    "truncation",
    "stale_image",
    "forget",
    "clock_skew",
    "clock_drift",
];

/// A named mixture of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Nothing breaks but what the steps say.
    #[default]
    Calm,
    /// Processes are killed and machines lose power; the network is well.
    Crashes,
    /// Links are cut, both ways or one way, singly or so that a host is alone; no host dies.
    Partitions,
    /// Disks fail, fill up and slow down, and crashes come between; what was acknowledged must survive.
    Disks,
    /// What was stored changes or was never stored: flipped bits, lost tails, old images, syncs that lie. Software that
    /// notices may refuse to work.
    Media,
    /// Clocks jump and drift, and processes die meanwhile.
    Clocks,
    /// Anything that leaves no excuse: each seed takes some of all kinds but those of `media`.
    Swarm,
}

/// How much of one kind a profile has.
struct Share {
    /// One of [`FAULT_KINDS`].
    kind: &'static str,
    /// In how many of a hundred seeds the kind is drawn at all.
    enabled_percent: u64,
    /// How often it strikes in a seed that has it: from once to this often, evenly.
    strikes_max: u64,
    /// Draws one strike.
    draw: draw::Draw,
}

/// Where faults can strike, and for how long it is worth their while.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The hosts that run the system's software.
    pub hosts: &'a [HostSpec],
    /// The clients.
    pub clients: &'a [String],
    /// Faults at a time strike before this one, at least 1.
    pub active_ms: u64,
}

const fn share(kind: &'static str, enabled_percent: u64, strikes_max: u64, draw: draw::Draw) -> Share {
    Share { kind, enabled_percent, strikes_max, draw }
}

/// Crashes only: mostly both kinds, several of each, so that recoveries are interrupted as well.
const CRASHES: &[Share] = &[share("kill", 75, 4, draw::kill), share("power_cut", 75, 4, draw::power_cut)];

/// Cuts only.
const PARTITIONS: &[Share] = &[
    share("stall", 60, 3, draw::stall),
    share("blackhole", 60, 3, draw::blackhole),
    share("one_way_cut", 60, 3, draw::one_way_cut),
];

/// Errors that end, and crashes.
const DISKS: &[Share] = &[
    share("read_error", 40, 2, draw::read_error),
    share("short_read", 40, 2, draw::short_read),
    share("write_error", 40, 2, draw::write_error),
    share("sync_error", 40, 2, draw::sync_error),
    share("disk_full", 40, 2, draw::disk_full),
    share("slow_disk", 40, 2, draw::slow_disk),
    share("kill", 40, 2, draw::kill),
    share("power_cut", 40, 2, draw::power_cut),
];

/// One damage, or two: more of it would only repeat the refusal. Syncs lie long, and power goes often while they do.
const MEDIA: &[Share] = &[
    share("bit_rot", 40, 1, draw::bit_rot),
    share("truncation", 30, 1, draw::truncation),
    share("stale_image", 30, 1, draw::stale_image),
    share("lying_sync", 50, 2, draw::lying_sync),
    share("power_cut", 70, 3, draw::power_cut),
    share("kill", 30, 2, draw::kill),
];

/// Wrong clocks, and what is decided by the time meanwhile.
const CLOCKS: &[Share] = &[
    share("clock_skew", 80, 4, draw::clock_skew),
    share("clock_drift", 60, 2, draw::clock_drift),
    share("kill", 30, 2, draw::kill),
    share("stall", 30, 2, draw::stall),
];

/// A kind is in a quarter to four tenths of the seeds, so that most seeds have four to eight of them, and twenty have all.
/// What takes a host away strikes up to three times, everything else up to twice.
const SWARM: &[Share] = &[
    share("kill", 40, 3, draw::kill),
    share("power_cut", 40, 3, draw::power_cut),
    share("pause", 40, 2, draw::pause),
    share("stall", 40, 2, draw::stall),
    share("blackhole", 40, 2, draw::blackhole),
    share("one_way_cut", 40, 2, draw::one_way_cut),
    share("delay", 40, 2, draw::delay),
    share("reorder", 40, 2, draw::reorder),
    share("duplicate", 40, 2, draw::duplicate),
    share("read_error", 30, 2, draw::read_error),
    share("short_read", 30, 2, draw::short_read),
    share("write_error", 30, 3, draw::write_error),
    share("sync_error", 30, 2, draw::sync_error),
    share("disk_full", 25, 2, draw::disk_full),
    share("slow_disk", 25, 2, draw::slow_disk),
    share("clock_skew", 30, 2, draw::clock_skew),
    share("clock_drift", 30, 2, draw::clock_drift),
];

impl Profile {
    /// Every profile.
    pub const ALL: [Profile; 7] = [
        Profile::Calm,
        Profile::Crashes,
        Profile::Partitions,
        Profile::Disks,
        Profile::Media,
        Profile::Clocks,
        Profile::Swarm,
    ];

    /// Its name in a scenario file.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Calm => "calm",
            Profile::Crashes => "crashes",
            Profile::Partitions => "partitions",
            Profile::Disks => "disks",
            Profile::Media => "media",
            Profile::Clocks => "clocks",
            Profile::Swarm => "swarm",
        }
    }

    fn shares(self) -> &'static [Share] {
        match self {
            Profile::Calm => &[],
            Profile::Crashes => CRASHES,
            Profile::Partitions => PARTITIONS,
            Profile::Disks => DISKS,
            Profile::Media => MEDIA,
            Profile::Clocks => CLOCKS,
            Profile::Swarm => SWARM,
        }
    }

    /// The kinds of faults that some seed draws here.
    pub fn kinds(self, ground: &Ground<'_>) -> Vec<&'static str> {
        let drawable = |share: &&Share| draw::possible(share.kind, ground);
        self.shares().iter().filter(drawable).map(|share| share.kind).collect()
    }

    /// The faults of one seed.
    pub fn draw(self, ground: &Ground<'_>, seed: u64) -> Vec<PlannedFault> {
        let mut faults = Vec::new();
        for share in self.shares().iter().filter(|share| draw::possible(share.kind, ground)) {
            let mut random = Stream::new(seed, &format!("faults.{}", share.kind));
            if random.percent(share.enabled_percent) {
                for _ in 0..random.between(1, share.strikes_max) {
                    faults.extend((share.draw)(&mut random, ground));
                }
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests;
