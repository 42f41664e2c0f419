//! Every kind of difference, under every policy.

use coordinator::reconcile::{Divergence, Done, Policy};

use crate::stores_by_hand::{both, graph, in_graph, in_sql, subjects, submit, two_friends, versions};
use crate::world::World;

/// What is changed in the graph, and in SQLite, and which differences that makes.
const BY_HAND: [(&str, &str, &[&str]); 10] = [
    (r#"[{"update":{"id":"a","set":{"x":7}}}]"#, "", &["entity a"]),
    (
        r#"[{"unlink":{"from":"a","kind":"knows","to":"b"}},{"delete":{"id":"a"}}]"#,
        "",
        &["entity a", "link a -[knows]-> b"],
    ),
    (r#"[{"unlink":{"from":"a","kind":"knows","to":"b"}}]"#, "", &["link a -[knows]-> b"]),
    (r#"[{"create":{"id":"c","kind":"stranger"}}]"#, "", &["entity c"]),
    (
        r#"[{"create":{"id":"a0","kind":"stranger"}},{"link":{"from":"a0","kind":"k","to":"b"}},{"link":{"from":"a","kind":"k","to":"a0"}}]"#,
        "",
        &["entity a0", "link a -[k]-> a0", "link a0 -[k]-> b"],
    ),
    ("[]", "UPDATE entity SET kind = 'robot' WHERE id = 'b'", &["entity b"]),
    ("[]", "UPDATE link SET properties = '{}'", &["link a -[knows]-> b"]),
    ("[]", "DELETE FROM entity WHERE id = 'b'", &["entity b"]),
    ("[]", "DELETE FROM entity; DELETE FROM link", &["entity a", "entity b", "link a -[knows]-> b"]),
    (
        r#"[{"update":{"id":"b","set":{"y":1}}}]"#,
        "INSERT INTO entity VALUES ('c', 'thing', '{}', 1, 'tx-1-1', NULL)",
        &["entity b", "entity c"],
    ),
];

#[tokio::test(start_paused = true)]
async fn the_policy_log_brings_back_what_was_committed_in_one_pass() {
    for (number, (graph_change, sql_change, differ)) in (100..).zip(BY_HAND) {
        let world = World::new(number);
        let mut options = coordinator::service::Options::new("/data");
        options.reconcile.page = 1;
        let coordinator = world.start_with(options).await.unwrap();
        two_friends(&coordinator).await;
        assert!(coordinator.validate().await.is_clean());
        let (sound, rows) = (both(&world), versions(&world));
        in_graph(&world, graph_change);
        in_sql(&world, sql_change);

        let found = coordinator.validate().await;
        assert_eq!((subjects(&found), found.complete, found.repaired), (differ.to_vec(), true, 0), "{found:#?}");
        assert!(!found.is_clean());
        let repaired = coordinator.reconcile(Policy::Log).await;
        assert!(repaired.is_clean(), "{repaired:#?}");
        assert_eq!(usize::try_from(repaired.repaired).unwrap(), differ.len());
        assert_eq!((both(&world), versions(&world)), (sound, rows), "as if nothing had happened");
        let again = coordinator.reconcile(Policy::Log).await;
        assert_eq!((again.is_clean(), again.repaired, again.suspects), (true, 0, 0), "a fixed point");
        // Strong reads answer again, and writes fit both stores.
        submit(&coordinator, "after", r#"[{"update":{"id":"a","set":{"x":9}}},{"unlink":{"from":"a","kind":"knows","to":"b"}},{"delete":{"id":"b"}}]"#).await;
        both(&world);
        world.kill(coordinator);
    }
}

#[tokio::test(start_paused = true)]
async fn every_policy_reaches_a_fixed_point_and_leaves_to_a_person_what_it_must_not_decide() {
    for (number, policy) in (200..).zip([Policy::Graph, Policy::Sql, Policy::Quarantine]) {
        for (step, (graph_change, sql_change, differ)) in (0..).zip(BY_HAND) {
            let world = World::new(10 * number + step);
            let coordinator = world.start().await.unwrap();
            two_friends(&coordinator).await;
            in_graph(&world, graph_change);
            in_sql(&world, sql_change);
            let before = (graph(&world), versions(&world));
            let first = coordinator.reconcile(policy).await;
            assert!(first.complete && first.skipped == 0, "{first:#?}");
            assert_eq!(first.differences, first.repaired + first.undecided, "{first:#?}");
            assert_eq!(usize::try_from(first.differences).unwrap(), differ.len(), "{first:#?}");
            let cases = coordinator.open_cases(0, 100).await.unwrap();
            assert_eq!(cases.len() as u64, first.undecided);
            if policy == Policy::Quarantine {
                assert_eq!((first.repaired, (graph(&world), versions(&world))), (0, before), "it touches nothing");
            }
            let second = coordinator.reconcile(policy).await;
            assert_eq!((second.repaired, second.undecided), (0, first.undecided), "a fixed point");
            assert_eq!(coordinator.open_cases(0, 100).await.unwrap(), cases, "the same cases");
            if first.undecided == 0 {
                both(&world);
            }
            world.kill(coordinator);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_trusts_a_store_writes_what_that_store_has_and_the_log_remembers() {
    let world = World::new(300);
    let coordinator = world.start().await.unwrap();
    two_friends(&coordinator).await;
    in_graph(&world, r#"[{"update":{"id":"a","set":{"x":7}}},{"create":{"id":"c","kind":"stranger"}}]"#);
    let repaired = coordinator.reconcile(Policy::Graph).await;
    assert_eq!((repaired.is_clean(), repaired.repaired), (true, 2), "{repaired:#?}");
    let adopted = both(&world);
    assert_eq!(adopted.nodes().len(), 3);
    // It is what the events say now: the policy `log` does not take it back.
    in_sql(&world, "DELETE FROM entity WHERE id = 'c'; UPDATE entity SET properties = '{}' WHERE id = 'a'");
    assert_eq!(coordinator.reconcile(Policy::Log).await.repaired, 2);
    assert_eq!(both(&world), adopted);
    world.kill(coordinator);
}

#[tokio::test(start_paused = true)]
async fn a_finding_says_how_the_stores_differ() {
    let world = World::new(301);
    let coordinator = world.start().await.unwrap();
    two_friends(&coordinator).await;
    in_graph(&world, r#"[{"update":{"id":"a","set":{"x":7,"y":1}}},{"create":{"id":"c","kind":"stranger"}}]"#);
    in_sql(&world, "UPDATE entity SET kind = 'robot' WHERE id = 'b'; DELETE FROM link");
    let found = coordinator.validate().await;
    let said: Vec<_> = found
        .findings
        .iter()
        .map(|found| (found.subject.as_str(), found.divergence.unwrap(), &found.fields[..]))
        .collect();
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        said,
        [
            ("entity a", Divergence::Different, &fields(&["x", "y"])[..]),
            ("entity b", Divergence::Different, &fields(&["kind"])[..]),
            ("entity c", Divergence::OnlyInGraph, &[]),
            ("link a -[knows]-> b", Divergence::OnlyInGraph, &[]),
        ]
    );
    assert!(found.findings.iter().all(|finding| finding.done == Done::Nothing));
    assert_eq!(coordinator.last_summary(), Some(found));
    world.kill(coordinator);
}

#[tokio::test(start_paused = true)]
async fn every_repair_is_in_the_log_in_the_audit_trail_and_has_its_marker() {
    let world = World::new(302);
    let coordinator = world.start().await.unwrap();
    two_friends(&coordinator).await;
    in_graph(&world, r#"[{"update":{"id":"a","set":{"x":7}}}]"#);
    let Done::Repaired { tx } = coordinator.reconcile(Policy::Log).await.findings[0].done else { panic!("no repair") };
    let shell = world.shell();
    let audit: Vec<(String, String)> = {
        let mut audit = shell.prepare("SELECT action, detail FROM audit WHERE tx = ?1 ORDER BY entry").unwrap();
        let audit = audit.query_map([tx.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        audit.collect::<Result<_, _>>().unwrap()
    };
    let actions: Vec<&str> = audit.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["intended", "repairing", "committed"]);
    let ground: serde_json::Value = serde_json::from_str(&audit[1].1).unwrap();
    assert_eq!(ground["order"]["policy"], "log");
    assert_eq!(ground["evidence"]["graph"]["present"]["properties"]["x"], 7, "what was overwritten is not lost");
    let entries = coordinator::ledger::log_entries(&shell).unwrap();
    let entry = entries.iter().find(|entry| entry.tx == tx).unwrap();
    assert_eq!((entry.key.as_str(), entry.state.as_str()), (format!("repair·policy:log·{tx}").as_str(), "committed"));
    assert!(world.graph.snapshot().nodes().iter().any(|node| node.id == tx.to_string()), "the marker");
    drop(shell);
    world.kill(coordinator);
    world.kill(world.start().await.expect("markers and log agree"));
}
