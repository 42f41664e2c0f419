//! Counting what the commit core decided.

use std::collections::BTreeMap;

use env::Step;
use graph::{Millis, Refusal, TxId};
use serde::{Deserialize, Serialize};
use web::histogram::Histogram;

use super::window::{Sample, Window};
use crate::commit::{
    AbortReason, Action, Answer, CommitEffect, Decision, EffectId, Failure, Input, Mark, Rejection, Report, RequestId,
    Reviewed,
};
use crate::events::Appended;

/// Counts of what the commit core of one process was told and answered.
///
/// It is fed by [`input`](Self::input) and [`step`](Self::step), in turn and in order, and by
/// nothing else. Reads no clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    decisions: BTreeMap<&'static str, u64>,
    settled: BTreeMap<&'static str, u64>,
    answers: BTreeMap<(RequestKind, &'static str), u64>,
    conflicts: BTreeMap<&'static str, u64>,
    recovered: BTreeMap<&'static str, u64>,
    durations: Histogram,
    response_times: BTreeMap<RequestKind, Histogram>,
    pub(super) requests: BTreeMap<RequestId, Asked>,
    /// The request that the last input was, if it was one.
    asking: Option<RequestId>,
    pub(super) open: BTreeMap<TxId, Open>,
    recovery: Recovery,
    halted: bool,
    pub(super) window: Window,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {
    /// To run a transaction.
    Transaction,
    /// An entity, linearizably.
    Read,
    /// What became of a transaction.
    Outcome,
    /// To have both stores compared where a scan saw a difference.
    Examination,
    /// To have a difference between the stores removed.
    Repair,
    /// To append events by themselves.
    Append,
}

impl RequestKind {
    /// Every kind.
    pub const ALL: [RequestKind; 6] = [
        RequestKind::Transaction,
        RequestKind::Read,
        RequestKind::Outcome,
        RequestKind::Examination,
        RequestKind::Repair,
        RequestKind::Append,
    ];

    /// As a label has it.
    pub fn name(self) -> &'static str {
        match self {
            RequestKind::Transaction => "transaction",
            RequestKind::Read => "read",
            RequestKind::Outcome => "outcome",
            RequestKind::Examination => "examination",
            RequestKind::Repair => "repair",
            RequestKind::Append => "append",
        }
    }

    /// Every way in which the core answers it.
    pub fn answers(self) -> &'static [&'static str] {
        match self {
            RequestKind::Transaction => &[
                "committed",
                "refused",
                "graph_refused",
                "fenced",
                "repeated",
                "key_reused",
                "unknown",
                "busy",
                "unavailable",
                "halted",
            ],
            RequestKind::Read => &["found", "absent", "busy", "unavailable", "halted"],
            RequestKind::Outcome => &["settled", "undecided", "absent", "busy", "unavailable", "halted"],
            RequestKind::Examination => &["examined", "busy", "unavailable", "halted"],
            RequestKind::Repair => &[
                "agreed",
                "left_to_a_person",
                "committed",
                "refused",
                "graph_refused",
                "fenced",
                "unknown",
                "busy",
                "unavailable",
                "halted",
            ],
            RequestKind::Append => &[
                "appended",
                "repeated",
                "version_conflict",
                "event_id_reused",
                "event_damaged",
                "unknown",
                "busy",
                "unavailable",
                "halted",
            ],
        }
    }
}

/// The answers to a transaction that count as failures: the client did nothing wrong, and does
/// not have what it asked for.
pub const FAILURES: [&str; 6] = ["graph_refused", "fenced", "unknown", "busy", "unavailable", "halted"];

/// The outcomes of a transaction, aborts by their cause.
pub const OUTCOMES: [&str; 4] = ["committed", "refused", "graph_refused", "fenced"];

/// What two clients can take from each other: the id of an entity or of an event, a canonical and an idempotency key.
pub const CONFLICTS: [&str; 4] = ["entity", "key", "canonical_key", "event"];

