//! The same system on nothing but turmoil: what somebody writes who uses the engine without squall.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator::client::Client;
use coordinator::commit::{Config, IdempotencyKey};
use coordinator::http::{self, Limits};
use coordinator::service::{Coordinator, Options as ServiceOptions};
use coordinator::statements;
use env::{BoxFuture, Claim, ClaimError, Connection, Env, Environment, Listener, Observation, Point, Production};
use graph::{EntityId, Millis, Patch};
use squall::plan::{ClientStep, Plan};
use squall::stream::Stream;
use squall::system::{Op, Options};
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use stores::bolt::server::{BoltServer, serve};
use stores::memory::MemoryGraph;
use turmoil::net::{TcpListener, TcpStream};

use super::Simulated;

type Done = Result<(), Box<dyn std::error::Error>>;

/// The pause between two questions, as squall's own settler makes it.
const PAUSE: Duration = Duration::from_millis(50);

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

/// Runs a plan without faults until its clients are done and the coordinator has nothing left to do.
pub fn run(plan: &Plan<Op>) -> Simulated {
    assert!(plan.faults.is_empty(), "turmoil knows nothing of our faults");
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.expect("there is room for a folder");
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .simulation_duration(FOR_EVER)
        .tick_duration(Duration::from_millis(plan.network.tick_ms))
        .min_message_latency(Duration::from_millis(plan.network.latency_ms_min))
        .max_message_latency(Duration::from_millis(plan.network.latency_ms_max))
        .tcp_capacity(4096)
        .build();
    let surroundings = |host: &str| {
        let entropy = Mutex::new(Stream::new(plan.seed, host));
        Env::new(Bare { entropy })
    };

    let (env, graph) = (surroundings("graph"), MemoryGraph::new());
    sim.host("graph", move || serve_graph(env.clone(), graph.clone()));
    let (env, data) = (surroundings("coordinator"), folder.path().to_owned());
    sim.host("coordinator", move || serve_coordinator(env.clone(), data.clone()));
    let answered = Rc::new(Cell::new(0));
    let mut entities = BTreeSet::new();
    // Squall's own numbering: operations are numbered as they are invoked.
    let operation = Rc::new(Cell::new(0));
    for client in &plan.clients {
        let operations = client.steps.iter().flat_map(|step| keys(&step.op));
        entities.extend(operations);
        let env = surroundings(&client.name);
        sim.client(client.name.as_str(), work(env, client.steps.clone(), operation.clone(), answered.clone()));
    }
    sim.run().expect("every client is answered");
    sim.client("settler", settle(surroundings("settler"), entities));
    sim.run().expect("it settles");
    let ms = u64::try_from(sim.elapsed().as_millis()).expect("it is short");
    Simulated { ms, answered: answered.get() }
}

fn keys(op: &Op) -> Vec<EntityId> {
    match op {
        Op::Submit { operations, .. } => operations.iter().flat_map(|operation| operation.keys().cloned()).collect(),
        Op::Read { entity } | Op::Peek { entity } => vec![entity.clone()],
        _ => Vec::new(),
    }
}

async fn serve_graph(env: Env, graph: MemoryGraph) -> Done {
    let server = Arc::new(BoltServer::new(graph, statements::ALL, statements::CONSTRAINTS));
    let mut listener = env.listen("0.0.0.0:7687").await?;
    Ok(serve(&env, listener.as_mut(), &server).await?)
}

async fn serve_coordinator(env: Env, data: PathBuf) -> Done {
    let options = Options::default();
    let url: BoltUrl = "bolt://simulated@graph:7687".parse()?;
    let mut bolt = BoltOptions::new(&url, "");
    bolt.connect_timeout = Duration::from_millis(options.graph_limit_ms / 2);
    let graph = Arc::new(BoltGraph::new(env.clone(), bolt)?);
    let service = ServiceOptions {
        commit: Config {
            decide_attempts_max: options.decide_attempts,
            answer_timeout_ms: Millis(options.answer_timeout_ms),
            ..Config::default()
        },
        graph_limit: Duration::from_millis(options.graph_limit_ms),
        ..ServiceOptions::new(data)
    };
    let coordinator = Coordinator::start(env.clone(), service, graph).await?;
    let listener = env.listen("0.0.0.0:7400").await?;
    let halted = coordinator.clone();
    let why = http::serve(env, listener, coordinator, Limits::default(), async move { halted.halted().await }).await;
    Err(why.into())
}

fn connect(env: Env) -> Client {
    Client::new(env, "coordinator:7400", Duration::from_millis(Options::default().client_timeout_ms))
}

async fn work(env: Env, steps: Vec<ClientStep<Op>>, operation: Rc<Cell<u64>>, answered: Rc<Cell<u64>>) -> Done {
    for ClientStep { at_ms, op } in steps {
        tokio::time::sleep(Duration::from_millis(at_ms).saturating_sub(turmoil::sim_elapsed().unwrap_or_default()))
            .await;
        let client = connect(env.clone());
        match op {
            Op::Submit { operations, .. } => {
                let key = IdempotencyKey(format!("op-{}", operation.replace(operation.get() + 1)));
                client.submit(&key, &Patch { operations }).await?;
            }
            Op::Read { entity } => drop(client.read(&entity).await?),
            Op::Peek { entity } => drop(client.read_eventual(&entity).await?),
            op => unreachable!("the random workload has no {op:?}"),
        }
        answered.set(answered.get() + 1);
    }
    Ok(())
}

async fn settle(env: Env, entities: BTreeSet<EntityId>) -> Done {
    let client = connect(env);
    loop {
        let status = client.status().await?.status;
        if status.open == 0 && status.waiting == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    for entity in entities {
        client.read(&entity).await?;
    }
    Ok(())
}

/// A turmoil host, and real files.
struct Bare {
    entropy: Mutex<Stream>,
}

impl Environment for Bare {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as Connection) })
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(Socket(listener)) as Box<dyn Listener>)
        })
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the rule sends everybody")]
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        work();
        Box::pin(std::future::ready(()))
    }

    fn utc_now(&self) -> Millis {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        Millis(squall::world::EPOCH_MS + u64::try_from(elapsed.as_millis()).expect("it is short"))
    }

    fn entropy(&self, bytes: &mut [u8]) {
        self.entropy.lock().expect("nobody panics with it").fill(bytes);
    }

    fn vfs(&self) -> Option<&str> {
        None
    }

    fn persist(&self, path: &Path) -> io::Result<()> {
        Production.persist(path)
    }

    fn claim(&self, folder: &Path) -> Result<Claim, ClaimError> {
        Production.claim(folder)
    }

    fn point(&self, _: Point) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn observe(&self, core: &'static str, observation: Observation<'_>) {
        Production.observe(core, observation);
    }
}

struct Socket(TcpListener);

impl Listener for Socket {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Connection, String)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            Ok((Box::new(stream) as Connection, peer.to_string()))
        })
    }

    fn local_address(&self) -> String {
        self.0.local_addr().map(|address| address.to_string()).unwrap_or_default()
    }
}
