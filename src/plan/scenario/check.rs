//! What serde cannot see: figures that make no sense, and names that do not exist.

use std::collections::BTreeSet;

use super::document::{Document, Place};
use super::error::ScenarioError;
use super::nearest::suggestion;
use super::{Expect, Scenario, Step};
use crate::plan::{FAULT_KINDS, Fault, Network, Place as Struck, PlannedFault, PointKind, Topology, Trigger};
use crate::sut::HostSpec;

/// Somewhere in what somebody wrote: where an error points.
pub(super) trait Spot: Sized {
    /// What stands there under a key.
    fn key(&self, key: &str) -> Self;

    /// What stands there at an index.
    fn item(&self, index: usize) -> Self;

    /// An error about it.
    fn error(&self, message: impl Into<String>, remedy: impl Into<String>) -> ScenarioError;
}

/// Checks what can be checked without knowing the system.
pub(super) fn figures<Op>(scenario: &Scenario<Op>, document: &Document<'_>) -> Result<(), ScenarioError> {
    let root = document.root();
    let durations = [
        ("limit_ms", scenario.limit_ms),
        ("settle_ms", scenario.settle_ms),
        ("supervisor_restart_ms", scenario.supervisor_restart_ms),
    ];
    durations.iter().try_for_each(|(key, ms)| not_zero(&root, key, *ms))?;
    network(scenario.network, &root.key("network"))?;
    if let Some(workload) = &scenario.workload {
        let remedy = "write how many operations each client makes, at least 1";
        let place = root.key("workload").key("operations");
        ensure(workload.operations > 0, || place.error("the workload is empty", remedy))?;
    }
    clients(scenario, &root)?;
    scenario.steps.iter().enumerate().try_for_each(|(index, step)| {
        let place = root.key("steps").item(index);
        match step {
            Step::Operation { client, at_ms, .. } => {
                in_time(*at_ms, scenario.limit_ms, &place)?;
                known(client, scenario.clients.iter().map(String::as_str), "clients", &place.key("client"))
            }
            Step::Fault(planned) => fault(planned, scenario.limit_ms, &place),
        }
    })
}

/// Checks every name against those that exist.
pub(super) fn names<Op>(
    scenario: &Scenario<Op>,
    document: &Document<'_>,
    topology: &Topology,
) -> Result<(), ScenarioError> {
    let root = document.root();
    if let Some(client) = scenario.clients.iter().find(|client| topology.host(client).is_some()) {
        let message = format!("the client `{client}` has the name of a host");
        return Err(client_place(scenario, client, &root).error(message, "give the client another name"));
    }
    for (index, name) in scenario.checks.iter().enumerate() {
        let checks = topology.checks.iter().map(String::as_str);
        known(name, checks, "checks", &root.key("checks").item(index))?;
    }
    for (index, name) in scenario.expect.marks.iter().enumerate() {
        let marks = topology.marks.iter().map(String::as_str);
        known(name, marks, "marks", &root.key("expect").key("marks").item(index))?;
    }
    for (index, step) in scenario.steps.iter().enumerate() {
        if let Step::Fault(planned) = step {
            let step = root.key("steps").item(index);
            let fault = step.key("fault").key(spelled(&planned.fault));
            struck(planned, &scenario.clients, topology, &step.key("at"), &fault)?;
        }
    }
    let possible = scenario.possible_faults(topology);
    for (index, name) in scenario.expect.faults.iter().flatten().enumerate() {
        let place = root.key("expect").key("faults").item(index);
        known(name, FAULT_KINDS, "faults", &place)?;
        ensure(possible.contains(name.as_str()), || {
            let message = format!("nothing in this scenario makes a `{name}`");
            place.error(message, "add a step with this fault or a profile that draws it, or do not expect it")
        })?;
    }
    Ok(())
}

