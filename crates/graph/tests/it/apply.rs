use std::collections::BTreeSet;

use graph::{Content, Diff, Edge, Node, Operation, Patch, Properties, Refusal, Snapshot, Subject, Value};
use proptest::prelude::*;

use crate::strategies::{self, patch, snapshot, sound_snapshot, valid_properties};
use crate::{id, kind, knows, person, properties};

fn patch_of<const N: usize>(operations: [Operation; N]) -> Patch {
    Patch { operations: operations.into() }
}

fn create(name: &str) -> Operation {
    Operation::Create {
        id: id(name),
        kind: kind("person"),
        key: None,
        properties: properties([("age", Value::Int(7))]),
    }
}

fn link(from: &str, by: &str, to: &str) -> Operation {
    Operation::Link { from: id(from), kind: kind(by), to: id(to), properties: Properties::new() }
}

fn unlink(from: &str, by: &str, to: &str) -> Operation {
    Operation::Unlink { from: id(from), kind: kind(by), to: id(to) }
}

fn delete(name: &str) -> Operation {
    Operation::Delete { id: id(name) }
}

fn update<const N: usize>(name: &str, set: [(&str, Value); N]) -> Operation {
    Operation::Update { id: id(name), set: properties(set) }
}

/// Alice and Bob, who know each other.
fn two_friends() -> Snapshot {
    Snapshot::new(vec![person("alice", 7), person("bob", 8)], vec![knows("alice", "bob"), knows("bob", "alice")])
}

/// What one operation is refused for on the two friends.
fn refusal(operation: Operation) -> Refusal {
    let mut snapshot = two_friends();
    let refusal = patch_of([create("carol"), operation]).apply(&mut snapshot).expect_err("a refusal");
    assert_eq!(snapshot, two_friends(), "a refused patch leaves no trace");
    refusal
}

