//! The form of a scenario file, and what can be said about it without knowing the system.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::document::{Document, Place};
use super::error::ScenarioError;
use super::{Expect, LIMIT_MS, SETTLE_MS, SUPERVISOR_RESTART_MS, Scenario, Step, Workload};
use crate::plan::{Fault, Network, PlannedFault, PointKind, Profile, Trigger};

/// A scenario asks for hosts by number up to this many; each costs time at every step of simulated time.
const CLIENTS_MAX: u64 = 100;

/// Reads a document's shape.
pub(super) fn read<Op: DeserializeOwned>(document: &Document<'_>) -> Result<Scenario<Op>, ScenarioError> {
    let form: Form<Op> = Form::deserialize(document.node()).map_err(|fail| fail.into_error(document))?;
    let places = document.root().key("steps");
    let steps = form.steps.into_iter().enumerate();
    let steps: Vec<Step<Op>> = steps.map(|(index, step)| step.read(&places.item(index))).collect::<Result<_, _>>()?;
    let clients = match form.clients {
        Some(Clients::Names(names)) => names,
        Some(Clients::Count(count)) => numbered(count),
        None => default_clients(&steps),
    };
    let network = Network::default();
    Ok(Scenario {
        name: document.name(),
        about: document.about(),
        clients,
        limit_ms: form.limit_ms.unwrap_or(LIMIT_MS),
        settle_ms: form.settle_ms.unwrap_or(SETTLE_MS),
        supervisor_restart_ms: form.supervisor_restart_ms.unwrap_or(SUPERVISOR_RESTART_MS),
        network: Network {
            tick_ms: form.network.tick_ms.unwrap_or(network.tick_ms),
            latency_ms_min: form.network.latency_ms_min.unwrap_or(network.latency_ms_min),
            latency_ms_max: form.network.latency_ms_max.unwrap_or(network.latency_ms_max),
        },
        steps,
        workload: form.workload,
        profile: form.profile,
        system: form.system.map_or(serde_json::Value::Null, serde_json::Value::Object),
        expect: form.expect,
        checks: form.checks,
        seeds: form.seeds,
        sweep: form.sweep,
    })
}

/// Clients known by number alone: `c1`, `c2` …
fn numbered(count: u64) -> Vec<String> {
    (1..=count).map(|number| format!("c{number}")).collect()
}

/// The clients of a scenario that does not say: those that its steps name, in order of their first appearance.
pub(in crate::plan) fn default_clients<Op>(steps: &[Step<Op>]) -> Vec<String> {
    let mut clients: Vec<String> = Vec::new();
    for step in steps {
        if let Step::Operation { client, .. } = step
            && !clients.contains(client)
        {
            clients.push(client.clone());
        }
    }
    clients
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "Op: DeserializeOwned")]
struct Form<Op> {
    clients: Option<Clients>,
    limit_ms: Option<u64>,
    settle_ms: Option<u64>,
    supervisor_restart_ms: Option<u64>,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    checks: Vec<String>,
    #[serde(default)]
    seeds: Vec<u64>,
    #[serde(default)]
    sweep: bool,
    #[serde(default = "Vec::new")]
    steps: Vec<StepForm<Op>>,
    workload: Option<Workload>,
    #[serde(default)]
    network: NetworkForm,
    system: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    expect: Expect,
}

/// What of the network differs from the default.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NetworkForm {
    tick_ms: Option<u64>,
    latency_ms_min: Option<u64>,
    latency_ms_max: Option<u64>,
}

/// `clients = 2` or `clients = ["writer", "reader"]`.
enum Clients {
    Count(u64),
    Names(Vec<String>),
}

impl<'de> Deserialize<'de> for Clients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Clients, D::Error> {
        struct NumberOrNames;

        impl<'de> Visitor<'de> for NumberOrNames {
            type Value = Clients;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number from 1 to {CLIENTS_MAX}, or an array of names")
            }

            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Clients, E> {
                match u64::try_from(count) {
                    Ok(count @ 1..=CLIENTS_MAX) => Ok(Clients::Count(count)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Signed(count), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Clients, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = items.next_element()? {
                    names.push(name);
                }
                if names.is_empty() { Err(A::Error::invalid_length(0, &self)) } else { Ok(Clients::Names(names)) }
            }
        }

        deserializer.deserialize_any(NumberOrNames)
    }
}

impl<'de> Deserialize<'de> for Workload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Workload, D::Error> {
        struct OperationsAndOptions;

        impl<'de> Visitor<'de> for OperationsAndOptions {
            type Value = Workload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with `operations = …` and the workload's own words")
            }

            // By hand, since `flatten` would read the values before it knows their types, and lose their places.
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Workload, A::Error> {
                let mut operations = None;
                let mut options = serde_json::Map::new();
                while let Some(key) = entries.next_key::<String>()? {
                    if key == "operations" {
                        operations = Some(entries.next_value()?);
                    } else {
                        options.insert(key, entries.next_value()?);
                    }
                }
                let operations = operations.ok_or_else(|| A::Error::missing_field("operations"))?;
                Ok(Workload { operations, options })
            }
        }

        deserializer.deserialize_map(OperationsAndOptions)
    }
}

/// One step, as it is written: an operation with its client and time, or a fault with its trigger.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(serialize = "Op: Serialize", deserialize = "Op: DeserializeOwned"))]
pub(in crate::plan) struct StepForm<Op> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<AtForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(rename = "do", default = "none", skip_serializing_if = "Option::is_none")]
    operation: Option<Op>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

