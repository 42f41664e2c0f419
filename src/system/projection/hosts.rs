//! The software of the projectors' hosts.

use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::Env;
use graph::Millis;
use projection::http;
use projection::lanes;
use projection::log::{EventLog, HttpLog, HttpLogOptions};
use projection::service::{Options as ServiceOptions, Projector};
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use web::server::Limits;

use super::PROJECTOR_PORT;
use super::bus::ring;
use crate::sut::{Exit, HostSpec};
use crate::system::environment::Simulated;
use crate::system::{BOLT_PORT, COORDINATOR, GRAPH, HTTP_PORT, OnUnknown, Options};
use crate::world::Host;

/// What the lanes ask for, as points are named.
const EFFECTS: [&str; 11] =
    ["open", "load", "apply", "fetch", "feed", "checkpoint", "turn", "list", "raise", "close", "reply"];

/// The pause between two counts of the stubs.
pub const STUBS_PERIOD: Duration = Duration::from_millis(500);

/// Small, so that everything overflows and takes several turns.
const LANES: lanes::Config = lanes::Config {
    on_unknown: lanes::OnUnknown::Park,
    on_foreign: lanes::OnForeign::TakeOver,
    batch_lanes_max: 3,
    run_max: 4,
    effects_max: 3,
    buffer_max: 8,
    lanes_max: 8,
    buffered_max: 32,
    page: 8,
    campaign_page: 2,
    backoff_ms: Millis(20),
    backoff_ms_max: Millis(200),
    barrier_timeout_ms: Millis(1_000),
    checkpoint_period_ms: Millis(200),
    revive_period_ms: Millis(10_000),
    left_out_period_ms: Millis(1_000),
    attempts_max: 20,
};

/// A projector's host.
pub fn spec(name: &'static str) -> HostSpec {
    let points = EFFECTS.iter().flat_map(|effect| ["before", "after"].map(|when| format!("lanes.{effect}.{when}")));
    HostSpec { points: points.collect(), ..HostSpec::new(name) }
}

/// A projector's process, from its start to its end.
pub async fn projector(host: Host, options: Options) -> Exit {
    match run(host, &options).await {
        Ok(reason) => Exit::Failed(format!("halted: {reason}")),
        Err(error) => Exit::Failed(error.to_string()),
    }
}

/// What `projector run` does, on simulated surroundings. Returns why it halted.
async fn run(host: Host, options: &Options) -> Result<String, Box<dyn Error + Send + Sync>> {
    let env = Env::new(Simulated::new(host.clone()));
    let _data = env.claim(Path::new("/data"))?;
    let log: Arc<dyn EventLog> = Arc::new(open_log(&env));
    let url: BoltUrl = format!("bolt://simulated@{GRAPH}:{BOLT_PORT}").parse()?;
    let mut bolt = BoltOptions::new(&url, "");
    bolt.connect_timeout = Duration::from_millis(options.graph_limit_ms / 2);
    let graph = Arc::new(BoltGraph::new(env.clone(), bolt)?);
    let on_unknown = match options.on_unknown {
        OnUnknown::Park => lanes::OnUnknown::Park,
        OnUnknown::Halt => lanes::OnUnknown::Halt,
    };
    let service = ServiceOptions {
        lanes: lanes::Config { on_unknown, ..LANES },
        graph_limit: Duration::from_millis(options.graph_limit_ms),
        prepare_limit: Duration::from_millis(8 * options.graph_limit_ms),
        stubs_period: STUBS_PERIOD,
        ..ServiceOptions::default()
    };
    let listener = env.listen(&format!("0.0.0.0:{PROJECTOR_PORT}")).await?;
    let projector = Projector::start(env.clone(), service, graph, log).await?;
    if let Some(delivery) = options.delivery {
        env.spawn(ring(host, open_log(&env), projector.clone(), delivery));
    }
    let halted = projector.clone();
    Ok(http::serve(env, listener, projector, Limits::default(), async move { halted.halted().await }).await)
}

fn open_log(env: &Env) -> HttpLog {
    let options = HttpLogOptions {
        wait: Duration::from_millis(300),
        timeout: Duration::from_millis(700),
        backoff: Duration::from_millis(20),
        backoff_max: Duration::from_millis(200),
    };
    let log = HttpLog::new(env.clone(), format!("{COORDINATOR}:{HTTP_PORT}"), options, Ok::<_, Infallible>);
    log.unwrap_or_else(|never| match never {})
}
