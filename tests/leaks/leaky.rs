//! A system that is not deterministic, on request: what squall finds when something slips past its isolation.
//!
//! One host works every 10 ms. From the third time on it does what the scenario's option `leak` says, and records what
//! came of it. Scenarios are named like the leaks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use squall::check::{Checker, Verdict, Violation};
use squall::history::OpId;
use squall::plan::{Client, ClientStep, Fault, Network, PLAN_FORMAT, Plan, PlannedFault, Trigger};
use squall::record::Record;
use squall::stream::Stream;
use squall::sut::{Check, Exit, HostSpec, LocalFuture, Outcome, ScenarioFn, System};
use squall::world::{ClientHost, Disks, Host};

/// How often the host works before it leaks.
const CLEAN: u64 = 2;

/// With this variable in its environment the software leaves a thread behind, in the warm-up too: no worker may fork.
pub const LEAVES_A_THREAD: &str = "SQUALL_TEST_LEAVES_A_THREAD";

/// Which file is left by runs of the scenario `file`.
pub const FILE: &str = "SQUALL_TEST_FILE";

/// What slips past the isolation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Leak {
    /// Nothing: everything that is drawn and read is the simulation's.
    #[default]
    None,
    /// The iteration order of a default-hashed map whose keys are addresses.
    MapOrder,
    /// A clock, read by a system call of its own.
    WallClock,
    /// Entropy from the device.
    Entropy,
    /// A thread that works while the simulation does.
    Thread,
    /// A thread that was waited for, with what it had managed to do by then.
    EndedThread,
    /// What an earlier run left on the real disk: it panics only the first time.
    File,
    /// Not a leak, but what nothing deterministic can end: simulated time stands still.
    Hang,
    /// Not a leak either, but the end of the whole process, as when its stack overflows.
    Abort,
    /// The same, but by somebody else, as when the system is out of memory.
    Killed,
    /// Not a leak: however many operations there are, they are too many, and each number is a failure of its own kind.
    Count,
    /// Not a leak: what chance decides is whether it goes wrong, which is when its fault strikes.
    Chance,
}

/// The system.
pub struct Leaky {
    leak: Leak,
}

impl System for Leaky {
    /// How long a client waits, in milliseconds.
    type Op = u64;
    type Ret = ();

    const NAME: &'static str = "leaky";

    fn new(options: &Value) -> Result<Leaky, String> {
        let leak = options.get("leak").map_or(Ok(Leak::None), Leak::deserialize);
        Ok(Leaky { leak: leak.map_err(|error| error.to_string())? })
    }

    fn hosts(&self) -> Vec<HostSpec> {
        vec![HostSpec::new("worker")]
    }

    fn marks(&self) -> Vec<String> {
        Vec::new()
    }

    fn boot(&self, host: Host) -> LocalFuture<Exit> {
        let leak = self.leak;
        if std::env::var_os(LEAVES_A_THREAD).is_some() {
            in_the_background(|| park());
        }
        Box::pin(async move {
            for round in 1_u64.. {
                tokio::time::sleep(Duration::from_millis(10)).await;
                host.input("work", &round);
                let came_of_it = if round > CLEAN { leak.work() } else { Leak::None.work() };
                host.effect("work", &came_of_it);
            }
            Exit::Clean
        })
    }

    fn perform(&self, _: ClientHost, _: OpId, wait_ms: u64) -> LocalFuture<Outcome<()>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            Outcome::Ok(())
        })
    }

    fn workload(
        &self,
        _: &Value,
        clients: &[String],
        count: usize,
        _: &mut Stream,
    ) -> Result<Vec<Client<u64>>, String> {
        let client = |name: &String| Client { name: name.clone(), steps: vec![ClientStep { at_ms: 0, op: 10 }; count] };
        Ok(clients.iter().map(client).collect())
    }

    fn settle(&self, _: ClientHost, _: &Plan<u64>) -> LocalFuture<Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn dump(&self, _: &Disks) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn checks(&self) -> Vec<Check<Leaky>> {
        match self.leak {
            Leak::Count => vec![Box::new(Count)],
            Leak::Chance => vec![Box::new(Unharmed)],
            _ => Vec::new(),
        }
    }

    fn scenarios() -> Vec<(&'static str, ScenarioFn<u64>)> {
        vec![
            ("none", |seed| plan("none", seed)),
            ("map-order", |seed| plan("map-order", seed)),
            ("wall-clock", |seed| plan("wall-clock", seed)),
            ("entropy", |seed| plan("entropy", seed)),
            ("thread", |seed| plan("thread", seed)),
            ("ended-thread", |seed| plan("ended-thread", seed)),
            ("file", |seed| plan("file", seed)),
            ("hang", |seed| plan("hang", seed)),
            ("abort", |seed| plan("abort", seed)),
            ("killed", |seed| plan("killed", seed)),
            ("count", count_two),
            ("chance", struck_at_50_ms),
        ]
    }
}

/// Finds fault with the number of operations.
struct Count;

impl Checker<Record<u64, ()>> for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn check(&self, record: &Record<u64, ()>) -> Verdict {
        let count: usize = record.plan.clients.iter().map(|client| client.steps.len()).sum();
        // Letters, for digits are left out of what tells failures apart.
        let key = ["none", "one", "two"].get(count).copied().unwrap_or("many");
        let violation = Violation::new("count", key).expected("none").actual(key);
        Verdict { violations: (count > 0).then_some(violation).into_iter().collect(), checked: 1 }
    }
}

