//! Events as JSON.

use std::num::NonZero;

use graph::EntityId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::payload::{Annotation, BodyOperation, Created, Json, Payload, Representation, Schema};
use super::{Content, Event, EventId, Position, SCHEMA_VERSION, system};

/// An event as it is sent and kept; a field that is not here is ignored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    id: EventId,
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource_id: Option<EntityId>,
    user_id: String,
    version: u32,
    #[serde(default)]
    payload: Value,
    metadata: Metadata,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    sequence_number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
}

/// An event that has no place in a stream, so that nothing at all can be done with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {0} has the sequence number 0; they count from 1")]
pub(super) struct NoPlace(EventId);

/// An event that cannot be read, and does not say where it stands either.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be read: {0}")]
pub struct Illegible(#[from] serde_json::Error);

/// Where an event stands, and nothing else of it: what it says may be anything, however deeply nested.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    resource_id: Option<EntityId>,
    metadata: Sequence,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sequence {
    sequence_number: NonZero<u64>,
}

impl Event {
    /// Reads an event as it is sent and kept. One that says where it stands and cannot be read otherwise is
    /// [malformed](Content::Malformed), and its stream stops there.
    ///
    /// # Errors
    ///
    /// It does not say where it stands.
    pub fn decode(json: &str) -> Result<Event, Illegible> {
        serde_json::from_str(json).or_else(|error| {
            let Place { resource_id, metadata } = serde_json::from_str(json)?;
            let resource = resource_id.unwrap_or_else(system);
            let position = Position { resource, sequence: metadata.sequence_number.get() };
            Ok(Event::illegible(position, &error.into()))
        })
    }

    /// What stands at this place, and cannot be read.
    pub fn illegible(position: Position, error: &Illegible) -> Event {
        let content =
            Content::Malformed { kind: String::new(), payload: Json("null".to_owned()), why: error.to_string() };
        Event {
            id: EventId(String::new()),
            position,
            timestamp: String::new(),
            user: String::new(),
            version: 0,
            correlation: None,
            content,
        }
    }
}

impl TryFrom<Envelope> for Event {
    type Error = NoPlace;

    fn try_from(envelope: Envelope) -> Result<Event, NoPlace> {
        let Envelope { id, kind, timestamp, resource_id, user_id, version, payload, metadata } = envelope;
        if metadata.sequence_number == 0 {
            return Err(NoPlace(id));
        }
        let position = Position { resource: resource_id.unwrap_or_else(system), sequence: metadata.sequence_number };
        let content = match Kind::from_name(&kind) {
            Some(known) if version <= SCHEMA_VERSION => match read(known, &payload) {
                Ok(payload) => Content::Known(payload),
                Err(error) => Content::Malformed { kind, payload: Json(payload.to_string()), why: error.to_string() },
            },
            _ => Content::Unknown { kind, payload: Json(payload.to_string()) },
        };
        Ok(Event { id, position, timestamp, user: user_id, version, correlation: metadata.correlation_id, content })
    }
}

impl From<Event> for Envelope {
    fn from(event: Event) -> Envelope {
        let Event { id, position, timestamp, user, version, correlation, content } = event;
        let (kind, payload) = match content {
            Content::Known(payload) => (payload.kind().name().to_owned(), write(payload)),
            Content::Unknown { kind, payload } | Content::Malformed { kind, payload, .. } => {
                (kind, serde_json::from_str(&payload.0).unwrap_or(Value::Null))
            }
        };
        Envelope {
            id,
            kind,
            timestamp,
            resource_id: (position.resource != system()).then_some(position.resource),
            user_id: user,
            version,
            payload,
            metadata: Metadata { sequence_number: position.sequence, correlation_id: correlation },
        }
    }
}

#[derive(Deserialize)]
struct Added {
    annotation: Annotation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Removed {
    annotation_id: EntityId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BodyUpdated {
    annotation_id: EntityId,
    operations: Vec<BodyOperation>,
}

#[derive(Deserialize)]
struct SchemaAdded {
    schema: Map<String, Value>,
}

fn read(kind: Kind, payload: &Value) -> Result<Payload, serde_json::Error> {
    fn as_<T: DeserializeOwned>(payload: &Value) -> Result<T, serde_json::Error> {
        serde_json::from_value(payload.clone())
    }
    let missing = <serde_json::Error as serde::de::Error>::missing_field;
    Ok(match kind {
        Kind::ResourceCreated => Payload::ResourceCreated(as_(payload)?),
        Kind::ResourceCloned => {
            let created: Created = as_(payload)?;
            if created.parent_resource_id.is_none() {
                return Err(missing("parentResourceId"));
            }
            Payload::ResourceCloned(created)
        }
        Kind::ResourceUpdated => Payload::ResourceUpdated(as_(payload)?),
        Kind::ResourceMoved => Payload::ResourceMoved(as_(payload)?),
        Kind::RepresentationAdded => match as_(payload)? {
            added @ Representation::Added { .. } => Payload::RepresentationAdded(added),
            Representation::Removed { .. } => return Err(missing("representation")),
        },
        Kind::RepresentationRemoved => match as_(payload)? {
            removed @ Representation::Removed { .. } => Payload::RepresentationRemoved(removed),
            Representation::Added { .. } => return Err(missing("checksum")),
        },
        Kind::ResourceArchived => Payload::ResourceArchived,
        Kind::ResourceUnarchived => Payload::ResourceUnarchived,
        Kind::AnnotationAdded => Payload::AnnotationAdded(as_::<Added>(payload)?.annotation),
        Kind::AnnotationRemoved => Payload::AnnotationRemoved(as_::<Removed>(payload)?.annotation_id),
        Kind::AnnotationBodyUpdated => {
            let BodyUpdated { annotation_id, operations } = as_(payload)?;
            Payload::AnnotationBodyUpdated(annotation_id, operations)
        }
        Kind::EntityTagAdded => Payload::EntityTagAdded(as_(payload)?),
        Kind::EntityTagRemoved => Payload::EntityTagRemoved(as_(payload)?),
        Kind::EntityTypeAdded => Payload::EntityTypeAdded(as_(payload)?),
        Kind::TagSchemaAdded => {
            let mut schema = as_::<SchemaAdded>(payload)?.schema;
            let Some(Value::String(id)) = schema.remove("id") else { return Err(missing("schema.id")) };
            Payload::TagSchemaAdded(Schema { id, rest: Json(Value::Object(schema).to_string()) })
        }
        Kind::JobStarted => Payload::JobStarted(as_(payload)?),
        Kind::JobProgress => Payload::JobProgress(as_(payload)?),
        Kind::JobCompleted => Payload::JobCompleted(as_(payload)?),
        Kind::JobFailed => Payload::JobFailed(as_(payload)?),
    })
}

fn write(payload: Payload) -> Value {
    fn plain<T: Serialize>(payload: T) -> Value {
        serde_json::to_value(payload).expect("payloads have text keys, and JSON in them was read as JSON")
    }
    match payload {
        Payload::ResourceCreated(created) | Payload::ResourceCloned(created) => plain(created),
        Payload::ResourceUpdated(updated) => plain(updated),
        Payload::ResourceMoved(moved) => plain(moved),
        Payload::RepresentationAdded(representation) | Payload::RepresentationRemoved(representation) => {
            plain(representation)
        }
        Payload::ResourceArchived | Payload::ResourceUnarchived => json!({}),
        Payload::AnnotationAdded(annotation) => json!({ "annotation": plain(annotation) }),
        Payload::AnnotationRemoved(id) => json!({ "annotationId": id }),
        Payload::AnnotationBodyUpdated(id, operations) => {
            json!({ "annotationId": id, "operations": plain(operations) })
        }
        Payload::EntityTagAdded(tag) | Payload::EntityTagRemoved(tag) | Payload::EntityTypeAdded(tag) => plain(tag),
        Payload::TagSchemaAdded(Schema { id, rest }) => {
            let mut schema = match plain(rest) {
                Value::Object(schema) => schema,
                _ => Map::new(),
            };
            schema.insert("id".to_owned(), Value::String(id));
            json!({ "schema": schema })
        }
        Payload::JobStarted(job) | Payload::JobProgress(job) | Payload::JobCompleted(job) | Payload::JobFailed(job) => {
            plain(job)
        }
    }
}
