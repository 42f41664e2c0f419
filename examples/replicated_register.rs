//! Somebody else's system under squall: a register on three replicas, without consensus.
//!
//! The protocol is that of Attiya, Bar-Noy and Dolev (*Sharing memory robustly in message-passing systems*, 1995). A
//! write asks a majority for its highest timestamp and stores the value under a higher one at a majority. A read asks a
//! majority for the newest value and stores *that* at a majority before it answers, so that no later read can miss it.
//!
//! Two mistakes can be switched on with the scenario's option `bug`:
//!
//! - `no-write-back`: reads answer at once. Two reads of one value may then see it, and not see it any more.
//! - `no-sync`: replicas answer before their disk holds what they were told. Power cuts lose writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use squall::check::linearizability::Linearizability;
use squall::check::models::register::{Op, Register, Ret};
use squall::check::{Checker, Verdict};
use squall::history::OpId;
use squall::plan::{Client, ClientStep, CutKind, Direction, Fault, Network, PLAN_FORMAT, Plan, PlannedFault, Trigger};
use squall::record::Record;
use squall::stream::Stream;
use squall::sut::{Check, Exit, HostSpec, LocalFuture, Outcome, ScenarioFn, System};
use squall::world::{ClientHost, Disks, Host, TcpStream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

squall::main!(ReplicatedRegister);

const REPLICAS: [&str; 3] = ["replica-1", "replica-2", "replica-3"];
const MAJORITY: usize = 2;
const FILE: &str = "/register.db";

/// How long a client waits for a majority in each of its two rounds.
const ROUND_TIMEOUT: Duration = Duration::from_millis(150);

/// The system.
struct ReplicatedRegister {
    settings: Settings,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    bug: Option<Bug>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bug {
    NoWriteBack,
    NoSync,
}

/// A value with the timestamp that orders it: a version, and who wrote it to break ties.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Stamped {
    version: u64,
    writer: String,
    value: Option<u64>,
}

/// What a replica is asked. It answers with what it holds afterwards.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Request {
    Query,
    Store(Stamped),
}

#[derive(Debug)]
enum Mark {
    /// A replica was told something older than what it holds.
    KeptNewer,
    /// A read found that the replicas do not agree.
    SawDisagreement,
}

impl System for ReplicatedRegister {
    type Op = Op<u64>;
    type Ret = Ret<u64>;

    const NAME: &'static str = "replicated-register";
    const PROGRAM: &'static str = "cargo run --release --example replicated_register --";

    fn new(options: &Value) -> Result<Self, String> {
        let settings = if options.is_null() { Ok(Settings::default()) } else { Settings::deserialize(options) };
        Ok(ReplicatedRegister { settings: settings.map_err(|error| error.to_string())? })
    }

    fn hosts(&self) -> Vec<HostSpec> {
        let points = || vec!["replica.store.before".to_owned(), "replica.store.after".to_owned()];
        REPLICAS.into_iter().map(|name| HostSpec { points: points(), ..HostSpec::new(name) }).collect()
    }

    fn marks(&self) -> Vec<String> {
        vec!["kept_newer".to_owned(), "saw_disagreement".to_owned()]
    }

