//! When two property values are the same.

use graph::{Properties, Value};

/// 2^63, the first float beyond the integers.
const INTEGERS_END: f64 = 9_223_372_036_854_775_808.0;

/// A form that two values share exactly when openCypher's `=` holds between them; `None` for
/// a value that equals nothing.
pub(crate) fn equality_key(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) | Value::Int(_) | Value::Text(_) => value.clone(),
        Value::Real(real) => {
            let float = real.get();
            if float.fract() == 0.0 && (-INTEGERS_END..INTEGERS_END).contains(&float) {
                #[expect(clippy::cast_possible_truncation, reason = "it is integral and in range")]
                Value::Int(float as i64)
            } else {
                value.clone()
            }
        }
        Value::List(items) => Value::List(items.iter().map(equality_key).collect::<Option<_>>()?),
    })
}

/// The properties that a graph keeps: those with a value.
pub(crate) fn without_nulls(mut properties: Properties) -> Properties {
    properties.retain(|_, value| *value != Value::Null);
    properties
}

#[cfg(test)]
mod tests {
    use graph::Real;

    use super::*;

    fn real(float: f64) -> Value {
        Value::Real(Real::try_from(float).unwrap())
    }

    #[test]
    fn numbers_are_equal_by_value_and_nothing_else_is() {
        assert_eq!(equality_key(&real(1.0)), equality_key(&Value::Int(1)));
        assert_eq!(equality_key(&real(-INTEGERS_END)), equality_key(&Value::Int(i64::MIN)));
        assert_ne!(equality_key(&real(INTEGERS_END)), equality_key(&Value::Int(i64::MAX)));
        assert_ne!(equality_key(&real(1.5)), equality_key(&Value::Int(1)));
        assert_ne!(equality_key(&Value::from("1")), equality_key(&Value::Int(1)));
        assert_ne!(equality_key(&Value::Bool(true)), equality_key(&Value::Int(1)));
        let list = |items: &[Value]| equality_key(&Value::List(items.to_vec()));
        assert_eq!(list(&[real(2.0)]), list(&[Value::Int(2)]));
        assert_ne!(list(&[Value::Int(2)]), list(&[Value::Int(2), Value::Int(2)]));
    }

    #[test]
    fn null_equals_nothing() {
        assert_eq!(equality_key(&Value::Null), None);
        assert_eq!(equality_key(&Value::List(vec![Value::Int(1), Value::Null])), None);
    }
}
