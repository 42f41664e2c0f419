//! A pass: its scans, and what it asks the commit core for.

use std::sync::Arc;

use coordinator::commit::{Action as Asked, Answer, Decision, EffectId, Input as ToCommit, RequestId};
use coordinator::reconcile::{
    Config, Done, Evidence, Input, Order, Page, Position, Reconcile, ReconcileEffect, Repaired, Summary, Task, Verdict,
    compare, judge, repaired,
};
use env::Core;
use graph::{ID_PROPERTY, KIND_PROPERTY, Patch, Subject, Value};
use stores::{Datum, Rows};

use super::ReconcileModel;
use super::flaw::Flaw;
use super::state::{Pass, Stage, State};
use super::stores::Content;
use crate::host::{Hosting, NOW};

/// One page holds everything, and nobody asks for a pass but the model.
const CONFIG: Config = Config { period: None, page: 2, findings_max: 2 };

/// Passes ask under this number plus how many may still be made.
const REQUESTS: u64 = 10;

impl ReconcileModel {
    pub(super) fn run(&self, state: &mut State, task: Task) {
        state.left.passes -= 1;
        let request = RequestId(REQUESTS + u64::from(state.left.passes));
        let core = Arc::new(Reconcile::new(CONFIG));
        state.passes.insert(task, Pass { core, stage: Stage::Waiting, request, undisturbed: true });
        self.guide(state, task, Input::Run { request, task }, None);
    }

    pub(super) fn scan_sql(&self, state: &mut State, task: Task) {
        let Stage::HalfScanned { in_graph, touched } = state.passes[&task].stage else {
            panic!("the graph comes first")
        };
        let page = self.page(in_graph, state.ledger.row);
        // What is under way may be in one store and hide what somebody did by hand. Only a suspect
        // is waited for; where the scans see no difference, the next pass does.
        if page.suspects.is_empty() && (touched || state.is_touched()) {
            state.passes.get_mut(&task).expect("the pass is under way").undisturbed = false;
        }
        let scanned = (self.flaw == Some(Flaw::ScansTrusted)).then(|| self.evidence(state, in_graph));
        self.guide(state, task, Input::Compared(page), scanned.as_ref());
    }

    pub(super) fn open_case(&self, state: &mut State, task: Task) {
        let Stage::Asking(evidence, reason) = state.passes[&task].stage.clone() else { panic!("no case is asked for") };
        // One is open about the entity at most: it says what was found last.
        Arc::make_mut(&mut state.ledger).case = Some(reason);
        self.guide(state, task, Input::Recorded { evidence: *evidence, case: 1 }, None);
    }

    /// A pass hears from the commit core.
    pub(super) fn answer_pass(&self, state: &mut State, request: RequestId, answer: Answer) {
        let Some((task, _)) = asked_by(state, request) else {
            state.wrongs.untrue = true;
            return;
        };
        let input = match (task, answer) {
            (Task::Validate, Answer::Examined(evidence)) => Input::Examined(*evidence),
            (Task::Validate, Answer::Rejected(rejection)) => Input::Failed { reason: rejection.to_string() },
            (_, answer) => Input::Repaired(repaired(answer)),
        };
        self.guide(state, task, input, None);
    }

    /// A pass is told something, and what it asks for begins. In a flawed world it trusts what
    /// it has `scanned`.
    pub(super) fn guide(&self, state: &mut State, task: Task, input: Input, scanned: Option<&Evidence>) {
        let pass = state.passes.get_mut(&task).expect("the pass is under way");
        let effects = Arc::make_mut(&mut pass.core).handle(NOW, input).effects;
        let request = pass.request;
        for effect in effects {
            let stage = match effect {
                ReconcileEffect::Compare { from: Position::Entities(_), .. } => Stage::Scanning,
                ReconcileEffect::Compare { from: Position::Links(_), .. } => {
                    let nothing = Page { compared: 0, suspects: Vec::new(), foreign: Vec::new(), next: None };
                    self.guide(state, task, Input::Compared(nothing), None);
                    continue;
                }
                ReconcileEffect::Record { evidence, reason } => Stage::Asking(evidence, reason),
                ReconcileEffect::Report { summary, .. } => {
                    let pass = state.passes.remove(&task).expect("the pass is under way");
                    self.conclude(state, &pass, &summary);
                    continue;
                }
                ReconcileEffect::Examine { subject } => {
                    set_stage(state, task, Stage::Waiting);
                    self.tell(state, NOW, ToCommit::Examine { request, subject });
                    continue;
                }
                ReconcileEffect::Repair { subject, order } => {
                    set_stage(state, task, Stage::Waiting);
                    self.repair(state, request, subject, order, scanned);
                    continue;
                }
            };
            set_stage(state, task, stage);
        }
    }

