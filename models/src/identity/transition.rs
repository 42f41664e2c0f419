//! What each action does.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::commit::{
    Action as Asked, Answer, Commit, CommitEffect, ContentHash, Decision, EffectId, Failure, IdempotencyKey, Input,
    Intent, Report, RequestId, Submission,
};
use env::Core;
use graph::{EntityId, Millis, Patch, TxId};

use super::IdentityModel;
use super::flaw::Flaw;
use super::state::{Effect, GraphRequest, Process, Progress, State};
use super::stores::{Ledger, Script};
use crate::commit::Action;
use crate::host::{self, CONFIG};

/// Requests are numbered from ten times their script.
const REQUESTS_PER_SCRIPT: u64 = 10;

impl IdentityModel {
    pub(super) fn apply(&self, state: &mut State, action: Action) {
        match action {
            Action::Submit(script) => self.submit(state, script),
            Action::Host(action) => self.go_on(state, action),
            Action::Read => panic!("nobody reads in this model"),
        }
    }

    /// The coordinator, a store or the network goes on, or fails.
    fn go_on(&self, state: &mut State, action: host::Action<Script>) {
        match action {
            host::Action::Execute(id) => self.execute(state, id),
            host::Action::Report(id) => {
                let Progress::Executed(result) = take(state, id).progress else { panic!("{id:?} has no result yet") };
                let input = match result {
                    Ok(report) => Input::Done { effect: id, report },
                    Err(failure) => Input::Failed { effect: id, failure },
                };
                self.tell(state, input);
            }
            host::Action::Lose(id) => {
                state.left.faults -= 1;
                abandon(state, id);
                let failure = Failure::Unknown { reason: "lost".to_owned() };
                self.tell(state, Input::Failed { effect: id, failure });
            }
            host::Action::Arrive(request) => {
                let position = state.strays.iter().position(|stray| *stray == request).expect("it is on its way");
                state.strays.remove(position);
                // Nobody waits for what comes of it.
                let _ = execute_in_graph(state, request);
            }
            host::Action::Crash => {
                state.left.crashes -= 1;
                end(state);
            }
            host::Action::Exit => end(state),
            host::Action::Restart => self.restart(state),
            host::Action::Refuse { .. } | host::Action::TimeOut => panic!("{action} is not of this model"),
        }
    }

    fn submit(&self, state: &mut State, script: Script) {
        let patch = self.script(state, script).expect("it was offered");
        let client = &mut state.clients[usize::from(script)];
        client.attempts += 1;
        client.waiting = true;
        let request = RequestId(u64::from(script) * REQUESTS_PER_SCRIPT + u64::from(client.attempts));
        let (key, hash) = (IdempotencyKey(format!("script-{script}")), ContentHash(format!("hash-{script}")));
        self.tell(state, Input::Submit { request, submission: Submission { key, hash, patch } });
    }

    fn execute(&self, state: &mut State, id: EffectId) {
        let action = process(state).effects[&id].action.clone();
        let result = match action {
            Asked::Intend(intent) => {
                let patch = self.named(&state.ledger, intent.tx, &intent.patch);
                Ok(state.ledger.intend(Intent { patch, ..intent }, &self.kind, &self.key))
            }
            Asked::Finish { tx, decision } => Ok(state.ledger.finish(tx, &decision)),
            Asked::Decide { tx, .. } => execute_in_graph(state, GraphRequest::Decide(tx, 0)),
            Asked::Fence { tx } => execute_in_graph(state, GraphRequest::Fence(tx)),
            action => panic!("nobody asked for {action:?}"),
        };
        process(state).effects.get_mut(&id).expect("just looked at").progress = Progress::Executed(result);
    }

    /// The ids that a transaction makes: those of the core, unless a flaw has it otherwise.
    fn named(&self, ledger: &Ledger, tx: TxId, patch: &Patch) -> Patch {
        if self.flaw != Some(Flaw::BurntSerialReused) {
            return patch.clone();
        }
        let burnt = |outcome: &Option<Decision>| matches!(outcome, Some(Decision::Aborted { .. }));
        let counted = ledger.log.values().filter(|entry| !burnt(&entry.outcome)).count();
        let counted = TxId { incarnation: 1, serial: counted as u64 + 1 };
        patch.renamed(&[(EntityId::generated(tx, 0), EntityId::generated(counted, 0))].into())
    }

