//! What each action does, but for what is a pass's own.

use std::sync::Arc;

use coordinator::commit::{
    Answer, ContentHash, Decision, EffectId, Failure, IdempotencyKey, Input, Intent, Report, RequestId, Submission,
};
use coordinator::reconcile::{Evidence, Held, Logged};
use graph::{Patch, Subject, TxId};

use super::action::{Action, Beginning, Change, Store};
use super::flaw::Flaw;
use super::state::{Host, State};
use super::stores::{Content, Deed};
use super::{ReconcileModel, pass};
use crate::commit::Told;
use crate::host::{GraphRequest, Hosting, NOW, Progress, Work, outcome};

/// Who created the entity, and who deleted it, before the model began.
const BEFORE: [TxId; 2] = [TxId { incarnation: 0, serial: 1 }, TxId { incarnation: 0, serial: 2 }];

/// The client's requests come before those of passes.
const CLIENT: RequestId = RequestId(1);

impl ReconcileModel {
    pub(super) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Begin(beginning) => begin(state, beginning),
            Action::Submit(deed) => {
                state.left.transactions -= 1;
                state.client.waiting = true;
                state.client.told = Told::Nothing;
                let key = format!("client-{}", state.left.transactions);
                self.submit(state, CLIENT, key, deed.patch(&self.entity));
            }
            Action::Tamper(store, change) => tamper(state, store, change),
            Action::Run(task) => self.run(state, task),
            Action::ScanGraph(task) => pass::scan_graph(state, task),
            Action::ScanSql(task) => self.scan_sql(state, task),
            Action::OpenCase(task) => self.open_case(state, task),
            Action::Host(action) => self.take_step(state, action),
        }
    }

    pub(super) fn submit(&self, state: &mut State, request: RequestId, key: String, patch: Patch) {
        let submission = Submission { key: IdempotencyKey(key), hash: ContentHash(String::new()), patch };
        self.tell(state, NOW, Input::Submit { request, submission });
    }

    /// What is known of the entity when the graph has said this and SQLite is asked now.
    pub(super) fn evidence(&self, state: &State, in_graph: Option<Content>) -> Evidence {
        let log = match (self.flaw, state.ledger.logged()) {
            (Some(Flaw::DeletionForgotten), Logged::Removed { .. }) => Logged::Never,
            (Some(Flaw::CreationForgotten), Logged::Present { .. }) => Logged::Never,
            (_, logged) => logged,
        };
        Evidence {
            subject: Subject::Entity(self.entity.clone()),
            graph: in_graph.map_or(Held::Absent, |content| Held::Present(content.unfold())),
            sql: state.ledger.row.map(Content::unfold),
            log,
            linked: false,
            loose: false,
            rivals: Vec::new(),
            unaccounted: Vec::new(),
        }
    }

    fn finish(&self, state: &mut State, tx: TxId, decision: &Decision) -> Report {
        let ledger = Arc::make_mut(&mut state.ledger);
        if let (Decision::Committed, Some(Deed::Restore { content, .. })) =
            (decision, ledger.log.get(&tx).map(|entry| entry.deed))
        {
            state.wrongs.overruled |= match ledger.logged_by_clients() {
                Logged::Present { .. } => content.is_none(),
                Logged::Removed { .. } => content.is_some(),
                Logged::Never | Logged::Unreadable(_) => false,
            };
        }
        ledger.finish(tx, decision, &self.entity)
    }

    fn answer_client(&self, state: &mut State, answer: Answer) {
        // Nobody is answered twice.
        state.wrongs.untrue |= !state.client.waiting;
        state.client.waiting = false;
        match answer {
            Answer::Settled(settled) => state.client.told = Told::Settled(settled.tx, settled.decision),
            Answer::Rejected(_) => state.client.told = Told::Rejected,
            Answer::Unknown(_) => {}
            _ => state.wrongs.untrue = true,
        }
    }
}

