//! What each event counts as.

use graph::Refusal;

use super::*;
use crate::commit::{Decision, Settled};

const T: Millis = Millis(1_000);

#[test]
fn a_retry_is_no_second_success() {
    let mut bench = Bench::new(vec![]);
    bench.submit(T, "k", "a");
    // While it is under way …
    bench.submit(T, "k", "a");
    bench.commit(Millis(1_040), tx(1));
    assert_eq!(bench.answers(RequestKind::Transaction), [("committed", 1), ("repeated", 1)].into());
    // … and long after.
    bench.submit(T, "k", "a");
    let settled = Settled { tx: tx(1), decision: Decision::Committed };
    bench.done(T, EffectId::Intend(tx(2)), Report::Known(settled));
    assert_eq!(bench.answers(RequestKind::Transaction), [("committed", 1), ("repeated", 2)].into());
    assert_eq!(bench.settled(), [("committed", 1)].into());
    assert_eq!((bench.metrics.durations().count(), bench.metrics.durations().sum()), (1, Millis(40)));
    assert_eq!(bench.metrics.doubt(T), (0, Millis::ZERO));
}

#[test]
fn an_abort_counts_under_its_cause() {
    let mut bench = Bench::new(vec![]);
    for (key, id) in [("k1", "a"), ("k2", "b"), ("k3", "c"), ("k4", "d")] {
        bench.submit(T, key, id);
    }
    bench.done(T, EffectId::Intend(tx(1)), Report::Refused(Refusal::EntityExists(entity("a"))));
    bench.done(T, EffectId::Intend(tx(2)), Report::Refused(Refusal::StillLinked(entity("b"))));
    bench.done(T, EffectId::Intend(tx(3)), Report::Intended);
    bench.failed(T, EffectId::Decide(tx(3), 1), no());
    bench.done(T, EffectId::Finish(tx(3)), Report::Finished);
    bench.done(T, EffectId::Intend(tx(4)), Report::Intended);
    bench.failed(T, EffectId::Decide(tx(4), 1), Failure::Constraint);
    bench.done(T, EffectId::Fence(tx(4), 1), Report::Fenced { committed: false });
    bench.done(T, EffectId::Finish(tx(4)), Report::Finished);
    let expected = [("refused", 2), ("graph_refused", 1), ("fenced", 1)].into();
    assert_eq!((bench.settled(), bench.answers(RequestKind::Transaction)), (expected, bench.settled()));
    assert_eq!(bench.metrics.conflicts()["entity"], 1);
    assert_eq!((bench.metrics.decisions()["rolled_back"], bench.metrics.decisions()["aborted"]), (1, 4));
}

#[test]
fn a_key_of_other_content_is_a_conflict_and_no_transaction() {
    let mut bench = Bench::new(vec![]);
    bench.submit(T, "k", "a");
    bench.submit(T, "k", "b");
    bench.commit(T, tx(1));
    bench.submit(T, "k", "b");
    bench.done(T, EffectId::Intend(tx(2)), Report::KeyReused(tx(1)));
    assert_eq!(bench.metrics.conflicts()["key"], 2);
    assert_eq!(bench.answers(RequestKind::Transaction), [("committed", 1), ("key_reused", 2)].into());
    assert_eq!(bench.settled(), [("committed", 1)].into());
}

#[test]
fn a_transaction_is_in_doubt_from_its_intent_to_its_outcome() {
    let mut bench = Bench::new(vec![]);
    bench.submit(T, "k", "a");
    assert_eq!(bench.metrics.doubt(T), (0, Millis::ZERO));
    bench.done(Millis(1_100), EffectId::Intend(tx(1)), Report::Intended);
    bench.failed(Millis(1_200), EffectId::Decide(tx(1), 1), lost());
    bench.tell(Millis(1_250), Input::Timeout);
    bench.failed(Millis(1_300), EffectId::Decide(tx(1), 2), lost());
    let [doubt] = bench.metrics.in_doubt(Millis(1_500)).try_into().unwrap();
    assert_eq!((doubt.tx, doubt.age, doubt.recovered, doubt.fences), (tx(1), Millis(400), false, 1));
    bench.done(T, EffectId::Fence(tx(1), 1), Report::Fenced { committed: true });
    bench.done(T, EffectId::Finish(tx(1)), Report::Finished);
    assert_eq!(bench.metrics.in_doubt(Millis(1_500)), []);
}

#[test]
fn an_intent_that_was_not_written_leaves_nothing_behind() {
    let mut bench = Bench::new(vec![]);
    bench.submit(T, "k", "a");
    bench.failed(T, EffectId::Intend(tx(1)), no());
    assert_eq!(bench.answers(RequestKind::Transaction), [("unavailable", 1)].into());
    assert_eq!((bench.settled(), bench.metrics.open.len()), ([].into(), 0));
}

#[test]
fn what_was_left_is_counted_as_it_is_settled() {
    let mut bench = Bench::new(vec![left(1), left(2)]);
    assert_eq!((bench.metrics.recovering(), bench.metrics.recovery_time(Millis(70))), (2, Millis(70)));
    for (serial, at, committed) in [(1, 80, true), (2, 90, false)] {
        let tx = left(serial).tx;
        bench.done(Millis(at), EffectId::Fence(tx, 1), Report::Fenced { committed });
        bench.done(Millis(at), EffectId::Finish(tx), Report::Finished);
    }
    assert_eq!((bench.metrics.recovering(), bench.metrics.recovery_time(Millis(5_000))), (0, Millis(90)));
    assert_eq!(bench.metrics.recovered(), &[("committed", 1), ("aborted", 1)].into());
    // How long they took in all is not known.
    assert_eq!(bench.metrics.durations().count(), 0);
}

#[test]
fn a_halt_is_seen_and_what_comes_after_it_is_not_counted() {
    let mut bench = Bench::new(vec![]);
    bench.submit(T, "k1", "a");
    bench.submit(T, "k2", "b");
    bench.done(T, EffectId::Intend(tx(1)), Report::Intended);
    bench.done(T, EffectId::Decide(tx(1), 1), Report::Decided);
    bench.failed(T, EffectId::Finish(tx(1)), no());
    assert!(bench.metrics.halted());
    bench.done(T, EffectId::Intend(tx(2)), Report::Refused(Refusal::EntityExists(entity("b"))));
    bench.submit(T, "k3", "c");
    assert_eq!(bench.answers(RequestKind::Transaction), [("unknown", 2), ("halted", 1)].into());
    assert_eq!((bench.settled(), bench.metrics.conflicts()["entity"]), ([].into(), 0));
}

#[test]
fn reads_and_questions_are_counted_by_their_answers() {
    let mut bench = Bench::new(vec![]);
    let read = bench.request();
    bench.tell(T, Input::Read { request: read, entity: entity("a") });
    bench.done(Millis(1_003), EffectId::Load(read), Report::Loaded(None));
    let outcome = bench.request();
    bench.tell(T, Input::Outcome { request: outcome, tx: tx(9) });
    bench.failed(T, EffectId::LookUp(outcome), no());
    let status = bench.request();
    bench.tell(T, Input::Inspect { request: status });
    assert_eq!(bench.answers(RequestKind::Read), [("absent", 1)].into());
    assert_eq!(bench.answers(RequestKind::Outcome), [("unavailable", 1)].into());
    assert_eq!(bench.metrics.response_times()[&RequestKind::Read].sum(), Millis(3));
}
