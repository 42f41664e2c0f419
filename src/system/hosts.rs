//! The software of the hosts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coordinator::commit::Config;
use coordinator::http::Limits;
use coordinator::service::{Coordinator, Options as ServiceOptions, StartError};
use coordinator::statements;
use coordinator::{collection, reconcile, retention};
use env::{ClaimError, Env};
use graph::{ENTITY_LABEL, Millis, Value};
use stores::GraphFault;
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use stores::bolt::server::{BoltServer, Failure, Hooks, Request, serve};
use stores::memory::MemoryGraph;

use super::environment::{Claims, Simulated};
use super::projection::harm::Planned;
use super::projection::watch::{Occasion, Watch};
use super::{BOLT_PORT, GRAPH, HTTP_PORT, Hidden, Options, SECOND_PORT};
use crate::sut::Exit;
use crate::world::Host;

/// The coordinator's machine: its process from its start to its end and, where the scenario says so, another one that
/// somebody starts on the same folder.
pub async fn coordinator(host: Host, options: Options) -> Exit {
    let claims = Claims::default();
    let second = async {
        let Some(second) = &options.second_server else { return std::future::pending().await };
        tokio::time::sleep(Duration::from_millis(second.after_ms)).await;
        let ended = run(host.clone(), &options, claims.clone(), SECOND_PORT).await;
        match ended {
            Err(error) if error.is::<ClaimError>() => host.mark("second", &KeptOut),
            Err(error) => tracing::warn!("the second coordinator did not start: {error}"),
            Ok(reason) => tracing::warn!("the second coordinator halted: {reason}"),
        }
        std::future::pending().await
    };
    let first = run(host.clone(), &options, claims.clone(), HTTP_PORT);
    let ended = tokio::select! {
        biased;
        ended = first => ended,
        ended = second => ended,
    };
    match ended {
        Ok(reason) => Exit::Failed(format!("halted: {reason}")),
        Err(error) => match error.downcast_ref::<StartError>() {
            // `coordinator serve` exits with a code for it that a supervisor is told not to restart.
            Some(start) if start.is_damage() => Exit::Refused(start.to_string()),
            _ => Exit::Failed(error.to_string()),
        },
    }
}

/// The mark of a second coordinator that could not have the folder.
#[derive(Debug)]
struct KeptOut;

/// What `coordinator serve` does, on simulated surroundings. Returns why it halted.
async fn run(
    host: Host,
    options: &Options,
    claims: Claims,
    port: u16,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let env = Env::new(Simulated::beside(host, claims));
    let data = env.claim(Path::new("/data"))?;
    let url: BoltUrl = format!("bolt://simulated@{GRAPH}:{BOLT_PORT}").parse()?;
    let mut bolt = BoltOptions::new(&url, "");
    bolt.connect_timeout = Duration::from_millis(options.graph_limit_ms / 2);
    let graph = Arc::new(BoltGraph::new(env.clone(), bolt)?);
    let service = ServiceOptions {
        commit: Config {
            decide_attempts_max: options.decide_attempts,
            backoff_ms: Millis(20),
            backoff_ms_max: Millis(200),
            jitter_seed: 0,
            answer_timeout_ms: Millis(options.answer_timeout_ms),
        },
        retention: retention::Config {
            keep: Millis(options.retention_ms),
            period: Millis(options.retention_period_ms),
            ..retention::Config::default()
        },
        collection: options.collect_markers.then_some(collection::Config {
            period: Millis(options.retention_period_ms),
            grace: Millis(2 * options.graph_limit_ms),
            batch: 2,
        }),
        reconcile: reconcile::Config {
            period: (options.validation_period_ms > 0).then_some(Millis(options.validation_period_ms)),
            // Small, so that a pass takes several.
            page: 2,
            ..reconcile::Config::default()
        },
        graph_limit: Duration::from_millis(options.graph_limit_ms),
        prepare_limit: Duration::from_millis(8 * options.graph_limit_ms),
        ..ServiceOptions::new(data.path())
    };
    let coordinator = Coordinator::start(env.clone(), service, graph).await?;
    let listener = env.listen(&format!("0.0.0.0:{port}")).await?;
    let halted = coordinator.clone();
    Ok(coordinator::http::serve(env, listener, coordinator, Limits::default(), async move { halted.halted().await })
        .await)
}

