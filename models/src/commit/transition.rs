//! What each action does.

use std::sync::Arc;

use coordinator::commit::{
    AbortReason, Action as Asked, Answer, Decision, EffectId, EntityView, Failure, Input, Intent, Rejection, Report,
    RequestId,
};
use graph::{Patch, Refusal, TxId, Value};

use super::action::Action;
use super::flaw::Flaw;
use super::state::{Host, State, Told};
use super::stores::Writer;
use super::{CommitModel, KIND};
use crate::host::{GraphRequest, Hosting, NOW, Progress, Work, outcome};

/// A writer's requests are numbered from ten times its position plus one; the reader's from 1.
const REQUESTS_PER_CLIENT: u64 = 10;

impl CommitModel {
    pub(super) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Submit(writer) => self.submit(state, writer),
            Action::Read => self.read(state),
            Action::Host(action) => self.take_step(state, action),
        }
    }

    fn submit(&self, state: &mut State, writer: Writer) {
        let known = state.known;
        let client = &mut state.writers[usize::from(writer)];
        client.attempts += 1;
        client.waiting = true;
        client.told = Told::Nothing;
        if !client.in_doubt {
            client.floor = known;
        }
        let request = (u64::from(writer) + 1) * REQUESTS_PER_CLIENT + u64::from(client.attempts);
        let submission = self.scripts[usize::from(writer)].clone();
        self.tell(state, NOW, Input::Submit { request: RequestId(request), submission });
    }

    fn read(&self, state: &mut State) {
        state.reader.reads += 1;
        state.reader.waiting = Some(state.known);
        let request = state.reader.request();
        let entity = self.entity.clone();
        if self.flaw == Some(Flaw::ReadWithoutLock) {
            self.start(state, EffectId::Load(request), Asked::Load { entity });
        } else {
            self.tell(state, NOW, Input::Read { request, entity });
        }
    }

    fn execute_in_graph(&self, state: &mut State, request: GraphRequest<Writer>) -> Result<Report, Failure> {
        match request {
            GraphRequest::Decide(tx, writer) => Arc::make_mut(&mut state.graph).decide(tx, writer, &self.entity),
            GraphRequest::Fence(tx) => {
                let seen = state.graph.markers.get(&tx) == Some(&true);
                let committed = match self.flaw {
                    Some(Flaw::FenceOnlyReads) => seen,
                    Some(Flaw::FenceTrustedEarly) => {
                        state.host.stray(GraphRequest::FenceCommit(tx));
                        seen
                    }
                    _ => Arc::make_mut(&mut state.graph).fence(tx),
                };
                Ok(Report::Fenced { committed })
            }
            GraphRequest::FenceCommit(tx) => {
                Ok(Report::Fenced { committed: Arc::make_mut(&mut state.graph).fence(tx) })
            }
        }
    }

    /// What a load makes of its two halves, as production does.
    fn view(&self, writes: &[TxId], rows: &[TxId]) -> Result<Report, Failure> {
        match (writes.last(), rows.last()) {
            (None, None) => Ok(Report::Loaded(None)),
            (Some(writer), Some(tx)) => Ok(Report::Loaded(Some(EntityView {
                id: self.entity.clone(),
                kind: KIND.parse().expect("a kind"),
                key: None,
                properties: [("by".to_owned(), Value::from(writer.to_string()))].into(),
                links: Vec::new(),
                version: rows.len() as u64,
                tx: *tx,
            }))),
            _ => Err(Failure::Refused { reason: "only one store has it".to_owned(), retryable: false }),
        }
    }
}

impl Hosting for CommitModel {
    type State = State;
    type Patch = Writer;
    type Half = Vec<TxId>;

    fn host(state: &mut State) -> &mut Host {
        &mut state.host
    }

    fn name_patch(&self, patch: &Patch) -> Writer {
        let position = self.scripts.iter().position(|script| script.patch == *patch);
        Writer::try_from(position.expect("the core asks for what a client asked for")).expect("few clients")
    }

    fn unresolved(&self, state: &State) -> Vec<Intent> {
        let unresolved = state.ledger.log.iter().filter(|(_, entry)| entry.outcome.is_none());
        let intents = unresolved.map(|(tx, entry)| {
            let script = self.scripts[usize::from(entry.writer)].clone();
            Intent::new(*tx, script.key, script.hash, &script.patch)
        });
        intents.collect()
    }

