//! Between our values and Bolt's.

use bolt_proto::Value as Bolt;

use crate::Datum;

/// A Bolt value that a [`Datum`] cannot hold: a node, a date, a point, an infinite float.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value of type {0} is neither a property value nor a map of them")]
pub(super) struct Unsupported(&'static str);

/// Never fails: Bolt holds everything that we do.
pub(super) fn to_bolt(datum: Datum) -> Bolt {
    match datum {
        Datum::Null => Bolt::Null,
        Datum::Bool(bool) => Bolt::Boolean(bool),
        Datum::Int(int) => Bolt::Integer(int),
        Datum::Real(real) => Bolt::Float(real.get()),
        Datum::Text(text) => Bolt::String(text),
        Datum::List(items) => Bolt::List(items.into_iter().map(to_bolt).collect()),
        Datum::Map(entries) => Bolt::Map(entries.into_iter().map(|(key, value)| (key, to_bolt(value))).collect()),
    }
}

pub(super) fn from_bolt(value: Bolt) -> Result<Datum, Unsupported> {
    Ok(match value {
        Bolt::Null => Datum::Null,
        Bolt::Boolean(bool) => Datum::Bool(bool),
        Bolt::Integer(int) => Datum::Int(int),
        Bolt::Float(float) => Datum::Real(float.try_into().map_err(|_| Unsupported("infinite float"))?),
        Bolt::String(text) => Datum::Text(text),
        Bolt::List(items) => Datum::List(items.into_iter().map(from_bolt).collect::<Result<_, _>>()?),
        Bolt::Map(entries) => Datum::Map(
            entries.into_iter().map(|(key, value)| Ok((key, from_bolt(value)?))).collect::<Result<_, Unsupported>>()?,
        ),
        Bolt::Bytes(_) => return Err(Unsupported("bytes")),
        Bolt::Node(_) => return Err(Unsupported("node")),
        Bolt::Relationship(_) | Bolt::UnboundRelationship(_) => return Err(Unsupported("relationship")),
        Bolt::Path(_) => return Err(Unsupported("path")),
        Bolt::Point2D(_) | Bolt::Point3D(_) => return Err(Unsupported("point")),
        Bolt::Duration(_) => return Err(Unsupported("duration")),
        Bolt::Date(_)
        | Bolt::Time(..)
        | Bolt::DateTimeOffset(_)
        | Bolt::DateTimeZoned(_)
        | Bolt::LocalTime(_)
        | Bolt::LocalDateTime(_) => return Err(Unsupported("date or time")),
    })
}

#[cfg(test)]
mod tests {
    use graph::Real;
    use proptest::prelude::*;

    use super::*;

    fn datum() -> impl Strategy<Value = Datum> {
        let leaf = prop_oneof![
            Just(Datum::Null),
            any::<bool>().prop_map(Datum::Bool),
            any::<i64>().prop_map(Datum::Int),
            any::<f64>().prop_filter_map("finite", |float| Some(Datum::Real(Real::try_from(float).ok()?))),
            any::<String>().prop_map(Datum::Text),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Datum::List),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Datum::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_goes_there_comes_back(datum in datum()) {
            prop_assert_eq!(from_bolt(to_bolt(datum.clone())), Ok(datum));
        }
    }

    #[test]
    fn what_we_cannot_hold_is_refused_by_name() {
        assert_eq!(from_bolt(Bolt::Float(f64::NAN)), Err(Unsupported("infinite float")));
        assert_eq!(from_bolt(Bolt::List(vec![Bolt::Bytes(vec![1])])), Err(Unsupported("bytes")));
    }
}
