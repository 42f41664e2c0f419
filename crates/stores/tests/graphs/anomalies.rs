//! The memory graph shows what real servers show, and no other disorder.

use graph::{Edge, Node, Properties, Snapshot, Value};
use stores::memory::{LoadError, MemoryGraph, MemoryTransaction};
use stores::{Datum, Direction, GraphFault, Params, PropertyGraph, Rows, Statement};

use crate::statements::{CREATE, INCREMENT, MERGE, READ, WRITE, params};

fn run(transaction: &mut MemoryTransaction, statement: &Statement, params: &Params) -> Result<Rows, GraphFault> {
    transaction.statement(|graph| (statement.run)(graph, params))
}

fn autocommit(graph: &MemoryGraph, statement: &Statement, params: &Params) -> Result<Rows, GraphFault> {
    graph.autocommit(|graph| (statement.run)(graph, params))
}

fn with_counter(is_constrained: bool) -> MemoryGraph {
    let graph = MemoryGraph::new();
    if is_constrained {
        graph.constrain("Counter", "id").unwrap();
    }
    autocommit(&graph, &CREATE, &params("c")).unwrap();
    graph
}

fn value(graph: &MemoryGraph) -> i64 {
    autocommit(graph, &READ, &params("c")).unwrap()[0][0].as_int().unwrap()
}

fn writing(value: i64) -> Params {
    let mut params = params("c");
    params.insert("value".to_owned(), Datum::Int(value));
    params
}

/// Reads in one statement and writes what it read plus one in another.
fn read_then_write(transaction: &mut MemoryTransaction) -> impl FnOnce(&mut MemoryTransaction) + use<> {
    let read = run(transaction, &READ, &params("c")).unwrap()[0][0].as_int().unwrap();
    move |transaction| {
        run(transaction, &WRITE, &writing(read + 1)).unwrap();
    }
}

#[test]
fn an_update_is_lost_between_reading_and_writing() {
    for is_constrained in [false, true] {
        let graph = with_counter(is_constrained);
        let (mut first, mut second) = (graph.begin(), graph.begin());
        let (write_first, write_second) = (read_then_write(&mut first), read_then_write(&mut second));
        write_first(&mut first);
        first.commit().unwrap();
        write_second(&mut second);
        second.commit().unwrap();
        assert_eq!(value(&graph), 1, "two acknowledged increments, constrained: {is_constrained}");
    }
}

#[test]
fn single_statements_lose_nothing() {
    let graph = with_counter(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    autocommit(&graph, &INCREMENT, &params("c")).unwrap();
                }
            });
        }
    });
    assert_eq!(value(&graph), 400);
}

#[test]
fn two_writers_of_a_constrained_node_conflict_at_commit() {
    let graph = with_counter(true);
    let (mut first, mut second) = (graph.begin(), graph.begin());
    run(&mut first, &INCREMENT, &params("c")).unwrap();
    run(&mut second, &INCREMENT, &params("c")).unwrap();
    first.commit().unwrap();
    assert_eq!(second.commit(), Err(GraphFault::Conflict));
    assert_eq!(value(&graph), 1);
}

#[test]
fn two_writers_of_an_unconstrained_node_overwrite_each_other() {
    let graph = with_counter(false);
    let (mut first, mut second) = (graph.begin(), graph.begin());
    run(&mut first, &INCREMENT, &params("c")).unwrap();
    run(&mut second, &INCREMENT, &params("c")).unwrap();
    first.commit().unwrap();
    second.commit().unwrap();
    assert_eq!(value(&graph), 1);
}

#[test]
fn different_properties_do_not_overwrite_each_other() {
    let graph = with_counter(false);
    let set = |name: &'static str| {
        move |graph: &mut dyn PropertyGraph| -> Result<(), GraphFault> {
            let node = graph.scan("Counter")?[0];
            let mut properties = graph.properties(node)?;
            properties.insert(name.to_owned(), Value::Bool(true));
            graph.set_properties(node, properties)
        }
    };
    let (mut first, mut second) = (graph.begin(), graph.begin());
    first.statement(set("a")).unwrap();
    second.statement(set("b")).unwrap();
    second.commit().unwrap();
    first.commit().unwrap();
    let properties = graph.snapshot().nodes()[0].properties.clone();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["a", "b", "value"]);
}

