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
pub const FAULT_KINDS: [&str; 9] =
    ["kill", "power_cut", "pause", "stall", "blackhole", "one_way_cut", "delay", "reorder", "duplicate"];

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
    /// Anything: each seed takes some of all kinds.
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

/// A kind is in four seeds of ten: half of the seeds have three or four of the nine kinds, one in a hundred has none.
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
];

impl Profile {
    /// Every profile.
    pub const ALL: [Profile; 4] = [Profile::Calm, Profile::Crashes, Profile::Partitions, Profile::Swarm];

    /// Its name in a scenario file.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Calm => "calm",
            Profile::Crashes => "crashes",
            Profile::Partitions => "partitions",
            Profile::Swarm => "swarm",
        }
    }

    fn shares(self) -> &'static [Share] {
        match self {
            Profile::Calm => &[],
            Profile::Crashes => CRASHES,
            Profile::Partitions => PARTITIONS,
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
