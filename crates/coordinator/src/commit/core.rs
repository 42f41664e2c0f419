//! The state machine; see the module above for the protocol.

use std::collections::{BTreeMap, BTreeSet};

use env::Step;
use graph::{CanonicalKey, EntityId, Kind, Millis, Refusal, Subject, TxId};

use super::append::{AppendStage, PlainAppend};
use super::locks::{LockKey, LockMode, Locks};
use super::messages::{
    AbortReason, Action, Answer, CommitEffect, Decision, EffectId, EntityView, Failure, IdempotencyKey, Input, Intent,
    Mark, Rejection, Report, RequestId, Settled, Status, Submission,
};
use super::transaction::{Attempt, Next, Stage, Transaction, Waiter};

/// How patient the core is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// How often a transaction is sent to the graph before it is fenced; at least 1.
    pub decide_attempts_max: u32,
    /// The pause before the second attempt; it doubles with each further one.
    pub backoff_ms: Millis,
    /// The longest pause between two attempts.
    pub backoff_ms_max: Millis,
    /// What the pauses are spread by: each is between half and all of what it would be, so that
    /// transactions which failed together do not come back together. The same seed gives the same
    /// pauses.
    pub jitter_seed: u64,
    /// When a waiting client is told that the outcome is not known yet.
    pub answer_timeout_ms: Millis,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            decide_attempts_max: 3,
            backoff_ms: Millis(50),
            backoff_ms_max: Millis(2_000),
            jitter_seed: 0,
            answer_timeout_ms: Millis(10_000),
        }
    }
}

/// Who holds or waits for locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    Tx(TxId),
    Read(RequestId),
    Append(RequestId),
}

/// A strong read on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StrongRead {
    pub wanted: Wanted,
    pub answer_by: Millis,
}

/// What a strong read is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    Entity(EntityId),
    /// Whichever entity has a canonical key.
    Holder(Kind, CanonicalKey),
    /// The entity that had a canonical key when it was looked for.
    Held(EntityId, Kind, CanonicalKey),
    Evidence(Subject),
}

/// A question about an outcome on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LookUp {
    tx: TxId,
    answer_by: Millis,
}

/// The commit protocol of one coordinator process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit {
    pub(super) config: Config,
    pub(super) incarnation: u64,
    pub(super) serial: u64,
    pub(super) locks: Locks<Owner>,
    pub(super) transactions: BTreeMap<TxId, Transaction>,
    pub(super) keys: BTreeMap<IdempotencyKey, TxId>,
    pub(super) reads: BTreeMap<RequestId, StrongRead>,
    pub(super) look_ups: BTreeMap<RequestId, LookUp>,
    pub(super) appends: BTreeMap<RequestId, PlainAppend>,
    pub(super) halted: bool,
}

type CommitStep = Step<CommitEffect, Mark>;

impl env::Core for Commit {
    const NAME: &'static str = "commit";
    type Input = Input;
    type Effect = CommitEffect;
    type Mark = Mark;

    fn handle(&mut self, now: Millis, input: Input) -> CommitStep {
        let mut step = Step::new();
        if self.halted {
            self.refuse_while_halted(input, &mut step);
            return step;
        }
        match input {
            Input::Submit { request, submission } => self.submit(now, request, submission, &mut step),
            Input::Read { request, entity } => self.read(now, request, entity, &mut step),
            Input::Find { request, kind, key } => self.find(now, request, kind, key, &mut step),
            Input::Outcome { request, tx } => self.outcome(now, request, tx, &mut step),
            Input::Examine { request, subject } => self.examine(now, request, subject, &mut step),
            Input::Repair { request, subject, order } => self.repair(now, request, subject, order, &mut step),
            Input::Append { request, append } => self.append(now, request, append, &mut step),
            Input::Inspect { request } => step.reply(request, Answer::Status(self.status())),
            Input::Done { effect, report } => self.done(effect, report, &mut step),
            Input::Failed { effect, failure } => self.failed(now, effect, failure, &mut step),
            Input::Timeout => self.timeout(now, &mut step),
        }
        step
    }

