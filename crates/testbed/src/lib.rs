//! The graph databases that tests run on.
//!
//! Each test that says what the programs and their statements do on a graph does it on the embedded one, and on the
//! server that `SQUALL_BOLT_URL` and `SQUALL_BOLT_PASSWORD` name, if they do: `docs/real-graph.md` tells how to get one.

mod licence;

use std::env::{VarError, var};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use env::Env;
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use stores::embedded::EmbeddedGraph;
use stores::sqlite::Check;
use stores::{Call, Expect, GraphStore, Params, Rows, Statement};
use tokio::sync::{Mutex, MutexGuard};

/// Long enough never to decide a test.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The file of an embedded graph within its program's data folder.
const GRAPH_FILE: &str = "graph.db";

/// What a program runs on.
pub enum Target {
    /// A graph in its data folder.
    Embedded,
    /// A server.
    Server(Server),
}

impl Target {
    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Target::Embedded => "the embedded graph",
            Target::Server(_) => "a real server",
        }
    }

    /// What a program is told about it on its command line, after `--graph`.
    pub fn argument(&self) -> String {
        match self {
            Target::Embedded => "embedded".to_owned(),
            Target::Server(server) => server.url.to_string(),
        }
    }

    /// What it is told about it in its environment.
    pub fn password(&self) -> Option<&str> {
        match self {
            Target::Embedded => None,
            Target::Server(server) => Some(&server.password),
        }
    }

    /// Opens the graph of the program with this data folder: beside it, or after its end if the graph is a file.
    ///
    /// # Panics
    ///
    /// When the graph does not open: the test has failed.
    pub async fn open(&self, env: &Env, data: &Path) -> Box<dyn GraphStore> {
        match self {
            Target::Embedded => {
                let opened = EmbeddedGraph::open(env, &data.join(GRAPH_FILE), Check::Quick).await;
                Box::new(opened.expect("the graph opens"))
            }
            Target::Server(server) => Box::new(server.open(env)),
        }
    }

    /// See [`Server::make_ready`]; an embedded graph starts empty.
    pub async fn make_ready(&self, env: &Env) {
        if let Target::Server(server) = self {
            server.make_ready(&server.open(env)).await;
        }
    }

    /// See [`Server::leave_empty`]; an embedded graph is deleted with its folder.
    pub async fn leave_empty(&self, env: &Env) {
        if let Target::Server(server) = self {
            server.leave_empty(&server.open(env)).await;
        }
    }
}

/// A graph database that other tests run on as well, for as long as this one has its turn.
pub struct Server {
    /// Where it is, and as whom to log in.
    pub url: BoltUrl,
    /// The password; empty where none is needed.
    pub password: String,
    _turn: MutexGuard<'static, ()>,
}

/// Held by the test of this process that uses the server: there is only one server, and cargo runs one process at a time.
static TURN: Mutex<()> = Mutex::const_new(());

impl Server {
    /// The server that the environment names, when no other test uses it. If it names none, this says that `test` is
    /// skipped.
    ///
    /// # Panics
    ///
    /// When the URL or the password cannot be read: a test that somebody asked for is not skipped.
    pub async fn from_environment(test: &str) -> Option<Server> {
        let url = match var("SQUALL_BOLT_URL") {
            Ok(url) => url,
            Err(VarError::NotPresent) => {
                say(&format!(
                    "skipped: {test} on a real graph server (SQUALL_BOLT_URL is not set; see docs/real-graph.md)"
                ));
                return None;
            }
            Err(error) => panic!("SQUALL_BOLT_URL: {error}"),
        };
        let url = url.parse().unwrap_or_else(|error| panic!("SQUALL_BOLT_URL is {url:?}: {error}"));
        let password = match var("SQUALL_BOLT_PASSWORD") {
            Ok(password) => password,
            Err(VarError::NotPresent) => String::new(),
            Err(error) => panic!("SQUALL_BOLT_PASSWORD: {error}"),
        };
        Some(Server { url, password, _turn: TURN.lock().await })
    }

    /// A client of it.
    ///
    /// # Panics
    ///
    /// When the URL asks for encryption that this machine cannot do.
    pub fn open(&self, env: &Env) -> BoltGraph {
        BoltGraph::new(env.clone(), BoltOptions::new(&self.url, self.password.as_str()))
            .expect("the options are consistent")
    }
}

/// Runs one statement without parameters in a transaction of its own.
///
/// # Panics
///
/// When it fails: the test has failed.
pub async fn run(store: &dyn GraphStore, statement: &'static Statement) -> Rows {
    let call = Call { statement, params: Params::new(), expect: Expect::Anything };
    let result = store.execute(vec![call], LIMIT).await;
    result.unwrap_or_else(|error| panic!("{}: {error}", statement.name)).remove(0)
}

/// Says something to whoever runs the tests, also where the output of tests that pass is not shown.
///
/// # Panics
///
/// When standard error is closed.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error takes a line");
}
