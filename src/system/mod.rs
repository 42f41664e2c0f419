//! Binds squall to this workspace's coordinator: one coordinator, one graph database, clients.
//!
//! The coordinator is the production crate, unchanged: its driver, its HTTP server, its
//! SQLite file on the simulated disk, and its Bolt client, which talks to a host that
//! speaks Bolt and keeps its graph in memory.

mod check;
mod client;
mod dump;
mod environment;
mod expected;
mod hosts;
mod model;
mod operation;
mod projection;
mod simpler;
mod workload;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ::projection::lanes;
use coordinator::commit::Mark;
use coordinator::{collection, reconcile, retention};
use graph::EntityId;
use serde::Deserialize;
use stores::memory::MemoryGraph;

use crate::check::Checker;
use crate::check::linearizability::Model;
use crate::history::OpId;
use crate::plan::{Client, Plan};
use crate::record::Record;
use crate::stream::Stream;
use crate::sut::{Exit, HostSpec, LocalFuture, Outcome, System};
use crate::world::{ClientHost, Disks, Host};

pub use operation::{Op, Ret};
use projection::harm::Planned;
use projection::watch::Watch;
use projection::{Delivery, PROJECTORS};

/// The coordinator's host.
const COORDINATOR: &str = "coordinator";
/// The graph database's host.
const GRAPH: &str = "graph";
/// The files of the coordinator.
const FILES: [&str; 2] = ["/data/ledger.db", "/data/ledger.db-wal"];
/// Where the coordinator listens.
const HTTP_PORT: u16 = 7400;
/// Where a second coordinator on the same machine listens.
const SECOND_PORT: u16 = 7401;
/// The mark of a second coordinator that could not have the folder.
const KEPT_OUT: &str = "kept_out";
/// Where the graph database listens.
const BOLT_PORT: u16 = 7687;

/// The effects of the cores that a process may die or pause around.
const EFFECTS: [&str; 11] = [
    "commit.intend",
    "commit.decide",
    "commit.fence",
    "commit.finish",
    "commit.load",
    "commit.find",
    "commit.look_up",
    "commit.reply",
    "retention.forget",
    "collection.raise",
    "collection.collect",
];

/// The effect by which events are written without a transaction.
const APPEND: &str = "commit.append";

/// What a scenario says about the system.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How often a transaction is sent to the graph before it is fenced.
    pub decide_attempts: u32,
    /// How long one transaction may take in the graph.
    pub graph_limit_ms: u64,
    /// When the coordinator tells a waiting client that the outcome is not known yet.
    pub answer_timeout_ms: u64,
    /// When a client gives up waiting for the coordinator.
    pub client_timeout_ms: u64,
    /// For how long the log keeps the record of a settled transaction.
    pub retention_ms: u64,
    /// The pause between two looks at what may be forgotten.
    pub retention_period_ms: u64,
    /// Whether markers of transactions that were forgotten are removed from the graph.
    pub collect_markers: bool,
    /// The pause between two validations that nobody asked for; none are made if it is 0.
    pub validation_period_ms: u64,
    /// How many requests in a hundred the graph refuses for the moment, as under load.
    pub graph_refusals_percent: u64,
    /// How many of its last commits the graph has forgotten each time it starts, as a server does
    /// that acknowledges before it syncs.
    pub graph_forgets: usize,
    /// An entity that somebody takes out of the graph by hand, and perhaps puts back.
    pub graph_hides: Option<Hidden>,
    /// Whether clients say of every transaction that it has committed, and send none: a run that must fail, to see that
    /// failures are noticed.
    pub canary: bool,
    /// Another coordinator that somebody starts on the same machine and folder.
    pub second_server: Option<Second>,
    /// Whether clients send transactions; where none does, nothing of them is judged.
    pub transactions: bool,
    /// How many projectors there are: none, one, or two on one graph.
    pub projectors: usize,
    /// What projectors do about an event of a type that they do not know.
    pub on_unknown: OnUnknown,
    /// A bus beside the log, and how bad it is; none if nothing is said.
    pub delivery: Option<Delivery>,
    /// What somebody does to the projection's graph by hand.
    pub graph_harm: Vec<Planned>,
}

/// What a projector does about an event of a type that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// The resource stands still.
    #[default]
    Park,
    /// The projector does.
    Halt,
}

/// A second coordinator where there should be one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// How long after the first.
    pub after_ms: u64,
    /// The clients that talk to it.
    pub clients: Vec<String>,
}

