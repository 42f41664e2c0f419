//! What each action does.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::commit::{
    AbortReason, Action as Asked, Answer, Commit, CommitEffect, Decision, EffectId, EntityView, Failure, Input, Intent,
    Rejection, Report, RequestId,
};
use env::Core;
use graph::{Millis, Refusal, TxId, Value};

use super::action::Action;
use super::flaw::Flaw;
use super::state::{Effect, GraphRequest, Process, Progress, State, Told, Work};
use super::stores::Writer;
use super::{CommitModel, KIND};

/// No time passes in the model, but for time-outs.
const NOW: Millis = Millis::ZERO;

/// A writer's requests are numbered from ten times its position plus one; the reader's from 1.
const REQUESTS_PER_CLIENT: u64 = 10;

impl CommitModel {
    pub(super) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Submit(writer) => self.submit(state, writer),
            Action::Read => self.read(state),
            Action::Execute(id) => self.execute(state, id),
            Action::Report(id) => self.report(state, id),
            Action::Lose(id) => {
                state.left.faults -= 1;
                let effect = take(state, id);
                if let (Work::Graph(request), Progress::Asked) = (effect.work, effect.progress) {
                    stray(state, request);
                }
                let failure = Failure::Unknown { reason: "lost".to_owned() };
                self.tell(state, NOW, Input::Failed { effect: id, failure });
            }
            Action::Refuse { effect, retryable } => {
                state.left.faults -= 1;
                take(state, effect);
                let failure = Failure::Refused { reason: "refused".to_owned(), retryable };
                self.tell(state, NOW, Input::Failed { effect, failure });
            }
            Action::Arrive(request) => {
                let position = state.strays.iter().position(|stray| *stray == request).expect("it is on its way");
                state.strays.remove(position);
                // Nobody waits for what comes of it.
                let _ = self.execute_in_graph(state, request);
            }
            Action::TimeOut => {
                state.left.faults -= 1;
                self.tell(state, NOW + self.config.answer_timeout_ms, Input::Timeout);
            }
            Action::Crash => {
                state.left.crashes -= 1;
                self.end(state);
            }
            Action::Exit => self.end(state),
            Action::Restart => self.restart(state),
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

    fn execute(&self, state: &mut State, id: EffectId) {
        let effect = process(state).effects.get(&id).expect("the effect is under way").clone();
        let progress = match (effect.work, effect.progress) {
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
            (Work::Load, Progress::HalfRead(writes)) => Progress::Executed(self.view(&writes, &state.ledger.rows)),
            (Work::Load, _) => Progress::HalfRead(state.graph.writes.clone()),
        };
        process(state).effects.get_mut(&id).expect("just looked at").progress = progress;
    }

