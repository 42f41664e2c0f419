//! What the program is told on its command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use graph::EntityId;
use stores::bolt::client::{BoltUrl, UrlError};
use web::client::ServerUrl;
use web::program::logging::LogFormat;

/// A graph that says what the events of an event store say.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done, or stopped by SIGTERM or ctrl-c
  1   failed; the message says what to do
  2   the command line or the environment is wrong, or the data folder is of another log or graph
  65  the graph is damaged: do not start it again before somebody has looked
  75  stopped because it has to: by an event of a type that is not known here, if it was told to stop
      there, by a graph that is of another event store's log, or because the disk of the graph is full
      or failed; what is said on stderr helps
A defect in the program ends it with SIGABRT: start it again, and report what it printed.";

const RUN_EXAMPLES: &str = "\
Examples:
  projector run --events http://127.0.0.1:7400 --data ./projector
  projector run --events http://127.0.0.1:7400 --data ./projector --graph embedded:./graph
  SQUALL_GRAPH_PASSWORD=… projector run --events http://127.0.0.1:7400 --data ./projector --graph bolt://neo4j@127.0.0.1:7687
  TOKEN=… EVENTS=… projector run --events http://events.example:7400 --events-token-env EVENTS --data ./projector \\
    --listen 0.0.0.0:7500 --token-env TOKEN

What it knows about its own work is in the graph, written with each effect: it may be killed at any moment and started
anywhere. Two of one event store on one graph do no harm, for each write is refused where another one was faster; both show it as `fenced`
in their status. The folder that --data names has a lock, so that two are not started on it by mistake; the settings it
was first used with, so that it is not used with another log or graph by mistake; and, unless --graph says otherwise, the
graph itself.

The whole API is at /openapi.json, metrics for Prometheus are at /metrics, and /status says what somebody has to look at.

Logs go to stderr, filtered by RUST_LOG (default: info). Once it serves, it prints the line
`listening on http://ADDR` to stdout. It stops at SIGTERM or ctrl-c, after the open requests;
a second one stops it at once.";

const ASK_EXAMPLES: &str = "\
Examples:
  projector status
  projector stubs --url http://127.0.0.1:7500
  projector rebuild
  projector rebuild article-7
  TOKEN=… projector reconcile --url http://graph.example:7500 --token-env TOKEN

Through the projector at --url, which has to run. Results are JSON on stdout.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep a graph what the events say, and serve what it shows.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Show how a projector is: how far behind, what is parked, whether another one writes to its graph.
    #[command(after_help = ASK_EXAMPLES)]
    Status(Ask),
    /// Show what is linked to and was never created, and why.
    #[command(after_help = ASK_EXAMPLES)]
    Stubs(Ask),
    /// Write the graph anew from the log, all of it or one resource, while everything goes on.
    #[command(after_help = ASK_EXAMPLES)]
    Rebuild(Whole),
    /// Compare the graph with the log, and put right what differs. Exit code 1 if something is left.
    #[command(after_help = ASK_EXAMPLES)]
    Reconcile(Whole),
}

#[derive(Debug, Args)]
pub struct Run {
    /// The event store.
    #[arg(long, value_name = "URL")]
    pub events: ServerUrl,

    /// The environment variable that holds the event store's token, if it was started with one.
    #[arg(long, value_name = "VAR")]
    pub events_token_env: Option<String>,

    /// The folder for the lock, the settings and, with --graph embedded, the graph; created if it is missing.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,

    /// The graph: `embedded` (a file in the data folder), `embedded:DIR` (a file in another one, which no other process
    /// may use), `bolt://[USER@]HOST[:PORT][/DB]`, or `bolt+s://…` for TLS.
    #[arg(long, value_name = "GRAPH", default_value = "embedded")]
    pub graph: GraphChoice,

    /// The environment variable that holds the password for a Bolt server.
    #[arg(long, value_name = "VAR", default_value = "SQUALL_GRAPH_PASSWORD")]
    pub graph_password_env: String,

