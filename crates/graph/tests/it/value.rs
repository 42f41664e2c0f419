use graph::{JsonError, Real, Snapshot, Value, from_json};
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, F64Deserializer};

use crate::strategies::{real, value};

fn read(json: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn real_of(float: f64) -> Value {
    Value::Real(Real::try_from(float).expect("a finite float"))
}

#[test]
fn an_integer_stays_an_integer_and_a_float_a_float() {
    for (json, value) in [
        ("1", Value::Int(1)),
        ("1.0", real_of(1.0)),
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("1e300", real_of(1e300)),
        ("9007199254740993.0", real_of(9_007_199_254_740_992.0)),
        ("[1,1.0,null]", Value::List(vec![Value::Int(1), real_of(1.0), Value::Null])),
        ("\"1\"", Value::from("1")),
        ("[]", Value::List(vec![])),
    ] {
        assert_eq!(read(json).as_ref(), Ok(&value), "{json}");
        assert_eq!(read(&value.to_string()), Ok(value), "{json}");
    }
    assert_eq!(real_of(1.0).to_string(), "1.0");
    assert_eq!(real_of(-0.0), real_of(0.0));
    assert_ne!(real_of(1.0), Value::Int(1));
}

#[test]
fn what_is_no_value_is_refused_with_a_reason() {
    insta::assert_snapshot!(read("9223372036854775808").unwrap_err(), @"invalid value: integer `9223372036854775808`, expected an integer that fits 64 bits with sign; write a larger one as text at line 1 column 19");
    insta::assert_snapshot!(read("[1, {}]").unwrap_err(), @"invalid type: map, expected a property value (null, boolean, number, text or a list of them) at line 1 column 6");
    insta::assert_snapshot!(read("1e400").unwrap_err(), @"number out of range at line 1 column 5");
    insta::assert_snapshot!(serde_json::from_str::<Real>("1").unwrap_err(), @"invalid type: integer `1`, expected a finite float, written with a point or an exponent at line 1 column 1");
}

#[test]
fn an_infinite_float_is_refused_by_every_door() {
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Real::try_from(float).is_err());
        let deserializer = || -> F64Deserializer<Error> { float.into_deserializer() };
        assert_eq!(Real::deserialize(deserializer()).unwrap_err().to_string(), "a float property must be finite");
        assert_eq!(Value::deserialize(deserializer()).unwrap_err().to_string(), "a float property must be finite");
    }
}

#[test]
fn values_survive_the_buffering_of_tagged_enums() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Tagged {
        Set { value: Value },
    }
    let read = |json| serde_json::from_str::<Tagged>(json);
    let set = |value| Tagged::Set { value };
    assert_eq!(read(r#"{"value": [1, 1.0], "type": "set"}"#).ok(), Some(set(vec_of([Value::Int(1), real_of(1.0)]))));
    assert_eq!(read(r#"{"value": null, "type": "set"}"#).ok(), Some(set(Value::Null)));
    let error = read(r#"{"value": 9223372036854775808, "type": "set"}"#).unwrap_err().to_string();
    assert!(error.contains("9223372036854775808"), "{error}");
}

fn vec_of<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

#[test]
fn json_from_outside_keeps_every_digit_or_is_refused() {
    let read = |json: &str| from_json::<Value>(json.as_bytes()).map_err(|error| error.to_string());
    // Inside a text digits are text, whatever is escaped around them.
    for kept in
        [r#""99999999999999999999""#, r#""\"99999999999999999999\\""#, "99999999999999999999.0", "1E30", "[0, -1]"]
    {
        assert_eq!(read(kept), serde_json::from_str(kept).map_err(|error| error.to_string()));
        assert!(read(kept).is_ok(), "{kept}");
    }
    insta::assert_snapshot!(read("[1,\n \"\\\"\", 18446744073709551616]").unwrap_err(), @"integer 18446744073709551616 would become a float at line 2 column 8: integers go from -2^63 to 2^64 - 1; write a larger one as text, or as a float with a point");
    insta::assert_snapshot!(read("-9223372036854775809").unwrap_err(), @"integer -9223372036854775809 would become a float at line 1 column 1: integers go from -2^63 to 2^64 - 1; write a larger one as text, or as a float with a point");
    insta::assert_snapshot!(read("-0").unwrap_err(), @"integer -0 would become a float at line 1 column 1: integers go from -2^63 to 2^64 - 1; write a larger one as text, or as a float with a point");
    insta::assert_snapshot!(read("[1,").unwrap_err(), @"EOF while parsing a value at line 1 column 3");
    assert_eq!(from_json::<u64>(b"18446744073709551615").ok(), Some(u64::MAX));
    assert!(matches!(from_json::<Snapshot>(b"{}"), Err(JsonError::Shape(_))));
}

proptest! {
    #[test]
    fn json_round_trip(value in value()) {
        prop_assert_eq!(read(&value.to_string()), Ok(value.clone()));
        let json = serde_json::to_string(&value).expect("a value has a JSON form");
        prop_assert_eq!(read(&json), Ok(value.clone()));
        prop_assert_eq!(from_json::<Value>(json.as_bytes()).ok(), Some(value.clone()));
        let tree = serde_json::to_value(&value).expect("a value has a JSON form");
        prop_assert_eq!(serde_json::from_value::<Value>(tree).expect("what was written is read"), value);
    }

    #[test]
    fn floats_keep_every_bit(real in real()) {
        let Ok(Value::Real(back)) = read(&Value::Real(real).to_string()) else { panic!("{real:?} is no longer a float") };
        prop_assert_eq!(back.get().to_bits(), real.get().to_bits());
    }

    #[test]
    fn integers_beyond_64_bits_never_become_floats(int in any::<i128>()) {
        let fits = i64::try_from(int).is_ok();
        prop_assert_eq!(from_json::<Value>(int.to_string().as_bytes()).is_ok(), fits);
    }
}
