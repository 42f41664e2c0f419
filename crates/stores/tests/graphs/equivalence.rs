//! Used by one transaction at a time, the memory graph and the embedded graph are the same.

use env::{Env, Production};
use graph::{Properties, Real, Value};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use stores::embedded::EmbeddedGraph;
use stores::memory::MemoryGraph;
use stores::sqlite::Check;
use stores::{
    Call, Datum, Direction, EdgeHandle, Expect, GraphError, GraphFault, GraphStore, NodeHandle, PropertyGraph, Rows,
    Statement, TextRange, Uniqueness,
};
use tempfile::TempDir;

use crate::statements::LIMIT;

const LABELS: [&str; 3] = ["A", "B", "C"];
const NAMES: [&str; 3] = ["id", "p", "q"];
const KINDS: [&str; 2] = ["TO", "OF"];

/// One primitive operation. Nodes and edges are picked by position among those seen so far
/// in the statement, deleted ones included.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Primitive {
    Find { label: usize, name: usize, value: Value },
    Range { label: usize, name: usize, after: String, before: Option<String>, limit: usize },
    Scan { label: usize },
    Greatest { label: usize, name: usize },
    Create { labels: Vec<usize>, properties: Properties },
    Properties { node: usize },
    SetProperties { node: usize, properties: Properties },
    Delete { node: usize },
    Relate { from: usize, kind: usize, to: usize, properties: Properties },
    Edges { node: usize, kind: usize, out: bool },
    EdgeProperties { edge: usize },
    SetEdgeProperties { edge: usize, properties: Properties },
    Unrelate { edge: usize },
}

fn value() -> impl Strategy<Value = Value> {
    let real = |float| Value::Real(Real::try_from(float).expect("finite"));
    // Few values, so that they meet; some equal without being the same.
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0_i64..3).prop_map(Value::Int),
        Just(Value::Int(i64::MAX)),
        (0_u8..6).prop_map(move |half| real(f64::from(half) / 2.0)),
        prop::num::f64::NORMAL.prop_map(real),
        "[ab]?[!b]?".prop_map(Value::Text),
        any::<String>().prop_map(Value::Text),
    ];
    let list = prop::collection::vec(scalar.clone(), 0..3).prop_map(Value::List);
    prop_oneof![4 => scalar, 1 => list]
}

fn properties() -> impl Strategy<Value = Properties> {
    prop::collection::btree_map(prop::sample::select(&NAMES[..]).prop_map(str::to_owned), value(), 0..3)
}

fn primitive() -> impl Strategy<Value = Primitive> {
    let (label, name, kind, seen) = (0..LABELS.len(), 0..NAMES.len(), 0..KINDS.len(), 0..20_usize);
    prop_oneof![
        2 => (label.clone(), name.clone(), value()).prop_map(|(label, name, value)| Primitive::Find { label, name, value }),
        3 => (label.clone(), name.clone(), "[ab]{0,2}", prop::option::of("[ab]{1,3}"), 0..4_usize).prop_map(
            |(label, name, after, before, limit)| Primitive::Range { label, name, after, before, limit }
        ),
        2 => label.clone().prop_map(|label| Primitive::Scan { label }),
        2 => (label.clone(), name).prop_map(|(label, name)| Primitive::Greatest { label, name }),
        5 => (prop::collection::vec(label, 0..3), properties())
            .prop_map(|(labels, properties)| Primitive::Create { labels, properties }),
        1 => seen.clone().prop_map(|node| Primitive::Properties { node }),
        2 => (seen.clone(), properties())
            .prop_map(|(node, properties)| Primitive::SetProperties { node, properties }),
        2 => seen.clone().prop_map(|node| Primitive::Delete { node }),
        3 => (seen.clone(), kind.clone(), seen.clone(), properties())
            .prop_map(|(from, kind, to, properties)| Primitive::Relate { from, kind, to, properties }),
        2 => (seen.clone(), kind, any::<bool>()).prop_map(|(node, kind, out)| Primitive::Edges { node, kind, out }),
        1 => seen.clone().prop_map(|edge| Primitive::EdgeProperties { edge }),
        1 => (seen.clone(), properties())
            .prop_map(|(edge, properties)| Primitive::SetEdgeProperties { edge, properties }),
        1 => seen.prop_map(|edge| Primitive::Unrelate { edge }),
    ]
}

/// Runs primitives and writes down what they returned, in words that do not depend on how a
/// graph numbers its elements.
#[derive(Default)]
struct Script {
    nodes: Vec<NodeHandle>,
    edges: Vec<EdgeHandle>,
}

impl Script {
    fn name(&mut self, node: NodeHandle) -> String {
        let position = self.nodes.iter().position(|seen| *seen == node).unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        format!("n{position}")
    }

    fn name_edge(&mut self, edge: EdgeHandle) -> String {
        let position = self.edges.iter().position(|seen| *seen == edge).unwrap_or_else(|| {
            self.edges.push(edge);
            self.edges.len() - 1
        });
        format!("e{position}")
    }

    fn names(&mut self, nodes: Vec<NodeHandle>) -> String {
        nodes.into_iter().map(|node| self.name(node)).collect::<Vec<_>>().join(" ")
    }

    fn node(&self, position: usize) -> Option<NodeHandle> {
        self.nodes.get(position % self.nodes.len().max(1)).copied()
    }

    fn edge(&self, position: usize) -> Option<EdgeHandle> {
        self.edges.get(position % self.edges.len().max(1)).copied()
    }

