//! What the projection rests on when two write at once.

use futures_util::future::join_all;
use graph::EntityId;
use projection::fold::Change;
use projection::lanes::{Applied, Write};
use projection::statements;
use stores::GraphError;

use crate::subjects;

fn id(text: &str) -> EntityId {
    text.parse().expect("an id")
}

fn at(sequence: u64) -> Applied {
    Applied { sequence, ..Applied::default() }
}

/// Whoever read the same mark wants to move it: it moves once, and with it goes the effect of whoever moved it.
#[tokio::test]
async fn of_two_that_move_a_mark_at_once_one_does() {
    const ROUNDS: u64 = 40;
    let subjects = subjects::all().await;
    for subject in &subjects {
        for round in 0..ROUNDS {
            let attempts = ["one", "two", "three"].map(|who| {
                let set = [("name".to_owned(), who.into()), ("stub".to_owned(), graph::Value::Bool(false))].into();
                let changes = vec![Change::PutResource { set }];
                let write = Write { resource: id("r"), from: at(round), to: at(round + 1), changes };
                async move { (who, subject.execute(statements::apply(0, &[write])).await) }
            });
            let results = join_all(attempts).await;
            let unknown = results.iter().any(|(_, result)| matches!(result, Err(GraphError::Unknown { .. })));
            let winners: Vec<&str> = results.iter().filter(|(_, result)| result.is_ok()).map(|(who, _)| *who).collect();
            assert!(winners.len() <= 1, "{}: {winners:?} moved the mark of round {round}", subject.name);
            let dump = subject.dump().await;
            if let ([winner], false) = (winners.as_slice(), unknown) {
                assert_eq!(dump.marks[&id("r")], at(round + 1), "{}", subject.name);
                assert!(dump.graph.to_string().contains(&format!("\"{winner}\"")), "{}: {}", subject.name, dump.graph);
            }
            // Where each of them stood in another's way, as a server may say, the next round needs the mark.
            if dump.marks.get(&id("r")).is_none_or(|mark| mark.sequence == round) {
                let write = Write { resource: id("r"), from: at(round), to: at(round + 1), changes: Vec::new() };
                subject.execute(statements::apply(0, &[write])).await.expect("nobody is in the way");
            }
        }
    }
    subjects::leave_empty(&subjects).await;
}

/// Two links lead to a resource that nobody has created, and both are taken away at once: of the two who do it one comes
/// second, and finds that none is left.
#[tokio::test]
async fn of_two_that_take_the_last_links_to_a_stub_away_at_once_one_takes_the_stub_as_well() {
    let subjects = subjects::all().await;
    for subject in &subjects {
        for round in 0..20 {
            let target = id(&format!("stub-{round}"));
            // Each moves its own mark twice a round, and tries for as long as it is in the other one's way.
            let change = async |who: &str, step: u64, changes: Vec<Change>| loop {
                let write = Write {
                    resource: id(who),
                    from: at(2 * round + step),
                    to: at(2 * round + step + 1),
                    changes: changes.clone(),
                };
                match subject.execute(statements::apply(0, &[write])).await {
                    Ok(_) | Err(GraphError::Unexpected { statement: "advance_marks", .. }) => return,
                    Err(_) => {}
                }
            };
            for who in ["p", "q"] {
                let (name, target) = (id("a"), target.clone());
                let put = Change::PutAnnotation { name: name.clone(), set: Default::default(), misowned: false };
                let set = [("stub".to_owned(), graph::Value::Bool(false))].into();
                change(who, 0, vec![Change::PutResource { set }, put, Change::Link { name, target }]).await;
            }
            let unlink = || vec![Change::Unlink { name: id("a"), target: target.clone() }];
            join_all([change("p", 1, unlink()), change("q", 1, unlink())]).await;
            let nodes =
                subject.execute(statements::look_up(std::slice::from_ref(&target))).await.expect("it is readable");
            assert!(nodes[0].is_empty(), "{}: nobody links to {target}, and it is still there", subject.name);
        }
    }
    subjects::leave_empty(&subjects).await;
}

/// Several annotations link to a resource that nobody has created: there is one stub.
#[tokio::test]
async fn a_stub_that_many_make_at_once_is_there_once() {
    let subjects = subjects::all().await;
    for subject in &subjects {
        for round in 0..10 {
            let target = id(&format!("stub-{round}"));
            let link = async |who: &str| loop {
                let (name, target) = (id("a"), target.clone());
                let set = || [("stub".to_owned(), graph::Value::Bool(false))].into();
                let changes = vec![
                    Change::PutResource { set: set() },
                    Change::PutAnnotation { name: name.clone(), set: Default::default(), misowned: false },
                    Change::Link { name, target },
                ];
                let write = Write { resource: id(who), from: at(round), to: at(round + 1), changes };
                match subject.execute(statements::apply(0, &[write])).await {
                    Ok(_) => return,
                    // It was written, and nobody heard of it.
                    Err(GraphError::Unexpected { statement: "advance_marks", .. }) => return,
                    Err(_) => {}
                }
            };
            join_all([link("p"), link("q"), link("s")]).await;
            let mut links = subject.execute(vec![statements::referrers(&target, "", 9)]).await.expect("it is readable");
            assert_eq!(links.remove(0).len(), 3, "{}: every link is there", subject.name);
            let nodes = subject.execute(statements::look_up(&[target])).await.expect("it is readable");
            assert_eq!(nodes[0].len(), 1, "{}: one stub", subject.name);
        }
    }
    subjects::leave_empty(&subjects).await;
}
