//! What the coordinator says to the graph, as named statements.
//!
//! Entities are nodes labelled `Entity` with the properties `id` and `kind`, and `canonical_key`,
//! kind and key in one text, where they have a key; links are
//! relationships of the type `LINK` with the property `kind`, because a relationship type
//! cannot be a parameter. Markers are nodes labelled `Tx`. One node labelled `Store` says
//! which ledger the graph belongs to. The coordinator writes nothing else.
//!
//! Each statement exists twice, as Cypher and as an interpretation of it; `tests/conformance.rs`
//! compares the two. The Cypher is what Neo4j 4.4 and 5, Neptune and ArcadeDB have in
//! common: no procedures, no `EXISTS { … }`, no `DETACH`, no ids of the server's own.
//!
//! A statement that changes something returns one row `changed`: how many entities or links
//! it created, updated or removed. Callers state what that has to be.

mod entities;
mod links;
mod markers;
mod store;

use graph::{
    CANONICAL_KEY_PROPERTY, CanonicalKey, Content, EntityId, Kind, Operation, Patch, Properties, RESERVED_PROPERTIES,
    Subject, TxId, Value,
};
use stores::{Call, Datum, Expect, GraphFault, Params, PropertyGraph, Rows, Statement, Uniqueness};

pub use entities::{
    COUNT_ENTITY, CREATE_ENTITY, CREATE_KEYED_ENTITY, DELETE_ENTITY, DUMP_ENTITIES, FIND_ENTITY, PUT_ENTITY,
    READ_ENTITY, UPDATE_ENTITY,
};
pub use links::{DUMP_LINKS, LINK, READ_LINK, READ_LINKS_IN, READ_LINKS_OUT, UNLINK, is_cursor};
pub use markers::{
    ABORTED, COMMITTED, CREATE_MARKER, DELETE_MARKER, DUMP_MARKERS, FENCE, MARKERS_BETWEEN, READ_MARKER, RESTORE_MARKER,
};
pub use store::{CLAIM_STORE, RAISE_FLOOR, READ_FLOOR, READ_STORE};

/// Every statement of the coordinator.
pub static ALL: &[&Statement] = &[
    &CREATE_MARKER,
    &FENCE,
    &CREATE_ENTITY,
    &CREATE_KEYED_ENTITY,
    &UPDATE_ENTITY,
    &DELETE_ENTITY,
    &PUT_ENTITY,
    &COUNT_ENTITY,
    &LINK,
    &UNLINK,
    &READ_ENTITY,
    &FIND_ENTITY,
    &READ_LINK,
    &READ_LINKS_OUT,
    &READ_LINKS_IN,
    &DUMP_ENTITIES,
    &DUMP_LINKS,
    &DUMP_MARKERS,
    &READ_MARKER,
    &MARKERS_BETWEEN,
    &CLAIM_STORE,
    &READ_STORE,
    &DELETE_MARKER,
    &RAISE_FLOOR,
    &RESTORE_MARKER,
    &READ_FLOOR,
];

/// What the graph has to enforce: the protocol rests on the first.
pub static CONSTRAINTS: &[Uniqueness] = &[
    Uniqueness { label: markers::LABEL, property: "id" },
    Uniqueness { label: entities::LABEL, property: "id" },
    Uniqueness { label: entities::LABEL, property: CANONICAL_KEY_PROPERTY },
    Uniqueness { label: store::LABEL, property: "key" },
];

/// The names that no property of an entity or a link may have: the graph keeps its own
/// under them.
pub const RESERVED: [&str; 3] = RESERVED_PROPERTIES;

/// The statements that apply a patch, each with what it has to change.
///
/// # Panics
///
/// When a property has a [`RESERVED`] name: whoever admitted the patch had to refuse it.
pub fn calls_for(patch: &Patch) -> Vec<Call> {
    patch.operations.iter().flat_map(calls_of).collect()
}

/// The statements that decide a transaction: its marker, then its patch.
///
/// # Panics
///
/// See [`calls_for`].
pub fn decide(tx: TxId, patch: &Patch) -> Vec<Call> {
    let [incarnation, serial] = position(tx);
    let mut calls = vec![change(&CREATE_MARKER, [("id", tx.to_string().into()), incarnation, serial])];
    calls.extend(calls_for(patch));
    calls
}

/// The statement that finds out a transaction's fate, and makes it `aborted` where it was
/// still open. Returns the fate as `state`.
pub fn fence(tx: TxId) -> Vec<Call> {
    vec![read(&FENCE, [("id", tx.to_string().into())])]
}

