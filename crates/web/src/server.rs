//! Accepting connections, and ending them without cutting a request short.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use env::{Connection, Env, Listener};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::token::Token;

/// How long to wait after a failure to accept: out of file descriptors, as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// How long the body of a request may take to arrive.
    pub body_read_timeout: Duration,
    /// How long the head of a request may take to arrive, and how long a connection may be
    /// idle between two requests.
    pub header_read_timeout: Duration,
    /// How many connections may be open; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long open requests may take to end once the server was told to stop.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 4 << 20,
            body_read_timeout: Duration::from_secs(30),
            header_read_timeout: Duration::from_secs(30),
            connections_max: 1024,
            drain_timeout: Duration::from_secs(15),
        }
    }
}

/// How a server serves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serving {
    /// What a client may use up.
    pub limits: Limits,
    /// What a client has to know; none serves whoever can connect.
    pub token: Option<Token>,
}

/// Whoever can connect, within these limits.
impl From<Limits> for Serving {
    fn from(limits: Limits) -> Serving {
        Serving { limits, token: None }
    }
}

/// How far the server's end has come, as its connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Finish the request that is open and take no other.
    Draining,
    /// Close at once.
    Cut,
}

/// Serves what the router answers until `stop` resolves, and returns what it resolved to.
///
/// Then nothing is accepted any more, idle connections are closed, and requests that are
/// open have [`Limits::drain_timeout`] to be answered before their connections are closed too.
pub async fn serve<T>(
    env: Env,
    mut listener: Box<dyn Listener>,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = T>,
) -> T {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    // Each connection holds a receiver, so when there is none left, all have ended.
    let phases = watch::Sender::new(Phase::Serving);
    let mut stop = pin!(stop);
    let end = loop {
        tokio::select! {
            biased;
            end = stop.as_mut() => break end,
            (permit, stream, peer) = accept(listener.as_mut(), &permits) => {
                let connection = run(stream, peer, router.clone(), limits, phases.subscribe());
                env.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
        }
    };
    drop(listener);
    phases.send_replace(Phase::Draining);
    if tokio::time::timeout(limits.drain_timeout, phases.closed()).await.is_err() {
        tracing::warn!(connections = phases.receiver_count(), "closing connections with requests still open");
        phases.send_replace(Phase::Cut);
        phases.closed().await;
    }
    end
}

/// The next connection, once there may be one more.
async fn accept(listener: &mut dyn Listener, permits: &Arc<Semaphore>) -> (OwnedSemaphorePermit, Connection, String) {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (permit, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection.
async fn run(stream: Connection, peer: String, router: Router, limits: Limits, mut phase: watch::Receiver<Phase>) {
    let mut http = http1::Builder::new();
    // The date is set by the router, from the environment's clock.
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_read_timeout).auto_date_header(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = reached(&mut phase, Phase::Draining) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                result = connection => result,
                () = reached(&mut phase, Phase::Cut) => return,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer, %error, "connection ended");
    }
}

/// Waits for a phase. A server that is gone has reached every one.
async fn reached(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = phases.wait_for(|now| *now >= phase).await;
}
