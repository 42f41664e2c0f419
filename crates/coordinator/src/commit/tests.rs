//! The core by hand, one rule a test. Every order of events at once is the subject of the
//! `models` crate, and of [`schedules`] where several entities are concerned.

mod appends;
mod identity;
mod repairs;
mod schedules;

use std::collections::BTreeSet;

use env::{Core, Step};
use graph::{EntityId, Millis, Operation, Patch, Refusal, TxId};

use super::transaction::Stage;
use super::{
    AbortReason, Action, Answer, Commit, CommitEffect, Config, ConflictingIntents, ContentHash, Decision, EffectId,
    Failure, IdempotencyKey, Input, Intent, Mark, Rejection, Report, RequestId, Settled, Submission,
};

const NOW: Millis = Millis(7);
const CONFIG: Config = Config {
    decide_attempts_max: 3,
    backoff_ms: Millis(50),
    backoff_ms_max: Millis(80),
    jitter_seed: 7,
    answer_timeout_ms: Millis(10_000),
};

fn tx(serial: u64) -> TxId {
    TxId { incarnation: 1, serial }
}

fn entity(id: &str) -> EntityId {
    EntityId::new(id).expect("an id")
}

/// A transaction that updates these entities, one a letter.
fn submission(key: &str, entities: &str) -> Submission {
    let update = |letter: char| Operation::Update { id: entity(&letter.to_string()), set: [].into() };
    Submission {
        key: IdempotencyKey(key.to_owned()),
        hash: ContentHash(entities.to_owned()),
        patch: Patch { operations: entities.chars().map(update).collect() },
    }
}

fn unknown() -> Failure {
    Failure::Unknown { reason: "lost".to_owned() }
}

fn refused(retryable: bool) -> Failure {
    Failure::Refused { reason: "no".to_owned(), retryable }
}

/// A core and what came of the last input.
struct Bench {
    core: Commit,
    step: Step<CommitEffect, Mark>,
}

impl Bench {
    fn new() -> Bench {
        let (core, step) = Commit::recover(CONFIG, 1, Vec::new()).expect("an empty log");
        Bench { core, step }
    }

    fn tell(&mut self, now: Millis, input: Input) {
        self.step = self.core.handle(now, input);
    }

    fn submit(&mut self, request: u64, key: &str, entities: &str) {
        let submission = submission(key, entities);
        self.tell(NOW, Input::Submit { request: RequestId(request), submission });
    }

    fn read(&mut self, request: u64, id: &str) {
        self.tell(NOW, Input::Read { request: RequestId(request), entity: entity(id) });
    }

    fn done(&mut self, effect: EffectId, report: Report) {
        self.tell(NOW, Input::Done { effect, report });
    }

    fn failed(&mut self, effect: EffectId, failure: Failure) {
        self.tell(NOW, Input::Failed { effect, failure });
    }

    /// A transaction up to where its first attempt to decide is under way.
    fn deciding(&mut self, request: u64, key: &str, entities: &str) -> TxId {
        self.submit(request, key, entities);
        let tx = tx(self.core.serial);
        self.done(EffectId::Intend(tx), Report::Intended);
        self.assert_asks(&[EffectId::Decide(tx, 1)]);
        tx
    }

    fn asked(&self) -> Vec<EffectId> {
        let id = |effect: &CommitEffect| match effect {
            CommitEffect::Do { id, .. } => Some(*id),
            CommitEffect::Reply { .. } | CommitEffect::Halt { .. } => None,
        };
        self.step.effects.iter().filter_map(id).collect()
    }

    fn answers(&self) -> Vec<(u64, Answer)> {
        let answer = |effect: &CommitEffect| match effect {
            CommitEffect::Reply { request, answer } => Some((request.0, answer.clone())),
            CommitEffect::Do { .. } | CommitEffect::Halt { .. } => None,
        };
        self.step.effects.iter().filter_map(answer).collect()
    }

    fn halts(&self) -> bool {
        self.step.effects.iter().any(|effect| matches!(effect, CommitEffect::Halt { .. }))
    }

    #[track_caller]
    fn assert_asks(&self, effects: &[EffectId]) {
        assert_eq!((self.asked(), self.answers()), (effects.to_vec(), vec![]));
    }

    #[track_caller]
    fn assert_answers(&self, answers: &[(u64, Answer)]) {
        assert_eq!((self.asked(), self.answers()), (vec![], answers.to_vec()));
    }

    /// Nothing is left: no transaction, no lock, no wait.
    #[track_caller]
    fn assert_idle(&self) {
        assert_eq!(self.core.status(), super::Status::default());
        assert!(self.core.locks.is_empty() && self.core.keys.is_empty() && self.core.reads.is_empty());
        assert_eq!(self.core.poll_timeout(), None);
    }
}