/// The statements that read an entity and the links that leave it, in this order.
pub fn read_entity(id: &EntityId) -> Vec<Call> {
    let id = || [("id", Datum::from(id.as_str()))];
    vec![read(&READ_ENTITY, id()), read(&READ_LINKS_OUT, id())]
}

/// The statement that finds the entity with a canonical key, as `id`.
pub fn find_entity(kind: &Kind, key: &CanonicalKey) -> Vec<Call> {
    vec![read(&FIND_ENTITY, [("key", key.qualified(kind).into())])]
}

/// The statements that read what has to do with an entity or a link: an entity with the links
/// that leave it and those that enter it; a link's start, the link, and its end: its start may have very
/// many others.
pub fn examine(subject: &Subject) -> Vec<Call> {
    let id = |id: &EntityId| [("id", Datum::from(id.as_str()))];
    match subject {
        Subject::Entity(entity) => {
            vec![read(&READ_ENTITY, id(entity)), read(&READ_LINKS_OUT, id(entity)), read(&READ_LINKS_IN, id(entity))]
        }
        Subject::Link { from, kind, to } => {
            let link = [("from", from.as_str().into()), ("kind", kind.as_str().into()), ("to", to.as_str().into())];
            vec![read(&READ_ENTITY, id(from)), read(&READ_LINK, link), read(&READ_ENTITY, id(to))]
        }
    }
}

/// The statement that reads up to `limit` entities in the order of their ids, after one or the
/// first ones.
pub fn entities_after(after: Option<&str>, limit: u32) -> Vec<Call> {
    let params = [("after", after.unwrap_or_default().into()), ("limit", i64::from(limit).into())];
    vec![read(&DUMP_ENTITIES, params)]
}

/// The statement that reads up to `limit` links in the order of their starts, kinds and ends,
/// after one or the first ones.
pub fn links_after(after: Option<[&str; 3]>, limit: u32) -> Vec<Call> {
    let [from, kind, to] = after.unwrap_or_default();
    let limit = i64::from(limit);
    vec![read(&DUMP_LINKS, [("from", from.into()), ("kind", kind.into()), ("to", to.into()), ("limit", limit.into())])]
}

/// The statements that read the links of entities, those that leave it and then those that
/// enter it for each.
pub fn read_links(ids: &[EntityId]) -> Vec<Call> {
    let both = |id: &EntityId| [&READ_LINKS_OUT, &READ_LINKS_IN].map(|links| read(links, [("id", id.as_str().into())]));
    ids.iter().flat_map(both).collect()
}

/// The statement that reads who has claimed the graph, if anybody.
pub fn read_store() -> Vec<Call> {
    vec![read(&READ_STORE, [])]
}

/// The statement that claims the graph for a start of a ledger; see [`CLAIM_STORE`].
pub fn claim_store(id: &str, incarnation: u64, nonce: &str) -> Vec<Call> {
    let incarnation = i64::try_from(incarnation).expect("incarnations fit into 63 bits");
    vec![read(&CLAIM_STORE, [("id", id.into()), ("incarnation", incarnation.into()), ("nonce", nonce.into())])]
}

/// The statements that read the markers of these transactions, one each.
pub fn read_markers(transactions: &[TxId]) -> Vec<Call> {
    transactions.iter().map(|tx| read(&READ_MARKER, [("id", tx.to_string().into())])).collect()
}

/// The statement that reads up to `limit` markers in the order of their ids as text, after one or the
/// first ones.
pub fn markers_after(after: Option<&str>, limit: u32) -> Vec<Call> {
    let params = [("after", after.unwrap_or_default().into()), ("limit", i64::from(limit).into())];
    vec![read(&DUMP_MARKERS, params)]
}

/// The statement that puts a marker back.
pub fn restore_marker(tx: TxId, committed: bool) -> Vec<Call> {
    let state = if committed { COMMITTED } else { ABORTED };
    vec![change(&RESTORE_MARKER, [("id", tx.to_string().into()), ("state", state.into())])]
}

