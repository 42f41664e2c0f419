//! What must always hold, and what must be possible, or the model shows nothing.

use coordinator::commit::{AbortReason, Decision, Report};
use graph::{EntityId, Refusal};

use super::state::Progress;
use super::state::State;
use super::{DELETION, IdentityModel};

type Property = stateright::Property<IdentityModel>;

/// All properties of the model.
pub fn all() -> Vec<Property> {
    let mut properties = always();
    properties.extend(sometimes());
    properties
}

fn always() -> Vec<Property> {
    vec![
        Property::always("no id is made twice", |_, state| state.ledger.given.values().all(|times| *times == 1)),
        Property::always("one living entity has the key", |_, state| {
            state.ledger.rows.len() <= 1 && state.graph.nodes.len() <= 1
        }),
        Property::always("the core never panics", |_, state| state.panicked.is_none()),
        Property::always("both stores have the same ids at quiescence", |_, state| {
            !state.is_quiescent() || state.ledger.rows == state.graph.nodes
        }),
        Property::always("every transaction has an outcome at quiescence", |_, state| {
            !state.is_quiescent() || state.ledger.log.values().all(|entry| entry.outcome.is_some())
        }),
        Property::always("ids of aborted transactions are nowhere", |_, state| {
            aborted(state).all(|id| !state.ledger.created.contains_key(&id) && !state.graph.nodes.contains_key(&id))
        }),
        Property::always("what was told is what was created", |_, state| {
            state.clients.iter().all(|client| match (&client.told, &client.created) {
                (Some((tx, Decision::Committed)), Some(id)) => state.ledger.created.get(id) == Some(tx),
                (_, created) => created.is_none(),
            })
        }),
        Property::always("a refusal names an entity that had the key", |_, state| {
            refused(state).all(|by| state.ledger.created.contains_key(by))
        }),
    ]
}

fn sometimes() -> Vec<Property> {
    vec![
        Property::sometimes("both creators wanted the key, and the other one got it", |_, state| {
            state.is_quiescent() && refused(state).any(|by| state.ledger.rows.contains_key(by))
        }),
        Property::sometimes("a creator waits for the other", |_, state| {
            state.process.as_ref().is_some_and(|process| process.core.status().waiting > 0)
        }),
        Property::sometimes("the key passes on", |_, state| {
            let deleted = &state.clients[usize::from(DELETION)].told;
            matches!(deleted, Some((_, Decision::Committed))) && state.clients[1].created.is_some()
        }),
        Property::sometimes("a fence burns an id, and a client is told so", |_, state| {
            let fenced = Decision::Aborted { reason: AbortReason::Fenced };
            state.clients.iter().any(|client| client.told.as_ref().is_some_and(|(_, decision)| *decision == fenced))
        }),
        Property::sometimes("two processes make ids", |_, state| {
            let by = |incarnation| state.ledger.created.values().any(|tx| tx.incarnation == incarnation);
            by(1) && by(2)
        }),
        Property::sometimes("a retry is told the id of its first attempt", |_, state| {
            let known = |progress: &Progress| matches!(progress, Progress::Executed(Ok(Report::Known(known))) if known.decision == Decision::Committed);
            state.process.iter().flat_map(|process| process.effects.values()).any(|effect| known(&effect.progress))
        }),
    ]
}

/// The ids that aborted transactions made.
fn aborted(state: &State) -> impl Iterator<Item = EntityId> {
    let aborted = state.ledger.log.iter().filter(|(_, entry)| matches!(entry.outcome, Some(Decision::Aborted { .. })));
    aborted.map(|(tx, _)| EntityId::generated(*tx, 0))
}

/// Whom refusals that clients were told name as the holder of the key.
fn refused(state: &State) -> impl Iterator<Item = &EntityId> {
    state.clients.iter().filter_map(|client| match &client.told {
        Some((_, Decision::Aborted { reason: AbortReason::Refused(Refusal::KeyTaken { by, .. }) })) => Some(by),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    //! Every property that should always hold is broken by hand, so that none is blind.

    use graph::{Patch, TxId};
    use stateright::Model;

    use super::super::{Bounds, Entry};
    use super::*;

    const TX: TxId = TxId { incarnation: 1, serial: 1 };

    #[track_caller]
    fn broken_by(name: &'static str, change: impl FnOnce(&mut State)) {
        let model = IdentityModel::new(Bounds::SMALL);
        let mut state = model.init_states().remove(0);
        let condition = model.property(name).condition;
        assert!(condition(&model, &state), "{name} does not even hold in the beginning");
        change(&mut state);
        assert!(!condition(&model, &state), "{name} still holds");
    }

    fn id(position: u64) -> EntityId {
        EntityId::generated(TX, position)
    }

    fn log(state: &mut State, outcome: Option<Decision>) {
        let (key, hash) =
            (coordinator::commit::IdempotencyKey("k".to_owned()), coordinator::commit::ContentHash("h".to_owned()));
        let intent = coordinator::commit::Intent::new(TX, key, hash, &Patch::default());
        state.ledger.log.insert(TX, Entry { intent, outcome });
    }

    #[test]
    fn no_property_is_blind() {
        broken_by("no id is made twice", |state| state.ledger.given = [(id(0), 2)].into());
        broken_by("one living entity has the key", |state| state.graph.nodes = [(id(0), TX), (id(1), TX)].into());
        broken_by("one living entity has the key", |state| state.ledger.rows = [(id(0), TX), (id(1), TX)].into());
        broken_by("the core never panics", |state| state.panicked = Some("at the disco".to_owned()));
        broken_by("both stores have the same ids at quiescence", |state| state.graph.nodes = [(id(0), TX)].into());
        broken_by("every transaction has an outcome at quiescence", |state| log(state, None));
        broken_by("ids of aborted transactions are nowhere", |state| {
            log(state, Some(Decision::Aborted { reason: AbortReason::Fenced }));
            state.graph.nodes = [(id(0), TX)].into();
        });
        broken_by("what was told is what was created", |state| {
            state.clients[0].told = Some((TX, Decision::Committed));
            state.clients[0].created = Some(id(0));
        });
        broken_by("a refusal names an entity that had the key", |state| {
            let (kind, key) = ("book".parse().unwrap(), "isbn:1".parse().unwrap());
            let reason = AbortReason::Refused(Refusal::KeyTaken { kind, key, by: id(0) });
            state.clients[0].told = Some((TX, Decision::Aborted { reason }));
        });
    }
}