/// An entity that is out of the graph for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hidden {
    /// Which; it must have no links then.
    pub entity: EntityId,
    /// From when, counted from the start of the graph's process.
    pub after_ms: u64,
    /// For how long; for good if nothing is said.
    pub for_ms: Option<u64>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            decide_attempts: 2,
            graph_limit_ms: 250,
            answer_timeout_ms: 800,
            client_timeout_ms: 1_500,
            retention_ms: retention::Config::default().keep.0,
            retention_period_ms: retention::Config::default().period.0,
            collect_markers: false,
            validation_period_ms: 0,
            graph_refusals_percent: 0,
            graph_forgets: 0,
            graph_hides: None,
            canary: false,
            second_server: None,
            transactions: true,
            projectors: 0,
            on_unknown: OnUnknown::Park,
            delivery: None,
            graph_harm: Vec::new(),
        }
    }
}

/// The coordinator with its stores, for one run.
pub struct BiStore {
    options: Options,
    /// The graph database's content: durable, so it outlives its process.
    graph: MemoryGraph,
    /// Who looks at it.
    watch: Watch,
    /// What each projector said of itself when it had come to rest.
    at_rest: Arc<OnceLock<String>>,
    /// What the coordinator had counted when it had come to rest.
    counters: Arc<OnceLock<String>>,
}

/// The names of all checks, whatever options a scenario has.
pub fn check_names() -> Vec<String> {
    check::all().iter().chain(&check::projection::all()).map(|check| check.name().to_owned()).collect()
}

/// The idempotency key of a client's operation, by its number in the history.
fn key(operation: u64) -> String {
    format!("op-{operation}")
}

impl System for BiStore {
    type Op = Op;
    type Ret = Ret;

    const NAME: &'static str = "coordinator";

    fn new(options: &serde_json::Value) -> Result<BiStore, String> {
        let options = match options {
            serde_json::Value::Null => Options::default(),
            options => Options::deserialize(options).map_err(|error| error.to_string())?,
        };
        if options.projectors > PROJECTORS.len() {
            return Err(format!("`projectors` takes 0 to {}, not {}", PROJECTORS.len(), options.projectors));
        }
        let graph = MemoryGraph::new();
        let watch = Watch::new(graph.clone(), options.projectors > 0);
        Ok(BiStore { options, graph, watch, at_rest: Arc::default(), counters: Arc::default() })
    }

    fn hosts(&self) -> Vec<HostSpec> {
        // Where there is no projection, what profiles have always drawn stays what it was.
        let appends = (self.options.projectors > 0).then_some(&APPEND);
        let points =
            EFFECTS.iter().chain(appends).flat_map(|effect| ["before", "after"].map(|when| format!("{effect}.{when}")));
        let coordinator = HostSpec { points: points.collect(), files: FILES.to_vec(), ..HostSpec::new(COORDINATOR) };
        let graph = HostSpec { passes: vec![hosts::AFTER_COMMIT.to_owned()], forgets: true, ..HostSpec::new(GRAPH) };
        let projectors = PROJECTORS[..self.options.projectors].iter().map(|name| projection::hosts::spec(name));
        [graph, coordinator].into_iter().chain(projectors).collect()
    }

    fn marks(&self) -> Vec<String> {
        Mark::NAMES
            .iter()
            .chain(&retention::Mark::NAMES)
            .chain(&reconcile::Mark::NAMES)
            .chain(&collection::Mark::NAMES)
            .chain(&[KEPT_OUT])
            .map(|name| (*name).to_owned())
            .chain(lanes::Mark::NAMES.iter().map(|name| environment::of_the_lanes(name)))
            .collect()
    }

    /// The graph is harmed at times that are counted from the start of its process, each time that it starts; what puts it
    /// right are passes at times of the plan's.
    fn may_vary(&self) -> bool {
        let Options { graph_forgets, graph_hides, graph_harm, .. } = &self.options;
        *graph_forgets == 0 && graph_hides.is_none() && graph_harm.is_empty()
    }

    fn boot(&self, host: Host) -> LocalFuture<Exit> {
        match host.name() {
            GRAPH => Box::pin(hosts::graph(host, self.graph.clone(), self.watch.clone(), self.options.clone())),
            COORDINATOR => Box::pin(hosts::coordinator(host, self.options.clone())),
            name if PROJECTORS.contains(&name) => Box::pin(projection::hosts::projector(host, self.options.clone())),
            name => panic!("{name} is not a host of this system"),
        }
    }

