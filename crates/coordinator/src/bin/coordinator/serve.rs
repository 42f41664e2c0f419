//! `coordinator serve`.

use std::sync::Arc;
use std::time::Duration;

use coordinator::collection;
use coordinator::http::{self, Limits, Serving};
use coordinator::service::{Coordinator, Options, StartError};
use env::{Claim, Env, Production};
use graph::Millis;
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl, Security};
use stores::embedded::EmbeddedGraph;
use stores::sqlite::{Check, OpenError};
use stores::{GraphError, GraphStore};
use tokio::sync::oneshot;
use web::program::guard::Guard;
use web::program::signals::Signals;
use web::program::{Failure, logging, secret, unclaimed};

use crate::arguments::{Graph, GraphChoice, Serve};

/// The name of the embedded graph within the data folder.
const GRAPH_FILE: &str = "graph.db";

/// How much longer than the protocol's own time-out a server that was told to stop waits for
/// its open requests, so that even those that time out get their honest answer.
const DRAIN_MARGIN: Duration = Duration::from_secs(2);

/// Runs the server until it is told to stop, or has to.
pub async fn serve(arguments: Serve) -> Result<(), Failure> {
    let Serve {
        data,
        listen,
        token_env,
        allow_remote,
        graph,
        answer_timeout_ms,
        requests_max,
        retention_hours,
        collect_markers,
        fill_empty_graph,
        validate_every_minutes,
        log_format,
    } = arguments;
    logging::start(log_format)?;
    let token = token_env.as_deref().map(secret::token).transpose()?;
    let guard = Guard { token, allow_remote };
    guard.check(&listen)?;
    let mut signals = Signals::listen()?;
    let env = Env::new(Production);
    let data = env.claim(&data).map_err(unclaimed)?;
    let graph_timeout_ms = graph.graph_timeout_ms;
    let graph_limit = Duration::from_millis(graph_timeout_ms);
    let graph = open_graph(&env, &data, graph).await?;
    let mut options = Options::new(data.path());
    options.commit.answer_timeout_ms = Millis(answer_timeout_ms);
    options.retention.keep = Millis(retention_hours * 60 * 60 * 1_000);
    options.collection = collect_markers.then_some(collection::Config {
        period: Millis(60_000),
        // A transaction that began just before has ended by then, with as much again for the network.
        grace: Millis(2 * graph_timeout_ms),
        batch: 64,
    });
    options.reconcile.period = (validate_every_minutes > 0).then_some(Millis(validate_every_minutes * 60 * 1_000));
    options.fill_empty_graph = fill_empty_graph;
    options.requests_max = usize::try_from(requests_max).expect("a pointer has 32 bits at least");
    options.graph_limit = graph_limit;
    let coordinator = tokio::select! {
        biased;
        // It may be waiting for the graph.
        () = signals.next() => return Ok(()),
        started = Coordinator::start(env.clone(), options, graph) => started.map_err(not_started)?,
    };
    let listener = guard.listen(&env, &listen).await?;

    let limits = Limits { drain_timeout: Duration::from_millis(answer_timeout_ms) + DRAIN_MARGIN, ..Limits::default() };
    let (tell_to_stop, told_to_stop) = oneshot::channel();
    let until = coordinator.clone();
    let served = http::serve(env, listener, coordinator, Serving { limits, token }, async {
        tokio::select! {
            biased;
            Ok(()) = told_to_stop => None,
            reason = until.halted() => Some(reason),
        }
    });
    let second_signal = async {
        signals.next().await;
        tracing::info!("stopping after the open requests");
        // It may be stopping already, because it has to.
        let _ = tell_to_stop.send(());
        signals.next().await;
    };
    tokio::select! {
        biased;
        reason = served => match reason {
            None => Ok(()),
            Some(reason) => Err(Failure::restart(format!("stopped to recover from the log: {reason}"))
                .help("start it again; it resolves every open transaction first")),
        },
        // Nothing is lost: the next process recovers.
        () = second_signal => Err(Failure::other("stopped by a second signal, with requests still open")),
    }
}

