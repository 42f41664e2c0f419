//! What must always hold, and what must be possible, or the model shows nothing.

use std::collections::BTreeMap;

use coordinator::commit::Decision;

use super::state::{ClientState, State, Told};
use super::{AppendModel, CLIENTS, Client, TRANSACTION};

type Property = stateright::Property<AppendModel>;

/// All properties of the model.
pub fn all() -> Vec<Property> {
    let mut properties = always();
    properties.extend(sometimes());
    properties
}

fn always() -> Vec<Property> {
    vec![
        Property::always("the core never panics", |_, state| state.wrongs.panicked.is_none()),
        Property::always("the numbers of a stream are from 1, without a gap, each once", numbers_are_gapless),
        Property::always("an id names one event", |_, state| {
            let events = state.ledger.events.values();
            events.clone().all(|event| events.clone().filter(|other| other.id == event.id).count() == 1)
        }),
        Property::always("a transaction has its event if and only if it is committed", |_, state| {
            let appended = |tx| state.ledger.events.values().any(|event| event.tx == Some(tx));
            let mut log = state.ledger.log.iter();
            log.all(|(tx, entry)| appended(*tx) == (entry.outcome == Some(Decision::Committed)))
        }),
        Property::always("what was acknowledged is there, where it was said to be", |model, state| {
            CLIENTS.into_iter().all(|client| acknowledged_is_there(model, state, client))
        }),
        Property::always("what was refused is not there", |model, state| {
            CLIENTS.into_iter().all(|client| refused_is_absent(model, state, client))
        }),
        Property::always("a reader has passed no event by", |_, state| {
            let there = state.ledger.events.range(..=state.reader.through);
            there.map(|(position, event)| (*position, event.id.clone())).eq(state.reader.seen.iter().cloned())
        }),
        Property::always("nobody is answered twice", |_, state| !state.wrongs.untrue),
        Property::always("every transaction has an outcome at quiescence", |_, state| {
            !state.is_quiescent() || state.ledger.log.values().all(|entry| entry.outcome.is_some())
        }),
        Property::always("whoever waits is served", |_, state| state.host.can_move() || state.is_quiescent()),
    ]
}

fn numbers_are_gapless(_: &AppendModel, state: &State) -> bool {
    let mut streams: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for event in state.ledger.events.values() {
        streams.entry(&event.stream).or_default().push(event.sequence);
    }
    streams.into_values().all(|mut numbers| {
        numbers.sort_unstable();
        numbers.iter().copied().eq(1..=numbers.len() as u64)
    })
}

/// Whether the event that a client wants is in its stream, and under which number.
fn place(model: &AppendModel, state: &State, client: Client) -> Option<u64> {
    let (stream, event) = model.wanted(client);
    let (_, stored) = state.ledger.by_id(&event.id)?;
    let own = (client == TRANSACTION) == stored.tx.is_some();
    (stored.stream == *stream && own).then_some(stored.sequence)
}

fn told(state: &State, client: Client) -> &ClientState {
    &state.clients[usize::from(client)]
}

fn acknowledged_is_there(model: &AppendModel, state: &State, client: Client) -> bool {
    match told(state, client).told {
        Told::There(None) => place(model, state, client).is_some(),
        Told::There(number @ Some(_)) => place(model, state, client) == number,
        Told::Repeated(number) => place(model, state, client) == Some(number),
        _ => true,
    }
}

fn refused_is_absent(model: &AppendModel, state: &State, client: Client) -> bool {
    let ClientState { told, in_doubt, .. } = told(state, client);
    let refused = match told {
        Told::IdTaken | Told::Aborted => true,
        // An attempt before it may have come through.
        Told::Rejected => !in_doubt,
        _ => false,
    };
    !refused || place(model, state, client).is_none()
}