    fn repair(
        &self,
        state: &mut State,
        request: RequestId,
        subject: Subject,
        order: Order,
        scanned: Option<&Evidence>,
    ) {
        match (self.flaw, scanned) {
            (Some(Flaw::ExaminedWithoutLocks), _) => {
                self.start(state, EffectId::Examine(request), Asked::Examine { subject });
            }
            (Some(Flaw::ScansTrusted), Some(scanned)) => {
                assert!(self.repair_by(state, request, scanned), "a repair is asked for by a reconciliation");
            }
            _ => self.tell(state, NOW, ToCommit::Repair { request, subject, order }),
        }
    }

    /// Decides at once and repairs in an ordinary transaction, in a flawed world; false if
    /// nobody asked for a repair.
    pub(super) fn repair_by(&self, state: &mut State, request: RequestId, evidence: &Evidence) -> bool {
        let Some((task @ Task::Reconcile(policy), _)) = asked_by(state, request) else { return false };
        let verdict = match judge(Order::Policy(policy), evidence) {
            Verdict::Agreed => Repaired::Agreed,
            Verdict::Undecided(reason) => Repaired::Undecided(reason, Box::new(evidence.clone())),
            Verdict::Restore(operation) => {
                let patch = Patch { operations: vec![operation] };
                self.submit(state, request, format!("repair-{}", request.0), patch);
                return true;
            }
        };
        self.guide(state, task, Input::Repaired(verdict), None);
        true
    }

    /// What a pass reports has to be so, and has to stay so until somebody changes a store by hand.
    fn conclude(&self, state: &mut State, pass: &Pass, summary: &Summary) {
        let committed = |tx| {
            let entry = state.ledger.log.get(tx);
            entry.is_some_and(|entry| entry.deed.is_repair() && entry.outcome == Some(Decision::Committed))
        };
        let untrue = summary.findings.iter().any(|finding| match &finding.done {
            Done::Repaired { tx } => !committed(tx),
            Done::Case { .. } => state.ledger.case.is_none(),
            Done::Foreign => true,
            Done::Nothing | Done::Skipped { .. } => false,
        });
        // What a reconciliation saw and did not repair waits for a person.
        let looked_at_all = summary.complete && summary.skipped == 0;
        let left = summary.task != Task::Validate && looked_at_all && !summary.is_clean();
        state.wrongs.untrue |= untrue || left && state.ledger.case.is_none();
        state.wrongs.unfounded |= summary.differences > 0 && self.changes(state) == 0;
        state.vouched |= pass.undisturbed && summary.is_clean();
    }

    /// What the scans of both stores say, compared as production does.
    fn page(&self, in_graph: Option<Content>, in_sql: Option<Content>) -> Page {
        let row = |content: Content| {
            // None has a canonical key: names are the subject of another model.
            let graph::Content { kind, mut properties, .. } = content.unfold();
            properties.insert(ID_PROPERTY.to_owned(), Value::from(self.entity.as_str()));
            properties.insert(KIND_PROPERTY.to_owned(), Value::from(kind.as_str()));
            vec![Datum::from(self.entity.as_str()), properties.into()]
        };
        let subject = || Subject::Entity(self.entity.clone());
        let in_graph: Rows = in_graph.into_iter().map(row).collect();
        let in_sql = in_sql.into_iter().map(|content| (subject(), Some(content.unfold()))).collect();
        compare(&Position::Entities(None), &in_graph, in_sql, CONFIG.page).expect("the page begins at the beginning")
    }
}

pub(super) fn scan_graph(state: &mut State, task: Task) {
    let (in_graph, touched) = (state.graph.entity, state.is_touched());
    set_stage(state, task, Stage::HalfScanned { in_graph, touched });
}

fn set_stage(state: &mut State, task: Task, stage: Stage) {
    state.passes.get_mut(&task).expect("the pass is under way").stage = stage;
}

/// The pass that asked the commit core under this name.
fn asked_by(state: &State, request: RequestId) -> Option<(Task, &Pass)> {
    let mut passes = state.passes.iter().filter(|(_, pass)| pass.request == request);
    passes.next().map(|(task, pass)| (*task, pass))
}
