//! The statements of the projection mean the same on every graph.
//!
//! The same random transactions run on the embedded graph, on the graph in memory behind the
//! simulated Bolt server, and on a real server if `SQUALL_BOLT_URL` names one; rows, kinds of
//! errors and what is left at the end are compared. Then the lanes themselves run on each of them, and what they leave
//! is compared with the reference fold.

mod generate;
mod lanes;
mod races;
mod subjects;

use std::collections::BTreeSet;

use projection::statements::ALL;
use stores::{GraphError, Rows};

const SEQUENCES: usize = 60;

/// An error as far as graphs have to agree on it: the words are their own.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Rows(Vec<Rows>),
    Refused,
    Unexpected { statement: &'static str, expected: i64, actual: String },
    Constraint,
    Unknown(String),
}

impl From<Result<Vec<Rows>, GraphError>> for Outcome {
    fn from(result: Result<Vec<Rows>, GraphError>) -> Outcome {
        match result {
            Ok(rows) => Outcome::Rows(rows),
            Err(GraphError::Refused { .. }) => Outcome::Refused,
            Err(GraphError::Unexpected { statement, expected, actual }) => {
                Outcome::Unexpected { statement, expected, actual }
            }
            Err(GraphError::Constraint { .. }) => Outcome::Constraint,
            Err(GraphError::Unknown { why }) => Outcome::Unknown(why),
        }
    }
}

/// Rows of statements that promise no order, in one.
fn sorted(mut outcome: Outcome, statements: &[&'static str]) -> Outcome {
    if let Outcome::Rows(results) = &mut outcome {
        for (rows, statement) in results.iter_mut().zip(statements) {
            let ordered = statement.starts_with("list_") || statement.starts_with("dump_");
            if !ordered {
                rows.sort();
            }
        }
    }
    outcome
}

/// Sequences run one after another on the same graphs, each on what the last one left.
#[tokio::test]
async fn every_graph_gives_the_same_answers() {
    let subjects = subjects::all().await;
    let (mut committed, mut unexpected, mut seen) = (0, 0, BTreeSet::new());
    for sequence in generate::samples(generate::sequence(), SEQUENCES) {
        for calls in sequence {
            let names: Vec<&'static str> = calls.iter().map(|call| call.statement.name).collect();
            let (mut outcomes, mut errors) = (Vec::new(), Vec::new());
            for subject in &subjects {
                let result = subject.execute(calls.clone()).await;
                errors.push(result.as_ref().err().map(ToString::to_string));
                outcomes.push(sorted(Outcome::from(result), &names));
            }
            let (first, rest) = outcomes.split_first().expect("there is always the embedded graph");
            for (outcome, subject) in rest.iter().zip(&subjects[1..]) {
                assert!(
                    first == outcome,
                    "{}: {first:?}\n{}: {outcome:?}\n{errors:?} on {calls:?}",
                    subjects[0].name,
                    subject.name
                );
            }
            match first {
                Outcome::Rows(_) => {
                    committed += 1;
                    seen.extend(names);
                }
                Outcome::Unexpected { .. } => unexpected += 1,
                other => panic!("no transaction of these fails for another reason: {other:?}, {errors:?} on {calls:?}"),
            }
        }
        let expected = subjects[0].dump().await;
        for subject in &subjects[1..] {
            let dump = subject.dump().await;
            assert_eq!(expected, dump, "{} and {} differ", subjects[0].name, subject.name);
        }
    }
    subjects::leave_empty(&subjects).await;
    assert!(committed > 300 && unexpected > 100, "the sequences are too tame: {committed} and {unexpected}");
    assert_eq!(seen, ALL.iter().map(|statement| statement.name).collect(), "each statement has been committed");
}
