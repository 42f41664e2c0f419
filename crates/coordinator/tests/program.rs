//! The program `coordinator`, started as a user starts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use coordinator::client::{Client, ServerUrl};
use coordinator::commit::{Decision, IdempotencyKey};
use env::{Env, Production};
use graph::Patch;

/// Longer than any answer here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn coordinator(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator"));
    command.args(arguments).env_remove("SQUALL_GRAPH_PASSWORD").env("RUST_LOG", "info").stdin(Stdio::null());
    command
}

/// A server that is killed when the test ends, whatever way.
struct Server {
    process: Child,
    url: ServerUrl,
}

impl Server {
    fn start(data: &Path) -> Server {
        let mut process = coordinator(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").and_then(|url| url.parse().ok());
        let Some(url) = url else {
            let mut logs = String::new();
            process.stderr.as_mut().unwrap().read_to_string(&mut logs).unwrap();
            panic!("the server printed {line:?} and\n{logs}");
        };
        Server { process, url }
    }

    fn client(&self) -> Client {
        Client::new(Env::new(Production), self.url.address(), PATIENCE)
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end; returns its exit code and its logs.
    fn end(mut self) -> (Option<i32>, String) {
        let mut logs = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut logs).unwrap();
        (self.process.wait().unwrap().code(), logs)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The exit code, and what it said to its user.
#[track_caller]
fn failed(output: &Output) -> (Option<i32>, &str) {
    assert_eq!(output.stdout, b"", "{output:?}");
    (output.status.code(), std::str::from_utf8(&output.stderr).unwrap())
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey(text.to_owned())
}

fn create(id: &str) -> Patch {
    serde_json::from_str(&format!(r#"[{{"create": {{"id": "{id}", "kind": "thing"}}}}]"#)).unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let first = server.client().submit(&key("k1"), &create("a")).await.unwrap();
    assert_eq!(first.decision, Decision::Committed);
    server.signal("-KILL");
    assert_eq!(server.end().0, None);

    let server = Server::start(data.path());
    let client = server.client();
    let view = client.read(&"a".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((view.tx, view.version), (first.tx, 1));
    assert_eq!(client.submit(&key("k1"), &create("a")).await.unwrap(), first);
    let second = client.submit(&key("k2"), &create("b")).await.unwrap();
    assert_eq!(second.tx.incarnation, first.tx.incarnation + 1);
}

#[test]
fn a_second_server_on_the_same_folder_is_told_who_has_it() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let second = coordinator(&["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path()).output().unwrap();
    let (code, message) = failed(&second);
    assert_eq!(code, Some(1));
    assert!(message.contains(&format!("is in use by process {}", server.process.id())), "{message}");
    assert!(message.contains("help: stop that process first"), "{message}");
}

#[tokio::test]
async fn it_stops_cleanly_when_asked_to() {
    for signal in ["-TERM", "-INT"] {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(&data.path().join("new/folder"));
        server.client().submit(&key("k1"), &create("a")).await.unwrap();
        server.signal(signal);
        let (code, logs) = server.end();
        assert_eq!(code, Some(0), "{signal}: {logs}");
        let last: serde_json::Value = serde_json::from_str(logs.lines().last().unwrap()).unwrap();
        assert_eq!(last["fields"]["message"], "stopping after the open requests", "{logs}");
    }
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path());
    // A request that never arrives in full; that the server waits for it shows in its answer.
    let mut stream = TcpStream::connect(server.url.address()).unwrap();
    let head = "POST /transactions HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\n\
                Content-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "HTTP/1.1 100 Continue\r\n");

    server.signal("-TERM");
    let mut logs = BufReader::new(server.process.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(logs.any(|line| line.contains("stopping after the open requests")));
    server.signal("-TERM");
    assert!(logs.any(|line| line.contains("stopped by a second signal")));
    assert_eq!(server.process.wait().unwrap().code(), Some(1));
}

#[tokio::test]
async fn a_server_that_cannot_go_on_asks_to_be_started_again() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let ledger = rusqlite::Connection::open(data.path().join(coordinator::LEDGER_FILE)).unwrap();
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room for events'); END";
    ledger.execute_batch(trigger).unwrap();
    let error = server.client().submit(&key("k1"), &create("a")).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    let (code, logs) = server.end();
    assert_eq!(code, Some(75), "{logs}");
    assert!(logs.contains("help: start it again"), "{logs}");

    ledger.execute_batch("DROP TRIGGER full").unwrap();
    drop(ledger);
    let server = Server::start(data.path());
    let settled = server.client().submit(&key("k1"), &create("a")).await.unwrap();
    assert_eq!(settled.decision, Decision::Committed);
}

#[test]
fn status_shows_how_a_server_is() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let output = coordinator(&["status", "--url", &server.url.to_string()]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let health: coordinator::http::Health = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!health.status.halted);

    let url = server.url.to_string();
    drop(server);
    let output = coordinator(&["status", "--url", &url]).output().unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(1));
    assert!(message.contains("failed to connect") && message.contains("help: "), "{message}");
}

#[test]
fn a_listener_for_other_machines_has_to_be_asked_for() {
    let data = tempfile::tempdir().unwrap();
    let output = coordinator(&["serve", "--listen", "0.0.0.0:0", "--data"]).arg(data.path()).output().unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(2));
    assert!(message.contains("--allow-remote"), "{message}");
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "it left something behind");

    let mut process = coordinator(&["serve", "--listen", "0.0.0.0:0", "--allow-remote", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on http://0.0.0.0:"), "{line:?}");
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    let logs = String::from_utf8(output.stderr).unwrap();
    assert!(logs.contains("WITHOUT AUTHENTICATION"), "{logs}");
}

/// The first line of a server's output: where it listens.
fn listening(process: &mut Child) -> ServerUrl {
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim_end().strip_prefix("listening on ").unwrap().parse().unwrap()
}

#[test]
fn a_listener_for_other_machines_is_fine_with_a_token() {
    let data = tempfile::tempdir().unwrap();
    let token = "0123456789abcdef";
    let mut process = coordinator(&["serve", "--listen", "0.0.0.0:0", "--token-env", "SQUALL_TEST_TOKEN", "--data"])
        .arg(data.path())
        .env("SQUALL_TEST_TOKEN", token)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let url = listening(&mut process).to_string().replace("0.0.0.0", "127.0.0.1");
    let status = |arguments: &[&str], token: &str| {
        coordinator(&["status", "--url", &url]).args(arguments).env("SQUALL_TEST_TOKEN", token).output().unwrap()
    };
    assert!(status(&["--token-env", "SQUALL_TEST_TOKEN"], token).status.success());
    for wrong in [status(&[], token), status(&["--token-env", "SQUALL_TEST_TOKEN"], "another-token-of-16")] {
        let (code, message) = failed(&wrong);
        assert_eq!(code, Some(1));
        assert!(message.contains("--token-env"), "{message}");
    }
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    let logs = String::from_utf8(output.stderr).unwrap();
    assert!(logs.contains("put TLS in front") && !logs.contains("WITHOUT AUTHENTICATION"), "{logs}");
    assert!(!logs.contains(token), "{logs}");
}

#[test]
fn a_token_that_is_none_is_refused() {
    let data = tempfile::tempdir().unwrap();
    for (token, expected) in
        [(None, "SQUALL_TEST_TOKEN"), (Some("short"), "16 to 512"), (Some("a b"), "without spaces")]
    {
        let mut command =
            coordinator(&["serve", "--listen", "127.0.0.1:0", "--token-env", "SQUALL_TEST_TOKEN", "--data"]);
        command.arg(data.path()).env_remove("SQUALL_TEST_TOKEN");
        if let Some(token) = token {
            command.env("SQUALL_TEST_TOKEN", token);
        }
        let output = command.output().unwrap();
        let (code, message) = failed(&output);
        assert_eq!(code, Some(2));
        assert!(message.contains(expected) && message.contains("help: "), "{message}");
    }
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0, "it left something behind");
}

#[test]
fn a_port_in_use_is_named() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = coordinator(&["serve", "--listen", &address, "--data"]).arg(data.path()).output().unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(1));
    assert!(message.contains(&format!("cannot listen on {address}")) && message.contains("--listen"), "{message}");
}

#[test]
fn a_file_that_is_no_database_is_not_touched() {
    for (file, what) in [(coordinator::LEDGER_FILE, "ledger"), ("graph.db", "graph")] {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(file);
        let content = "this is a letter to my aunt\n".repeat(100);
        std::fs::write(&path, &content).unwrap();
        let output = coordinator(&["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path()).output().unwrap();
        let (code, message) = failed(&output);
        assert_eq!(code, Some(65), "{message}");
        assert!(message.contains(what) && message.contains("help: the file is no SQLite database"), "{message}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

/// Runs a server that has to refuse; returns what it said.
#[track_caller]
fn refused(data: &Path) -> String {
    // Twice: a start that is refused must not make the next one succeed.
    let start = || coordinator(&["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).output().unwrap();
    start();
    let output = start();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(65), "{message}");
    assert!(message.contains("help: "), "{message}");
    message.to_owned()
}

/// A folder in which transactions were committed by a server that was then killed; also the
/// ledger's files as they were before the last of them.
async fn used_folder() -> (tempfile::TempDir, [Vec<u8>; 2]) {
    let data = tempfile::tempdir().unwrap();
    let files = || LEDGER_FILES.map(|name| std::fs::read(data.path().join(name)).unwrap());
    let server = Server::start(data.path());
    server.client().submit(&key("first"), &create("a")).await.unwrap();
    let before = files();
    for name in ["b", "c"] {
        server.client().submit(&key(name), &create(name)).await.unwrap();
    }
    server.signal("-KILL");
    assert_eq!(server.end().0, None);
    (data, before)
}

const LEDGER_FILES: [&str; 2] = ["ledger.db", "ledger.db-wal"];

#[tokio::test]
async fn a_damaged_write_ahead_log_is_for_somebody_to_look_at() {
    let (data, before) = used_folder().await;
    let path = data.path().join("ledger.db-wal");
    let mut content = std::fs::read(&path).unwrap();
    content[before[1].len() + 100] ^= 8;
    std::fs::write(&path, content).unwrap();
    let message = refused(data.path());
    assert!(message.contains("the ledger has lost transactions") && message.contains("tx-1-2"), "{message}");
}

#[tokio::test]
async fn an_older_copy_of_the_ledger_is_for_somebody_to_look_at() {
    let (data, before) = used_folder().await;
    // As a backup has it: taken before the last start.
    drop(Server::start(data.path()));
    for (name, content) in LEDGER_FILES.iter().zip(before) {
        std::fs::write(data.path().join(name), content).unwrap();
    }
    let message = refused(data.path());
    assert!(message.contains("the ledger is older than the graph") && message.contains("one backup"), "{message}");
}

#[tokio::test]
async fn a_truncated_ledger_is_for_somebody_to_look_at() {
    let (data, _) = used_folder().await;
    let server = Server::start(data.path());
    server.signal("-TERM");
    assert_eq!(server.end().0, Some(0));
    let path = data.path().join("ledger.db");
    let merged = rusqlite::Connection::open(&path).unwrap();
    merged.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(merged);
    let content = std::fs::read(&path).unwrap();
    std::fs::write(&path, &content[..content.len() - 4_096]).unwrap();
    refused(data.path());
    std::fs::write(&path, "").unwrap();
    assert!(refused(data.path()).contains("this ledger is"), "an empty file is a new ledger");
}

#[tokio::test]
async fn a_flipped_bit_in_a_record_is_for_somebody_to_look_at() {
    let (data, _) = used_folder().await;
    let ledger = rusqlite::Connection::open(data.path().join("ledger.db")).unwrap();
    let changed = ledger.execute("UPDATE log SET settled_ms = settled_ms + 1 WHERE key = 'first'", []).unwrap();
    assert_eq!(changed, 1);
    drop(ledger);
    let server = Server::start(data.path());
    let url = server.url.to_string();
    let (_, status, _) = printed(&["status", "--url", &url]);
    assert_eq!(status["damaged_records"], 1);
    let (code, records, _) = printed(&["resolve", "--url", &url, "--damaged"]);
    assert_eq!((code, &records[0]["tx"], &records[0]["fate"]), (Some(0), &"tx-1-1".into(), &"committed".into()));
    assert_eq!(records[0]["why"], "its checksum does not match");
    let close = |tx: &str| {
        coordinator(&["resolve", "--url", &url, "--damaged", tx, "--by", "ann", "--note", "looked at it"])
            .output()
            .unwrap()
    };
    assert!(failed(&close("tx-1-2")).1.contains("no damaged record of tx-1-2 is left to a person"));
    assert!(close("tx-1-1").status.success());
    assert_eq!(printed(&["status", "--url", &url]).1["damaged_records"], 0);
    assert_eq!(printed(&["resolve", "--url", &url, "--damaged"]).1, serde_json::json!([]));
    let output = coordinator(&["resolve", "--url", &url, "--damaged", "tx-1-1"]).output().unwrap();
    assert_eq!(failed(&output).0, Some(2));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data = file.join("data");
    let output = coordinator(&["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output().unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(1));
    assert!(message.contains(&data.display().to_string()) && message.contains("--data"), "{message}");
}

#[test]
fn a_graph_behind_bolt_needs_a_password_and_tls_for_certificates() {
    let data = tempfile::tempdir().unwrap();
    let serve = |more: &[&str]| {
        let mut command = coordinator(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(data.path()).args(more);
        command
    };
    let output =
        serve(&["--graph", "bolt://127.0.0.1:1", "--graph-password-env", "SQUALL_TEST_NOT_SET"]).output().unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(2));
    assert!(message.contains("SQUALL_TEST_NOT_SET"), "{message}");

    let output = serve(&["--graph", "bolt://127.0.0.1:1", "--graph-ca", "ca.pem"])
        .env("SQUALL_GRAPH_PASSWORD", "secret")
        .output()
        .unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(2));
    assert!(message.contains("bolt+s://") && !message.contains("secret"), "{message}");
}

#[test]
fn a_server_that_waits_for_its_graph_can_be_stopped() {
    let data = tempfile::tempdir().unwrap();
    // Bound and not listened to by anybody any more: the system refuses.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut process =
        coordinator(&["serve", "--listen", "127.0.0.1:0", "--graph", &format!("bolt://{address}"), "--data"])
            .arg(data.path())
            .env("SQUALL_GRAPH_PASSWORD", "secret")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let mut logs = BufReader::new(process.stderr.take().unwrap()).lines();
    assert!(logs.any(|line| line.unwrap().contains("waiting for the graph")));
    assert!(Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_command_line_that_makes_no_sense_is_explained() {
    for arguments in
        [&["serve"][..], &["serve", "--data", "x", "--graph", "neo4j://a"], &["status", "--url", "a:1"], &[]]
    {
        let output = coordinator(arguments).output().unwrap();
        let (code, message) = failed(&output);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains("--help"), "{message}");
    }
}

#[test]
fn help_shows_examples() {
    let output = coordinator(&["serve", "--help"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in ["coordinator serve --data ./data", "SQUALL_GRAPH_PASSWORD", "curl", "--retention-hours"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn help_explains_the_exit_codes() {
    let output = coordinator(&["--help"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in ["65  the ledger or the graph is damaged", "75  stopped in order to recover"] {
        assert!(text.contains(expected), "{text}");
    }
}

/// The exit code and the JSON on stdout.
fn printed(arguments: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let output = coordinator(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (output.status.code(), json, stderr)
}

/// Changes the embedded graph by hand; nothing may be running.
fn change_by_hand(data: &Path) {
    let graph = rusqlite::Connection::open(data.join("graph.db")).unwrap();
    let change = "UPDATE node SET properties = replace(properties, 'thing', 'robot') WHERE properties LIKE '%\"a\"%'";
    assert_eq!(graph.execute(change, []).unwrap(), 1);
}

#[tokio::test]
async fn stores_are_validated_reconciled_and_resolved_in_their_folder() {
    let (folder, _) = used_folder().await;
    let data = folder.path().to_str().unwrap();
    let (code, summary, _) = printed(&["validate", "--data", data]);
    assert_eq!((code, &summary["complete"], &summary["differences"]), (Some(0), &true.into(), &0.into()));
    assert!(summary["entities"].as_u64().unwrap() > 0, "{summary}");

    change_by_hand(folder.path());
    let (code, summary, stderr) = printed(&["validate", "--data", data]);
    assert_eq!((code, &summary["differences"]), (Some(1), &1.into()), "{stderr}");
    assert_eq!(summary["findings"][0]["fields"], serde_json::json!(["kind"]));
    assert!(stderr.contains("help: `coordinator reconcile` makes them the same"), "{stderr}");

    let (code, summary, stderr) = printed(&["reconcile", "--data", data, "--policy", "quarantine"]);
    assert_eq!((code, &summary["undecided"]), (Some(1), &1.into()), "{stderr}");
    let (code, cases, _) = printed(&["resolve", "--data", data]);
    assert_eq!((code, &cases[0]["number"], &cases[0]["reason"]), (Some(0), &1.into(), &"quarantined".into()));
    let decision = ["--case", "1", "--authority", "log", "--by", "ann", "--note", "looked at it"];
    let (code, case, stderr) = printed(&[&["resolve", "--data", data][..], &decision].concat());
    assert_eq!((code, &case["ending"]["by"]), (Some(0), &"ann".into()), "{stderr}");
    assert!(case["ending"]["tx"].is_string());
    let (_, cases, _) = printed(&["resolve", "--data", data]);
    assert_eq!(cases, serde_json::json!([]));
    assert_eq!(printed(&["validate", "--data", data]).0, Some(0));
    let output = coordinator(&[&["resolve", "--data", data][..], &decision].concat()).output().unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(1));
    assert!(message.contains("case 1 is resolved already"), "{message}");
}

#[tokio::test]
async fn stores_are_validated_reconciled_and_resolved_through_the_server_that_has_them() {
    let (folder, _) = used_folder().await;
    change_by_hand(folder.path());
    let server = Server::start(folder.path());
    let (data, url) = (folder.path().to_str().unwrap(), server.url.to_string());
    // The folder is named and in use; or only the server is.
    let here: [&[&str]; 2] = [&["--data", data, "--url", &url], &["--url", &url]];
    for place in here {
        assert_eq!(printed(&[&["validate"], place].concat()).0, Some(1));
        assert_eq!(printed(&[&["reconcile", "--policy", "quarantine"], place].concat()).1["undecided"], 1);
        assert_eq!(printed(&[&["resolve"], place].concat()).1.as_array().unwrap().len(), 1);
    }
    let decision = ["resolve", "--case", "7", "--authority", "log", "--by", "ann", "--note", "x"];
    let output = coordinator(&[&decision[..], here[1]].concat()).output().unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(1));
    assert!(message.contains("there is no case 7"), "{message}");
    let (code, summary, _) = printed(&[&["reconcile"], here[0]].concat());
    assert_eq!((code, &summary["repaired"]), (Some(0), &1.into()));
    let decision = ["resolve", "--case", "1", "--authority", "sql", "--by", "ann", "--note", "was repaired"];
    let (code, case, _) = printed(&[&decision[..], here[1]].concat());
    assert_eq!((code, &case["ending"]["tx"]), (Some(0), &serde_json::Value::Null));
    assert_eq!(printed(&[&["validate"], here[0]].concat()).0, Some(0));
}

#[test]
fn a_decision_has_to_be_whole() {
    let output = coordinator(&["resolve", "--case", "1", "--authority", "log"]).output().unwrap();
    let (code, message) = failed(&output);
    assert_eq!(code, Some(2), "{message}");
    let output = coordinator(&["reconcile", "--policy", "newest"]).output().unwrap();
    assert!(failed(&output).1.contains("expected one of log, graph, sql, quarantine"));
    let output = coordinator(&["validate", "--data", "/does/not/exist"]).output().unwrap();
    assert_eq!(failed(&output).0, Some(2));
}