/// A transaction whose intent is durable and that has no outcome yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InDoubt {
    /// Its name.
    pub tx: TxId,
    /// For how long: since its intent became durable or, if an earlier process began it, since
    /// this one did.
    #[serde(rename = "age_seconds", with = "web::seconds")]
    pub age: Millis,
    /// Whether an earlier process began it.
    pub recovered: bool,
    /// How many fences were sent for it.
    pub fences: u64,
}

/// A request that was not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    kind: RequestKind,
    at: Millis,
    /// Whether it is a retry of a transaction that is under way.
    joined: bool,
}

/// A transaction that has no outcome yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    began: Millis,
    /// Since when its intent is durable.
    pub(super) in_doubt: Option<Millis>,
    recovered: bool,
    fences: u64,
    /// Why it is being aborted.
    cause: Option<&'static str>,
}

/// What the process found in the log when it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Recovery {
    found: u64,
    left: u64,
    ended: Option<Millis>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let zero = |names: &[&'static str]| names.iter().map(|name| (*name, 0)).collect::<BTreeMap<_, _>>();
        let answers = RequestKind::ALL.iter().flat_map(|kind| kind.answers().iter().map(|name| ((*kind, *name), 0)));
        Metrics {
            decisions: zero(&Mark::NAMES),
            settled: zero(&OUTCOMES),
            answers: answers.collect(),
            conflicts: zero(&CONFLICTS),
            recovered: zero(&["committed", "aborted"]),
            durations: Histogram::default(),
            response_times: RequestKind::ALL.iter().map(|kind| (*kind, Histogram::default())).collect(),
            requests: BTreeMap::new(),
            asking: None,
            open: BTreeMap::new(),
            recovery: Recovery::default(),
            halted: false,
            window: Window::default(),
        }
    }
}

impl Metrics {
    /// The core is about to be told this.
    pub fn input(&mut self, now: Millis, input: &Input) {
        self.asking = None;
        match input {
            Input::Submit { request, .. } => self.ask(now, *request, RequestKind::Transaction),
            Input::Read { request, .. } | Input::Find { request, .. } => self.ask(now, *request, RequestKind::Read),
            Input::Outcome { request, .. } => self.ask(now, *request, RequestKind::Outcome),
            Input::Examine { request, .. } => self.ask(now, *request, RequestKind::Examination),
            Input::Repair { request, .. } => self.ask(now, *request, RequestKind::Repair),
            Input::Append { request, .. } => self.ask(now, *request, RequestKind::Append),
            // A core that has halted leaves these to the next process.
            Input::Done { .. } | Input::Failed { .. } if self.halted => {}
            Input::Done { effect: EffectId::Intend(tx), report } => self.intended(now, *tx, report),
            Input::Failed { effect: EffectId::Intend(tx), failure: Failure::Refused { .. } } => {
                self.open.remove(tx);
            }
            Input::Done { .. } | Input::Failed { .. } | Input::Inspect { .. } | Input::Timeout => {}
        }
    }

    /// This is what the core answered to the last input, or asked for at its start.
    pub fn step(&mut self, now: Millis, step: &Step<CommitEffect, Mark>) {
        // What is said about a transaction comes before what ends it.
        for effect in &step.effects {
            if let CommitEffect::Do { action, .. } = effect {
                self.action(now, action);
            }
        }
        for mark in &step.marks {
            *self.decisions.entry(mark.name()).or_default() += 1;
            self.mark(now, mark);
        }
        let is_retry = |tx: TxId| step.marks.contains(&Mark::Deduplicated(tx));
        for effect in &step.effects {
            match effect {
                CommitEffect::Reply { request, answer } => self.answer(now, *request, answer, is_retry),
                CommitEffect::Halt { .. } => self.halted = true,
                CommitEffect::Do { .. } => {}
            }
        }
    }

