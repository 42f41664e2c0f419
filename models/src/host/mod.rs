//! One coordinator between its stores and a network: what the models of its protocols share.
//!
//! A model has stores and clients of its own and lends them to its host by [`Hosting`]; the
//! host calls the very `handle` that production runs, carries its effects to the stores one by
//! one, delays and loses requests, and crashes the process.

mod action;
mod process;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use coordinator::commit::{
    Action as Asked, Answer, Commit, CommitEffect, Config, EffectId, Failure, Input, Intent, Report, RequestId,
};
use env::Core;
use graph::{Millis, Patch};

pub use action::{Action, KINDS};
pub use process::{Budget, Effect, GraphRequest, Host, Process, Progress, Work};

/// No time passes in a model, but for time-outs.
pub const NOW: Millis = Millis::ZERO;

/// How patient the core is in the models: the pause between attempts is zero, and "the time
/// has come" is an action of its own.
pub const CONFIG: Config = Config {
    decide_attempts_max: 2,
    backoff_ms: Millis::ZERO,
    backoff_ms_max: Millis::ZERO,
    jitter_seed: 7,
    answer_timeout_ms: Millis(1),
};

/// A model around a coordinator: the stores, and who asks it for something.
pub trait Hosting {
    /// A state of the whole model.
    type State;
    /// What stands for a patch.
    type Patch: Copy + Ord;
    /// What the graph told a read that has still to ask SQLite.
    type Half: Clone;

    /// The coordinator.
    fn host(state: &mut Self::State) -> &mut Host<Self::Patch, Self::Half>;

    /// The name of a patch that the core asks for.
    fn name_patch(&self, patch: &Patch) -> Self::Patch;

    /// What the log has without an outcome, oldest first.
    fn unresolved(&self, state: &Self::State) -> Vec<Intent>;

    /// A store executes an effect, or the next half of one.
    fn execute(
        &self,
        state: &mut Self::State,
        work: Work<Self::Patch>,
        progress: Progress<Self::Half>,
    ) -> Progress<Self::Half>;

    /// Somebody is answered.
    fn answer(&self, state: &mut Self::State, request: RequestId, answer: Answer);

    /// The process is gone, and whoever waited for it knows.
    fn hang_up(&self, state: &mut Self::State);

    /// The core is told what came of an effect.
    fn report(&self, state: &mut Self::State, id: EffectId, result: Result<Report, Failure>) {
        self.tell(state, NOW, outcome(id, result));
    }

    /// Takes a step.
    fn take_step(&self, state: &mut Self::State, action: Action<Self::Patch>) {
        match action {
            Action::Execute(id) => {
                let process = Self::host(state).running();
                let Effect { work, progress } = process.effects.get(&id).expect("the effect is under way").clone();
                let progress = self.execute(state, work, progress);
                Self::host(state).running().effects.get_mut(&id).expect("just looked at").progress = progress;
            }
            Action::Report(id) => {
                let effect = Self::host(state).take(id);
                let Progress::Executed(result) = effect.progress else { panic!("{id:?} has no result yet") };
                self.report(state, id, result);
            }
            Action::Lose(id) => {
                let host = Self::host(state);
                host.left.faults -= 1;
                let effect = host.take(id);
                if let (Work::Graph(request), Progress::Asked) = (effect.work, effect.progress) {
                    host.stray(request);
                }
                let failure = Failure::Unknown { reason: "lost".to_owned() };
                self.tell(state, NOW, Input::Failed { effect: id, failure });
            }
            Action::Refuse { effect, retryable } => {
                let host = Self::host(state);
                host.left.faults -= 1;
                host.take(effect);
                let failure = Failure::Refused { reason: "refused".to_owned(), retryable };
                self.tell(state, NOW, Input::Failed { effect, failure });
            }
            Action::Arrive(request) => {
                let strays = &mut Self::host(state).strays;
                let position = strays.iter().position(|stray| *stray == request).expect("it is on its way");
                strays.remove(position);
                // Nobody waits for what comes of it.
                let _ = self.execute(state, Work::Graph(request), Progress::Asked);
            }
            Action::TimeOut => {
                Self::host(state).left.faults -= 1;
                self.tell(state, NOW + CONFIG.answer_timeout_ms, Input::Timeout);
            }
            Action::Crash => {
                Self::host(state).left.crashes -= 1;
                self.end(state);
            }
            Action::Exit => self.end(state),
            Action::Restart => self.restart(state),
        }
    }

    /// The process is gone, with everything it had not made durable.
    fn end(&self, state: &mut Self::State) {
        let host = Self::host(state);
        let Process { effects, .. } = host.process.take().expect("it was running");
        for effect in effects.into_values() {
            if let Effect { work: Work::Graph(request), progress: Progress::Asked } = effect {
                host.stray(request);
            }
        }
        self.hang_up(state);
    }