#[test]
fn concurrent_merge_makes_duplicates_without_a_constraint() {
    let graph = MemoryGraph::new();
    let (mut first, mut second) = (graph.begin(), graph.begin());
    run(&mut first, &MERGE, &params("c")).unwrap();
    run(&mut second, &MERGE, &params("c")).unwrap();
    first.commit().unwrap();
    second.commit().unwrap();
    assert_eq!(graph.snapshot().nodes().len(), 2);
    assert!(matches!(graph.constrain("Counter", "id"), Err(GraphFault::Constraint { .. })));
    assert!(graph.constraints().is_empty());
}

#[test]
fn concurrent_merge_makes_no_duplicates_with_a_constraint() {
    let graph = MemoryGraph::new();
    graph.constrain("Counter", "id").unwrap();
    let (mut first, mut second) = (graph.begin(), graph.begin());
    run(&mut first, &MERGE, &params("c")).unwrap();
    run(&mut second, &MERGE, &params("c")).unwrap();
    first.commit().unwrap();
    assert!(matches!(second.commit(), Err(GraphFault::Constraint { .. })));
    assert_eq!(graph.snapshot().nodes().len(), 1);

    // Against what is committed already, the statement fails.
    let mut third = graph.begin();
    assert!(matches!(run(&mut third, &CREATE, &params("c")), Err(GraphFault::Constraint { .. })));
}

#[test]
fn a_constraint_sees_the_transactions_own_changes() {
    let graph = MemoryGraph::new();
    graph.constrain("Counter", "id").unwrap();
    let mut transaction = graph.begin();
    run(&mut transaction, &CREATE, &params("c")).unwrap();
    assert!(matches!(run(&mut transaction, &CREATE, &params("c")), Err(GraphFault::Constraint { .. })));
    // What was deleted in the transaction is free again.
    transaction
        .statement(|graph| {
            let node = graph.scan("Counter")?[0];
            graph.delete(node)
        })
        .unwrap();
    run(&mut transaction, &CREATE, &params("c")).unwrap();
    transaction.commit().unwrap();
    assert_eq!(graph.snapshot().nodes().len(), 1);
}

#[test]
fn a_transaction_sees_its_own_changes_and_what_others_committed() {
    let graph = with_counter(true);
    let mut reader = graph.begin();
    assert_eq!(run(&mut reader, &READ, &params("c")).unwrap(), [[Datum::Int(0)]]);

    let mut writer = graph.begin();
    run(&mut writer, &INCREMENT, &params("c")).unwrap();
    assert_eq!(run(&mut writer, &READ, &params("c")).unwrap(), [[Datum::Int(1)]]);
    assert_eq!(run(&mut reader, &READ, &params("c")).unwrap(), [[Datum::Int(0)]], "not committed: not seen");
    writer.commit().unwrap();
    assert_eq!(run(&mut reader, &READ, &params("c")).unwrap(), [[Datum::Int(1)]], "a read does not repeat");
}

