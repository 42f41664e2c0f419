//! What must always hold, and what must be possible, or the model shows nothing.

use coordinator::commit::{
    CommitEffect, ContentHash, Decision, EffectId, IdempotencyKey, Input, Report, RequestId, Submission,
};
use coordinator::reconcile::{Evidence, Logged, Reason, Task};
use env::Core;
use graph::TxId;

use super::ReconcileModel;
use super::state::{Stage, State};
use super::stores::{Content, Deed};
use crate::commit::Told;
use crate::host::{GraphRequest, NOW, Work};

type Property = stateright::Property<ReconcileModel>;

/// All properties of the model.
pub fn all() -> Vec<Property> {
    let mut properties = always();
    properties.extend(sometimes());
    properties
}

fn always() -> Vec<Property> {
    vec![
        Property::always("no core panics", |_, state| state.wrongs.panicked.is_none()),
        Property::always("whoever waits is served", |_, state| state.can_move() || state.is_quiescent()),
        Property::always("locks are free at quiescence", |model, state| {
            !state.is_quiescent() || locks_are_free(model, state)
        }),
        Property::always("every transaction has an outcome at quiescence", |_, state| {
            !state.is_quiescent() || state.ledger.log.values().all(|entry| entry.outcome.is_some())
        }),
        Property::always("one transaction at a time has the entity", |_, state| {
            state.ledger.log.values().filter(|entry| entry.outcome.is_none()).count() <= 1
        }),
        Property::always("the outcome in the log is that of the marker", markers_are_true),
        Property::always("what nobody changed by hand agrees at quiescence", |model, state| {
            !state.is_quiescent() || model.changes(state) > 0 || state.agrees() && events_are_true(state)
        }),
        Property::always("what nobody changed by hand is not repaired", |model, state| {
            model.changes(state) > 0 || state.ledger.repairs().next().is_none()
        }),
        Property::always("what nobody changed by hand is not reported", |_, state| !state.wrongs.unfounded),
        Property::always("each difference is repaired once at most", |model, state| {
            committed_repairs(state).count() <= usize::from(model.changes(state))
        }),
        Property::always("no policy deletes what was created or brings back what was deleted", |_, state| {
            !state.wrongs.overruled && existence_is_the_clients(state)
        }),
        Property::always("a clean pass leaves the stores in agreement", |_, state| {
            !state.is_quiescent() || !state.vouched || state.agrees()
        }),
        Property::always("the events can be read", |_, state| !matches!(state.ledger.logged(), Logged::Unreadable(_))),
        Property::always("an answer is true for ever", answers_are_true),
    ]
}

/// A stranger who comes now gets the lock on the entity at once, and alone.
fn locks_are_free(model: &ReconcileModel, state: &State) -> bool {
    let Some(process) = &state.host.process else { return false };
    let mut core = (*process.core).clone();
    let submission = Submission {
        key: IdempotencyKey("a stranger's".to_owned()),
        hash: ContentHash(String::new()),
        patch: Deed::Delete.patch(&model.entity),
    };
    let step = core.handle(NOW, Input::Submit { request: RequestId(u64::MAX), submission });
    matches!(step.effects.as_slice(), [CommitEffect::Do { .. }])
}

/// What is committed has its marker in the graph, and what is aborted never gets it.
fn markers_are_true(_: &ReconcileModel, state: &State) -> bool {
    state.ledger.log.iter().all(|(tx, entry)| {
        let marked = state.graph.markers.get(tx) == Some(&true);
        entry.outcome.as_ref().is_none_or(|outcome| marked == (*outcome == Decision::Committed))
    })
}

/// SQLite has what its events say.
fn events_are_true(state: &State) -> bool {
    let row = state.ledger.row.map(Content::unfold);
    match state.ledger.logged() {
        Logged::Never | Logged::Removed { .. } => row.is_none(),
        Logged::Present { content, .. } => row == Some(content),
        Logged::Unreadable(_) => false,
    }
}

/// As far as clients had to do with the entity, it exists by what they did.
fn existence_is_the_clients(state: &State) -> bool {
    let exists = |logged: &Logged| matches!(logged, Logged::Present { .. });
    match state.ledger.logged_by_clients() {
        Logged::Never | Logged::Unreadable(_) => true,
        clients => exists(&clients) == exists(&state.ledger.logged()),
    }
}

