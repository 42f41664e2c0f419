//! A span of time on the wire: a number of seconds. For serde's `with`.

use graph::Millis;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes it.
pub fn serialize<S: Serializer>(span: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.0 as f64 / 1_000.0)
}

/// Reads it, to the millisecond.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    // A cast from a float saturates.
    Ok(Millis((seconds * 1_000.0).round() as u64))
}
