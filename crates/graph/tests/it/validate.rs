use graph::{NAME_BYTES_MAX, OPERATIONS_MAX, Operation, Patch, PatchError, Properties, TEXT_BYTES_MAX, Value};
use proptest::prelude::*;

use crate::strategies::patch;
use crate::{id, kind, properties};

fn delete() -> Operation {
    Operation::Delete { id: id("alice") }
}

/// What is said of a patch whose second operation has these properties.
fn refusal(properties: Properties) -> String {
    let update = Operation::Update { id: id("alice"), set: properties.clone() };
    let create = Operation::Create { id: id("alice"), kind: kind("person"), key: None, properties: properties.clone() };
    let link = Operation::Link { from: id("alice"), kind: kind("knows"), to: id("alice"), properties };
    let said = |operation| Patch { operations: vec![delete(), operation] }.validate().unwrap_err().to_string();
    let message = said(update);
    assert_eq!(said(create), message);
    assert_eq!(said(link), message);
    message
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

#[test]
fn the_number_of_operations_is_bounded() {
    let of = |count| Patch { operations: vec![delete(); count] }.validate();
    assert_eq!(of(1), Ok(()));
    assert_eq!(of(OPERATIONS_MAX), Ok(()));
    insta::assert_snapshot!(of(0).unwrap_err(), @"a patch needs at least one operation");
    insta::assert_snapshot!(of(OPERATIONS_MAX + 1).unwrap_err(), @"a patch has at most 100 operations, this one has 101: split it into several");
}

#[test]
fn an_update_sets_something() {
    let patch = Patch { operations: vec![Operation::Update { id: id("alice"), set: Properties::new() }] };
    insta::assert_snapshot!(patch.validate().unwrap_err(), @"operations[0]: `set` is empty: name a property to set, or leave the operation out");
}

#[test]
fn names_are_identifiers_and_not_reserved() {
    let named = |name: &str| refusal(properties([(name, Value::Int(1))]));
    insta::assert_snapshot!(named("id"), @r#"operations[1]: property name "id" is reserved for the element itself: choose another"#);
    insta::assert_snapshot!(named("kind"), @r#"operations[1]: property name "kind" is reserved for the element itself: choose another"#);
    insta::assert_snapshot!(named("full name"), @r#"operations[1]: property name "full name" is not an identifier: start with a letter or _, go on with letters, digits and _"#);
    insta::assert_snapshot!(named(&"é".repeat(51)), @r#"operations[1]: property name "éééééééééééééééééééé"… has 102 bytes: use at most 100"#);
    for name in ["", "1st", "é", "a-b", "a`b", "a\n"] {
        assert!(named(name).contains("is not an identifier"), "{name:?}");
    }
    for name in ["_", "a1", "ID", "Kind", &"x".repeat(NAME_BYTES_MAX)] {
        let set = properties([(name, Value::Null)]);
        assert_eq!(Patch { operations: vec![Operation::Update { id: id("alice"), set }] }.validate(), Ok(()), "{name}");
    }
}

#[test]
fn lists_hold_scalars_of_one_type() {
    let holding = |value| refusal(properties([("tags", value)]));
    let real: Value = serde_json::from_str("2.5").expect("a value");
    insta::assert_snapshot!(holding(list([Value::Int(1), Value::Null])), @"operations[1]: property tags is a list with null in it: leave the item out");
    insta::assert_snapshot!(holding(list([list([])])), @"operations[1]: property tags is a list with a list in it: use one property for each inner list");
    insta::assert_snapshot!(holding(list([Value::Int(1), real.clone()])), @"operations[1]: property tags is a list of several types: make all items of one type, as in [1.0, 2.5]");
    for value in
        [list([]), list([true.into(), false.into()]), list([real.clone(), real]), list(["a".into(), "b".into()])]
    {
        let set = properties([("tags", value)]);
        assert_eq!(Patch { operations: vec![Operation::Update { id: id("alice"), set }] }.validate(), Ok(()));
    }
}

#[test]
fn texts_are_bounded_alone_and_in_lists() {
    let long = Value::Text("x".repeat(TEXT_BYTES_MAX + 1));
    insta::assert_snapshot!(refusal(properties([("essay", long.clone())])), @"operations[1]: property essay has a text of 1048577 bytes: keep at most 1048576 and store the rest elsewhere");
    insta::assert_snapshot!(refusal(properties([("essays", list(["short".into(), long]))])), @"operations[1]: property essays has a text of 1048577 bytes: keep at most 1048576 and store the rest elsewhere");
    let set = properties([("essay", Value::Text("x".repeat(TEXT_BYTES_MAX)))]);
    assert_eq!(Patch { operations: vec![Operation::Update { id: id("alice"), set }] }.validate(), Ok(()));
}

#[test]
fn a_patch_is_a_list_in_json() {
    let json = r#"[{"create":{"id":"a","kind":"person","properties":{"age":1}}},{"update":{"id":"a","set":{"age":null}}},{"link":{"from":"a","kind":"knows","to":"a","properties":{}}},{"unlink":{"from":"a","kind":"knows","to":"a"}},{"delete":{"id":"a"}}]"#;
    let patch: Patch = serde_json::from_str(json).expect("a patch");
    assert_eq!(patch.validate(), Ok(()));
    assert_eq!(serde_json::to_string(&patch).expect("a patch has a JSON form"), json);

    let refusal = |json| serde_json::from_str::<Patch>(json).unwrap_err().to_string();
    insta::assert_snapshot!(refusal(r#"[{"delete":{"id":"a","cascade":true}}]"#), @"unknown field `cascade`, expected `id` at line 1 column 30");
    insta::assert_snapshot!(refusal(r#"[{"drop":{"id":"a"}}]"#), @"unknown variant `drop`, expected one of `create`, `update`, `delete`, `link`, `unlink`, `restore`, `append` at line 1 column 8");
    insta::assert_snapshot!(refusal(r#"[{"update":{"id":"a","set":{"n":9223372036854775808}}}]"#), @"invalid value: integer `9223372036854775808`, expected an integer that fits 64 bits with sign; write a larger one as text at line 1 column 51");
    insta::assert_snapshot!(refusal(r#"[{"update":{"id":"a","set":{"n":{"deep":1}}}}]"#), @"invalid type: map, expected a property value (null, boolean, number, text or a list of them) at line 1 column 33");
}

#[test]
fn a_restoration_is_not_for_clients() {
    let json = r#"[{"restore":{"subject":{"entity":"a"},"content":null,"logged":true}}]"#;
    let patch: Patch = serde_json::from_str(json).expect("a patch");
    insta::assert_snapshot!(patch.validate().unwrap_err(), @"operations[0]: `restore` is the coordinator's own: say what to change with the other operations");
}

#[test]
fn errors_are_data() {
    let error = Patch { operations: vec![delete(), Operation::Update { id: id("a"), set: Properties::new() }] }
        .validate()
        .unwrap_err();
    let json = serde_json::to_string(&error).expect("an error has a JSON form");
    assert_eq!(json, r#"{"operation":{"position":1,"problem":"nothing_to_set"}}"#);
    assert_eq!(serde_json::from_str::<PatchError>(&json).expect("what was written is read"), error);
}

proptest! {
    #[test]
    fn json_round_trip(patch in patch()) {
        prop_assert_eq!(patch.validate(), Ok(()));
        let json = serde_json::to_string(&patch).expect("a patch has a JSON form");
        prop_assert_eq!(serde_json::from_str::<Patch>(&json).expect("what was written is read"), patch);
    }
}
