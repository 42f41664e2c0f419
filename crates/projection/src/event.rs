//! Events: what happened to a resource, in the order of its sequence numbers.
//!
//! The per-resource sequence, from 1 without gaps, is the only order; timestamps are for people.
//! What belongs to no resource is in the system stream, [`SYSTEM`], which has a sequence of its
//! own and is folded like any other.
//!
//! An event that this program cannot read is still an event: it has a place in its stream, and
//! [`Content`] says what is wrong with it. Nobody may pass it by.

mod kind;
mod payload;
mod wire;

use std::fmt;

use graph::EntityId;
use serde::{Deserialize, Serialize};

pub use kind::{Kind, Treatment};
pub use payload::{
    Annotation, BodyItem, BodyOperation, Created, EntityType, Job, Json, Moved, Payload, Representation, Schema,
    SpecificResource, Target, TextualBody, Updated,
};
pub use wire::Illegible;

/// The stream of what belongs to no resource.
pub const SYSTEM: &str = "__system__";

/// The newest version of an event's schema that this program knows. What a newer one means, an
/// older program can only guess; it does not.
pub const SCHEMA_VERSION: u32 = 1;

/// Names one event for ever; a redelivery has the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub String);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an event stands: the resource, and the place in its stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The resource, or [`SYSTEM`].
    pub resource: EntityId,
    /// Counts the events of the resource, from 1.
    pub sequence: u64,
}

/// `r1@7`
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.resource, self.sequence)
    }
}

/// An event as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "wire::Envelope", into = "wire::Envelope")]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// Its place.
    pub position: Position,
    /// When it was written, for people: nothing is ordered by it.
    pub timestamp: String,
    /// Who wrote it.
    pub user: String,
    /// The version of its schema.
    pub version: u32,
    /// What it was written on behalf of.
    pub correlation: Option<String>,
    /// What it says.
    pub content: Content,
}

/// What an event says, as far as this program can read it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// All of it.
    Known(Payload),
    /// Its type is none that this program knows, or its schema is newer.
    Unknown {
        /// The type as it stands there.
        kind: String,
        /// The payload as it stands there.
        payload: Json,
    },
    /// The type is known and the payload is not of its form.
    Malformed {
        /// The type as it stands there.
        kind: String,
        /// The payload as it stands there.
        payload: Json,
        /// What is wrong.
        why: String,
    },
}

impl Content {
    /// What is to be done with it.
    pub fn treatment(&self) -> Treatment {
        match self {
            Content::Known(payload) => payload.kind().treatment(),
            Content::Unknown { .. } | Content::Malformed { .. } => Treatment::Refused,
        }
    }
}

/// The stream of what belongs to no resource.
pub fn system() -> EntityId {
    EntityId::new(SYSTEM).expect("the name of the system stream is an id")
}

#[cfg(test)]
mod tests;