/// What the system said about its options, at the option it speaks of where one can be found.
pub(super) fn refused(document: &Document<'_>, table: &str, refusal: &str) -> ScenarioError {
    let place = document.root().key(table);
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut words = refusal.split(|c| !is_word(c));
    // The first that is named is the one that is wrong; others may be proposed in its place.
    let option = words.find(|word| place.keys().any(|key| key == *word));
    let at = option.map_or_else(|| place.clone(), |option| place.word(option));
    let misplaced = option.is_some_and(|option| TOP_LEVEL.contains(&option));
    let remedy = if misplaced {
        format!("a key below `[{table}]` belongs to that table: move this one above the first `[…]`")
    } else {
        format!("correct the option below `[{table}]`")
    };
    at.error(refusal, remedy)
}

/// Keys that people write below a table by mistake, where TOML takes them for keys of the table.
const TOP_LEVEL: [&str; 9] =
    ["clients", "limit_ms", "settle_ms", "supervisor_restart_ms", "profile", "checks", "seeds", "sweep", "steps"];

fn ensure(holds: bool, error: impl FnOnce() -> ScenarioError) -> Result<(), ScenarioError> {
    if holds { Ok(()) } else { Err(error()) }
}

pub(super) fn known<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
    what: &str,
    place: &impl Spot,
) -> Result<(), ScenarioError> {
    let names: Vec<&str> = names.into_iter().collect();
    let one = what.strip_suffix('s').unwrap_or(what);
    ensure(names.contains(&name), || place.error(format!("unknown {one} `{name}`"), suggestion(name, names, what)))
}

fn not_zero(table: &impl Spot, key: &str, figure: u64) -> Result<(), ScenarioError> {
    ensure(figure > 0, || table.key(key).error(format!("`{key}` is zero"), "write a number of milliseconds from 1 up"))
}

fn in_time(at_ms: u64, limit_ms: u64, step: &impl Spot) -> Result<(), ScenarioError> {
    ensure(at_ms < limit_ms, || {
        let message = format!("the step is due at {at_ms} ms, and the run is ended at {limit_ms} ms");
        step.key("at_ms").error(message, "write an earlier time, or a larger `limit_ms` at the top of the file")
    })
}

/// Figures of the network.
pub(super) fn network(network: Network, place: &impl Spot) -> Result<(), ScenarioError> {
    not_zero(place, "tick_ms", network.tick_ms)?;
    ensure(network.latency_ms_min <= network.latency_ms_max, || {
        let message =
            format!("the least latency is {} ms, the greatest {} ms", network.latency_ms_min, network.latency_ms_max);
        place.key("latency_ms_min").error(message, "write `latency_ms_min` no larger than `latency_ms_max`")
    })
}

fn clients<Op>(scenario: &Scenario<Op>, root: &Place<'_>) -> Result<(), ScenarioError> {
    // What is left of a failure may have gone wrong with nobody there.
    let expects_nothing = scenario.expect == Expect::nothing();
    if scenario.clients.is_empty() && (scenario.workload.is_some() || !expects_nothing) {
        return Err(if scenario.workload.is_some() {
            root.key("workload").error("the workload has no clients", "add `clients = 2` at the top of the file")
        } else {
            root.key("steps").error("nobody does anything", "add a step with `client` and `do`, or a `[workload]`")
        });
    }
    let mut seen = BTreeSet::new();
    for client in &scenario.clients {
        let place = client_place(scenario, client, root);
        let is_name = client.starts_with(|c: char| c.is_ascii_lowercase())
            && client.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        ensure(is_name, || {
            let remedy = "write a lower-case letter, then lower-case letters, digits, `-` and `_`: it names a host";
            place.error(format!("`{client}` cannot be the name of a client"), remedy)
        })?;
        ensure(seen.insert(client), || place.error(format!("the client `{client}` is named twice"), "name it once"))?;
    }
    ensure(
        expects_nothing
            || scenario.workload.is_some()
            || scenario.steps.iter().any(|step| matches!(step, Step::Operation { .. })),
        || {
            root.key("clients")
                .error("the clients have nothing to do", "add a step with `client` and `do`, or a `[workload]`")
        },
    )
}

