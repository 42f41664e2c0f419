//! Comparing and repairing, under the same locks as everything else.
//!
//! A repair is a transaction whose operation is not known when it is asked for. It is asked for
//! with the entity or link that differs, takes the exclusive locks of it like any other, and
//! only then has both stores read; what to do is decided from that reading alone. It never
//! rests on what was read before it had its locks, so
//!
//! - it cannot touch what a running transaction has in its hands: that one holds the locks, from
//!   before its intent until after its finish, through crashes as well;
//! - it cannot take back what has just been committed: by then both stores have it, and there
//!   is nothing to repair;
//! - of two that repair the same, the second finds the stores in agreement.
//!
//! From there on it is a transaction like any other: intent, marker, finish. What makes it fit
//! both stores although they differ is that its operation is absolute: it says what the subject
//! is to be, not what is to change about it. So the same operation is right for the store that
//! was wrong, for the one that was right, and after a crash for either of them.

use std::collections::BTreeSet;

use env::Step;
use graph::{Millis, Operation, Patch, Subject, TxId};

use super::core::{Commit, Owner, StepExt, StrongRead, Wanted};
use super::locks::{LockKey, LockMode};
use super::messages::{
    Action, Answer, CommitEffect, ContentHash, EffectId, Ground, IdempotencyKey, Intent, Mark, RequestId, Reviewed,
};
use super::transaction::{Repair, Stage, Transaction, Waiter};
use crate::reconcile::{Evidence, Order, Verdict, judge};

type CommitStep = Step<CommitEffect, Mark>;

/// How the key of a repair begins. A client's key is ASCII, so none has this.
const KEY_PREFIX: &str = "repair·";

impl IdempotencyKey {
    /// Whether it is the key of a repair, for which no client asked.
    pub fn is_repair(&self) -> bool {
        self.0.starts_with(KEY_PREFIX)
    }
}

impl Commit {
    /// Has both stores read under shared locks, like a strong read.
    pub(super) fn examine(&mut self, now: Millis, request: RequestId, subject: Subject, step: &mut CommitStep) {
        let locks = keys(&subject);
        let answer_by = now + self.config.answer_timeout_ms;
        self.reads.insert(request, StrongRead { wanted: Wanted::Evidence(subject), answer_by });
        if self.locks.acquire(Owner::Read(request), locks, LockMode::Shared) {
            self.load(request, step);
        } else {
            step.marks.push(Mark::Waited(request));
        }
    }

    pub(super) fn repair(
        &mut self,
        now: Millis,
        request: RequestId,
        subject: Subject,
        order: Order,
        step: &mut CommitStep,
    ) {
        self.serial += 1;
        let tx = TxId { incarnation: self.incarnation, serial: self.serial };
        let key = IdempotencyKey(format!("{KEY_PREFIX}{order}·{tx}"));
        let locks = keys(&subject);
        let patch = Patch { operations: Vec::new() };
        let intent = Intent::new(tx, key.clone(), ContentHash::of(&patch), &patch);
        let waiter = Waiter { request, answer_by: now + self.config.answer_timeout_ms };
        let repair = Some(Repair { subject, order });
        let transaction =
            Transaction { intent, stage: Stage::Waiting, waiters: vec![waiter], recovered: false, repair };
        self.keys.insert(key, tx);
        self.transactions.insert(tx, transaction);
        if self.locks.acquire(Owner::Tx(tx), locks, LockMode::Exclusive) {
            self.begin(tx, step);
        } else {
            step.marks.push(Mark::Waited(request));
        }
    }

    /// The locks are held: goes on with what a transaction does first.
    pub(super) fn begin(&mut self, tx: TxId, step: &mut CommitStep) {
        let transaction = self.transaction_mut(tx);
        let Some(repair) = &transaction.repair else { return self.intend(tx, step) };
        let subject = repair.subject.clone();
        transaction.stage = Stage::Reviewing;
        step.act(EffectId::Review(tx), Action::Examine { subject });
    }

    /// Both stores were read under the exclusive locks.
    pub(super) fn reviewed(&mut self, tx: TxId, evidence: Evidence, step: &mut CommitStep) {
        let transaction = self.transaction_mut(tx);
        let repair = transaction.repair.as_ref().unwrap_or_else(|| panic!("{tx} is no repair"));
        let order = repair.order;
        match judge(order, &evidence) {
            Verdict::Agreed => {
                step.marks.push(Mark::Agreed(tx));
                self.answer_and_forget(tx, &Answer::Reviewed(Reviewed::Agreed), step);
            }
            Verdict::Undecided(reason) => {
                step.marks.push(Mark::Undecided(tx));
                self.answer_and_forget(
                    tx,
                    &Answer::Reviewed(Reviewed::Undecided { reason, evidence: Box::new(evidence) }),
                    step,
                );
            }
            Verdict::Restore(operation) => {
                step.marks.push(Mark::Repairing(tx));
                self.intend_repair(tx, operation, Ground { order, evidence }, step);
            }
        }
    }

    fn intend_repair(&mut self, tx: TxId, operation: Operation, ground: Ground, step: &mut CommitStep) {
        let transaction = self.transaction_mut(tx);
        let patch = Patch { operations: vec![operation] };
        transaction.intent.hash = ContentHash::of(&patch);
        transaction.intent.patch = patch;
        transaction.stage = Stage::Intending;
        let intent = transaction.intent.clone();
        step.act(EffectId::Intend(tx), Action::IntendRepair { intent, ground: Box::new(ground) });
    }
}

fn keys(subject: &Subject) -> BTreeSet<LockKey> {
    subject.keys().cloned().map(LockKey::Entity).collect()
}
