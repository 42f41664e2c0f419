//! What must always hold, and what must be possible, or the model shows nothing.

use coordinator::commit::{
    AbortReason, CommitEffect, ContentHash, Decision, Failure, IdempotencyKey, Input, Report, RequestId, Submission,
};
use env::Core;
use graph::{Millis, TxId};

use super::CommitModel;
use super::state::{State, Told};
use crate::host::{GraphRequest, Work};

type Property = stateright::Property<CommitModel>;

/// All properties of the model.
pub fn all() -> Vec<Property> {
    let mut properties = always();
    properties.extend(sometimes());
    properties
}

fn always() -> Vec<Property> {
    vec![
        Property::always("the core never panics", |_, state| state.wrongs.panicked.is_none()),
        Property::always("both stores agree at quiescence", |_, state| {
            !state.is_quiescent() || state.graph.writes == state.ledger.rows
        }),
        Property::always("every transaction has an outcome at quiescence", |_, state| {
            !state.is_quiescent() || state.ledger.log.values().all(|entry| entry.outcome.is_some())
        }),
        Property::always("locks are free at quiescence", |model, state| {
            !state.is_quiescent() || locks_are_free(model, state)
        }),
        Property::always("whoever waits is served", |_, state| state.host.can_move() || state.is_quiescent()),
        Property::always("the log says what the stores have", log_is_true),
        Property::always("a marker and its changes stand together", |_, state| {
            state.graph.markers.iter().all(|(tx, committed)| *committed == state.graph.has(*tx))
        }),
        Property::always("one effect an idempotency key", one_effect_a_key),
        Property::always("an answer is true for ever", answers_are_true),
        Property::always("a rejection leaves nothing", rejections_left_nothing),
        Property::always("a strong read is not torn", |_, state| !state.wrongs.torn),
        Property::always("reads and writes are linearizable", |_, state| !state.wrongs.stale),
    ]
}

/// A stranger who comes now gets the lock on the entity at once, and alone.
fn locks_are_free(model: &CommitModel, state: &State) -> bool {
    let Some(process) = &state.host.process else { return false };
    let mut core = (*process.core).clone();
    let submission = Submission {
        key: IdempotencyKey("a stranger's".to_owned()),
        hash: ContentHash(String::new()),
        patch: model.scripts[0].patch.clone(),
    };
    let step = core.handle(Millis::ZERO, Input::Submit { request: RequestId(u64::MAX), submission });
    matches!(step.effects.as_slice(), [CommitEffect::Do { .. }])
}

/// Rows exist exactly for what the log calls committed, in the graph too; what it calls
/// aborted is in neither.
fn log_is_true(_: &CommitModel, state: &State) -> bool {
    let State { ledger, graph, .. } = state;
    let logged = ledger.log.iter().all(|(tx, entry)| match &entry.outcome {
        None => !ledger.rows.contains(tx),
        Some(Decision::Committed) => ledger.rows.contains(tx) && graph.has(*tx),
        Some(Decision::Aborted { .. }) => !ledger.rows.contains(tx) && !graph.has(*tx),
    });
    logged && ledger.rows.iter().all(|tx| ledger.log.contains_key(tx))
}

fn one_effect_a_key(_: &CommitModel, state: &State) -> bool {
    let State { ledger, graph, .. } = state;
    let once = |writes: &[TxId]| (1..writes.len()).all(|at| !writes[..at].contains(&writes[at]));
    let mut keys: Vec<u8> = ledger.log.values().map(|entry| entry.writer).collect();
    let entries = keys.len();
    keys.sort_unstable();
    keys.dedup();
    keys.len() == entries && once(&ledger.rows) && once(&graph.writes)
}

/// What a client was told was durable when it heard it, and is never contradicted.
fn answers_are_true(_: &CommitModel, state: &State) -> bool {
    let told = state.writers.iter().enumerate().all(|(writer, client)| match &client.told {
        Told::Nothing | Told::Rejected => true,
        Told::Settled(tx, decision) => {
            let own = state.ledger.log.get(tx).is_some_and(|entry| usize::from(entry.writer) == writer);
            own && state.ledger.outcome(*tx) == Some(decision)
                && state.graph.has(*tx) == (*decision == Decision::Committed)
        }
    });
    told && !state.wrongs.untrue
}

