//! Canonical keys that somebody changed by hand.

use coordinator::commit::{Answer, Rejection};
use coordinator::service::Coordinator;
use graph::{CANONICAL_KEY_PROPERTY, CanonicalKey, Kind, Value};
use stores::{GraphError, GraphFault, PropertyGraph};

use crate::stores_by_hand::{in_sql, submit};
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
