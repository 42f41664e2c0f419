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
    /// Operations on the host's disk go wrong.
    Disk {
        /// The host.
        host: String,
        /// What goes wrong.
        kind: DiskKind,
        /// How many in a hundred of the operations that can go wrong in this way do.
        #[serde(default = "all", skip_serializing_if = "is_all")]
        percent: u64,
        /// How many at most; without it as many as come.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most: Option<u64>,
        /// For how long.
        for_ms: u64,
    },
    /// Every operation on the host's disk takes longer.
    SlowDisk {
        /// The host.
        host: String,
        /// How much longer.
        extra_ms: u64,
        /// For how long.
        for_ms: u64,
    },
    /// The machine loses power, and bits of a file have flipped when it is back.
    BitRot {
        /// The host.
        host: String,
        /// The file.
        file: String,
        /// Where: in the few bytes behind any occurrence of this text, so that a kind of record is hit wherever the
        /// file keeps it; without it anywhere in the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// How many bits.
        #[serde(default = "first", skip_serializing_if = "is_first")]
        bits: u64,
        /// How long it stays down.
        restart_after_ms: u64,
    },
    /// The machine loses power, and the end of a file is gone when it is back.
    Truncation {
        /// The host.
        host: String,
        /// The file.
        file: String,
        /// How much is left of it, in hundredths of its length.
        keep_percent: u64,
        /// How long it stays down.
        restart_after_ms: u64,
    },
    /// The machine loses power, and its disk is as it was at an earlier time when it is back.
    StaleImage {
        /// The host.
        host: String,
        /// The file that is older; without it all are, as when a whole volume is rolled back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// The simulated time of that image.
        as_of_ms: u64,
        /// How long it stays down.
        restart_after_ms: u64,
    },
    /// The machine loses power, and its store has forgotten the last commits that it acknowledged when it is back.
    Forget {
        /// The host.
        host: String,
        /// How many.
        commits: u64,
        /// How long it stays down.
        restart_after_ms: u64,
    },
    /// The host's time of day is wrong: it jumps when this begins, and back when it ends. Its monotonic clock is not
    /// concerned.
    ClockSkew {
        /// The host.
        host: String,
        /// How far it is ahead; behind, if negative.
        by_ms: i64,
        /// For how long.
        for_ms: u64,
    },
    /// The host's time of day runs too fast or too slow, and is set right when this ends. Its monotonic clock is not
    /// concerned.
    ClockDrift {
        /// The host.
        host: String,
        /// How much too fast, in millionths; too slow, if negative.
        ppm: i64,
        /// For how long.
        for_ms: u64,
    },
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A host of the system.
    Host(&'a str),
    /// A client.
    Client(&'a str),
    /// A link.
    Link {
        /// One end.
        from: &'a str,
        /// The other end.
        to: &'a str,
        /// Which messages are concerned.
        direction: Direction,
    },
}

/// The field that says how long a fault lasts, by whatever reference it is reached.
macro_rules! duration_of {
    ($fault:expr) => {
        match $fault {
            Fault::Kill { restart_after_ms: ms, .. }
            | Fault::PowerCut { restart_after_ms: ms, .. }
            | Fault::BitRot { restart_after_ms: ms, .. }
            | Fault::Truncation { restart_after_ms: ms, .. }
            | Fault::StaleImage { restart_after_ms: ms, .. }
            | Fault::Forget { restart_after_ms: ms, .. }
            | Fault::Cut { heal_after_ms: ms, .. }
            | Fault::Pause { for_ms: ms, .. }
            | Fault::Delay { for_ms: ms, .. }
            | Fault::Reorder { for_ms: ms, .. }
            | Fault::Duplicate { for_ms: ms, .. }
            | Fault::Disk { for_ms: ms, .. }
            | Fault::SlowDisk { for_ms: ms, .. }
            | Fault::ClockSkew { for_ms: ms, .. }
            | Fault::ClockDrift { for_ms: ms, .. } => ms,
        }
    };
}

impl Fault {
    /// Where it strikes.
    pub fn place(&self) -> Place<'_> {
        match self {
            Fault::Kill { host, .. }
            | Fault::PowerCut { host, .. }
            | Fault::Pause { host, .. }
            | Fault::Disk { host, .. }
            | Fault::SlowDisk { host, .. }
            | Fault::BitRot { host, .. }
            | Fault::Truncation { host, .. }
            | Fault::StaleImage { host, .. }
            | Fault::Forget { host, .. }
            | Fault::ClockSkew { host, .. }
            | Fault::ClockDrift { host, .. } => Place::Host(host),
            Fault::Duplicate { client, .. } => Place::Client(client),
            Fault::Cut { from, to, direction, .. } => Place::Link { from, to, direction: *direction },
            Fault::Delay { from, to, .. } | Fault::Reorder { from, to, .. } => {
                Place::Link { from, to, direction: Direction::Both }
            }
        }
    }

    /// How long it lasts, or how long the host that it takes down stays down, in milliseconds.
    pub fn lasts_ms(&self) -> u64 {
        *duration_of!(self)
    }

    /// Makes it last for so long.
    pub fn set_lasts_ms(&mut self, ms: u64) {
        *duration_of!(self) = ms;
    }

    /// The file that it damages, where it names one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Fault::BitRot { file, .. } | Fault::Truncation { file, .. } => Some(file),
            Fault::StaleImage { file, .. } => file.as_deref(),
            _ => None,
        }
    }

    /// Whether it takes its host down, until that is started again.
    pub fn is_crash(&self) -> bool {
        match self {
            Fault::Kill { .. }
            | Fault::PowerCut { .. }
            | Fault::BitRot { .. }
            | Fault::Truncation { .. }
            | Fault::StaleImage { .. }
            | Fault::Forget { .. } => true,
            Fault::Pause { .. }
            | Fault::Cut { .. }
            | Fault::Delay { .. }
            | Fault::Reorder { .. }
            | Fault::Duplicate { .. }
            | Fault::Disk { .. }
            | Fault::SlowDisk { .. }
            | Fault::ClockSkew { .. }
            | Fault::ClockDrift { .. } => false,
        }
    }

    /// Whether a store can lose by it what it has acknowledged: then not to serve is all that can be asked of software
    /// that finds out.
    pub fn breaks_media(&self) -> bool {
        match self {
            Fault::Disk { kind, .. } => *kind == DiskKind::LyingSync,
            Fault::BitRot { .. } | Fault::Truncation { .. } | Fault::StaleImage { .. } | Fault::Forget { .. } => true,
            _ => false,
        }
    }

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
            Fault::Disk { kind, .. } => kind.name(),
            Fault::SlowDisk { .. } => "slow_disk",
            Fault::BitRot { .. } => "bit_rot",
            Fault::Truncation { .. } => "truncation",
            Fault::StaleImage { .. } => "stale_image",
            Fault::Forget { .. } => "forget",
            Fault::ClockSkew { .. } => "clock_skew",
            Fault::ClockDrift { .. } => "clock_drift",
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
            Fault::Disk { host, percent, at_most, for_ms, .. } => {
                write!(f, "{name} on {host} in {percent} % of the operations")?;
                if let Some(most) = at_most {
                    write!(f, ", at most {most}")?;
                }
                write!(f, ", for {for_ms} ms")
            }
            Fault::SlowDisk { host, extra_ms, for_ms } => {
                write!(f, "{name} on {host} by {extra_ms} ms for {for_ms} ms")
            }
            Fault::BitRot { host, file, after, bits, restart_after_ms } => {
                write!(f, "{name} of {bits} bits in {file} on {host}")?;
                if let Some(text) = after {
                    write!(f, " after {text:?}")?;
                }
                write!(f, ", restart after {restart_after_ms} ms")
            }
            Fault::Truncation { host, file, keep_percent, restart_after_ms } => {
                write!(f, "{name} of {file} on {host} to {keep_percent} %, restart after {restart_after_ms} ms")
            }
            Fault::StaleImage { host, file, as_of_ms, restart_after_ms } => {
                let what = file.as_deref().unwrap_or("all files");
                write!(f, "{name} of {what} on {host} as of {as_of_ms} ms, restart after {restart_after_ms} ms")
            }
            Fault::Forget { host, commits, restart_after_ms } => {
                write!(f, "{name} {commits} commits on {host}, restart after {restart_after_ms} ms")
            }
            Fault::ClockSkew { host, by_ms, for_ms } => write!(f, "{name} of {host} by {by_ms} ms for {for_ms} ms"),
            Fault::ClockDrift { host, ppm, for_ms } => write!(f, "{name} of {host} by {ppm} ppm for {for_ms} ms"),
        }
    }
}

/// What goes wrong with operations on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskKind {
    /// Reads fail.
    ReadError,
    /// Reads return fewer bytes than the file has.
    ShortRead,
    /// Writes fail, perhaps half done.
    WriteError,
    /// Syncs fail, and what they were to make durable may be lost.
    SyncError,
    /// There is no room: writes fail.
    DiskFull,
    /// Syncs answer "done" and do nothing.
    LyingSync,
}

impl DiskKind {
    /// The kind in one word.
    pub fn name(self) -> &'static str {
        match self {
            DiskKind::ReadError => "read_error",
            DiskKind::ShortRead => "short_read",
            DiskKind::WriteError => "write_error",
            DiskKind::SyncError => "sync_error",
            DiskKind::DiskFull => "disk_full",
            DiskKind::LyingSync => "lying_sync",
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_first(nth: &u64) -> bool {
    *nth == first()
}

fn all() -> u64 {
    100
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_all(percent: &u64) -> bool {
    *percent == all()
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