fn count_two(seed: u64) -> Plan<u64> {
    let mut plan = plan("count", seed);
    let steps = &mut plan.clients[0].steps;
    steps.push(steps[0].clone());
    plan
}

/// Finds fault with every fault.
struct Unharmed;

impl Checker<Record<u64, ()>> for Unharmed {
    fn name(&self) -> &'static str {
        "unharmed"
    }

    fn check(&self, record: &Record<u64, ()>) -> Verdict {
        let violation = Violation::new("unharmed", "struck").expected("no fault").actual("a fault struck");
        let struck = record.faults.values().any(|count| *count > 0);
        Verdict { violations: struck.then_some(violation).into_iter().collect(), checked: 1 }
    }
}

fn struck_at_50_ms(seed: u64) -> Plan<u64> {
    let fault = Fault::Kill { host: "worker".to_owned(), restart_after_ms: 10 };
    Plan { faults: vec![PlannedFault { at: Trigger::Ms(50), fault }], ..plan("chance", seed) }
}

/// One client that waits while the host works ten times.
fn plan(leak: &str, seed: u64) -> Plan<u64> {
    Plan {
        format: PLAN_FORMAT,
        scenario: leak.to_owned(),
        seed,
        network: Network::default(),
        limit_ms: 1_000,
        settle_ms: 1_000,
        supervisor_restart_ms: 100,
        system: json!({ "leak": leak }),
        clients: vec![Client { name: "client".to_owned(), steps: vec![ClientStep { at_ms: 0, op: 105 }] }],
        faults: Vec::new(),
        checks: Vec::new(),
        marks: Vec::new(),
        reseed: None,
    }
}

impl Leak {
    /// Does it, and returns what differs from run to run.
    fn work(self) -> String {
        match self {
            Leak::None | Leak::Count | Leak::Chance => format!("{:?} {}", map_order(1_u64..9), libc_clock()),
            Leak::MapOrder => {
                let boxes: Vec<Box<usize>> = (0..8).map(Box::new).collect();
                let addresses: BTreeMap<usize, usize> =
                    boxes.iter().map(|it| (&raw const **it as usize, **it)).collect();
                let order = map_order(addresses.keys().copied());
                format!("{:?}", order.iter().map(|address| addresses[address]).collect::<Vec<_>>())
            }
            Leak::WallClock => format!("at {} ns", interpose::real_monotonic().as_nanos()),
            Leak::Entropy => {
                let mut bytes = [0; 8];
                File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("there is one");
                format!("{:x}", u64::from_le_bytes(bytes))
            }
            Leak::Thread => {
                let counter = count();
                let counted = wait_for(&counter);
                format!("the other has come to {counted}")
            }
            Leak::EndedThread => {
                let (counter, stop) = (AtomicU64::new(0), AtomicBool::new(false));
                let counted = thread::scope(|scope| {
                    scope.spawn(|| {
                        while !stop.load(Relaxed) {
                            counter.fetch_add(1, Relaxed);
                        }
                    });
                    wait_for(&counter);
                    stop.store(true, Relaxed);
                    counter.load(Relaxed)
                });
                format!("the other came to {counted}")
            }
            Leak::File => {
                let path = std::env::var_os(FILE).expect("it is said which");
                assert!(File::create_new(path).is_err(), "nobody was here before");
                Leak::None.work()
            }
            Leak::Hang => park(),
            Leak::Abort => std::process::abort(),
            Leak::Killed => {
                let this = std::process::id().to_string();
                Command::new("kill").args(["-9", &this]).status().expect("kill can be started");
                park()
            }
        }
    }
}

/// Items in the order in which a default-hashed map has them.
#[expect(clippy::disallowed_types, reason = "its order is what is looked at")]
fn map_order<T: Copy + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.collect::<std::collections::HashSet<T>>().into_iter().collect()
}

/// The clock that software is not to read, but does: the simulation answers.
#[expect(clippy::disallowed_methods, reason = "the point is that it does not leak")]
fn libc_clock() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// Starts a thread that counts for as long as the process lives.
fn count() -> Arc<AtomicU64> {
    let counter = Arc::new(AtomicU64::new(0));
    let shared = counter.clone();
    in_the_background(move || {
        // Nobody else looks any more once it is known how far it came.
        while Arc::strong_count(&shared) > 1 {
            shared.fetch_add(1, Relaxed);
        }
        park()
    });
    counter
}

#[expect(clippy::disallowed_methods, reason = "the leak")]
fn in_the_background(work: impl FnOnce() + Send + 'static) {
    thread::spawn(work);
}

fn park() -> ! {
    loop {
        thread::park();
    }
}

/// Waits until a counter has begun to count for good; returns how far it has come.
///
/// It counts for a while of real time, in which it comes past so many numbers that two runs read the same one only by
/// a miracle.
fn wait_for(counter: &AtomicU64) -> u64 {
    const BEGUN: u64 = 1_000;
    const WHILE: Duration = Duration::from_millis(2);
    let since = interpose::real_monotonic();
    while counter.load(Relaxed) < BEGUN || interpose::real_monotonic() - since < WHILE {
        thread::yield_now();
    }
    counter.load(Relaxed)
}
