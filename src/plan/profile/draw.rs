//! Drawing one fault of a kind.
//!
//! Triggers and durations are skewed towards the early and the short: that is where most of what happens is, and a late
//! or long one must be rare rather than absent. A point that the run never reaches costs a strike and nothing else.

use super::Ground;
use crate::plan::{CutKind, Direction, DiskKind, Fault, PlannedFault, PointKind, Trigger};
use crate::stream::Stream;
use crate::sut::HostSpec;

/// Draws one strike; several faults when a host loses all its links at once. Nothing where nothing can be struck.
pub(super) type Draw = fn(&mut Stream, &Ground<'_>) -> Vec<PlannedFault>;

/// How often a named point is passed before a fault strikes there, at most.
const POINT_NTH_MAX: u64 = 4;

/// Up to which ordinal of each kind faults are drawn; a short scenario has about so many points.
const ORDINAL_MAX: [(PointKind, u64); 3] = [(PointKind::Effect, 40), (PointKind::Disk, 300), (PointKind::Network, 120)];

/// Ranges of a fault's duration in milliseconds: less than a request, a few requests, longer than a time-out.
const DURATIONS_MS: [(u64, u64); 3] = [(20, 100), (100, 500), (500, 2_000)];

/// Whether a kind can be drawn on this ground at all.
pub(super) fn possible(kind: &str, ground: &Ground<'_>) -> bool {
    let hosts = !ground.hosts.is_empty();
    match kind {
        "kill" | "power_cut" => hosts,
        "pause" => ground.hosts.iter().any(|host| !host.points.is_empty()),
        "read_error" | "short_read" | "write_error" | "sync_error" | "disk_full" | "lying_sync" | "slow_disk"
        | "bit_rot" | "truncation" | "stale_image" => ground.hosts.iter().any(|host| !host.files.is_empty()),
        "forget" => ground.hosts.iter().any(|host| host.forgets),
        "clock_skew" | "clock_drift" => hosts,
        "duplicate" => !ground.clients.is_empty(),
        _ => hosts && ground.hosts.len() + ground.clients.len() > 1,
    }
}

pub(super) fn kill(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    strike(random, ground, |host, restart_after_ms| Fault::Kill { host, restart_after_ms })
}

pub(super) fn power_cut(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    strike(random, ground, |host, restart_after_ms| Fault::PowerCut { host, restart_after_ms })
}

fn strike(random: &mut Stream, ground: &Ground<'_>, fault: impl Fn(String, u64) -> Fault) -> Vec<PlannedFault> {
    let Some(host) = random.pick(ground.hosts) else { return Vec::new() };
    let at = trigger(random, ground, host);
    vec![PlannedFault { at, fault: fault(host.name.to_owned(), duration_ms(random)) }]
}

/// Somebody stands still between two effects: always at a point, since nobody can be stopped anywhere else.
pub(super) fn pause(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    let with_points: Vec<&HostSpec> = ground.hosts.iter().filter(|host| !host.points.is_empty()).collect();
    let Some(host) = random.pick(&with_points) else { return Vec::new() };
    let at = if random.percent(75) { named_point(random, host) } else { ordinal(random, host, PointKind::Effect) };
    vec![PlannedFault { at, fault: Fault::Pause { host: host.name.to_owned(), for_ms: duration_ms(random) } }]
}

pub(super) fn stall(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    cut(random, ground, CutKind::Stall, Direction::Both)
}

pub(super) fn blackhole(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    cut(random, ground, CutKind::Blackhole, Direction::Both)
}

pub(super) fn one_way_cut(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    let kind = if random.percent(50) { CutKind::Stall } else { CutKind::Blackhole };
    cut(random, ground, kind, Direction::OneWay)
}

/// One link, or one time in three every link of a host: alone is what a partition makes of the smaller side.
fn cut(random: &mut Stream, ground: &Ground<'_>, kind: CutKind, direction: Direction) -> Vec<PlannedFault> {
    let Some((host, other)) = link(random, ground) else { return Vec::new() };
    let at = trigger(random, ground, host);
    let heal_after_ms = duration_ms(random);
    let others = if random.percent(33) { others(ground, host) } else { vec![other] };
    // Of a one-way cut either what the host says or what it is told gets lost.
    let outward = random.percent(50);
    let faults = others.into_iter().map(|other| {
        let (from, to) = if outward { (host.name, other) } else { (other, host.name) };
        let fault = Fault::Cut { from: from.to_owned(), to: to.to_owned(), kind, direction, heal_after_ms };
        PlannedFault { at: at.clone(), fault }
    });
    faults.collect()
}

/// From hardly noticeable to longer than a client waits.
pub(super) fn delay(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    let Some((host, other)) = link(random, ground) else { return Vec::new() };
    let fault = Fault::Delay {
        from: host.name.to_owned(),
        to: other.to_owned(),
        extra_ms: random.between(5, 500),
        for_ms: duration_ms(random),
    };
    vec![PlannedFault { at: trigger(random, ground, host), fault }]
}

pub(super) fn reorder(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    let Some((host, other)) = link(random, ground) else { return Vec::new() };
    let fault = Fault::Reorder {
        from: host.name.to_owned(),
        to: other.to_owned(),
        spread_ms: random.between(5, 100),
        for_ms: duration_ms(random),
    };
    vec![PlannedFault { at: trigger(random, ground, host), fault }]
}

/// At a time: a client has no points, and it is its requests that are doubled.
pub(super) fn duplicate(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    let Some(client) = random.pick(ground.clients) else { return Vec::new() };
    let at = Trigger::Ms(random.below(ground.active_ms));
    vec![PlannedFault { at, fault: Fault::Duplicate { client: client.clone(), for_ms: duration_ms(random) } }]
}

pub(super) fn read_error(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    disk(random, ground, DiskKind::ReadError)
}

pub(super) fn short_read(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    disk(random, ground, DiskKind::ShortRead)
}

pub(super) fn write_error(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    disk(random, ground, DiskKind::WriteError)
}

pub(super) fn sync_error(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    disk(random, ground, DiskKind::SyncError)
}

pub(super) fn disk_full(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    disk(random, ground, DiskKind::DiskFull)
}

pub(super) fn lying_sync(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    disk(random, ground, DiskKind::LyingSync)
}

/// A single operation, or several while it lasts, or all of them: an error that passes at once is not handled by the
/// same code as one that stays.
fn disk(random: &mut Stream, ground: &Ground<'_>, kind: DiskKind) -> Vec<PlannedFault> {
    with_files(random, ground, |random, host| Fault::Disk {
        host: host.name.to_owned(),
        kind,
        percent: random.pick(&[100, 50, 10]).copied().unwrap_or(100),
        at_most: random.percent(50).then_some(1),
        for_ms: duration_ms(random),
    })
}

pub(super) fn slow_disk(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    with_files(random, ground, |random, host| Fault::SlowDisk {
        host: host.name.to_owned(),
        extra_ms: early(random, 30),
        for_ms: duration_ms(random),
    })
}

pub(super) fn bit_rot(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    with_files(random, ground, |random, host| Fault::BitRot {
        host: host.name.to_owned(),
        file: file(random, host),
        after: None,
        bits: early(random, 64),
        restart_after_ms: duration_ms(random),
    })
}

pub(super) fn truncation(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    with_files(random, ground, |random, host| Fault::Truncation {
        host: host.name.to_owned(),
        file: file(random, host),
        keep_percent: random.between(0, 99),
        restart_after_ms: duration_ms(random),
    })
}

pub(super) fn stale_image(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    let as_of_ms = random.below(ground.active_ms);
    with_files(random, ground, |random, host| Fault::StaleImage {
        host: host.name.to_owned(),
        file: random.percent(30).then(|| file(random, host)),
        as_of_ms,
        restart_after_ms: duration_ms(random),
    })
}

/// By less than a request takes, by a time-out, by an hour, by a year; as often behind as ahead.
pub(super) fn clock_skew(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    const RANGES_MS: [(u64, u64); 4] = [(1, 50), (500, 5_000), (1_800_000, 7_200_000), (86_400_000, 366 * 86_400_000)];
    clock(random, ground, |random, host, for_ms| Fault::ClockSkew { host, by_ms: signed(random, &RANGES_MS), for_ms })
}

/// By more than any quartz does, which would not show in the seconds that a run takes.
pub(super) fn clock_drift(random: &mut Stream, ground: &Ground<'_>) -> Vec<PlannedFault> {
    const RANGES_PPM: [(u64, u64); 2] = [(5_000, 50_000), (50_000, 900_000)];
    clock(random, ground, |random, host, for_ms| Fault::ClockDrift { host, ppm: signed(random, &RANGES_PPM), for_ms })
}

fn clock(
    random: &mut Stream,
    ground: &Ground<'_>,
    fault: impl Fn(&mut Stream, String, u64) -> Fault,
) -> Vec<PlannedFault> {
    let Some(host) = random.pick(ground.hosts) else { return Vec::new() };
    let at = trigger(random, ground, host);
    let for_ms = duration_ms(random);
    vec![PlannedFault { at, fault: fault(random, host.name.to_owned(), for_ms) }]
}

fn signed(random: &mut Stream, ranges: &[(u64, u64)]) -> i64 {
    let (low, high) = random.pick(ranges).copied().unwrap_or((1, 1));
    let size = i64::try_from(random.between(low, high)).unwrap_or(i64::MAX);
    if random.percent(50) { size } else { -size }
}

/// Strikes a host that keeps files.
fn with_files(
    random: &mut Stream,
    ground: &Ground<'_>,
    fault: impl Fn(&mut Stream, &HostSpec) -> Fault,
) -> Vec<PlannedFault> {
    let hosts: Vec<&HostSpec> = ground.hosts.iter().filter(|host| !host.files.is_empty()).collect();
    let Some(host) = random.pick(&hosts) else { return Vec::new() };
    vec![PlannedFault { at: trigger(random, ground, host), fault: fault(random, host) }]
}

fn file(random: &mut Stream, host: &HostSpec) -> String {
    random.pick(&host.files).map_or_else(String::new, |file| (*file).to_owned())
}

/// A host and somebody it may talk to. Clients do not talk to one another, and half of the links drawn are between
/// hosts, however many clients there are.
fn link<'a>(random: &mut Stream, ground: &Ground<'a>) -> Option<(&'a HostSpec, &'a str)> {
    let host = random.pick(ground.hosts)?;
    let among_hosts = ground.clients.is_empty() || (ground.hosts.len() > 1 && random.percent(50));
    let ends: Vec<&str> = if among_hosts {
        ground.hosts.iter().map(|other| other.name).filter(|other| *other != host.name).collect()
    } else {
        ground.clients.iter().map(String::as_str).collect()
    };
    random.pick(&ends).map(|other| (host, *other))
}