#[test]
fn what_is_dropped_or_fails_leaves_no_trace() {
    let graph = with_counter(true);
    let before = graph.snapshot();
    let mut dropped = graph.begin();
    run(&mut dropped, &INCREMENT, &params("c")).unwrap();
    drop(dropped);
    assert_eq!(graph.snapshot(), before);

    let half_done = |graph: &mut dyn PropertyGraph| -> Result<(), GraphFault> {
        graph.create(&["Other"], Properties::new())?;
        Err(GraphFault::StillConnected)
    };
    assert_eq!(graph.autocommit(half_done), Err(GraphFault::StillConnected));
    let mut transaction = graph.begin();
    assert_eq!(transaction.statement(half_done), Err(GraphFault::StillConnected));
    transaction.commit().unwrap();
    assert_eq!(graph.snapshot(), before);

    // A commit that fails at its last check is undone.
    let (mut first, mut second) = (graph.begin(), graph.begin());
    run(&mut first, &CREATE, &params("d")).unwrap();
    second.statement(|graph| graph.create(&["Other"], Properties::new())).unwrap();
    run(&mut second, &CREATE, &params("d")).unwrap();
    first.commit().unwrap();
    let before = graph.snapshot();
    second.commit().unwrap_err();
    assert_eq!(graph.snapshot(), before);
}

/// Two nodes `a` and `b`.
fn two_nodes() -> MemoryGraph {
    let graph = MemoryGraph::new();
    for id in ["a", "b"] {
        graph.autocommit(|graph| graph.create(&["N"], Properties::from([("id".into(), id.into())]))).unwrap();
    }
    graph
}

fn relate(graph: &mut dyn PropertyGraph) -> Result<(), GraphFault> {
    let (a, b) = (graph.find("N", "id", &"a".into())?[0], graph.find("N", "id", &"b".into())?[0]);
    graph.relate(a, "TO", b, Properties::new())?;
    Ok(())
}

fn delete_b(graph: &mut dyn PropertyGraph) -> Result<(), GraphFault> {
    let b = graph.find("N", "id", &"b".into())?[0];
    graph.delete(b)
}

#[test]
fn no_interleaving_leaves_an_edge_without_an_end() {
    for relate_commits_first in [true, false] {
        let graph = two_nodes();
        let (mut relating, mut deleting) = (graph.begin(), graph.begin());
        relating.statement(relate).unwrap();
        deleting.statement(delete_b).unwrap();
        let (first, second) = if relate_commits_first { (relating, deleting) } else { (deleting, relating) };
        first.commit().unwrap();
        assert_eq!(second.commit(), Err(GraphFault::Conflict));
        // Would panic on a dangling edge.
        graph.snapshot();
    }
}

#[test]
fn a_node_with_edges_is_not_deleted() {
    let graph = two_nodes();
    graph.autocommit(relate).unwrap();
    assert_eq!(graph.autocommit(delete_b), Err(GraphFault::StillConnected));
    let disconnect_and_delete = |graph: &mut dyn PropertyGraph| {
        let b = graph.find("N", "id", &"b".into())?[0];
        let (edge, _) = graph.edges(b, "TO", Direction::In)?[0];
        graph.unrelate(edge)?;
        graph.delete(b)
    };
    graph.autocommit(disconnect_and_delete).unwrap();
    assert_eq!(graph.snapshot().nodes().len(), 1);
}

#[test]
fn acknowledged_commits_can_be_lost() {
    let graph = with_counter(true);
    let mut states = vec![graph.snapshot()];
    for _ in 0..3 {
        autocommit(&graph, &INCREMENT, &params("c")).unwrap();
        states.push(graph.snapshot());
    }
    let mut open = graph.begin();
    run(&mut open, &INCREMENT, &params("c")).unwrap();

    assert_eq!(graph.lose_last(2), 2);
    assert_eq!(graph.snapshot(), states[1]);
    assert_eq!(open.commit(), Err(GraphFault::Conflict), "it wrote to what is no longer so");
    autocommit(&graph, &READ, &params("c")).unwrap();
    assert_eq!(graph.lose_last(100), 2, "a read is not a commit to lose; what is left is the first two");
    assert_eq!(graph.snapshot(), Snapshot::default());
    // The indexes were put back too.
    autocommit(&graph, &CREATE, &params("c")).unwrap();
}

