//! What is left to a person, and how the person decides.

use coordinator::commit::Answer;
use coordinator::reconcile::{Authority, Policy, Reason, Resolution, ResolveError};
use coordinator::service::Coordinator;

use crate::stores_by_hand::{both, in_graph, in_sql, two_friends};
use crate::world::World;

fn resolution(authority: Authority) -> Resolution {
    Resolution { authority, by: "ann".to_owned(), note: "asked the owner".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_person_identifies_decides_and_it_is_applied_validated_and_documented() {
    let world = World::new(600);
    let coordinator = world.start().await.unwrap();
    two_friends(&coordinator).await;
    in_graph(&world, r#"[{"unlink":{"from":"a","kind":"knows","to":"b"}},{"delete":{"id":"b"}}]"#);
    let summary = coordinator.reconcile(Policy::Graph).await;
    assert_eq!((summary.undecided, summary.repaired), (2, 0), "{summary:#?}");
    let cases = coordinator.open_cases(0, 10).await.unwrap();
    assert!(cases.iter().all(|case| matches!(case.reason, Reason::WouldDelete(_))), "{cases:#?}");
    let [entity, link] = cases.as_slice() else { panic!("{cases:#?}") };
    assert!(matches!(coordinator.read("b".parse().unwrap()).await, Answer::Rejected(_)), "nobody is told either");

    let linked = coordinator.resolve(entity.number, resolution(Authority::Graph)).await;
    assert!(matches!(linked, Err(ResolveError::Undecided { reason: Reason::StillLinked, .. })), "{linked:?}");
    let resolved = coordinator.resolve(link.number, resolution(Authority::Graph)).await.unwrap();
    let ending = resolved.ending.unwrap();
    assert_eq!((ending.authority, ending.by.as_str(), ending.tx.is_some()), (Authority::Graph, "ann", true));
    coordinator.resolve(entity.number, resolution(Authority::Graph)).await.unwrap();
    assert_eq!(coordinator.open_cases(0, 10).await.unwrap(), []);
    assert!(coordinator.validate().await.is_clean());
    assert_eq!(both(&world).nodes().len(), 1);
    let again = coordinator.resolve(link.number, resolution(Authority::Sql)).await;
    assert!(matches!(again, Err(ResolveError::Resolved(_))), "{again:?}");
    assert!(matches!(coordinator.resolve(99, resolution(Authority::Sql)).await, Err(ResolveError::NoSuchCase(99))));

    let shell = world.shell();
    let audited: i64 = shell
        .query_row(
            "SELECT count(*) FROM audit WHERE action = 'resolved' AND detail LIKE '%asked the owner%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(audited, 2);
    drop(shell);
    world.kill(coordinator);
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_read_are_for_a_person() {
    let world = World::new(601);
    let coordinator = world.start().await.unwrap();
    two_friends(&coordinator).await;
    in_sql(
        &world,
        "UPDATE event SET payload = '?' WHERE resource = 'b'; UPDATE entity SET kind = 'robot' WHERE id = 'b'",
    );
    for policy in [Policy::Log, Policy::Graph, Policy::Sql] {
        assert_eq!(coordinator.reconcile(policy).await.undecided, 1);
    }
    let case = coordinator.open_cases(0, 10).await.unwrap().remove(0);
    assert!(matches!(case.reason, Reason::LogUnreadable(_)), "{case:?}");
    let refused = coordinator.resolve(case.number, resolution(Authority::Log)).await;
    assert!(matches!(refused, Err(ResolveError::Undecided { .. })), "{refused:?}");
    coordinator.resolve(case.number, resolution(Authority::Graph)).await.unwrap();
    assert!(coordinator.validate().await.is_clean());
    world.kill(coordinator);
}

#[tokio::test(start_paused = true)]
async fn a_case_is_said_until_a_person_closes_it_whichever_process_left_it() {
    let is_said = |coordinator: &Coordinator| {
        let alerts = coordinator.operations().alerts();
        alerts.iter().any(|alert| alert.firing && alert.detail.contains("cases are left to a person"))
    };
    let world = World::new(602);
    let coordinator = world.start().await.unwrap();
    two_friends(&coordinator).await;
    in_graph(&world, r#"[{"update":{"id":"a","set":{"x":7}}}]"#);
    assert!(!is_said(&coordinator));
    assert_eq!(coordinator.reconcile(Policy::Quarantine).await.undecided, 1);
    assert!(is_said(&coordinator));
    world.kill(coordinator);
    let coordinator = world.start().await.unwrap();
    assert_eq!(coordinator.open_cases(0, 10).await.unwrap().len(), 1, "it outlives the process");
    assert!(is_said(&coordinator), "and so does the alert");
    assert_eq!(coordinator.reconcile(Policy::Log).await.repaired, 1);
    assert!(is_said(&coordinator), "a person closes it");
    // Somebody else has repaired it, so that takes no transaction.
    let case = coordinator.resolve(1, resolution(Authority::Sql)).await.unwrap();
    assert_eq!(case.ending.unwrap().tx, None);
    let about = "SELECT detail FROM audit WHERE action = 'resolved' AND tx = ''";
    let audited: String = world.shell().query_row(about, [], |row| row.get(0)).unwrap();
    assert!(audited.contains(r#""case":1"#) && audited.contains("asked the owner"), "{audited}");
    assert!(!is_said(&coordinator));
    world.kill(coordinator);
}
