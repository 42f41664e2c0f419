use graph::{Node, Properties, Real, Snapshot, Value};
use proptest::prelude::*;

use crate::strategies::{snapshot, two_snapshots};
use crate::{knows, person, properties};

#[test]
fn a_dump_has_a_line_for_each_element() {
    let bare = Node { id: "stub".to_owned(), labels: Default::default(), properties: Properties::new() };
    let snapshot = Snapshot::new(
        vec![person("bob", 8), bare, person("alice", 7)],
        vec![knows("bob", "bob"), knows("alice", "bob")],
    );
    insta::assert_snapshot!(snapshot, @r#"
    node alice :Entity {"age":7,"kind":"person"}
    node bob :Entity {"age":8,"kind":"person"}
    node stub {}
    edge alice -[LINK {"kind":"knows"}]-> bob
    edge bob -[LINK {"kind":"knows"}]-> bob
    "#);
    assert_eq!(Snapshot::default().to_string(), "");
}

#[test]
fn a_dump_shows_both_nodes_of_one_id() {
    let twins = Snapshot::new(vec![person("alice", 8), person("alice", 7), person("alice", 7)], vec![]);
    insta::assert_snapshot!(twins, @r#"
    node alice :Entity {"age":7,"kind":"person"}
    node alice :Entity {"age":7,"kind":"person"}
    node alice :Entity {"age":8,"kind":"person"}
    "#);
}

#[test]
fn a_dump_quotes_what_could_be_mistaken() {
    let real = Value::Real(Real::try_from(1.0).expect("finite"));
    let node = Node {
        id: "a :Entity {}\nnode b".to_owned(),
        labels: ["", "Plain", "two words"].map(str::to_owned).into(),
        properties: properties([
            ("bidi", "\u{202e}evil\u{feff}".into()),
            ("del", "\u{7f}\u{85}\u{2028}".into()),
            ("int", Value::Int(1)),
            ("real", real.clone()),
            ("list", Value::List(vec![real, Value::Int(1), Value::Null, true.into()])),
            ("quotes \"", "\\ \" ' \t".into()),
            ("tag", "\u{e0041}".into()),
            ("unicode", "naïve 東京 🦀".into()),
        ]),
    };
    insta::assert_snapshot!(Snapshot::new(vec![node], vec![]), @r#"node "a :Entity {}\nnode b" :"" :Plain :"two words" {"bidi":"\u202eevil\ufeff","del":"\u007f\u0085\u2028","int":1,"list":[1.0,1,null,true],"quotes \"":"\\ \" ' \t","real":1.0,"tag":"\udb40\udc41","unicode":"naïve 東京 🦀"}"#);
}

#[test]
fn the_hash_is_that_of_the_text() {
    // Both can be had with `sha256sum`.
    assert_eq!(Snapshot::default().hash(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let snapshot = Snapshot::new(vec![person("alice", 7)], vec![]);
    assert_eq!(snapshot.to_string(), "node alice :Entity {\"age\":7,\"kind\":\"person\"}\n");
    assert_eq!(snapshot.hash(), "9cc74fc45d3894a61c2a2f6426ab12c9b7a3dd59c11d6eec7c2f843baea274f3");
}

#[test]
fn json_edited_by_hand_is_sorted_again() {
    let sorted = Snapshot::new(vec![person("alice", 7), person("bob", 8)], vec![knows("alice", "bob")]);
    let json = r#"{
        "edges": [{"from": "alice", "kind": "LINK", "to": "bob", "properties": {"kind": "knows"}}],
        "nodes": [
            {"id": "bob", "labels": ["Entity"], "properties": {"kind": "person", "age": 8}},
            {"id": "alice", "labels": ["Entity"], "properties": {"kind": "person", "age": 7}}
        ]
    }"#;
    let read: Snapshot = serde_json::from_str(json).expect("a snapshot");
    assert_eq!(read, sorted);
    assert_eq!(read.nodes()[0].id, "alice");
}

proptest! {
    #[test]
    fn dumps_are_equal_exactly_if_snapshots_are((one, other) in two_snapshots()) {
        prop_assert_eq!(one == other, one.to_string() == other.to_string());
        prop_assert_eq!(one == other, one.hash() == other.hash());
    }

    #[test]
    fn the_order_of_arrival_leaves_no_trace(
        (sorted, nodes, edges) in snapshot().prop_flat_map(|sorted| {
            let nodes = Just(sorted.nodes().to_vec()).prop_shuffle();
            let edges = Just(sorted.edges().to_vec()).prop_shuffle();
            (Just(sorted), nodes, edges)
        })
    ) {
        prop_assert_eq!(Snapshot::new(nodes, edges).to_string(), sorted.to_string());
    }

    #[test]
    fn a_line_for_each_element_and_nothing_invisible(snapshot in snapshot()) {
        let dump = snapshot.to_string();
        prop_assert_eq!(dump.lines().count(), snapshot.nodes().len() + snapshot.edges().len());
        let shows = |c: char| c == '\n' || !c.is_control() && !"\u{2028}\u{202e}\u{feff}".contains(c);
        prop_assert!(dump.chars().all(shows), "{dump:?}");
    }

    #[test]
    fn json_round_trip(snapshot in snapshot()) {
        let json = serde_json::to_string(&snapshot).expect("a snapshot has a JSON form");
        prop_assert_eq!(serde_json::from_str::<Snapshot>(&json).expect("what was written is read"), snapshot);
    }
}
