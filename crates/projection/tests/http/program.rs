//! The program `projector`, started as a user starts it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use env::{Env, Production};
use projection::client::Client;
use serde_json::Value;
use tempfile::tempdir;
use web::client::ServerUrl;

use crate::store::EventStore;
use crate::support::{PATIENCE, check, created, id, linked, open, unknown};

fn projector(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_projector"));
    command.args(arguments).env_remove("SQUALL_GRAPH_PASSWORD").env("RUST_LOG", "info").stdin(Stdio::null());
    command
}

fn run(store: &EventStore, data: &Path) -> Command {
    let mut command = projector(&["run", "--listen", "127.0.0.1:0", "--log-format", "json", "--data"]);
    command.arg(data).args(["--events", &format!("http://{}", store.address)]);
    command
}

/// A projector that is killed when the test ends, whatever way.
struct Server {
    process: Child,
    url: ServerUrl,
}

impl Server {
    fn start(mut command: Command) -> Server {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").and_then(|url| url.parse().ok());
        let Some(url) = url else {
            let mut logs = String::new();
            process.stderr.as_mut().unwrap().read_to_string(&mut logs).unwrap();
            panic!("the projector printed {line:?} and\n{logs}");
        };
        Server { process, url }
    }

    fn client(&self) -> Client {
        Client::new(Env::new(Production), self.url.address(), PATIENCE)
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap().success());
    }

    /// Waits for its end; returns its exit code and its logs.
    async fn end(mut self) -> (Option<i32>, String) {
        Env::new(Production)
            .blocking(move || {
                let mut logs = String::new();
                self.process.stderr.take().unwrap().read_to_string(&mut logs).unwrap();
                (self.process.wait().unwrap().code(), logs)
            })
            .await
    }

    /// What the program prints that asks this one.
    async fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = projector(arguments);
        command.args(["--url", &self.url.to_string()]);
        output(command).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs it to its end, while the event store of this process answers it.
async fn output(mut command: Command) -> Output {
    Env::new(Production).blocking(move || command.output().unwrap()).await
}

