//! Events that are appended by themselves, and those of transactions.

use graph::NewEvent;

use super::*;
use crate::commit::Mark;
use crate::events::{Append, Appended, Placed};

fn event(id: &str) -> NewEvent {
    let text = format!(r#"{{"id":"{id}","type":"noted","userId":"ann","version":1}}"#);
    serde_json::from_str(&text).unwrap()
}

fn new() -> Report {
    Report::Appended(Appended::New(Placed { stream: entity("s"), first: 1, last: 1, position: 1 }))
}

fn effect(request: u64) -> EffectId {
    EffectId::Append(RequestId(request))
}

impl Bench {
    fn append(&mut self, request: u64, stream: &str, id: &str) {
        let append = Append { stream: entity(stream), expected: None, events: vec![event(id)] };
        self.tell(NOW, Input::Append { request: RequestId(request), append });
    }

    /// A transaction that appends, up to where its first attempt to decide is under way.
    fn appending(&mut self, request: u64, stream: &str, id: &str) -> TxId {
        let operation = Operation::Append { resource: Some(entity(stream)), event: event(id) };
        let submission = Submission { patch: Patch { operations: vec![operation] }, ..submission("key", "") };
        self.tell(NOW, Input::Submit { request: RequestId(request), submission });
        let tx = tx(self.core.serial);
        self.done(EffectId::Intend(tx), Report::Intended);
        tx
    }

    fn only_answer(&self) -> Answer {
        let [(_, answer)] = &self.answers()[..] else { panic!("{:?}", self.step) };
        answer.clone()
    }
}

#[test]
fn an_append_is_one_write_and_then_the_answer() {
    let mut bench = Bench::new();
    bench.append(1, "s", "a");
    bench.assert_asks(&[effect(1)]);
    bench.done(effect(1), new());
    assert!(matches!(bench.only_answer(), Answer::Appended(Appended::New(_))));
    assert_eq!(bench.step.marks, [Mark::Appended(RequestId(1))]);
    assert!(bench.core.locks.is_empty());
    assert_eq!(bench.core.last_begun(), tx(0), "it is no transaction");
}

#[test]
fn appends_share_a_stream_and_a_transaction_has_it_alone() {
    let mut bench = Bench::new();
    bench.append(1, "s", "a");
    bench.append(2, "s", "b");
    bench.assert_asks(&[effect(2)]);
    let operation = Operation::Append { resource: Some(entity("s")), event: event("c") };
    let submission = Submission { patch: Patch { operations: vec![operation] }, ..submission("key", "") };
    bench.tell(NOW, Input::Submit { request: RequestId(3), submission });
    bench.assert_asks(&[]);
    bench.append(4, "s", "d");
    bench.assert_asks(&[]);
    assert_eq!(bench.core.status().waiting, 2, "nobody overtakes a transaction that waits");
    bench.done(effect(1), new());
    assert!(bench.asked().is_empty());
    bench.done(effect(2), new());
    assert_eq!(bench.asked(), [EffectId::Intend(tx(1))]);
    bench.done(EffectId::Intend(tx(1)), Report::Intended);
    bench.done(EffectId::Decide(tx(1), 1), Report::Decided);
    assert!(bench.asked() == [EffectId::Finish(tx(1))], "the stream stays locked until the outcome is written");
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    assert_eq!(bench.asked(), [effect(4)]);
}

#[test]
fn an_append_waits_for_a_transaction_with_an_id_of_its_events_and_for_no_other() {
    let mut bench = Bench::new();
    bench.appending(1, "s", "a");
    bench.append(2, "other", "a");
    bench.assert_asks(&[]);
    bench.append(3, "other", "b");
    bench.assert_asks(&[effect(3)]);
    bench.read(4, "s");
    bench.assert_asks(&[EffectId::Load(RequestId(4))]);
}

#[test]
fn after_a_crash_the_stream_of_a_transaction_in_doubt_is_locked() {
    let mut bench = Bench::new();
    let operation = Operation::Append { resource: None, event: event("a") };
    let Submission { key, hash, .. } = submission("key", "");
    let intent = Intent::new(tx(1), key, hash, &Patch { operations: vec![operation] });
    let (core, _) = Commit::recover(CONFIG, 2, vec![intent]).unwrap();
    bench.core = core;
    bench.append(1, graph::SYSTEM_STREAM, "b");
    bench.assert_asks(&[]);
    bench.done(EffectId::Fence(tx(1), 1), Report::Fenced { committed: true });
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    bench.assert_asks(&[effect(1)]);
}

#[test]
fn who_waits_too_long_is_told_what_is_true() {
    let mut bench = Bench::new();
    let late = NOW + CONFIG.answer_timeout_ms;
    bench.appending(9, "s", "a");
    bench.append(1, "s", "b");
    bench.append(2, "free", "c");
    bench.tell(late, Input::Timeout);
    let answers = bench.answers();
    assert!(answers.contains(&(1, Answer::Rejected(Rejection::Busy))), "{answers:?}");
    assert!(answers.contains(&(2, Answer::Unknown(None))), "{answers:?}");
    bench.done(effect(2), new());
    assert!(bench.answers().is_empty(), "nobody is told twice");
    bench.append(3, "free", "c");
    bench.assert_asks(&[effect(3)]);
}

#[test]
fn a_write_that_failed_certainly_did_nothing_and_one_of_which_nobody_knows_ends_the_process() {
    let mut bench = Bench::new();
    bench.append(1, "s", "a");
    bench.failed(effect(1), refused(true));
    assert!(matches!(bench.only_answer(), Answer::Rejected(Rejection::Unavailable(_))));
    assert!(bench.core.locks.is_empty());

    bench.appending(9, "other", "x");
    bench.append(1, "s", "a");
    bench.append(2, "s", "b");
    bench.append(3, "other", "c");
    bench.failed(effect(1), unknown());
    assert!(bench.halts());
    let answers = bench.answers();
    for expected in [
        (1, Answer::Unknown(None)),
        (2, Answer::Unknown(None)),
        (3, Answer::Rejected(Rejection::Halted)),
        (9, Answer::Unknown(Some(tx(1)))),
    ] {
        assert!(answers.contains(&expected), "{expected:?} in {answers:?}");
    }
    bench.done(effect(2), new());
    assert!(bench.step.effects.is_empty());
    bench.append(4, "s", "d");
    assert_eq!(bench.only_answer(), Answer::Rejected(Rejection::Halted));
}
