//! Rebuilding and reconciling, after somebody else has changed the graph.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use graph::{Properties, Value};
use projection::event::Event;
use projection::fold::Change;
use projection::lanes::{Action, Answer, Ended, Input, LanesEffect, Mark, RequestId, Scope, Write};
use proptest::prelude::*;
use stores::{Call, Direction, Expect, GraphStore, NodeHandle, PropertyGraph, Statement};

use crate::generate;
use crate::script::{answer, created, id, linked};
use crate::world::{TIGHT, World};

/// What somebody does who should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meddling {
    Facet,
    Tag,
    Body,
    Property,
    DropEdges,
    ExtraEdge,
    DoubleEdge,
    EdgeProperty,
    DropAnnotation,
    ExtraAnnotation,
    DropTombstone,
    Word,
    ExtraResource,
    /// What an annotation belongs to is cut, and the annotation changed.
    Disown,
    DisownTombstone,
    /// An annotation that belongs to nobody, under the name of a resource that there is, or of one that there is not.
    Ghost,
    GhostOfNobody,
    GhostTombstone,
}

const ALL: [Meddling; 18] = [
    Meddling::Facet,
    Meddling::Tag,
    Meddling::Body,
    Meddling::Property,
    Meddling::DropEdges,
    Meddling::ExtraEdge,
    Meddling::DoubleEdge,
    Meddling::EdgeProperty,
    Meddling::DropAnnotation,
    Meddling::ExtraAnnotation,
    Meddling::DropTombstone,
    Meddling::Word,
    Meddling::ExtraResource,
    Meddling::Disown,
    Meddling::DisownTombstone,
    Meddling::Ghost,
    Meddling::GhostOfNobody,
    Meddling::GhostTombstone,
];

/// Runs over the graph as no statement of the projection would.
static MEDDLE: Statement = Statement {
    name: "meddle",
    cypher: "never sent",
    columns: &[],
    run: |graph, params| {
        let which = params["which"].as_int().expect("a number");
        meddle(graph, ALL[usize::try_from(which).expect("a small number")])?;
        Ok(Vec::new())
    },
};

fn set(graph: &mut dyn PropertyGraph, label: &str, name: &str, value: Value) -> Result<(), stores::GraphFault> {
    for node in graph.scan(label)?.into_iter().take(1) {
        let mut properties = graph.properties(node)?;
        properties.insert(name.to_owned(), value.clone());
        graph.set_properties(node, properties)?;
    }
    Ok(())
}

fn cut(graph: &mut dyn PropertyGraph, node: NodeHandle) -> Result<(), stores::GraphFault> {
    for kind in ["BELONGS_TO", "REFERENCES"] {
        for (edge, _) in graph.edges(node, kind, Direction::Out)? {
            graph.unrelate(edge)?;
        }
    }
    Ok(())
}

/// A node that belongs to nobody; an annotation links to the last of the resources.
fn ghost(graph: &mut dyn PropertyGraph, label: &str, id: &str) -> Result<(), stores::GraphFault> {
    if graph.find(label, "id", &Value::from(id))?.is_empty() {
        let node = graph.create(&[label], Properties::from([("id".to_owned(), Value::from(id))]))?;
        if let ("Annotation", Some(target)) = (label, graph.scan("Resource")?.last()) {
            graph.relate(node, "REFERENCES", *target, Properties::new())?;
        }
    }
    Ok(())
}

fn disown(graph: &mut dyn PropertyGraph, node: NodeHandle) -> Result<(), stores::GraphFault> {
    for (edge, _) in graph.edges(node, "BELONGS_TO", Direction::Out)? {
        graph.unrelate(edge)?;
    }
    Ok(())
}