fn settled(tx: TxId, decision: Decision) -> Answer {
    Answer::Settled(Settled { tx, decision })
}

fn aborted(reason: AbortReason) -> Decision {
    Decision::Aborted { reason }
}

#[test]
fn a_transaction_is_intended_then_decided_then_finished_then_answered() {
    let mut bench = Bench::new();
    bench.submit(1, "k", "ab");
    bench.assert_asks(&[EffectId::Intend(tx(1))]);
    bench.done(EffectId::Intend(tx(1)), Report::Intended);
    bench.assert_asks(&[EffectId::Decide(tx(1), 1)]);
    bench.done(EffectId::Decide(tx(1), 1), Report::Decided);
    bench.assert_asks(&[EffectId::Finish(tx(1))]);
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    bench.assert_answers(&[(1, settled(tx(1), Decision::Committed))]);
    bench.assert_idle();
}

#[test]
fn operations_that_do_not_fit_abort_without_the_graph() {
    let mut bench = Bench::new();
    bench.submit(1, "k", "a");
    let refusal = Refusal::NoSuchEntity(entity("a"));
    bench.done(EffectId::Intend(tx(1)), Report::Refused(refusal.clone()));
    bench.assert_answers(&[(1, settled(tx(1), aborted(AbortReason::Refused(refusal))))]);
    bench.assert_idle();
}

#[test]
fn a_certain_refusal_of_the_only_attempt_aborts() {
    let mut bench = Bench::new();
    let tx = bench.deciding(1, "k", "a");
    bench.failed(EffectId::Decide(tx, 1), refused(false));
    let decision = aborted(AbortReason::GraphRefused("no".to_owned()));
    let finish =
        CommitEffect::Do { id: EffectId::Finish(tx), action: Action::Finish { tx, decision: decision.clone() } };
    assert_eq!(bench.step.effects, [finish]);
    bench.done(EffectId::Finish(tx), Report::Finished);
    bench.assert_answers(&[(1, settled(tx, decision))]);
}

#[test]
fn a_refusal_after_an_attempt_that_may_have_landed_is_fenced() {
    let mut bench = Bench::new();
    let tx = bench.deciding(1, "k", "a");
    bench.failed(EffectId::Decide(tx, 1), unknown());
    bench.tell(NOW + Millis(50), Input::Timeout);
    bench.failed(EffectId::Decide(tx, 2), refused(true));
    bench.tell(NOW + Millis(80), Input::Timeout);
    bench.assert_asks(&[EffectId::Decide(tx, 3)]);
    bench.failed(EffectId::Decide(tx, 3), refused(false));
    bench.assert_asks(&[EffectId::Fence(tx, 1)]);
}

#[test]
fn attempts_pause_longer_each_time_up_to_a_maximum_and_end() {
    let mut bench = Bench::new();
    let tx = bench.deciding(1, "k", "a");
    for (number, pause) in [(1, 50), (2, 80)] {
        bench.failed(EffectId::Decide(tx, number), refused(true));
        bench.assert_asks(&[]);
        let until = bench.core.poll_timeout().expect("it rests");
        assert!((NOW + Millis(pause / 2)..=NOW + Millis(pause)).contains(&until), "{until:?}");
        bench.tell(until, Input::Timeout);
        bench.assert_asks(&[EffectId::Decide(tx, number + 1)]);
    }
    bench.failed(EffectId::Decide(tx, 3), refused(true));
    bench.assert_asks(&[EffectId::Finish(tx)]);
}

/// Those that failed together do not come back together, and with the same seed they come back when
/// they did.
#[test]
fn pauses_are_spread_by_the_seed() {
    let pauses = |seed| -> Vec<Option<Millis>> {
        let mut bench = Bench::new();
        bench.core.config.jitter_seed = seed;
        let failed = |request: u64| {
            let tx = bench.deciding(request, &format!("k{request}"), &format!("e{request}"));
            bench.failed(EffectId::Decide(tx, 1), refused(true));
            bench.core.transactions[&tx].stage.clone()
        };
        let until = |stage| match stage {
            Stage::Resting { until, .. } => Some(until),
            _ => None,
        };
        (1..=8).map(failed).map(until).collect()
    };
    let (one, same, other) = (pauses(1), pauses(1), pauses(2));
    assert_eq!(one, same);
    assert_ne!(one, other);
    assert!(one.iter().collect::<BTreeSet<_>>().len() > 2, "{one:?}");
}

