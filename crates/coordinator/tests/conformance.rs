//! The statements of the coordinator mean the same on every graph.
//!
//! The same random transactions run on the embedded graph, on the graph in memory behind the
//! simulated Bolt server, and on a real server if `SQUALL_BOLT_URL` names one; rows, kinds of
//! errors and what is left at the end are compared. Then what the protocol rests on is
//! provoked on everything that speaks Bolt.

#[path = "conformance/generate.rs"]
mod generate;
#[path = "conformance/subjects.rs"]
mod subjects;

use coordinator::statements::{self, ABORTED, COMMITTED};
use futures_util::future::{join, join_all};
use graph::{CanonicalKey, EntityId, Kind, Operation, Patch, Properties, TxId};
use stores::{Datum, GraphError, Rows};
use subjects::{Break, OWNER, Subject};

const SEQUENCES: usize = 40;

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

/// Whether a transaction with two faults was rolled back for the other one: some servers
/// check constraints only when it is committed, and by then a count was wrong.
fn is_the_other_fault(ours: &Outcome, theirs: &Outcome) -> bool {
    matches!((ours, theirs), (Outcome::Constraint, Outcome::Unexpected { .. }))
}

/// Sequences run one after another on the same graphs, each on what the last one left.
#[tokio::test]
async fn every_graph_gives_the_same_answers() {
    let subjects = subjects::all().await;
    let mut seen = [0; 4];
    for (number, sequence) in generate::samples(generate::sequence(), SEQUENCES).into_iter().enumerate() {
        for calls in sequence {
            let mut outcomes = Vec::new();
            for subject in &subjects {
                outcomes.push(Outcome::from(subject.execute(calls.clone()).await));
            }
            let (first, rest) = outcomes.split_first().unwrap();
            for (outcome, subject) in rest.iter().zip(&subjects[1..]) {
                assert!(
                    first == outcome || is_the_other_fault(first, outcome),
                    "{}: {first:?}\n{}: {outcome:?}\non {calls:#?}",
                    subjects[0].name,
                    subject.name
                );
            }
            seen[match first {
                Outcome::Rows(_) => 0,
                Outcome::Unexpected { .. } => 1,
                Outcome::Constraint => 2,
                Outcome::Refused | Outcome::Unknown(_) => 3,
            }] += 1;
        }
        let limit = 1 + i64::try_from(number % 3).unwrap();
        let expected = subjects[0].dump(limit).await;
        for subject in &subjects[1..] {
            assert_eq!(expected, subject.dump(limit).await, "{} and {} differ", subjects[0].name, subject.name);
        }
    }
    let [committed, unexpected, constraint, other] = seen;
    assert!(committed > 100 && unexpected > 100 && constraint > 20, "the sequences are too tame: {seen:?}");
    assert_eq!(other, 0, "no transaction of these is refused for another reason: {seen:?}");
}

#[tokio::test]
async fn a_store_is_claimed_by_one_ledger_and_by_its_newest_start() {
    for subject in subjects::all().await {
        let claim = async |id: &str, incarnation: u64, nonce: &str| -> Vec<Datum> {
            let rows = subject.execute(statements::claim_store(id, incarnation, nonce)).await.unwrap();
            let read = subject.execute(statements::read_store()).await.unwrap();
            assert_eq!(rows, read, "{}: what a claim returns is what stands", subject.name);
            rows[0][0].clone()
        };
        let owner = |incarnation: i64, nonce: &str| vec![OWNER.into(), incarnation.into(), nonce.into()];
        assert_eq!(claim(OWNER, 3, "a").await, owner(3, "a"), "{}", subject.name);
        assert_eq!(claim(OWNER, 3, "a").await, owner(3, "a"), "{}: the same once more", subject.name);
        assert_eq!(claim(OWNER, 3, "b").await, owner(3, "a"), "{}: another start of that number", subject.name);
        assert_eq!(claim(OWNER, 2, "c").await, owner(3, "a"), "{}: an older one, delayed", subject.name);
        assert_eq!(claim("another", 9, "d").await, owner(3, "a"), "{}: another ledger", subject.name);
        assert_eq!(claim(OWNER, 10, "e").await, owner(10, "e"), "{}: a newer one", subject.name);
    }
}

