//! The software of the projectors' hosts.

use std::sync::Arc;
use std::time::Duration;

use env::Env;
use projection::lanes::OnUnknown;
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};

use super::interim::Interim;
use crate::sut::{Exit, HostSpec};
use crate::system::environment::Simulated;
use crate::system::{BOLT_PORT, GRAPH, Options};
use crate::world::Host;

/// What the lanes ask for, as points are named.
const EFFECTS: [&str; 10] =
    ["open", "load", "apply", "fetch", "feed", "checkpoint", "list", "raise", "close", "reply"];

/// A projector's host.
pub fn spec(name: &'static str) -> HostSpec {
    let points = EFFECTS.iter().flat_map(|effect| ["before", "after"].map(|when| format!("lanes.{effect}.{when}")));
    HostSpec { points: points.collect(), ..HostSpec::new(name) }
}

/// What `projector run` does, on simulated surroundings.
pub async fn projector(host: Host, options: Options, interim: Interim) -> Exit {
    let name = host.name().to_owned();
    let env = Env::new(Simulated::new(host));
    let url: BoltUrl = format!("bolt://simulated@{GRAPH}:{BOLT_PORT}").parse().expect("a good address");
    let mut bolt = BoltOptions::new(&url, "");
    bolt.connect_timeout = Duration::from_millis(options.graph_limit_ms / 2);
    let graph = Arc::new(BoltGraph::new(env.clone(), bolt).expect("good options"));
    let limit = Duration::from_millis(options.graph_limit_ms);
    Exit::Failed(interim.run(&name, env, graph, limit, OnUnknown::Park).await)
}