    fn boot(&self, host: Host) -> LocalFuture<Exit> {
        let bug = self.settings.bug;
        Box::pin(async move {
            let opened = host.blocking(|| Replica::open(&host, bug)).await;
            let (replica, listener) = match (opened, host.listen("0.0.0.0:7000").await) {
                (Ok(replica), Ok(listener)) => (Arc::new(Mutex::new(replica)), listener),
                (Err(error), _) => return Exit::Failed(error.to_string()),
                (_, Err(error)) => return Exit::Failed(error.to_string()),
            };
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => host.spawn(serve(host.clone(), replica.clone(), stream)),
                    Err(error) => return Exit::Failed(error.to_string()),
                }
            }
        })
    }

    fn perform(&self, client: ClientHost, _: OpId, op: Op<u64>) -> LocalFuture<Outcome<Ret<u64>>> {
        let bug = self.settings.bug;
        Box::pin(async move {
            let times = if client.duplicating() { 2 } else { 1 };
            let mut outcome = Outcome::Fail("nothing was sent".to_owned());
            for _ in 0..times {
                outcome = match op {
                    Op::Read => read(&client, bug).await,
                    Op::Write(value) => write(&client, value).await,
                    Op::Cas { .. } => Outcome::Fail("a register without consensus has no compare-and-set".to_owned()),
                };
            }
            outcome
        })
    }

    fn workload(
        &self,
        _: &Value,
        clients: &[String],
        count: usize,
        random: &mut Stream,
    ) -> Result<Vec<Client<Op<u64>>>, String> {
        let mut next = 0;
        let mut steps = || {
            let mut at_ms = 0;
            let step = |_| {
                at_ms += random.between(1, 20);
                next += 1;
                ClientStep { at_ms, op: if random.percent(50) { Op::Read } else { Op::Write(next) } }
            };
            (0..count).map(step).collect()
        };
        Ok(clients.iter().map(|name| Client { name: name.clone(), steps: steps() }).collect())
    }

    fn settle(&self, client: ClientHost, _: &Plan<Op<u64>>) -> LocalFuture<Result<(), String>> {
        Box::pin(async move {
            while ask(&client, Request::Query, REPLICAS.len()).await.is_none() {}
            Ok(())
        })
    }

    fn dump(&self, disks: &Disks) -> BTreeMap<String, String> {
        let dump = |(name, disk): (&str, &disk::Disk)| {
            let open = Connection::open_with_flags_and_vfs(FILE, OpenFlags::default(), disk.vfs_name());
            let held = open.and_then(|connection| load(&connection));
            (name.to_owned(), held.map_or_else(|error| error.to_string(), |held| format!("{held:?}")))
        };
        disks.iter().map(dump).collect()
    }

    fn checks(&self) -> Vec<Check<Self>> {
        vec![Box::new(OfHistory(Linearizability { model: Register::new(), budget: 1_000_000 }))]
    }

    fn scenarios() -> Vec<(&'static str, ScenarioFn<Op<u64>>)> {
        vec![("reader-on-the-wrong-side", reader_on_the_wrong_side)]
    }
}

/// Judges what the clients saw.
struct OfHistory<C>(C);

impl<C: Checker<squall::history::History<Op<u64>, Ret<u64>>>> Checker<Record<Op<u64>, Ret<u64>>> for OfHistory<C> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn check(&self, record: &Record<Op<u64>, Ret<u64>>) -> Verdict {
        self.0.check(&record.history)
    }
}

/// A write reaches one replica at once and the others late, while two clients read.
///
/// The first reader sees the new value at the one replica; the second asks the two others. Without a write-back it is
/// told the old value.
fn reader_on_the_wrong_side(seed: u64) -> Plan<Op<u64>> {
    let client = |name: &str, steps: &[(u64, Op<u64>)]| Client {
        name: name.to_owned(),
        steps: steps.iter().map(|(at_ms, op)| ClientStep { at_ms: *at_ms, op: op.clone() }).collect(),
    };
    let stall = |ms, from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        let fault = Fault::Cut { from, to, kind: CutKind::Stall, direction: Direction::Both, heal_after_ms: 300 };
        PlannedFault { at: Trigger::Ms(ms), fault }
    };
    Plan {
        format: PLAN_FORMAT,
        scenario: "reader-on-the-wrong-side".to_owned(),
        seed,
        network: Network { tick_ms: 1, latency_ms_min: 2, latency_ms_max: 2 },
        limit_ms: 2_000,
        settle_ms: 2_000,
        supervisor_restart_ms: 100,
        system: Value::Null,
        clients: vec![
            client("writer", &[(100, Op::Write(1))]),
            client("first", &[(130, Op::Read)]),
            client("second", &[(160, Op::Read)]),
        ],
        faults: vec![
            // Between the writer's two rounds: asking takes 8 ms, and what it stores arrives 6 ms later.
            stall(110, "writer", "replica-2"),
            stall(110, "writer", "replica-3"),
            stall(0, "first", "replica-3"),
            stall(0, "second", "replica-1"),
        ],
        checks: Vec::new(),
        marks: vec!["saw_disagreement".to_owned()],
        reseed: None,
    }
}

// The replica.

struct Replica {
    connection: Connection,
    held: Stamped,
}