fn sometimes() -> Vec<Property> {
    vec![
        Property::sometimes("an append waits for a transaction in doubt", |_, state| {
            let in_doubt = state.ledger.log.values().any(|entry| entry.outcome.is_none());
            let waits = state.host.process.as_ref().is_some_and(|process| process.core.status().waiting > 0);
            in_doubt && waits && told(state, 1).waiting
        }),
        Property::sometimes("an append waits for a transaction of an earlier process", |_, state| {
            let status = state.host.process.as_ref().map(|process| process.core.status()).unwrap_or_default();
            status.recovering > 0 && status.waiting > 0
        }),
        Property::sometimes("the event of the transaction is the second of its stream", |model, state| {
            place(model, state, TRANSACTION) == Some(2)
        }),
        Property::sometimes("an append comes behind the transaction", |model, state| place(model, state, 1) == Some(2)),
        Property::sometimes("a transaction of a dead process appends its event", |_, state| {
            let mut events = state.ledger.events.values().filter_map(|event| event.tx);
            events.any(|tx| tx.incarnation < state.host.incarnation)
        }),
        Property::sometimes("the transaction is refused an id that is taken", |_, state| {
            told(state, TRANSACTION).told == Told::IdTaken
        }),
        Property::sometimes("an append is refused an id that is taken", |_, state| {
            told(state, 2).told == Told::IdTaken
        }),
        Property::sometimes("the transaction is aborted and its number goes to another", |model, state| {
            told(state, TRANSACTION).told == Told::Aborted && place(model, state, 1) == Some(1)
        }),
        Property::sometimes("who was in doubt hears where its event is", |_, state| {
            matches!(told(state, 1).told, Told::Repeated(_))
        }),
        Property::sometimes("who was in doubt appends it now", |_, state| {
            let ClientState { told, in_doubt, .. } = told(state, 1);
            *in_doubt && matches!(told, Told::There(_))
        }),
        Property::sometimes("a write of which nobody knows ends the process", |_, state| {
            let halted = state.host.process.as_ref().is_some_and(|process| process.core.status().halted);
            halted && told(state, 1).in_doubt && !told(state, TRANSACTION).in_doubt
        }),
        Property::sometimes("a reader sees two events, one after the other", |_, state| {
            state.reader.seen.len() == 2 && state.reader.reads == 2
        }),
        Property::sometimes("everybody has what it wanted", |_, state| {
            state.is_quiescent() && [TRANSACTION, 1].into_iter().all(|client| told(state, client).told.is_there())
        }),
    ]
}

#[cfg(test)]
mod tests {
    //! Every property that should always hold is broken by hand, so that none is blind.

    use std::sync::Arc;

    use graph::TxId;
    use stateright::Model;

    use super::super::{Bounds, Entry, Event};
    use super::*;

    const TX: TxId = TxId { incarnation: 1, serial: 1 };

    #[track_caller]
    fn broken_by(name: &'static str, change: impl FnOnce(&mut State)) {
        let model = AppendModel::new(Bounds::SMALL);
        let mut state = model.init_states().remove(0);
        let condition = model.property(name).condition;
        assert!(condition(&model, &state), "{name} does not even hold in the beginning");
        change(&mut state);
        assert!(!condition(&model, &state), "{name} still holds");
    }

    /// Puts an event into the stream at this position.
    fn put(state: &mut State, position: u64, sequence: u64, id: &str, tx: Option<TxId>) {
        let (stream, id) = ("s".parse().unwrap(), id.parse().unwrap());
        Arc::make_mut(&mut state.ledger).events.insert(position, Event { stream, sequence, id, tx });
    }

    fn log(state: &mut State, outcome: Option<Decision>) {
        Arc::make_mut(&mut state.ledger).log.insert(TX, Entry { slot: 1, position: None, outcome });
    }

    #[test]
    fn no_property_is_blind() {
        broken_by("the core never panics", |state| state.wrongs.panicked = Some("at the disco".to_owned()));
        let numbers = "the numbers of a stream are from 1, without a gap, each once";
        broken_by(numbers, |state| put(state, 1, 2, "a", None));
        broken_by(numbers, |state| {
            put(state, 1, 1, "a", None);
            put(state, 2, 1, "b", None);
        });
        broken_by("an id names one event", |state| {
            put(state, 1, 1, "a", None);
            put(state, 2, 2, "a", None);
        });
        let outcome = "a transaction has its event if and only if it is committed";
        broken_by(outcome, |state| log(state, Some(Decision::Committed)));
        broken_by(outcome, |state| {
            log(state, None);
            put(state, 1, 1, "t", Some(TX));
        });
        let acknowledged = "what was acknowledged is there, where it was said to be";
        broken_by(acknowledged, |state| state.clients[0].told = Told::There(None));
        broken_by(acknowledged, |state| {
            put(state, 1, 1, "a", None);
            state.clients[1].told = Told::Repeated(2);
        });
        for told in [Told::IdTaken, Told::Aborted, Told::Rejected] {
            broken_by("what was refused is not there", |state| {
                put(state, 1, 1, "a", None);
                state.clients[1].told = told;
            });
        }
        broken_by("a reader has passed no event by", |state| {
            put(state, 1, 1, "a", None);
            state.reader.through = 1;
        });
        broken_by("nobody is answered twice", |state| state.wrongs.untrue = true);
        broken_by("every transaction has an outcome at quiescence", |state| log(state, None));
        broken_by("whoever waits is served", |state| state.clients[1].waiting = true);
    }
}