/// The statement that reads up to `limit` markers of one incarnation, in the order of their
/// ids as text: the first ones, or those after an id.
///
/// An id begins with `tx-INCARNATION-`, and the character behind `-` in ASCII is a dot, which
/// comes before every digit: between `tx-1-` and `tx-1.` are the ids of incarnation 1 and no
/// others, not those of 10 either.
pub fn markers_of(incarnation: u64, after: Option<&str>, limit: u32) -> Vec<Call> {
    let first = format!("tx-{incarnation}-");
    let after = after.unwrap_or(&first);
    let before = format!("tx-{incarnation}.");
    let params = [("after", after.into()), ("before", before.into()), ("limit", i64::from(limit).into())];
    vec![read(&MARKERS_BETWEEN, params)]
}

/// The statement that reads the first marker, in the order of their ids as text, of this incarnation or one whose number
/// stands behind it in that order; see [`markers_of`].
pub fn first_marker_from(incarnation: u64) -> Vec<Call> {
    // What comes after the last digit in ASCII is a colon.
    let params = [("after", format!("tx-{incarnation}-").into()), ("before", "tx-:".into()), ("limit", 1i64.into())];
    vec![read(&MARKERS_BETWEEN, params)]
}

/// The statement that raises the floor below which markers are removed; see [`RAISE_FLOOR`].
pub fn raise_floor(id: &str, floor: TxId) -> Vec<Call> {
    let [incarnation, serial] = position(floor);
    vec![read(&RAISE_FLOOR, [("id", id.into()), incarnation, serial])]
}

/// The statement that reads the floor.
pub fn read_floor() -> Vec<Call> {
    vec![read(&READ_FLOOR, [])]
}

/// The statements that remove markers by their ids, one each.
pub fn delete_markers(ids: &[String]) -> Vec<Call> {
    ids.iter().map(|id| read(&DELETE_MARKER, [("id", id.as_str().into())])).collect()
}

/// Where a transaction stands among all, as parameters.
fn position(tx: TxId) -> [(&'static str, Datum); 2] {
    let number = |number: u64| i64::try_from(number).expect("transaction numbers fit into 63 bits").into();
    [("incarnation", number(tx.incarnation)), ("serial", number(tx.serial))]
}

/// A statement that has to change exactly one thing.
fn change<const N: usize>(statement: &'static Statement, params: [(&str, Datum); N]) -> Call {
    Call { statement, params: named(params), expect: Expect::Changed(1) }
}

/// A statement whose rows the caller looks at.
fn read<const N: usize>(statement: &'static Statement, params: [(&str, Datum); N]) -> Call {
    Call { statement, params: named(params), expect: Expect::Anything }
}

fn named<const N: usize>(params: [(&str, Datum); N]) -> Params {
    params.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect()
}

fn calls_of(operation: &Operation) -> Vec<Call> {
    match operation {
        Operation::Restore { subject, content, .. } => restore(subject, content.as_ref()),
        // The graph does not hear of it.
        Operation::Append { .. } => Vec::new(),
        operation => vec![call_for(operation)],
    }
}

/// Whatever was there, what has to be is there afterwards, and nothing else: that is counted.
fn restore(subject: &Subject, content: Option<&Content>) -> Vec<Call> {
    match (subject, content) {
        (Subject::Entity(id), Some(Content { kind, key, properties })) => {
            let named = [("id", id.as_str()), ("kind", kind.as_str())];
            let mut whole = properties.clone();
            whole.extend(named.map(|(name, text)| (name.to_owned(), Value::from(text))));
            let key = key.as_ref().map(|key| Value::Text(key.qualified(kind)));
            whole.extend(key.map(|key| (CANONICAL_KEY_PROPERTY.to_owned(), key)));
            vec![change(&PUT_ENTITY, [("id", id.as_str().into()), ("content", whole.into())])]
        }
        (Subject::Entity(id), None) => {
            let id = || [("id", Datum::from(id.as_str()))];
            let gone = Call { expect: Expect::Changed(0), ..read(&COUNT_ENTITY, id()) };
            vec![read(&DELETE_ENTITY, id()), gone]
        }
        (Subject::Link { from, kind, to }, content) => {
            let unlink = Operation::Unlink { from: from.clone(), kind: kind.clone(), to: to.clone() };
            let mut calls = vec![Call { expect: Expect::Anything, ..call_for(&unlink) }];
            calls.extend(content.map(|Content { kind, properties, .. }| {
                let (from, to, properties) = (from.clone(), to.clone(), properties.clone());
                call_for(&Operation::Link { from, kind: kind.clone(), to, properties })
            }));
            calls
        }
    }
}

fn call_for(operation: &Operation) -> Call {
    match operation {
        Operation::Restore { subject, .. } => panic!("restoring {subject} takes several statements"),
        Operation::Append { event, .. } => panic!("event {} takes no statement", event.id),
        Operation::Create { id, kind, key: Some(key), properties } => change(
            &CREATE_KEYED_ENTITY,
            [
                ("id", id.as_str().into()),
                ("kind", kind.as_str().into()),
                ("key", key.qualified(kind).into()),
                ("properties", own(properties)),
            ],
        ),
        Operation::Create { id, kind, key: None, properties } => change(
            &CREATE_ENTITY,
            [("id", id.as_str().into()), ("kind", kind.as_str().into()), ("properties", own(properties))],
        ),
        Operation::Update { id, set } => change(&UPDATE_ENTITY, [("id", id.as_str().into()), ("set", own(set))]),
        Operation::Delete { id } => change(&DELETE_ENTITY, [("id", id.as_str().into())]),
        Operation::Link { from, kind, to, properties } => change(
            &LINK,
            [
                ("from", from.as_str().into()),
                ("kind", kind.as_str().into()),
                ("to", to.as_str().into()),
                ("properties", own(properties)),
            ],
        ),
        Operation::Unlink { from, kind, to } => change(
            &UNLINK,
            [("from", from.as_str().into()), ("kind", kind.as_str().into()), ("to", to.as_str().into())],
        ),
    }
}

fn own(properties: &Properties) -> Datum {
    let taken = RESERVED.iter().find(|name| properties.contains_key(**name));
    assert!(taken.is_none(), "property {taken:?} is the graph's own, yet a patch sets it: {properties:?}");
    properties.clone().into()
}

// What interpretations are written with.

fn param<'a>(params: &'a Params, name: &str) -> Result<&'a Datum, GraphFault> {
    params.get(name).ok_or_else(|| GraphFault::Parameter(name.to_owned()))
}

