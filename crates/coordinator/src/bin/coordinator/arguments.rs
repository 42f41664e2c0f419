//! What the program is told on its command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use coordinator::client::ServerUrl;
use coordinator::damage::Ruling;
use coordinator::reconcile::{Authority, Policy};
use graph::TxId;
use stores::bolt::client::{BoltUrl, UrlError};
use web::program::logging::LogFormat;

/// Atomic transactions over a graph database and SQLite.
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
  2   the command line or the environment is wrong
  65  the ledger or the graph is damaged, or one of them is older than the other: do not
      start it again before somebody has looked; nothing was served and nothing repaired
  75  stopped in order to recover from its log, or could not start because the disk is full
      or failed: start it again, and as often as it takes
A defect in the program ends it with SIGABRT: start it again, and report what it printed.";

const SERVE_EXAMPLES: &str = "\
Examples:
  coordinator serve --data ./data
  coordinator serve --data ./data --listen 127.0.0.1:0 --log-format json
  SQUALL_GRAPH_PASSWORD=… coordinator serve --data ./data --graph bolt://neo4j@127.0.0.1:7687
  TOKEN=… coordinator serve --data ./data --listen 0.0.0.0:7400 --token-env TOKEN
  GRAPH=… coordinator serve --data ./data --graph bolt+s://graph.example/db --graph-password-env GRAPH

A transaction:
  curl -i http://127.0.0.1:7400/transactions -H 'Content-Type: application/json' -H 'Idempotency-Key: k1' \\
    -d '{\"operations\": [{\"create\": {\"id\": \"alice\", \"kind\": \"person\", \"properties\": {\"age\": 7}}}]}'
  curl -i http://127.0.0.1:7400/entities/alice

The whole API is at /openapi.json, metrics for Prometheus are at /metrics, and what somebody has
to look at is at /alerts.

Logs go to stderr, filtered by RUST_LOG (default: info). Once it serves, it prints the line
`listening on http://ADDR` to stdout. It stops at SIGTERM or ctrl-c, after the open requests;
a second one stops it at once.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Ask a running server how it is.
    #[command(after_help = "Example:\n  coordinator status --url http://127.0.0.1:7400")]
    Status(Status),
    /// Compare both stores, while everything goes on. Exit code 1 if they differ.
    #[command(after_help = MAINTENANCE)]
    Validate(Maintenance),
    /// Make both stores the same where a policy decides. Exit code 1 if something is left.
    #[command(after_help = MAINTENANCE)]
    Reconcile(Reconcile),
    /// Show what is left to a person to decide, or decide it.
    #[command(after_help = MAINTENANCE)]
    Resolve(Resolve),
    /// Write both stores to a new folder, as of one moment. New transactions wait meanwhile.
    #[command(after_help = BACKUP)]
    Backup(Backup),
    /// Put a backup into an empty folder and an empty graph.
    #[command(after_help = BACKUP)]
    Restore(Restore),
}

const BACKUP: &str = "\
Examples:
  coordinator backup --to /var/backups/coordinator-monday
  coordinator backup --data ./data --to ./monday
  coordinator restore --from ./monday --data ./restored
  GRAPH=… coordinator restore --from ./monday --data ./restored --graph bolt+s://new.example/db --graph-password-env GRAPH

A backup is made by the server at --url, on its own machine; or, if none runs, by this program from
the folder that --data names. A folder that has its name is whole: what is not has another name and
can be deleted. A restored pair of stores has a new id: it works with nothing but each other, and
the pair that was backed up stays what it is.";

const MAINTENANCE: &str = "\
Examples:
  coordinator validate
  coordinator reconcile --policy log
  coordinator resolve
  coordinator resolve --case 3 --authority graph --by ann --note 'asked the owner'
  coordinator resolve --damaged
  coordinator resolve --damaged tx-3-17 --by ann --note 'the client has sent it again'
  coordinator validate --data ./data

Through the server at --url. With --data, and if no server runs on that folder, the folder is
opened instead: everything open is recovered first, as by a server. Results are JSON on stdout.

Policies: `log` takes what the committed transactions say; `graph` and `sql` take what that store
has, but delete nothing that was committed and bring back nothing that was deleted; `quarantine`
leaves everything to a person.";

/// Where to find the stores.
#[derive(Debug, Args)]
pub struct Maintenance {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7400")]
    pub url: ServerUrl,

    /// The data folder, to be opened if no server runs on it.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    #[command(flatten)]
    pub graph: Graph,

    /// The environment variable that holds the server's token, if it was started with one.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// How long to wait for the server's answer: as long as it takes to read both stores.
    #[arg(long, value_name = "MS", default_value_t = 3_600_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout_ms: u64,
}