/// Nothing that a client was only ever told is not done has been done, or will be.
fn rejections_left_nothing(_: &CommitModel, state: &State) -> bool {
    state.writers.iter().zip(0..).all(|(client, writer)| {
        let rejected = client.told == Told::Rejected && !client.in_doubt;
        !rejected || state.ledger.by_key(writer).is_none()
    })
}

fn sometimes() -> Vec<Property> {
    vec![
        Property::sometimes("a transaction commits", |_, state| {
            state.is_quiescent() && state.writers.iter().any(|client| has_committed(&client.told))
        }),
        Property::sometimes("all transactions commit", |_, state| {
            state.is_quiescent() && state.ledger.rows.len() == state.writers.len()
        }),
        Property::sometimes("a transaction that does not fit is aborted", |_, state| {
            aborted(state, |reason| matches!(reason, AbortReason::Refused(_)))
        }),
        Property::sometimes("a transaction that the graph refuses is aborted", |_, state| {
            aborted(state, |reason| matches!(reason, AbortReason::GraphRefused(_)))
        }),
        Property::sometimes("a fence after a crash rolls forward", |_, state| fenced_after_a_crash(state, true)),
        Property::sometimes("a fence after a crash rolls back", |_, state| fenced_after_a_crash(state, false)),
        Property::sometimes("the marker stands against a resend", |_, state| {
            state.host.executed().any(|(_, work, result)| {
                let constraint = matches!(result, Err(Failure::Constraint));
                constraint && matches!(work, Work::Graph(GraphRequest::Decide(..)))
            })
        }),
        Property::sometimes("a delayed decide meets the marker of a fence", |_, state| {
            let fenced = |tx| state.graph.markers.get(tx) == Some(&false);
            state.host.strays.iter().any(|stray| matches!(stray, GraphRequest::Decide(tx, _) if fenced(tx)))
        }),
        Property::sometimes("what was answered as unknown turns out committed", |_, state| {
            state.writers.iter().any(|client| client.unknown && has_committed(&client.told))
        }),
        Property::sometimes("what was answered as unknown turns out aborted", |_, state| {
            let settled = |told: &Told| matches!(told, Told::Settled(_, Decision::Aborted { .. }));
            state.writers.iter().any(|client| client.unknown && settled(&client.told))
        }),
        Property::sometimes("a retry gets the outcome of its first attempt", |_, state| {
            state.host.executed().any(|(_, _, result)| matches!(result, Ok(Report::Known(_))))
        }),
        Property::sometimes("two incarnations commit", |_, state| {
            let by = |incarnation| state.ledger.rows.iter().any(|tx| tx.incarnation == incarnation);
            by(1) && by(2)
        }),
        Property::sometimes("a reader waits for a writer", |_, state| {
            let mut effects = state.host.process.iter().flat_map(|process| process.effects.values());
            state.reader.waiting.is_some() && !effects.any(|effect| effect.work == Work::Read)
        }),
        Property::sometimes("a process that could not finish is followed by one that does", |model, state| {
            let kills = u64::from(model.bounds.crashes - state.host.left.crashes);
            let exited = state.host.incarnation > 1 + kills;
            exited && state.is_quiescent() && state.ledger.rows.iter().any(|tx| tx.incarnation == 1)
        }),
    ]
}

fn has_committed(told: &Told) -> bool {
    matches!(told, Told::Settled(_, Decision::Committed))
}

fn aborted(state: &State, why: fn(&AbortReason) -> bool) -> bool {
    let fits = |told: &Told| matches!(told, Told::Settled(_, Decision::Aborted { reason }) if why(reason));
    state.writers.iter().any(|client| fits(&client.told))
}

/// A fence of a transaction of an earlier process has just said this.
fn fenced_after_a_crash(state: &State, committed: bool) -> bool {
    state.host.executed().any(|(_, work, result)| {
        let earlier = matches!(work, Work::Graph(GraphRequest::Fence(tx)) if tx.incarnation < state.host.incarnation);
        earlier && *result == Ok(Report::Fenced { committed })
    })
}

#[cfg(test)]
mod tests {
    //! Every property that should always hold is broken by hand, so that none is blind.

    use std::sync::Arc;

    use coordinator::commit::EffectId;
    use stateright::Model;

    use super::super::state::Told;
    use super::super::stores::Entry;
    use super::super::{Action, Bounds, CommitModel};
    use super::*;
    use crate::host;