#[track_caller]
fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The exit code, and what it said to its user.
fn failed(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn wait(client: &Client, resource: &str, sequence: u64) {
    let barrier = client.when_applied(&id(resource), sequence, Duration::from_secs(15)).await.unwrap();
    assert!(barrier.applied, "{barrier:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_a_kill_and_stops_when_asked_to() {
    let (store, data) = (EventStore::start().await, tempdir().unwrap());
    store.append([created("p"), linked("p", 2, "q")]);
    let server = Server::start(run(&store, data.path()));
    wait(&server.client(), "p", 2).await;
    server.signal("-KILL");
    assert_eq!(server.end().await.0, None);
    store.append([created("q"), linked("q", 2, "p")]);
    for signal in ["-TERM", "-INT"] {
        let server = Server::start(run(&store, data.path()));
        wait(&server.client(), "q", 2).await;
        wait(&server.client(), "p", 2).await;
        server.signal(signal);
        let (code, logs) = server.end().await;
        assert_eq!(code, Some(0), "{signal}: {logs}");
    }
    check(&open(data.path()).await, &store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_asked_and_told() {
    let (store, data) = (EventStore::start().await, tempdir().unwrap());
    store.append([created("p"), linked("p", 2, "q"), unknown("r", 1)]);
    let server = Server::start(run(&store, data.path()));
    wait(&server.client(), "p", 2).await;
    let stubs = json(&server.ask(&["stubs"]).await);
    assert_eq!(stubs, serde_json::json!([{ "resource": "q", "cause": "never_created" }]));
    let rebuilt = json(&server.ask(&["rebuild", "p"]).await);
    assert_eq!((&rebuilt["resources"], &rebuilt["failed"]), (&1.into(), &0.into()));
    json(&server.ask(&["rebuild"]).await);
    let reconciled = json(&server.ask(&["reconcile"]).await);
    assert_eq!(reconciled["differing"], 0);
    let status = json(&server.ask(&["status"]).await);
    // One that was rebuilt alone is rebuilt again with all: the generation of all is above its own.
    assert_eq!((&status["generation"], &status["parked"], &status["fenced"]), (&2.into(), &1.into(), &0.into()));
    let parked = &status["parked_resources"];
    assert_eq!((&parked[0]["resource"], &parked[0]["sequence"], &parked[1]), (&"r".into(), &1.into(), &Value::Null));
    let (code, message) = failed(&server.ask(&["rebuild", "nobody"]).await);
    assert_eq!(code, Some(1));
    assert!(message.contains("neither the log nor the graph has anything of nobody"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_one_projectors_and_one_logs() {
    let (store, other, data) = (EventStore::start().await, EventStore::start().await, tempdir().unwrap());
    let server = Server::start(run(&store, data.path()));
    let (code, message) = failed(&output(run(&store, data.path())).await);
    assert_eq!(code, Some(1));
    assert!(message.contains(&format!("is in use by process {}", server.process.id())), "{message}");
    server.signal("-TERM");
    server.end().await;
    let (code, message) = failed(&output(run(&other, data.path())).await);
    assert_eq!(code, Some(2));
    assert!(message.contains(&format!("of the events of http://{}", store.address)), "{message}");
    // Another folder, and the graph of the first: it is one process's as well.
    let elsewhere = tempdir().unwrap();
    let _server = Server::start(run(&store, data.path()));
    let mut second = run(&store, elsewhere.path());
    second.arg(format!("--graph=embedded:{}", data.path().display()));
    let (code, message) = failed(&output(second).await);
    assert_eq!(code, Some(1));
    assert!(message.contains("an embedded graph is one process's"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_and_what_helps() {
    let (store, data) = (EventStore::start().await, tempdir().unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let url = format!("http://{}", store.address);
    let folder = data.path().join("data");
    let folder = folder.to_str().unwrap();
    let cases: [(&[&str], i32, &str, &str); 6] = [
        (&["run", "--events", &url, "--data", folder, "--listen", &address], 1, "cannot listen on", "--listen"),
        (&["run", "--events", &url, "--data", file.to_str().unwrap()], 1, "failed to create", "--data"),
        (&["run", "--events", &url, "--data", folder, "--listen", "0.0.0.0:0"], 2, "no authentication", "--token-env"),
        (
            &["run", "--events", &url, "--data", folder, "--graph", "bolt://127.0.0.1:1"],
            2,
            "of the events of",
            "--data",
        ),
        (&["run", "--events", "https://a:1", "--data", folder], 2, "expected http://HOST:PORT", "--help"),
        (&["status", "--url", &format!("http://{address}"), "--timeout-ms", "100"], 1, "outcome unknown", "ask again"),
    ];
    for (arguments, expected, message, help) in cases {
        let (code, said) = failed(&output(projector(arguments)).await);
        assert_eq!(code, Some(expected), "{arguments:?}: {said}");
        assert!(said.contains(message) && said.contains(help), "{arguments:?}: {said}");
    }
    drop(taken);
    let (code, said) = failed(&output(projector(&["status", "--url", &format!("http://{address}")])).await);
    assert_eq!(code, Some(1));
    assert!(said.contains("not sent") && said.contains("projector run"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_ends_it_if_it_was_told_so() {
    let (store, data) = (EventStore::start().await, tempdir().unwrap());
    store.append([created("p"), unknown("p", 2)]);
    let mut command = run(&store, data.path());
    command.arg("--halt-on-unknown");
    let (code, said) = failed(&output(command).await);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains("p@2") && said.contains("newer release"), "{said}");
}

/// The graph of a folder is moved to another one: who goes on there has not read its log.
#[tokio::test(flavor = "multi_thread")]
async fn a_graph_of_another_event_store_is_not_taken_over_unless_it_is_said_so() {
    let (store, other, data) = (EventStore::start().await, EventStore::start().await, tempdir().unwrap());
    store.append([created("p")]);
    other.replace("other", [created("q")]);
    let server = Server::start(run(&store, data.path()));
    wait(&server.client(), "p", 1).await;
    let kept = data.path().join("log-id");
    for _ in 0..100 {
        if kept.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.signal("-TERM");
    server.end().await;
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "first");

    let elsewhere = tempdir().unwrap();
    let beside = |store| {
        let mut command = run(store, elsewhere.path());
        command.arg(format!("--graph=embedded:{}", data.path().display()));
        command
    };
    let (code, said) = failed(&output(beside(&other)).await);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains("the graph is of the log first") && said.contains("--turn"), "{said}");
    let mut command = beside(&other);
    command.arg("--turn");
    let server = Server::start(command);
    wait(&server.client(), "q", 1).await;
    server.signal("-TERM");
    server.end().await;
    // The one that it was taken from is not allowed to take it back by itself.
    let (code, said) = failed(&output(run(&store, data.path())).await);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains("the graph is of the log other"), "{said}");
}

/// The log was replaced while nobody looked.
#[tokio::test(flavor = "multi_thread")]
async fn who_knows_the_log_of_its_graph_turns_it_when_the_event_store_was_restored() {
    let (store, data) = (EventStore::start().await, tempdir().unwrap());
    store.append([created("p")]);
    let server = Server::start(run(&store, data.path()));
    wait(&server.client(), "p", 1).await;
    while !data.path().join("log-id").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.signal("-TERM");
    server.end().await;
    store.replace("restored", [created("p"), linked("p", 2, "q")]);
    let server = Server::start(run(&store, data.path()));
    wait(&server.client(), "p", 2).await;
    assert_eq!(server.client().status().await.unwrap().turned, 1);
}