#[derive(Debug, Args)]
pub struct Reconcile {
    #[command(flatten)]
    pub maintenance: Maintenance,

    /// Who is right where the stores differ: log, graph, sql, or quarantine for nobody.
    #[arg(long, default_value_t = Policy::Log)]
    pub policy: Policy,
}

#[derive(Debug, Args)]
pub struct Backup {
    #[command(flatten)]
    pub maintenance: Maintenance,

    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// The backup.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,

    /// The data folder to restore to; created if it is missing.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,

    #[command(flatten)]
    pub graph: Graph,
}

#[derive(Debug, Args)]
pub struct Resolve {
    #[command(flatten)]
    pub maintenance: Maintenance,

    /// Which case; without it all open ones are shown.
    #[arg(long, value_name = "NUMBER", requires_all = ["authority", "by", "note"])]
    pub case: Option<u64>,

    /// Who is right: log, graph or sql.
    #[arg(long, requires = "case")]
    pub authority: Option<Authority>,

    /// The damaged records of the log, instead of cases; with a transaction, close its record,
    /// once both stores agree.
    #[arg(long, value_name = "TX", num_args = 0..=1, conflicts_with_all = ["case", "authority"])]
    pub damaged: Option<Option<TxId>>,

    /// What became of the transaction of a damaged record, where the graph alone had it: committed or aborted.
    #[arg(long, value_name = "OUTCOME", requires = "damaged")]
    pub outcome: Option<Ruling>,

    /// Who decides, for the audit trail.
    #[arg(long, value_name = "NAME", requires = "note")]
    pub by: Option<String>,

    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT", requires = "by")]
    pub note: Option<String>,
}

/// Where the graph is.
#[derive(Debug, Args)]
pub struct Graph {
    /// The graph: `embedded` (a file in the data folder), `bolt://[USER@]HOST[:PORT][/DB]`,
    /// or `bolt+s://…` for TLS.
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
}

#[derive(Debug, Args)]
pub struct Serve {
    /// The folder for the log and, with --graph embedded, the graph; created if it is missing.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,

    /// Where to listen; with port 0 the system chooses one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7400")]
    pub listen: String,

    /// The environment variable that holds the token which clients have to send as
    /// `Authorization: Bearer TOKEN`, at least 16 characters. /healthz alone needs none. It goes
    /// over the wire as it is: beyond this machine, put TLS in front.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// Listen on an address that other machines reach although there is no token: whoever
    /// reaches it can read and change everything.
    #[arg(long)]
    pub allow_remote: bool,

    #[command(flatten)]
    pub graph: Graph,

    /// After how long a client is told that the outcome is not known yet.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub answer_timeout_ms: u64,

    /// How many requests may be open; further ones are refused with 503 before anything is done.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub requests_max: u32,

    /// For how long the outcome and the idempotency key of a settled transaction are kept, at
    /// least. After that a retry under the same key is a new transaction. Only the time counts
    /// during which a server is running.
    #[arg(long, value_name = "HOURS", default_value_t = 168, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub retention_hours: u64,

    /// Remove the markers of transactions from the graph whose records are older than the retention.
    /// Only where the server ends transactions that take longer than it was told, as Neo4j and the
    /// embedded graph do: otherwise a request that comes very late could take effect twice.
    #[arg(long)]
    pub collect_markers: bool,

    /// Take a graph that nobody has claimed in the place of the one that the ledger had: for one that has lost
    /// everything. `coordinator reconcile` fills it again, from the log.
    #[arg(long)]
    pub fill_empty_graph: bool,

    /// The pause between two comparisons of both stores; 0 for none.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub validate_every_minutes: u64,

    /// How logs are written.
    #[arg(long, value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,
}

#[derive(Debug, Args)]
pub struct Status {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7400")]
    pub url: ServerUrl,

    /// The environment variable that holds the server's token, if it was started with one.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// How long to wait for its answer.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout_ms: u64,
}

/// Which graph to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphChoice {
    /// A file in the data folder.
    Embedded,
    /// A server.
    Bolt(BoltUrl),
}

impl FromStr for GraphChoice {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<GraphChoice, UrlError> {
        if text == "embedded" { Ok(GraphChoice::Embedded) } else { text.parse().map(GraphChoice::Bolt) }
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
        assert_eq!("embedded".parse(), Ok(GraphChoice::Embedded));
        assert!(matches!("bolt+s://graph.example".parse(), Ok(GraphChoice::Bolt(url)) if url.tls));
        assert_eq!("sqlite".parse::<GraphChoice>(), Err(UrlError::Scheme));
    }
}