#[test]
fn verdicts_that_stay_unknown_are_fenced() {
    let mut bench = Bench::new();
    let tx = bench.deciding(1, "k", "a");
    for number in [1, 2] {
        bench.failed(EffectId::Decide(tx, number), unknown());
        bench.tell(NOW + CONFIG.backoff_ms_max, Input::Timeout);
        bench.assert_asks(&[EffectId::Decide(tx, number + 1)]);
    }
    bench.failed(EffectId::Decide(tx, 3), unknown());
    bench.assert_asks(&[EffectId::Fence(tx, 1)]);
    bench.done(EffectId::Fence(tx, 1), Report::Fenced { committed: false });
    bench.done(EffectId::Finish(tx), Report::Finished);
    bench.assert_answers(&[(1, settled(tx, aborted(AbortReason::Fenced)))]);
}

#[test]
fn the_marker_standing_against_an_attempt_is_no_refusal() {
    let mut bench = Bench::new();
    let tx = bench.deciding(1, "k", "a");
    bench.failed(EffectId::Decide(tx, 1), Failure::Constraint);
    bench.assert_asks(&[EffectId::Fence(tx, 1)]);
    bench.done(EffectId::Fence(tx, 1), Report::Fenced { committed: true });
    bench.done(EffectId::Finish(tx), Report::Finished);
    bench.assert_answers(&[(1, settled(tx, Decision::Committed))]);
}

#[test]
fn a_fence_that_failed_is_repeated_under_another_number() {
    for failure in [refused(false), Failure::Constraint, unknown()] {
        let mut bench = Bench::new();
        let tx = bench.deciding(1, "k", "a");
        bench.failed(EffectId::Decide(tx, 1), Failure::Constraint);
        bench.failed(EffectId::Fence(tx, 1), failure);
        bench.assert_asks(&[]);
        bench.tell(NOW + Millis(50), Input::Timeout);
        bench.assert_asks(&[EffectId::Fence(tx, 2)]);
    }
}

#[test]
fn unrelated_transactions_do_not_wait_for_each_other() {
    let mut bench = Bench::new();
    bench.submit(1, "k", "ab");
    bench.submit(2, "l", "c");
    bench.assert_asks(&[EffectId::Intend(tx(2))]);
    bench.submit(3, "m", "bc");
    bench.assert_asks(&[]);
    assert_eq!(bench.step.marks, [Mark::Waited(RequestId(3))]);
    bench.failed(EffectId::Intend(tx(1)), refused(false));
    assert_eq!(bench.asked(), []);
    bench.failed(EffectId::Intend(tx(2)), refused(false));
    assert_eq!(bench.asked(), [EffectId::Intend(tx(3))]);
}

#[test]
fn a_log_that_refuses_an_intent_leaves_nothing() {
    let mut bench = Bench::new();
    bench.submit(1, "k", "a");
    bench.failed(EffectId::Intend(tx(1)), refused(false));
    bench.assert_answers(&[(1, Answer::Rejected(Rejection::Unavailable("no".to_owned())))]);
    bench.assert_idle();
}

#[test]
fn a_key_under_way_is_joined_and_under_other_content_refused() {
    let mut bench = Bench::new();
    let tx = bench.deciding(1, "k", "a");
    bench.submit(2, "k", "a");
    bench.assert_asks(&[]);
    bench.submit(3, "k", "b");
    bench.assert_answers(&[(3, Answer::KeyReused(tx))]);
    bench.done(EffectId::Decide(tx, 1), Report::Decided);
    bench.done(EffectId::Finish(tx), Report::Finished);
    let committed = settled(tx, Decision::Committed);
    bench.assert_answers(&[(1, committed.clone()), (2, committed)]);
}

#[test]
fn a_key_of_the_past_gets_its_outcome_and_under_other_content_a_refusal() {
    let old = Settled { tx: TxId { incarnation: 1, serial: 99 }, decision: Decision::Committed };
    let mut bench = Bench::new();
    bench.submit(1, "k", "a");
    bench.done(EffectId::Intend(tx(1)), Report::Known(old.clone()));
    bench.assert_answers(&[(1, Answer::Settled(old.clone()))]);
    bench.submit(2, "k", "b");
    bench.done(EffectId::Intend(tx(2)), Report::KeyReused(old.tx));
    bench.assert_answers(&[(2, Answer::KeyReused(old.tx))]);
    bench.assert_idle();
}