fn committed_repairs(state: &State) -> impl Iterator<Item = TxId> + '_ {
    let repairs = state.ledger.repairs();
    repairs.filter(|(_, entry)| entry.outcome == Some(Decision::Committed)).map(|(tx, _)| tx)
}

/// What the client was told was durable when it heard it, and what passes reported was so.
fn answers_are_true(_: &ReconcileModel, state: &State) -> bool {
    let told = match &state.client.told {
        Told::Nothing | Told::Rejected => true,
        Told::Settled(tx, decision) => {
            let entry = state.ledger.log.get(tx);
            entry.is_some_and(|entry| !entry.deed.is_repair() && entry.outcome.as_ref() == Some(decision))
        }
    };
    told && !state.wrongs.untrue
}

fn sometimes() -> Vec<Property> {
    vec![
        Property::sometimes("a validation acquits what a transaction had in its hands", |model, state| {
            examined(state).any(|(id, evidence)| {
                matches!(id, EffectId::Examine(_)) && evidence.agrees() && model.changes(state) == 0
            })
        }),
        Property::sometimes("a repair acquits what a transaction had in its hands", |model, state| {
            examined(state).any(|(id, evidence)| {
                matches!(id, EffectId::Review(_)) && evidence.agrees() && model.changes(state) == 0
            })
        }),
        Property::sometimes("a validation finds what was changed by hand", |_, state| {
            examined(state).any(|(id, evidence)| matches!(id, EffectId::Examine(_)) && !evidence.agrees())
        }),
        Property::sometimes("a repair brings back what was lost", |_, state| {
            repaired(state, |before, restored| before.is_none() && restored.is_some())
        }),
        Property::sometimes("a repair takes away what nobody created", |_, state| {
            repaired(state, |before, restored| before.is_some() && restored.is_none())
        }),
        Property::sometimes("a repair keeps what was changed by hand", |_, state| {
            repaired(state, |_, restored| restored.is_some_and(|content| content.by_hand))
        }),
        Property::sometimes("a repair that a crash interrupted is rolled forward", |_, state| fenced(state, true)),
        Property::sometimes("a repair that a crash interrupted is rolled back", |_, state| fenced(state, false)),
        Property::sometimes("two passes see a difference, and the second finds it repaired", |_, state| {
            let agreed = |(id, evidence): (EffectId, &Evidence)| matches!(id, EffectId::Review(_)) && evidence.agrees();
            committed_repairs(state).next().is_some() && examined(state).any(agreed)
        }),
        Property::sometimes("what a policy would delete is left to a person", |_, state| {
            matches!(state.ledger.case, Some(Reason::WouldDelete(_)))
        }),
        Property::sometimes("what a policy would bring back is left to a person", |_, state| {
            matches!(state.ledger.case, Some(Reason::WouldResurrect(_)))
        }),
        Property::sometimes("a transaction waits for a repair", |_, state| {
            state.client.waiting && repairs_alone(state)
        }),
        Property::sometimes("a transaction commits after a repair", |_, state| {
            let repaired = committed_repairs(state).next();
            state.client_has_committed().is_some_and(|tx| repaired.is_some_and(|repaired| repaired < tx))
        }),
        Property::sometimes("a repair commits after a transaction that it waited for", |_, state| {
            let committed = state.client_has_committed();
            committed.is_some_and(|tx| state.is_quiescent() && committed_repairs(state).any(|repair| tx < repair))
        }),
        Property::sometimes("a store is changed by hand between the scans of a pass", |_, state| {
            let half =
                |stage: &Stage| matches!(stage, Stage::HalfScanned { in_graph, .. } if *in_graph != state.graph.entity);
            state.passes.values().any(|pass| !pass.undisturbed && half(&pass.stage))
        }),
        Property::sometimes("a clean pass has repaired", |_, state| {
            state.is_quiescent() && state.vouched && committed_repairs(state).next().is_some()
        }),
        Property::sometimes("opposite passes wait for the same entity", |_, state| {
            let waits = |(task, pass): (&Task, &super::Pass)| *task != Task::Validate && pass.stage == Stage::Waiting;
            state.passes.iter().filter(|pass| waits(*pass)).count() == 2
        }),
    ]
}

