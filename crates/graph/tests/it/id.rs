use std::collections::BTreeMap;

use graph::{EntityId, IdError, Kind, Millis, TxId};
use proptest::prelude::*;

#[test]
fn an_id_says_why_it_is_refused() {
    let refusal = |json: &str| serde_json::from_str::<EntityId>(json).unwrap_err().to_string();
    insta::assert_snapshot!(refusal("\"\""), @"an id must not be empty");
    insta::assert_snapshot!(refusal("\"two words\""), @"character ' ' is not allowed in an id: use a-z, A-Z, 0-9 and any of - _ . : /");
    insta::assert_snapshot!(refusal("7"), @"invalid type: integer `7`, expected a string at line 1 column 1");
    insta::assert_snapshot!(refusal(&format!("{:?}", "x".repeat(201))), @"an id has at most 200 bytes, this one has 201");
    insta::assert_snapshot!(serde_json::from_str::<Kind>("\"é\"").unwrap_err(), @"character 'é' is not allowed in an id: use a-z, A-Z, 0-9 and any of - _ . : /");
    insta::assert_snapshot!(serde_json::from_str::<TxId>("\"tx-1\"").unwrap_err(), @r#""tx-1" is not a transaction id: expected tx-INCARNATION-SERIAL, as in tx-3-17"#);
    assert!(EntityId::new("x".repeat(200)).is_ok());
}

#[test]
fn a_transaction_id_has_one_text() {
    for text in ["", "tx-", "tx-1-", "tx-01-1", "tx-1-01", "tx-+1-1", "tx--1-1", "tx-1-1 ", "TX-1-1", "tx-1-2-3"] {
        assert_eq!(text.parse::<TxId>(), Err(IdError::NotATxId(text.to_owned())));
    }
    assert_eq!("tx-3-17".parse(), Ok(TxId { incarnation: 3, serial: 17 }));
}

#[test]
fn ids_are_keys_of_json_maps() {
    let by_tx = BTreeMap::from([(TxId { incarnation: 1, serial: 2 }, Millis(5))]);
    let json = serde_json::to_string(&by_tx).expect("the keys are text");
    assert_eq!(json, r#"{"tx-1-2":5}"#);
    assert_eq!(serde_json::from_str::<BTreeMap<TxId, Millis>>(&json).expect("what was written is read"), by_tx);

    let by_id = BTreeMap::from([(EntityId::new("a:b/c").expect("a valid id"), 1)]);
    let json = serde_json::to_string(&by_id).expect("the keys are text");
    assert_eq!(json, r#"{"a:b/c":1}"#);
    assert_eq!(serde_json::from_str::<BTreeMap<EntityId, i32>>(&json).expect("what was written is read"), by_id);
    assert!(serde_json::from_str::<BTreeMap<EntityId, i32>>(r#"{"a b":1}"#).is_err());
}

#[test]
fn time_saturates() {
    assert_eq!(Millis(1) - Millis(2), Millis::ZERO);
    assert_eq!(Millis(u64::MAX) + Millis(1), Millis(u64::MAX));
    assert_eq!((Millis(2) + Millis(3)).to_string(), "5 ms");
}

proptest! {
    #[test]
    fn transaction_ids_print_and_parse(incarnation: u64, serial: u64) {
        let id = TxId { incarnation, serial };
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let json = serde_json::to_string(&id).expect("an id is text");
        prop_assert_eq!(serde_json::from_str::<TxId>(&json).expect("what was written is read"), id);
    }

    #[test]
    fn ids_print_and_parse(text in "[-_.:/a-zA-Z0-9]{1,200}") {
        let id: EntityId = text.parse().expect("a valid id");
        prop_assert_eq!(id.to_string(), text.clone());
        let json = serde_json::to_string(&id).expect("an id is text");
        prop_assert_eq!(&json, &format!("\"{text}\""));
        prop_assert_eq!(serde_json::from_str::<EntityId>(&json).expect("what was written is read"), id);
    }

    #[test]
    fn any_other_text_is_refused(text in ".*[^-_.:/a-zA-Z0-9].*") {
        prop_assert!(EntityId::new(text).is_err());
    }
}