fn meddle(graph: &mut dyn PropertyGraph, what: Meddling) -> Result<(), stores::GraphFault> {
    let annotations = graph.scan("Annotation")?;
    let resources = graph.scan("Resource")?;
    let named = |pairs: &[(&str, &str)]| -> Properties {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
    };
    match what {
        Meddling::Facet => set(graph, "Resource", "archived", Value::from("perhaps"))?,
        Meddling::Tag => set(graph, "Resource", "entityTypes", Value::List(vec![Value::from("Stranger")]))?,
        Meddling::Body => set(graph, "Annotation", "body", Value::List(Vec::new()))?,
        Meddling::Property => set(graph, "Annotation", "colour", Value::from("red"))?,
        Meddling::Word => set(graph, "Vocabulary", "name", Value::from("else"))?,
        Meddling::DropEdges => {
            for annotation in annotations.into_iter().take(1) {
                for (edge, _) in graph.edges(annotation, "REFERENCES", Direction::Out)? {
                    graph.unrelate(edge)?;
                }
            }
        }
        Meddling::ExtraEdge => {
            if let (Some(from), Some(to)) = (annotations.first(), resources.last()) {
                graph.relate(*from, "REFERENCES", *to, Properties::new())?;
                graph.relate(*from, "BELONGS_TO", *to, Properties::new())?;
            }
        }
        Meddling::DoubleEdge => {
            for annotation in annotations {
                for (_, target) in graph.edges(annotation, "REFERENCES", Direction::Out)?.into_iter().take(1) {
                    graph.relate(annotation, "REFERENCES", target, Properties::new())?;
                }
            }
        }
        Meddling::EdgeProperty => {
            for annotation in annotations {
                for (edge, _) in graph.edges(annotation, "BELONGS_TO", Direction::Out)? {
                    graph.set_edge_properties(edge, named(&[("since", "ever")]))?;
                }
            }
        }
        Meddling::DropAnnotation => {
            for annotation in annotations.into_iter().take(1) {
                cut(graph, annotation)?;
                graph.delete(annotation)?;
            }
        }
        Meddling::ExtraAnnotation => {
            if let Some(resource) = resources.first() {
                let Some(Value::Text(id)) = graph.properties(*resource)?.remove("id") else { return Ok(()) };
                if !graph.find("Annotation", "id", &Value::from(format!("{id}#ghost")))?.is_empty() {
                    return Ok(());
                }
                let ghost = graph.create(&["Annotation"], named(&[("id", &format!("{id}#ghost"))]))?;
                graph.relate(ghost, "BELONGS_TO", *resource, Properties::new())?;
            }
        }
        Meddling::DropTombstone => {
            for tombstone in graph.scan("Tombstone")?.into_iter().take(1) {
                cut(graph, tombstone)?;
                graph.delete(tombstone)?;
            }
        }
        Meddling::Disown => {
            for annotation in annotations.into_iter().take(1) {
                disown(graph, annotation)?;
            }
            set(graph, "Annotation", "motivation", Value::from("none"))?;
        }
        Meddling::DisownTombstone => {
            for tombstone in graph.scan("Tombstone")? {
                disown(graph, tombstone)?;
            }
        }
        Meddling::Ghost => {
            if let Some(resource) = resources.first() {
                let Some(Value::Text(id)) = graph.properties(*resource)?.remove("id") else { return Ok(()) };
                ghost(graph, "Annotation", &format!("{id}#ghost"))?;
            }
        }
        Meddling::GhostOfNobody => ghost(graph, "Annotation", "nobody#ghost")?,
        Meddling::GhostTombstone => ghost(graph, "Tombstone", "nobody#gone")?,
        Meddling::ExtraResource => {
            if graph.find("Resource", "id", &Value::from("stranger"))?.is_empty() {
                graph.create(&["Resource"], named(&[("id", "stranger"), ("name", "x")]))?;
            }
        }
    }
    Ok(())
}

async fn do_meddle(graph: &dyn GraphStore, what: Meddling) {
    let which = ALL.iter().position(|one| *one == what).expect("one of all");
    let params = BTreeMap::from([("which".to_owned(), i64::try_from(which).expect("small").into())]);
    let call = Call { statement: &MEDDLE, params, expect: Expect::Anything };
    graph.execute(vec![call], Duration::from_secs(60)).await.expect("anybody can meddle");
}

async fn settled(log: Vec<Arc<Event>>) -> World {
    let mut world = World::in_memory(TIGHT, log).await;
    world.write_all();
    world.settle().await;
    world
}