/// What examinations and reviews have just found.
fn examined(state: &State) -> impl Iterator<Item = (EffectId, &Evidence)> {
    state.host.executed().filter_map(|(id, _, result)| match result {
        Ok(Report::Examined(evidence)) => Some((id, evidence.as_ref())),
        _ => None,
    })
}

/// A repair has just been decided: what SQLite still has, and what both stores will.
fn repaired(state: &State, wanted: fn(Option<Content>, Option<Content>) -> bool) -> bool {
    state.host.executed().any(|(_, work, result)| match work {
        Work::Graph(GraphRequest::Decide(_, Deed::Restore { content, .. })) => {
            *result == Ok(Report::Decided) && wanted(state.ledger.row, *content)
        }
        _ => false,
    })
}

/// A fence of a repair of an earlier process has just said this.
fn fenced(state: &State, committed: bool) -> bool {
    state.host.executed().any(|(_, work, result)| match work {
        Work::Graph(GraphRequest::Fence(tx)) => {
            let repair = state.ledger.log.get(tx).is_some_and(|entry| entry.deed.is_repair());
            repair && tx.incarnation < state.host.incarnation && *result == Ok(Report::Fenced { committed })
        }
        _ => false,
    })
}

/// Something is under way, and it is a repair.
fn repairs_alone(state: &State) -> bool {
    let is_repair = |tx: &TxId| state.ledger.log.get(tx).is_some_and(|entry| entry.deed.is_repair());
    let effects = state.host.process.iter().flat_map(|process| process.effects.keys());
    let mut repairs = effects.map(|id| match id {
        EffectId::Decide(tx, _) | EffectId::Fence(tx, _) | EffectId::Finish(tx) => is_repair(tx),
        _ => false,
    });
    repairs.next().unwrap_or(false) && repairs.all(|repair| repair)
}

