//! What goes into a statement and what comes out of it.

use std::collections::BTreeMap;

use graph::{Properties, Real, Value};
use serde::{Deserialize, Serialize};

/// The parameters of a statement, by name without the dollar sign.
pub type Params = BTreeMap<String, Datum>;

/// A parameter, or a cell of a result: a property value or a map of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Datum {
    /// No value.
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
    List(Vec<Datum>),
    /// A map, for example the properties of a node.
    Map(BTreeMap<String, Datum>),
}

impl Datum {
    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Datum::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Datum::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same as a property value; `None` for a map, which is none.
    pub fn to_value(&self) -> Option<Value> {
        Some(match self {
            Datum::Null => Value::Null,
            Datum::Bool(bool) => Value::Bool(*bool),
            Datum::Int(int) => Value::Int(*int),
            Datum::Real(real) => Value::Real(*real),
            Datum::Text(text) => Value::Text(text.clone()),
            Datum::List(items) => Value::List(items.iter().map(Datum::to_value).collect::<Option<_>>()?),
            Datum::Map(_) => return None,
        })
    }

    /// The same as properties; `None` unless it is a map of property values.
    pub fn to_properties(&self) -> Option<Properties> {
        match self {
            Datum::Map(map) => map.iter().map(|(name, datum)| Some((name.clone(), datum.to_value()?))).collect(),
            _ => None,
        }
    }
}

impl From<Value> for Datum {
    fn from(value: Value) -> Datum {
        match value {
            Value::Null => Datum::Null,
            Value::Bool(bool) => Datum::Bool(bool),
            Value::Int(int) => Datum::Int(int),
            Value::Real(real) => Datum::Real(real),
            Value::Text(text) => Datum::Text(text),
            Value::List(items) => Datum::List(items.into_iter().map(Datum::from).collect()),
        }
    }
}

impl From<Properties> for Datum {
    fn from(properties: Properties) -> Datum {
        Datum::Map(properties.into_iter().map(|(name, value)| (name, Datum::from(value))).collect())
    }
}

impl From<i64> for Datum {
    fn from(int: i64) -> Datum {
        Datum::Int(int)
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Datum {
        Datum::Text(text.to_owned())
    }
}

impl From<String> for Datum {
    fn from(text: String) -> Datum {
        Datum::Text(text)
    }
}
