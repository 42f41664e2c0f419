//! Comparisons and repairs: nothing is decided but from what was read under the locks.

use graph::{Content, Subject};

use super::*;
use crate::commit::{Ground, Reviewed};
use crate::reconcile::{Authority, Evidence, Held, Logged, Order, Policy, Reason};

const BY_LOG: Order = Order::Policy(Policy::Log);

fn content() -> Content {
    Content { kind: "thing".parse().unwrap(), key: None, properties: [].into() }
}

/// The graph has lost the entity, and a transaction had committed it.
fn lost(id: &str) -> Evidence {
    Evidence {
        subject: Subject::Entity(entity(id)),
        graph: Held::Absent,
        sql: Some(content()),
        log: Logged::Present { content: content(), tx: tx(99) },
        linked: false,
        loose: false,
        rivals: Vec::new(),
        unaccounted: Vec::new(),
    }
}

fn agreed(id: &str) -> Evidence {
    Evidence { graph: Held::Present(content()), ..lost(id) }
}

impl Bench {
    fn repair(&mut self, request: u64, id: &str, order: Order) {
        let subject = Subject::Entity(entity(id));
        self.tell(NOW, Input::Repair { request: RequestId(request), subject, order });
    }

    fn examine(&mut self, request: u64, subject: Subject) {
        self.tell(NOW, Input::Examine { request: RequestId(request), subject });
    }

    /// The intent that the last step asks to be written, and what it rests on.
    fn intended(&self) -> (Intent, Ground) {
        let [CommitEffect::Do { action: Action::IntendRepair { intent, ground }, .. }] = &self.step.effects[..] else {
            panic!("{:?}", self.step)
        };
        (intent.clone(), Ground::clone(ground))
    }
}

#[test]
fn a_repair_reads_under_its_locks_and_is_then_a_transaction_like_any_other() {
    let mut bench = Bench::new();
    bench.repair(1, "a", BY_LOG);
    bench.assert_asks(&[EffectId::Review(tx(1))]);
    bench.done(EffectId::Review(tx(1)), Report::Examined(Box::new(lost("a"))));
    let (intent, ground) = bench.intended();
    let restore = Operation::Restore { subject: Subject::Entity(entity("a")), content: Some(content()), logged: true };
    assert_eq!(intent.patch, Patch { operations: vec![restore] });
    assert_eq!(intent.hash, ContentHash::of(&intent.patch));
    assert_eq!(ground, Ground { order: BY_LOG, evidence: lost("a") });
    assert!(intent.key.is_repair() && !IdempotencyKey("k".to_owned()).is_repair());
    bench.done(EffectId::Intend(tx(1)), Report::Intended);
    bench.assert_asks(&[EffectId::Decide(tx(1), 1)]);
    bench.done(EffectId::Decide(tx(1), 1), Report::Decided);
    bench.assert_asks(&[EffectId::Finish(tx(1))]);
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    bench.assert_answers(&[(1, settled(tx(1), Decision::Committed))]);
    bench.assert_idle();
}

#[test]
fn a_repair_waits_for_the_transaction_that_has_the_entity_in_its_hands() {
    let mut bench = Bench::new();
    let first = bench.deciding(1, "k", "a");
    bench.repair(2, "a", BY_LOG);
    bench.assert_asks(&[]);
    bench.done(EffectId::Decide(first, 1), Report::Decided);
    bench.assert_asks(&[EffectId::Finish(first)]);
    bench.done(EffectId::Finish(first), Report::Finished);
    assert_eq!(bench.asked(), [EffectId::Review(tx(2))], "only now are the stores read");
    bench.done(EffectId::Review(tx(2)), Report::Examined(Box::new(agreed("a"))));
    bench.assert_answers(&[(2, Answer::Reviewed(Reviewed::Agreed))]);
    bench.assert_idle();
}

#[test]
fn a_transaction_waits_for_the_repair() {
    let mut bench = Bench::new();
    bench.repair(1, "a", BY_LOG);
    bench.submit(2, "k", "a");
    bench.assert_asks(&[]);
    bench.done(EffectId::Review(tx(1)), Report::Examined(Box::new(lost("a"))));
    bench.done(EffectId::Intend(tx(1)), Report::Intended);
    bench.done(EffectId::Decide(tx(1), 1), Report::Decided);
    bench.assert_asks(&[EffectId::Finish(tx(1))]);
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    assert_eq!(bench.asked(), [EffectId::Intend(tx(2))]);
}

