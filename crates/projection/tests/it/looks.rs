//! How often a graph is looked at for what is asked of it: by how much there is, and not by how much there is for each
//! page. Looks are counted and time is not taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use env::{BoxFuture, Executor};
use graph::{EntityId, Properties, Value};
use projection::executor::LanesExecutor;
use projection::lanes::{Action, EffectId, Input, LanesEffect, Listing, Report};
use projection::{listing, statements};
use stores::memory::MemoryGraph;
use stores::{
    Call, Direction, EdgeHandle, GraphError, GraphFault, GraphStore, NodeHandle, PropertyGraph, Rows, TextRange,
    Uniqueness, run_calls,
};

use crate::world::{Answers, LIMIT, MemoryLog};

/// A graph in which each call counts, and each node or edge that it returns.
struct Counted<'g> {
    graph: &'g mut dyn PropertyGraph,
    looks: usize,
}

impl Counted<'_> {
    fn count<T>(&mut self, found: Vec<T>) -> Vec<T> {
        self.looks += found.len();
        found
    }
}

type Found<T> = Result<T, GraphFault>;

impl PropertyGraph for Counted<'_> {
    fn find(&mut self, label: &str, property: &str, value: &Value) -> Found<Vec<NodeHandle>> {
        self.looks += 1;
        let found = self.graph.find(label, property, value)?;
        Ok(self.count(found))
    }

    fn range(&mut self, label: &str, property: &str, range: TextRange<'_>, limit: usize) -> Found<Vec<NodeHandle>> {
        self.looks += 1;
        let found = self.graph.range(label, property, range, limit)?;
        Ok(self.count(found))
    }

    fn scan(&mut self, label: &str) -> Found<Vec<NodeHandle>> {
        self.looks += 1;
        let found = self.graph.scan(label)?;
        Ok(self.count(found))
    }

    fn greatest(&mut self, label: &str, property: &str) -> Found<Option<i64>> {
        self.looks += 1;
        self.graph.greatest(label, property)
    }

    fn create(&mut self, labels: &[&str], properties: Properties) -> Found<NodeHandle> {
        self.looks += 1;
        self.graph.create(labels, properties)
    }

    fn properties(&mut self, node: NodeHandle) -> Found<Properties> {
        self.looks += 1;
        self.graph.properties(node)
    }

    fn set_properties(&mut self, node: NodeHandle, properties: Properties) -> Found<()> {
        self.looks += 1;
        self.graph.set_properties(node, properties)
    }

    fn delete(&mut self, node: NodeHandle) -> Found<()> {
        self.looks += 1;
        self.graph.delete(node)
    }

    fn relate(&mut self, from: NodeHandle, kind: &str, to: NodeHandle, properties: Properties) -> Found<EdgeHandle> {
        self.looks += 1;
        self.graph.relate(from, kind, to, properties)
    }

    fn edges(&mut self, node: NodeHandle, kind: &str, direction: Direction) -> Found<Vec<(EdgeHandle, NodeHandle)>> {
        self.looks += 1;
        let found = self.graph.edges(node, kind, direction)?;
        Ok(self.count(found))
    }

    fn edges_between(&mut self, from: NodeHandle, kind: &str, to: NodeHandle) -> Found<Vec<EdgeHandle>> {
        self.looks += 1;
        let found = self.graph.edges_between(from, kind, to)?;
        Ok(self.count(found))
    }

    fn edge_properties(&mut self, edge: EdgeHandle) -> Found<Properties> {
        self.looks += 1;
        self.graph.edge_properties(edge)
    }

    fn set_edge_properties(&mut self, edge: EdgeHandle, properties: Properties) -> Found<()> {
        self.looks += 1;
        self.graph.set_edge_properties(edge, properties)
    }

    fn unrelate(&mut self, edge: EdgeHandle) -> Found<()> {
        self.looks += 1;
        self.graph.unrelate(edge)
    }
}

/// A graph whose transactions are counted.
#[derive(Default)]
struct CountedStore {
    graph: MemoryGraph,
    /// All looks, and the most that one transaction took.
    looks: AtomicUsize,
    most: AtomicUsize,
}

impl CountedStore {
    fn counted<T, E: From<GraphFault>>(
        &self,
        work: impl FnOnce(&mut dyn PropertyGraph) -> Result<T, E>,
    ) -> Result<T, E> {
        self.graph.autocommit(|graph| {
            let mut counted = Counted { graph, looks: 0 };
            let result = work(&mut counted);
            self.looks.fetch_add(counted.looks, Ordering::Relaxed);
            self.most.fetch_max(counted.looks, Ordering::Relaxed);
            result
        })
    }