async fn ask(world: &mut World, request: u64, input: impl FnOnce(RequestId) -> Input) -> Ended {
    let request = RequestId(request);
    world.tell(input(request)).await;
    world.settle().await;
    let answers = world.answers.0.lock().expect("no test panics with it");
    match answers.iter().find(|(to, _)| *to == request) {
        Some((_, Answer::Ended(ended))) => ended.clone(),
        other => panic!("{other:?} is no end"),
    }
}

/// Between its first and its second pass a rebuild of all has written nodes of resources, and the marks: no edge, nothing
/// that has one, and nothing was taken away. The second pass begins when the first has been to all.
fn check_passes(writes: &[Write]) {
    let first_pass = writes.iter().take_while(|write| write.to.partial).count();
    let (first, second) = writes.split_at(first_pass);
    for write in first {
        assert_eq!(write.to.sequence, write.from.sequence, "the first pass applies no event: {write:?}");
        let nodes_only = write.changes.iter().all(|change| matches!(change, Change::PutResource { .. }));
        assert!(nodes_only, "the first pass wrote more than a node: {write:?}");
    }
    assert!(second.iter().all(|write| !write.to.partial), "the first pass went on in the second: {second:?}");
    let ends = |writes: &[Write]| writes.iter().map(|write| write.resource.clone()).collect::<BTreeSet<_>>();
    assert!(ends(first).is_subset(&ends(second)), "whatever was begun was ended");
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// However many resources there are, it works on a page of them and remembers no others.
#[tokio::test]
async fn a_rebuild_of_all_keeps_the_lanes_of_a_page() {
    let log = (0..40).map(|number| created(&format!("r{number}"))).collect();
    let mut world = settled(log).await;
    world.tell(Input::Rebuild { request: RequestId(1), scope: Scope::All }).await;
    let mut lanes_max = 0;
    while answer(&world, 1).is_none() {
        lanes_max = lanes_max.max(world.core.status().lanes);
        world.execute(0).await;
    }
    assert_eq!(lanes_max, TIGHT.campaign_page as u64);
    world.settle().await;
    world.check().await;
}

/// Between the passes of a rebuild a lane is kept for whoever waits there, and no longer.
#[tokio::test]
async fn a_reader_that_gives_up_between_the_passes_takes_the_lane_along() {
    let mut world = settled(["a", "b", "c"].map(created).to_vec()).await;
    world.tell(Input::Rebuild { request: RequestId(1), scope: Scope::All }).await;
    // The first pass has a page behind it and one before it.
    while !world.marks.contains(&Mark::NodeMade(id("b"))) {
        world.execute(0).await;
    }
    world.tell(Input::WhenApplied { request: RequestId(2), resource: id("a"), sequence: 9 }).await;
    let is_load = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { action: Action::Load { .. }, .. });
    let load = world.pending.iter().position(is_load).expect("the mark is read for the reader");
    world.execute(load).await;
    assert_eq!((world.core.status().lanes, world.core.status().waiting), (1, 1));
    while answer(&world, 2).is_none() {
        world.pass_time().await;
    }
    assert_eq!((world.core.status().lanes, world.core.status().waiting), (0, 0));
    world.settle().await;
    world.check().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_anybody_changed_is_found_and_put_right(log in generate::log(40), which in 0..ALL.len()) {
        run(async {
            let mut world = settled(log).await;
            let reconcile = |request| Input::Reconcile { request, scope: Scope::All };
            assert_eq!(ask(&mut world, 1, reconcile).await.differing, 0, "nobody changed anything");
            let before = world.dump().await.graph.to_string();
            do_meddle(world.graph.as_ref(), ALL[which]).await;
            let changed = world.graph_text().await != before;
            let ended = ask(&mut world, 2, reconcile).await;
            assert_eq!(ended.differing > 0, changed, "{:?}", ALL[which]);
            assert_eq!(ended.failed, 0);
            world.check().await;
            assert_eq!(ask(&mut world, 3, reconcile).await.differing, 0, "it is right, and stays so");
        });
    }

    #[test]
    fn a_rebuild_of_all_is_the_replay(log in generate::poisoned_log(40), meddling in proptest::collection::vec(0..ALL.len(), 0..4)) {
        run(async {
            let mut world = settled(log).await;
            for which in meddling {
                do_meddle(world.graph.as_ref(), ALL[which]).await;
            }
            world.writes.clear();
            let ended = ask(&mut world, 1, |request| Input::Rebuild { request, scope: Scope::All }).await;
            assert_eq!(ended.failed, 0);
            world.check().await;
            check_passes(&world.writes);
            let dump = world.dump().await;
            assert!(dump.marks.values().all(|applied| applied.generation >= 1), "every generation was raised");
        });
    }

    #[test]
    fn a_rebuild_of_all_that_dies_anywhere_is_ended_by_the_next_process(log in generate::poisoned_log(40), steps in 0..60_usize) {
        run(async {
            let mut world = settled(log).await;
            wipe(world.graph.as_ref()).await;
            world.tell(Input::Rebuild { request: RequestId(1), scope: Scope::All }).await;
            // Until that is written down, nobody knows of it but who asked.
            let is_raise = |effect: &LanesEffect| matches!(effect, LanesEffect::Do { action: Action::Raise, .. });
            let raise = world.pending.iter().position(is_raise).expect("it begins with that");
            world.execute(raise).await;
            for _ in 0..steps {
                if !world.pending.is_empty() {
                    world.execute(0).await;
                }
            }
            world.crash().await;
            world.settle().await;
            world.check().await;
        });
    }

    #[test]
    fn a_rebuild_of_one_leaves_all_others_as_they_are(log in generate::log(40), which in 0..ALL.len(), one in 0..generate::RESOURCES) {
        run(async {
            let mut world = settled(log).await;
            do_meddle(world.graph.as_ref(), ALL[which]).await;
            let others = |text: String| {
                let own = |line: &&str| {
                    let name = generate::name(one);
                    // Its node, what belongs to it, and what that links to.
                    let node = line.starts_with(&format!("node {name} ")) || line.contains(&format!("\"{name}#"));
                    !node && !line.contains(":Resource {\"stub\":true}") && !line.starts_with("node stranger")
                };
                text.lines().filter(own).map(str::to_owned).collect::<Vec<_>>()
            };
            let before = world.dump().await;
            let scope = Scope::One(generate::id(one));
            ask(&mut world, 1, |request| Input::Rebuild { request, scope }).await;
            let after = world.dump().await;
            assert_eq!(others(before.graph.to_string()), others(after.graph.to_string()));
            for (resource, applied) in &before.marks {
                if *resource != generate::id(one) {
                    assert_eq!(after.marks.get(resource), Some(applied));
                }
            }
        });
    }
}

