use graph::{CanonicalKey, EntityId, KeyError, Operation, Patch, PatchError, Problem, Properties, Snapshot, TxId};
use proptest::prelude::*;

use crate::{id, kind};

const TX: TxId = TxId { incarnation: 3, serial: 17 };

fn create(name: &str) -> Operation {
    Operation::Create { id: id(name), kind: kind("book"), key: None, properties: Properties::new() }
}

fn link(from: &str, to: &str) -> Operation {
    Operation::Link { from: id(from), kind: kind("cites"), to: id(to), properties: Properties::new() }
}

fn problem(operations: Vec<Operation>) -> (usize, Problem) {
    match (Patch { operations }).validate().unwrap_err() {
        PatchError::Operation { position, problem } => (position, problem),
        error => panic!("{error}"),
    }
}

#[test]
fn a_label_becomes_the_same_id_wherever_it_stands() {
    let patch =
        Patch { operations: vec![create("_:a"), create("x"), create("_:b"), link("_:a", "_:b"), link("x", "_:a")] };
    assert_eq!(patch.validate(), Ok(()));
    let names: Vec<String> =
        patch.resolved(TX).operations.iter().flat_map(Operation::keys).map(|k| k.to_string()).collect();
    assert_eq!(names, ["e-3-17-0", "x", "e-3-17-1", "e-3-17-0", "e-3-17-1", "x", "e-3-17-0"]);
    assert_eq!(patch.generated(TX), [(id("_:a"), id("e-3-17-0")), (id("_:b"), id("e-3-17-1"))].into());
}

#[test]
fn labels_and_the_form_of_made_ids_are_refused_where_they_do_not_belong() {
    assert_eq!(problem(vec![create("x"), create("e-1-2-3")]), (1, Problem::GeneratedForm(id("e-1-2-3"))));
    assert_eq!(problem(vec![create("_:a"), create("_:a")]), (1, Problem::LabelTwice(id("_:a"))));
    assert_eq!(problem(vec![create("x"), link("x", "_:a")]), (1, Problem::UnknownLabel(id("_:a"))));
    assert_eq!(problem(vec![link("x", "_:a"), create("_:a")]), (0, Problem::UnknownLabel(id("_:a"))));
    // What the coordinator made is used like any other id.
    assert_eq!(Patch { operations: vec![link("e-1-2-3", "x")] }.validate(), Ok(()));
}

#[test]
fn the_form_of_made_ids_is_narrow() {
    assert_eq!(id("e-3-17-0").generated_by(), Some((TX, 0)));
    for other in ["e-3-17", "e-3-17-0-1", "e-03-17-0", "e-3-17-", "e--3-17", "E-3-17-0", "x-3-17-0", "e-3-17-a"] {
        assert_eq!(id(other).generated_by(), None, "{other}");
    }
}

proptest! {
    #[test]
    fn no_two_transactions_make_one_id(a: (u64, u64, u64), b: (u64, u64, u64)) {
        let made = |(incarnation, serial, position)| EntityId::generated(TxId { incarnation, serial }, position);
        prop_assert_eq!(made(a) == made(b), a == b);
        let (tx, position) = made(a).generated_by().expect("its own form");
        prop_assert_eq!((tx.incarnation, tx.serial, position), a);
    }

    #[test]
    fn a_qualified_key_is_read_back(key in "[^\\p{C}\\s]([^\\p{C}]{0,20}[^\\p{C}\\s])?") {
        let key = CanonicalKey::new(key).expect("a valid key");
        let kind = kind("a/b");
        prop_assert_eq!(CanonicalKey::from_qualified(&key.qualified(&kind)), Some((kind, key)));
    }
}

#[test]
fn what_nobody_could_tell_apart_is_no_key() {
    for (text, error) in [
        ("", KeyError::Empty),
        (" a", KeyError::Surrounded),
        ("a\u{3000}", KeyError::Surrounded),
        ("a\u{0}b", KeyError::Control('\u{0}')),
        ("a\n", KeyError::Control('\n')),
    ] {
        assert_eq!(CanonicalKey::new(text), Err(error), "{text:?}");
    }
    assert_eq!(CanonicalKey::new("k".repeat(501)), Err(KeyError::TooLong(501)));
    assert_ne!(CanonicalKey::new("\u{e9}"), CanonicalKey::new("e\u{301}"), "byte for byte");
}

#[test]
fn an_old_patch_reads_and_prints_as_before() {
    let text = r#"[{"create":{"id":"a","kind":"book","properties":{}}}]"#;
    let patch: Patch = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&patch).unwrap(), text);
    let mut graph = Snapshot::default();
    patch.apply(&mut graph).unwrap();
    assert_eq!(graph.to_string(), "node a :Entity {\"kind\":\"book\"}\n");
}

#[test]
fn a_key_is_free_again_after_the_deletion_and_kept_apart_by_kind() {
    let keyed = |name: &str, of: &str| Operation::Create {
        id: id(name),
        kind: kind(of),
        key: Some(CanonicalKey::new("isbn:1").unwrap()),
        properties: Properties::new(),
    };
    let mut graph = Snapshot::default();
    let mut apply = |operations| Patch { operations }.apply(&mut graph);
    apply(vec![keyed("a", "book"), keyed("b", "film")]).unwrap();
    let refusal = apply(vec![keyed("c", "book")]).unwrap_err();
    assert_eq!(refusal.to_string(), "the key \"isbn:1\" of kind book belongs to entity a");
    apply(vec![Operation::Delete { id: id("a") }, keyed("c", "book")]).unwrap();
    let expected = "node b :Entity {\"canonical_key\":\"film isbn:1\",\"kind\":\"film\"}\n\
                    node c :Entity {\"canonical_key\":\"book isbn:1\",\"kind\":\"book\"}\n";
    assert_eq!(graph.to_string(), expected);
}
