//! Property values: what both a graph database and SQLite can keep without loss.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::text;

/// The properties of a node or an edge, by name.
pub type Properties = BTreeMap<String, Value>;

/// A property value.
///
/// In JSON a number with a point or an exponent is a [`Real`](Value::Real), any other an
/// [`Int`](Value::Int): `1.0` and `1` are different values and both survive a round trip.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// No value. Graph databases treat a null property as an absent one.
    Null,
    /// A truth value.
    Bool(bool),
    /// A 64-bit signed integer.
    Int(i64),
    /// A finite 64-bit float.
    Real(Real),
    /// UTF-8 text.
    Text(String),
    /// An ordered list.
    List(Vec<Value>),
}

impl Value {
    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Value {
        Value::Bool(bool)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Value {
        Value::Int(int)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

/// As JSON on one line, with invisible characters escaped: the form that reads best in a
/// diff.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::json(self))
    }
}

// Written out, because the derived reader of an untagged enum would try one variant after
// the other and take an integer that does not fit an `Int` for a `Real`.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property value (null, boolean, number, text or a list of them)")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E: de::Error>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E: de::Error>(self, int: u64) -> Result<Value, E> {
        i64::try_from(int).map(Value::Int).map_err(|_| {
            let expected = "an integer that fits 64 bits with sign; write a larger one as text";
            E::invalid_value(Unexpected::Unsigned(int), &expected)
        })
    }

    fn visit_f64<E: de::Error>(self, float: f64) -> Result<Value, E> {
        Real::try_from(float).map(Value::Real).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
}

/// Sets each property, or removes it where the new value is null.
pub(crate) fn merge(properties: &mut Properties, set: &Properties) {
    for (name, value) in set {
        if *value == Value::Null {
            properties.remove(name);
        } else {
            properties.insert(name.clone(), value.clone());
        }
    }
}

/// A finite float with a total order, so that it can be compared, hashed and dumped.
///
/// Negative zero is kept as zero: stores differ on whether they keep the sign. It is read
/// from a float only, never from an integer, so that `1` cannot become `1.0`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(into = "f64")]
pub struct Real(f64);

/// The float was infinite or not a number, which JSON and Bolt do not carry alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a float property must be finite")]
pub struct NotFinite;

impl Real {
    /// The float.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Real {
    type Error = NotFinite;
    fn try_from(float: f64) -> Result<Real, NotFinite> {
        if !float.is_finite() {
            return Err(NotFinite);
        }
        Ok(Real(if float == 0.0 { 0.0 } else { float }))
    }
}

impl From<Real> for f64 {
    fn from(real: Real) -> f64 {
        real.0
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Real, D::Error> {
        deserializer.deserialize_f64(RealVisitor)
    }
}

struct RealVisitor;

impl Visitor<'_> for RealVisitor {
    type Value = Real;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a finite float, written with a point or an exponent")
    }

    fn visit_f64<E: de::Error>(self, float: f64) -> Result<Real, E> {
        Real::try_from(float).map_err(E::custom)
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Real) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Real) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Real) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Real {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