/// The graph has committed, and has not said so: the point at which an answer can be lost.
pub const AFTER_COMMIT: &str = "bolt.commit.after";

/// A graph database process: Bolt in front of a graph that outlives it.
pub async fn graph(host: Host, graph: MemoryGraph, watch: Watch, options: Options) -> Exit {
    let env = Env::new(Simulated::new(host.clone()));
    // At the first start there is nothing to forget.
    watch.lose(options.graph_forgets);
    host.forget(|commits| watch.lose(commits as usize) as u64);
    // What it has forgotten is seen at once.
    watch.look(&host, Occasion::Start);
    if let Some(hidden) = options.graph_hides {
        env.spawn(hide(graph.clone(), watch.clone(), host.clone(), hidden));
    }
    for planned in options.graph_harm {
        env.spawn(do_harm(graph.clone(), watch.clone(), host.clone(), planned));
    }
    let refusals_percent = options.graph_refusals_percent;
    let known = [statements::ALL, projection::statements::ALL].concat();
    let constraints = [statements::CONSTRAINTS, projection::statements::CONSTRAINTS].concat();
    let server = BoltServer::new(graph, &known, &constraints);
    let server = Arc::new(server.with_hooks(Server { host, watch, refusals_percent }));
    let served = async {
        let mut listener = env.listen(&format!("0.0.0.0:{BOLT_PORT}")).await?;
        serve(&env, listener.as_mut(), &server).await
    };
    match served.await {
        Ok(()) => Exit::Clean,
        Err(error) => Exit::Failed(error.to_string()),
    }
}

/// Changes the graph behind the coordinator's back: an entity is gone for a while.
async fn hide(graph: MemoryGraph, watch: Watch, host: Host, Hidden { entity, after_ms, for_ms }: Hidden) {
    let id = Value::from(entity.as_str());
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    let taken = graph.autocommit(|graph| {
        let Some(node) = graph.find(ENTITY_LABEL, "id", &id)?.pop() else { return Ok(None) };
        let properties = graph.properties(node)?;
        graph.delete(node)?;
        Ok::<_, GraphFault>(Some(properties))
    });
    let Some(properties) = taken.expect("it has no links and nobody else writes to it") else { return };
    watch.look(&host, Occasion::Harm);
    let Some(for_ms) = for_ms else { return };
    tokio::time::sleep(Duration::from_millis(for_ms)).await;
    // A client may have created it again meanwhile.
    let back: Result<_, GraphFault> = graph.autocommit(|graph| graph.create(&[ENTITY_LABEL], properties));
    if back.is_ok() {
        watch.look(&host, Occasion::Harm);
    }
}

/// Does harm once it is time.
async fn do_harm(graph: MemoryGraph, watch: Watch, host: Host, Planned { after_ms, harm }: Planned) {
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    while harm.apply(&graph).is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    watch.look(&host, Occasion::Harm);
}

/// Where the harness reaches into the graph database.
struct Server {
    host: Host,
    /// Who looks at what a commit has changed.
    watch: Watch,
    /// How many commits in a hundred are refused for the moment, as a server does that
    /// chose a transaction to break a deadlock.
    refusals_percent: u64,
}

impl Hooks for Server {
    fn on_request(&self, request: Request<'_>) -> Option<Failure> {
        if self.refusals_percent == 0 || !matches!(request, Request::Commit) {
            return None;
        }
        let mut byte = [0];
        self.host.entropy(&mut byte);
        (u64::from(byte[0]) * 100 < self.refusals_percent * 256).then(|| Failure {
            code: "Neo.TransientError.Transaction.DeadlockDetected".to_owned(),
            message: "chosen to break a deadlock".to_owned(),
        })
    }

    fn after_commit(&self) -> Option<Failure> {
        self.watch.look(&self.host, Occasion::Commit);
        self.host.pass(AFTER_COMMIT);
        None
    }
}