    /// A PEM file with certificates to trust for `bolt+s`, besides the system's.
    #[arg(long, value_name = "FILE")]
    pub graph_ca: Option<PathBuf>,

    /// How long one transaction may take in the graph.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub graph_timeout_ms: u64,

    /// Where to listen; with port 0 the system chooses one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7500")]
    pub listen: String,

    /// The environment variable that holds the token which clients have to send as
    /// `Authorization: Bearer TOKEN`, at least 16 characters. /healthz alone needs none. It goes
    /// over the wire as it is: beyond this machine, put TLS in front.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// Listen on an address that other machines reach although there is no token: whoever
    /// reaches it can read everything and have it rebuilt.
    #[arg(long)]
    pub allow_remote: bool,

    /// Stop at an event of a type that is not known here, instead of parking its resource.
    #[arg(long)]
    pub halt_on_unknown: bool,

    /// Take over a graph that is of another event store's log, and rebuild it from this one. Without it, that is done only
    /// where this data folder knows the log that the graph is of, so that it was replaced, as by a restore.
    #[arg(long)]
    pub turn: bool,

    /// How many requests may be open; further ones are refused with 503 before anything is done.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub requests_max: u32,

    /// How logs are written.
    #[arg(long, value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,
}

#[derive(Debug, Args)]
pub struct Ask {
    /// The projector.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7500")]
    pub url: ServerUrl,

    /// The environment variable that holds the projector's token, if it was started with one.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// How long to wait for its answer.
    #[arg(long, value_name = "MS", default_value_t = 3_600_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout_ms: u64,
}

#[derive(Debug, Args)]
pub struct Whole {
    /// The resource; all of them if none is named.
    pub resource: Option<EntityId>,

    #[command(flatten)]
    pub ask: Ask,
}

/// Which graph to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphChoice {
    /// A file in this folder, or in the data folder.
    Embedded(Option<PathBuf>),
    /// A server.
    Bolt(BoltUrl),
}

impl FromStr for GraphChoice {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<GraphChoice, UrlError> {
        match text.split_once(':') {
            None if text == "embedded" => Ok(GraphChoice::Embedded(None)),
            Some(("embedded", folder)) if !folder.is_empty() => Ok(GraphChoice::Embedded(Some(folder.into()))),
            _ => text.parse().map(GraphChoice::Bolt),
        }
    }
}

/// As the settings of a data folder have it: whoever logs in, it is the same graph.
impl fmt::Display for GraphChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GraphChoice::Embedded(None) => f.write_str("embedded"),
            GraphChoice::Embedded(Some(folder)) => write!(f, "embedded:{}", folder.display()),
            GraphChoice::Bolt(BoltUrl { tls, user: _, host, port, database }) => {
                let scheme = if *tls { "bolt+s" } else { "bolt" };
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                write!(f, "{scheme}://{host}:{port}")?;
                database.iter().try_for_each(|database| write!(f, "/{database}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_graph_is_embedded_or_a_server() {
        assert_eq!("embedded".parse(), Ok(GraphChoice::Embedded(None)));
        assert_eq!("embedded:./g".parse(), Ok(GraphChoice::Embedded(Some("./g".into()))));
        assert!(matches!("bolt+s://graph.example".parse(), Ok(GraphChoice::Bolt(url)) if url.tls));
        for text in ["sqlite", "embedded:"] {
            assert_eq!(text.parse::<GraphChoice>(), Err(UrlError::Scheme), "{text}");
        }
    }

    #[test]
    fn a_graph_is_written_as_it_is_read() {
        for text in ["embedded", "embedded:/g", "bolt://127.0.0.1:7687", "bolt+s://a.example:1/db"] {
            assert_eq!(text.parse::<GraphChoice>().map(|graph| graph.to_string()), Ok(text.to_owned()));
        }
    }
}
