//! Resources that are linked to and not there: what is said of them, and what becomes of them.

use projection::lanes::Scope;
use projection::service::Projector;
use projection::stubs::Cause;
use stores::{Call, Expect, GraphStore, Statement};
use tempfile::tempdir;

use crate::store::{EventStore, Mood};
use crate::support::{PATIENCE, Running, created, event, id, linked, open, unknown};

/// Makes a stub of a resource, as no statement of the projection would.
static MAKE_STUB: Statement = Statement {
    name: "make_stub",
    cypher: "never sent",
    columns: &[],
    run: |graph, params| {
        let name = params["id"].as_text().expect("a name").into();
        for node in graph.find("Resource", "id", &name)? {
            graph.set_properties(node, [("id".to_owned(), name.clone()), ("stub".to_owned(), true.into())].into())?;
        }
        Ok(Vec::new())
    },
};

/// Takes the mark of a resource away.
static FORGET_MARK: Statement = Statement {
    name: "forget_mark",
    cypher: "never sent",
    columns: &[],
    run: |graph, params| {
        let name = params["id"].as_text().expect("a name").into();
        for node in graph.find("Applied", "resource", &name)? {
            graph.delete(node)?;
        }
        Ok(Vec::new())
    },
};

async fn by_hand(projector: &Running, resource: &str, statements: &[&'static Statement]) {
    let params = [("id".into(), resource.into())];
    let call =
        |statement: &&'static Statement| Call { statement, params: params.clone().into(), expect: Expect::Anything };
    projector.graph.execute(statements.iter().map(call).collect(), PATIENCE).await.expect("anybody can");
}

async fn causes(projector: &Running) -> Vec<(String, Cause)> {
    let stubs = projector.client().stubs("").await.unwrap().stubs;
    stubs.into_iter().map(|stub| (stub.resource.to_string(), stub.cause)).collect()
}

/// Whoever links to it is sound in each case, so the four look the same in the graph.
#[tokio::test]
async fn each_cause_is_named_and_a_rebuild_repairs_all_but_what_the_log_does_not_have() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    for (from, to) in [("p", "never"), ("q", "poisoned"), ("r", "behind"), ("s", "altered")] {
        store.append([created(from), linked(from, 2, to)]);
    }
    store.append([created("behind"), created("altered")]);
    store.append([unknown("poisoned", 1), event("poisoned", 2, "resource.archived", &serde_json::json!({}))]);
    projector.settle(&store).await;
    by_hand(&projector, "behind", &[&MAKE_STUB, &FORGET_MARK]).await;
    by_hand(&projector, "altered", &[&MAKE_STUB]).await;

    let named = causes(&projector).await;
    let [altered, behind, never, poisoned] = &named[..] else { panic!("{named:?}") };
    assert_eq!(altered, &("altered".to_owned(), Cause::Altered));
    assert_eq!(behind, &("behind".to_owned(), Cause::NotAppliedYet { applied: 0, logged: 1 }));
    assert_eq!(never, &("never".to_owned(), Cause::NeverCreated));
    assert!(matches!(&poisoned.1, Cause::CannotBeApplied { sequence: 1, .. }), "{poisoned:?}");
    let page = projector.get("/stubs?limit=1").await.json();
    assert_eq!((&page["next"], page["stubs"].as_array().unwrap().len()), (&"altered".into(), 1));

    projector.client().rebuild(&Scope::All).await.unwrap();
    projector.settle(&store).await;
    assert_eq!(causes(&projector).await, [never.clone(), poisoned.clone()], "nothing but what the log is to blame for");
    projector.check(&store).await;

    // The event is written anew, as it should have been.
    store.amend(created("poisoned"));
    projector.client().rebuild(&Scope::One(id("poisoned"))).await.unwrap();
    projector.settle(&store).await;
    assert_eq!(causes(&projector).await, vec![never.clone()], "no rebuild makes what nobody created");
    projector.check(&store).await;
}

#[tokio::test]
async fn eleven_stubs_are_one_too_many_until_one_of_them_is_created() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    let firing = async |projector: &Projector| {
        let alerts = projector.health().await.alerts;
        alerts.iter().any(|alert| alert.firing && alert.alert.name() == "stubs")
    };
    for number in 0..10 {
        let name = format!("p{number}");
        store.append([created(&name), linked(&name, 2, &format!("q{number}"))]);
    }
    projector.until(async |projector| projector.health().await.stubs == Some(10)).await;
    assert!(!firing(&projector.projector).await);
    store.append([created("last"), linked("last", 2, "q10")]);
    projector.until(firing).await;
    let counted = async |stubs: u64, alert: u64| {
        let metrics = projector.get("/metrics").await.body;
        for line in [format!("projector_stubs {stubs}"), format!("projector_alert_firing{{alert=\"stubs\"}} {alert}")] {
            assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
        }
    };
    counted(11, 1).await;

    store.append([created("q4")]);
    projector.until(async |projector| !firing(projector).await).await;
    counted(10, 0).await;
    projector.check(&store).await;
}

/// What the graph alone can say is said.
#[tokio::test]
async fn while_the_log_does_not_answer_the_stubs_are_listed_all_the_same() {
    let (store, folder) = (EventStore::start().await, tempdir().unwrap());
    let projector = Running::start(open(folder.path()).await, &store).await;
    store.append([
        created("p"),
        linked("p", 2, "never"),
        created("q"),
        linked("q", 2, "poisoned"),
        unknown("poisoned", 1),
    ]);
    projector.settle(&store).await;
    store.set(Mood::Down);
    let named = causes(&projector).await;
    let [never, poisoned] = &named[..] else { panic!("{named:?}") };
    assert!(matches!(&never.1, Cause::Unknown { why } if why.contains("the log cannot be read")), "{never:?}");
    assert!(matches!(&poisoned.1, Cause::CannotBeApplied { sequence: 1, .. }), "{poisoned:?}");
    assert_eq!(projector.get("/stubs").await.json()["stubs"][0]["cause"], "unknown");
    store.set(Mood::Willing);
    let is_known = async |projector: &Projector| projector.stubs("", 1).await.unwrap()[0].cause == Cause::NeverCreated;
    projector.until(is_known).await;
}
