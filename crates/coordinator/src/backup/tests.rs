mod agree;
mod full;
mod restored;
mod support;

use super::*;

#[test]
fn an_element_reads_as_it_was_written() {
    let subject = Subject::Entity("a".parse().unwrap());
    let content =
        Content { kind: "thing".parse().unwrap(), key: None, properties: [("n".to_owned(), 7.into())].into() };
    let marker = Element::Marker { tx: "tx-1-2".parse().unwrap(), committed: true };
    for element in [Element::Held { subject, content }, marker] {
        let json = serde_json::to_string(&element).unwrap();
        assert_eq!(serde_json::from_str::<Element>(&json).unwrap(), element, "{json}");
    }
}

#[test]
fn what_the_coordinator_did_not_write_is_not_backed_up() {
    assert!(held(&["a".into(), Datum::Null], 1).is_err());
    assert!(marker(&["tx-1-1".into(), "perhaps".into()]).is_err());
    assert!(marker(&["x".into(), statements::COMMITTED.into()]).is_err());
}