/// Where a client is named last: in the list of clients, or else by a step.
fn client_place<'d, Op>(scenario: &Scenario<Op>, client: &str, root: &Place<'d>) -> Place<'d> {
    if root.keys().any(|key| key == "clients") {
        let index = scenario.clients.iter().rposition(|name| name == client);
        return index.map_or_else(|| root.key("clients"), |index| root.key("clients").item(index));
    }
    let named = |step: &Step<Op>| matches!(step, Step::Operation { client: name, .. } if name == client);
    let index = scenario.steps.iter().position(named);
    index.map_or_else(|| root.clone(), |index| root.key("steps").item(index).key("client"))
}

/// Figures of a fault.
pub(super) fn fault(planned: &PlannedFault, limit_ms: u64, step: &impl Spot) -> Result<(), ScenarioError> {
    let PlannedFault { at, fault } = planned;
    match at {
        Trigger::Ms(ms) => in_time(*ms, limit_ms, step)?,
        Trigger::Point { nth, .. } => counted_from_1(*nth, &step.key("at").key("nth"))?,
        Trigger::Ordinal { kind, nth, .. } => counted_from_1(*nth, &step.key("at").key(ordinal_key(*kind)))?,
    }
    let place = step.key("fault").key(spelled(fault));
    extents(fault, &place)?;
    if let Fault::Pause { host, .. } = fault {
        let on = match at {
            Trigger::Point { host, .. } | Trigger::Ordinal { host, kind: PointKind::Effect, .. } => Some(host),
            Trigger::Ms(_) | Trigger::Ordinal { .. } => None,
        };
        let remedy = "a pause holds whoever reaches a point: write `at = { point = \"…\", host = \"…\" }`, \
                      or `effect = 1` in place of the point";
        let Some(on) = on else {
            return Err(step.key("fault").error("a pause needs a point that somebody reaches", remedy));
        };
        ensure(on == host, || {
            let message = format!("the pause on `{host}` is triggered by a point of `{on}`");
            place.key("host").error(message, format!("write `host = \"{on}\"`: who reaches the point is held there"))
        })?;
    }
    Ok(())
}

/// How a kind of fault is spelled in a file.
pub(super) fn spelled(fault: &Fault) -> &'static str {
    match fault {
        Fault::Cut { .. } => "cut",
        Fault::Disk { .. } => "disk",
        other => other.name(),
    }
}

/// How long a fault lasts and how much of it there is.
fn extents(fault: &Fault, place: &impl Spot) -> Result<(), ScenarioError> {
    let lasts = match fault {
        Fault::Cut { .. } => "heal_after_ms",
        Fault::Kill { .. }
        | Fault::PowerCut { .. }
        | Fault::BitRot { .. }
        | Fault::Truncation { .. }
        | Fault::StaleImage { .. }
        | Fault::Forget { .. } => "restart_after_ms",
        _ => "for_ms",
    };
    not_zero(place, lasts, fault.lasts_ms())?;
    let some = |key: &str, figure: u64| {
        let remedy = "write a number from 1 up";
        ensure(figure > 0, || place.key(key).error(format!("`{key}` is zero: the fault does nothing"), remedy))
    };
    let percent = |key: &str, figure: u64, range: std::ops::RangeInclusive<u64>| {
        let remedy = format!("write a number from {} to {}", range.start(), range.end());
        ensure(range.contains(&figure), || place.key(key).error(format!("`{key}` is {figure}"), remedy))
    };
    match fault {
        Fault::Delay { extra_ms, .. } | Fault::SlowDisk { extra_ms, .. } => not_zero(place, "extra_ms", *extra_ms),
        Fault::Reorder { spread_ms, .. } => not_zero(place, "spread_ms", *spread_ms),
        Fault::Disk { percent: figure, at_most, .. } => {
            percent("percent", *figure, 1..=100)?;
            at_most.map_or(Ok(()), |most| some("at_most", most))
        }
        Fault::BitRot { after, bits, .. } => {
            let is_blank = after.as_ref().is_some_and(String::is_empty);
            ensure(!is_blank, || {
                place.key("after").error("`after` is empty", "leave it out to hit the file anywhere")
            })?;
            some("bits", *bits)
        }
        Fault::Truncation { keep_percent, .. } => percent("keep_percent", *keep_percent, 0..=99),
        Fault::Forget { commits, .. } => some("commits", *commits),
        Fault::ClockSkew { by_ms, .. } => some("by_ms", by_ms.unsigned_abs()),
        Fault::ClockDrift { ppm, .. } => some("ppm", ppm.unsigned_abs()),
        _ => Ok(()),
    }
}

