//! One way through both stores.

use std::collections::VecDeque;

use graph::Subject;

use super::compare::{Page, Position};
use super::core::{Mark, ReconcileEffect, Task};
use super::evidence::Evidence;
use super::judge::{Order, Reason};
use super::summary::{Done, Finding, Summary};
use crate::commit::RequestId;

/// How far a pass has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pass {
    /// Who waits for it, if anybody.
    pub request: Option<RequestId>,
    pub summary: Summary,
    stage: Stage,
    /// What the last page left to be looked at again, the first one being under way.
    suspects: VecDeque<Subject>,
    /// Where the next page of this stage begins.
    next: Option<Position>,
    /// Whether an entity could not be repaired because of another difference that may be repaired first.
    deferred: bool,
    /// Whether anything was repaired since the entities were looked at first, or last.
    progress: bool,
    page: u32,
    findings_max: usize,
}

/// What a pass looks at. Entities come before links, for a link needs its ends. Those that have to go
/// must have no links, and those that another has the canonical key of must wait until it has given it up:
/// they are looked at again, as long as something else was repaired in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Entities,
    Links,
    /// Entities that something was in the way of, which may be gone.
    Leftovers,
    /// Entities that something is in the way of which no repair has removed.
    Rest,
}

/// What became of a repair, or of the wish for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Repaired {
    /// The stores agreed.
    Agreed,
    /// They do now.
    Committed(graph::TxId),
    /// A person has to decide.
    Undecided(Reason, Box<Evidence>),
    /// Not now, for this reason; the next pass finds it again.
    NotNow(String),
}

impl Pass {
    pub fn new(request: Option<RequestId>, task: Task, page: u32, findings_max: usize) -> Pass {
        Pass {
            request,
            summary: Summary::new(task),
            stage: Stage::Entities,
            suspects: VecDeque::new(),
            next: Some(Position::Entities(None)),
            deferred: false,
            progress: false,
            page,
            findings_max,
        }
    }

    /// What comes next; none when there is nothing left.
    pub fn go_on(&mut self) -> Option<ReconcileEffect> {
        if let Some(subject) = self.suspects.front().cloned() {
            return Some(match self.summary.task {
                Task::Validate => ReconcileEffect::Examine { subject },
                Task::Reconcile(policy) => ReconcileEffect::Repair { subject, order: Order::Policy(policy) },
            });
        }
        loop {
            if let Some(from) = self.next.take() {
                return Some(ReconcileEffect::Compare { from, limit: self.page });
            }
            (self.stage, self.next) = match self.stage {
                Stage::Entities => (Stage::Links, Some(Position::Links(None))),
                Stage::Links | Stage::Leftovers if self.deferred => {
                    let stage = if self.progress { Stage::Leftovers } else { Stage::Rest };
                    (self.deferred, self.progress) = (false, false);
                    (stage, Some(Position::Entities(None)))
                }
                Stage::Links | Stage::Leftovers | Stage::Rest => {
                    self.summary.complete = self.summary.why.is_none();
                    return None;
                }
            };
        }
    }

    pub fn compared(&mut self, page: Page) {
        let Page { compared, suspects, foreign, next } = page;
        match self.stage {
            Stage::Entities => self.summary.entities += compared,
            Stage::Links => self.summary.links += compared,
            // Counted already, and so is what is foreign.
            Stage::Leftovers | Stage::Rest => {}
        }
        if matches!(self.stage, Stage::Entities | Stage::Links) {
            self.summary.suspects += suspects.len() as u64;
            for what in foreign {
                self.find(Finding { subject: what, divergence: None, fields: Vec::new(), done: Done::Foreign });
            }
        }
        self.suspects = suspects.into();
        self.next = next;
    }

    /// A suspect was looked at again under its locks.
    pub fn examined(&mut self, evidence: &Evidence) -> Option<Mark> {
        self.suspects.pop_front();
        let Some(divergence) = evidence.divergence() else { return Some(Mark::Acquitted) };
        let subject = evidence.subject.to_string();
        self.find(Finding { subject, divergence: Some(divergence), fields: evidence.fields(), done: Done::Nothing });
        Some(Mark::Found)
    }

    /// A suspect was repaired, or not; the case that has to be opened, if one has.
    pub fn repaired(&mut self, repaired: Repaired) -> (Option<Mark>, Option<(Box<Evidence>, Reason)>) {
        if let Repaired::Undecided(reason, evidence) = &repaired
            && !(reason.may_pass() && self.stage != Stage::Rest)
        {
            // It stays the first one until its case is open.
            return (Some(Mark::Asked), Some((evidence.clone(), reason.clone())));
        }
        let Some(subject) = self.suspects.pop_front() else { return (None, None) };
        match repaired {
            Repaired::Agreed => (Some(Mark::Acquitted), None),
            Repaired::Committed(tx) => {
                self.summary.repaired += 1;
                self.progress = true;
                let subject = subject.to_string();
                self.find(Finding { subject, divergence: None, fields: Vec::new(), done: Done::Repaired { tx } });
                (Some(Mark::Repaired), None)
            }
            Repaired::Undecided(..) => {
                self.deferred = true;
                (Some(Mark::Deferred), None)
            }
            Repaired::NotNow(why) => {
                self.not_now(subject.to_string(), why);
                (Some(Mark::Skipped), None)
            }
        }
    }

    /// A case is open.
    pub fn recorded(&mut self, evidence: &Evidence, case: u64) {
        self.suspects.pop_front();
        self.summary.undecided += 1;
        let (subject, fields) = (evidence.subject.to_string(), evidence.fields());
        self.find(Finding { subject, divergence: evidence.divergence(), fields, done: Done::Case { case } });
    }

    /// What was under way failed: one suspect is passed over, or the pass cannot go on.
    pub fn failed(&mut self, why: String) -> Mark {
        match self.suspects.pop_front() {
            Some(subject) => self.not_now(subject.to_string(), why),
            None => {
                self.stop(why);
                return Mark::Stopped;
            }
        }
        Mark::Skipped
    }

    /// Nothing more is looked at.
    pub fn stop(&mut self, why: String) {
        self.summary.why = Some(why);
        (self.stage, self.next, self.deferred) = (Stage::Rest, None, false);
        self.suspects.clear();
    }

    fn not_now(&mut self, subject: String, why: String) {
        self.summary.skipped += 1;
        self.list(Finding { subject, divergence: None, fields: Vec::new(), done: Done::Skipped { why } });
    }

    fn find(&mut self, finding: Finding) {
        self.summary.differences += 1;
        self.list(finding);
    }

    fn list(&mut self, finding: Finding) {
        if self.summary.findings.len() < self.findings_max {
            self.summary.findings.push(finding);
        }
    }
}
