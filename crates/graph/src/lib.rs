//! The words that every part of squall shares: ids, values, nodes, edges and patches.
//!
//! Nothing here does I/O, reads a clock or draws randomness, and every collection is
//! ordered, so a value prints, hashes and compares the same in production, in
//! simulation and inside the model checker.

mod diff;
mod dump;
mod element;
mod event;
mod id;
mod json;
mod key;
mod label;
mod patch;
mod shape;
mod text;
mod time;
mod validate;
mod value;

pub use diff::{Alteration, Change, Copies, Diff, Element, ElementId};
pub use element::{Edge, Node, Snapshot};
pub use event::{
    EVENT_TEXT_BYTES_MAX, EventId, EventProblem, Json, NewEvent, PAYLOAD_DEPTH_MAX, SYSTEM_STREAM, stream_of,
};
pub use id::{EntityId, IdError, Kind, TxId};
pub use json::{JsonError, from_json};
pub use key::{CanonicalKey, KEY_BYTES_MAX, KeyError};
pub use patch::{Content, Operation, Patch, Refusal, Subject};
pub use shape::{CANONICAL_KEY_PROPERTY, ENTITY_LABEL, ID_PROPERTY, KIND_PROPERTY, LINK_TYPE, RESERVED_PROPERTIES};
pub use time::Millis;
pub use validate::{NAME_BYTES_MAX, OPERATIONS_MAX, PatchError, Problem, TEXT_BYTES_MAX};
pub use value::{NotFinite, Properties, Real, Value};
