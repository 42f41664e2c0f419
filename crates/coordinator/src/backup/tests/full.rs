//! A backup that cannot be written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::pin::pin;

use env::{Env, Production};
use futures_util::FutureExt;

use super::super::*;
use super::support::{Graph, LIMIT, commit, start};

/// The folder that a backup is written in before it has its name.
fn passing(beside: &Path) -> PathBuf {
    let names = fs::read_dir(beside).unwrap().map(|entry| entry.unwrap().path());
    let is_passing = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(".backup.partial-");
    let mut found: Vec<PathBuf> = names.filter(is_passing).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// One file of it is on a device without room (`full(4)`), or cannot be made: the ledger is written by SQLite, which
/// does not write to a device.
#[tokio::test]
async fn a_backup_that_does_not_fit_is_an_error_leaves_nothing_and_stops_nobody() {
    let (root, graph) = (tempfile::tempdir().unwrap(), Graph::default());
    let to = root.path().join("backup");
    let coordinator = start(&root.path().join("data"), &graph).await;
    commit(&coordinator, "a").await;
    for (number, file) in [GRAPH_FILE, LEDGER_FILE, MANIFEST_FILE].into_iter().enumerate() {
        // It waits for what is under way, and has its folder by then.
        let under_way = coordinator.gate.clone().read_owned().await;
        let mut backup = pin!(coordinator.backup(&to));
        assert!(backup.as_mut().now_or_never().is_none());
        let place = passing(root.path()).join(file);
        match file {
            LEDGER_FILE => fs::create_dir(place).unwrap(),
            _ => symlink("/dev/full", place).unwrap(),
        }
        drop(under_way);
        let error = backup.await.unwrap_err();
        let BackupError::Write { source, .. } = &error else { panic!("{file}: {error:?}") };
        if file != LEDGER_FILE {
            assert_eq!(source.kind(), io::ErrorKind::StorageFull, "{file}: {error}");
        }
        assert!(error.to_string().starts_with("failed to write "), "{error}");
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["data"], "{file}: nothing that a restore could take");
        commit(&coordinator, &format!("after-{number}")).await;
    }
    // With room again under the same name.
    let manifest = coordinator.backup(&to).await.unwrap();
    assert_eq!((manifest.entities, manifest.markers), (4, 4));
    let data = root.path().join("restored");
    fs::create_dir(&data).unwrap();
    restore(&Env::new(Production), &to, &data, &Graph::default(), LIMIT).await.unwrap();
}

/// What a process leaves that is killed meanwhile has another name, and is no backup.
#[tokio::test]
async fn what_was_not_finished_is_not_restored() {
    let (root, graph) = (tempfile::tempdir().unwrap(), Graph::default());
    let coordinator = start(&root.path().join("data"), &graph).await;
    commit(&coordinator, "a").await;
    coordinator.backup(&root.path().join("backup")).await.unwrap();
    for missing in [GRAPH_FILE, LEDGER_FILE, MANIFEST_FILE] {
        let half = root.path().join(format!("without-{missing}"));
        fs::create_dir(&half).unwrap();
        for file in [GRAPH_FILE, LEDGER_FILE, MANIFEST_FILE].into_iter().filter(|file| *file != missing) {
            fs::copy(root.path().join("backup").join(file), half.join(file)).unwrap();
        }
        let data = root.path().join(format!("from-{missing}"));
        fs::create_dir(&data).unwrap();
        let error = restore(&Env::new(Production), &half, &data, &Graph::default(), LIMIT).await.unwrap_err();
        assert!(matches!(&error, RestoreError::Damaged { why, .. } if why.contains(missing)), "{missing}: {error:?}");
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    }
}