#[test]
fn operations_apply_in_order() {
    let mut snapshot = two_friends();
    let since = properties([("since", Value::Int(1999)), ("note", Value::Null)]);
    let patch = patch_of([
        create("carol"),
        Operation::Link { from: id("carol"), kind: kind("knows"), to: id("alice"), properties: since },
        link("carol", "likes", "alice"),
        link("carol", "knows", "carol"),
        update("alice", [("age", Value::Null), ("nick", "Al".into()), ("absent", Value::Null)]),
        unlink("alice", "knows", "bob"),
        unlink("bob", "knows", "alice"),
        delete("bob"),
        create("bob"),
    ]);
    let before = snapshot.clone();
    patch.apply(&mut snapshot).expect("nothing to refuse");
    insta::assert_snapshot!(snapshot, @r#"
    node alice :Entity {"kind":"person","nick":"Al"}
    node bob :Entity {"age":7,"kind":"person"}
    node carol :Entity {"age":7,"kind":"person"}
    edge carol -[LINK {"kind":"knows","since":1999}]-> alice
    edge carol -[LINK {"kind":"likes"}]-> alice
    edge carol -[LINK {"kind":"knows"}]-> carol
    "#);
    insta::assert_snapshot!(Diff::between(&before, &snapshot), @r#"
    ~ node alice age: 7 -> absent
    ~ node alice nick: absent -> "Al"
    ~ node bob age: 8 -> 7
    + node carol :Entity {"age":7,"kind":"person"}
    - edge alice -[LINK {"kind":"knows"}]-> bob
    - edge bob -[LINK {"kind":"knows"}]-> alice
    + edge carol -[LINK {"kind":"knows","since":1999}]-> alice
    + edge carol -[LINK {"kind":"knows"}]-> carol
    + edge carol -[LINK {"kind":"likes"}]-> alice
    "#);
    assert_eq!(patch.keys(), BTreeSet::from(["alice", "bob", "carol"].map(id)));
}

#[test]
fn each_refusal_names_what_stands_against_it() {
    insta::assert_snapshot!(refusal(create("alice")), @"entity alice exists already");
    insta::assert_snapshot!(refusal(update("dave", [("age", Value::Int(1))])), @"entity dave does not exist");
    insta::assert_snapshot!(refusal(delete("dave")), @"entity dave does not exist");
    insta::assert_snapshot!(refusal(delete("bob")), @"entity bob still has links: unlink them first");
    insta::assert_snapshot!(refusal(link("alice", "knows", "dave")), @"entity dave does not exist");
    insta::assert_snapshot!(refusal(link("dave", "knows", "alice")), @"entity dave does not exist");
    insta::assert_snapshot!(refusal(link("alice", "knows", "bob")), @"link alice -[knows]-> bob exists already");
    insta::assert_snapshot!(refusal(unlink("alice", "likes", "bob")), @"link alice -[likes]-> bob does not exist");
}

#[test]
fn an_entity_linked_to_itself_is_still_linked() {
    let mut snapshot = Snapshot::new(vec![person("alice", 7)], vec![knows("alice", "alice")]);
    assert_eq!(patch_of([delete("alice")]).apply(&mut snapshot), Err(Refusal::StillLinked(id("alice"))));
    assert_eq!(patch_of([unlink("alice", "knows", "alice"), delete("alice")]).apply(&mut snapshot), Ok(()));
    assert_eq!(snapshot, Snapshot::default());
}

#[test]
fn a_node_that_is_no_entity_is_left_alone() {
    let marker = Node { id: "alice".to_owned(), labels: ["Tx".to_owned()].into(), properties: Properties::new() };
    let mut snapshot = Snapshot::new(vec![marker.clone()], vec![]);
    assert_eq!(patch_of([delete("alice")]).apply(&mut snapshot), Err(Refusal::NoSuchEntity(id("alice"))));
    assert_eq!(patch_of([create("alice")]).apply(&mut snapshot), Ok(()));
    assert_eq!(snapshot, Snapshot::new(vec![marker, person("alice", 7)], vec![]));
}

#[test]
fn any_edge_keeps_an_entity_from_being_deleted() {
    let edge = Edge {
        from: "doc".to_owned(),
        kind: kind("REFERENCES"),
        to: "alice".to_owned(),
        properties: Properties::new(),
    };
    let mut snapshot = Snapshot::new(vec![person("alice", 7)], vec![edge]);
    assert_eq!(patch_of([delete("alice")]).apply(&mut snapshot), Err(Refusal::StillLinked(id("alice"))));
}

fn single(operation: &Operation) -> Patch {
    Patch { operations: vec![operation.clone()] }
}

/// Ids are unique, links are unique, and both ends of each link exist.
fn assert_sound(snapshot: &Snapshot) {
    let ids: BTreeSet<&String> = snapshot.nodes().iter().map(|node| &node.id).collect();
    assert_eq!(ids.len(), snapshot.nodes().len(), "{snapshot}");
    let links: BTreeSet<_> =
        snapshot.edges().iter().map(|edge| (&edge.from, &edge.properties["kind"], &edge.to)).collect();
    assert_eq!(links.len(), snapshot.edges().len(), "{snapshot}");
    assert!(snapshot.edges().iter().all(|edge| ids.contains(&edge.from) && ids.contains(&edge.to)), "{snapshot}");
}

proptest! {
    #[test]
    fn a_patch_is_its_operations_one_by_one_or_nothing(before in sound_snapshot(), patch in patch()) {
        let mut one_by_one = before.clone();
        let expected = patch.operations.iter().try_for_each(|operation| single(operation).apply(&mut one_by_one));
        let mut at_once = before.clone();
        prop_assert_eq!(patch.apply(&mut at_once), expected.clone());
        prop_assert_eq!(&at_once, if expected.is_ok() { &one_by_one } else { &before });
        assert_sound(&at_once);
    }

    #[test]
    fn a_patch_touches_nothing_beside_its_keys(before in sound_snapshot(), patch in patch()) {
        let mut after = before.clone();
        let _ = patch.apply(&mut after);
        let keys = patch.keys();
        let untouched = |snapshot: &Snapshot| {
            let named = |id: &String| keys.iter().any(|key| key.as_str() == id);
            let nodes = snapshot.nodes().iter().filter(|node| !named(&node.id)).cloned().collect();
            let edges = snapshot.edges().iter().filter(|edge| !named(&edge.from) || !named(&edge.to));
            Snapshot::new(nodes, edges.cloned().collect())
        };
        prop_assert_eq!(untouched(&after), untouched(&before));
    }

    #[test]
    fn even_a_broken_graph_is_left_as_it_was(before in snapshot(), patch in patch()) {
        let mut after = before.clone();
        if patch.apply(&mut after).is_err() {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn create_and_delete_undo_each_other(before in sound_snapshot(), given in valid_properties(0..3)) {
        let create = Operation::Create { id: id("new"), kind: kind("person"), key: None, properties: given.clone() };
        let mut after = before.clone();
        single(&create).apply(&mut after).expect("the id is free");
        prop_assert_eq!(single(&create).apply(&mut after), Err(Refusal::EntityExists(id("new"))));
        let made = after.nodes().iter().find(|node| node.id == "new").expect("the entity is there");
        prop_assert!(made.properties.values().all(|value| *value != Value::Null));
        prop_assert_eq!(made.properties.len(), 1 + given.values().filter(|value| **value != Value::Null).count());
        single(&delete("new")).apply(&mut after).expect("the entity is there");
        prop_assert_eq!(after, before);
    }

    #[test]
    fn link_and_unlink_undo_each_other(before in sound_snapshot(), from in strategies::id(), to in strategies::id()) {
        let new = link(from.as_str(), "new_kind", to.as_str());
        let mut after = before.clone();
        let linked = single(&new).apply(&mut after);
        let has = |id: &graph::EntityId| before.nodes().iter().any(|node| node.is_entity(id));
        prop_assert_eq!(linked.is_ok(), has(&from) && has(&to));
        if linked.is_ok() {
            prop_assert_eq!(after.edges().len(), before.edges().len() + 1);
            single(&unlink(from.as_str(), "new_kind", to.as_str())).apply(&mut after).expect("the link is there");
        }
        prop_assert_eq!(after, before);
    }

    #[test]
    fn an_update_sets_what_it_says_and_no_more(before in sound_snapshot(), set in valid_properties(1..3)) {
        let Some(node) = before.nodes().first() else { return Ok(()) };
        let mut after = before.clone();
        single(&Operation::Update { id: id(&node.id), set: set.clone() }).apply(&mut after).expect("the entity is there");
        let mut expected = node.clone();
        expected.properties.retain(|name, _| !set.contains_key(name));
        expected.properties.extend(set.into_iter().filter(|(_, value)| *value != Value::Null));
        prop_assert_eq!(&after.nodes()[0], &expected);
        prop_assert_eq!(&after.nodes()[1..], &before.nodes()[1..]);
        prop_assert_eq!(after.edges(), before.edges());
    }
}

fn restore(subject: Subject, content: Option<Content>) -> Operation {
    Operation::Restore { subject, content, logged: true }
}

fn friendship(from: &str, to: &str) -> Subject {
    Subject::Link { from: id(from), kind: kind("knows"), to: id(to) }
}

#[test]
fn a_restoration_fits_whatever_is_there() {
    let robot =
        Content { kind: kind("robot"), key: None, properties: properties([("x", Value::Int(1)), ("y", Value::Null)]) };
    let new = Content { kind: kind("knows"), key: None, properties: properties([("since", Value::Int(3))]) };
    let patch = patch_of([
        restore(Subject::Entity(id("alice")), Some(robot.clone())),
        restore(Subject::Entity(id("carol")), Some(robot)),
        restore(Subject::Entity(id("nobody")), None),
        restore(friendship("alice", "bob"), Some(new.clone())),
        restore(friendship("carol", "bob"), Some(new)),
        restore(friendship("bob", "alice"), None),
        restore(friendship("bob", "carol"), None),
    ]);
    let mut snapshot = two_friends();
    patch.apply(&mut snapshot).expect("it fits");
    let (robot, since) = (kind("robot"), properties([("since", Value::Int(3))]));
    let one = properties([("x", Value::Int(1))]);
    let expected = Snapshot::new(
        vec![Node::entity(&id("alice"), &robot, &one), person("bob", 8), Node::entity(&id("carol"), &robot, &one)],
        ["alice", "carol"].map(|from| Edge::link(&id(from), &kind("knows"), &id("bob"), &since)).into(),
    );
    assert_eq!(snapshot, expected);
}

#[test]
fn a_restoration_leaves_no_link_without_an_end() {
    assert_eq!(refusal(restore(Subject::Entity(id("bob")), None)), Refusal::StillLinked(id("bob")));
    let content = Content { kind: kind("knows"), key: None, properties: Properties::new() };
    let link = restore(friendship("alice", "nobody"), Some(content));
    assert_eq!(refusal(link), Refusal::NoSuchEntity(id("nobody")));
}
