use graph::{Alteration, Change, Diff, Edge, Element, ElementId, Kind, Node, Properties, Snapshot, Value};
use proptest::prelude::*;

use crate::strategies::{snapshot, two_snapshots};
use crate::{id, kind, knows, person, properties};

#[test]
fn a_diff_has_a_line_for_each_change() {
    let mut alice = person("alice", 8);
    alice.labels.insert("Admin".to_owned());
    alice.properties.remove("kind");
    alice.properties.insert("full name".to_owned(), "Alice\nA.".into());
    let mut stub = person("stub", 1);
    stub.labels.clear();
    let since = Edge::link(&id("alice"), &kind("knows"), &id("bob"), &properties([("since", Value::Int(1999))]));
    let likes = Edge::link(&id("alice"), &kind("likes"), &id("bob"), &properties([]));

    let old = Snapshot::new(
        vec![person("alice", 7), person("bob", 7), person("stub", 1), person("same", 1)],
        vec![knows("alice", "bob"), knows("bob", "alice")],
    );
    let new = Snapshot::new(vec![alice, person("carol", 7), stub, person("same", 1)], vec![since, likes]);
    insta::assert_snapshot!(Diff::between(&old, &new), @r#"
    ~ node alice :Admin added
    ~ node alice age: 7 -> 8
    ~ node alice "full name": absent -> "Alice\nA."
    ~ node alice kind: "person" -> absent
    - node bob :Entity {"age":7,"kind":"person"}
    + node carol :Entity {"age":7,"kind":"person"}
    ~ node stub :Entity removed
    ~ edge alice -[LINK {"kind":"knows"}]-> bob since: absent -> 1999
    + edge alice -[LINK {"kind":"likes"}]-> bob
    - edge bob -[LINK {"kind":"knows"}]-> alice
    "#);
}

#[test]
fn a_second_node_of_one_id_shows() {
    let one = Snapshot::new(vec![person("alice", 7)], vec![knows("alice", "alice")]);
    let two = Snapshot::new(
        vec![person("alice", 7), person("alice", 8)],
        vec![knows("alice", "alice"), knows("alice", "alice")],
    );
    insta::assert_snapshot!(Diff::between(&one, &two), @r#"
    + node alice :Entity {"age":8,"kind":"person"} (copies: 1 -> 2)
    + edge alice -[LINK {"kind":"knows"}]-> alice (copies: 1 -> 2)
    "#);
    insta::assert_snapshot!(Diff::between(&two, &one), @r#"
    - node alice :Entity {"age":8,"kind":"person"} (copies: 2 -> 1)
    - edge alice -[LINK {"kind":"knows"}]-> alice (copies: 2 -> 1)
    "#);
}

#[test]
fn an_integer_that_became_a_float_is_a_change() {
    let with = |json: &str| {
        let mut node = person("alice", 1);
        node.properties.insert("age".to_owned(), serde_json::from_str(json).expect("a value"));
        Snapshot::new(vec![node], vec![])
    };
    insta::assert_snapshot!(Diff::between(&with("1"), &with("1.0")), @"~ node alice age: 1 -> 1.0");
    insta::assert_snapshot!(Diff::between(&with("null"), &with("1")), @"~ node alice age: null -> 1");
}

#[test]
fn an_edge_without_a_link_kind_is_named_by_its_type() {
    let edge = |since: i64| Edge {
        from: "two words".to_owned(),
        kind: Kind::new("REFERENCES").expect("a valid kind"),
        to: "b".to_owned(),
        properties: properties([("since", Value::Int(since))]),
    };
    let diff = Diff::between(&Snapshot::new(vec![], vec![edge(1)]), &Snapshot::new(vec![], vec![edge(2)]));
    insta::assert_snapshot!(diff, @r#"~ edge "two words" -[REFERENCES]-> b since: 1 -> 2"#);
}

#[test]
fn the_json_form() {
    let diff = Diff::between(
        &Snapshot::new(vec![person("alice", 7)], vec![]),
        &Snapshot::new(vec![person("alice", 8)], vec![knows("alice", "alice")]),
    );
    insta::assert_snapshot!(serde_json::to_string(&diff).expect("a diff has a JSON form"), @r#"[{"changed":{"id":{"node":"alice"},"alteration":{"property_changed":{"name":"age","old":7,"new":8}}}},{"added":{"element":{"edge":{"from":"alice","kind":"LINK","to":"alice","properties":{"kind":"knows"}}},"copies":{"old":0,"new":1}}}]"#);
}

/// Makes the new snapshot from the old one and what the diff says.
fn follow(diff: &Diff, old: &Snapshot) -> Snapshot {
    let (mut nodes, mut edges) = (old.nodes().to_vec(), old.edges().to_vec());
    // First the alterations, which name elements by what they were in the old snapshot.
    for change in diff.changes() {
        let Change::Changed { id, alteration } = change else { continue };
        match id {
            ElementId::Node(id) => alter_node(only(nodes.iter_mut().filter(|node| node.id == *id)), alteration),
            ElementId::Edge { from, kind, link, to } => {
                let is_meant = |edge: &Edge| {
                    (&edge.from, &edge.kind, &edge.to) == (from, kind, to)
                        && edge.properties.get("kind").filter(|value| **value != Value::Null) == link.as_ref()
                };
                let meant = old.edges().iter().zip(&mut edges).filter(|(edge, _)| is_meant(edge));
                alter_properties(&mut only(meant).1.properties, alteration);
            }
        }
    }
    for change in diff.changes() {
        match change {
            Change::Changed { .. } => {}
            Change::Added { element: Element::Node(node), .. } => nodes.push(node.clone()),
            Change::Added { element: Element::Edge(edge), .. } => edges.push(edge.clone()),
            Change::Removed { element: Element::Node(node), .. } => remove(&mut nodes, node),
            Change::Removed { element: Element::Edge(edge), .. } => remove(&mut edges, edge),
        }
    }
    Snapshot::new(nodes, edges)
}

fn remove<T: PartialEq>(items: &mut Vec<T>, item: &T) {
    items.remove(items.iter().position(|other| other == item).expect("what is removed was there"));
}

fn only<T>(mut items: impl Iterator<Item = T>) -> T {
    let item = items.next().expect("there is one");
    assert!(items.next().is_none(), "there is only one");
    item
}

fn alter_node(node: &mut Node, alteration: &Alteration) {
    match alteration {
        Alteration::LabelAdded(label) => assert!(node.labels.insert(label.clone())),
        Alteration::LabelRemoved(label) => assert!(node.labels.remove(label)),
        _ => alter_properties(&mut node.properties, alteration),
    }
}

fn alter_properties(properties: &mut Properties, alteration: &Alteration) {
    let (name, old, new) = match alteration {
        Alteration::PropertyAdded { name, new } => (name, None, Some(new)),
        Alteration::PropertyRemoved { name, old } => (name, Some(old), None),
        Alteration::PropertyChanged { name, old, new } => (name, Some(old), Some(new)),
        Alteration::LabelAdded(_) | Alteration::LabelRemoved(_) => panic!("an edge has no labels"),
    };
    assert_eq!(properties.remove(name).as_ref(), old);
    properties.extend(new.map(|value| (name.clone(), value.clone())));
}

proptest! {
    #[test]
    fn empty_exactly_if_equal((old, new) in two_snapshots()) {
        let diff = Diff::between(&old, &new);
        prop_assert_eq!(diff.is_empty(), old == new);
        prop_assert_eq!(diff.to_string().is_empty(), old == new);
        prop_assert_eq!(diff.to_string().lines().count(), diff.changes().len());
    }

    #[test]
    fn equal_snapshots_have_no_diff(snapshot in snapshot()) {
        prop_assert!(Diff::between(&snapshot, &snapshot.clone()).is_empty());
    }

    #[test]
    fn following_the_diff_leads_to_the_new_snapshot((old, new) in two_snapshots()) {
        prop_assert_eq!(follow(&Diff::between(&old, &new), &old), new);
    }

    #[test]
    fn json_round_trip((old, new) in two_snapshots()) {
        let diff = Diff::between(&old, &new);
        let json = serde_json::to_string(&diff).expect("a diff has a JSON form");
        prop_assert_eq!(serde_json::from_str::<Diff>(&json).expect("what was written is read"), diff);
    }
}