impl Replica {
    fn open(host: &Host, bug: Option<Bug>) -> rusqlite::Result<Replica> {
        let disk = host.disk();
        let connection = Connection::open_with_flags_and_vfs(FILE, OpenFlags::default(), disk.vfs_name())?;
        let synchronous = if bug == Some(Bug::NoSync) { "OFF" } else { "FULL" };
        connection.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}"))?;
        connection.execute_batch("CREATE TABLE IF NOT EXISTS register (held TEXT)")?;
        let held = load(&connection)?;
        Ok(Replica { connection, held })
    }

    fn store(&mut self, told: Stamped) -> rusqlite::Result<()> {
        let text = serde_json::to_string(&told).expect("it serialises");
        self.connection.execute("INSERT OR REPLACE INTO register (rowid, held) VALUES (1, ?)", [text])?;
        self.held = told;
        Ok(())
    }
}

fn load(connection: &Connection) -> rusqlite::Result<Stamped> {
    let mut select = connection.prepare("SELECT held FROM register")?;
    let mut rows = select.query([])?;
    match rows.next()? {
        Some(row) => Ok(serde_json::from_str(&row.get::<_, String>(0)?).expect("only replicas write here")),
        None => Ok(Stamped::default()),
    }
}

async fn serve(host: Host, replica: Arc<Mutex<Replica>>, stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while matches!(stream.read_line(&mut line).await, Ok(len) if len > 0) {
        let request: Request = serde_json::from_str(&line).expect("clients speak the protocol");
        host.input("replica", &request);
        if let Request::Store(told) = request {
            host.point("replica.store.before").await;
            let stored = host.blocking(|| {
                let mut replica = replica.lock().expect("no task panics with it");
                if told < replica.held {
                    host.mark("replica", &Mark::KeptNewer);
                }
                if told > replica.held { replica.store(told) } else { Ok(()) }
            });
            if let Err(error) = stored.await {
                // Better no answer than a wrong one.
                return tracing::error!(%error, "cannot store");
            }
            host.point("replica.store.after").await;
        }
        let held = replica.lock().expect("no task panics with it").held.clone();
        let answer = format!("{}\n", serde_json::to_string(&held).expect("it serialises"));
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

// The client.

async fn read(client: &ClientHost, bug: Option<Bug>) -> Outcome<Ret<u64>> {
    let Some(answers) = ask(client, Request::Query, MAJORITY).await else {
        return Outcome::Fail("no majority to read from".to_owned());
    };
    let newest = answers.iter().max().cloned().unwrap_or_default();
    if answers.iter().any(|answer| *answer != newest) {
        client.mark("client", &Mark::SawDisagreement);
    }
    let value = newest.value;
    if bug != Some(Bug::NoWriteBack) && ask(client, Request::Store(newest), MAJORITY).await.is_none() {
        return Outcome::Fail("no majority to write back to".to_owned());
    }
    Outcome::Ok(Ret::Read(value))
}

async fn write(client: &ClientHost, value: u64) -> Outcome<Ret<u64>> {
    let Some(answers) = ask(client, Request::Query, MAJORITY).await else {
        return Outcome::Fail("no majority to ask for its timestamp".to_owned());
    };
    let version = answers.iter().map(|answer| answer.version).max().unwrap_or(0) + 1;
    let told = Stamped { version, writer: client.name().to_owned(), value: Some(value) };
    match ask(client, Request::Store(told), MAJORITY).await {
        Some(_) => Outcome::Ok(Ret::Written),
        None => Outcome::Info("no majority has acknowledged it".to_owned()),
    }
}

/// Asks all replicas and returns the first `wanted` answers; `None` if they do not come in time.
async fn ask(client: &ClientHost, request: Request, wanted: usize) -> Option<Vec<Stamped>> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for replica in REPLICAS {
        let (client, request, sender) = (client.clone(), request.clone(), sender.clone());
        client.clone().spawn(async move {
            let asked = tokio::time::timeout(ROUND_TIMEOUT, ask_one(&client, replica, &request));
            if let Ok(Some(answer)) = asked.await {
                // Nobody listens any more once a majority has answered.
                let _ = sender.send(answer);
            }
        });
    }
    drop(sender);
    let mut answers = Vec::new();
    while answers.len() < wanted {
        answers.push(receiver.recv().await?);
    }
    Some(answers)
}

async fn ask_one(client: &Host, replica: &str, request: &Request) -> Option<Stamped> {
    let mut stream = BufReader::new(client.connect(&format!("{replica}:7000")).await.ok()?);
    let line = format!("{}\n", serde_json::to_string(request).expect("it serialises"));
    stream.write_all(line.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await.ok()?;
    serde_json::from_str(&answer).ok()
}
