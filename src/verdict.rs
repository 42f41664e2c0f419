//! From a record to a verdict: what was violated, and what was reached.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::chain::Link;
use crate::check::{Violation, normalise};
use crate::history::{Event, EventKind, History};
use crate::record::{Points, Record, Struck, TraceEvent};
use crate::sut::System;

/// The name under which a panic of simulated software is reported.
pub const NO_PANIC: &str = "no-panic";

/// What came of one run, small enough to be kept for each of thousands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// The scenario that was run.
    pub scenario: String,
    /// The seed that it was run with.
    pub seed: u64,
    /// What was violated; empty means passed.
    pub violations: Vec<Violation>,
    /// How much each check examined that was asked for or applies to the run. One that examined nothing in any run proves nothing.
    pub checked: BTreeMap<String, u64>,
    /// What became of the clients' operations.
    pub operations: Operations,
    /// How often each kind of fault took effect.
    pub faults: BTreeMap<String, u64>,
    /// Which of the plan's faults took effect, in the plan's order.
    pub fired: Vec<bool>,
    /// How often each mark was made.
    pub marks: BTreeMap<String, u64>,
    /// How many points each host passed while faults could strike.
    pub points: Points,
    /// For each kind of fault: how often it took effect at which stage of the host that it struck.
    #[serde(default)]
    pub struck: Struck,
    /// How many of them it had passed when the last planned crash took effect; empty when none did.
    pub points_at_crash: Points,
    /// Digest over core inputs, effects and marks, and what was seen of stores.
    pub digest: String,
    /// Digest over everything that was recorded.
    pub byte_digest: String,
    /// What `byte_digest` was made of, piece by piece; empty unless it was asked for.
    pub chain: Vec<Link>,
    /// Simulated time the run took.
    pub simulated_ms: u64,
    /// What a person wants to read about this run, where it was asked for.
    pub story: Option<Story>,
}

/// What became of the clients' operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// Took effect, and the client was told.
    pub ok: u64,
    /// Did not take effect, and the client was told.
    pub fail: u64,
    /// The client does not know.
    pub info: u64,
}

/// A run, told at length.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Story {
    /// What the clients saw, in words.
    pub history: History<Words, Words>,
    /// What happened inside.
    pub trace: Vec<TraceEvent>,
    /// The dumps of all stores.
    pub dumps: BTreeMap<String, String>,
    /// What the stores should hold that the system can tell it of.
    pub expected: BTreeMap<String, String>,
}

/// What a client asked or was answered, for readers: as `Debug` shows it, whatever its type.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(pub String);

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn in_words<Op: fmt::Debug, Ret: fmt::Debug>(history: &History<Op, Ret>) -> History<Words, Words> {
    let mut told = History::new();
    for event in history.events() {
        let kind = match &event.kind {
            EventKind::Invoke(op) => EventKind::Invoke(Words(format!("{op:?}"))),
            EventKind::Ok(ret) => EventKind::Ok(Words(format!("{ret:?}"))),
            EventKind::Fail(reason) => EventKind::Fail(reason.clone()),
            EventKind::Info(reason) => EventKind::Info(reason.clone()),
        };
        let Event { at, client, op, .. } = *event;
        told.push(Event { at, client, op, kind }).expect("it was a history before");
    }
    told
}

/// Judges a record by the checks that its plan names, or by all.
pub fn judge<S: System>(system: &S, record: &Record<S::Op, S::Ret>, tell: bool) -> Verdict {
    let mut violations = Vec::new();
    for (host, message) in &record.panics {
        violations.push(
            Violation::new(NO_PANIC, normalise(message)).expected("no panic").actual(format!("{host}: {message}")),
        );
    }
    let mut checked = BTreeMap::new();
    let wanted = &record.plan.checks;
    for check in system.checks().iter().filter(|check| wanted.is_empty() || wanted.iter().any(|w| w == check.name())) {
        let found = check.check(record);
        // Whoever asks for a check by its name expects it to examine something.
        if found.checked > 0 || !wanted.is_empty() || check.applies(record) {
            checked.insert(check.name().to_owned(), found.checked);
        }
        violations.extend(found.violations);
    }
    Verdict {
        scenario: record.plan.scenario.clone(),
        seed: record.plan.seed,
        violations,
        checked,
        operations: count::<S>(record),
        faults: record.faults.clone(),
        fired: record.fired.clone(),
        marks: record.marks.clone(),
        points: record.points.clone(),
        struck: record.struck.clone(),
        points_at_crash: record.points_at_crash.clone(),
        digest: record.digest.clone(),
        byte_digest: record.byte_digest.clone(),
        chain: record.chain.clone(),
        simulated_ms: record.simulated_ms,
        story: tell.then(|| Story {
            history: in_words(&record.history),
            trace: record.trace.clone(),
            dumps: record.dumps.clone(),
            expected: system.expected(record),
        }),
    }
}

fn count<S: System>(record: &Record<S::Op, S::Ret>) -> Operations {
    let mut operations = Operations::default();
    let mut open = 0;
    for event in record.history.events() {
        match &event.kind {
            EventKind::Invoke(_) => open += 1,
            EventKind::Ok(ret) if S::is_refusal(ret) => operations.fail += 1,
            EventKind::Ok(_) => operations.ok += 1,
            EventKind::Fail(_) => operations.fail += 1,
            EventKind::Info(_) => operations.info += 1,
        }
    }
    // What never ended is not known either.
    operations.info += open - operations.ok - operations.fail - operations.info;
    operations
}