    fn restart(&self, state: &mut State) {
        if self.flaw != Some(Flaw::IncarnationNotAdvanced) {
            state.incarnation += 1;
        }
        let unresolved = state.ledger.log.values().filter(|entry| entry.outcome.is_none());
        let intents = unresolved.map(|entry| entry.intent.clone()).collect();
        let (core, step) = Commit::recover(CONFIG, state.incarnation, intents)
            .unwrap_or_else(|conflict| panic!("recovery failed: {conflict}"));
        state.process = Some(Process { core: Arc::new(core), effects: BTreeMap::new() });
        self.carry_out(state, step.effects);
    }

    fn tell(&self, state: &mut State, input: Input) {
        let step = Arc::make_mut(&mut process(state).core).handle(Millis::ZERO, input);
        self.carry_out(state, step.effects);
    }

    fn carry_out(&self, state: &mut State, effects: Vec<CommitEffect>) {
        for effect in effects {
            match effect {
                CommitEffect::Do { id, action } => {
                    let before = process(state).effects.insert(id, Effect { action, progress: Progress::Asked });
                    assert_eq!(before, None, "{id:?} was asked for twice");
                }
                CommitEffect::Reply { request, answer } => self.answer(state, request, answer),
                // The core's status says so for as long as the process lives.
                CommitEffect::Halt { .. } => {}
            }
        }
    }

    fn answer(&self, state: &mut State, request: RequestId, answer: Answer) {
        let script = Script::try_from(request.0 / REQUESTS_PER_SCRIPT).expect("few scripts");
        let patch = self.script(state, script).expect("it was submitted");
        let client = &mut state.clients[usize::from(script)];
        client.waiting = false;
        match answer {
            Answer::Settled(settled) => {
                if settled.decision == Decision::Committed {
                    // As the server does it: from the name that the log knows, and what the client sent.
                    client.created = patch.generated(settled.tx).into_values().next();
                }
                client.told = Some((settled.tx, settled.decision));
            }
            Answer::Unknown(_) | Answer::Rejected(_) => {}
            answer => panic!("a transaction was answered with {answer:?}"),
        }
    }
}

/// A transaction changes what its intent says, however late it comes.
fn execute_in_graph(state: &mut State, request: GraphRequest) -> Result<Report, Failure> {
    match request {
        GraphRequest::Decide(tx, _) => state.graph.decide(tx, &state.ledger.log[&tx].intent.patch),
        GraphRequest::Fence(tx) => Ok(state.graph.fence(tx)),
        GraphRequest::FenceCommit(tx) => panic!("no fence of {tx} is committed later"),
    }
}

/// The process is gone, with everything it had not made durable.
fn end(state: &mut State) {
    let ids: Vec<EffectId> = process(state).effects.keys().copied().collect();
    for id in ids {
        abandon(state, id);
    }
    state.process = None;
    for client in &mut state.clients {
        client.waiting = false;
    }
}

/// Nobody waits for an effect any more; what is on its way to the graph may still arrive.
fn abandon(state: &mut State, id: EffectId) {
    let Effect { action, progress } = take(state, id);
    let request = match action {
        Asked::Decide { tx, .. } => GraphRequest::Decide(tx, 0),
        Asked::Fence { tx } => GraphRequest::Fence(tx),
        _ => return,
    };
    if progress == Progress::Asked {
        let position = state.strays.partition_point(|stray| *stray < request);
        state.strays.insert(position, request);
    }
}

fn process(state: &mut State) -> &mut Process {
    state.process.as_mut().expect("the process runs")
}

fn take(state: &mut State, id: EffectId) -> Effect {
    process(state).effects.remove(&id).unwrap_or_else(|| panic!("{id:?} is not under way"))
}
