use coordinator::commit::{AbortReason, ContentHash, Decision, IdempotencyKey, Intent, LinkView, Report};
use coordinator::ledger::{self, Moment};
use graph::{Edge, Millis, Node, Patch, Snapshot};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestRunner};
use rusqlite::Connection;

use super::*;
use crate::system::dump::fixture;

/// Few, so that transactions meet.
const IDS: [&str; 3] = ["a", "b", "c"];

/// How many transactions a random run has at most.
const TRANSACTIONS_MAX: usize = 40;

fn id(text: &str) -> EntityId {
    EntityId::new(text).unwrap()
}

fn word(text: &str) -> Kind {
    Kind::new(text).unwrap()
}

fn tx(serial: u64) -> TxId {
    TxId { incarnation: 1, serial }
}

fn properties<const N: usize>(properties: [(&str, Value); N]) -> Properties {
    properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn create(id_: &str) -> Operation {
    Operation::Create { id: id(id_), kind: word("thing"), key: None, properties: properties([("x", Value::Int(1))]) }
}

fn set(id_: &str, value: Value) -> Operation {
    Operation::Update { id: id(id_), set: properties([("x", value)]) }
}

fn delete(id_: &str) -> Operation {
    Operation::Delete { id: id(id_) }
}

fn link(from: &str, to: &str) -> Operation {
    Operation::Link { from: id(from), kind: word("knows"), to: id(to), properties: Properties::new() }
}

fn unlink(from: &str, to: &str) -> Operation {
    Operation::Unlink { from: id(from), kind: word("knows"), to: id(to) }
}

/// The state after transactions that are named by their place, from 1; `None` if one of them does not fit.
fn run<const N: usize>(transactions: [&[Operation]; N]) -> Option<State> {
    let mut state = Entities.initial();
    for (serial, operations) in (1..).zip(transactions) {
        state = step(&state, operations, Some(tx(serial)))?;
    }
    Some(state)
}

fn step(state: &State, operations: &[Operation], tx: Option<TxId>) -> Option<State> {
    let op = Op::Submit { operations: operations.to_vec(), retries: 0, again: 0, then: Vec::new() };
    let ret = tx.map(|tx| Ret::Committed { tx, created: BTreeMap::new() });
    let mut states = Entities.step(state, &op, ret.as_ref());
    assert!(states.len() <= 1, "a transaction is deterministic");
    states.pop()
}

/// Whether a strong read in this state may show that.
fn reads(state: &State, entity: &str, view: Option<EntityView>) -> bool {
    let after = Entities.step(state, &Op::Read { entity: id(entity) }, Some(&Ret::Entity(view)));
    assert!(after.iter().all(|after| after == state), "a read changes nothing");
    !after.is_empty()
}

fn view(entity: &str, value: i64, version: u64, serial: u64) -> EntityView {
    EntityView {
        id: id(entity),
        kind: word("thing"),
        key: None,
        properties: properties([("x", Value::Int(value))]),
        links: Vec::new(),
        version,
        tx: tx(serial),
    }
}

fn knows(to: &str) -> LinkView {
    LinkView { kind: word("knows"), to: id(to), properties: Properties::new() }
}

#[test]
fn an_entity_is_created_changed_and_deleted() {
    let state = run([&[create("a")]]).unwrap();
    assert!(reads(&state, "a", Some(view("a", 1, 1, 1))));
    assert!(reads(&state, "b", None));
    let state = run([&[create("a")], &[set("a", Value::Int(2))]]).unwrap();
    assert!(reads(&state, "a", Some(view("a", 2, 2, 2))));
    let state = run([&[create("a")], &[delete("a")]]).unwrap();
    assert!(reads(&state, "a", None));
}

#[test]
fn what_does_not_fit_cannot_have_committed() {
    assert_eq!(run([&[create("a")], &[create("a")]]), None);
    assert_eq!(run([&[set("a", Value::Int(2))]]), None);
    assert_eq!(run([&[delete("a")]]), None);
    assert_eq!(run([&[create("a")], &[delete("a")], &[set("a", Value::Int(2))]]), None);
    assert_eq!(run([&[create("a")], &[delete("a")], &[delete("a")]]), None);
}

#[test]
fn a_transaction_fits_as_a_whole_and_in_its_order() {
    assert_eq!(run([&[create("a"), create("a")]]), None);
    assert_eq!(run([&[set("a", Value::Int(2)), create("a")]]), None);
    let state = run([&[create("a"), set("a", Value::Int(2)), delete("a"), create("a")]]).unwrap();
    assert!(reads(&state, "a", Some(view("a", 1, 4, 1))));
}

#[test]
fn a_link_is_an_event_of_the_entity_that_it_leaves_alone() {
    let state = run([&[create("a"), create("b")], &[link("a", "b")]]).unwrap();
    assert!(reads(&state, "a", Some(EntityView { links: vec![knows("b")], ..view("a", 1, 2, 2) })));
    assert!(reads(&state, "b", Some(view("b", 1, 1, 1))));
    let state = run([&[create("a"), create("b")], &[link("a", "b")], &[unlink("a", "b")]]).unwrap();
    assert!(reads(&state, "a", Some(view("a", 1, 3, 3))));
}

#[test]
fn a_link_needs_two_ends_and_stands_once() {
    assert_eq!(run([&[create("a")], &[link("a", "b")]]), None);
    assert_eq!(run([&[create("a")], &[link("b", "a")]]), None);
    assert_eq!(run([&[create("a"), create("b"), link("a", "b")], &[link("a", "b")]]), None);
    assert_eq!(run([&[create("a"), create("b")], &[unlink("a", "b")]]), None);
    assert_eq!(run([&[create("a"), create("b"), link("a", "b")], &[unlink("b", "a")]]), None);
    assert!(run([&[create("a"), create("b"), link("a", "b"), link("b", "a")]]).is_some());
}

#[test]
fn an_entity_with_a_link_in_either_direction_cannot_be_deleted() {
    let linked = [create("a"), create("b"), link("a", "b")];
    assert_eq!(run([&linked, &[delete("a")]]), None);
    assert_eq!(run([&linked, &[delete("b")]]), None);
    assert!(run([&linked, &[unlink("a", "b"), delete("b"), delete("a")]]).is_some());
}

#[test]
fn an_entity_may_be_linked_to_itself() {
    let state = run([&[create("a"), link("a", "a")]]).unwrap();
    assert!(reads(&state, "a", Some(EntityView { links: vec![knows("a")], ..view("a", 1, 2, 1) })));
    assert_eq!(run([&[create("a"), link("a", "a")], &[delete("a")]]), None);
    assert!(run([&[create("a"), link("a", "a")], &[unlink("a", "a"), delete("a")]]).is_some());
}

#[test]
fn versions_go_on_after_a_deletion() {
    let state = run([&[create("a")], &[delete("a")], &[create("a")]]).unwrap();
    assert!(reads(&state, "a", Some(view("a", 1, 3, 3))));
    assert!(!reads(&state, "a", Some(view("a", 1, 1, 3))));
}

#[test]
fn null_removes_a_property_and_is_never_kept() {
    let state = run([&[create("a")], &[set("a", Value::Null)]]).unwrap();
    assert!(reads(&state, "a", Some(EntityView { properties: Properties::new(), ..view("a", 0, 2, 2) })));
    let null =
        Operation::Create { id: id("a"), kind: word("thing"), key: None, properties: properties([("x", Value::Null)]) };
    let state = run([&[null]]).unwrap();
    assert!(reads(&state, "a", Some(EntityView { properties: Properties::new(), ..view("a", 0, 1, 1) })));
}

#[test]
fn a_read_torn_in_any_part_fits_no_state() {
    let state = run([&[create("a"), create("b")], &[set("a", Value::Int(2)), link("a", "b")]]).unwrap();
    let whole = EntityView { links: vec![knows("b")], ..view("a", 2, 3, 2) };
    assert!(reads(&state, "a", Some(whole.clone())));
    let torn = [
        None,
        Some(EntityView { id: id("b"), ..whole.clone() }),
        Some(EntityView { kind: word("other"), ..whole.clone() }),
        Some(EntityView { properties: properties([("x", Value::Int(1))]), ..whole.clone() }),
        Some(EntityView { properties: Properties::new(), ..whole.clone() }),
        Some(EntityView { links: Vec::new(), ..whole.clone() }),
        Some(EntityView { links: vec![knows("b"), knows("b")], ..whole.clone() }),
        Some(EntityView { links: vec![knows("a")], ..whole.clone() }),
        Some(EntityView { version: 1, ..whole.clone() }),
        Some(EntityView { version: 4, ..whole.clone() }),
        Some(EntityView { tx: tx(1), ..whole }),
    ];
    for torn in torn {
        assert!(!reads(&state, "a", torn.clone()), "{torn:?}");
    }
    assert!(!reads(&state, "c", Some(view("c", 1, 1, 1))));
}

#[test]
fn a_transaction_whose_name_nobody_learned_may_have_any() {
    let state = step(&Entities.initial(), &[create("a")], None).unwrap();
    assert!(reads(&state, "a", Some(view("a", 1, 1, 1))) && reads(&state, "a", Some(view("a", 1, 1, 99))));
    assert!(!reads(&state, "a", Some(view("a", 1, 2, 1))));
}

#[test]
fn what_promises_nothing_fits_every_state_and_answers_of_another_kind_fit_none() {
    let state = run([&[create("a")]]).unwrap();
    let [peek, read] = [Op::Peek { entity: id("a") }, Op::Read { entity: id("a") }];
    let submit = Op::Submit { operations: vec![set("a", Value::Int(2))], retries: 0, again: 0, then: Vec::new() };
    let unchanged = std::slice::from_ref(&state);
    for ret in [None, Some(Ret::Peeked { found: false }), Some(Ret::Peeked { found: true })] {
        assert_eq!(Entities.step(&state, &peek, ret.as_ref()), unchanged);
    }
    assert_eq!(Entities.step(&state, &read, None), unchanged);
    for (op, ret) in [
        (&read, Ret::Committed { tx: tx(1), created: BTreeMap::new() }),
        (&read, Ret::Peeked { found: true }),
        (&submit, Ret::Entity(None)),
        (&submit, Ret::Peeked { found: true }),
    ] {
        assert_eq!(Entities.step(&state, op, Some(&ret)), Vec::<State>::new(), "{op:?} {ret:?}");
    }
}

#[test]
fn the_keys_are_the_entities_that_it_reads_or_writes() {
    let submit = Op::Submit {
        operations: vec![link("b", "a"), set("b", Value::Int(2)), delete("c")],
        retries: 0,
        again: 0,
        then: Vec::new(),
    };
    assert_eq!(Entities.keys(&submit), ["a", "b", "c"].map(id).map(Part::Entity));
    assert_eq!(Entities.keys(&Op::Read { entity: id("a") }), [Part::Entity(id("a"))]);
    assert_eq!(Entities.keys(&Op::Peek { entity: id("a") }), [Part::Entity(id("a"))]);
}

fn value() -> impl Strategy<Value = Value> {
    let text = select(vec!["", "é", "\"}", "null"]);
    prop_oneof![
        2 => Just(Value::Null),
        2 => (0..3_i64).prop_map(Value::Int),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => select(vec![0.0, 1.0, -2.5]).prop_map(|float| Value::Real(graph::Real::try_from(float).unwrap())),
        1 => text.prop_map(Value::from),
        1 => vec((0..3_i64).prop_map(Value::Int), 0..3).prop_map(Value::List),
    ]
}

fn some_properties(min: usize) -> impl Strategy<Value = Properties> {
    btree_map(select(vec!["x", "y", "z"]).prop_map(str::to_owned), value(), min..3)
}

fn operation() -> impl Strategy<Value = Operation> {
    let any_id = || select(IDS.to_vec()).prop_map(id);
    let any_kind = || select(vec!["knows", "knows", "likes"]).prop_map(word);
    prop_oneof![
        3 => (any_id(), any_kind(), some_properties(0))
            .prop_map(|(id, kind, properties)| Operation::Create { id, kind, key: None, properties }),
        2 => (any_id(), some_properties(1)).prop_map(|(id, set)| Operation::Update { id, set }),
        1 => any_id().prop_map(|id| Operation::Delete { id }),
        3 => (any_id(), any_kind(), any_id(), some_properties(0))
            .prop_map(|(from, kind, to, properties)| Operation::Link { from, kind, to, properties }),
        2 => (any_id(), any_kind(), any_id()).prop_map(|(from, kind, to)| Operation::Unlink { from, kind, to }),
    ]
}

/// Transactions; most are of one operation or two, because longer ones seldom fit.
fn transactions() -> impl Strategy<Value = Vec<Patch>> {
    let operations = prop_oneof![4 => vec(operation(), 1), 2 => vec(operation(), 2), 1 => vec(operation(), 3..6)];
    vec(operations.prop_map(|operations| Patch { operations }), 1..TRANSACTIONS_MAX)
}

/// A state in the shape that a graph has it in.
fn snapshot(state: &State) -> Snapshot {
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for (id, entity) in state {
        let Some(Content { kind, key, properties, links }) = &entity.content else { continue };
        nodes.push(Node::entity(id, kind, properties).with_key(kind, key.as_ref()));
        edges.extend(links.iter().map(|((kind, to), properties)| Edge::link(id, kind, to, properties)));
    }
    Snapshot::new(nodes, edges)
}

/// What a strong read has to show.
fn shown(state: &State, id: &EntityId) -> Option<EntityView> {
    let entity = state.get(id)?;
    let Content { kind, key, properties, links } = entity.content.clone()?;
    let link = |((kind, to), properties)| LinkView { kind, to, properties };
    let links = links.into_iter().map(link).collect();
    let tx = entity.tx.expect("every transaction here has a name");
    Some(EntityView { id: id.clone(), kind, key, properties, links, version: entity.version, tx })
}

fn moment(ms: u64) -> Moment {
    Moment { utc: Millis(ms), running: Millis(ms) }
}

/// Runs a transaction through the ledger as a coordinator does whose graph has decided; `Err` is its refusal.
fn settle(sql: &Connection, tx: TxId, patch: &Patch, decision: &Decision) -> Result<(), graph::Refusal> {
    let (key, hash) = (IdempotencyKey(tx.to_string()), ContentHash(tx.to_string()));
    let intent = Intent::new(tx, key, hash, patch);
    match ledger::intend(sql, &intent, moment(1)).unwrap() {
        Report::Intended => {
            assert_eq!(ledger::finish(sql, tx, decision, moment(2)).unwrap(), None);
            Ok(())
        }
        Report::Refused(refusal) => Err(refusal),
        report => panic!("the intent of a new transaction ended in {report:?}"),
    }
}

/// Three meanings of a patch, written apart: the model's, the reference of the graph crate, and the ledger's SQL.
#[test]
fn the_model_the_reference_and_the_ledger_agree() {
    fixture::alone(|| {
        let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
        let fenced = vec(prop::bool::weighted(0.1), TRANSACTIONS_MAX);
        let mut runner = TestRunner::new(config);
        let agreed = runner.run(&(transactions(), fenced), |(patches, fenced)| agree(&patches, &fenced));
        agreed.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// Runs transactions by all three, where some are fenced off after the ledger took the intent.
fn agree(patches: &[Patch], fenced: &[bool]) -> Result<(), TestCaseError> {
    let sql = fixture::ledger();
    let (mut state, mut reference) = (Entities.initial(), Snapshot::default());
    for ((serial, patch), fenced) in (1..).zip(patches).zip(fenced) {
        prop_assert_eq!(patch.validate(), Ok(()));
        let next = step(&state, &patch.operations, Some(tx(serial)));
        let mut applied = reference.clone();
        let result = patch.apply(&mut applied);
        prop_assert_eq!(next.is_some(), result.is_ok(), "the model and the reference differ on {:?}", patch);

        let decision = if *fenced { Decision::Aborted { reason: AbortReason::Fenced } } else { Decision::Committed };
        let settled = settle(&sql, tx(serial), patch, &decision);
        prop_assert_eq!(&settled, &result, "the ledger and the reference differ on {:?}", patch);

        if !fenced {
            reference = applied;
            state = next.unwrap_or(state);
        }
        prop_assert_eq!(&snapshot(&state), &reference);
        prop_assert_eq!(&ledger::snapshot(&sql).unwrap(), &reference);
        for id in IDS.map(id) {
            let row = ledger::load(&sql, &id).unwrap();
            let row = row.map(|row| (row.kind, row.properties, row.version, row.tx));
            let view = shown(&state, &id);
            let expected = view.clone().map(|view| (view.kind, view.properties, view.version, view.tx));
            prop_assert_eq!(row, expected);
            prop_assert!(reads(&state, id.as_str(), view));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// A read that took its properties at one moment and its version at another is refused in both.
    #[test]
    fn no_state_explains_a_read_of_two_moments(patches in transactions(), moments in any::<[Index; 2]>()) {
        let mut states = vec![Entities.initial()];
        for (serial, patch) in (1..).zip(&patches) {
            let next = step(&states[states.len() - 1], &patch.operations, Some(tx(serial)));
            states.extend(next);
        }
        let [early, late] = moments.map(|moment| moment.get(&states));
        for id in IDS.map(id) {
            if let (Some(early_view), Some(late_view)) = (shown(early, &id), shown(late, &id))
                && early_view.version != late_view.version
            {
                let torn = EntityView { version: late_view.version, tx: late_view.tx, ..early_view.clone() };
                prop_assert!(!reads(early, id.as_str(), Some(torn.clone())));
                // Unless nothing but the version changed, as when a value is set again.
                let same = EntityView { version: early_view.version, tx: early_view.tx, ..late_view } == early_view;
                prop_assert_eq!(reads(late, id.as_str(), Some(torn)), same);
            }
        }
    }
}

#[test]
fn random_transactions_fit_often_enough_to_mean_something() {
    let mut runner = TestRunner::deterministic();
    let (mut fitted, mut refused) = (0, 0);
    let (mut links, mut deletions) = (0, 0);
    for _ in 0..100 {
        let mut state = Entities.initial();
        for patch in transactions().new_tree(&mut runner).unwrap().current() {
            match step(&state, &patch.operations, None) {
                None => refused += 1,
                Some(next) => {
                    fitted += 1;
                    links += patch.operations.iter().filter(|o| matches!(o, Operation::Link { .. })).count();
                    deletions += patch.operations.iter().filter(|o| matches!(o, Operation::Delete { .. })).count();
                    state = next;
                }
            }
        }
    }
    assert!(fitted > 200 && refused > 200 && links > 50 && deletions > 20, "{fitted} {refused} {links} {deletions}");
}

#[test]
fn a_refusal_needs_a_state_that_it_does_not_fit() {
    let refused = |state: &State, operations: Vec<Operation>| {
        let refusal = graph::Refusal::EntityExists(id("alice"));
        let submit = Op::Submit { operations, retries: 0, again: 0, then: Vec::new() };
        Entities.step(state, &submit, Some(&Ret::Refused { tx: tx(9), refusal }))
    };
    let with_alice = run([&[create("alice")]]).unwrap();
    assert_eq!(refused(&with_alice, vec![create("alice")]), std::slice::from_ref(&with_alice));
    assert!(refused(&with_alice, vec![create("bob")]).is_empty());
    assert!(refused(&Entities.initial(), vec![create("alice")]).is_empty());
}

fn keyed(name: &str, key: &str) -> Operation {
    let key = Some(key.parse().unwrap());
    Operation::Create { id: id(name), kind: word("thing"), key, properties: properties([]) }
}

#[test]
fn a_key_has_one_entity_and_whoever_looks_for_it_finds_that_one() {
    let state = after(&State::new(), &[keyed("a", "k")], Some(tx(1))).remove(0);
    assert_eq!(after(&state, &[keyed("b", "k")], Some(tx(2))), []);
    assert_eq!(after(&state, &[keyed("b", "l")], Some(tx(2))).len(), 1);
    let passed_on = after(&state, &[delete("a"), keyed("b", "k")], Some(tx(2))).remove(0);
    let find = Op::Find { kind: word("thing"), key: "k".parse().unwrap() };
    let seen = |state: &State, view| !Entities.step(state, &find, Some(&Ret::Entity(view))).is_empty();
    let view = |name, version, writer| EntityView {
        id: id(name),
        kind: word("thing"),
        key: Some("k".parse().unwrap()),
        properties: properties([]),
        links: Vec::new(),
        version,
        tx: tx(writer),
    };
    assert!(seen(&state, Some(view("a", 1, 1))) && !seen(&state, None));
    assert!(seen(&passed_on, Some(view("b", 1, 2))) && !seen(&passed_on, Some(view("a", 1, 1))));
    assert!(seen(&State::new(), None) && !seen(&State::new(), Some(view("a", 1, 1))));
}