#[test]
fn the_last_commit_tells_what_it_changed() {
    let graph = MemoryGraph::new();
    assert_eq!(graph.commit_after(0), None);
    let create = |name: &'static str| {
        let properties = Properties::from([("id".to_owned(), name.into())]);
        let created: Result<_, GraphFault> = graph.autocommit(|graph| graph.create(&["N"], properties));
        created.unwrap()
    };
    let (a, b) = (create("a"), create("b"));
    let first = graph.commit_after(0).expect("it was one");
    let lines = |commit: &stores::memory::Commit| -> Vec<String> {
        let diffs = commit.changed.iter().map(|(before, after)| graph::Diff::between(before, after).to_string());
        diffs.map(|diff| diff.trim_end().to_owned()).collect()
    };
    assert_eq!(lines(&first), ["+ node b :N {}"]);

    let edge = graph.autocommit(|graph| {
        graph.set_properties(a, Properties::from([("id".to_owned(), "a".into()), ("x".to_owned(), Value::Int(1))]))?;
        graph.relate(a, "TO", b, Properties::new())
    });
    let edge = edge.map_err(|fault: GraphFault| fault).unwrap();
    let second = graph.commit_after(0).expect("it was one");
    assert!(second.number > first.number);
    assert_eq!(graph.commit_after(first.number).as_ref(), Some(&second));
    assert_eq!(graph.commit_after(second.number), None);
    assert_eq!(lines(&second), ["~ node a x: absent -> 1", "+ edge a -[TO {}]-> b"]);

    let read: Result<_, GraphFault> = graph.autocommit(|graph| graph.scan("N"));
    assert_eq!(read.unwrap().len(), 2);
    assert_eq!(graph.commit_after(0).as_ref(), Some(&second), "a read changed nothing");

    // The edge is named by a node that goes with it.
    let removed = graph.autocommit(|graph| graph.unrelate(edge).and_then(|()| graph.delete(b)));
    removed.map_err(|fault: GraphFault| fault).unwrap();
    assert_eq!(lines(&graph.commit_after(0).expect("it was one")), ["- node b :N {}", "- edge a -[TO {}]-> b"]);
    assert_eq!(graph.lose_last(1), 1);
    assert_eq!(lines(&graph.commit_after(0).expect("it was one")), lines(&second), "what is undone never was");
}

#[test]
fn a_snapshot_loads_into_the_same_snapshot() {
    let node = |id: &str, name: &str| Node {
        id: id.to_owned(),
        labels: ["N".to_owned()].into(),
        properties: Properties::from([("name".to_owned(), name.into())]),
    };
    let edge = |to: &str| Edge {
        from: "a".to_owned(),
        kind: "TO".parse().unwrap(),
        to: to.to_owned(),
        properties: Properties::from([("since".to_owned(), Value::Int(1))]),
    };
    let numbered = Node { properties: Properties::from([("id".to_owned(), Value::Int(7))]), ..node("7", "") };
    let snapshot = Snapshot::new(vec![node("a", "x"), node("b", "y"), node("", "no id"), numbered], vec![edge("b")]);

    let graph = with_counter(true);
    graph.load(&snapshot).unwrap();
    assert_eq!(graph.snapshot(), snapshot);
    assert_eq!(graph.lose_last(1), 1);
    assert_eq!(graph.snapshot().nodes().len(), 1, "loading is one commit");

    let before = graph.snapshot();
    let dangling = Snapshot::new(vec![node("a", "x")], vec![edge("b")]);
    assert_eq!(graph.load(&dangling), Err(LoadError::NoSuchNode("b".to_owned())));
    let ambiguous = Snapshot::new(vec![node("a", "x"), node("b", "y"), node("b", "z")], vec![edge("b")]);
    assert_eq!(graph.load(&ambiguous), Err(LoadError::Ambiguous("b".to_owned())));
    graph.constrain("N", "name").unwrap();
    let doubled = Snapshot::new(vec![node("a", "x"), node("b", "x")], vec![]);
    assert!(matches!(graph.load(&doubled), Err(LoadError::Fault(GraphFault::Constraint { .. }))));
    assert_eq!(graph.snapshot(), before);
}