#[test]
fn readers_share_an_entity_and_wait_for_its_writer() {
    let mut bench = Bench::new();
    bench.read(1, "a");
    bench.assert_asks(&[EffectId::Load(RequestId(1))]);
    bench.read(2, "a");
    bench.assert_asks(&[EffectId::Load(RequestId(2))]);
    bench.submit(3, "k", "a");
    bench.read(4, "a");
    bench.assert_asks(&[]);
    bench.done(EffectId::Load(RequestId(1)), Report::Loaded(None));
    bench.assert_answers(&[(1, Answer::Entity(None))]);
    bench.failed(EffectId::Load(RequestId(2)), refused(false));
    assert_eq!(bench.answers(), [(2, Answer::Rejected(Rejection::Unavailable("refused: no".to_owned())))]);
    assert_eq!(bench.asked(), [EffectId::Intend(tx(1))]);
    bench.failed(EffectId::Intend(tx(1)), refused(false));
    assert_eq!(bench.asked(), [EffectId::Load(RequestId(4))]);
}

#[test]
fn an_outcome_is_unknown_while_it_is_open_and_looked_up_otherwise() {
    let mut bench = Bench::new();
    let open = bench.deciding(1, "k", "a");
    bench.tell(NOW, Input::Outcome { request: RequestId(2), tx: open });
    bench.assert_answers(&[(2, Answer::Unknown(Some(open)))]);
    let old = Settled { tx: TxId { incarnation: 1, serial: 99 }, decision: Decision::Committed };
    for (request, found, answer) in
        [(3, Some(old.clone()), Answer::Settled(old.clone())), (4, None, Answer::NoSuchTransaction(old.tx))]
    {
        bench.tell(NOW, Input::Outcome { request: RequestId(request), tx: old.tx });
        bench.assert_asks(&[EffectId::LookUp(RequestId(request))]);
        bench.done(EffectId::LookUp(RequestId(request)), Report::LookedUp(found));
        bench.assert_answers(&[(request, answer)]);
    }
}

#[test]
fn out_of_time_what_began_is_unknown_and_what_did_not_was_not_done() {
    let mut bench = Bench::new();
    let begun = bench.deciding(1, "k", "a");
    bench.submit(2, "l", "a");
    bench.read(3, "a");
    bench.tell(NOW, Input::Outcome { request: RequestId(4), tx: tx(77) });
    let late = NOW + CONFIG.answer_timeout_ms;
    assert_eq!(bench.core.poll_timeout(), Some(late));
    bench.tell(late - Millis(1), Input::Timeout);
    bench.assert_asks(&[]);
    bench.tell(late, Input::Timeout);
    let mut answers = bench.answers();
    answers.sort();
    let busy = Answer::Rejected(Rejection::Busy);
    assert_eq!(answers, [(1, Answer::Unknown(Some(begun))), (2, busy.clone()), (3, busy.clone()), (4, busy)]);
    bench.done(EffectId::LookUp(RequestId(4)), Report::LookedUp(None));
    bench.done(EffectId::Decide(begun, 1), Report::Decided);
    bench.done(EffectId::Finish(begun), Report::Finished);
    bench.assert_answers(&[]);
    bench.assert_idle();
}

/// Two requests under one key, the second later: when the first gives up, the second still
/// wants the transaction, so nobody may be told that nothing will be done.
#[test]
fn who_gives_up_on_what_another_still_wants_is_told_that_nobody_knows() {
    let mut bench = Bench::new();
    let first = bench.deciding(1, "k", "a");
    bench.submit(2, "l", "a");
    let later = NOW + Millis(CONFIG.answer_timeout_ms.0 / 2);
    bench.tell(later, Input::Submit { request: RequestId(3), submission: submission("l", "a") });
    bench.tell(NOW + CONFIG.answer_timeout_ms, Input::Timeout);
    assert_eq!(bench.answers(), [(1, Answer::Unknown(Some(first))), (2, Answer::Unknown(None))]);
    bench.done(EffectId::Decide(first, 1), Report::Decided);
    bench.done(EffectId::Finish(first), Report::Finished);
    bench.assert_asks(&[EffectId::Intend(tx(2))]);
}

#[test]
fn a_load_that_comes_too_late_is_ignored() {
    let mut bench = Bench::new();
    bench.read(1, "a");
    bench.tell(NOW + CONFIG.answer_timeout_ms, Input::Timeout);
    bench.assert_answers(&[(1, Answer::Rejected(Rejection::Busy))]);
    bench.done(EffectId::Load(RequestId(1)), Report::Loaded(None));
    bench.assert_answers(&[]);
    bench.assert_idle();
}