    /// What was looked at since the last call: in all, and by the transaction that took most.
    fn taken(&self) -> (usize, usize) {
        (self.looks.swap(0, Ordering::Relaxed), self.most.swap(0, Ordering::Relaxed))
    }
}

impl GraphStore for CountedStore {
    fn execute(&self, calls: Vec<Call>, _: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>> {
        Box::pin(async move { self.counted(|graph| run_calls(graph, &calls)) })
    }

    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>> {
        let constrain = |one: &Uniqueness| self.graph.constrain(one.label, one.property).map_err(GraphError::from);
        let done = constraints.iter().try_for_each(constrain);
        Box::pin(async move { done })
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Vec::new() })
    }
}

/// So many resources, each with its node, its mark, an annotation that links to the next one, and a tombstone.
async fn store(resources: usize) -> Arc<CountedStore> {
    let store = CountedStore::default();
    store.ensure_unique(statements::CONSTRAINTS).await.expect("an empty graph takes constraints");
    let named = |pairs: &[(&str, &str)]| -> Properties {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
    };
    let mut nodes = Vec::new();
    for n in 0..resources {
        let own = |graph: &mut dyn PropertyGraph| -> Result<_, GraphFault> {
            let id = format!("r{n:06}");
            let resource = graph.create(&["Resource"], named(&[("id", &id)]))?;
            let mut mark = named(&[("resource", &id)]);
            mark.extend([("seq".to_owned(), Value::Int(1)), ("generation".to_owned(), Value::Int(0))]);
            graph.create(&["Applied"], mark)?;
            let annotation = graph.create(&["Annotation"], named(&[("id", &format!("{id}#a"))]))?;
            graph.relate(annotation, "BELONGS_TO", resource, Properties::new())?;
            let tombstone = graph.create(&["Tombstone"], named(&[("id", &format!("{id}#b"))]))?;
            graph.relate(tombstone, "BELONGS_TO", resource, Properties::new())?;
            Ok((resource, annotation))
        };
        nodes.push(store.graph.autocommit(own).expect("nobody else is there"));
    }
    for (n, (_, annotation)) in nodes.iter().enumerate() {
        let (target, _) = nodes[(n + 1) % nodes.len()];
        let link = |graph: &mut dyn PropertyGraph| graph.relate(*annotation, "REFERENCES", target, Properties::new());
        store.graph.autocommit(link).expect("nobody else is there");
    }
    Arc::new(store)
}

/// All that is listed, page by page, as a rebuild or a reconciliation walks.
async fn walk(store: &Arc<CountedStore>, listing: Listing, limit: usize) -> Vec<EntityId> {
    let executor = LanesExecutor {
        graph: store.clone(),
        log: Arc::new(MemoryLog::default()),
        outlet: Arc::new(Answers::default()),
        graph_limit: LIMIT,
    };
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let id = EffectId::List(listing);
        let action = Action::List { listing, after: after.clone(), limit };
        let done = executor.execute(LanesEffect::Do { id, action }).await;
        let Some(Input::Done { report: Report::Listed { resources, more }, .. }) = done else { panic!("{done:?}") };
        after = resources.last().cloned().or(after);
        let end = !more || resources.is_empty();
        all.extend(resources);
        if end {
            return all;
        }
    }
}

const RESOURCES: usize = 2_000;
const PAGE: usize = 64;

#[tokio::test]
async fn a_walk_over_everything_looks_at_each_thing_a_few_times() {
    let store = store(RESOURCES).await;
    let walked = walk(&store, Listing::Graph, PAGE).await;
    assert_eq!(walked.len(), RESOURCES);
    assert!(walked.is_sorted());
    let (looks, most) = store.taken();
    // A node and a mark each are found and then read; of annotations and tombstones some more than a page needs.
    assert!(looks <= 24 * RESOURCES, "{looks} looks at {RESOURCES} resources");
    assert!(most <= 60 * PAGE, "{most} looks by one page of {PAGE}");
}