    /// `None` where there is nothing yet to pick from.
    fn run(&mut self, graph: &mut dyn PropertyGraph, primitive: &Primitive) -> Option<Result<String, GraphFault>> {
        Some(match primitive {
            Primitive::Find { label, name, value } => {
                graph.find(LABELS[*label], NAMES[*name], value).map(|nodes| self.names(nodes))
            }
            Primitive::Range { label, name, after, before, limit } => {
                let range = TextRange { after, before: before.as_deref() };
                graph.range(LABELS[*label], NAMES[*name], range, *limit).map(|nodes| self.names(nodes))
            }
            Primitive::Scan { label } => graph.scan(LABELS[*label]).map(|nodes| self.names(nodes)),
            Primitive::Greatest { label, name } => {
                graph.greatest(LABELS[*label], NAMES[*name]).map(|greatest| format!("{greatest:?}"))
            }
            Primitive::Create { labels, properties } => {
                let labels: Vec<_> = labels.iter().map(|label| LABELS[*label]).collect();
                graph.create(&labels, properties.clone()).map(|node| self.name(node))
            }
            Primitive::Properties { node } => graph.properties(self.node(*node)?).map(|map| format!("{map:?}")),
            Primitive::SetProperties { node, properties } => {
                graph.set_properties(self.node(*node)?, properties.clone()).map(|()| "set".to_owned())
            }
            Primitive::Delete { node } => graph.delete(self.node(*node)?).map(|()| "deleted".to_owned()),
            Primitive::Relate { from, kind, to, properties } => graph
                .relate(self.node(*from)?, KINDS[*kind], self.node(*to)?, properties.clone())
                .map(|edge| self.name_edge(edge)),
            Primitive::Edges { node, kind, out } => {
                let direction = if *out { Direction::Out } else { Direction::In };
                let edges = graph.edges(self.node(*node)?, KINDS[*kind], direction);
                let name = |(edge, end)| format!("{}-{}", self.name_edge(edge), self.name(end));
                edges.map(|edges| edges.into_iter().map(name).collect::<Vec<_>>().join(" "))
            }
            Primitive::EdgeProperties { edge } => {
                graph.edge_properties(self.edge(*edge)?).map(|map| format!("{map:?}"))
            }
            Primitive::SetEdgeProperties { edge, properties } => {
                graph.set_edge_properties(self.edge(*edge)?, properties.clone()).map(|()| "set".to_owned())
            }
            Primitive::Unrelate { edge } => graph.unrelate(self.edge(*edge)?).map(|()| "unrelated".to_owned()),
        })
    }
}

/// Runs a list of primitives; what a fault left of a statement shows when it goes on.
static SCRIPT: Statement = Statement {
    name: "script",
    cypher: "",
    columns: &["returned"],
    run: |graph, params| {
        let primitives = params["primitives"].as_text().expect("a list of primitives");
        let primitives: Vec<Primitive> = serde_json::from_str(primitives).expect("a list of primitives");
        let goes_on = params["goes_on"] == Datum::Bool(true);
        let mut script = Script::default();
        let mut rows = Rows::new();
        for primitive in &primitives {
            let returned = match script.run(graph, primitive) {
                Some(Err(fault)) if !goes_on => return Err(fault),
                Some(returned) => format!("{returned:?}"),
                None => continue,
            };
            rows.push(vec![Datum::Text(returned)]);
        }
        Ok(rows)
    },
};

#[derive(Clone, Debug)]
enum Step {
    Constrain(Uniqueness),
    Transact { scripts: Vec<Vec<Primitive>>, goes_on: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let script = prop::collection::vec(primitive(), 1..12);
    let constrain = (prop::sample::select(&LABELS[..]), prop::sample::select(&NAMES[..]));
    prop_oneof![
        1 => constrain.prop_map(|(label, property)| Step::Constrain(Uniqueness { label, property })),
        6 => (prop::collection::vec(script, 1..3), any::<bool>())
            .prop_map(|(scripts, goes_on)| Step::Transact { scripts, goes_on }),
    ]
}

async fn take(store: &dyn GraphStore, step: &Step) -> Result<Vec<Rows>, GraphError> {
    match step {
        Step::Constrain(unique) => store.ensure_unique(&[*unique]).await.map(|()| Vec::new()),
        Step::Transact { scripts, goes_on } => {
            let call = |script| {
                let primitives = serde_json::to_string(script).expect("primitives are JSON");
                let params = [("primitives", Datum::Text(primitives)), ("goes_on", Datum::Bool(*goes_on))];
                let params = params.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect();
                Call { statement: &SCRIPT, params, expect: Expect::Anything }
            };
            store.execute(scripts.iter().map(call).collect(), LIMIT).await
        }
    }
}

proptest! {
    // Each case opens a file, so there are few, and a failure is shrunk for seconds only.
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_same_rows_and_the_same_graph(steps in prop::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("graph");
            let embedded = EmbeddedGraph::open(&Env::new(Production), &path, Check::Skip).await.unwrap();
            let memory = MemoryGraph::new();
            for step in &steps {
                prop_assert_eq!(take(&embedded, step).await, take(&memory, step).await);
                prop_assert_eq!(embedded.snapshot().await.unwrap(), memory.snapshot());
            }
            // A graph that was loaded from a dump is the graph, unless its edges cannot be told apart.
            let reloaded = MemoryGraph::new();
            if reloaded.load(&memory.snapshot()).is_ok() {
                prop_assert_eq!(reloaded.snapshot(), memory.snapshot());
            }
            Ok(())
        })?;
    }
}
