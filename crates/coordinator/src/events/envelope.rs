//! An event as it is kept and sent.

use graph::{EntityId, EventId, Json, Millis, NewEvent};
use serde::{Deserialize, Serialize};

use super::{is_system, rfc3339};

/// An event with its place in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Its name.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, for people.
    pub timestamp: String,
    /// The resource whose it is; `None` in the system stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<EntityId>,
    /// Who wrote it.
    pub user_id: String,
    /// The version of its schema.
    pub version: u32,
    /// What it says.
    pub payload: Json,
    /// What the store knows of it.
    pub metadata: Metadata,
}

/// What is said about an event, beside what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its number in its stream, from 1.
    pub sequence_number: u64,
    /// What it was written on behalf of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

impl Envelope {
    /// An event at its place. `now` is its time if it came without one, in UTC.
    pub fn new(stream: &EntityId, sequence: u64, event: NewEvent, now: Millis) -> Envelope {
        let NewEvent { id, kind, timestamp, user_id, version, payload, correlation_id } = event;
        Envelope {
            id,
            kind,
            timestamp: timestamp.unwrap_or_else(|| rfc3339(now)),
            resource_id: (!is_system(stream)).then(|| stream.clone()),
            user_id,
            version,
            payload,
            metadata: Metadata { sequence_number: sequence, correlation_id },
        }
    }
}