/// More annotations than a page reads, of resources that have nothing else; marks alone; and ids that no resource has, some
/// of which come before what they begin with.
#[tokio::test]
async fn a_walk_comes_by_whatever_the_graph_has_anything_of() {
    let store = store(3).await;
    let add = |label: &'static str, key: &'static str, id: String| {
        let named = Properties::from([(key.to_owned(), Value::from(id.as_str()))]);
        store.graph.autocommit(|graph| graph.create(&[label], named).map(drop))
    };
    for ghost in ["a", "a/b", "r000001/x", "z"] {
        for n in 0..50 {
            add("Annotation", "id", format!("{ghost}#{n:02}")).expect("nobody else is there");
        }
    }
    for n in 0..20 {
        add("Tombstone", "id", format!("b#{n:02}")).expect("nobody else is there");
        add("Resource", "id", format!("p!{n:02}")).expect("nobody else is there");
        add("Annotation", "id", format!("p!{n:02}")).expect("nobody else is there");
        add("Annotation", "id", format!("p#{n:02}")).expect("nobody else is there");
    }
    add("Applied", "resource", "m".to_owned()).expect("nobody else is there");
    let all = ["a", "a/b", "b", "m", "p", "r000000", "r000001", "r000001/x", "r000002", "z"];
    for limit in [1, 2, 3, 7, 64] {
        let walked: Vec<String> = walk(&store, Listing::Graph, limit).await.iter().map(ToString::to_string).collect();
        assert_eq!(walked, all, "in pages of {limit}");
    }
}

#[tokio::test]
async fn a_list_of_what_is_rare_looks_at_so_much_at_once_and_at_each_thing_a_few_times() {
    let many = 2 * statements::LOOKS_MAX + 100;
    let store = store(many).await;
    let set = |label: &'static str, key: &'static str, n: usize, name: &'static str, value: Value| {
        store.counted(|graph| -> Result<(), GraphFault> {
            for node in graph.find(label, key, &Value::from(format!("r{n:06}").as_str()))? {
                let mut properties = graph.properties(node)?;
                properties.insert(name.to_owned(), value.clone());
                graph.set_properties(node, properties)?;
            }
            Ok(())
        })
    };
    for n in [5, many - 3] {
        set("Resource", "id", n, "stub", Value::Bool(true)).expect("it is there");
        set("Applied", "resource", n, "parked", Value::Int(2)).expect("it is there");
    }
    let rare = [5, many - 3].map(|n| format!("r{n:06}"));
    store.taken();
    let parked = walk(&store, Listing::Parked, PAGE).await;
    assert_eq!(parked.iter().map(EntityId::as_str).collect::<Vec<_>>(), rare);
    let graph = store.as_ref();
    let stubs = listing::keys(graph, &statements::LIST_STUBS, "", 10, LIMIT).await.expect("a read");
    assert_eq!(stubs, rare);
    assert_eq!(listing::keys(graph, &statements::LIST_STUBS, "", 1, LIMIT).await.expect("a read"), rare[..1]);
    assert_eq!(listing::count_stubs(graph, LIMIT).await, Ok(2));
    let (looks, most) = store.taken();
    assert!(looks <= 12 * many, "{looks} looks at {many} resources");
    assert!(most <= 3 * statements::LOOKS_MAX, "{most} looks by one statement");
}

#[tokio::test]
async fn a_generation_is_raised_above_all_without_looking_at_each() {
    let store = store(RESOURCES).await;
    let raised = store.execute(statements::raise_generation(), LIMIT).await.expect("nobody else is there");
    assert_eq!(raised[0][0][0].as_int(), Some(1));
    let log = projection::log::LogId("l".to_owned());
    store.execute(statements::turn(None, 0, &log), LIMIT).await.expect("nobody else is there");
    let (looks, _) = store.taken();
    assert!(looks <= 20, "{looks} looks");
}

#[tokio::test]
async fn a_dump_looks_at_each_edge_a_few_times() {
    let store = store(RESOURCES).await;
    let dump = projection::dump::dump(store.as_ref(), 64, LIMIT).await.expect("it is readable");
    assert_eq!((dump.graph.nodes().len(), dump.graph.edges().len()), (3 * RESOURCES, 3 * RESOURCES));
    let (looks, _) = store.taken();
    // Of the edges of 64 annotations and as many tombstones that were looked at, a page keeps 64.
    assert!(looks <= 80 * RESOURCES, "{looks} looks at {RESOURCES} resources");
}

/// Sources without edges, for longer than a page looks at; and edges behind them.
#[tokio::test]
async fn a_page_of_edges_ends_after_so_many_sources_and_the_next_goes_on_there() {
    let store = store(1).await;
    let many = statements::LOOKS_MAX + 200;
    for n in 0..many {
        let id = ("id".to_owned(), Value::from(format!("a{n:06}#a").as_str()));
        let ghost = |graph: &mut dyn PropertyGraph| graph.create(&["Annotation"], Properties::from([id]));
        store.graph.autocommit(ghost).expect("nobody else is there");
    }
    let dump = projection::dump::dump(store.as_ref(), 10, LIMIT).await.expect("it is readable");
    assert_eq!(dump.graph.edges().len(), 3);
    let (_, most) = store.taken();
    assert!(most <= 5 * statements::LOOKS_MAX, "{most} looks by one statement");
}