/// Opens the graph that the command line names.
pub async fn open_graph(env: &Env, data: &Claim, graph: Graph) -> Result<Arc<dyn GraphStore>, Failure> {
    let Graph { graph, graph_password_env, graph_ca, graph_timeout_ms: _ } = graph;
    Ok(match graph {
        GraphChoice::Embedded => Arc::new(open_embedded(env, data).await?),
        GraphChoice::Bolt(url) => {
            let password =
                std::env::var(&graph_password_env).map_err(|error| no_password(&graph_password_env, &error))?;
            Arc::new(open_bolt(env, &url, password, graph_ca)?)
        }
    })
}

async fn open_embedded(env: &Env, data: &Claim) -> Result<EmbeddedGraph, Failure> {
    let path = data.path().join(GRAPH_FILE);
    EmbeddedGraph::open(env, &path, Check::Quick)
        .await
        .map_err(|error| not_opened(format!("cannot open the graph {}: {error}", path.display()), &error))
}

fn open_bolt(
    env: &Env,
    url: &BoltUrl,
    password: String,
    extra_ca: Option<std::path::PathBuf>,
) -> Result<BoltGraph, Failure> {
    let mut options = BoltOptions::new(url, password);
    match &mut options.security {
        Security::Tls { extra_ca: slot } => *slot = extra_ca,
        Security::Plain if extra_ca.is_some() => {
            return Err(Failure::input("--graph-ca needs TLS").help("write bolt+s:// instead of bolt://"));
        }
        Security::Plain => {}
    }
    BoltGraph::new(env.clone(), options).map_err(|error| Failure::input(error.to_string()))
}

fn no_password(variable: &str, error: &std::env::VarError) -> Failure {
    Failure::input(format!("the password of the graph: {variable}: {error}"))
        .help(format!("set {variable}, or name another variable with --graph-password-env"))
}

pub fn not_started(error: StartError) -> Failure {
    let message = error.to_string();
    if let StartError::Open(error) = &error {
        return not_opened(message, error);
    }
    if error.is_damage() {
        return Failure::damage(message)
            .help("keep a copy of the data folder as it is, and do not start it again before somebody has looked");
    }
    if error.is_passing() {
        return Failure::restart(message).help(FAILING_DISK);
    }
    match &error {
        StartError::Graph(GraphError::Refused { code, .. }) => Failure::other(message).help(format!(
            "the graph's code for it is {code}: check the user, the password, the database and what the user may do"
        )),
        _ => Failure::other(message),
    }
}

/// What to do about a disk that is full or fails.
const FAILING_DISK: &str =
    "make room on the disk of the data folder, or see why it fails; nothing is lost, and a start finishes what is open";

fn not_opened(message: String, error: &OpenError) -> Failure {
    let help = match error {
        OpenError::Sqlite { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            "the file is no SQLite database: name the right folder with --data, or restore it from a backup"
        }
        OpenError::Log { .. } => FAILING_DISK,
        OpenError::Damaged { .. } => "restore the data folder from a backup",
        OpenError::Sqlite { .. } if error.is_damage() => "restore the data folder from a backup",
        OpenError::Sqlite { .. } if error.is_passing() => FAILING_DISK,
        OpenError::Sqlite { .. } => "check that this user may write to the folder",
        OpenError::Foreign { .. } => "name the right folder with --data",
        OpenError::TooNew { .. } | OpenError::NotMigrated { .. } => "run the release that wrote it, or a later one",
        OpenError::Setting { .. } => "put the data folder on a local file system",
    };
    let failure = match error {
        error if error.is_damage() => Failure::damage(message),
        error if error.is_passing() => Failure::restart(message),
        _ => Failure::other(message),
    };
    failure.help(help)
}
