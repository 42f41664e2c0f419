//! Canonical keys that somebody changed by hand.

use coordinator::commit::{Answer, Rejection};
use coordinator::reconcile::{Authority, Policy, Resolution};
use coordinator::service::Coordinator;
use graph::{CANONICAL_KEY_PROPERTY, CanonicalKey, Kind, Value};
use stores::{GraphError, GraphFault, PropertyGraph};

use crate::stores_by_hand::{both, in_sql, subjects, submit};
use crate::world::World;

fn kind() -> Kind {
    "thing".parse().unwrap()
}

fn key(text: &str) -> CanonicalKey {
    text.parse().unwrap()
}

/// Entities, each with a key that is named after it.
async fn keyed(coordinator: &Coordinator, ids: &[&str]) {
    for id in ids {
        let create = format!(r#"[{{"create":{{"id":"{id}","kind":"thing","key":"key-{id}"}}}}]"#);
        submit(coordinator, id, &create).await;
    }
}

/// Gives an entity another key in the graph, or takes it away.
fn set_key(world: &World, id: &str, to: Option<&str>) {
    let change = |graph: &mut dyn PropertyGraph| -> Result<(), GraphFault> {
        for node in graph.find("Entity", "id", &Value::from(id))? {
            let mut properties = graph.properties(node)?;
            properties.remove(CANONICAL_KEY_PROPERTY);
            let to = to.map(|to| (CANONICAL_KEY_PROPERTY.to_owned(), Value::Text(key(to).qualified(&kind()))));
            properties.extend(to);
            graph.set_properties(node, properties)?;
        }
        Ok(())
    };
    world.graph.autocommit(|graph| change(graph).map_err(|fault| Fault(fault.into()))).unwrap();
}

#[derive(Debug)]
struct Fault(#[expect(dead_code, reason = "shown when a test fails")] GraphError);

impl From<GraphFault> for Fault {
    fn from(fault: GraphFault) -> Fault {
        Fault(fault.into())
    }
}

/// That nobody has a key is not SQLite's to say alone, as little as that an entity is not there.
#[tokio::test(start_paused = true)]
async fn a_key_that_the_graph_alone_knows_is_no_ones_answer() {
    for change in ["DELETE FROM entity WHERE id = 'a'", "UPDATE entity SET key = NULL WHERE id = 'a'"] {
        let world = World::new(700);
        let coordinator = world.start().await.unwrap();
        keyed(&coordinator, &["a", "b"]).await;
        in_sql(&world, change);
        let answer = coordinator.find(kind(), key("key-a")).await;
        let differs = |why: &str| why.contains("only the graph has an entity with the canonical key key-a");
        assert!(matches!(&answer, Answer::Rejected(Rejection::Unavailable(why)) if differs(why)), "{answer:?}");
        assert!(coordinator.operations().alerts().iter().any(|alert| alert.firing), "somebody is told");
        assert!(matches!(coordinator.find(kind(), key("key-b")).await, Answer::Entity(Some(_))));
        assert!(matches!(coordinator.find(kind(), key("key-c")).await, Answer::Entity(None)), "neither has it");
        world.kill(coordinator);
    }
}

/// And a key that SQLite alone knows was never answered with.
#[tokio::test(start_paused = true)]
async fn a_key_that_sqlite_alone_knows_is_no_ones_answer() {
    let world = World::new(701);
    let coordinator = world.start().await.unwrap();
    keyed(&coordinator, &["a"]).await;
    set_key(&world, "a", None);
    assert!(matches!(coordinator.find(kind(), key("key-a")).await, Answer::Rejected(Rejection::Unavailable(_))));
    world.kill(coordinator);
}

/// b has taken the key of a, and c that of b: what gives a key up comes after what waits for it.
#[tokio::test(start_paused = true)]
async fn keys_that_were_passed_on_by_hand_come_back_in_one_pass() {
    let world = World::new(702);
    let coordinator = world.start().await.unwrap();
    keyed(&coordinator, &["a", "b", "c"]).await;
    let sound = both(&world);
    set_key(&world, "a", None);
    set_key(&world, "b", Some("key-a"));
    set_key(&world, "c", Some("key-b"));
    assert_eq!(subjects(&coordinator.validate().await), ["entity a", "entity b", "entity c"]);
    let summary = coordinator.reconcile(Policy::Log).await;
    assert!(summary.is_clean(), "{summary:#?}");
    assert_eq!((summary.repaired, both(&world)), (3, sound));
    assert_eq!(coordinator.open_cases(0, 9).await.unwrap(), []);
    world.kill(coordinator);
}

/// Neither can give its key up before the other has: a person has to take one of them away.
#[tokio::test(start_paused = true)]
async fn keys_that_were_swapped_by_hand_are_left_to_a_person() {
    let world = World::new(703);
    let coordinator = world.start().await.unwrap();
    keyed(&coordinator, &["a", "b", "c"]).await;
    let sound = both(&world);
    set_key(&world, "a", None);
    set_key(&world, "b", Some("key-a"));
    set_key(&world, "a", Some("key-b"));
    for policy in [Policy::Log, Policy::Sql, Policy::Graph, Policy::Log] {
        let summary = coordinator.reconcile(policy).await;
        assert_eq!((summary.repaired, summary.undecided, summary.skipped), (0, 2, 0), "{policy:?}: {summary:#?}");
        let cases = coordinator.open_cases(0, 9).await.unwrap();
        let reasons: Vec<String> = cases.iter().map(|case| case.reason.to_string()).collect();
        assert_eq!(reasons, ["b", "a"].map(|by| format!("its canonical key belongs to entity {by}")));
    }
    set_key(&world, "a", None);
    let summary = coordinator.reconcile(Policy::Log).await;
    assert_eq!((summary.repaired, summary.is_clean()), (2, true), "{summary:#?}");
    assert_eq!(both(&world), sound);
    for case in coordinator.open_cases(0, 9).await.unwrap() {
        let (by, note) = ("ann".to_owned(), "took a's key away".to_owned());
        coordinator.resolve(case.number, Resolution { authority: Authority::Log, by, note }).await.unwrap();
    }
    assert!(coordinator.validate().await.is_clean());
    world.kill(coordinator);
}
