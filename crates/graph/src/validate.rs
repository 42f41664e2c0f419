//! What a patch must look like before anybody tries to apply it.
//!
//! The limits are those of the graph store: Neo4j keeps a list only when its items are
//! scalars of one type, and has no way to keep null.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{EntityId, EventId, EventProblem, Operation, Patch, Properties, RESERVED_PROPERTIES, Value};

/// The most operations that one patch may have.
pub const OPERATIONS_MAX: usize = 100;

/// The longest name of a property, in bytes.
pub const NAME_BYTES_MAX: usize = 100;

/// The longest text value, alone or in a list, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Why a patch is malformed: no state of the graph would make it acceptable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PatchError {
    /// It has no operation.
    #[error("a patch needs at least one operation")]
    Empty,
    /// It has more than [`OPERATIONS_MAX`] operations.
    #[error("a patch has at most {OPERATIONS_MAX} operations, this one has {0}: split it into several")]
    TooManyOperations(usize),
    /// One of its operations is malformed.
    #[error("operations[{position}]: {problem}")]
    Operation {
        /// Which one, counted from 0.
        position: usize,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with an operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// A restoration, by which stores are repaired.
    #[error("`restore` is the coordinator's own: say what to change with the other operations")]
    NotForClients,
    /// A creation under an id of the form that transactions make.
    #[error("id {0} is of the form that the coordinator makes: create a label such as _:new, and it makes one")]
    GeneratedForm(EntityId),
    /// A label that is created twice.
    #[error("label {0} was created by an operation before: one label is one entity")]
    LabelTwice(EntityId),
    /// A label that no operation before creates.
    #[error("label {0} is created by no operation before: labels mean something in their own patch alone")]
    UnknownLabel(EntityId),
    /// An update that sets nothing.
    #[error("`set` is empty: name a property to set, or leave the operation out")]
    NothingToSet,
    /// A property with the name of one of the element's own.
    #[error("property name {0:?} is reserved for the element itself: choose another")]
    ReservedName(String),
    /// A property name longer than [`NAME_BYTES_MAX`].
    #[error("property name {start:?}… has {bytes} bytes: use at most {NAME_BYTES_MAX}")]
    LongName {
        /// The first characters of the name.
        start: String,
        /// Its length.
        bytes: usize,
    },
    /// A property name that is not an identifier.
    #[error("property name {0:?} is not an identifier: start with a letter or _, go on with letters, digits and _")]
    NotAnIdentifier(String),
    /// A text longer than [`TEXT_BYTES_MAX`].
    #[error("property {name} has a text of {bytes} bytes: keep at most {TEXT_BYTES_MAX} and store the rest elsewhere")]
    LongText {
        /// The property.
        name: String,
        /// The length of the text.
        bytes: usize,
    },
    /// A list with null in it.
    #[error("property {0} is a list with null in it: leave the item out")]
    NullInList(String),
    /// A list with a list in it.
    #[error("property {0} is a list with a list in it: use one property for each inner list")]
    NestedList(String),
    /// A list with items of several types; an integer and a float are two types.
    #[error("property {0} is a list of several types: make all items of one type, as in [1.0, 2.5]")]
    MixedList(String),
    /// An event that is not in order by itself.
    #[error("event: {0}")]
    Event(EventProblem),
    /// An event that is appended twice.
    #[error("event {0} is appended by an operation before: one id is one event")]
    EventTwice(EventId),
}

impl Patch {
    /// Checks everything that can be checked without looking at the graph.
    ///
    /// # Errors
    ///
    /// The first thing wrong, by the position of its operation.
    pub fn validate(&self) -> Result<(), PatchError> {
        match self.operations.len() {
            0 => return Err(PatchError::Empty),
            1..=OPERATIONS_MAX => {}
            count => return Err(PatchError::TooManyOperations(count)),
        }
        let (mut labels, mut events) = (BTreeSet::new(), BTreeSet::new());
        for (position, operation) in self.operations.iter().enumerate() {
            check_operation(operation)
                .and_then(|()| check_ids(operation, &mut labels))
                .and_then(|()| check_event_id(operation, &mut events))
                .map_err(|problem| PatchError::Operation { position, problem })?;
        }
        Ok(())
    }
}

/// `labels` are those created so far.
fn check_ids<'p>(operation: &'p Operation, labels: &mut BTreeSet<&'p EntityId>) -> Result<(), Problem> {
    match operation {
        Operation::Create { id, .. } if id.is_label() && !labels.insert(id) => Err(Problem::LabelTwice(id.clone())),
        Operation::Create { id, .. } if id.generated_by().is_some() => Err(Problem::GeneratedForm(id.clone())),
        operation => {
            match operation.keys().chain(operation.streams_to()).find(|id| id.is_label() && !labels.contains(id)) {
                Some(label) => Err(Problem::UnknownLabel(label.clone())),
                None => Ok(()),
            }
        }
    }
}

/// `events` are those appended so far.
fn check_event_id<'p>(operation: &'p Operation, events: &mut BTreeSet<&'p EventId>) -> Result<(), Problem> {
    match operation {
        Operation::Append { event, .. } if !events.insert(&event.id) => Err(Problem::EventTwice(event.id.clone())),
        _ => Ok(()),
    }
}

fn check_operation(operation: &Operation) -> Result<(), Problem> {
    match operation {
        Operation::Create { properties, .. } | Operation::Link { properties, .. } => check_properties(properties),
        Operation::Update { set, .. } if set.is_empty() => Err(Problem::NothingToSet),
        Operation::Update { set, .. } => check_properties(set),
        Operation::Delete { .. } | Operation::Unlink { .. } => Ok(()),
        Operation::Restore { .. } => Err(Problem::NotForClients),
        Operation::Append { event, .. } => event.validate().map_err(Problem::Event),
    }
}

fn check_properties(properties: &Properties) -> Result<(), Problem> {
    for (name, value) in properties {
        check_name(name)?;
        check_value(name, value)?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Problem> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Problem::LongName { start: name.chars().take(20).collect(), bytes: name.len() });
    }
    let head = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !name.starts_with(head) || !name.chars().all(|c| head(c) || c.is_ascii_digit()) {
        return Err(Problem::NotAnIdentifier(name.to_owned()));
    }
    if RESERVED_PROPERTIES.contains(&name) {
        return Err(Problem::ReservedName(name.to_owned()));
    }
    Ok(())
}

fn check_value(name: &str, value: &Value) -> Result<(), Problem> {
    let Value::List(items) = value else {
        return check_text(name, value);
    };
    for item in items {
        match item {
            Value::Null => return Err(Problem::NullInList(name.to_owned())),
            Value::List(_) => return Err(Problem::NestedList(name.to_owned())),
            Value::Bool(_) | Value::Int(_) | Value::Real(_) | Value::Text(_) => check_text(name, item)?,
        }
    }
    let of_one_type = |pair: &[Value]| std::mem::discriminant(&pair[0]) == std::mem::discriminant(&pair[1]);
    if items.windows(2).all(of_one_type) { Ok(()) } else { Err(Problem::MixedList(name.to_owned())) }
}

fn check_text(name: &str, value: &Value) -> Result<(), Problem> {
    match value.as_text() {
        Some(text) if text.len() > TEXT_BYTES_MAX => {
            Err(Problem::LongText { name: name.to_owned(), bytes: text.len() })
        }
        _ => Ok(()),
    }
}
