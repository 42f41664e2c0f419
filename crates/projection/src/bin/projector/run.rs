//! `projector run`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use env::{Claim, Env, Production};
use projection::http;
use projection::lanes::{OnForeign, OnUnknown};
use projection::log::{HttpLog, HttpLogOptions};
use projection::service::{Options, Projector, StartError};
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl, Security};
use stores::embedded::EmbeddedGraph;
use stores::sqlite::{Check, OpenError};
use stores::{GraphError, GraphStore};
use tokio::sync::oneshot;
use web::client::Client;
use web::program::guard::Guard;
use web::program::signals::Signals;
use web::program::{Failure, logging, secret, unclaimed};
use web::server::{Limits, Serving};

use crate::arguments::{GraphChoice, Run};
use crate::settings::{Settings, keep_log, last_log};

/// The name of the embedded graph within its folder.
const GRAPH_FILE: &str = "graph.db";

/// How much longer than a reader may wait a projector that was told to stop waits for its open requests.
const DRAIN_MARGIN: Duration = Duration::from_secs(2);

/// Runs the projector until it is told to stop, or has to.
pub async fn run(arguments: Run) -> Result<(), Failure> {
    let Run {
        events,
        events_token_env,
        data,
        graph,
        graph_password_env,
        graph_ca,
        graph_timeout_ms,
        listen,
        token_env,
        allow_remote,
        halt_on_unknown,
        turn,
        requests_max,
        log_format,
    } = arguments;
    logging::start(log_format)?;
    let token = token_env.as_deref().map(secret::token).transpose()?;
    let guard = Guard { token, allow_remote };
    guard.check(&listen)?;
    let mut signals = Signals::listen()?;
    let env = Env::new(Production);
    let data = env.claim(&data).map_err(unclaimed)?;
    Settings { events: events.to_string(), graph: graph.to_string() }.keep(&env, &data)?;
    let own_log = last_log(&data)?;
    let log = HttpLog::new(env.clone(), events.address(), HttpLogOptions::default(), |client| {
        secret::with_token(client, Client::with_token, events_token_env.as_deref())
    })?;
    let access = Access { password_env: graph_password_env, ca: graph_ca };
    let (graph, _graph_folder) = open_graph(&env, &data, graph, access).await?;
    let graph_limit = Duration::from_millis(graph_timeout_ms);
    let mut options = Options { graph_limit, own_log: own_log.clone(), ..Options::default() };
    options.requests_max = usize::try_from(requests_max).expect("a pointer has 32 bits at least");
    if halt_on_unknown {
        options.lanes.on_unknown = OnUnknown::Halt;
    }
    options.lanes.on_foreign = if turn { OnForeign::TakeOver } else { OnForeign::Halt };
    let wait_max = Duration::from_millis(options.lanes.barrier_timeout_ms.0);
    let projector = tokio::select! {
        biased;
        // It may be waiting for the graph.
        () = signals.next() => return Ok(()),
        started = Projector::start(env.clone(), options, graph, Arc::new(log)) => started.map_err(not_started)?,
    };
    let listener = guard.listen(&env, &listen).await?;

    let keeping = keep_log(env.clone(), data.path(), own_log, projector.clone());
    let limits = Limits { drain_timeout: wait_max + DRAIN_MARGIN, ..Limits::default() };
    let (tell_to_stop, told_to_stop) = oneshot::channel();
    let until = projector.clone();
    let served = http::serve(env, listener, projector, Serving { limits, token }, async {
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
        () = keeping => unreachable!("it is written down as long as the projector runs"),
        reason = served => match reason {
            None => Ok(()),
            Some(reason) => Err(Failure::restart(format!("stopped: {reason}"))
                .help("where an event is not known, run a newer release; where the graph is of another log, see what it says; \
                       otherwise start it again")),
        },
        // Nothing is lost: what was done is in the graph, and the rest is in the log.
        () = second_signal => Err(Failure::other("stopped by a second signal, with requests still open")),
    }
}

/// What a Bolt server wants to see.
struct Access {
    password_env: String,
    ca: Option<PathBuf>,
}

/// Opens the graph that the command line names; with the claim on its folder, if it has one of its own.
async fn open_graph(
    env: &Env,
    data: &Claim,
    graph: GraphChoice,
    access: Access,
) -> Result<(Arc<dyn GraphStore>, Option<Claim>), Failure> {
    Ok(match graph {
        GraphChoice::Embedded(None) => (Arc::new(open_embedded(env, data).await?), None),
        GraphChoice::Embedded(Some(folder)) => {
            let folder = env.claim(&folder).map_err(|error| {
                Failure::other(format!("the graph: {error}"))
                    .help("an embedded graph is one process's: stop that process, or use a graph server")
            })?;
            (Arc::new(open_embedded(env, &folder).await?), Some(folder))
        }
        GraphChoice::Bolt(url) => (Arc::new(open_bolt(env, &url, access)?), None),
    })
}

async fn open_embedded(env: &Env, folder: &Claim) -> Result<EmbeddedGraph, Failure> {
    let path = folder.path().join(GRAPH_FILE);
    EmbeddedGraph::open(env, &path, Check::Quick).await.map_err(|error| not_opened(&error))
}

fn not_opened(error: &OpenError) -> Failure {
    let message = format!("cannot open the graph: {error}");
    match error {
        error if error.is_damage() => Failure::damage(message)
            .help("move the file away: a graph of its own is written anew from the log; others come from a backup"),
        error if error.is_passing() => {
            Failure::restart(message).help("make room on the disk, or see why it fails; nothing is lost")
        }
        _ => {
            Failure::other(message).help("name a folder that has a graph or is empty, and that this user may write to")
        }
    }
}

fn open_bolt(env: &Env, url: &BoltUrl, Access { password_env, ca }: Access) -> Result<BoltGraph, Failure> {
    let password = std::env::var(&password_env).map_err(|error| {
        Failure::input(format!("the password of the graph: {password_env}: {error}"))
            .help(format!("set {password_env}, or name another variable with --graph-password-env"))
    })?;
    let mut options = BoltOptions::new(url, password);
    match &mut options.security {
        Security::Tls { extra_ca } => *extra_ca = ca,
        Security::Plain if ca.is_some() => {
            return Err(Failure::input("--graph-ca needs TLS").help("write bolt+s:// instead of bolt://"));
        }
        Security::Plain => {}
    }
    BoltGraph::new(env.clone(), options).map_err(|error| Failure::input(error.to_string()))
}

fn not_started(error: StartError) -> Failure {
    let StartError::Graph(graph) = &error;
    let message = error.to_string();
    match graph {
        error if error.is_damage() => Failure::damage(message),
        GraphError::Refused { code, .. } => Failure::other(message).help(format!(
            "the graph's code for it is {code}: check the user, the password, the database and what the user may do"
        )),
        _ => Failure::other(message),
    }
}