    fn poll_timeout(&self) -> Option<Millis> {
        if self.halted {
            return None;
        }
        let transactions = self.transactions.values().flat_map(|transaction| {
            let rest = match transaction.stage {
                Stage::Resting { until, .. } => Some(until),
                _ => None,
            };
            transaction.waiters.iter().map(|waiter| waiter.answer_by).chain(rest)
        });
        let reads = self.reads.values().map(|read| read.answer_by);
        let look_ups = self.look_ups.values().map(|look_up| look_up.answer_by);
        let appends = self.appends.values().filter_map(|plain| plain.answer_by);
        transactions.chain(reads).chain(look_ups).chain(appends).min()
    }

    fn timeout() -> Input {
        Input::Timeout
    }
}

impl Commit {
    /// How the core is.
    pub fn status(&self) -> Status {
        let waiting = |transaction: &&Transaction| transaction.stage == Stage::Waiting;
        let waiting_transactions = self.transactions.values().filter(waiting).count();
        let waiting_reads = self.reads.keys().filter(|request| !self.locks.holds(Owner::Read(**request))).count();
        let waiting_appends = self.appends.values().filter(|plain| plain.stage == AppendStage::Waiting).count();
        Status {
            open: (self.transactions.len() - waiting_transactions) as u64,
            recovering: self.transactions.values().filter(|transaction| transaction.recovered).count() as u64,
            waiting: (waiting_transactions + waiting_reads + waiting_appends) as u64,
            halted: self.halted,
        }
    }

    /// The last transaction that began, or would have; serial 0 before the first of this process.
    pub fn last_begun(&self) -> TxId {
        TxId { incarnation: self.incarnation, serial: self.serial }
    }

    /// The contiguous low-water mark: every transaction up to this one is over, those of earlier
    /// processes included. Serial 0 stands for all that began before that start.
    pub fn low_water(&self) -> TxId {
        match self.transactions.first_key_value() {
            // Serials count from 1.
            Some((first, _)) => TxId { serial: first.serial - 1, ..*first },
            None => self.last_begun(),
        }
    }

