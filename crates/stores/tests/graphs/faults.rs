//! What each fault of a graph means for the transaction.

use graph::Value;
use stores::{Datum, Expect, GraphError, GraphFault};

#[test]
fn only_a_conflict_and_the_storage_are_worth_another_try() {
    let retryable = |fault: GraphFault| match GraphError::from(fault) {
        GraphError::Refused { retryable, .. } => retryable,
        other => panic!("{other:?}"),
    };
    assert!(retryable(GraphFault::Conflict));
    assert!(retryable(GraphFault::Storage("disk I/O error".to_owned())));
    assert!(!retryable(GraphFault::StillConnected));
    assert!(!retryable(GraphFault::Gone));
    assert!(!retryable(GraphFault::Parameter("id".to_owned())));
    assert!(!retryable(GraphFault::Kind("a b".to_owned())));
    let taken = GraphFault::Constraint { label: "Tx".to_owned(), property: "id".to_owned(), value: Value::Int(1) };
    assert!(matches!(GraphError::from(taken), GraphError::Constraint { .. }));
}

#[test]
fn an_expectation_is_one_row_of_one_integer() {
    let check = |rows: &[&[Datum]]| {
        let rows = rows.iter().map(|row| row.to_vec()).collect();
        Expect::Changed(1).check("s", &rows)
    };
    assert_eq!(check(&[&[Datum::Int(1)]]), Ok(()));
    let unexpected: [&[&[Datum]]; 5] = [
        &[],
        &[&[Datum::Int(0)]],
        &[&[Datum::Int(1)], &[Datum::Int(1)]],
        &[&[Datum::Int(1), Datum::Null]],
        &[&[Datum::Text("1".to_owned())]],
    ];
    for rows in unexpected {
        assert!(matches!(check(rows), Err(GraphError::Unexpected { .. })), "{rows:?}");
    }
    assert_eq!(Expect::Anything.check("s", &Vec::new()), Ok(()));
}