    fn execute(&self, state: &mut State, work: Work<Writer>, progress: Progress<Vec<TxId>>) -> Progress<Vec<TxId>> {
        match (work, progress) {
            (Work::Intend(tx, writer), _) => {
                Progress::Executed(Ok(Arc::make_mut(&mut state.ledger).intend(tx, writer, &self.entity)))
            }
            (Work::Finish(tx, decision), _) => {
                if self.flaw == Some(Flaw::MarkerCollectedEarly) {
                    Arc::make_mut(&mut state.graph).markers.remove(&tx);
                }
                Progress::Executed(Ok(Arc::make_mut(&mut state.ledger).finish(tx, &decision)))
            }
            (Work::Graph(request), _) => Progress::Executed(self.execute_in_graph(state, request)),
            (Work::Read, Progress::HalfRead(writes)) => Progress::Executed(self.view(&writes, &state.ledger.rows)),
            (Work::Read, _) => Progress::HalfRead(state.graph.writes.clone()),
            (Work::Append(request), _) => panic!("{request:?} appends, and nobody does"),
        }
    }

    fn report(&self, state: &mut State, id: EffectId, result: Result<Report, Failure>) {
        if let (Some(Flaw::ReadWithoutLock), EffectId::Load(request)) = (self.flaw, id) {
            let answer = match result {
                Ok(Report::Loaded(view)) => Answer::Entity(view),
                other => Answer::Rejected(Rejection::Unavailable(format!("{other:?}"))),
            };
            self.answer(state, request, answer);
            return;
        }
        let constraint = result == Err(Failure::Constraint);
        self.tell(state, NOW, outcome(id, result));
        if let (Some(Flaw::MarkerTakenAsRefusal), EffectId::Decide(tx, _), true) = (self.flaw, id, constraint) {
            let fence = EffectId::Fence(tx, 1);
            state.host.take(fence);
            self.tell(state, NOW, Input::Done { effect: fence, report: Report::Fenced { committed: false } });
        }
    }

    fn answer(&self, state: &mut State, request: RequestId, answer: Answer) {
        match (request.0 / REQUESTS_PER_CLIENT).checked_sub(1) {
            None => answer_reader(state, request, answer),
            Some(writer) => {
                let writer = usize::try_from(writer).expect("few clients");
                let client = &mut state.writers[writer];
                let asked = client.waiting && u64::from(client.attempts) == request.0 % REQUESTS_PER_CLIENT;
                client.waiting = false;
                // Nobody is answered twice, or for an attempt that ended.
                state.wrongs.untrue |= !asked;
                answer_writer(state, writer, answer);
            }
        }
    }

    fn hang_up(&self, state: &mut State) {
        for client in state.writers.iter_mut().filter(|client| client.waiting) {
            client.waiting = false;
            client.in_doubt = true;
        }
        state.reader.waiting = None;
        if self.flaw == Some(Flaw::IntentNotDurable) {
            Arc::make_mut(&mut state.ledger).log.retain(|_, entry| entry.outcome.is_some());
        }
    }
}

/// A read is in its place in the order of versions if it saw at least what was known when
/// it began, and one moment of both stores.
fn answer_reader(state: &mut State, request: RequestId, answer: Answer) {
    let floor = state.reader.waiting.take().filter(|_| state.reader.request() == request);
    let Some(floor) = floor else {
        state.wrongs.untrue = true;
        return;
    };
    let version = match answer {
        Answer::Entity(None) => 0,
        Answer::Entity(Some(view)) => {
            state.wrongs.torn |= view.properties.get("by") != Some(&Value::from(view.tx.to_string()));
            usize::try_from(view.version).expect("few versions")
        }
        // Nothing fails a load in the model but halves that do not fit together.
        Answer::Rejected(Rejection::Unavailable(_)) => {
            state.wrongs.torn = true;
            return;
        }
        Answer::Rejected(_) => return,
        _ => {
            state.wrongs.untrue = true;
            return;
        }
    };
    state.wrongs.stale |= version < floor;
    state.known = state.known.max(version);
}

/// A write is in its place in the order of versions if it comes after all that was known
/// when it began; a refusal, if the entity was as it says.
fn answer_writer(state: &mut State, writer: usize, answer: Answer) {
    let client = &mut state.writers[writer];
    match answer {
        Answer::Settled(settled) => {
            match &settled.decision {
                Decision::Committed => {
                    let before = state.ledger.rows.iter().position(|tx| *tx == settled.tx);
                    let version = before.map_or(0, |before| before + 1);
                    state.wrongs.stale |= version <= client.floor;
                    state.known = state.known.max(version);
                }
                Decision::Aborted { reason: AbortReason::Refused(Refusal::NoSuchEntity(_)) } => {
                    state.wrongs.stale |= client.floor > 0;
                }
                Decision::Aborted { .. } => {}
            }
            client.told = Told::Settled(settled.tx, settled.decision);
        }
        Answer::Unknown(_) => {
            client.in_doubt = true;
            client.unknown = true;
        }
        Answer::Rejected(_) => client.told = Told::Rejected,
        _ => state.wrongs.untrue = true,
    }
}