fn begin(state: &mut State, beginning: Beginning) {
    state.begun = true;
    let content = Content { written: 0, by_hand: false };
    let [created, deleted] = BEFORE;
    let ledger = Arc::make_mut(&mut state.ledger);
    if beginning != Beginning::Empty {
        ledger.events.push((created, Deed::Create(content.written)));
    }
    match beginning {
        Beginning::Empty => {}
        Beginning::Created => {
            ledger.row = Some(content);
            Arc::make_mut(&mut state.graph).entity = Some(content);
        }
        Beginning::Deleted => ledger.events.push((deleted, Deed::Delete)),
    }
}

fn tamper(state: &mut State, store: Store, change: Change) {
    state.left.changes -= 1;
    state.vouched = false;
    for pass in state.passes.values_mut() {
        pass.undisturbed = false;
    }
    let entity = match store {
        Store::Graph => &mut Arc::make_mut(&mut state.graph).entity,
        Store::Sql => &mut Arc::make_mut(&mut state.ledger).row,
    };
    *entity = match (change, *entity) {
        (Change::Put, None) => Some(Content { written: 0, by_hand: true }),
        (Change::Put, Some(content)) => Some(Content { by_hand: !content.by_hand, ..content }),
        (Change::Remove, _) => None,
    };
}

impl Hosting for ReconcileModel {
    type State = State;
    type Patch = Deed;
    type Half = Option<Content>;

    fn host(state: &mut State) -> &mut Host {
        &mut state.host
    }

    fn name_patch(&self, patch: &Patch) -> Deed {
        Deed::of(patch)
    }

    fn unresolved(&self, state: &State) -> Vec<Intent> {
        let unresolved = state.ledger.log.iter().filter(|(_, entry)| entry.outcome.is_none());
        let intents = unresolved.map(|(tx, entry)| {
            let (key, hash) = (IdempotencyKey(tx.to_string()), ContentHash(String::new()));
            Intent::new(*tx, key, hash, &entry.deed.patch(&self.entity))
        });
        intents.collect()
    }

    fn execute(
        &self,
        state: &mut State,
        work: Work<Deed>,
        progress: Progress<Option<Content>>,
    ) -> Progress<Option<Content>> {
        let entity = &self.entity;
        Progress::Executed(match (work, progress) {
            (Work::Intend(tx, deed), _) => Ok(Arc::make_mut(&mut state.ledger).intend(tx, deed, entity)),
            (Work::Finish(tx, decision), _) => Ok(self.finish(state, tx, &decision)),
            (Work::Graph(GraphRequest::Decide(tx, deed)), _) => {
                Arc::make_mut(&mut state.graph).decide(tx, deed, entity)
            }
            (Work::Graph(GraphRequest::Fence(tx) | GraphRequest::FenceCommit(tx)), _) => {
                Ok(Report::Fenced { committed: Arc::make_mut(&mut state.graph).fence(tx) })
            }
            (Work::Read, Progress::HalfRead(in_graph)) => {
                Ok(Report::Examined(Box::new(self.evidence(state, in_graph))))
            }
            (Work::Read, _) => return Progress::HalfRead(state.graph.entity),
            (Work::Append(request), _) => panic!("{request:?} appends, and nobody does"),
        })
    }

    fn report(&self, state: &mut State, id: EffectId, result: Result<Report, Failure>) {
        if let (Some(Flaw::ExaminedWithoutLocks), EffectId::Examine(request), Ok(Report::Examined(evidence))) =
            (self.flaw, id, &result)
            && self.repair_by(state, request, evidence)
        {
            return;
        }
        self.tell(state, NOW, outcome(id, result));
    }

    fn answer(&self, state: &mut State, request: RequestId, answer: Answer) {
        if request == CLIENT {
            self.answer_client(state, answer);
        } else {
            self.answer_pass(state, request, answer);
        }
    }

    fn hang_up(&self, state: &mut State) {
        state.client.waiting = false;
        state.passes.clear();
    }
}
