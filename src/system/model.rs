//! The coordinator as a sequential object: what linearizability is judged against.

use std::collections::BTreeMap;

use coordinator::commit::EntityView;
use graph::{CanonicalKey, EntityId, Kind, Operation, Properties, TxId, Value};

use super::operation::{Op, Ret};
use crate::check::linearizability::Model;

/// Entities and links behind transactions and strong reads.
///
/// A read shows properties from the graph, and version and transaction from SQLite, so a
/// state holds all of them, and a torn read fits no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entities;

/// A part of the coordinator's state that stands by itself, unless a transaction joins it to others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// An entity.
    Entity(EntityId),
    /// A canonical key, and who has it.
    Canonical(Kind, CanonicalKey),
    /// Both stores as a whole, as a comparison sees them.
    Stores,
    /// The log and the projection: of neither is anything judged here.
    Projection,
}

impl Part {
    /// The entity, if it is one.
    pub fn entity(self) -> Option<EntityId> {
        match self {
            Part::Entity(id) => Some(id),
            Part::Canonical(..) | Part::Stores | Part::Projection => None,
        }
    }
}

/// The entities of one component that exist or have existed.
pub type State = BTreeMap<EntityId, Entity>;

/// An entity that exists or has existed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entity {
    /// How many events it has had, deletions included.
    version: u64,
    /// Which transaction the last of them belongs to; `None` if its client never learned.
    tx: Option<TxId>,
    /// What it is, if it exists.
    content: Option<Content>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Content {
    kind: Kind,
    key: Option<CanonicalKey>,
    properties: Properties,
    links: BTreeMap<(Kind, EntityId), Properties>,
}

impl Model for Entities {
    type State = State;
    type Op = Op;
    type Ret = Ret;
    type Key = Part;

    fn initial(&self) -> State {
        State::new()
    }

    fn step(&self, state: &State, op: &Op, ret: Option<&Ret>) -> Vec<State> {
        match (op, ret) {
            // Who is told that his transaction does not fit must have been at a moment at which it did not.
            (Op::Submit { operations, .. }, Some(Ret::Refused { .. })) => {
                if after(state, operations, None).is_empty() {
                    vec![state.clone()]
                } else {
                    Vec::new()
                }
            }
            // Of the others only a commit has an effect; not to have been done for another reason is a failure.
            (Op::Submit { operations, .. }, None) => after(state, operations, None),
            (Op::Submit { operations, .. }, Some(Ret::Committed { tx, .. })) => after(state, operations, Some(*tx)),
            (Op::Read { entity }, Some(Ret::Entity(view))) => {
                let known = state.get_key_value(entity).filter(|(_, known)| known.content.is_some());
                if is_shown(known, view.as_ref()) { vec![state.clone()] } else { Vec::new() }
            }
            (Op::Find { kind, key }, Some(Ret::Entity(view))) => {
                let holder = state.iter().find(|(_, entity)| entity.has(kind, key));
                if is_shown(holder, view.as_ref()) { vec![state.clone()] } else { Vec::new() }
            }
            // A peek promises nothing, and a read whose answer is not known tells nothing.
            // Nor does a comparison tell, and a repair shows nowhere: it restores what committed.
            // What is asked of the log or of the projection alone touches no entity.
            (
                Op::Peek { .. }
                | Op::Validate {}
                | Op::Reconcile { .. }
                | Op::Append(_)
                | Op::View(_)
                | Op::Rebuild(_)
                | Op::Mend(_)
                | Op::Status { .. }
                | Op::Follow { .. },
                _,
            )
            | (Op::Read { .. } | Op::Find { .. }, None) => {
                vec![state.clone()]
            }
            (Op::Submit { .. } | Op::Read { .. } | Op::Find { .. }, Some(_)) => Vec::new(),
        }
    }

    fn keys(&self, op: &Op) -> Vec<Part> {
        match op {
            Op::Submit { operations, .. } => {
                let canonical = operations.iter().filter_map(|operation| match operation {
                    Operation::Create { kind, key, .. } => Some(Part::Canonical(kind.clone(), key.clone()?)),
                    _ => None,
                });
                let entities = operations.iter().flat_map(Operation::keys).cloned().map(Part::Entity);
                let mut keys: Vec<Part> = entities.chain(canonical).collect();
                keys.sort();
                keys.dedup();
                keys
            }
            Op::Read { entity } | Op::Peek { entity } => vec![Part::Entity(entity.clone())],
            Op::Find { kind, key } => vec![Part::Canonical(kind.clone(), key.clone())],
            // One of their own: without any, everything would have to be judged together.
            Op::Validate {} | Op::Reconcile { .. } => vec![Part::Stores],
            Op::Append(_) | Op::View(_) | Op::Rebuild(_) | Op::Mend(_) | Op::Status { .. } | Op::Follow { .. } => {
                vec![Part::Projection]
            }
        }
    }
}