#[tokio::test]
async fn of_claims_at_once_the_newest_stands() {
    for subject in subjects::over_bolt().await {
        for round in 1..=20_u64 {
            let incarnations = [3 * round, 3 * round + 1, 3 * round + 2];
            let claims = incarnations.map(|incarnation| {
                let (subject, nonce) = (&subject, format!("nonce-{incarnation}"));
                async move {
                    loop {
                        match subject.execute(statements::claim_store(OWNER, incarnation, &nonce)).await {
                            Ok(rows) => return rows[0][0][1].as_int().unwrap(),
                            Err(GraphError::Unexpected { .. }) => panic!("a claim expects nothing"),
                            Err(_) => {}
                        }
                    }
                }
            });
            for (incarnation, stood) in incarnations.into_iter().zip(join_all(claims).await) {
                assert!(stood >= i64::try_from(incarnation).unwrap(), "{}: an older claim overrode", subject.name);
            }
            let newest = 3 * round + 2;
            let expected = [OWNER.into(), i64::try_from(newest).unwrap().into(), format!("nonce-{newest}").into()];
            let read = subject.execute(statements::read_store()).await.unwrap();
            assert_eq!(read, [[expected]], "{}", subject.name);
        }
    }
}

#[tokio::test]
async fn the_markers_of_an_incarnation_are_read_in_pages_and_without_those_of_others() {
    for subject in subjects::all().await {
        let names = [(1, 1), (1, 2), (1, 10), (1, 19), (2, 1), (10, 1), (11, 1), (100, 1)];
        for (incarnation, serial) in names {
            assert_eq!(fate(&subject, TxId { incarnation, serial }).await, ABORTED);
        }
        let mut found = Vec::new();
        loop {
            let after = found.last().map(String::as_str);
            let rows = subject.execute(statements::markers_of(1, after, 2)).await.unwrap().remove(0);
            if rows.is_empty() {
                break;
            }
            found.extend(rows.iter().map(|row| row[0].as_text().unwrap().to_owned()));
        }
        assert_eq!(found, ["tx-1-1", "tx-1-10", "tx-1-19", "tx-1-2"], "{}", subject.name);
        let rows = subject.execute(statements::markers_of(10, None, 9)).await.unwrap();
        assert_eq!(rows, [[[Datum::from("tx-10-1"), Datum::from(ABORTED)]]], "{}", subject.name);
        let some = [TxId { incarnation: 1, serial: 10 }, TxId { incarnation: 1, serial: 3 }];
        let rows = subject.execute(statements::read_markers(&some)).await.unwrap();
        assert_eq!(rows, [vec![vec![Datum::from(ABORTED)]], vec![]], "{}", subject.name);
    }
}

fn tx(serial: u64) -> TxId {
    TxId { incarnation: 9, serial }
}

fn create(id: &str) -> Operation {
    Operation::Create {
        id: EntityId::new(id).unwrap(),
        kind: Kind::new("thing").unwrap(),
        key: None,
        properties: Properties::new(),
    }
}

fn creating(ids: &[&str]) -> Patch {
    Patch { operations: ids.iter().map(|id| create(id)).collect() }
}

/// Which entities there are, and the state of each marker.
async fn state(subject: &Subject) -> (Vec<String>, Vec<(String, String)>) {
    let [entities, _, markers] = subject.dump(100).await;
    let text = |datum: &Datum| datum.as_text().unwrap().to_owned();
    (
        entities.iter().map(|row| text(&row[0])).collect(),
        markers.iter().map(|row| (text(&row[0]), text(&row[1]))).collect(),
    )
}

/// Fences until it is acknowledged.
async fn fate(subject: &Subject, tx: TxId) -> String {
    loop {
        match subject.execute(statements::fence(tx)).await {
            Ok(rows) => return rows[0][0][0].as_text().unwrap().to_owned(),
            Err(GraphError::Unexpected { .. }) => panic!("a fence expects nothing"),
            Err(_) => {}
        }
    }
}

#[tokio::test]
async fn a_second_attempt_meets_the_marker_of_the_first() {
    for subject in subjects::all().await {
        subject.execute(statements::decide(tx(1), &creating(&["a"]))).await.unwrap();
        let error = subject.execute(statements::decide(tx(1), &creating(&["b"]))).await.unwrap_err();
        assert!(matches!(error, GraphError::Constraint { .. }), "{}: {error}", subject.name);
        assert_eq!(fate(&subject, tx(1)).await, COMMITTED);
        assert_eq!(state(&subject).await.0, ["a"], "{}", subject.name);
    }
}

