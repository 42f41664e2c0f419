//! What allows tests to empty a graph.
//!
//! A test needs an empty graph, and its graph is somebody's server. What it finds there is its own only if it is what
//! another test left, one that failed and was kept for looking at. So a test leaves a licence in the graph while it
//! works: a node that says that tests may empty it, whoever else claims it.

use stores::{GraphStore, Rows, Statement};

use crate::{Server, run};

impl Server {
    /// Empties the graph, if it is one that tests may empty: one that holds nothing, or a licence.
    ///
    /// # Panics
    ///
    /// When it holds something else.
    pub async fn make_ready(&self, store: &dyn GraphStore) {
        let licensed = !run(store, &FIND_LICENCE).await.is_empty();
        let in_use = !run(store, &FIND_ANY).await.is_empty();
        assert!(
            licensed || !in_use,
            "the graph at {} is in use; tests delete everything: give them an empty one",
            self.url
        );
        if !licensed {
            run(store, &CREATE_LICENCE).await;
        }
        run(store, &DELETE_EDGES).await;
        run(store, &DELETE_NODES).await;
    }

    /// Leaves nothing, the licence last: for whatever test comes next.
    pub async fn leave_empty(&self, store: &dyn GraphStore) {
        for statement in [&DELETE_EDGES, &DELETE_NODES, &DELETE_LICENCE] {
            run(store, statement).await;
        }
    }
}

static FIND_LICENCE: Statement =
    on_servers("find_licence", "MATCH (s:Store {key: 'tests'}) RETURN s.key AS key", &["key"]);
static CREATE_LICENCE: Statement = on_servers("create_licence", "CREATE (s:Store {key: 'tests'})", &[]);
static DELETE_LICENCE: Statement = on_servers("delete_licence", "MATCH (s:Store {key: 'tests'}) DELETE s", &[]);
static FIND_ANY: Statement = on_servers("find_any", "MATCH (n) RETURN 1 AS one LIMIT 1", &["one"]);
static DELETE_EDGES: Statement = on_servers("delete_edges", "MATCH ()-[r]->() DELETE r", &[]);
static DELETE_NODES: Statement =
    on_servers("delete_nodes", "MATCH (n) WHERE n.key IS NULL OR n.key <> 'tests' DELETE n", &[]);

/// A statement that no other graph needs: those start empty.
const fn on_servers(name: &'static str, cypher: &'static str, columns: &'static [&'static str]) -> Statement {
    Statement { name, cypher, columns, run: |_, _| Ok(Rows::new()) }
}
