//! The two files of a backup are held against each other, and not only each against its checksum.

use std::fs;
use std::path::Path;

use env::{Env, Production};
use stores::{GraphStore, Rows};

use super::super::*;
use super::support::{Graph, LIMIT, commit, start};

async fn restored(from: &Path, data: &Path) -> Result<Manifest, RestoreError> {
    fs::create_dir(data).unwrap();
    let graph = Graph::default();
    let restored = restore(&Env::new(Production), from, data, &graph, LIMIT).await;
    if restored.is_err() {
        let rows = graph.execute(statements::read_store(), LIMIT).await.unwrap();
        assert_eq!(rows, [Rows::new()], "nothing was begun");
    }
    restored
}

/// Changes the graph of a backup, and its checksum with it.
fn change_graph(backup: &Path, change: impl Fn(&str) -> Option<String>) {
    let path = backup.join(GRAPH_FILE);
    let changed: Vec<String> = fs::read_to_string(&path).unwrap().lines().filter_map(change).collect();
    fs::write(&path, changed.join("\n") + "\n").unwrap();
    let manifest = backup.join(MANIFEST_FILE);
    let read: Manifest = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let read = Manifest { graph: FileSum::of(&path).unwrap(), ..read };
    fs::write(&manifest, serde_json::to_vec(&read).unwrap()).unwrap();
}

#[tokio::test]
async fn markers_that_do_not_go_with_the_log_are_refused_whichever_side_lacks_them() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let coordinator = start(&path("data"), &Graph::default()).await;
    for id in ["a", "b", "c"] {
        commit(&coordinator, id).await;
    }
    let lines = [
        ("whole", Some("committed\":true"), Some("committed\":true"), None),
        ("less", Some("tx-1-2"), None, Some("markers of 2 of them")),
        ("aborted", Some("true"), Some("false"), Some("markers of 0 of them")),
        ("more", Some("tx-1-2"), Some("tx-1-9"), Some("tx-1-9 as committed, and the log has it as Absent")),
    ];
    for (name, from, to, refused) in lines {
        coordinator.backup(&path(name)).await.unwrap();
        change_graph(&path(name), |line| match (from, to) {
            (Some(from), None) if line.contains(from) => None,
            (Some(from), Some(to)) => Some(line.replace(from, to)),
            _ => Some(line.to_owned()),
        });
        let answer = restored(&path(name), &path(&format!("from-{name}"))).await;
        match (answer, refused) {
            (Ok(_), None) => {}
            (Err(error @ RestoreError::Damaged { .. }), Some(why)) => {
                assert!(error.to_string().contains(why), "{name}: {error}");
            }
            (answer, _) => panic!("{name}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_graph_that_has_lost_a_commit_is_not_backed_up() {
    let (root, graph) = (tempfile::tempdir().unwrap(), Graph::default());
    let coordinator = start(&root.path().join("data"), &graph).await;
    let lost = commit(&coordinator, "a").await;
    commit(&coordinator, "b").await;
    graph.execute(statements::delete_markers(&[lost.to_string()]), LIMIT).await.unwrap();
    let error = coordinator.backup(&root.path().join("backup")).await.unwrap_err();
    assert!(error.to_string().contains("markers of 1 of them"), "{error}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "the data alone is there");
    graph.execute(statements::restore_marker(lost, true), LIMIT).await.unwrap();
    coordinator.backup(&root.path().join("backup")).await.unwrap();
}

/// That of a transaction which the pair that was backed up began later.
#[tokio::test]
async fn the_marker_of_a_late_fence_is_in_nobodys_way() {
    let (root, graph) = (tempfile::tempdir().unwrap(), Graph::default());
    let coordinator = start(&root.path().join("data"), &graph).await;
    let last = commit(&coordinator, "a").await;
    let late = TxId { serial: last.serial + 1, ..last };
    graph.execute(statements::fence(late), LIMIT).await.unwrap();
    coordinator.backup(&root.path().join("backup")).await.unwrap();
    restored(&root.path().join("backup"), &root.path().join("new")).await.unwrap();
}