#[test]
fn a_wiped_graph_is_built_again_in_two_passes() {
    run(async {
        let seeds: Vec<generate::Seed> =
            (0..60).map(|n: u8| (n, n.wrapping_mul(7), n / 3, n.wrapping_mul(5))).collect();
        let mut world = settled(generate::write(&seeds, false)).await;
        world.check().await;
        let whole = world.dump().await.graph.to_string();
        wipe(world.graph.as_ref()).await;
        assert_eq!(world.dump().await.graph.to_string(), "");
        world.writes.clear();
        ask(&mut world, 1, |request| Input::Rebuild { request, scope: Scope::All }).await;
        assert_eq!(world.dump().await.graph.to_string(), whole);
        world.check().await;
        check_passes(&world.writes);
        let links = |write: &Write| write.changes.iter().any(|change| matches!(change, Change::Link { .. }));
        let first_link = world.writes.iter().position(links).expect("the log has links");
        let resources = world.dump().await.marks.len();
        assert!(resources > 3 && first_link >= resources, "a node of each of {resources} before the first link");
    });
}

/// The process dies when the first pass has been to all and the second to nobody: every node is there, and no edge.
#[test]
fn a_crash_between_the_passes_is_taken_up_where_it_was() {
    run(async {
        let mut world = settled(vec![created("a"), linked("a", 2, "b"), created("b"), linked("b", 2, "a")]).await;
        let whole = world.dump().await.graph.to_string();
        wipe(world.graph.as_ref()).await;
        world.tell(Input::Rebuild { request: RequestId(1), scope: Scope::All }).await;
        let partial = async |world: &World| world.dump().await.marks.values().filter(|mark| mark.partial).count();
        while partial(&world).await < 2 {
            world.execute(0).await;
        }
        let between = world.dump().await.graph;
        assert_eq!((between.nodes().len(), between.edges().len()), (2, 0), "{between}");
        world.crash().await;
        world.settle().await;
        world.check().await;
        assert_eq!(world.dump().await.graph.to_string(), whole);
    });
}

