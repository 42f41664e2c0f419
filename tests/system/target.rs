//! The graphs that the two programs run on.

use std::path::Path;
use std::time::Duration;

use env::Env;
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use stores::embedded::EmbeddedGraph;
use stores::sqlite::Check;
use stores::{Call, Expect, GraphStore, Params, Rows, Statement};

/// Long enough never to decide the test.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The file of an embedded graph within its program's data folder.
const GRAPH_FILE: &str = "graph.db";

/// What the programs run on.
pub enum Target {
    /// A graph each, in their data folders: an embedded graph is one process's.
    Embedded,
    /// Both on one server, by its URL and its password.
    Server(String, String),
}

impl Target {
    /// The server that `SQUALL_BOLT_URL` and `SQUALL_BOLT_PASSWORD` name, if they do.
    pub fn from_environment() -> Option<Target> {
        let url = std::env::var("SQUALL_BOLT_URL").ok()?;
        Some(Target::Server(url, std::env::var("SQUALL_BOLT_PASSWORD").unwrap_or_default()))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Target::Embedded => "embedded graphs",
            Target::Server(..) => "a real server",
        }
    }

    /// What both programs are told about it on their command lines.
    pub fn argument(&self) -> &str {
        match self {
            Target::Embedded => "embedded",
            Target::Server(url, _) => url,
        }
    }

    /// What they are told about it in their environment.
    pub fn password(&self) -> Option<&str> {
        match self {
            Target::Embedded => None,
            Target::Server(_, password) => Some(password),
        }
    }

    /// Opens the graph of a program that has ended.
    pub async fn open(&self, env: &Env, data: &Path) -> Box<dyn GraphStore> {
        match self {
            Target::Embedded => {
                let opened = EmbeddedGraph::open(env, &data.join(GRAPH_FILE), Check::Quick).await;
                Box::new(opened.expect("the graph opens"))
            }
            Target::Server(url, password) => {
                let url: BoltUrl = url.parse().unwrap_or_else(|error| panic!("SQUALL_BOLT_URL is {url:?}: {error}"));
                let opened = BoltGraph::new(env.clone(), BoltOptions::new(&url, password.as_str()));
                Box::new(opened.expect("the graph's options are consistent"))
            }
        }
    }

    /// Empties a server's graph, if it is one that this test may empty: one that holds nothing, or what this test left
    /// when it failed. That it may be emptied is written down in it.
    pub async fn make_ready(&self, env: &Env) {
        let Target::Server(url, _) = self else { return };
        let store = self.open(env, Path::new("")).await;
        let licensed = !run(store.as_ref(), &FIND_LICENCE).await.is_empty();
        let in_use = !run(store.as_ref(), &FIND_ANY).await.is_empty();
        assert!(
            licensed || !in_use,
            "the graph at {url} is in use; this test deletes everything: give it an empty one"
        );
        self.leave_empty(store.as_ref()).await;
        run(store.as_ref(), &CREATE_LICENCE).await;
    }

    /// Leaves nothing on a server, the licence last: for whatever test comes next.
    pub async fn leave_empty(&self, store: &dyn GraphStore) {
        if let Target::Server(..) = self {
            for statement in [&DELETE_EDGES, &DELETE_NODES, &DELETE_LICENCE] {
                run(store, statement).await;
            }
        }
    }
}

/// Runs one statement without parameters in a transaction of its own.
pub async fn run(store: &dyn GraphStore, statement: &'static Statement) -> Rows {
    let call = Call { statement, params: Params::new(), expect: Expect::Anything };
    let result = store.execute(vec![call], LIMIT).await;
    result.unwrap_or_else(|error| panic!("{}: {error}", statement.name)).remove(0)
}

// Only servers need these: an embedded graph starts empty and is deleted with its folder.
static FIND_LICENCE: Statement =
    on_servers("find_licence", "MATCH (s:Store {key: 'system-test'}) RETURN s.key AS key", &["key"]);
static CREATE_LICENCE: Statement = on_servers("create_licence", "CREATE (s:Store {key: 'system-test'})", &[]);
static DELETE_LICENCE: Statement = on_servers("delete_licence", "MATCH (s:Store {key: 'system-test'}) DELETE s", &[]);
static FIND_ANY: Statement = on_servers("find_any", "MATCH (n) RETURN 1 AS one LIMIT 1", &["one"]);
static DELETE_EDGES: Statement = on_servers("delete_edges", "MATCH ()-[r]->() DELETE r", &[]);
static DELETE_NODES: Statement =
    on_servers("delete_nodes", "MATCH (n) WHERE n.key IS NULL OR n.key <> 'system-test' DELETE n", &[]);

const fn on_servers(name: &'static str, cypher: &'static str, columns: &'static [&'static str]) -> Statement {
    Statement { name, cypher, columns, run: |_, _| Ok(Rows::new()) }
}
