//! Backup and restore of both stores, with the program as a user starts it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use coordinator::client::{Client, ServerUrl};
use coordinator::commit::IdempotencyKey;
use env::{Env, Production};
use futures_util::future::{join, join_all};
use graph::Patch;
use serde_json::Value;

fn coordinator(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator"));
    command.args(arguments).env("RUST_LOG", "warn").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    coordinator(arguments).output().unwrap()
}

#[track_caller]
fn succeeded(arguments: &[&str]) -> Value {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], code: i32, why: &str) {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains(why), "{stderr}");
}

struct Server {
    process: Child,
    url: ServerUrl,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(data: &Path) -> Server {
    let mut command = coordinator(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    let mut process = command.arg(data).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim_end().strip_prefix("listening on ").unwrap().parse().unwrap();
    Server { process, url }
}

/// Commits transactions of two linked entities and an event each, for as long as the server answers; returns how
/// many were acknowledged.
async fn write(url: ServerUrl, writer: u32, limit: u32) -> u32 {
    let client = Client::new(Env::new(Production), url.address(), Duration::from_secs(30));
    for number in 0..limit {
        let name = format!("{writer}-{number}");
        let patch: Patch = serde_json::from_str(&format!(
            r#"[{{"create": {{"id": "a-{name}", "kind": "thing"}}}}, {{"create": {{"id": "b-{name}", "kind": "thing"}}}},
                {{"link": {{"from": "a-{name}", "kind": "next", "to": "b-{name}"}}}},
                {{"append": {{"event": {{"id": "{name}", "type": "linked", "userId": "u", "version": 1}}}}}}]"#
        ))
        .unwrap();
        if client.submit(&IdempotencyKey(name), &patch).await.is_err() {
            return number;
        }
    }
    limit
}

/// The same number of entities of both kinds, and as many links and events: whole transactions alone.
#[track_caller]
fn whole(manifest: &Value) -> u64 {
    let count = |name: &str| manifest[name].as_u64().unwrap();
    assert_eq!((count("entities"), count("markers")), (2 * count("links"), count("links")), "{manifest}");
    assert_eq!(count("events"), count("links"), "{manifest}");
    count("links")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_of_one_moment_and_comes_back_whole() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let server = serve(&root.path().join("data"));
    let url = server.url.to_string();
    let load = join_all((0..4).map(|writer| write(server.url.clone(), writer, 10_000)));
    let folders = [0, 1, 2].map(|number| path(&format!("backup-{number}")));
    let (orders, missing) = (folders.clone(), path("no/such"));
    // It ends the load with the server.
    let env = Env::new(Production);
    let backups = env.blocking(move || {
        let mut last = 0;
        for to in &orders {
            let transactions = whole(&succeeded(&["backup", "--url", &url, "--to", to]));
            assert!(transactions >= last, "the load goes on");
            last = transactions;
        }
        refused(&["backup", "--url", &url, "--to", &orders[0]], 1, "exists already");
        refused(&["backup", "--url", &url, "--to", &missing], 1, "the folder above it does not exist");
        drop(server);
        last
    });
    let (last, _) = join(backups, load).await;

    let (from, restored) = (folders[2].clone(), path("restored"));
    whole(&succeeded(&["restore", "--from", &from, "--data", &restored]));
    let summary = succeeded(&["validate", "--data", &restored]);
    assert_eq!((&summary["complete"], &summary["differences"]), (&true.into(), &0.into()), "{summary}");
    assert_eq!(summary["links"], last);
    refused(&["restore", "--from", &from, "--data", &restored], 65, "is not empty");
    // It lives on, with transactions that no client of the old pair can know.
    let server = serve(Path::new(&restored));
    assert_eq!(write(server.url.clone(), 9, 3).await, 3);
    let client = Client::new(Env::new(Production), server.url.address(), Duration::from_secs(30));
    let (mut through, mut page) = (0, client.feed(0, 1_024, Duration::ZERO).await.unwrap());
    while through < page.through {
        through = page.through;
        page = client.feed(through, 1_024, Duration::ZERO).await.unwrap();
    }
    assert_eq!(through, last + 3, "positions go on where they were");
    drop(server);

    // One side of each pair.
    for (file, from) in [("ledger.db", "data"), ("graph.db", "data"), ("ledger.db", "backup-2")] {
        let mixed = path(&format!("mixed-{file}-{from}"));
        fs::create_dir(&mixed).unwrap();
        for entry in fs::read_dir(&restored).unwrap() {
            let entry = entry.unwrap();
            if !entry.file_name().to_str().unwrap().starts_with(file) {
                fs::copy(entry.path(), Path::new(&mixed).join(entry.file_name())).unwrap();
            }
        }
        for entry in fs::read_dir(root.path().join(from)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_str().unwrap().starts_with(file) {
                fs::copy(entry.path(), Path::new(&mixed).join(entry.file_name())).unwrap();
            }
        }
        refused(&["validate", "--data", &mixed], 65, "they were not written together");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_leaves_no_half_backup_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let mut acknowledged = 0;
    for round in 0..4 {
        let server = serve(&data);
        acknowledged += write(server.url.clone(), round, 20).await;
        let to = root.path().join(format!("backup-{round}"));
        let url = server.url.to_string();
        let mut backup = coordinator(&["backup", "--url", &url, "--to", to.to_str().unwrap()]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round) * 15));
        drop(server);
        backup.wait().unwrap();
        // What has the name is whole.
        if to.exists() {
            let restored = root.path().join(format!("restored-{round}"));
            whole(&succeeded(&["restore", "--from", to.to_str().unwrap(), "--data", restored.to_str().unwrap()]));
        }
    }
    let summary = succeeded(&["validate", "--data", data.to_str().unwrap()]);
    assert_eq!((&summary["differences"], summary["links"].as_u64()), (&0.into(), Some(u64::from(acknowledged))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_no_restore_would_take_is_not_made() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let data = path("data");
    let server = serve(Path::new(&data));
    write(server.url.clone(), 0, 3).await;
    let ledger = rusqlite::Connection::open(Path::new(&data).join("ledger.db")).unwrap();
    let change = "UPDATE log SET settled_ms = settled_ms + 1 WHERE serial = 1";
    assert_eq!(ledger.execute(change, []).unwrap(), 1);
    drop(ledger);
    let url = server.url.to_string();
    refused(&["backup", "--url", &url, "--to", &path("unsound")], 1, "is damaged");
    assert!(!Path::new(&path("unsound")).exists());
    drop(server);
    // A start sets it apart, and what is set apart can be backed up and restored.
    succeeded(&["backup", "--data", &data, "--to", &path("sound")]);
    succeeded(&["restore", "--from", &path("sound"), "--data", &path("restored")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_backup_is_refused_and_so_is_a_restore_that_was_cut_off() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let data = path("data");
    let server = serve(Path::new(&data));
    write(server.url.clone(), 0, 5).await;
    drop(server);
    succeeded(&["backup", "--data", &data, "--to", &path("backup")]);
    for file in ["graph.jsonl", "ledger.db", "manifest.json"] {
        let torn = path(&format!("torn-{file}"));
        fs::create_dir(&torn).unwrap();
        for entry in fs::read_dir(path("backup")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), Path::new(&torn).join(entry.file_name())).unwrap();
        }
        let damaged = Path::new(&torn).join(file);
        let content = fs::read(&damaged).unwrap();
        fs::write(&damaged, &content[..content.len() - 9]).unwrap();
        refused(&["restore", "--from", &torn, "--data", &path(&format!("from-{file}"))], 65, file);
        fs::remove_file(&damaged).unwrap();
        refused(&["restore", "--from", &torn, "--data", &path(&format!("from-{file}"))], 65, file);
    }
    // A log that somebody left would be played into the ledger that is put beside it.
    let log_left = path("log-left");
    fs::create_dir(&log_left).unwrap();
    fs::write(Path::new(&log_left).join("ledger.db-wal"), "").unwrap();
    refused(&["restore", "--from", &path("backup"), "--data", &log_left], 65, "ledger.db-wal is not empty");
    // The graph is filled, and the ledger never came to its place.
    let cut_off = path("cut-off");
    succeeded(&["restore", "--from", &path("backup"), "--data", &cut_off]);
    fs::remove_file(Path::new(&cut_off).join("ledger.db")).unwrap();
    refused(&["validate", "--data", &cut_off], 65, "they were not written together");
    refused(&["restore", "--from", &path("backup"), "--data", &cut_off], 65, "is not empty");
}