    /// The transactions that have no outcome yet, those that wait for locks included, in their order.
    pub fn open(&self) -> impl Iterator<Item = TxId> + '_ {
        self.transactions.keys().copied()
    }

    fn submit(&mut self, now: Millis, request: RequestId, submission: Submission, step: &mut CommitStep) {
        let waiter = Waiter { request, answer_by: now + self.config.answer_timeout_ms };
        if let Some(tx) = self.keys.get(&submission.key) {
            let transaction = self.transactions.get_mut(tx).expect("a key in use names an open transaction");
            if transaction.intent.hash == submission.hash {
                transaction.waiters.push(waiter);
                step.marks.push(Mark::Joined(*tx));
            } else {
                step.marks.push(Mark::KeyReused(*tx));
                step.reply(request, Answer::KeyReused(*tx));
            }
            return;
        }
        self.serial += 1;
        let tx = TxId { incarnation: self.incarnation, serial: self.serial };
        let Submission { key, hash, patch } = submission;
        // The name is new for ever, and so are the ids that are made from it.
        let intent = Intent::new(tx, key.clone(), hash, &patch);
        if !intent.labels.is_empty() {
            step.marks.push(Mark::Generated(tx));
        }
        let locks = LockKey::of(&intent.patch);
        self.keys.insert(key, tx);
        let transaction =
            Transaction { intent, stage: Stage::Waiting, waiters: vec![waiter], recovered: false, repair: None };
        self.transactions.insert(tx, transaction);
        if self.locks.acquire(Owner::Tx(tx), locks, LockMode::Exclusive) {
            self.intend(tx, step);
        } else {
            step.marks.push(Mark::Waited(request));
        }
    }

    fn read(&mut self, now: Millis, request: RequestId, entity: EntityId, step: &mut CommitStep) {
        let answer_by = now + self.config.answer_timeout_ms;
        self.reads.insert(request, StrongRead { wanted: Wanted::Entity(entity.clone()), answer_by });
        self.share(request, LockKey::Entity(entity), step);
    }

    /// A read finds who has a key under the lock on the key, and reads that entity under its own
    /// lock: never under both, which it could not ask for at once. If the key has passed to
    /// another one in between, it begins anew.
    fn find(&mut self, now: Millis, request: RequestId, kind: Kind, key: CanonicalKey, step: &mut CommitStep) {
        let answer_by = now + self.config.answer_timeout_ms;
        self.reads.insert(request, StrongRead { wanted: Wanted::Holder(kind.clone(), key.clone()), answer_by });
        self.share(request, LockKey::Canonical(kind, key), step);
    }

    fn found(&mut self, request: RequestId, holder: Option<EntityId>, step: &mut CommitStep) {
        let Some(id) = holder else { return self.end_read(request, Answer::Entity(None), step) };
        // A read that timed out is gone.
        let Some(read) = self.reads.get_mut(&request) else { return };
        let Wanted::Holder(kind, key) = read.wanted.clone() else { panic!("{request:?} wanted {:?}", read.wanted) };
        read.wanted = Wanted::Held(id.clone(), kind, key);
        self.release(&[Owner::Read(request)], step);
        self.share(request, LockKey::Entity(id), step);
    }

    fn loaded(&mut self, request: RequestId, view: Option<EntityView>, step: &mut CommitStep) {
        if let Some(read) = self.reads.get_mut(&request)
            && let Wanted::Held(_, kind, key) = read.wanted.clone()
            && view.as_ref().is_none_or(|view| view.kind != kind || view.key.as_ref() != Some(&key))
        {
            read.wanted = Wanted::Holder(kind.clone(), key.clone());
            self.release(&[Owner::Read(request)], step);
            return self.share(request, LockKey::Canonical(kind, key), step);
        }
        self.end_read(request, Answer::Entity(view), step);
    }

    fn share(&mut self, request: RequestId, lock: LockKey, step: &mut CommitStep) {
        if self.locks.acquire(Owner::Read(request), BTreeSet::from([lock]), LockMode::Shared) {
            self.load(request, step);
        } else {
            step.marks.push(Mark::Waited(request));
        }
    }

    fn outcome(&mut self, now: Millis, request: RequestId, tx: TxId, step: &mut CommitStep) {
        if self.transactions.contains_key(&tx) {
            step.reply(request, Answer::Unknown(Some(tx)));
            return;
        }
        self.look_ups.insert(request, LookUp { tx, answer_by: now + self.config.answer_timeout_ms });
        step.act(EffectId::LookUp(request), Action::LookUp { tx });
    }

    fn done(&mut self, effect: EffectId, report: Report, step: &mut CommitStep) {
        match (effect, report) {
            (EffectId::Intend(tx), Report::Intended) => self.decide(tx, Attempt::FIRST, step),
            (EffectId::Intend(tx), Report::Refused(refusal)) => {
                step.marks.push(Mark::Refused(tx));
                if matches!(refusal, Refusal::KeyTaken { .. }) {
                    step.marks.push(Mark::KeyTaken(tx));
                }
                let reason = AbortReason::Refused(refusal);
                self.settle(tx, Settled { tx, decision: Decision::Aborted { reason } }, step);
            }
            (EffectId::Intend(tx), Report::Known(settled)) => {
                step.marks.push(Mark::Deduplicated(settled.tx));
                self.answer_and_forget(tx, &Answer::Settled(settled), step);
            }
            (EffectId::Intend(tx), Report::KeyReused(owner)) => {
                step.marks.push(Mark::KeyReused(owner));
                self.answer_and_forget(tx, &Answer::KeyReused(owner), step);
            }
            (EffectId::Intend(tx), Report::Isolated(owner)) => {
                step.marks.push(Mark::AnsweredUnknown(owner));
                self.answer_and_forget(tx, &Answer::Unknown(Some(owner)), step);
            }
            (EffectId::Decide(tx, _), Report::Decided) => {
                step.marks.push(Mark::Decided(tx));
                self.finish(tx, Decision::Committed, step);
            }
            (EffectId::Fence(tx, _), Report::Fenced { committed: true }) => {
                step.marks.push(Mark::RolledForward(tx));
                self.finish(tx, Decision::Committed, step);
            }
            (EffectId::Fence(tx, _), Report::Fenced { committed: false }) => {
                step.marks.push(Mark::RolledBack(tx));
                self.finish(tx, Decision::Aborted { reason: AbortReason::Fenced }, step);
            }
            (EffectId::Finish(tx), Report::Finished) => {
                let stage = &self.transaction(tx).stage;
                let Stage::Finishing(decision) = stage else { panic!("{tx} was finished while {stage:?}") };
                let settled = Settled { tx, decision: decision.clone() };
                self.settle(tx, settled, step);
            }
            (EffectId::Load(request), Report::Loaded(view)) => self.loaded(request, view, step),
            (EffectId::Find(request), Report::Found(holder)) => self.found(request, holder, step),
            (EffectId::Examine(request), Report::Examined(evidence)) => {
                self.end_read(request, Answer::Examined(evidence), step);
            }
            (EffectId::Review(tx), Report::Examined(evidence)) => self.reviewed(tx, *evidence, step),
            (EffectId::Append(request), Report::Appended(appended)) => self.appended(request, appended, step),
            (EffectId::LookUp(request), Report::LookedUp(settled)) => {
                if let Some(LookUp { tx, .. }) = self.look_ups.remove(&request) {
                    step.reply(request, settled.map_or(Answer::NoSuchTransaction(tx), Answer::Settled));
                }
            }
            (effect, report) => panic!("{effect:?} cannot end in {report:?}"),
        }
    }

    fn failed(&mut self, now: Millis, effect: EffectId, failure: Failure, step: &mut CommitStep) {
        match effect {
            EffectId::Intend(tx) => match failure {
                Failure::Refused { reason, .. } => {
                    self.answer_and_forget(tx, &Answer::Rejected(Rejection::Unavailable(reason)), step);
                }
                Failure::Constraint | Failure::Unknown { .. } => {
                    step.marks.push(Mark::LogUncertain(tx));
                    self.halt(format!("the log entry of {tx}: {failure}"), step);
                }
            },
            EffectId::Decide(tx, _) => self.decide_failed(now, tx, failure, step),
            EffectId::Fence(tx, number) => self.rest(now, tx, number, Next::Fence(number + 1), step),
            EffectId::Finish(tx) => {
                step.marks.push(Mark::Unfinished(tx));
                self.halt(format!("finishing {tx}: {failure}"), step);
            }
            EffectId::Load(request) | EffectId::Find(request) | EffectId::Examine(request) => {
                self.end_read(request, Answer::Rejected(Rejection::Unavailable(failure.to_string())), step);
            }
            EffectId::Review(tx) => {
                self.answer_and_forget(tx, &Answer::Rejected(Rejection::Unavailable(failure.to_string())), step);
            }
            EffectId::Append(request) => self.append_failed(request, failure, step),
            EffectId::LookUp(request) => {
                if self.look_ups.remove(&request).is_some() {
                    step.reply(request, Answer::Rejected(Rejection::Unavailable(failure.to_string())));
                }
            }
        }
    }

    /// A refusal aborts only when it is certain *and* no earlier attempt may have landed;
    /// everything else is resolved by another attempt or by a fence.
    fn decide_failed(&mut self, now: Millis, tx: TxId, failure: Failure, step: &mut CommitStep) {
        let stage = &self.transaction(tx).stage;
        let Stage::Deciding(Attempt { number, uncertain }) = *stage else {
            panic!("{tx} failed to decide while {stage:?}")
        };
        let again = |uncertain| Next::Decide(Attempt { number: number + 1, uncertain });
        let attempts_left = number < self.config.decide_attempts_max;
        match failure {
            Failure::Refused { retryable: true, .. } if attempts_left => {
                step.marks.push(Mark::Retried(tx));
                self.rest(now, tx, number, again(uncertain), step);
            }
            Failure::Refused { reason, .. } if !uncertain => {
                self.finish(tx, Decision::Aborted { reason: AbortReason::GraphRefused(reason) }, step);
            }
            Failure::Unknown { .. } if attempts_left => {
                step.marks.push(Mark::Resent(tx));
                self.rest(now, tx, number, again(true), step);
            }
            Failure::Constraint => {
                step.marks.push(Mark::MarkerStood(tx));
                self.fence(tx, 1, step);
            }
            Failure::Refused { .. } | Failure::Unknown { .. } => self.fence(tx, 1, step),
        }
    }

    fn timeout(&mut self, now: Millis, step: &mut CommitStep) {
        let rested = |transaction: &Transaction| match transaction.stage {
            Stage::Resting { until, next } if until <= now => Some((transaction.intent.tx, next)),
            _ => None,
        };
        let due: Vec<(TxId, Next)> = self.transactions.values().filter_map(rested).collect();
        for (tx, next) in due {
            self.go_on(tx, next, step);
        }
        let mut leaving = self.answer_the_impatient(now, step);
        leaving.extend(self.answer_impatient_appends(now, step));
        let late = self.look_ups.iter().filter(|(_, look_up)| look_up.answer_by <= now).map(|(request, _)| *request);
        for request in late.collect::<Vec<_>>() {
            self.look_ups.remove(&request);
            step.reply(request, Answer::Rejected(Rejection::Busy));
        }
        let late = self.reads.iter().filter(|(_, read)| read.answer_by <= now).map(|(request, _)| *request);
        for request in late.collect::<Vec<_>>() {
            self.reads.remove(&request);
            step.marks.push(Mark::GaveUp(request));
            step.reply(request, Answer::Rejected(Rejection::Busy));
            leaving.push(Owner::Read(request));
        }
        // All at once: what one of them leaves must not be granted to another, which would
        // then begin although its client was told that nothing will be done.
        self.release(&leaving, step);
    }

    /// Whoever waited long enough is told what is true: "nothing happened" where nothing has
    /// and nobody else still wants it to, "unknown" otherwise, never "aborted". Forgets the transactions that have
    /// not begun and that nobody waits for any more, and returns them: their places in the
    /// queues are still to be given up.
    fn answer_the_impatient(&mut self, now: Millis, step: &mut CommitStep) -> Vec<Owner> {
        let mut abandoned = Vec::new();
        for (tx, transaction) in &mut self.transactions {
            let wanted = transaction.waiters.iter().any(|waiter| waiter.answer_by > now);
            let ends = transaction.stage == Stage::Waiting && !wanted;
            let name = transaction.name();
            transaction.waiters.retain(|waiter| {
                if waiter.answer_by > now {
                    return true;
                }
                if ends {
                    step.marks.push(Mark::GaveUp(waiter.request));
                    step.reply(waiter.request, Answer::Rejected(Rejection::Busy));
                } else {
                    step.marks.push(Mark::AnsweredUnknown(*tx));
                    step.reply(waiter.request, Answer::Unknown(name));
                }
                false
            });
            if ends {
                abandoned.push(*tx);
            }
        }
        for tx in &abandoned {
            self.remove(*tx);
        }
        abandoned.into_iter().map(Owner::Tx).collect()
    }

    pub(super) fn intend(&mut self, tx: TxId, step: &mut CommitStep) {
        let transaction = self.transaction_mut(tx);
        transaction.stage = Stage::Intending;
        step.act(EffectId::Intend(tx), Action::Intend(transaction.intent.clone()));
    }

    fn decide(&mut self, tx: TxId, attempt: Attempt, step: &mut CommitStep) {
        let transaction = self.transaction_mut(tx);
        transaction.stage = Stage::Deciding(attempt);
        let patch = transaction.intent.patch.clone();
        step.act(EffectId::Decide(tx, attempt.number), Action::Decide { tx, patch });
    }

    pub(super) fn fence(&mut self, tx: TxId, number: u32, step: &mut CommitStep) {
        self.transaction_mut(tx).stage = Stage::Fencing(number);
        step.marks.push(Mark::Fenced(tx));
        step.act(EffectId::Fence(tx, number), Action::Fence { tx });
    }

    fn finish(&mut self, tx: TxId, decision: Decision, step: &mut CommitStep) {
        self.transaction_mut(tx).stage = Stage::Finishing(decision.clone());
        step.act(EffectId::Finish(tx), Action::Finish { tx, decision });
    }

    pub(super) fn load(&mut self, request: RequestId, step: &mut CommitStep) {
        match self.reads[&request].wanted.clone() {
            Wanted::Entity(entity) | Wanted::Held(entity, ..) => {
                step.act(EffectId::Load(request), Action::Load { entity });
            }
            Wanted::Holder(kind, key) => step.act(EffectId::Find(request), Action::Find { kind, key }),
            Wanted::Evidence(subject) => step.act(EffectId::Examine(request), Action::Examine { subject }),
        }
    }

    fn rest(&mut self, now: Millis, tx: TxId, attempt: u32, next: Next, step: &mut CommitStep) {
        let doublings = attempt.saturating_sub(1).min(16);
        let full = (self.config.backoff_ms.0 << doublings).min(self.config.backoff_ms_max.0);
        let draw = [tx.incarnation, tx.serial, u64::from(attempt)].into_iter().fold(self.config.jitter_seed, mix);
        let pause = Millis(full - draw % (full / 2 + 1));
        if pause == Millis::ZERO {
            self.go_on(tx, next, step);
        } else {
            self.transaction_mut(tx).stage = Stage::Resting { until: now + pause, next };
        }
    }

    fn go_on(&mut self, tx: TxId, next: Next, step: &mut CommitStep) {
        match next {
            Next::Decide(attempt) => self.decide(tx, attempt, step),
            Next::Fence(number) => self.fence(tx, number, step),
        }
    }

    /// The outcome is durable: unlock and answer.
    fn settle(&mut self, tx: TxId, settled: Settled, step: &mut CommitStep) {
        step.marks.push(match settled.decision {
            Decision::Committed => Mark::Committed(tx),
            Decision::Aborted { .. } => Mark::Aborted(tx),
        });
        self.answer_and_forget(tx, &Answer::Settled(settled), step);
    }

    pub(super) fn answer_and_forget(&mut self, tx: TxId, answer: &Answer, step: &mut CommitStep) {
        for waiter in std::mem::take(&mut self.transaction_mut(tx).waiters) {
            step.reply(waiter.request, answer.clone());
        }
        self.remove(tx);
        self.release(&[Owner::Tx(tx)], step);
    }

    fn remove(&mut self, tx: TxId) {
        let transaction = self.transactions.remove(&tx).expect("only an open transaction is forgotten");
        self.keys.remove(&transaction.intent.key);
    }

    fn end_read(&mut self, request: RequestId, answer: Answer, step: &mut CommitStep) {
        // A read that timed out is gone; what it loaded comes too late.
        if self.reads.remove(&request).is_some() {
            step.reply(request, answer);
            self.release(&[Owner::Read(request)], step);
        }
    }

    pub(super) fn release(&mut self, owners: &[Owner], step: &mut CommitStep) {
        for next in self.locks.release(owners) {
            match next {
                Owner::Tx(tx) => self.begin(tx, step),
                Owner::Read(request) => self.load(request, step),
                Owner::Append(request) => self.write_append(request, step),
            }
        }
    }

    /// Keeps every lock, tells everybody what is true, and asks for the end of the process.
    pub(super) fn halt(&mut self, reason: String, step: &mut CommitStep) {
        self.halted = true;
        for transaction in self.transactions.values_mut() {
            let answer = match transaction.stage {
                Stage::Waiting => Answer::Rejected(Rejection::Halted),
                _ => Answer::Unknown(transaction.name()),
            };
            for waiter in std::mem::take(&mut transaction.waiters) {
                step.reply(waiter.request, answer.clone());
            }
        }
        self.abandon_appends(step);
        let reads = std::mem::take(&mut self.reads).into_keys();
        let look_ups = std::mem::take(&mut self.look_ups).into_keys();
        for request in reads.chain(look_ups) {
            step.reply(request, Answer::Rejected(Rejection::Halted));
        }
        step.effects.push(CommitEffect::Halt { reason });
    }

    fn refuse_while_halted(&self, input: Input, step: &mut CommitStep) {
        match input {
            Input::Submit { request, .. }
            | Input::Read { request, .. }
            | Input::Find { request, .. }
            | Input::Outcome { request, .. }
            | Input::Examine { request, .. }
            | Input::Repair { request, .. }
            | Input::Append { request, .. } => {
                step.reply(request, Answer::Rejected(Rejection::Halted));
            }
            Input::Inspect { request } => step.reply(request, Answer::Status(self.status())),
            // What still comes back is for the next process to find out from the log.
            Input::Done { .. } | Input::Failed { .. } | Input::Timeout => {}
        }
    }

    fn transaction(&self, tx: TxId) -> &Transaction {
        self.transactions.get(&tx).unwrap_or_else(|| panic!("{tx} is not open"))
    }

    pub(super) fn transaction_mut(&mut self, tx: TxId) -> &mut Transaction {
        self.transactions.get_mut(&tx).unwrap_or_else(|| panic!("{tx} is not open"))
    }
}

/// One more number into a draw; Steele et al., "Fast Splittable Pseudorandom Number Generators",
/// OOPSLA 2014.
fn mix(state: u64, number: u64) -> u64 {
    let mut z = state.wrapping_add(number).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Shorthands for the two things a step is mostly made of.
pub(super) trait StepExt {
    fn act(&mut self, id: EffectId, action: Action);
    fn reply(&mut self, request: RequestId, answer: Answer);
}

impl StepExt for CommitStep {
    fn act(&mut self, id: EffectId, action: Action) {
        self.effects.push(CommitEffect::Do { id, action });
    }

    fn reply(&mut self, request: RequestId, answer: Answer) {
        self.effects.push(CommitEffect::Reply { request, answer });
    }
}