fn text<'a>(params: &'a Params, name: &str) -> Result<&'a str, GraphFault> {
    param(params, name)?.as_text().ok_or_else(|| GraphFault::Parameter(name.to_owned()))
}

fn property_map(params: &Params, name: &str) -> Result<Properties, GraphFault> {
    param(params, name)?.to_properties().ok_or_else(|| GraphFault::Parameter(name.to_owned()))
}

fn limit(params: &Params) -> Result<usize, GraphFault> {
    let limit = param(params, "limit")?.as_int().and_then(|limit| usize::try_from(limit).ok());
    limit.ok_or_else(|| GraphFault::Parameter("limit".to_owned()))
}

fn changed(count: usize) -> Rows {
    vec![vec![Datum::Int(i64::try_from(count).expect("fewer changes than an i64 counts"))]]
}

/// A cell with a property, null if there is none.
fn cell(properties: &Properties, name: &str) -> Datum {
    properties.get(name).cloned().map_or(Datum::Null, Datum::from)
}

/// Sorted by the first columns, cut to the page.
fn page(mut rows: Rows, limit: usize) -> Rows {
    rows.sort();
    rows.truncate(limit);
    rows
}

fn find(
    graph: &mut dyn PropertyGraph,
    label: &str,
    property: &str,
    value: &str,
) -> Result<Vec<stores::NodeHandle>, GraphFault> {
    graph.find(label, property, &Value::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str) -> Patch {
        let id = EntityId::new("a").expect("an id");
        Patch { operations: vec![Operation::Update { id, set: [(name.to_owned(), Value::Null)].into() }] }
    }

    #[test]
    fn the_marker_comes_first_and_everything_must_change_one_thing() {
        let calls = decide(TxId { incarnation: 1, serial: 2 }, &update("name"));
        let names: Vec<&str> = calls.iter().map(|call| call.statement.name).collect();
        assert_eq!(names, ["create_marker", "update_entity"]);
        assert!(calls.iter().all(|call| call.expect == Expect::Changed(1)));
        assert_eq!(calls[0].params["id"], Datum::from("tx-1-2"));
    }

    #[test]
    #[should_panic(expected = "is the graph's own")]
    fn a_patch_that_sets_a_reserved_property_is_a_defect_of_the_caller() {
        calls_for(&update("kind"));
    }

    #[test]
    fn names_and_texts_of_statements_are_unique() {
        let unique = |key: fn(&Statement) -> &'static str| {
            ALL.iter().map(|statement| key(statement)).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!((unique(|s| s.name), unique(|s| s.cypher)), (ALL.len(), ALL.len()));
    }
}
