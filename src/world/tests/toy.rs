//! The system that the world is tested with: a server that keeps a list of numbers in SQLite.
//!
//! It has no idempotency keys, and `synchronous = OFF` on request: enough to tell faults apart by what they break.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::oneshot;

use crate::history::OpId;
use crate::plan::{Client, Plan};
use crate::stream::Stream;
use crate::sut::{Check, Exit, HostSpec, LocalFuture, Outcome, System};
use crate::world::{ClientHost, Disks, Host, TcpStream};

/// The file of the list.
pub const FILE: &str = "/list.db";

/// What can be asked of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Adds a number.
    Append(u64),
    /// All numbers in the order in which they were added.
    List,
    /// Ends the process with an error.
    Exit,
    /// Ends the process as one does that does not trust its store.
    Refuse,
    /// Panics in a task.
    Panic,
    /// Panics in the client.
    PanicHere,
    /// Answers with what hash maps, clocks and the host's entropy say.
    Draw,
    /// Never answers.
    Hang,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ret {
    /// It was done.
    Done,
    /// The numbers.
    Numbers(Vec<u64>),
    /// What was drawn.
    Drawn(String),
    /// What SQLite said.
    Failed(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct Settings {
    synchronous: String,
    /// How long a client waits for an answer.
    timeout_ms: u64,
    settles: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { synchronous: "FULL".to_owned(), timeout_ms: 200, settles: true }
    }
}

/// The system.
pub struct Toy {
    settings: Settings,
}

type Table = Arc<Mutex<Connection>>;

#[derive(Debug)]
#[expect(dead_code, reason = "read through Debug")]
struct Appended {
    number: u64,
}

impl System for Toy {
    type Op = Op;
    type Ret = Ret;

    const NAME: &'static str = "toy";

    fn new(options: &Value) -> Result<Toy, String> {
        let settings = if options.is_null() { Ok(Settings::default()) } else { Settings::deserialize(options) };
        Ok(Toy { settings: settings.map_err(|error| error.to_string())? })
    }

    fn hosts(&self) -> Vec<HostSpec> {
        let points = vec!["append.before".to_owned(), "append.after".to_owned()];
        vec![
            HostSpec { points, files: vec![FILE], forgets: true, ..HostSpec::new("server") },
            HostSpec::new("bystander"),
        ]
    }

    fn marks(&self) -> Vec<String> {
        vec!["appended".to_owned()]
    }

    fn boot(&self, host: Host) -> LocalFuture<Exit> {
        let synchronous = self.settings.synchronous.clone();
        Box::pin(async move {
            if host.name() == "bystander" {
                return std::future::pending().await;
            }
            tracing::info!(host = host.name(), "starts");
            let table = match host.blocking(|| open(&host, &synchronous)).await {
                Ok(table) => table,
                Err(error) => return Exit::Failed(error.to_string()),
            };
            host.forget(|count| forget(&table, count));
            let (exit, listener) =
                (Arc::new(Mutex::new(None)), host.listen("0.0.0.0:80").await.expect("the port is free"));
            let (tell, mut told) = oneshot::channel();
            *exit.lock().unwrap() = Some(tell);
            loop {
                tokio::select! {
                    biased;
                    Ok(exit) = &mut told => return exit,
                    accepted = listener.accept() => {
                        let (stream, _) = accepted.expect("a listener accepts");
                        host.spawn(serve(host.clone(), table.clone(), exit.clone(), stream));
                    }
                }
            }
        })
    }

    fn perform(&self, client: ClientHost, _: OpId, op: Op) -> LocalFuture<Outcome<Ret>> {
        let timeout = Duration::from_millis(self.settings.timeout_ms);
        Box::pin(async move {
            assert_ne!(op, Op::PanicHere, "as asked");
            let copies = if client.duplicating() { 2 } else { 1 };
            let mut outcome = Outcome::Fail("nothing was sent".to_owned());
            for _ in 0..copies {
                outcome = match tokio::time::timeout(timeout, call(&client, &op)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Outcome::Info("no answer in time".to_owned()),
                };
            }
            outcome
        })
    }

    fn workload(&self, _: &Value, _: &[String], _: usize, _: &mut Stream) -> Result<Vec<Client<Op>>, String> {
        Ok(Vec::new())
    }

    fn settle(&self, client: ClientHost, _: &Plan<Op>) -> LocalFuture<Result<(), String>> {
        let settles = self.settings.settles;
        Box::pin(async move {
            while !settles || !matches!(call(&client, &Op::List).await, Outcome::Ok(_)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        })
    }

    fn dump(&self, disks: &Disks) -> BTreeMap<String, String> {
        let Some(disk) = disks.get("server") else { return BTreeMap::new() };
        let open = Connection::open_with_flags_and_vfs(FILE, OpenFlags::default(), disk.vfs_name());
        let text = open.and_then(|connection| numbers(&connection)).map(|numbers| format!("{numbers:?}"));
        BTreeMap::from([("list".to_owned(), text.unwrap_or_else(|error| error.to_string()))])
    }

    fn checks(&self) -> Vec<Check<Self>> {
        Vec::new()
    }
}

fn open(host: &Host, synchronous: &str) -> rusqlite::Result<Table> {
    let disk = host.disk();
    let connection = Connection::open_with_flags_and_vfs(FILE, OpenFlags::default(), disk.vfs_name())?;
    connection.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}"))?;
    connection.execute_batch("CREATE TABLE IF NOT EXISTS list (number INTEGER)")?;
    Ok(Arc::new(Mutex::new(connection)))
}

/// Undoes the last appends, and says how many there were.
fn forget(table: &Table, count: u64) -> u64 {
    let sql = "DELETE FROM list WHERE rowid IN (SELECT rowid FROM list ORDER BY rowid DESC LIMIT ?)";
    table.lock().unwrap().execute(sql, [count as i64]).expect("the disk works") as u64
}

fn numbers(connection: &Connection) -> rusqlite::Result<Vec<u64>> {
    let mut select = connection.prepare("SELECT number FROM list ORDER BY rowid")?;
    select.query_map([], |row| Ok(row.get::<_, i64>(0)? as u64))?.collect()
}

type Ending = Arc<Mutex<Option<oneshot::Sender<Exit>>>>;

async fn serve(host: Host, table: Table, exit: Ending, stream: TcpStream) {
    let end = async |how: Exit| {
        if let Some(tell) = exit.lock().unwrap().take() {
            let _ = tell.send(how);
        }
        std::future::pending().await
    };
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while matches!(stream.read_line(&mut line).await, Ok(len) if len > 0) {
        let op = serde_json::from_str(&line).expect("clients speak well");
        host.input("list", &op);
        let ret = match op {
            Op::Append(number) => {
                host.point("append.before").await;
                let insert = || table.lock().unwrap().execute("INSERT INTO list VALUES (?)", [number as i64]);
                match host.blocking(insert).await {
                    Ok(_) => {
                        host.point("append.after").await;
                        host.mark("list", &Appended { number });
                        Ret::Done
                    }
                    Err(error) => Ret::Failed(error.to_string()),
                }
            }
            Op::List => match host.blocking(|| numbers(&table.lock().unwrap())).await {
                Ok(numbers) => Ret::Numbers(numbers),
                Err(error) => Ret::Failed(error.to_string()),
            },
            Op::Exit => end(Exit::Failed("asked to".to_owned())).await,
            Op::Refuse => end(Exit::Refused("asked to".to_owned())).await,
            Op::Panic | Op::PanicHere => panic!("as asked"),
            Op::Draw => Ret::Drawn(draw(&host)),
            Op::Hang => std::future::pending().await,
        };
        let answer = format!("{}\n", serde_json::to_string(&ret).expect("it serialises"));
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

#[expect(clippy::disallowed_methods, reason = "what a library might do")]
fn draw(host: &Host) -> String {
    use std::hash::BuildHasher;
    let hash = std::hash::RandomState::new().hash_one(1);
    let mut bytes = [0; 8];
    host.entropy(&mut bytes);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    format!("{hash} {bytes:?} {time} {}", host.utc_now_ms())
}

async fn call(client: &ClientHost, op: &Op) -> Outcome<Ret> {
    let mut stream = match client.connect("server:80").await {
        Ok(stream) => BufReader::new(stream),
        Err(error) => return Outcome::Fail(error.to_string()),
    };
    let request = format!("{}\n", serde_json::to_string(op).expect("it serialises"));
    if let Err(error) = stream.write_all(request.as_bytes()).await {
        return Outcome::Info(error.to_string());
    }
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(0) => Outcome::Info("the connection was closed".to_owned()),
        Ok(_) => match serde_json::from_str(&line).expect("servers speak well") {
            Ret::Failed(error) => Outcome::Fail(error),
            ret => Outcome::Ok(ret),
        },
        Err(error) => Outcome::Info(error.to_string()),
    }
}
