//! When passes are made, one after another. See the module above.

use std::collections::VecDeque;

use env::Step;
use graph::{Millis, Subject};
use serde::{Deserialize, Serialize};

use super::compare::{Page, Position};
use super::evidence::Evidence;
use super::judge::{Order, Policy, Reason};
use super::pass::{Pass, Repaired};
use super::summary::Summary;
use crate::commit::RequestId;

/// How passes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The pause between two validations that nobody asked for; none are made without.
    pub period: Option<Millis>,
    /// How many entities or links of a store are read at once: with what differs among them,
    /// all that a pass holds in memory. At least 1.
    pub page: u32,
    /// How many findings a summary lists; all are counted.
    pub findings_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { period: Some(Millis(60 * 60 * 1_000)), page: 500, findings_max: 100 }
    }
}

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// To say where the stores differ.
    Validate,
    /// To make them the same where this policy decides, and to say where it does not.
    Reconcile(Policy),
}

/// Something the core is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Somebody wants a pass.
    Run {
        /// The waiting client.
        request: RequestId,
        /// What for.
        task: Task,
    },
    /// Two pages were compared.
    Compared(Page),
    /// A suspect was looked at again.
    Examined(Evidence),
    /// A repair came to its end.
    Repaired(Repaired),
    /// A case is open.
    Recorded {
        /// What it is about.
        evidence: Evidence,
        /// Its number.
        case: u64,
    },
    /// What was asked for last could not be done.
    Failed {
        /// What happened.
        reason: String,
    },
    /// The time has come that `poll_timeout` asked for.
    Timeout,
}

/// Something the core asks for: one thing at a time, but for reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReconcileEffect {
    /// Both stores: read a page and compare.
    Compare {
        /// Where it begins.
        from: Position,
        /// How many elements of each store at most.
        limit: u32,
    },
    /// The commit core: have both stores read under shared locks.
    Examine {
        /// What of them.
        subject: Subject,
    },
    /// The commit core: repair.
    Repair {
        /// What.
        subject: Subject,
        /// By what right.
        order: Order,
    },
    /// SQLite: open a case for a person.
    Record {
        /// What was found.
        evidence: Box<Evidence>,
        /// Why nobody decided.
        reason: Reason,
    },
    /// A pass is over; never reported on.
    Report {
        /// Who waits for it, if anybody.
        request: Option<RequestId>,
        /// What it found.
        summary: Summary,
    },
}

impl env::Effect for ReconcileEffect {
    fn name(&self) -> &'static str {
        match self {
            ReconcileEffect::Compare { .. } => "compare",
            ReconcileEffect::Examine { .. } => "examine",
            ReconcileEffect::Repair { .. } => "repair",
            ReconcileEffect::Record { .. } => "record",
            ReconcileEffect::Report { .. } => "report",
        }
    }
}

/// A decision of the core that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// What two scans saw differently agreed under its locks: it had just been written to.
    Acquitted,
    /// A difference was found.
    Found,
    /// A difference was repaired.
    Repaired,
    /// Something is in the way of an entity that another repair may remove: it is looked at again.
    Deferred,
    /// A difference is left to a person.
    Asked,
    /// A suspect could not be looked at.
    Skipped,
    /// A pass could not go on.
    Stopped,
    /// A pass came to its end.
    Passed,
}

impl Mark {
    /// The names of all marks, as reports and scenarios write them.
    pub const NAMES: [&'static str; 8] =
        ["acquitted", "found", "repaired", "deferred", "asked", "skipped", "stopped", "passed"];
}

/// The validation and reconciliation of one coordinator process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reconcile {
    config: Config,
    pass: Option<Pass>,
    queue: VecDeque<(RequestId, Task)>,
    /// When the next validation begins that nobody asked for; none while a pass is under way.
    next: Option<Millis>,
}

type ReconcileStep = Step<ReconcileEffect, Mark>;

impl Reconcile {
    /// The core of a process that starts.
    pub fn new(config: Config) -> Reconcile {
        assert!(config.page > 0, "a page of nothing makes no progress");
        Reconcile { config, pass: None, queue: VecDeque::new(), next: config.period }
    }

    /// Whether no pass is under way.
    pub fn is_idle(&self) -> bool {
        self.pass.is_none()
    }

    fn begin(&mut self, request: Option<RequestId>, task: Task, step: &mut ReconcileStep) {
        self.next = None;
        let pass = Pass::new(request, task, self.config.page, self.config.findings_max);
        self.go_on(pass, step);
    }

    fn go_on(&mut self, mut pass: Pass, step: &mut ReconcileStep) {
        match pass.go_on() {
            Some(effect) => {
                step.effects.push(effect);
                self.pass = Some(pass);
            }
            None => {
                step.marks.push(Mark::Passed);
                step.effects.push(ReconcileEffect::Report { request: pass.request, summary: pass.summary });
            }
        }
    }

    /// What was under way is done.
    fn done(&mut self, mut pass: Pass, input: Input, step: &mut ReconcileStep) {
        match input {
            Input::Compared(page) => pass.compared(page),
            Input::Examined(evidence) => step.marks.extend(pass.examined(&evidence)),
            Input::Repaired(repaired) => {
                let (mark, case) = pass.repaired(repaired);
                step.marks.extend(mark);
                if let Some((evidence, reason)) = case {
                    step.effects.push(ReconcileEffect::Record { evidence, reason });
                    self.pass = Some(pass);
                    return;
                }
            }
            Input::Recorded { evidence, case } => pass.recorded(&evidence, case),
            Input::Failed { reason } => step.marks.push(pass.failed(reason)),
            Input::Run { .. } | Input::Timeout => unreachable!("these are no reports"),
        }
        self.go_on(pass, step);
    }
}

impl env::Core for Reconcile {
    const NAME: &'static str = "reconcile";
    type Input = Input;
    type Effect = ReconcileEffect;
    type Mark = Mark;

    fn handle(&mut self, now: Millis, input: Input) -> ReconcileStep {
        let mut step = Step::new();
        match (self.pass.take(), input) {
            (None, Input::Run { request, task }) => self.begin(Some(request), task, &mut step),
            (Some(pass), Input::Run { request, task }) => {
                self.queue.push_back((request, task));
                self.pass = Some(pass);
            }
            (None, Input::Timeout) if self.next.is_some_and(|next| next <= now) => {
                self.begin(None, Task::Validate, &mut step);
            }
            (pass, Input::Timeout) => self.pass = pass,
            (Some(pass), input) => self.done(pass, input, &mut step),
            (None, input) => panic!("no pass is under way, and yet {input:?}"),
        }
        if self.pass.is_none() {
            match self.queue.pop_front() {
                Some((request, task)) => self.begin(Some(request), task, &mut step),
                None if self.next.is_none() => self.next = self.config.period.map(|period| now + period),
                None => {}
            }
        }
        step
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.next
    }

    fn timeout() -> Input {
        Input::Timeout
    }
}
