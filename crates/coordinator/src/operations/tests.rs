//! The numbers, against what the core was seen to do.

mod alerts;
mod counts;
mod derivable;

use std::collections::BTreeMap;

use env::{Core, Step};
use graph::{EntityId, Kind, Millis, Operation, Patch, TxId};

use super::{Metrics, RequestKind};
use crate::commit::{
    Commit, CommitEffect, Config, ContentHash, EffectId, Failure, IdempotencyKey, Input, Intent, Mark, Report,
    RequestId, Submission,
};

const CONFIG: Config = Config {
    decide_attempts_max: 2,
    backoff_ms: Millis(50),
    backoff_ms_max: Millis(80),
    jitter_seed: 7,
    answer_timeout_ms: Millis(10_000),
};

fn entity(id: &str) -> EntityId {
    EntityId::new(id).expect("an id")
}

fn tx(serial: u64) -> TxId {
    TxId { incarnation: 2, serial }
}

/// A transaction that creates one entity.
fn submission(key: &str, id: &str) -> Submission {
    let kind = Kind::new("thing").expect("a kind");
    let patch =
        Patch { operations: vec![Operation::Create { id: entity(id), kind, key: None, properties: [].into() }] };
    Submission { key: IdempotencyKey(key.to_owned()), hash: ContentHash(id.to_owned()), patch }
}

/// An intent that an earlier process left.
fn left(serial: u64) -> Intent {
    let Submission { key, hash, patch } = submission(&format!("left {serial}"), &format!("left-{serial}"));
    Intent::new(TxId { incarnation: 1, serial }, key, hash, &patch)
}

fn no() -> Failure {
    Failure::Refused { reason: "no".to_owned(), retryable: false }
}

fn lost() -> Failure {
    Failure::Unknown { reason: "lost".to_owned() }
}

/// A core and its numbers.
struct Bench {
    core: Commit,
    metrics: Metrics,
    record: Vec<Step<CommitEffect, Mark>>,
    requests: u64,
}

impl Bench {
    fn new(left: Vec<Intent>) -> Bench {
        let (core, first) = Commit::recover(CONFIG, 2, left).expect("a sound log");
        let mut metrics = Metrics::default();
        metrics.step(Millis::ZERO, &first);
        Bench { core, metrics, record: vec![first], requests: 0 }
    }

    fn tell(&mut self, now: Millis, input: Input) {
        self.metrics.input(now, &input);
        let step = self.core.handle(now, input);
        self.metrics.step(now, &step);
        self.record.push(step);
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    fn submit(&mut self, now: Millis, key: &str, id: &str) {
        let request = self.request();
        self.tell(now, Input::Submit { request, submission: submission(key, id) });
    }

    fn done(&mut self, now: Millis, effect: EffectId, report: Report) {
        self.tell(now, Input::Done { effect, report });
    }

    fn failed(&mut self, now: Millis, effect: EffectId, failure: Failure) {
        self.tell(now, Input::Failed { effect, failure });
    }

    /// Takes a transaction that was submitted through to its commit.
    fn commit(&mut self, now: Millis, tx: TxId) {
        self.done(now, EffectId::Intend(tx), Report::Intended);
        self.done(now, EffectId::Decide(tx, 1), Report::Decided);
        self.done(now, EffectId::Finish(tx), Report::Finished);
    }

    fn answers(&self, kind: RequestKind) -> BTreeMap<&'static str, u64> {
        let answers = self.metrics.answers().iter().filter(|((of, _), count)| *of == kind && **count > 0);
        answers.map(|((_, answer), count)| (*answer, *count)).collect()
    }

    fn settled(&self) -> BTreeMap<&'static str, u64> {
        self.metrics.settled().iter().filter(|(_, count)| **count > 0).map(|(name, count)| (*name, *count)).collect()
    }
}