/// Whether a read of that entity, or of none, shows that view, or none.
fn is_shown(known: Option<(&EntityId, &Entity)>, view: Option<&EntityView>) -> bool {
    match (known, view) {
        (None, None) => true,
        (Some((id, known)), Some(view)) => view.id == *id && known.shows(view),
        _ => false,
    }
}

impl Entity {
    /// Whether it is there and has that canonical key.
    fn has(&self, kind: &Kind, key: &CanonicalKey) -> bool {
        self.content.as_ref().is_some_and(|content| content.kind == *kind && content.key.as_ref() == Some(key))
    }

    /// Counts an event.
    fn raise(&mut self, tx: Option<TxId>) {
        self.version += 1;
        self.tx = tx;
    }

    /// Whether a read in this state shows that view.
    fn shows(&self, view: &EntityView) -> bool {
        let links = view.links.iter().map(|link| ((&link.kind, &link.to), &link.properties));
        self.version == view.version
            && self.tx.is_none_or(|tx| tx == view.tx)
            && self.content.as_ref().is_some_and(|content| {
                content.kind == view.kind
                    && content.key == view.key
                    && content.properties == view.properties
                    && content.links.iter().map(|((kind, to), p)| ((kind, to), p)).eq(links)
            })
    }
}

/// The state after a transaction, or none if it does not fit.
fn after(state: &State, operations: &[Operation], tx: Option<TxId>) -> Vec<State> {
    let mut state = state.clone();
    let fits = operations.iter().all(|operation| apply(&mut state, operation, tx));
    if fits { vec![state] } else { Vec::new() }
}

/// Applies one operation; false if it does not fit. Deliberately written apart from the
/// production code and from the reference in the graph crate: it judges both.
fn apply(state: &mut State, operation: &Operation, tx: Option<TxId>) -> bool {
    match operation {
        Operation::Create { id, kind, key, properties } => {
            let taken = |key| state.values().any(|entity| entity.has(kind, key));
            if key.as_ref().is_some_and(taken) {
                return false;
            }
            let entity = state.entry(id.clone()).or_default();
            entity.raise(tx);
            let (kind, key, properties) = (kind.clone(), key.clone(), without_nulls(properties));
            let content = Content { kind, key, properties, links: BTreeMap::new() };
            entity.content.replace(content).is_none()
        }
        Operation::Update { id, set } => change(state, id, tx, |content| {
            content.properties.extend(set.clone());
            content.properties.retain(|_, value| *value != Value::Null);
            true
        }),
        Operation::Delete { id } => {
            let linked = state
                .values()
                .filter_map(|entity| entity.content.as_ref())
                .any(|content| content.links.keys().any(|(_, to)| to == id))
                || state.get(id).and_then(|entity| entity.content.as_ref()).is_some_and(|c| !c.links.is_empty());
            let Some(entity) = state.get_mut(id) else { return false };
            entity.raise(tx);
            !linked && entity.content.take().is_some()
        }
        Operation::Link { from, kind, to, properties } => {
            let target_exists = state.get(to).is_some_and(|entity| entity.content.is_some());
            change(state, from, tx, |content| {
                let link = (kind.clone(), to.clone());
                target_exists && content.links.insert(link, without_nulls(properties)).is_none()
            })
        }
        Operation::Unlink { from, kind, to } => {
            change(state, from, tx, |content| content.links.remove(&(kind.clone(), to.clone())).is_some())
        }
        // No client may ask for it.
        Operation::Restore { .. } => false,
        // No read of an entity shows it.
        Operation::Append { .. } => true,
    }
}

fn change(state: &mut State, id: &EntityId, tx: Option<TxId>, change: impl FnOnce(&mut Content) -> bool) -> bool {
    let Some(entity) = state.get_mut(id) else { return false };
    entity.raise(tx);
    entity.content.as_mut().is_some_and(change)
}

fn without_nulls(properties: &Properties) -> Properties {
    properties.iter().filter(|(_, value)| **value != Value::Null).map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[cfg(test)]
mod tests;
