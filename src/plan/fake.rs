//! A system that can be named and expanded, but not run: what the tests of plans need.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Client, ClientStep, Plan};
use crate::check::{Checker, Verdict};
use crate::record::Record;
use crate::stream::Stream;
use crate::sut::{Exit, HostSpec, LocalFuture, Outcome, System};
use crate::world::{ClientHost, Disks, Host};

/// Two hosts: a coordinator with points, a graph without.
#[derive(Debug)]
pub(crate) struct Fake;

/// Its operations: one variant of each form that serde knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Op {
    Create { id: String, value: i64 },
    Batch { writes: Vec<Write>, note: Option<String> },
    Scale(f64),
    Link(String, String),
    Read(Key),
    Stop,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Write {
    pub(crate) id: String,
    pub(crate) value: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Key(pub(crate) String);

/// A plan of nothing, to be filled.
pub(crate) fn plan() -> Plan<Op> {
    Plan {
        format: super::PLAN_FORMAT,
        scenario: "story".to_owned(),
        seed: 7,
        network: super::Network::default(),
        limit_ms: 1_000,
        settle_ms: 1_000,
        supervisor_restart_ms: 100,
        system: serde_json::Value::Null,
        clients: Vec::new(),
        faults: Vec::new(),
        checks: Vec::new(),
        marks: Vec::new(),
        reseed: None,
    }
}

struct Named(&'static str);

impl Checker<Record<Op, ()>> for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn check(&self, _: &Record<Op, ()>) -> Verdict {
        Verdict::default()
    }
}

impl System for Fake {
    type Op = Op;
    type Ret = ();

    const NAME: &'static str = "fake";

    fn new(options: &serde_json::Value) -> Result<Fake, String> {
        let unknown = options.as_object().into_iter().flat_map(|options| options.keys()).find(|key| *key != "shards");
        unknown.map_or(Ok(Fake), |key| Err(format!("unknown option `{key}`: the system takes `shards`")))
    }

    fn hosts(&self) -> Vec<HostSpec> {
        let points = ["begin.before", "commit.decide.before", "commit.decide.after"].map(str::to_owned).to_vec();
        vec![
            HostSpec { points, files: vec!["/data/log"], ..HostSpec::new("coordinator") },
            HostSpec { forgets: true, ..HostSpec::new("graph") },
        ]
    }

    fn marks(&self) -> Vec<String> {
        ["rolled_forward", "fenced"].map(str::to_owned).to_vec()
    }

    fn boot(&self, _: Host) -> LocalFuture<Exit> {
        unreachable!("a fake is never run")
    }

    fn perform(&self, _: ClientHost, _: crate::history::OpId, _: Op) -> LocalFuture<Outcome<()>> {
        unreachable!("a fake is never run")
    }

    fn workload(
        &self,
        options: &serde_json::Value,
        clients: &[String],
        count: usize,
        random: &mut Stream,
    ) -> Result<Vec<Client<Op>>, String> {
        let keys = match options.get("keys") {
            None => 10,
            Some(keys) => keys.as_u64().ok_or("keys takes a number")?,
        };
        if let Some(key) = options.as_object().into_iter().flat_map(|o| o.keys()).find(|key| *key != "keys") {
            return Err(format!("unknown option `{key}`: the workload takes `keys`"));
        }
        let mut step = |index: usize| {
            let op = Op::Create { id: format!("e{}", random.below(keys)), value: random.below(1_000) as i64 };
            ClientStep { at_ms: 50 * index as u64 + random.below(50), op }
        };
        let client = |name: &String| Client { name: name.clone(), steps: (0..count).map(&mut step).collect() };
        Ok(clients.iter().map(client).collect())
    }

    fn settle(&self, _: ClientHost, _: &Plan<Op>) -> LocalFuture<Result<(), String>> {
        unreachable!("a fake is never run")
    }

    fn dump(&self, _: &Disks) -> BTreeMap<String, String> {
        unreachable!("a fake is never run")
    }

    fn checks(&self) -> Vec<Box<dyn Checker<Record<Op, ()>>>> {
        vec![Box::new(Named("atomicity")), Box::new(Named("durability"))]
    }
}