/// Everybody but the host.
fn others<'a>(ground: &Ground<'a>, host: &HostSpec) -> Vec<&'a str> {
    let hosts = ground.hosts.iter().map(|other| other.name).filter(|other| *other != host.name);
    hosts.chain(ground.clients.iter().map(String::as_str)).collect()
}

/// A time, a named point or an ordinal. Two in three are points: they fall between two effects by construction, which a
/// time hits only by luck.
fn trigger(random: &mut Stream, ground: &Ground<'_>, host: &HostSpec) -> Trigger {
    match random.below(6) {
        0 | 1 => Trigger::Ms(random.below(ground.active_ms)),
        2 | 3 if !host.points.is_empty() => named_point(random, host),
        _ => {
            let kinds = if host.points.is_empty() { &ORDINAL_MAX[1..] } else { &ORDINAL_MAX[..] };
            let kind = random.pick(kinds).map_or(PointKind::Network, |(kind, _)| *kind);
            ordinal(random, host, kind)
        }
    }
}

/// A named point of a host that has some.
fn named_point(random: &mut Stream, host: &HostSpec) -> Trigger {
    let point = random.pick(&host.points).cloned().unwrap_or_default();
    Trigger::Point { host: host.name.to_owned(), point, nth: early(random, POINT_NTH_MAX) }
}

fn ordinal(random: &mut Stream, host: &HostSpec, kind: PointKind) -> Trigger {
    let most = ORDINAL_MAX.iter().find(|(of, _)| *of == kind).map_or(1, |(_, most)| *most);
    Trigger::Ordinal { host: host.name.to_owned(), kind, nth: early(random, most) }
}

/// A number from 1 to `most`, the smaller the likelier.
fn early(random: &mut Stream, most: u64) -> u64 {
    let bound = random.between(1, most);
    random.between(1, bound)
}

fn duration_ms(random: &mut Stream) -> u64 {
    let (low, high) = random.pick(&DURATIONS_MS).copied().unwrap_or(DURATIONS_MS[0]);
    random.between(low, high)
}