fn ordinal_key(kind: PointKind) -> &'static str {
    match kind {
        PointKind::Effect => "effect",
        PointKind::Disk => "disk",
        PointKind::Network => "network",
    }
}

pub(super) fn counted_from_1(nth: u64, place: &impl Spot) -> Result<(), ScenarioError> {
    ensure(nth > 0, || place.error("points are counted from 1", "write a number from 1 up"))
}

/// Names of a fault and of its trigger, and where they stand.
pub(super) fn struck<P: Spot>(
    planned: &PlannedFault,
    clients: &[String],
    topology: &Topology,
    at: &P,
    place: &P,
) -> Result<(), ScenarioError> {
    let hosts = || topology.hosts.iter().map(|host| host.name);
    let clients = || clients.iter().map(String::as_str);
    match &planned.at {
        Trigger::Ms(_) => {}
        Trigger::Point { host, point, .. } => {
            known(host, hosts(), "hosts", &at.key("host"))?;
            let spec = topology.host(host);
            let points = spec.into_iter().flat_map(|host| host.points.iter().chain(&host.passes).map(String::as_str));
            let place = at.key("point");
            known(point, points, "points", &place)
                .map_err(|error| ScenarioError { message: format!("{} on `{host}`", error.message), ..error })?;
            let passed = spec.is_some_and(|host| host.passes.contains(point));
            ensure(!(passed && matches!(planned.fault, Fault::Pause { .. })), || {
                place.error("nobody can stand still at this point", "pause at another, or delay the host's messages")
            })?;
        }
        Trigger::Ordinal { host, .. } => known(host, hosts(), "hosts", &at.key("host"))?,
    }
    let fault = &planned.fault;
    match fault.place() {
        Struck::Host(host) => {
            known(host, hosts(), "hosts", &place.key("host"))?;
            topology.host(host).map_or(Ok(()), |spec| possessed(fault, spec, place))
        }
        Struck::Client(client) => known(client, clients(), "clients", &place.key("client")),
        Struck::Link { from, to, .. } => {
            known(from, hosts().chain(clients()), "hosts", &place.key("from"))?;
            known(to, hosts().chain(clients()), "hosts", &place.key("to"))?;
            ensure(from != to, || {
                place.key("to").error(format!("a link from `{from}` to itself"), "write two different hosts")
            })
        }
    }
}

/// What the host must have to be struck in this way: files, or a store that can forget.
fn possessed(fault: &Fault, host: &HostSpec, place: &impl Spot) -> Result<(), ScenarioError> {
    let needs_files = matches!(fault, Fault::Disk { .. } | Fault::SlowDisk { .. } | Fault::StaleImage { .. });
    ensure(!(needs_files && host.files.is_empty()), || {
        place.key("host").error(format!("`{}` keeps no files", host.name), "name a host that does")
    })?;
    ensure(host.forgets || !matches!(fault, Fault::Forget { .. }), || {
        let message = format!("the store of `{}` cannot forget what it acknowledged", host.name);
        place.key("host").error(message, "name a host whose store can")
    })?;
    fault.file().map_or(Ok(()), |file| {
        known(file, host.files.iter().copied(), "files", &place.key("file"))
            .map_err(|error| ScenarioError { message: format!("{} on `{}`", error.message, host.name), ..error })
    })
}
