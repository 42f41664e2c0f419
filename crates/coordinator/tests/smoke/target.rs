//! The graphs that the program runs on.

use std::path::Path;
use std::time::Duration;

use coordinator::statements::{self, CONSTRAINTS};
use env::Env;
use stores::bolt::client::{BoltGraph, BoltOptions, BoltUrl};
use stores::embedded::EmbeddedGraph;
use stores::sqlite::Check;
use stores::{Call, Datum, Expect, GraphStore, Params, Rows, Statement};

/// Long enough never to decide the test.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The file of the embedded graph within the data folder.
const GRAPH_FILE: &str = "graph.db";

/// Whom the conformance suite's graph belongs to: it may be emptied.
const CONFORMANCE: &str = "conformance-suite";

/// One graph to run on.
pub enum Target {
    /// A second SQLite file in the data folder.
    Embedded,
    /// A server, by its URL and its password.
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
            Target::Embedded => "the embedded graph",
            Target::Server(..) => "a real server",
        }
    }

    /// What the program is told about it on its command line.
    pub fn arguments(&self) -> Vec<String> {
        let graph = match self {
            Target::Embedded => "embedded".to_owned(),
            Target::Server(url, _) => url.clone(),
        };
        vec!["--graph".to_owned(), graph]
    }

    /// What the program is told about it in its environment.
    pub fn password(&self) -> Option<&str> {
        match self {
            Target::Embedded => None,
            Target::Server(_, password) => Some(password),
        }
    }

    /// Opens the graph beside the program, or after its end if the graph is a file.
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

    /// Empties a server's graph, if it is one that tests may empty, so that the program's new
    /// ledger can claim it.
    ///
    /// A graph belongs to the ledger that claimed it first. This test's ledger is gone
    /// when the test is, so the graph gets a licence: a node that says that tests may empty it
    /// whoever owns it. With it the next run can tell what a failed one left, and was kept
    /// for looking at, from somebody's data.
    pub async fn make_ready(&self, env: &Env) {
        let Target::Server(url, _) = self else { return };
        let store = self.open(env, Path::new("")).await;
        store.ensure_unique(CONSTRAINTS).await.expect("the server takes constraints");
        let licensed = !run(store.as_ref(), &FIND_LICENCE).await.is_empty();
        let owner = run(store.as_ref(), &statements::READ_STORE).await;
        let is_suite = owner.first().is_some_and(|row| row.first() == Some(&Datum::from(CONFORMANCE)));
        let in_use = !owner.is_empty() || !run(store.as_ref(), &FIND_ANY).await.is_empty();
        assert!(
            licensed || is_suite || !in_use,
            "the graph at {url} is in use; the smoke test deletes everything: give it an empty one"
        );
        run(store.as_ref(), &CREATE_LICENCE).await;
        for statement in [&DELETE_LINKS, &DELETE_ENTITIES, &DELETE_MARKERS, &DELETE_OWNER] {
            run(store.as_ref(), statement).await;
        }
    }

    /// Leaves nothing on a server, not even the licence: for whatever test comes next.
    pub async fn leave_empty(&self, store: &dyn GraphStore) {
        if let Target::Server(..) = self {
            for statement in [&DELETE_LINKS, &DELETE_ENTITIES, &DELETE_MARKERS, &DELETE_OWNER, &DELETE_LICENCE] {
                run(store, statement).await;
            }
        }
    }
}

/// Runs one statement without parameters in a transaction of its own.
async fn run(store: &dyn GraphStore, statement: &'static Statement) -> Rows {
    let call = Call { statement, params: Params::new(), expect: Expect::Anything };
    let result = store.execute(vec![call], LIMIT).await;
    result.unwrap_or_else(|error| panic!("{}: {error}", statement.name)).remove(0)
}

// Only servers need these: an embedded graph starts empty and is deleted with its folder.
static FIND_LICENCE: Statement =
    on_servers("find_licence", "MATCH (s:Store {key: 'smoke-test'}) RETURN s.key AS key", &["key"]);
static CREATE_LICENCE: Statement =
    on_servers("create_licence", "MERGE (s:Store {key: 'smoke-test'}) RETURN s.key AS key", &["key"]);
static DELETE_LICENCE: Statement = on_servers("delete_licence", "MATCH (s:Store {key: 'smoke-test'}) DELETE s", &[]);
static DELETE_OWNER: Statement = on_servers("delete_owner", "MATCH (s:Store {key: 'coordinator'}) DELETE s", &[]);
static FIND_ANY: Statement = on_servers("find_any", "MATCH (n) RETURN 1 AS one LIMIT 1", &["one"]);
static DELETE_LINKS: Statement = on_servers("delete_links", "MATCH ()-[r:LINK]->() DELETE r", &[]);
static DELETE_ENTITIES: Statement = on_servers("delete_entities", "MATCH (n:Entity) DELETE n", &[]);
static DELETE_MARKERS: Statement = on_servers("delete_markers", "MATCH (t:Tx) DELETE t", &[]);

const fn on_servers(name: &'static str, cypher: &'static str, columns: &'static [&'static str]) -> Statement {
    Statement { name, cypher, columns, run: |_, _| Ok(Rows::new()) }
}