/// Three in a row: the second gives up, and what it leaves would be the third's, which
/// gives up in the same moment and must not begin.
#[test]
fn who_gives_up_is_not_granted_what_another_leaves_in_the_same_moment() {
    let mut bench = Bench::new();
    bench.submit(1, "k", "a");
    bench.submit(2, "l", "ab");
    bench.submit(3, "m", "b");
    bench.read(4, "b");
    bench.tell(NOW + CONFIG.answer_timeout_ms, Input::Timeout);
    assert_eq!(bench.asked(), []);
    let busy = Answer::Rejected(Rejection::Busy);
    let answers = [(1, Answer::Unknown(None)), (2, busy.clone()), (3, busy.clone()), (4, busy)];
    assert_eq!(bench.answers(), answers);
    bench.submit(5, "n", "b");
    bench.assert_asks(&[EffectId::Intend(tx(4))]);
}

#[test]
fn a_transaction_that_cannot_be_finished_keeps_its_locks_and_ends_the_process() {
    for failure in [refused(true), unknown()] {
        let mut bench = Bench::new();
        let tx = bench.deciding(1, "k", "a");
        bench.submit(2, "l", "a");
        bench.read(3, "a");
        bench.done(EffectId::Decide(tx, 1), Report::Decided);
        bench.failed(EffectId::Finish(tx), failure);
        assert!(bench.halts());
        let halted = Answer::Rejected(Rejection::Halted);
        assert_eq!(bench.answers(), [(1, Answer::Unknown(Some(tx))), (2, halted.clone()), (3, halted.clone())]);
        assert!(bench.core.status().halted && bench.core.poll_timeout().is_none());
        bench.submit(4, "m", "b");
        bench.assert_answers(&[(4, halted.clone())]);
        bench.read(5, "a");
        bench.assert_answers(&[(5, halted.clone())]);
        bench.tell(NOW, Input::Outcome { request: RequestId(6), tx });
        bench.assert_answers(&[(6, halted)]);
        bench.done(EffectId::Finish(tx), Report::Finished);
        assert_eq!(bench.step, Step::new());
    }
}

#[test]
fn an_intent_that_may_or_may_not_be_in_the_log_ends_the_process() {
    let mut bench = Bench::new();
    bench.submit(1, "k", "a");
    bench.failed(EffectId::Intend(tx(1)), unknown());
    assert!(bench.halts());
    assert_eq!(bench.answers(), [(1, Answer::Unknown(None))]);
}

fn intent(serial: u64, key: &str, entities: &str) -> Intent {
    let Submission { key, hash, patch } = submission(key, entities);
    Intent::new(tx(serial), key, hash, &patch)
}

#[test]
fn recovery_locks_and_fences_every_intent_before_anything_else() {
    let intents = vec![intent(1, "k", "ab"), intent(2, "l", "c")];
    let (core, step) = Commit::recover(CONFIG, 2, intents).expect("no conflict");
    let mut bench = Bench { core, step };
    bench.assert_asks(&[EffectId::Fence(tx(1), 1), EffectId::Fence(tx(2), 1)]);
    assert_eq!((bench.core.status().open, bench.core.status().recovering), (2, 2));
    bench.read(1, "b");
    bench.assert_asks(&[]);
    bench.submit(2, "l", "c");
    bench.assert_asks(&[]);
    bench.done(EffectId::Fence(tx(2), 1), Report::Fenced { committed: true });
    bench.done(EffectId::Finish(tx(2)), Report::Finished);
    bench.assert_answers(&[(2, settled(tx(2), Decision::Committed))]);
    bench.done(EffectId::Fence(tx(1), 1), Report::Fenced { committed: false });
    bench.done(EffectId::Finish(tx(1)), Report::Finished);
    bench.assert_asks(&[EffectId::Load(RequestId(1))]);
    bench.submit(3, "m", "c");
    bench.assert_asks(&[EffectId::Intend(TxId { incarnation: 2, serial: 1 })]);
}

#[test]
fn recovery_refuses_a_log_that_contradicts_itself() {
    let overlapping = vec![intent(1, "k", "ab"), intent(2, "l", "bc")];
    assert_eq!(Commit::recover(CONFIG, 2, overlapping).expect_err("a conflict"), ConflictingIntents(tx(2)));
    let twice = vec![intent(1, "k", "a"), intent(1, "k", "a")];
    assert_eq!(Commit::recover(CONFIG, 2, twice).expect_err("a conflict"), ConflictingIntents(tx(1)));
}

#[test]
#[should_panic(expected = "cannot end in")]
fn a_report_that_does_not_belong_to_its_effect_is_a_defect() {
    let mut bench = Bench::new();
    bench.submit(1, "k", "a");
    bench.done(EffectId::Intend(tx(1)), Report::Decided);
}