/// The generation that a rebuild alone has given a resource is none of those that a rebuild of all has been to.
#[test]
fn a_rebuild_of_all_goes_to_a_resource_that_was_rebuilt_alone() {
    run(async {
        let mut world = settled(vec![created("a"), linked("a", 2, "b"), created("b")]).await;
        for request in 1..4 {
            ask(&mut world, request, |request| Input::Rebuild { request, scope: Scope::One(id("a")) }).await;
        }
        do_meddle(world.graph.as_ref(), Meddling::DropEdges).await;
        let ended = ask(&mut world, 9, |request| Input::Rebuild { request, scope: Scope::All }).await;
        assert_eq!((ended.resources, ended.failed), (2, 0));
        world.check().await;
        let generations: Vec<u64> = world.dump().await.marks.values().map(|mark| mark.generation).collect();
        assert_eq!(generations, [4, 4], "above that of each of them");
    });
}

/// Nobody tells the lanes of events that they read long ago.
#[test]
fn a_comparison_catches_up_a_graph_that_has_forgotten_commits() {
    run(async {
        let mut world = settled(vec![created("a"), linked("a", 2, "b"), created("b")]).await;
        wipe(world.graph.as_ref()).await;
        ask(&mut world, 1, |request| Input::Reconcile { request, scope: Scope::All }).await;
        world.settle().await;
        world.check().await;
        // Of one resource as well, of which the first events are there and the others not.
        let mut world = settled(vec![created("a"), linked("a", 2, "b"), created("b")]).await;
        forget(world.graph.as_ref()).await;
        let all = world.dump().await.marks;
        assert_eq!(all[&id("a")].sequence, 1);
        ask(&mut world, 1, |request| Input::Reconcile { request, scope: Scope::One(id("a")) }).await;
        world.settle().await;
        world.check().await;
    });
}

/// The last commit of `a` never happened.
static FORGET: Statement = Statement {
    name: "forget",
    cypher: "never sent",
    columns: &[],
    run: |graph, _| {
        for annotation in graph.scan("Annotation")? {
            cut(graph, annotation)?;
            graph.delete(annotation)?;
        }
        for mark in graph.find("Applied", "resource", &Value::from("a"))? {
            let mut properties = graph.properties(mark)?;
            properties.insert("seq".to_owned(), Value::Int(1));
            graph.set_properties(mark, properties)?;
        }
        Ok(Vec::new())
    },
};

async fn forget(graph: &dyn GraphStore) {
    let call = Call { statement: &FORGET, params: BTreeMap::new(), expect: Expect::Anything };
    graph.execute(vec![call], Duration::from_secs(60)).await.expect("a database that lost its end");
}

static WIPE: Statement = Statement {
    name: "wipe",
    cypher: "never sent",
    columns: &[],
    run: |graph, _| {
        for label in ["Annotation", "Tombstone"] {
            for node in graph.scan(label)? {
                cut(graph, node)?;
                graph.delete(node)?;
            }
        }
        for label in ["Resource", "Vocabulary", "Applied"] {
            for node in graph.scan(label)? {
                graph.delete(node)?;
            }
        }
        Ok(Vec::new())
    },
};

async fn wipe(graph: &dyn GraphStore) {
    let call = Call { statement: &WIPE, params: BTreeMap::new(), expect: Expect::Anything };
    graph.execute(vec![call], Duration::from_secs(60)).await.expect("anybody can wipe");
}