#[test]
fn of_two_repairs_the_second_finds_nothing_left_to_do() {
    let mut bench = Bench::new();
    bench.repair(1, "a", BY_LOG);
    bench.repair(2, "a", Order::Policy(Policy::Sql));
    bench.assert_asks(&[]);
    bench.done(EffectId::Review(tx(1)), Report::Examined(Box::new(lost("a"))));
    bench.done(EffectId::Intend(tx(1)), Report::Intended);
    bench.done(EffectId::Decide(tx(1), 1), Report::Decided);
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    assert_eq!(bench.asked(), [EffectId::Review(tx(2))]);
    bench.done(EffectId::Review(tx(2)), Report::Examined(Box::new(agreed("a"))));
    bench.assert_answers(&[(2, Answer::Reviewed(Reviewed::Agreed))]);
    bench.assert_idle();
}

#[test]
fn what_no_policy_decides_is_answered_with_what_was_found() {
    let mut bench = Bench::new();
    bench.repair(1, "a", Order::Policy(Policy::Graph));
    bench.done(EffectId::Review(tx(1)), Report::Examined(Box::new(lost("a"))));
    let (reason, evidence) = (Reason::WouldDelete(tx(99)), Box::new(lost("a")));
    bench.assert_answers(&[(1, Answer::Reviewed(Reviewed::Undecided { reason, evidence }))]);
    bench.assert_idle();
    bench.repair(2, "a", Order::Operator(Authority::Graph));
    bench.done(EffectId::Review(tx(2)), Report::Examined(Box::new(lost("a"))));
    let (intent, _) = bench.intended();
    let restore = Operation::Restore { subject: Subject::Entity(entity("a")), content: None, logged: false };
    assert_eq!(intent.patch.operations, [restore]);
}

#[test]
fn a_repair_whose_outcome_nobody_knows_is_fenced_like_any_transaction() {
    let mut bench = Bench::new();
    bench.repair(1, "a", BY_LOG);
    bench.done(EffectId::Review(tx(1)), Report::Examined(Box::new(lost("a"))));
    bench.done(EffectId::Intend(tx(1)), Report::Intended);
    bench.failed(EffectId::Decide(tx(1), 1), Failure::Constraint);
    bench.assert_asks(&[EffectId::Fence(tx(1), 1)]);
    bench.done(EffectId::Fence(tx(1), 1), Report::Fenced { committed: false });
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    bench.assert_answers(&[(1, settled(tx(1), aborted(AbortReason::Fenced)))]);
    bench.assert_idle();
}

#[test]
fn a_repair_that_could_not_read_did_nothing() {
    let mut bench = Bench::new();
    bench.repair(1, "a", BY_LOG);
    bench.failed(EffectId::Review(tx(1)), unknown());
    let why = unknown().to_string();
    bench.assert_answers(&[(1, Answer::Rejected(Rejection::Unavailable(why)))]);
    bench.assert_idle();
}

#[test]
fn a_repair_that_is_still_reading_has_no_name_yet() {
    let mut bench = Bench::new();
    bench.repair(1, "a", BY_LOG);
    bench.tell(NOW + CONFIG.answer_timeout_ms, Input::Timeout);
    bench.assert_answers(&[(1, Answer::Unknown(None))]);
    bench.done(EffectId::Review(tx(1)), Report::Examined(Box::new(agreed("a"))));
    bench.assert_answers(&[]);
    bench.assert_idle();
}

#[test]
fn a_comparison_shares_with_readers_and_waits_for_writers_of_either_end() {
    let mut bench = Bench::new();
    let link = Subject::Link { from: entity("a"), kind: "knows".parse().unwrap(), to: entity("b") };
    bench.read(1, "a");
    bench.examine(2, link.clone());
    bench.assert_asks(&[EffectId::Examine(RequestId(2))]);
    bench.submit(3, "k", "b");
    bench.assert_asks(&[]);
    let evidence = Box::new(Evidence { subject: link, ..agreed("a") });
    bench.done(EffectId::Examine(RequestId(2)), Report::Examined(evidence.clone()));
    assert_eq!(bench.asked(), [EffectId::Intend(tx(1))], "one strong read is all that a writer waits for");
    assert_eq!(bench.answers(), [(2, Answer::Examined(evidence))]);
}

#[test]
fn a_halted_core_repairs_nothing() {
    let mut bench = Bench::new();
    bench.submit(1, "k", "a");
    bench.failed(EffectId::Intend(tx(1)), unknown());
    assert!(bench.halts());
    bench.repair(2, "b", BY_LOG);
    bench.assert_answers(&[(2, Answer::Rejected(Rejection::Halted))]);
    bench.examine(3, Subject::Entity(entity("b")));
    bench.assert_answers(&[(3, Answer::Rejected(Rejection::Halted))]);
}
