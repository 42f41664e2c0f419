//! SQLite as the model has it: the log, and the events as they are put there.

use std::collections::BTreeMap;

use coordinator::commit::{AbortReason, Decision, Report, Settled};
use coordinator::events::{Append, Appended, Placed};
use graph::{EntityId, EventId, NewEvent, Refusal, TxId};

/// The place of an event among those of all streams, from 1.
pub type Position = u64;

/// SQLite: what is in it survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Every transaction that was begun, by name. There is one key.
    pub log: BTreeMap<TxId, Entry>,
    /// The events of all streams.
    pub events: BTreeMap<Position, Event>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The sequence number of its event.
    pub slot: u64,
    /// The position of its event, where a flaw has that fixed as well.
    pub position: Option<Position>,
    /// What became of it.
    pub outcome: Option<Decision>,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// The stream.
    pub stream: EntityId,
    /// Its number there.
    pub sequence: u64,
    /// Its name.
    pub id: EventId,
    /// The transaction that appended it, if one did.
    pub tx: Option<TxId>,
}

impl Ledger {
    /// What a SQLite transaction that begins the transaction does. With `fix_position` it fixes the
    /// position of its event as well.
    ///
    /// # Panics
    ///
    /// When the transaction is open under another name: the core has to join those.
    pub fn intend(&mut self, tx: TxId, stream: &EntityId, event: &NewEvent, fix_position: bool) -> Report {
        if let Some((owner, entry)) = self.log.first_key_value() {
            let decision = entry.outcome.clone().unwrap_or_else(|| panic!("{owner} is open, and {tx} has its key"));
            return Report::Known(Settled { tx: *owner, decision });
        }
        let taken = self.by_id(&event.id).map(|_| Refusal::EventExists(event.id.clone()));
        let outcome = taken.clone().map(|refusal| Decision::Aborted { reason: AbortReason::Refused(refusal) });
        let position = fix_position.then(|| self.next_position());
        self.log.insert(tx, Entry { slot: self.last_sequence(stream) + 1, position, outcome });
        taken.map_or(Report::Intended, Report::Refused)
    }

    /// What a SQLite transaction that finishes the transaction does.
    ///
    /// # Panics
    ///
    /// When the transaction is not in the log, or has an outcome already.
    pub fn finish(&mut self, tx: TxId, decision: &Decision, stream: &EntityId, event: &NewEvent) -> Report {
        let next = self.next_position();
        let entry = self.log.get_mut(&tx).unwrap_or_else(|| panic!("{tx} is to be finished and was never begun"));
        assert_eq!(entry.outcome, None, "{tx} is to be finished a second time, as {decision:?}");
        entry.outcome = Some(decision.clone());
        let (sequence, position) = (entry.slot, entry.position.unwrap_or(next));
        if *decision == Decision::Committed {
            let event = Event { stream: stream.clone(), sequence, id: event.id.clone(), tx: Some(tx) };
            self.events.insert(position, event);
        }
        Report::Finished
    }

    /// What a SQLite transaction that appends one event by itself does.
    pub fn append(&mut self, append: &Append) -> Appended {
        let (stream, id) = (&append.stream, &append.events[0].id);
        let placed = |sequence, position| Placed { stream: stream.clone(), first: sequence, last: sequence, position };
        if let Some((position, event)) = self.by_id(id) {
            return match event.stream == *stream {
                true => Appended::Repeated(placed(event.sequence, position)),
                false => Appended::EventIdReused(id.clone()),
            };
        }
        let (sequence, position) = (self.last_sequence(stream) + 1, self.next_position());
        self.events.insert(position, Event { stream: stream.clone(), sequence, id: id.clone(), tx: None });
        Appended::New(placed(sequence, position))
    }

    /// The event of this id.
    pub fn by_id(&self, id: &EventId) -> Option<(Position, &Event)> {
        self.events.iter().find(|(_, event)| event.id == *id).map(|(position, event)| (*position, event))
    }

    /// The last position at which there is an event.
    pub fn last_position(&self) -> Position {
        self.events.last_key_value().map_or(0, |(position, _)| *position)
    }

    fn next_position(&self) -> Position {
        let fixed = self.log.values().filter_map(|entry| entry.position).max().unwrap_or(0);
        self.last_position().max(fixed) + 1
    }

    fn last_sequence(&self, stream: &EntityId) -> u64 {
        self.events.values().filter(|event| event.stream == *stream).map(|event| event.sequence).max().unwrap_or(0)
    }
}
