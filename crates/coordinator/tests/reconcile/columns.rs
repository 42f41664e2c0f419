//! Each column of the rows and their events, and each property of the graph's nodes and edges, changed by
//! itself: a validation finds it, or it is said here why there is nothing to find. The records that carry
//! checksums (the log, the settings, the streams of events) are the subject of the ledger's own tests.

use std::collections::BTreeSet;

use coordinator::reconcile::{Authority, Divergence, Policy, Reason, Resolution, Summary};
use coordinator::service::{Coordinator, StartError};
use graph::{Properties, Value};
use stores::{Direction, GraphError, GraphFault, PropertyGraph};

use crate::stores_by_hand::{both, in_sql, subjects, submit, versions};
use crate::world::World;

/// How a changed column is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// The policy `log` brings back what was there.
    ByTheLog,
    /// The policy `log` leaves it to a person, who decides for this one, once for each case.
    ByAPerson(Authority),
}

use Remedy::{ByAPerson, ByTheLog};

/// The table, the column, a change of it, what is found, and what is done about it.
///
/// What the events alone had to say and no longer do is for a person: both stores stand against it.
const COLUMNS: [(&str, &str, &str, &[&str], Remedy); 18] = [
    ("entity", "id", "UPDATE entity SET id = 'z' WHERE id = 'c'", &["entity c", "entity z"], ByTheLog),
    ("entity", "kind", "UPDATE entity SET kind = 'robot' WHERE id = 'c'", &["entity c"], ByTheLog),
    ("entity", "properties", "UPDATE entity SET properties = '{\"x\":8}' WHERE id = 'a'", &["entity a"], ByTheLog),
    ("entity", "version", "UPDATE entity SET version = 9 WHERE id = 'a'", &["entity a"], ByTheLog),
    ("entity", "tx", "UPDATE entity SET tx = 'tx-1-1' WHERE id = 'a'", &["entity a"], ByTheLog),
    ("entity", "key", "UPDATE entity SET key = 'other' WHERE id = 'c'", &["entity c"], ByTheLog),
    ("entity", "key", "UPDATE entity SET key = NULL WHERE id = 'c'", &["entity c"], ByTheLog),
    ("link", "source", "UPDATE link SET source = 'c'", &["link a -[knows]-> b", "link c -[knows]-> b"], ByTheLog),
    ("link", "kind", "UPDATE link SET kind = 'hates'", &["link a -[hates]-> b", "link a -[knows]-> b"], ByTheLog),
    ("link", "target", "UPDATE link SET target = 'c'", &["link a -[knows]-> b", "link a -[knows]-> c"], ByTheLog),
    ("link", "properties", "UPDATE link SET properties = '{\"since\":4}'", &["link a -[knows]-> b"], ByTheLog),
    ("link", "tx", "UPDATE link SET tx = 'tx-1-1'", &["link a -[knows]-> b"], ByTheLog),
    (
        "event",
        "resource",
        "UPDATE event SET resource = 'z' WHERE resource = 'c'",
        &["entity c"],
        ByAPerson(Authority::Sql),
    ),
    (
        "event",
        "sequence",
        "UPDATE event SET sequence = 9 WHERE resource = 'a' AND sequence = 1",
        &["entity a", "link a -[knows]-> b"],
        ByAPerson(Authority::Sql),
    ),
    // An event of which the row has kept the transaction; of the others nobody is told.
    ("event", "tx", "UPDATE event SET tx = 'tx-1-1' WHERE resource = 'a' AND sequence = 3", &["entity a"], ByTheLog),
    (
        "event",
        "payload",
        "UPDATE event SET payload = replace(payload, '\"x\":2', '\"x\":3') WHERE resource = 'a'",
        &["entity a"],
        ByAPerson(Authority::Graph),
    ),
    (
        "event",
        "payload",
        "UPDATE event SET payload = '?' WHERE resource = 'a' AND sequence = 2",
        &["entity a", "link a -[knows]-> b"],
        ByAPerson(Authority::Sql),
    ),
    // It is the order of the rows in the file. Histories are read by resource and sequence.
    ("event", "position", "UPDATE event SET position = position + 50", &[], ByTheLog),
];

