//! Generated ids and canonical keys.

use graph::{CanonicalKey, Kind};

use super::*;
use crate::commit::EntityView;

fn kind() -> Kind {
    "book".parse().unwrap()
}

fn isbn() -> CanonicalKey {
    "isbn:1".parse().unwrap()
}

/// A creation under a key.
fn creating(id: &str) -> Operation {
    Operation::Create { id: entity(id), kind: kind(), key: Some(isbn()), properties: [].into() }
}

fn wanted(key: &str, operations: Vec<Operation>) -> Submission {
    let patch = Patch { operations };
    Submission { key: IdempotencyKey(key.to_owned()), hash: ContentHash::of(&patch), patch }
}

fn view(id: &str, key: Option<CanonicalKey>) -> EntityView {
    EntityView { id: entity(id), kind: kind(), key, properties: [].into(), links: Vec::new(), version: 1, tx: tx(1) }
}

impl Bench {
    fn create(&mut self, request: u64, key: &str, operations: Vec<Operation>) {
        let submission = wanted(key, operations);
        self.tell(NOW, Input::Submit { request: RequestId(request), submission });
    }

    fn find(&mut self, request: u64) {
        self.tell(NOW, Input::Find { request: RequestId(request), kind: kind(), key: isbn() });
    }

    /// The intent that was asked for.
    fn intent(&self) -> Intent {
        match &self.step.effects[..] {
            [CommitEffect::Do { action: Action::Intend(intent), .. }] => intent.clone(),
            effects => panic!("{effects:?}"),
        }
    }
}

#[test]
fn labels_become_ids_made_from_the_name_and_the_hash_stays_the_clients() {
    let mut bench = Bench::new();
    let link = Operation::Link { from: entity("_:a"), kind: kind(), to: entity("x"), properties: [].into() };
    let operations = vec![creating("_:a"), creating("b"), creating("_:c"), link];
    let hash = wanted("k", operations.clone()).hash;
    bench.create(1, "k", operations);
    let intent = bench.intent();
    assert_eq!((intent.tx, intent.hash), (tx(1), hash));
    let names: Vec<String> =
        intent.patch.operations.iter().flat_map(Operation::keys).map(ToString::to_string).collect();
    assert_eq!(names, ["e-1-1-0", "b", "e-1-1-1", "e-1-1-0", "x"]);
    assert_eq!(bench.step.marks, [Mark::Generated(tx(1))]);
}

#[test]
fn two_creators_of_one_key_come_one_after_the_other() {
    let mut bench = Bench::new();
    bench.create(1, "k1", vec![creating("a")]);
    bench.assert_asks(&[EffectId::Intend(tx(1))]);
    bench.create(2, "k2", vec![creating("b")]);
    bench.assert_asks(&[]);
    bench.done(EffectId::Intend(tx(1)), Report::Intended);
    bench.done(EffectId::Decide(tx(1), 1), Report::Decided);
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    assert_eq!(bench.asked(), [EffectId::Intend(tx(2))]);
    let refusal = Refusal::KeyTaken { kind: kind(), key: isbn(), by: entity("a") };
    bench.done(EffectId::Intend(tx(2)), Report::Refused(refusal.clone()));
    assert!(bench.step.marks.contains(&Mark::KeyTaken(tx(2))), "{:?}", bench.step.marks);
    let decision = Decision::Aborted { reason: AbortReason::Refused(refusal) };
    assert_eq!(bench.answers(), [(2, Answer::Settled(Settled { tx: tx(2), decision }))]);
}

#[test]
fn a_key_is_locked_again_by_the_next_process() {
    let Submission { key, hash, patch } = wanted("k1", vec![creating("a")]);
    let intent = Intent::new(tx(1), key, hash, &patch);
    let (core, step) = Commit::recover(CONFIG, 2, vec![intent]).unwrap();
    let mut bench = Bench { core, step };
    bench.create(2, "k2", vec![creating("b")]);
    bench.assert_asks(&[]);
    bench.find(3);
    bench.assert_asks(&[]);
}

#[test]
fn a_look_up_reads_the_entity_that_has_the_key() {
    let mut bench = Bench::new();
    bench.find(1);
    bench.assert_asks(&[EffectId::Find(RequestId(1))]);
    bench.done(EffectId::Find(RequestId(1)), Report::Found(Some(entity("a"))));
    bench.assert_asks(&[EffectId::Load(RequestId(1))]);
    bench.done(EffectId::Load(RequestId(1)), Report::Loaded(Some(view("a", Some(isbn())))));
    assert_eq!(bench.answers(), [(1, Answer::Entity(Some(view("a", Some(isbn())))))]);
    bench.find(2);
    bench.done(EffectId::Find(RequestId(2)), Report::Found(None));
    assert_eq!(bench.answers(), [(2, Answer::Entity(None))]);
    assert!(bench.core.locks.is_empty());
}

#[test]
fn a_look_up_begins_anew_when_the_key_has_passed_on() {
    for seen in [None, Some(view("a", None))] {
        let mut bench = Bench::new();
        bench.find(1);
        bench.done(EffectId::Find(RequestId(1)), Report::Found(Some(entity("a"))));
        bench.done(EffectId::Load(RequestId(1)), Report::Loaded(seen));
        bench.assert_asks(&[EffectId::Find(RequestId(1))]);
        bench.done(EffectId::Find(RequestId(1)), Report::Found(Some(entity("b"))));
        bench.done(EffectId::Load(RequestId(1)), Report::Loaded(Some(view("b", Some(isbn())))));
        assert_eq!(bench.answers(), [(1, Answer::Entity(Some(view("b", Some(isbn())))))]);
        assert!(bench.core.locks.is_empty());
    }
}

#[test]
fn a_look_up_holds_no_key_while_it_waits_for_the_entity() {
    let mut bench = Bench::new();
    let deleting = bench.deciding(1, "k1", "a");
    bench.find(2);
    bench.done(EffectId::Find(RequestId(2)), Report::Found(Some(entity("a"))));
    bench.assert_asks(&[]);
    bench.create(3, "k3", vec![creating("b")]);
    bench.assert_asks(&[EffectId::Intend(tx(2))]);
    bench.done(EffectId::Decide(deleting, 1), Report::Decided);
    bench.done(EffectId::Finish(deleting), Report::Finished);
    assert_eq!(bench.asked(), [EffectId::Load(RequestId(2))]);
    bench.done(EffectId::Load(RequestId(2)), Report::Loaded(None));
    bench.assert_asks(&[]);
}

#[test]
fn a_look_up_that_timed_out_leaves_nothing() {
    let mut bench = Bench::new();
    bench.find(1);
    bench.tell(NOW + CONFIG.answer_timeout_ms, Input::Timeout);
    assert_eq!(bench.answers(), [(1, Answer::Rejected(Rejection::Busy))]);
    bench.done(EffectId::Find(RequestId(1)), Report::Found(Some(entity("a"))));
    assert_eq!((bench.asked(), bench.answers()), (vec![], vec![]));
    assert!(bench.core.locks.is_empty());
}