    fn execute_in_graph(&self, state: &mut State, request: GraphRequest) -> Result<Report, Failure> {
        match request {
            GraphRequest::Decide(tx, writer) => Arc::make_mut(&mut state.graph).decide(tx, writer, &self.entity),
            GraphRequest::Fence(tx) => {
                let seen = state.graph.markers.get(&tx) == Some(&true);
                let committed = match self.flaw {
                    Some(Flaw::FenceOnlyReads) => seen,
                    Some(Flaw::FenceTrustedEarly) => {
                        stray(state, GraphRequest::FenceCommit(tx));
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

    fn report(&self, state: &mut State, id: EffectId) {
        let effect = take(state, id);
        let Progress::Executed(result) = effect.progress else { panic!("{id:?} has no result yet") };
        if let (Some(Flaw::ReadWithoutLock), EffectId::Load(request)) = (self.flaw, id) {
            let answer = match result {
                Ok(Report::Loaded(view)) => Answer::Entity(view),
                other => Answer::Rejected(Rejection::Unavailable(format!("{other:?}"))),
            };
            self.answer(state, request, answer);
            return;
        }
        let constraint = result == Err(Failure::Constraint);
        let input = match result {
            Ok(report) => Input::Done { effect: id, report },
            Err(failure) => Input::Failed { effect: id, failure },
        };
        self.tell(state, NOW, input);
        if let (Some(Flaw::MarkerTakenAsRefusal), EffectId::Decide(tx, _), true) = (self.flaw, id, constraint) {
            let fence = EffectId::Fence(tx, 1);
            take(state, fence);
            self.tell(state, NOW, Input::Done { effect: fence, report: Report::Fenced { committed: false } });
        }
    }

    /// The process is gone, with everything it had not made durable.
    fn end(&self, state: &mut State) {
        let Process { effects, .. } = state.process.take().expect("it was running");
        for effect in effects.into_values() {
            if let Effect { work: Work::Graph(request), progress: Progress::Asked } = effect {
                stray(state, request);
            }
        }
        for client in state.writers.iter_mut().filter(|client| client.waiting) {
            client.waiting = false;
            client.in_doubt = true;
        }
        state.reader.waiting = None;
        if self.flaw == Some(Flaw::IntentNotDurable) {
            Arc::make_mut(&mut state.ledger).log.retain(|_, entry| entry.outcome.is_some());
        }
    }

    fn restart(&self, state: &mut State) {
        state.incarnation += 1;
        let unresolved = state.ledger.log.iter().filter(|(_, entry)| entry.outcome.is_none());
        let intents = unresolved.map(|(tx, entry)| {
            let script = self.scripts[usize::from(entry.writer)].clone();
            Intent { tx: *tx, key: script.key, hash: script.hash, patch: script.patch }
        });
        let (core, step) = Commit::recover(self.config, state.incarnation, intents.collect())
            .unwrap_or_else(|conflict| panic!("recovery failed: {conflict}"));
        state.process = Some(Process { core: Arc::new(core), effects: BTreeMap::new() });
        self.carry_out(state, step.effects);
    }

    fn tell(&self, state: &mut State, now: Millis, input: Input) {
        let step = Arc::make_mut(&mut process(state).core).handle(now, input);
        self.carry_out(state, step.effects);
    }

    fn carry_out(&self, state: &mut State, effects: Vec<CommitEffect>) {
        for effect in effects {
            match effect {
                CommitEffect::Do { id, action } => self.start(state, id, action),
                CommitEffect::Reply { request, answer } => self.answer(state, request, answer),
                // The core's status says so for as long as the process lives.
                CommitEffect::Halt { .. } => {}
            }
        }
    }

    fn start(&self, state: &mut State, id: EffectId, action: Asked) {
        let work = match action {
            Asked::Intend(intent) => {
                Work::Intend(intent.tx, self.writer(|script| script.key == intent.key && script.patch == intent.patch))
            }
            Asked::Decide { tx, patch } => {
                Work::Graph(GraphRequest::Decide(tx, self.writer(|script| script.patch == patch)))
            }
            Asked::Fence { tx } => Work::Graph(GraphRequest::Fence(tx)),
            Asked::Finish { tx, decision } => Work::Finish(tx, decision),
            Asked::Load { entity } => {
                assert_eq!(entity, self.entity, "the core loads another entity than it was asked for");
                Work::Load
            }
            Asked::Find { key, .. } => panic!("nobody asked who has the key {key}"),
            Asked::LookUp { tx } => panic!("nobody asked what became of {tx}"),
            Asked::Examine { subject } => panic!("nobody asked to compare or to repair {subject}"),
            Asked::IntendRepair { intent, .. } => panic!("nobody asked for the repair {}", intent.tx),
        };
        let before = process(state).effects.insert(id, Effect { work, progress: Progress::Asked });
        assert_eq!(before, None, "{id:?} was asked for twice");
    }

    fn writer(&self, wanted: impl Fn(&coordinator::commit::Submission) -> bool) -> Writer {
        let position = self.scripts.iter().position(wanted).expect("the core asks for what a client asked for");
        Writer::try_from(position).expect("few clients")
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

fn process(state: &mut State) -> &mut Process {
    state.process.as_mut().expect("the process runs")
}

fn take(state: &mut State, id: EffectId) -> Effect {
    process(state).effects.remove(&id).unwrap_or_else(|| panic!("{id:?} is not under way"))
}

fn stray(state: &mut State, request: GraphRequest) {
    let position = state.strays.partition_point(|stray| *stray < request);
    state.strays.insert(position, request);
}