/// a with three events, b, c with a key, and a link from a to b.
async fn furnish(coordinator: &Coordinator) {
    for (name, patch) in [
        ("b", r#"[{"create":{"id":"b","kind":"thing"}},{"create":{"id":"c","kind":"thing","key":"isbn:1"}}]"#),
        ("a", r#"[{"create":{"id":"a","kind":"thing","properties":{"x":1}}}]"#),
        ("link", r#"[{"link":{"from":"a","kind":"knows","to":"b","properties":{"since":3}}}]"#),
        ("update", r#"[{"update":{"id":"a","set":{"x":2}}}]"#),
    ] {
        submit(coordinator, name, patch).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_changed_column_is_found_and_has_its_remedy() {
    for (number, (table, column, change, found, remedy)) in (800..).zip(COLUMNS) {
        let world = World::new(number);
        let coordinator = world.start().await.unwrap();
        furnish(&coordinator).await;
        assert!(coordinator.validate().await.is_clean());
        let (sound, rows) = (both(&world), versions(&world));
        in_sql(&world, change);

        let said = coordinator.validate().await;
        assert_eq!(
            (subjects(&said), said.is_clean()),
            (found.to_vec(), found.is_empty()),
            "{table}.{column}: {said:#?}"
        );
        let repaired = coordinator.reconcile(Policy::Log).await;
        match remedy {
            ByTheLog => {
                assert!(repaired.is_clean(), "{change}: {repaired:#?}");
                let mut expected = rows;
                if (table, column) == ("event", "tx") {
                    // The log is believed: it says that the row was written by another.
                    expected.iter_mut().filter(|row| row.0 == "a").for_each(|row| row.2 = "tx-1-1".to_owned());
                }
                assert_eq!((both(&world), versions(&world)), (sound, expected), "{change}");
            }
            ByAPerson(authority) => {
                assert_eq!((repaired.repaired, repaired.undecided), (0, found.len() as u64), "{change}: {repaired:#?}");
                for case in coordinator.open_cases(0, 9).await.unwrap() {
                    assert!(matches!(case.reason, Reason::Unaccounted | Reason::LogUnreadable(_)), "{case:?}");
                    let (by, note) = ("ann".to_owned(), "read the backup".to_owned());
                    coordinator.resolve(case.number, Resolution { authority, by, note }).await.unwrap();
                }
                assert_eq!(both(&world), sound, "{change}: nothing but the events was wrong");
            }
        }
        let after = coordinator.validate().await;
        assert!(after.is_clean(), "{change}: {after:#?}");
        world.kill(coordinator);
    }
}

/// What cannot be one is no difference: the record is damaged, and the process ends with its name.
#[tokio::test(start_paused = true)]
async fn what_is_no_transaction_at_all_is_a_damaged_record() {
    let world = World::new(852);
    let coordinator = world.start().await.unwrap();
    furnish(&coordinator).await;
    in_sql(&world, "UPDATE entity SET tx = '?' WHERE id = 'a'");
    let found = coordinator.validate().await;
    assert_eq!((found.is_clean(), found.skipped, subjects(&found)), (false, 1, vec!["entity a"]), "{found:#?}");
    let why = coordinator.reconcile(Policy::Log).await.why.unwrap_or_default();
    assert!(why.contains("the record of entity a is damaged"), "{why}");
    world.kill(coordinator);
}

/// A column that somebody adds has to be thought of.
#[tokio::test(start_paused = true)]
async fn no_column_is_left_out() {
    let world = World::new(850);
    let coordinator = world.start().await.unwrap();
    let shell = world.shell();
    for table in ["entity", "link", "event"] {
        let mut columns = shell.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
        let columns = columns.query_map([table], |row| row.get(0)).unwrap();
        let columns: BTreeSet<String> = columns.collect::<Result<_, _>>().unwrap();
        let changed = COLUMNS.iter().filter(|(of, ..)| *of == table).map(|(_, column, ..)| (*column).to_owned());
        assert_eq!(changed.collect::<BTreeSet<_>>(), columns, "{table}");
    }
    drop(shell);
    world.kill(coordinator);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_version_is_named_and_a_policy_that_decides_nothing_leaves_it() {
    let world = World::new(851);
    let coordinator = world.start().await.unwrap();
    furnish(&coordinator).await;
    in_sql(&world, "UPDATE entity SET version = 7 WHERE id = 'a'");
    let named =
        |summary: &Summary| summary.findings.iter().map(|f| (f.divergence, f.fields.clone())).collect::<Vec<_>>();
    let version = vec![(Some(Divergence::Unaccounted), vec!["version".to_owned()])];
    assert_eq!(named(&coordinator.validate().await), version);
    let left = coordinator.reconcile(Policy::Quarantine).await;
    assert_eq!((left.repaired, left.undecided, named(&left)), (0, 1, version));
    for policy in [Policy::Graph, Policy::Sql] {
        in_sql(&world, "UPDATE entity SET version = 7 WHERE id = 'a'");
        assert_eq!(coordinator.reconcile(policy).await.repaired, 1, "{policy:?}: no store has a say in it");
        assert_eq!(versions(&world)[0].1, 3);
    }
    world.kill(coordinator);
}

#[derive(Debug)]
struct Fault(#[expect(dead_code, reason = "shown when a test fails")] GraphError);

impl From<GraphFault> for Fault {
    fn from(fault: GraphFault) -> Fault {
        Fault(fault.into())
    }
}

/// Changes the properties of the node of c, or of the edge from a.
fn in_graph(world: &World, edge: bool, change: impl Fn(&mut Properties)) {
    let change = |graph: &mut dyn PropertyGraph| -> Result<(), GraphFault> {
        let node = graph.find("Entity", "id", &Value::from(if edge { "a" } else { "c" }))?[0];
        if edge {
            let edge = graph.edges(node, "LINK", Direction::Out)?[0].0;
            let mut properties = graph.edge_properties(edge)?;
            change(&mut properties);
            return graph.set_edge_properties(edge, properties);
        }
        let mut properties = graph.properties(node)?;
        change(&mut properties);
        graph.set_properties(node, properties)
    };
    world.graph.autocommit(|graph| change(graph).map_err(Fault::from)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_changed_property_of_the_graph_is_found_and_comes_back() {
    let names =
        [(false, "id"), (false, "kind"), (false, "canonical_key"), (false, "new"), (true, "kind"), (true, "since")];
    for (number, (edge, name)) in (860..).zip(names) {
        for to in [Some(Value::from("other")), None] {
            let world = World::new(number);
            let coordinator = world.start().await.unwrap();
            furnish(&coordinator).await;
            let sound = both(&world);
            in_graph(&world, edge, |properties| {
                properties.remove(name);
                properties.extend(to.clone().map(|to| (name.to_owned(), to)));
            });
            let is_changed = name != "new" || to.is_some();
            let found = coordinator.validate().await;
            assert_eq!(found.is_clean(), !is_changed, "{name} {to:?}: {found:#?}");
            let repaired = coordinator.reconcile(Policy::Log).await;
            // A node without an id is nobody's, and so is an edge without a kind. What they were is made anew
            // beside them.
            let is_nobodys = to.is_none() && name == if edge { "kind" } else { "id" };
            if !is_nobodys {
                assert!(repaired.is_clean(), "{name} {to:?}: {repaired:#?}");
                assert_eq!(both(&world), sound, "{name} {to:?}");
            }
            world.kill(coordinator);
        }
    }
}

/// On a server without the constraint anybody can make them. Nothing rests on such a graph.
#[tokio::test(start_paused = true)]
async fn two_nodes_of_one_id_keep_a_coordinator_from_starting_until_one_is_taken_away() {
    let world = World::new(880);
    let create = |graph: &mut dyn PropertyGraph| -> Result<(), GraphFault> {
        let properties = Properties::from([("id".to_owned(), "c".into()), ("kind".to_owned(), "thing".into())]);
        graph.create(&["Entity"], properties.clone())?;
        graph.create(&["Entity"], properties).map(drop)
    };
    world.graph.autocommit(|graph| create(graph).map_err(Fault::from)).unwrap();
    let Err(error) = world.start().await else { panic!("it starts") };
    assert!(matches!(error, StartError::Graph(_)), "{error}");

    let remove = |graph: &mut dyn PropertyGraph| -> Result<(), GraphFault> {
        let node = graph.find("Entity", "id", &Value::from("c"))?[1];
        graph.delete(node)
    };
    world.graph.autocommit(|graph| remove(graph).map_err(Fault::from)).unwrap();
    let coordinator = world.start().await.unwrap();
    assert_eq!(subjects(&coordinator.validate().await), ["entity c"], "no event speaks of the other one either");
    assert!(coordinator.reconcile(Policy::Log).await.is_clean());
    world.kill(coordinator);
}