    /// How often each decision was made, under the names of [`Mark::NAMES`].
    pub fn decisions(&self) -> &BTreeMap<&'static str, u64> {
        &self.decisions
    }

    /// How many transactions this process settled, by the names of [`OUTCOMES`].
    pub fn settled(&self) -> &BTreeMap<&'static str, u64> {
        &self.settled
    }

    /// How often each answer was given. A retry that was answered from the log, or together
    /// with the request that it repeats, is `repeated`, so it is no second success.
    pub fn answers(&self) -> &BTreeMap<(RequestKind, &'static str), u64> {
        &self.answers
    }

    /// How often a client wanted what somebody else had, by the names of [`CONFLICTS`].
    pub fn conflicts(&self) -> &BTreeMap<&'static str, u64> {
        &self.conflicts
    }

    /// How the transactions that an earlier process had begun were settled.
    pub fn recovered(&self) -> &BTreeMap<&'static str, u64> {
        &self.recovered
    }

    /// From the moment at which it held its locks to its outcome, for each settled transaction
    /// that this process began.
    pub fn durations(&self) -> &Histogram {
        &self.durations
    }

    /// From a request to its answer.
    pub fn response_times(&self) -> &BTreeMap<RequestKind, Histogram> {
        &self.response_times
    }

    /// The transactions that are in doubt, in their order.
    pub fn in_doubt(&self, now: Millis) -> Vec<InDoubt> {
        let in_doubt = self.open.iter().filter_map(|(tx, open)| {
            let age = now - open.in_doubt?;
            Some(InDoubt { tx: *tx, age, recovered: open.recovered, fences: open.fences })
        });
        in_doubt.collect()
    }

    /// How many transactions are in doubt, and for how long the oldest has been.
    pub fn doubt(&self, now: Millis) -> (u64, Millis) {
        let ages = self.open.values().filter_map(|open| open.in_doubt.map(|since| now - since));
        ages.fold((0, Millis::ZERO), |(count, oldest), age| (count + 1, oldest.max(age)))
    }

    /// How many transactions of earlier processes have no outcome yet.
    pub fn recovering(&self) -> u64 {
        self.recovery.left
    }

    /// How long it took to settle what earlier processes had left, or how long it has taken so
    /// far. Zero where there was nothing.
    pub fn recovery_time(&self, now: Millis) -> Millis {
        if self.recovery.found == 0 { Millis::ZERO } else { self.recovery.ended.unwrap_or(now) }
    }

    /// Whether the core asked for the end of the process.
    pub fn halted(&self) -> bool {
        self.halted
    }

    fn ask(&mut self, now: Millis, request: RequestId, kind: RequestKind) {
        self.asking = Some(request);
        self.requests.insert(request, Asked { kind, at: now, joined: false });
    }

    fn intended(&mut self, now: Millis, tx: TxId, report: &Report) {
        match report {
            Report::Intended => {
                if let Some(open) = self.open.get_mut(&tx) {
                    open.in_doubt = Some(now);
                }
            }
            // The key has a transaction already: this one never was.
            Report::Known(_) | Report::KeyReused(_) | Report::Isolated(_) => {
                self.open.remove(&tx);
            }
            Report::Refused(Refusal::EntityExists(_)) => self.conflict(now, "entity"),
            Report::Refused(Refusal::KeyTaken { .. }) => self.conflict(now, "canonical_key"),
            Report::Refused(Refusal::EventExists(_)) => self.conflict(now, "event"),
            _ => {}
        }
    }

    fn action(&mut self, now: Millis, action: &Action) {
        match action {
            Action::Intend(intent) | Action::IntendRepair { intent, .. } => {
                let open = Open { began: now, in_doubt: None, recovered: false, fences: 0, cause: None };
                self.open.insert(intent.tx, open);
            }
            Action::Finish { tx, decision: Decision::Aborted { reason } } => {
                if let Some(open) = self.open.get_mut(tx) {
                    open.cause = Some(cause(reason));
                }
            }
            _ => {}
        }
    }

    fn mark(&mut self, now: Millis, mark: &Mark) {
        match mark {
            Mark::Recovered(tx) => {
                self.recovery.found += 1;
                self.recovery.left += 1;
                let open = Open { began: now, in_doubt: Some(now), recovered: true, fences: 0, cause: None };
                self.open.insert(*tx, open);
            }
            Mark::Fenced(tx) => {
                if let Some(open) = self.open.get_mut(tx) {
                    open.fences += 1;
                }
            }
            Mark::Joined(_) => {
                if let Some(asked) = self.asking.and_then(|request| self.requests.get_mut(&request)) {
                    asked.joined = true;
                }
            }
            Mark::KeyReused(_) => self.conflict(now, "key"),
            Mark::Committed(tx) => self.settle(now, *tx, None),
            Mark::Aborted(tx) => self.settle(now, *tx, Some("refused")),
            _ => {}
        }
    }

    /// `aborted` is the cause of an abort that had no intent to begin with.
    fn settle(&mut self, now: Millis, tx: TxId, aborted: Option<&'static str>) {
        let Some(open) = self.open.remove(&tx) else { return };
        let outcome = aborted.map_or("committed", |cause| open.cause.unwrap_or(cause));
        *self.settled.entry(outcome).or_default() += 1;
        if let Some(since) = open.in_doubt {
            let sample = self.window.at(now);
            sample.in_doubt_max = sample.in_doubt_max.max(now - since);
        }
        if open.recovered {
            *self.recovered.entry(if aborted.is_some() { "aborted" } else { "committed" }).or_default() += 1;
            self.recovery.left -= 1;
            if self.recovery.left == 0 {
                self.recovery.ended = Some(now);
            }
        } else {
            self.durations.observe(now - open.began);
        }
    }

    fn answer(&mut self, now: Millis, request: RequestId, answer: &Answer, is_retry: impl Fn(TxId) -> bool) {
        // A question about the status is none that counts.
        let Some(Asked { kind, at, joined }) = self.requests.remove(&request) else { return };
        let name = match (kind, answer) {
            (RequestKind::Transaction, Answer::Settled(settled)) if joined || is_retry(settled.tx) => "repeated",
            (RequestKind::Transaction | RequestKind::Repair, Answer::Settled(settled)) => match &settled.decision {
                Decision::Committed => "committed",
                Decision::Aborted { reason } => cause(reason),
            },
            (_, Answer::Settled(_)) => "settled",
            (RequestKind::Transaction | RequestKind::Repair | RequestKind::Append, Answer::Unknown(_)) => "unknown",
            (_, Answer::Unknown(_)) => "undecided",
            (_, Answer::KeyReused(_)) => "key_reused",
            (_, Answer::Entity(Some(_))) => "found",
            (_, Answer::Entity(None) | Answer::NoSuchTransaction(_)) => "absent",
            (_, Answer::Examined(_)) => "examined",
            (_, Answer::Reviewed(Reviewed::Agreed)) => "agreed",
            (_, Answer::Reviewed(Reviewed::Undecided { .. })) => "left_to_a_person",
            (_, Answer::Appended(Appended::New(_))) => "appended",
            (_, Answer::Appended(Appended::Repeated(_))) => "repeated",
            (_, Answer::Appended(Appended::VersionConflict { .. })) => "version_conflict",
            (_, Answer::Appended(Appended::EventIdReused(_))) => "event_id_reused",
            (_, Answer::Appended(Appended::Damaged(_))) => "event_damaged",
            (_, Answer::Rejected(Rejection::Busy)) => "busy",
            (_, Answer::Rejected(Rejection::Unavailable(_))) => "unavailable",
            (_, Answer::Rejected(Rejection::Halted)) => "halted",
            // No answer of the core's to what it was asked.
            (_, Answer::Rejected(Rejection::Overloaded) | Answer::Status(_)) => return,
        };
        *self.answers.entry((kind, name)).or_default() += 1;
        self.response_times.entry(kind).or_default().observe(now - at);
        if kind == RequestKind::Transaction {
            let failed = FAILURES.contains(&name);
            if failed || name == "committed" {
                let Sample { attempts, failures, .. } = self.window.at(now);
                *attempts += 1;
                *failures += u64::from(failed);
            }
        }
    }

    fn conflict(&mut self, now: Millis, what: &'static str) {
        *self.conflicts.entry(what).or_default() += 1;
        self.window.at(now).conflicts += 1;
    }
}

fn cause(reason: &AbortReason) -> &'static str {
    match reason {
        AbortReason::Refused(_) => "refused",
        AbortReason::GraphRefused(_) => "graph_refused",
        AbortReason::Fenced => "fenced",
        AbortReason::TakenBack => "taken_back",
    }
}
