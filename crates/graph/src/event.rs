//! Events as their writers hand them over, before they have a place in a stream.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::validate::TEXT_BYTES_MAX;
use crate::{EntityId, NAME_BYTES_MAX};

/// The stream of what belongs to no resource.
pub const SYSTEM_STREAM: &str = "__system__";

/// The longest id of an event, name of a user, time stamp or correlation id, in bytes.
pub const EVENT_TEXT_BYTES_MAX: usize = 200;

/// How deep the lists and objects of a payload may be nested. Readers of JSON have limits of their own, 128 and less, and what
/// a payload travels in is nested as well.
pub const PAYLOAD_DEPTH_MAX: usize = 64;

/// The stream that the events of a resource are in, or those of none.
pub fn stream_of(resource: Option<&EntityId>) -> EntityId {
    resource.cloned().unwrap_or_else(|| EntityId::new(SYSTEM_STREAM).expect("the name of the system stream is an id"))
}

/// Names one event for ever, in whichever stream it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(String);

impl EventId {
    /// Checks the length (1 to 200 bytes) and that there is no control character in it.
    pub fn new(text: impl Into<String>) -> Result<EventId, EventProblem> {
        let text = text.into();
        check_text("id", &text, EVENT_TEXT_BYTES_MAX)?;
        Ok(EventId(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EventId {
    type Err = EventProblem;
    fn from_str(text: &str) -> Result<EventId, EventProblem> {
        EventId::new(text)
    }
}

impl TryFrom<String> for EventId {
    type Error = EventProblem;
    fn try_from(text: String) -> Result<EventId, EventProblem> {
        EventId::new(text)
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> String {
        id.0
    }
}

/// JSON that nobody here looks into, in one form: without spaces, the keys of objects sorted. So
/// two of the same content are the same text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json(String);

impl Json {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How deep lists and objects are nested in it: 0 where there is none.
    pub fn depth(&self) -> usize {
        let (mut depth, mut deepest) = (0_usize, 0);
        let (mut quoted, mut escaped) = (false, false);
        for byte in self.0.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b'[' | b'{' if !quoted => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' if !quoted => depth -= 1,
                _ => {}
            }
        }
        deepest
    }
}

impl Default for Json {
    /// Null.
    fn default() -> Json {
        Json(serde_json::Value::Null.to_string())
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Json {
        Json(value.to_string())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: serde_json::Value = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Json::from)
    }
}

/// An event that is to be appended to a stream. The store gives it its sequence number there; what
/// type and payload mean is the business of whoever folds them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEvent {
    /// Its name.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, for people: nothing is ordered by it. Without one it gets the time at
    /// which it is appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Who wrote it.
    pub user_id: String,
    /// The version of its schema.
    pub version: u32,
    /// What it says.
    #[serde(default)]
    pub payload: Json,
    /// What it was written on behalf of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum EventProblem {
    /// A text that is empty or too long.
    #[error("`{field}` has 1 to {max} bytes, this one has {bytes}")]
    Length {
        /// Which field.
        field: String,
        /// Its length.
        bytes: usize,
        /// The longest that it may be.
        max: usize,
    },
    /// A text with a control character in it.
    #[error("`{0}` must not contain control characters")]
    Control(String),
    /// A payload longer than [`TEXT_BYTES_MAX`](crate::TEXT_BYTES_MAX).
    #[error("the payload has {0} bytes: keep at most {TEXT_BYTES_MAX} and store the rest elsewhere")]
    LongPayload(usize),
    /// A payload nested deeper than [`PAYLOAD_DEPTH_MAX`].
    #[error("the payload is nested {0} deep: at most {PAYLOAD_DEPTH_MAX}, for whoever reads it back")]
    DeepPayload(usize),
}

impl NewEvent {
    /// Checks everything that can be checked without looking at the store.
    ///
    /// # Errors
    ///
    /// The first thing wrong.
    pub fn validate(&self) -> Result<(), EventProblem> {
        check_text("type", &self.kind, NAME_BYTES_MAX)?;
        check_text("userId", &self.user_id, EVENT_TEXT_BYTES_MAX)?;
        for (field, text) in [("timestamp", &self.timestamp), ("correlationId", &self.correlation_id)] {
            text.as_ref().map_or(Ok(()), |text| check_text(field, text, EVENT_TEXT_BYTES_MAX))?;
        }
        match self.payload.as_str().len() {
            bytes if bytes > TEXT_BYTES_MAX => return Err(EventProblem::LongPayload(bytes)),
            _ => {}
        }
        match self.payload.depth() {
            depth if depth > PAYLOAD_DEPTH_MAX => Err(EventProblem::DeepPayload(depth)),
            _ => Ok(()),
        }
    }
}

fn check_text(field: &str, text: &str, max: usize) -> Result<(), EventProblem> {
    if !(1..=max).contains(&text.len()) {
        return Err(EventProblem::Length { field: field.to_owned(), bytes: text.len(), max });
    }
    if text.contains(|c: char| c.is_control()) {
        return Err(EventProblem::Control(field.to_owned()));
    }
    Ok(())
}
