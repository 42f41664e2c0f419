//! What a transaction costs beside two commits without atomicity, in simulated time.
//!
//! Clients with an entity each, so that nobody waits for anybody's locks, send one transaction after the other, through the
//! coordinator's own client and HTTP. What the same two commits cost bare is taken from the same run: one synced write of SQLite,
//! at its fastest there, and the way of this very transaction to the graph and back. The rest is what the coordinator adds: the way
//! to it, another synced write, and waiting for others' syncs. Latencies are modelled, so the figures are the same on every machine:
//!
//! ```text
//! cargo test -p squall --test it overhead -- --nocapture
//! ```

use std::collections::BTreeMap;

use squall::history::{EventKind, OpId};
use squall::plan::{expand, parse_for};
use squall::record::{TraceEvent, What};
use squall::sut::System;
use squall::system::{BiStore, Op, Ret};
use squall::world::{self, Options};

/// What a transaction may take longer than two commits, at the 99th percentile.
const BOUND_MS: u64 = 20;

/// How many transactions there are in a run.
const TRANSACTIONS: u64 = 400;

/// What a message takes at least and at most.
#[derive(Clone, Copy)]
struct Network {
    name: &'static str,
    latency_ms: [u64; 2],
}

/// What two machines of one data centre need, in the grain of the simulation.
const DATA_CENTRE: Network = Network { name: "data centre", latency_ms: [1, 2] };

/// What scenarios have where they say nothing.
const USUAL: Network = Network { name: "usual", latency_ms: [1, 5] };

/// What was measured of a transaction, in simulated milliseconds.
struct Measured {
    /// From the client's call to its answer.
    response: u64,
    /// From its intent until both stores have it.
    inside: u64,
    /// From the intent to its being durable.
    intend: u64,
    /// From the first attempt in the graph to its answer.
    decide: u64,
}

// One test for all runs: SQLite keeps what one process shares, and these shall not run side by side.
#[test]
fn a_transaction_costs_less_than_20_ms_more_than_two_commits() {
    for clients in [1, 8] {
        let near = Added::of(clients, DATA_CENTRE);
        assert!(percentile(&near.response, 99) < BOUND_MS, "{clients} clients: {:?}", near.response);
        // Here the way to the coordinator alone takes up to four times 5 ms.
        let far = Added::of(clients, USUAL);
        assert!(percentile(&far.inside, 99) < BOUND_MS, "{clients} clients: {:?}", far.inside);
    }
}

/// What transactions took longer than two commits, shortest first.
struct Added {
    /// As their clients see it.
    response: Vec<u64>,
    /// Without the way to the coordinator and back.
    inside: Vec<u64>,
}

impl Added {
    fn of(clients: u64, network: Network) -> Added {
        let measured = measure(clients, network);
        assert_eq!(measured.len() as u64, TRANSACTIONS, "every transaction is decided at its first attempt");
        let write = measured.iter().map(|one| one.intend).min().expect("there are some");
        assert!(write > 0, "the disk takes its time");
        let bare = |one: &Measured| write + one.decide;
        let sorted = |name: &str, of: &dyn Fn(&Measured) -> u64| {
            let mut values: Vec<u64> = measured.iter().map(of).collect();
            values.sort_unstable();
            let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(&values, percent));
            println!("{:12} {clients} clients  {name:12} p50 {p50:3} ms  p99 {p99:3} ms  max {max:3} ms", network.name);
            values
        };
        sorted("bare", &bare);
        sorted("coordinator", &|one| one.response);
        // Nobody answers before both stores have it: a transaction contains its two commits.
        let beyond = |all: u64, one: &Measured| all.checked_sub(bare(one)).expect("two commits and more");
        Added {
            response: sorted("added", &|one| beyond(one.response, one)),
            inside: sorted("added inside", &|one| beyond(one.inside, one)),
        }
    }
}

/// The value that so many in a hundred do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

fn measure(clients: u64, network: Network) -> Vec<Measured> {
    let text = scenario(clients, network);
    #[expect(clippy::disallowed_methods, reason = "a run takes over the entropy and the clocks of its thread")]
    let run = std::thread::spawn(move || run(&text));
    run.join().expect("a run does not panic")
}

fn run(scenario: &str) -> Vec<Measured> {
    let scenario = parse_for::<BiStore>("overhead.toml", scenario).expect("the scenario makes sense");
    let system = BiStore::new(&scenario.system).expect("the options make sense");
    let plan = expand(&scenario, &system, 1).expect("it can be expanded");
    let record = world::run::<BiStore>(&plan, Options::default()).expect("it can be run");
    assert_eq!(record.settled, Ok(()));
    let stages = Stages::of(&record.trace);
    let mut invoked: BTreeMap<OpId, u64> = BTreeMap::new();
    let mut measured = Vec::new();
    for event in record.history.events() {
        match &event.kind {
            EventKind::Invoke(Op::Submit { .. }) => drop(invoked.insert(event.op, event.at.0)),
            EventKind::Ok(Ret::Committed { tx, .. }) => {
                measured.push(stages.of_transaction(&format!("{tx:?}"), event.at.0 - invoked[&event.op]));
            }
            kind => panic!("nothing goes wrong here: {kind:?}"),
        }
    }
    measured
}

/// A create and then updates, one entity for each client, one transaction after the other.
fn scenario(clients: u64, network: Network) -> String {
    let [min, max] = network.latency_ms;
    let step = |number: u64| {
        let client = number % clients;
        let operation = if number < clients {
            format!(r#"{{ create = {{ id = "e{client}", kind = "thing", properties = {{ value = {number} }} }} }}"#)
        } else {
            format!(r#"{{ update = {{ id = "e{client}", set = {{ value = {number} }} }} }}"#)
        };
        format!("  {{ at_ms = 500, client = \"c{client}\", do = {{ submit = {{ operations = [{operation}] }} }} }},\n")
    };
    let steps: String = (0..TRANSACTIONS).map(step).collect();
    format!(
        "limit_ms = 120000\nseeds = [1]\nsteps = [\n{steps}]\n\n[network]\nlatency_ms_min = {min}\nlatency_ms_max = {max}\n"
    )
}

/// When effects of the commit core began and when they were done, by their ids.
struct Stages {
    began: BTreeMap<String, u64>,
    done: BTreeMap<String, u64>,
}

impl Stages {
    fn of(trace: &[TraceEvent]) -> Stages {
        let mut stages = Stages { began: BTreeMap::new(), done: BTreeMap::new() };
        for event in trace {
            let (times, rest) = match event.what {
                What::Effect => (&mut stages.began, event.text.strip_prefix("commit Do { id: ")),
                What::Input => (&mut stages.done, event.text.strip_prefix("commit Done { effect: ")),
                _ => continue,
            };
            if let Some((id, _)) = rest.and_then(|rest| rest.split_once("),")) {
                times.entry(format!("{id})")).or_insert(event.at_ms);
            }
        }
        stages
    }

    /// What was measured of a transaction whose client waited for so long.
    fn of_transaction(&self, tx: &str, response: u64) -> Measured {
        let [intend, decide, finish] = [format!("Intend({tx})"), format!("Decide({tx}, 1)"), format!("Finish({tx})")];
        let took = |id: &str| self.done[id] - self.began[id];
        let inside = self.done[&finish] - self.began[&intend];
        Measured { response, inside, intend: took(&intend), decide: took(&decide) }
    }
}