impl State {
    fn client_has_committed(&self) -> Option<TxId> {
        match &self.client.told {
            Told::Settled(tx, Decision::Committed) => Some(*tx),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Every property that should always hold is broken by hand, so that none is blind.

    use std::sync::Arc;

    use coordinator::commit::AbortReason;
    use coordinator::reconcile::Policy;
    use stateright::Model;

    use super::super::{Action, Beginning, Bounds, Change, Entry, Store};
    use super::*;
    use crate::host::{Action as Host, Effect, Progress};

    const TX: TxId = TxId { incarnation: 1, serial: 1 };
    const OTHER: TxId = TxId { incarnation: 1, serial: 2 };
    const GONE: Deed = Deed::Restore { content: None, logged: true };

    /// Breaks a property by changing a state in which both stores have the entity.
    #[track_caller]
    fn broken_by(name: &'static str, change: impl FnOnce(&mut State)) {
        let model = ReconcileModel::new(Bounds::SMALL);
        let mut state = model.init_states().remove(0);
        after(&mut state, &[Action::Begin(Beginning::Created)]);
        let condition = model.property(name).condition;
        assert!(condition(&model, &state), "{name} does not even hold in the beginning");
        change(&mut state);
        assert!(!condition(&model, &state), "{name} still holds");
    }

    fn after(state: &mut State, actions: &[Action]) {
        let model = ReconcileModel::new(Bounds::SMALL);
        for action in actions {
            *state = model.next_state(state, *action).expect("every action leads somewhere");
        }
    }

    fn log(state: &mut State, tx: TxId, deed: Deed, outcome: Option<Decision>) {
        Arc::make_mut(&mut state.ledger).log.insert(tx, Entry { deed, outcome });
    }

    #[test]
    fn of_the_stores() {
        broken_by("every transaction has an outcome at quiescence", |state| log(state, TX, Deed::Delete, None));
        broken_by("one transaction at a time has the entity", |state| {
            log(state, TX, Deed::Delete, None);
            log(state, OTHER, GONE, None);
        });
        broken_by("the outcome in the log is that of the marker", |state| {
            log(state, TX, Deed::Delete, Some(Decision::Committed));
        });
        broken_by("the outcome in the log is that of the marker", |state| {
            log(state, TX, Deed::Delete, Some(Decision::Aborted { reason: AbortReason::Fenced }));
            Arc::make_mut(&mut state.graph).markers.insert(TX, true);
        });
        broken_by("what nobody changed by hand agrees at quiescence", |state| {
            Arc::make_mut(&mut state.graph).entity = None;
        });
        broken_by("what nobody changed by hand agrees at quiescence", |state| {
            Arc::make_mut(&mut state.graph).entity = None;
            Arc::make_mut(&mut state.ledger).row = None;
        });
        broken_by("the events can be read", |state| {
            Arc::make_mut(&mut state.ledger).events.push((TX, Deed::Create(1)));
        });
    }

    #[test]
    fn of_the_processes() {
        broken_by("no core panics", |state| {
            after(state, &[Action::Submit(Deed::Delete)]);
            state.host.process.as_mut().expect("it runs").effects.clear();
            after(state, &[Action::Host(Host::Report(EffectId::Intend(TX)))]);
        });
        broken_by("whoever waits is served", |state| {
            after(state, &[Action::Run(Task::Validate)]);
            state.passes.get_mut(&Task::Validate).expect("it is under way").stage = Stage::Waiting;
        });
        broken_by("locks are free at quiescence", |state| {
            // The examination is forgotten: the core looks idle, and still holds the lock.
            let task = Task::Validate;
            let scanned = [Action::Run(task), Action::ScanGraph(task)];
            after(state, &scanned);
            Arc::make_mut(&mut state.ledger).row = None;
            after(state, &[Action::ScanSql(task)]);
            state.host.process.as_mut().expect("it runs").effects.clear();
            state.passes.clear();
        });
    }

    #[test]
    fn of_repairs() {
        broken_by("what nobody changed by hand is not repaired", |state| log(state, TX, GONE, None));
        broken_by("what nobody changed by hand is not reported", |state| {
            // Somebody changed the graph, and the budget does not know.
            after(state, &[Action::Tamper(Store::Graph, Change::Put)]);
            state.left.changes += 1;
            validate(state);
        });
        broken_by("each difference is repaired once at most", |state| log(state, TX, GONE, Some(Decision::Committed)));
        broken_by("no policy deletes what was created or brings back what was deleted", |state| {
            Arc::make_mut(&mut state.ledger).events.push((TX, GONE));
        });
        broken_by("no policy deletes what was created or brings back what was deleted", |state| {
            log(state, TX, GONE, None);
            let finish = EffectId::Finish(TX);
            let effect = Effect { work: Work::Finish(TX, Decision::Committed), progress: Progress::Asked };
            state.host.process.as_mut().expect("it runs").effects.insert(finish, effect);
            after(state, &[Action::Host(Host::Execute(finish))]);
        });
        broken_by("a clean pass leaves the stores in agreement", |state| {
            validate(state);
            Arc::make_mut(&mut state.graph).entity = None;
        });
    }

    /// A validation from its beginning to its end.
    fn validate(state: &mut State) {
        let task = Task::Validate;
        after(state, &[Action::Run(task), Action::ScanGraph(task), Action::ScanSql(task)]);
        let examination = state.host.process.as_ref().expect("it runs").effects.keys().next().copied();
        if let Some(id) = examination {
            after(state, &[Host::Execute(id), Host::Execute(id), Host::Report(id)].map(Action::Host));
        }
    }

    #[test]
    fn of_answers() {
        broken_by("an answer is true for ever", |state| state.client.told = Told::Settled(TX, Decision::Committed));
        broken_by("an answer is true for ever", |state| {
            // A repair is no client's transaction.
            log(state, TX, GONE, Some(Decision::Committed));
            state.client.told = Told::Settled(TX, Decision::Committed);
        });
        broken_by("an answer is true for ever", |state| {
            // The case that a pass has opened is gone when it says so.
            let task = Task::Reconcile(Policy::Graph);
            after(state, &[Action::Tamper(Store::Graph, Change::Remove), Action::Run(task)]);
            after(state, &[Action::ScanGraph(task), Action::ScanSql(task)]);
            let review = EffectId::Review(TX);
            let steps = [Host::Execute(review), Host::Execute(review), Host::Report(review)];
            after(state, &steps.map(Action::Host));
            forget_the_case(state, task);
        });
    }

    fn forget_the_case(state: &mut State, task: Task) {
        let Stage::Asking(evidence, _) = state.passes[&task].stage.clone() else { panic!("no case is asked for") };
        let model = ReconcileModel::new(Bounds::SMALL);
        model.guide(state, task, coordinator::reconcile::Input::Recorded { evidence: *evidence, case: 1 }, None);
    }
}