    fn perform(&self, client: ClientHost, id: OpId, op: Op) -> LocalFuture<Outcome<Ret>> {
        Box::pin(client::perform(client, id, op, self.options.clone()))
    }

    fn is_refusal(ret: &Ret) -> bool {
        matches!(ret, Ret::Refused { .. })
    }

    fn workload(
        &self,
        options: &serde_json::Value,
        clients: &[String],
        count: usize,
        random: &mut Stream,
    ) -> Result<Vec<Client<Op>>, String> {
        let options = match options {
            serde_json::Value::Null => workload::Options::default(),
            options => workload::Options::deserialize(options).map_err(|error| error.to_string())?,
        };
        Ok(workload::generate(&options, clients, count, random))
    }

    fn simpler(op: &Op) -> Vec<Op> {
        simpler::simpler(op)
    }

    fn settle(&self, client: ClientHost, plan: &Plan<Op>) -> LocalFuture<Result<(), String>> {
        let steps = plan.clients.iter().flat_map(|client| &client.steps);
        let parts = steps.flat_map(|step| model::Entities.keys(&step.op));
        let entities = parts.filter_map(model::Part::entity).collect();
        let (counters, at_rest) = (self.counters.clone(), self.at_rest.clone());
        let projectors = self.options.projectors;
        Box::pin(async move {
            let (exposition, pages) = client::settle(client, entities, projectors).await;
            at_rest.set(pages).expect("a run comes to rest once");
            counters.set(dump::counters(&exposition)).expect("a run comes to rest once");
            Ok(())
        })
    }

    fn dump(&self, disks: &Disks) -> BTreeMap<String, String> {
        let mut dumps = dump::all(&self.graph, disks.get(COORDINATOR));
        if self.options.projectors > 0 {
            dumps.extend(dump::projection(&self.graph));
            dumps.extend(self.at_rest.get().map(|pages| (dump::PROJECTORS.to_owned(), pages.clone())));
            dumps.extend(dump::stored_events(disks.get(COORDINATOR)));
        }
        dumps.extend(self.counters.get().map(|counters| (dump::COUNTERS.to_owned(), counters.clone())));
        dumps
    }

    fn expected(&self, record: &Record<Op, Ret>) -> BTreeMap<String, String> {
        expected::dumps(record)
    }

    fn checks(&self) -> Vec<Box<dyn Checker<Record<Op, Ret>>>> {
        let mut checks = if self.options.transactions { check::all() } else { check::without_transactions() };
        if self.options.projectors > 0 {
            checks.extend(check::projection::all());
        }
        checks
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::hunt::mutate;
    use crate::plan::{expand, load};

    fn plan(scenario: &str) -> Plan<Op> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(scenario);
        let scenario = load::<BiStore>(&path).unwrap_or_else(|error| panic!("{error}"));
        let system = BiStore::new(&scenario.system).expect("it was read with these options");
        expand(&scenario, &system, 1).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Many variations, but for their seeds; and how many seeds they have.
    fn vary(plan: &Plan<Op>, other: &Plan<Op>) -> (Vec<Plan<Op>>, usize) {
        let mut random = Stream::new(1, "test");
        let varied: Vec<_> = (0..100).map(|_| mutate::<BiStore>(plan, other, &mut random)).collect();
        let seeds: BTreeSet<u64> = varied.iter().map(|varied| varied.seed).collect();
        (varied.into_iter().map(|varied| Plan { seed: plan.seed, ..varied }).collect(), seeds.len())
    }

    #[test]
    fn a_plan_with_harm_by_hand_is_run_with_other_seeds_and_any_other_is_varied() {
        let other = plan("projection_storm.toml");
        for (scenario, harm) in [("projection_harmed.toml", "graph_harm"), ("repair_put_off.toml", "graph_hides")] {
            let mut plan = plan(scenario);
            let (varied, seeds) = vary(&plan, &other);
            assert!(varied.iter().all(|varied| *varied == plan), "{scenario} was varied");
            assert!(seeds > 90, "{seeds} seeds");
            let harm = plan.system.as_object_mut().and_then(|options| options.remove(harm));
            assert!(harm.is_some(), "{scenario} is one with harm");
            let (varied, _) = vary(&plan, &other);
            assert!(varied.iter().any(|varied| *varied != plan), "{scenario} without harm was not varied");
        }
        let forgets = BiStore::new(&serde_json::json!({ "graph_forgets": 1 })).expect("these are options");
        assert!(!forgets.may_vary());
    }
}
