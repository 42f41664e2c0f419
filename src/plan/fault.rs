//! What can break, and when.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The process dies as by `kill -9`: what the operating system cached survives.
    Kill {
        /// The host.
        host: String,
        /// How long it stays down.
        restart_after_ms: u64,
    },
    /// The machine loses power: what was not synced is lost, kept or torn by the seed.
    PowerCut {
        /// The host.
        host: String,
        /// How long it stays down.
        restart_after_ms: u64,
    },
    /// Whoever reached the trigger's point stands still; the rest of the process goes on.
    Pause {
        /// The host.
        host: String,
        /// For how long.
        for_ms: u64,
    },
    /// Messages do not get through.
    Cut {
        /// One end.
        from: String,
        /// The other end.
        to: String,
        /// What becomes of the messages.
        kind: CutKind,
        /// Whether messages of both directions are concerned.
        #[serde(default)]
        direction: Direction,
        /// For how long.
        heal_after_ms: u64,
    },
    /// Messages take longer.
    Delay {
        /// One end.
        from: String,
        /// The other end; both directions are concerned.
        to: String,
        /// How much longer.
        extra_ms: u64,
        /// For how long.
        for_ms: u64,
    },
    /// Messages overtake one another: each gets a delay of its own of up to `spread_ms`.
    Reorder {
        /// One end.
        from: String,
        /// The other end; both directions are concerned.
        to: String,
        /// The longest delay.
        spread_ms: u64,
        /// For how long.
        for_ms: u64,
    },
    /// Every request that a client begins in this time is sent twice.
    Duplicate {
        /// The client.
        client: String,
        /// For how long.
        for_ms: u64,
    },
}

impl Fault {
    /// The kind in one word: what activation counters are kept by.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Kill { .. } => "kill",
            Fault::PowerCut { .. } => "power_cut",
            Fault::Pause { .. } => "pause",
            Fault::Cut { kind: CutKind::Stall, direction: Direction::Both, .. } => "stall",
            Fault::Cut { kind: CutKind::Blackhole, direction: Direction::Both, .. } => "blackhole",
            Fault::Cut { direction: Direction::OneWay, .. } => "one_way_cut",
            Fault::Delay { .. } => "delay",
            Fault::Reorder { .. } => "reorder",
            Fault::Duplicate { .. } => "duplicate",
        }
    }
}

/// In a few words, for a trace.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Fault::Kill { host, restart_after_ms } | Fault::PowerCut { host, restart_after_ms } => {
                write!(f, "{name} {host}, restart after {restart_after_ms} ms")
            }
            Fault::Pause { host, for_ms } => write!(f, "{name} {host} for {for_ms} ms"),
            Fault::Cut { from, to, kind: CutKind::Stall, direction: Direction::OneWay, heal_after_ms } => {
                write!(f, "{name} {from}>{to} (stall) for {heal_after_ms} ms")
            }
            Fault::Cut { from, to, direction: Direction::OneWay, heal_after_ms, .. } => {
                write!(f, "{name} {from}>{to} (blackhole) for {heal_after_ms} ms")
            }
            Fault::Cut { from, to, heal_after_ms, .. } => write!(f, "{name} {from}-{to} for {heal_after_ms} ms"),
            Fault::Delay { from, to, extra_ms, for_ms } => {
                write!(f, "{name} {from}-{to} by {extra_ms} ms for {for_ms} ms")
            }
            Fault::Reorder { from, to, spread_ms, for_ms } => {
                write!(f, "{name} {from}-{to} by up to {spread_ms} ms for {for_ms} ms")
            }
            Fault::Duplicate { client, for_ms } => write!(f, "{name} requests of {client} for {for_ms} ms"),
        }
    }
}

/// What becomes of messages on a cut link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutKind {
    /// Held, and delivered after the heal: what retransmission looks like from above.
    Stall,
    /// Lost: what a dead entry in a router's table looks like.
    Blackhole,
}

/// Which messages of a link are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// Only those sent by `from` to `to`.
    OneWay,
}

/// What is counted on a host, each kind from 1 over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// A named point: before or after an effect of a core.
    Effect,
    /// An operation on the host's disk.
    Disk,
    /// A message that the host sent or that was delivered to it.
    Network,
}

impl PointKind {
    /// The kind in one word.
    pub fn name(self) -> &'static str {
        match self {
            PointKind::Effect => "effect",
            PointKind::Disk => "disk",
            PointKind::Network => "network",
        }
    }
}

/// When a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Trigger {
    /// At a simulated time.
    Ms(u64),
    /// When a host reaches a named point for the nth time, counted from 1.
    Point {
        /// The host.
        host: String,
        /// The point, for example `commit.decide.after`.
        point: String,
        /// Which time.
        #[serde(default = "first")]
        nth: u64,
    },
    /// At the nth point of a kind on a host, counted from 1: what a sweep enumerates.
    Ordinal {
        /// The host.
        host: String,
        /// The kind.
        kind: PointKind,
        /// Which one.
        nth: u64,
    },
}

fn first() -> u64 {
    1
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Ms(ms) => write!(f, "at {ms} ms"),
            Trigger::Point { host, point, nth } => write!(f, "at {point} #{nth} on {host}"),
            Trigger::Ordinal { host, kind, nth } => write!(f, "at {} point #{nth} on {host}", kind.name()),
        }
    }
}

/// A fault with its trigger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFault {
    /// When.
    pub at: Trigger,
    /// What.
    pub fault: Fault,
}