/// `Option<Op>` needs no `Op: Default`, which serde's own default would ask for.
fn none<Op>() -> Option<Op> {
    None
}

/// A trigger that is not a time: `{ point = "…", host = "…" }`, `{ disk = 17, host = "…" }`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::plan) struct AtForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    point: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nth: Option<u64>,
    host: Option<String>,
}

impl<Op> StepForm<Op> {
    fn read(self, place: &Place<'_>) -> Result<Step<Op>, ScenarioError> {
        match self {
            StepForm { operation: Some(_), fault: Some(_), .. } => Err(place.word("fault").error(
                "a step is an operation or a fault, not both",
                "write two steps, a line each; they may have the same time",
            )),
            StepForm { operation: Some(op), at_ms, at, client, fault: None } => {
                if at.is_some() {
                    let remedy = "write `at_ms = …`, a time before which the operation does not begin";
                    return Err(place.word("at").error("an operation is due at a time, not at a point", remedy));
                }
                let remedy = "write `{ at_ms = 0, client = \"c1\", do = … }`";
                let at_ms = at_ms.ok_or_else(|| place.error("the operation lacks its time", remedy))?;
                let client = client.ok_or_else(|| place.error("the operation lacks its client", remedy))?;
                Ok(Step::Operation { client, at_ms, op })
            }
            StepForm { operation: None, at_ms, at, client, fault: Some(fault) } => {
                if client.is_some() {
                    let remedy = "drop `client`: a fault names the hosts it strikes by itself";
                    return Err(place.word("client").error("a fault has no client", remedy));
                }
                let at = match (at_ms, at) {
                    (Some(ms), None) => Trigger::Ms(ms),
                    (None, Some(at)) => at.read(&place.key("at"))?,
                    (Some(_), Some(_)) => {
                        return Err(place.word("at").error("a fault strikes once", "keep one of `at_ms` and `at`"));
                    }
                    (None, None) => {
                        let remedy = "add `at_ms = …`, or a point: `at = { point = \"…\", host = \"…\" }`";
                        return Err(place.error("the fault lacks its trigger", remedy));
                    }
                };
                Ok(Step::Fault(PlannedFault { at, fault }))
            }
            StepForm { operation: None, fault: None, .. } => Err(place.error(
                "the step neither does anything nor breaks anything",
                "add `client = \"…\", do = { … }` or `fault = { … }`",
            )),
        }
    }
}

impl AtForm {
    fn read(self, place: &Place<'_>) -> Result<Trigger, ScenarioError> {
        let AtForm { point, effect, disk, network, nth, host } = self;
        let Some(host) = host else {
            return Err(
                place.error("the trigger lacks its host", "add `host = \"…\"`: points are counted on each host")
            );
        };
        let ordinals = [(PointKind::Effect, effect), (PointKind::Disk, disk), (PointKind::Network, network)];
        let mut ordinals = ordinals.into_iter().filter_map(|(kind, nth)| nth.map(|nth| (kind, nth)));
        let trigger = match (point, ordinals.next(), ordinals.next()) {
            (Some(point), None, None) => Trigger::Point { host, point, nth: nth.unwrap_or(1) },
            (None, Some((kind, ordinal)), None) if nth.is_none() => Trigger::Ordinal { host, kind, nth: ordinal },
            (None, Some(_), None) => {
                let remedy = "drop `nth`: it belongs to a named point, and this one is counted already";
                return Err(place.word("nth").error("the trigger is counted twice", remedy));
            }
            _ => {
                let remedy = "write exactly one of `point = \"…\"`, `effect = 1`, `disk = 1`, `network = 1`";
                return Err(place.error("the trigger must name one point", remedy));
            }
        };
        Ok(trigger)
    }
}

impl<'a, Op> From<&'a Step<Op>> for StepForm<&'a Op> {
    fn from(step: &'a Step<Op>) -> StepForm<&'a Op> {
        let mut form = StepForm { at_ms: None, at: None, client: None, operation: None, fault: None };
        match step {
            Step::Operation { client, at_ms, op } => {
                form.at_ms = Some(*at_ms);
                form.client = Some(client.clone());
                form.operation = Some(op);
            }
            Step::Fault(PlannedFault { at, fault }) => {
                form.fault = Some(fault.clone());
                match at {
                    Trigger::Ms(ms) => form.at_ms = Some(*ms),
                    other => form.at = Some(AtForm::from(other)),
                }
            }
        }
        form
    }
}

impl From<&Trigger> for AtForm {
    fn from(trigger: &Trigger) -> AtForm {
        match trigger {
            Trigger::Ms(_) => AtForm::default(),
            Trigger::Point { host, point, nth } => AtForm {
                point: Some(point.clone()),
                nth: (*nth != 1).then_some(*nth),
                host: Some(host.clone()),
                ..AtForm::default()
            },
            Trigger::Ordinal { host, kind, nth } => {
                let mut form = AtForm { host: Some(host.clone()), ..AtForm::default() };
                match kind {
                    PointKind::Effect => form.effect = Some(*nth),
                    PointKind::Disk => form.disk = Some(*nth),
                    PointKind::Network => form.network = Some(*nth),
                }
                form
            }
        }
    }
}
