//! Events that are appended by themselves, under the locks of transactions.
//!
//! Whoever appends shares the stream and the ids of its events with others like it, which SQLite puts in
//! order, and waits for transactions: one that is under way has sequence numbers of the stream and ids of events that
//! no table shows yet. There is one effect, one SQLite transaction, and nothing to decide before it or
//! to recover after it. Where nobody knows whether it was committed the core halts, as it does for
//! an intent.

use std::collections::BTreeSet;

use env::Step;
use graph::Millis;

use super::core::{Commit, Owner, StepExt};
use super::locks::{LockKey, LockMode};
use super::messages::{Action, Answer, CommitEffect, EffectId, Failure, Mark, Rejection, RequestId};
use crate::events::{Append, Appended};

type CommitStep = Step<CommitEffect, Mark>;

/// An append that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PlainAppend {
    pub append: Append,
    pub stage: AppendStage,
    /// When the client is told that nobody knows yet; `None` once it was.
    pub answer_by: Option<Millis>,
}

/// How far an append is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum AppendStage {
    /// A transaction has its locks. Nothing durable exists.
    Waiting,
    /// It is being written.
    Writing,
}

impl LockKey {
    /// What an append locks.
    fn of_append(append: &Append) -> BTreeSet<LockKey> {
        let events = append.events.iter().map(|event| LockKey::Event(event.id.clone()));
        events.chain([LockKey::Stream(append.stream.clone())]).collect()
    }
}

impl Commit {
    pub(super) fn append(&mut self, now: Millis, request: RequestId, append: Append, step: &mut CommitStep) {
        let locks = LockKey::of_append(&append);
        let answer_by = Some(now + self.config.answer_timeout_ms);
        self.appends.insert(request, PlainAppend { append, stage: AppendStage::Waiting, answer_by });
        if self.locks.acquire(Owner::Append(request), locks, LockMode::Shared) {
            self.write_append(request, step);
        } else {
            step.marks.push(Mark::Waited(request));
        }
    }

    /// The locks are held.
    pub(super) fn write_append(&mut self, request: RequestId, step: &mut CommitStep) {
        let plain = self.appends.get_mut(&request).unwrap_or_else(|| panic!("{request:?} appends nothing"));
        plain.stage = AppendStage::Writing;
        step.act(EffectId::Append(request), Action::Append(plain.append.clone()));
    }

    pub(super) fn appended(&mut self, request: RequestId, appended: Appended, step: &mut CommitStep) {
        step.marks.push(match appended {
            Appended::New(_) => Mark::Appended(request),
            Appended::Repeated(_) => Mark::AppendRepeated(request),
            Appended::VersionConflict { .. } | Appended::EventIdReused(_) | Appended::Damaged(_) => {
                Mark::AppendRefused(request)
            }
        });
        self.end_append(request, Answer::Appended(appended), step);
    }

    pub(super) fn append_failed(&mut self, request: RequestId, failure: Failure, step: &mut CommitStep) {
        match failure {
            Failure::Refused { reason, .. } => {
                self.end_append(request, Answer::Rejected(Rejection::Unavailable(reason)), step);
            }
            Failure::Constraint | Failure::Unknown { .. } => {
                step.marks.push(Mark::AppendUncertain(request));
                self.halt(format!("the events of request {}: {failure}", request.0), step);
            }
        }
    }

    fn end_append(&mut self, request: RequestId, answer: Answer, step: &mut CommitStep) {
        let plain = self.appends.remove(&request).unwrap_or_else(|| panic!("{request:?} appends nothing"));
        if plain.answer_by.is_some() {
            step.reply(request, answer);
        }
        self.release(&[Owner::Append(request)], step);
    }

    /// Tells those who have waited long enough what is true, as for transactions. Forgets the appends that
    /// have not begun, and returns them: their places in the queues are still to be given up.
    pub(super) fn answer_impatient_appends(&mut self, now: Millis, step: &mut CommitStep) -> Vec<Owner> {
        let mut abandoned = Vec::new();
        self.appends.retain(|request, plain| {
            if plain.answer_by.is_none_or(|answer_by| answer_by > now) {
                return true;
            }
            match plain.stage {
                AppendStage::Waiting => {
                    step.marks.push(Mark::GaveUp(*request));
                    step.reply(*request, Answer::Rejected(Rejection::Busy));
                    abandoned.push(Owner::Append(*request));
                    false
                }
                AppendStage::Writing => {
                    step.marks.push(Mark::AppendUncertain(*request));
                    step.reply(*request, Answer::Unknown(None));
                    plain.answer_by = None;
                    true
                }
            }
        });
        abandoned
    }

    /// Tells everybody what is true: the process ends.
    pub(super) fn abandon_appends(&mut self, step: &mut CommitStep) {
        for (request, plain) in &mut self.appends {
            if plain.answer_by.take().is_some() {
                step.reply(
                    *request,
                    match plain.stage {
                        AppendStage::Waiting => Answer::Rejected(Rejection::Halted),
                        AppendStage::Writing => Answer::Unknown(None),
                    },
                );
            }
        }
    }
}
