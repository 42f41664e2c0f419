//! What atomicity costs: a transaction of the coordinator against two bare commits.
//!
//!     cargo bench --bench commit -- [TRANSACTIONS]
//!
//! - *coordinator*: the production service with the embedded graph, both on real files, without HTTP: intent, decision
//!   and outcome are three commits, each shared by whoever is there at the same moment;
//! - *bare*: the same two files' worth of work and no atomicity: one row into each of two SQLite files that are opened as
//!   the coordinator opens its own (write-ahead log, `synchronous=FULL`), one commit each, one client after another.
//!
//! Each number of clients does so many transactions in each way, in slices that take turns. Added is what a percentile of
//! the coordinator is above the same percentile of the bare pair with as many clients, and above the median of a bare
//! pair with a client alone: what somebody notices who had no atomicity before, and nobody beside them. A disk that others
//! write to delays both sides alike, so the former is held against the bound at the 99th percentile: exit code 1 says
//! that it was missed.

#[path = "support/percentile.rs"]
mod percentile;
mod support;
#[path = "support/transactions.rs"]
mod transactions;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coordinator::commit::{Answer, Decision, Settled};
use coordinator::service::Coordinator;
use env::Env;
use futures_util::future::join_all;
use percentile::percentile_ms;
use rusqlite::{Connection, TransactionBehavior};
use stores::sqlite::{Check, Role, Schema};
use support::{figure, folder, is_smoke, open_graph, production, runtime, start};
use tokio::time::Instant;
use transactions::{create, key};

/// How many transactions each number of clients does in each way.
const TRANSACTIONS: usize = 4_000;

/// How many turns they are divided into.
const TURNS: usize = 10;

const CLIENTS: [usize; 3] = [1, 8, 64];

/// What atomicity may add to the latency of a transaction at the 99th percentile, in milliseconds.
const ADDED_MS_MAX: f64 = 20.0;

static SCHEMA: Schema = Schema {
    application_id: 0x6261_7265,
    migrations: &["CREATE TABLE item (id INTEGER PRIMARY KEY, content TEXT NOT NULL) STRICT;"],
};

/// What came of many transactions.
#[derive(Default)]
struct Samples {
    latencies: Vec<Duration>,
    took: Duration,
}

impl Samples {
    fn add(&mut self, (latencies, took): (Vec<Duration>, Duration)) {
        self.latencies.extend(latencies);
        self.took += took;
    }

    fn percentile_ms(&mut self, percent: usize) -> f64 {
        percentile_ms(&mut self.latencies, percent)
    }

    fn a_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

fn main() -> ExitCode {
    let transactions = figure(TRANSACTIONS, 64);
    let data = folder();
    println!("{transactions} transactions each way; a sync of 4 KiB takes {:.2} ms here", sync_ms(data.path()));
    let added_ms_max = runtime().block_on(measure(data.path(), transactions));
    if is_smoke() || added_ms_max < ADDED_MS_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("atomicity may add less than {ADDED_MS_MAX} ms at the 99th percentile, and adds {added_ms_max:.1} ms");
    ExitCode::FAILURE
}

/// Prints the table; returns the most that is added at the 99th percentile.
async fn measure(data: &Path, transactions: usize) -> f64 {
    let env = production();
    let graph = open_graph(&env, data).await;
    let coordinator = start(env.clone(), data, graph).await.expect("it starts");
    let pair = ["first.db", "second.db"].map(|file| {
        let opened = stores::sqlite::open(&env, &data.join(file), Role::Writer(Check::Skip), &SCHEMA);
        Mutex::new(opened.expect("it can be opened"))
    });
    let pair = Arc::new(pair);
    let next = AtomicUsize::new(0);
    let number = || next.fetch_add(1, Ordering::Relaxed);

    println!(
        "{:<9}{:<13}{:>9}{:>10}{:>10}{:>12}{:>12}{:>14}",
        "clients", "", "tx/s", "p50 ms", "p99 ms", "added p50", "added p99", "to a lone one"
    );
    let (mut lone_ms, mut added_ms_max) = (None, f64::MIN);
    for clients in CLIENTS {
        let (mut atomic, mut bare) = (Samples::default(), Samples::default());
        // The first turn warms up.
        for turn in 0..=TURNS {
            let each = (transactions / TURNS / clients).max(1);
            let took_atomic = at_once(clients, each, async || commit(&coordinator, number()).await).await;
            let took_bare = at_once(clients, each, async || commit_bare(&env, &pair, number()).await).await;
            if turn > 0 {
                atomic.add(took_atomic);
                bare.add(took_bare);
            }
        }
        let [(p50, bare_p50), (p99, bare_p99)] = [50, 99].map(|p| (atomic.percentile_ms(p), bare.percentile_ms(p)));
        let lone = *lone_ms.get_or_insert(bare_p50);
        added_ms_max = added_ms_max.max(p99 - bare_p99);
        println!("{clients:<9}{:<13}{:>9.0}{bare_p50:>10.2}{bare_p99:>10.2}", "bare", bare.a_second());
        println!(
            "{:<9}{:<13}{:>9.0}{p50:>10.2}{p99:>10.2}{:>12.2}{:>12.2}{:>14.2}",
            "",
            "coordinator",
            atomic.a_second(),
            p50 - bare_p50,
            p99 - bare_p99,
            p99 - lone
        );
    }
    added_ms_max
}

/// So many clients do so many transactions each, at the same time. Returns how long each transaction took, and all.
async fn at_once(clients: usize, each: usize, transaction: impl AsyncFn()) -> (Vec<Duration>, Duration) {
    let began = Instant::now();
    let client = async || {
        let mut latencies = Vec::with_capacity(each);
        for _ in 0..each {
            let began = Instant::now();
            transaction().await;
            latencies.push(began.elapsed());
        }
        latencies
    };
    let latencies = join_all((0..clients).map(|_| client())).await;
    (latencies.concat(), began.elapsed())
}

async fn commit(coordinator: &Coordinator, n: usize) {
    match coordinator.submit(key(n), create(n)).await {
        Ok(Answer::Settled(Settled { decision: Decision::Committed, .. })) => {}
        answer => panic!("transaction {n} was answered {answer:?}"),
    }
}

async fn commit_bare(env: &Env, pair: &Arc<[Mutex<Connection>; 2]>, n: usize) {
    let pair = pair.clone();
    let commits = move || {
        let content = serde_json::to_string(&create(n)).expect("it is JSON");
        for connection in pair.iter() {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached("INSERT INTO item (id, content) VALUES (?1, ?2)")?
                .execute((i64::try_from(n).expect("it is small"), &content))?;
            transaction.commit()?;
        }
        Ok::<_, rusqlite::Error>(())
    };
    env.blocking(commits).await.expect("both commit");
}

/// The median of what it takes to append a page to a file and sync it.
fn sync_ms(folder: &Path) -> f64 {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("page")).expect("it can be created");
    let mut sync = || {
        let began = Instant::now();
        file.write_all(&[1; 4096]).and_then(|()| file.sync_data()).expect("it can be written");
        began.elapsed()
    };
    let mut samples: Vec<Duration> = (0..100).map(|_| sync()).collect();
    percentile_ms(&mut samples, 50)
}