    const TX: TxId = TxId { incarnation: 1, serial: 1 };
    const OTHER: TxId = TxId { incarnation: 1, serial: 2 };
    /// The reader's first read.
    const LOAD: [host::Action<u8>; 3] = {
        let load = EffectId::Load(RequestId(1));
        [host::Action::Execute(load), host::Action::Execute(load), host::Action::Report(load)]
    };

    /// Breaks a property by changing the state in which nothing has happened yet.
    #[track_caller]
    fn broken_by(name: &'static str, change: impl FnOnce(&mut State)) {
        let model = CommitModel::new(Bounds::SMALL);
        let mut state = model.init_states().remove(0);
        let condition = model.property(name).condition;
        assert!(condition(&model, &state), "{name} does not even hold in the beginning");
        change(&mut state);
        assert!(!condition(&model, &state), "{name} still holds");
    }

    fn log(state: &mut State, tx: TxId, writer: u8, outcome: Option<Decision>) {
        Arc::make_mut(&mut state.ledger).log.insert(tx, Entry { writer, outcome });
    }

    fn after(state: &mut State, actions: &[Action]) {
        let model = CommitModel::new(Bounds::SMALL);
        for action in actions {
            *state = model.next_state(state, *action).expect("every action leads somewhere");
        }
    }

    #[test]
    fn of_the_stores() {
        broken_by("both stores agree at quiescence", |state| Arc::make_mut(&mut state.graph).writes.push(TX));
        broken_by("every transaction has an outcome at quiescence", |state| log(state, TX, 0, None));
        broken_by("the log says what the stores have", |state| Arc::make_mut(&mut state.ledger).rows.push(TX));
        broken_by("the log says what the stores have", |state| log(state, TX, 0, Some(Decision::Committed)));
        broken_by("the log says what the stores have", |state| {
            log(state, TX, 0, Some(Decision::Aborted { reason: AbortReason::Fenced }));
            Arc::make_mut(&mut state.graph).writes.push(TX);
        });
        broken_by("a marker and its changes stand together", |state| {
            Arc::make_mut(&mut state.graph).markers.insert(TX, true);
        });
        broken_by("a marker and its changes stand together", |state| {
            let graph = Arc::make_mut(&mut state.graph);
            graph.markers.insert(TX, false);
            graph.writes.push(TX);
        });
        broken_by("one effect an idempotency key", |state| Arc::make_mut(&mut state.graph).writes = vec![TX, TX]);
        broken_by("one effect an idempotency key", |state| {
            log(state, TX, 0, None);
            log(state, OTHER, 0, None);
        });
    }

    #[test]
    fn of_the_process() {
        broken_by("the core never panics", |state| {
            after(state, &[Action::Submit(0)]);
            log(state, OTHER, 0, None);
            let intend = EffectId::Intend(TX);
            after(state, &[Action::Host(host::Action::Execute(intend))]);
        });
        broken_by("whoever waits is served", |state| {
            after(state, &[Action::Submit(0)]);
            state.host.process.as_mut().expect("it runs").effects.clear();
        });
        broken_by("locks are free at quiescence", |state| {
            // The reader's load is forgotten: the core looks idle, and still holds the lock.
            after(state, &[Action::Read]);
            let process = state.host.process.as_mut().expect("it runs");
            process.effects.clear();
            state.reader.waiting = None;
        });
    }

    #[test]
    fn of_answers() {
        broken_by("an answer is true for ever", |state| {
            state.writers[0].told = Told::Settled(TX, Decision::Committed);
        });
        broken_by("an answer is true for ever", |state| {
            log(state, TX, 0, Some(Decision::Aborted { reason: AbortReason::Fenced }));
            state.writers[1].told = Told::Settled(TX, Decision::Aborted { reason: AbortReason::Fenced });
        });
        broken_by("a rejection leaves nothing", |state| {
            log(state, TX, 0, None);
            state.writers[0].told = Told::Rejected;
        });
        broken_by("a strong read is not torn", |state| {
            after(state, &[Action::Read]);
            Arc::make_mut(&mut state.ledger).rows.push(TX);
            after(state, &LOAD.map(Action::Host));
        });
        broken_by("reads and writes are linearizable", |state| {
            state.known = 1;
            after(state, &[Action::Read]);
            after(state, &LOAD.map(Action::Host));
        });
    }
}