/// What is sent for a transaction below the floor comes too late to do anything, although its marker
/// is gone; and the floor only rises.
#[tokio::test]
async fn below_the_floor_nothing_is_decided() {
    for subject in subjects::all().await {
        subject.execute(statements::claim_store(OWNER, 2, "n")).await.unwrap();
        subject.execute(statements::decide(tx(5), &creating(&["a"]))).await.unwrap();
        for (owner, floor, expected) in [(OWNER, 5, 5), (OWNER, 3, 5), ("another", 9, 5)] {
            subject.execute(statements::raise_floor(owner, tx(floor))).await.unwrap();
            let read = subject.execute(statements::read_floor()).await.unwrap().remove(0);
            assert_eq!(read, [[Datum::Int(9), Datum::Int(expected)]], "{}", subject.name);
        }
        let removed =
            subject.execute(statements::delete_markers(&[tx(5).to_string(), tx(4).to_string()])).await.unwrap();
        assert_eq!(removed, [[[Datum::Int(1)]], [[Datum::Int(0)]]], "{}", subject.name);
        for late in [tx(5), tx(4), TxId { incarnation: 8, serial: 900 }] {
            let error = subject.execute(statements::decide(late, &creating(&["b"]))).await.unwrap_err();
            assert!(matches!(error, GraphError::Unexpected { .. }), "{}: {late}: {error}", subject.name);
        }
        assert_eq!(state(&subject).await, (vec!["a".to_owned()], vec![]), "{}", subject.name);
        for next in [tx(6), TxId { incarnation: 10, serial: 1 }] {
            let name = format!("c-{}", next.serial);
            subject.execute(statements::decide(next, &creating(&[&name]))).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_fenced_transaction_cannot_be_decided() {
    for subject in subjects::all().await {
        assert_eq!(fate(&subject, tx(1)).await, ABORTED);
        let error = subject.execute(statements::decide(tx(1), &creating(&["a"]))).await.unwrap_err();
        assert!(matches!(error, GraphError::Constraint { .. }), "{}: {error}", subject.name);
        assert_eq!(
            state(&subject).await,
            (vec![], vec![("tx-9-1".to_owned(), ABORTED.to_owned())]),
            "{}",
            subject.name
        );
    }
}

#[tokio::test]
async fn an_operation_that_does_not_fit_takes_everything_back() {
    for subject in subjects::all().await {
        let missing = Operation::Update { id: EntityId::new("missing").unwrap(), set: Properties::new() };
        let patch = Patch { operations: vec![create("a"), missing, create("b")] };
        let error = subject.execute(statements::decide(tx(1), &patch)).await.unwrap_err();
        let expected = GraphError::Unexpected { statement: "update_entity", expected: 1, actual: "[[0]]".to_owned() };
        assert_eq!(error, expected, "{}", subject.name);
        assert_eq!(state(&subject).await, (vec![], vec![]), "{}", subject.name);
    }
}

#[tokio::test]
async fn a_decision_and_a_fence_at_once_never_both_win() {
    const ROUNDS: u64 = 60;
    for subject in subjects::over_bolt().await {
        let mut won = [0; 2];
        for serial in 1..=ROUNDS {
            let name = format!("e{serial}");
            let decide = async {
                // The one that comes later alternates, by different amounts.
                yield_times(serial % 7).await;
                subject.execute(statements::decide(tx(serial), &creating(&[&name]))).await
            };
            let fence = async {
                yield_times(serial % 11).await;
                subject.execute(statements::fence(tx(serial))).await
            };
            let (decided, fenced) = join(decide, fence).await;
            let fate = fate(&subject, tx(serial)).await;
            won[usize::from(fate == COMMITTED)] += 1;
            if let Ok(rows) = fenced {
                assert_eq!(rows[0][0][0], Datum::from(fate.as_str()), "{}: the fence was wrong", subject.name);
            }
            match decided {
                Ok(_) => assert_eq!(fate, COMMITTED, "{}: an acknowledged decision was lost", subject.name),
                Err(GraphError::Refused { .. } | GraphError::Constraint { .. }) => {
                    assert_eq!(fate, ABORTED, "{}: a refused decision took effect", subject.name);
                }
                Err(GraphError::Unknown { .. }) => {}
                Err(error) => panic!("{}: {error}", subject.name),
            }
            let is_there = state(&subject).await.0.contains(&name);
            assert_eq!(is_there, fate == COMMITTED, "{}: {name} does not agree with its marker", subject.name);
        }
        eprintln!("{}: {} decisions won and {} fences", subject.name, won[1], won[0]);
    }
}

async fn yield_times(times: u64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn fences_at_once_leave_one_marker() {
    for subject in subjects::over_bolt().await {
        for serial in 1..=20 {
            let fates = join_all((0..6).map(|_| fate(&subject, tx(serial)))).await;
            assert!(fates.iter().all(|fate| fate == ABORTED), "{}: {fates:?}", subject.name);
        }
        assert_eq!(state(&subject).await.1.len(), 20, "{}", subject.name);
    }
}

#[tokio::test]
async fn an_entity_created_by_two_at_once_is_there_once() {
    for subject in subjects::over_bolt().await {
        for round in 1..=20_u64 {
            let name = format!("e{round}");
            let create = |serial| subject.execute(statements::decide(tx(serial), &creating(&[&name])));
            let results = join_all([create(2 * round), create(2 * round + 1)]).await;
            let won = results.iter().filter(|result| result.is_ok()).count();
            assert!(won <= 1, "{}: both created {name}", subject.name);
            let entities = state(&subject).await.0.into_iter().filter(|id| *id == name).count();
            assert!(entities <= 1 && entities >= won, "{}: {won} won, {entities} are there", subject.name);
        }
    }
}

#[tokio::test]
async fn a_key_that_two_create_under_at_once_has_one_entity() {
    for subject in subjects::over_bolt().await {
        for round in 1..=20_u64 {
            let key: CanonicalKey = format!("key-{round}").parse().unwrap();
            let keyed = |id: &str| match create(id) {
                Operation::Create { id, kind, properties, .. } => {
                    let create = Operation::Create { id, kind, key: Some(key.clone()), properties };
                    Patch { operations: vec![create] }
                }
                operation => panic!("{operation:?}"),
            };
            let names = [format!("a{round}"), format!("b{round}")];
            let create = |serial, name: &str| subject.execute(statements::decide(tx(serial), &keyed(name)));
            let results = join(create(2 * round, &names[0]), create(2 * round + 1, &names[1])).await;
            let won = [results.0.is_ok(), results.1.is_ok()];
            let found = subject.execute(statements::find_entity(&"thing".parse().unwrap(), &key)).await.unwrap();
            let there = names.each_ref().map(|name| found[0].contains(&vec![Datum::from(name.as_str())]));
            assert!(found[0].len() <= 1 && won != [true, true], "{}: {won:?}, {found:?}", subject.name);
            assert!((0..2).all(|one| !won[one] || there[one]), "{}: {won:?}, {found:?}", subject.name);
        }
    }
}

#[tokio::test]
async fn a_key_passes_on_within_a_transaction() {
    for subject in subjects::all().await {
        let key: CanonicalKey = "key".parse().unwrap();
        let keyed = |name: &str| {
            let (id, kind) = (name.parse().unwrap(), "thing".parse().unwrap());
            Operation::Create { id, kind, key: Some(key.clone()), properties: Properties::new() }
        };
        let delete = |name: &str| Operation::Delete { id: name.parse().unwrap() };
        let decide =
            async |serial, operations| subject.execute(statements::decide(tx(serial), &Patch { operations })).await;
        decide(1, vec![keyed("a")]).await.unwrap();
        assert!(decide(2, vec![keyed("b")]).await.is_err(), "{}", subject.name);
        decide(3, vec![delete("a"), keyed("b")]).await.unwrap();
        let found = subject.execute(statements::find_entity(&"thing".parse().unwrap(), &key)).await.unwrap();
        assert_eq!(found, [[[Datum::from("b")]]], "{}", subject.name);
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_commit_leaves_nothing() {
    for subject in subjects::over_bolt().await {
        subject.set(Break::BeforeCommit);
        let error = subject.execute(statements::decide(tx(1), &creating(&["a", "b"]))).await.unwrap_err();
        assert!(matches!(error, GraphError::Unknown { .. }), "{}: {error}", subject.name);
        subject.set(Break::Nothing);
        assert_eq!(fate(&subject, tx(1)).await, ABORTED, "{}", subject.name);
        assert_eq!(state(&subject).await.0, [] as [&str; 0], "{}", subject.name);
    }
}

#[tokio::test]
async fn a_connection_that_ends_after_the_commit_is_unknown_and_the_fence_finds_out() {
    for subject in subjects::over_bolt().await {
        subject.set(Break::AfterCommit);
        let error = subject.execute(statements::decide(tx(1), &creating(&["a", "b"]))).await.unwrap_err();
        assert!(matches!(error, GraphError::Unknown { .. }), "{}: {error}", subject.name);
        subject.set(Break::Nothing);
        assert_eq!(fate(&subject, tx(1)).await, COMMITTED, "{}", subject.name);
        assert_eq!(state(&subject).await.0, ["a", "b"], "{}", subject.name);
    }
}