    /// A process starts.
    fn restart(&self, state: &mut Self::State) {
        let intents = self.unresolved(state);
        let host = Self::host(state);
        host.incarnation += 1;
        let (core, step) = Commit::recover(CONFIG, host.incarnation, intents)
            .unwrap_or_else(|conflict| panic!("recovery failed: {conflict}"));
        host.process = Some(Process { core: Arc::new(core), effects: BTreeMap::new() });
        self.carry_out(state, step.effects);
    }

    /// The core is told something.
    fn tell(&self, state: &mut Self::State, now: Millis, input: Input) {
        let step = Arc::make_mut(&mut Self::host(state).running().core).handle(now, input);
        self.carry_out(state, step.effects);
    }

    /// What the core asks for begins.
    fn carry_out(&self, state: &mut Self::State, effects: Vec<CommitEffect>) {
        for effect in effects {
            match effect {
                CommitEffect::Do { id, action } => self.start(state, id, action),
                CommitEffect::Reply { request, answer } => self.answer(state, request, answer),
                // The core's status says so for as long as the process lives.
                CommitEffect::Halt { .. } => {}
            }
        }
    }

    /// An effect begins.
    fn start(&self, state: &mut Self::State, id: EffectId, action: Asked) {
        let work = match action {
            Asked::Intend(intent) | Asked::IntendRepair { intent, .. } => {
                Work::Intend(intent.tx, self.name_patch(&intent.patch))
            }
            Asked::Decide { tx, patch } => Work::Graph(GraphRequest::Decide(tx, self.name_patch(&patch))),
            Asked::Fence { tx } => Work::Graph(GraphRequest::Fence(tx)),
            Asked::Finish { tx, decision } => Work::Finish(tx, decision),
            // There is one entity.
            Asked::Load { .. } | Asked::Examine { .. } => Work::Read,
            Asked::Find { key, .. } => panic!("nobody asked who has the key {key}"),
            Asked::Append(_) => {
                let EffectId::Append(request) = id else { panic!("{id:?} appends") };
                Work::Append(request)
            }
            Asked::LookUp { tx } => panic!("nobody asked what became of {tx}"),
        };
        let before = Self::host(state).running().effects.insert(id, Effect { work, progress: Progress::Asked });
        assert!(before.is_none(), "{id:?} was asked for twice");
    }
}

/// What the core hears of an effect.
pub fn outcome(effect: EffectId, result: Result<Report, Failure>) -> Input {
    match result {
        Ok(report) => Input::Done { effect, report },
        Err(failure) => Input::Failed { effect, failure },
    }
}

impl<P: Copy + Ord, H> Host<P, H> {
    /// What may happen next to the process and to its requests.
    pub fn actions(&self) -> Vec<Action<P>> {
        let mut actions = Vec::new();
        match &self.process {
            None => actions.push(Action::Restart),
            Some(process) => self.actions_of(process, &mut actions),
        }
        let mut last = None;
        for stray in &self.strays {
            if last.replace(stray) != Some(stray) {
                actions.push(Action::Arrive(*stray));
            }
        }
        actions
    }

    fn actions_of(&self, process: &Process<P, H>, actions: &mut Vec<Action<P>>) {
        let halted = process.core.status().halted;
        for (id, effect) in &process.effects {
            let asked = matches!(effect.progress, Progress::Asked);
            let executed = matches!(effect.progress, Progress::Executed(_));
            if !executed {
                actions.push(Action::Execute(*id));
            }
            // The core takes no notice of what it is told while it halts.
            if halted {
                continue;
            }
            if executed {
                actions.push(Action::Report(*id));
            }
            if self.left.faults == 0 || matches!(id, EffectId::Load(_)) {
                continue;
            }
            actions.push(Action::Lose(*id));
            if asked {
                actions.push(Action::Refuse { effect: *id, retryable: false });
            }
            if asked && matches!(id, EffectId::Decide(..)) {
                actions.push(Action::Refuse { effect: *id, retryable: true });
            }
        }
        if halted {
            actions.push(Action::Exit);
            return;
        }
        if self.left.faults > 0 && process.core.poll_timeout().is_some() {
            actions.push(Action::TimeOut);
        }
        if self.left.crashes > 0 {
            actions.push(Action::Crash);
        }
    }
}

/// What a step makes of a state, or with which message it panicked.
pub fn attempt<S: Clone>(last: &S, step: impl FnOnce(&mut S)) -> Result<S, String> {
    let mut next = last.clone();
    match catch_unwind(AssertUnwindSafe(|| step(&mut next))) {
        Ok(()) => Ok(next),
        Err(panic) => Err(message(panic.as_ref())),
    }
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}
