//! How long a start takes that finds transactions in doubt.
//!
//!     cargo bench --bench recovery -- [ROUNDS]
//!
//! A data folder on a real disk holds so many intents without an outcome. The graph has decided half of them, those with
//! even numbers, and knows nothing of the rest. Measured are a start, which returns when every one holds its locks, and
//! the time from its beginning until all are settled: the decided ones rolled forward, the others fenced. Sizes take
//! turns; printed are the medians. That the time grows as the number does, and not faster, shows in the last column:
//! exit code 1 says that a transaction takes more than twice as long in the largest recovery as in the smallest but one.

#[path = "support/percentile.rs"]
mod percentile;
mod support;
#[path = "support/transactions.rs"]
mod transactions;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use coordinator::LEDGER_FILE;
use coordinator::commit::{ContentHash, Intent};
use coordinator::ledger::{self, Moment};
use coordinator::statements;
use futures_util::future::try_join_all;
use graph::{Millis, TxId};
use percentile::percentile_ms;
use rusqlite::Connection;
use stores::GraphStore;
use support::{figure, folder, is_smoke, open_graph, production, runtime, start};
use tokio::time::Instant;
use transactions::{create, key};

const ROUNDS: usize = 5;

/// How many transactions are in doubt.
const SIZES: [usize; 4] = [1_000, 5_000, 10_000, 20_000];

/// How much longer a transaction may take in the largest recovery than in the second smallest.
const GROWTH_MAX: f64 = 2.0;

/// How many decisions are sent to the graph at once while a folder is made.
const CHUNK: usize = 500;

/// The pause between two questions whether all is settled.
const PAUSE: Duration = Duration::from_millis(5);

/// Longer than any one transaction takes in the graph here.
const LIMIT: Duration = Duration::from_secs(60);

/// The start that began the transactions.
const CRASHED: u64 = 1;

fn main() -> ExitCode {
    let rounds = figure(ROUNDS, 1);
    let sizes = if is_smoke() { SIZES.map(|size| size / 100) } else { SIZES };
    let mut samples = sizes.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..rounds {
        for (size, (started, settled)) in sizes.iter().zip(&mut samples) {
            let data = folder();
            crash(data.path(), *size);
            let (start, settle) = recover(data.path(), *size);
            started.push(start);
            settled.push(settle);
        }
    }
    println!("{:>10}{:>14}{:>14}{:>16}", "in doubt", "started s", "settled s", "ms each");
    let each = sizes.iter().zip(&mut samples).map(|(size, (started, settled))| {
        let (started, settled) = (percentile_ms(started, 50), percentile_ms(settled, 50));
        let each = settled / *size as f64;
        println!("{size:>10}{:>14.2}{:>14.2}{each:>16.3}", started / 1_000.0, settled / 1_000.0);
        each
    });
    let each: Vec<f64> = each.collect();
    let growth = each[3] / each[1];
    if is_smoke() || growth < GROWTH_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("a recovery may grow with its transactions, and not {growth:.1} times faster");
    ExitCode::FAILURE
}

/// Makes the data folder of a process that died with so many transactions under way.
fn crash(data: &Path, in_doubt: usize) {
    let env = production();
    // A first start, which makes the tables and claims the graph.
    runtime().block_on(async {
        let graph = open_graph(&env, data).await;
        start(env.clone(), data, graph).await.expect("it starts");
    });
    let intents: Vec<Intent> = (1..=in_doubt).map(intent).collect();

    let mut sql = Connection::open(data.join(LEDGER_FILE)).expect("it is there");
    let transaction = sql.transaction().expect("nobody else writes");
    let now = Moment { utc: env.utc_now(), running: Millis::ZERO };
    for intent in &intents {
        ledger::intend(&transaction, intent, now).expect("it fits");
    }
    transaction.commit().expect("there is room");

    runtime().block_on(async {
        let graph = open_graph(&env, data).await;
        let decided: Vec<&Intent> = intents.iter().filter(|intent| intent.tx.serial % 2 == 0).collect();
        for intents in decided.chunks(CHUNK) {
            let decide = |intent: &&Intent| graph.execute(statements::decide(intent.tx, &intent.patch), LIMIT);
            try_join_all(intents.iter().map(decide)).await.expect("they fit");
        }
    });
}

fn intent(n: usize) -> Intent {
    let tx = TxId { incarnation: CRASHED, serial: n as u64 };
    Intent::new(tx, key(n), ContentHash(format!("{n:064x}")), &create(n))
}

/// Starts a coordinator; returns how long it took until it had started, and until all was settled.
fn recover(data: &Path, in_doubt: usize) -> (Duration, Duration) {
    let env = production();
    let times = runtime().block_on(async {
        let began = Instant::now();
        let graph = open_graph(&env, data).await;
        let coordinator = start(env, data, graph).await.expect("it starts");
        let started = began.elapsed();
        while coordinator.status().await.open > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        (started, began.elapsed())
    });
    let sql = Connection::open(data.join(LEDGER_FILE)).expect("it is there");
    let committed = ledger::count_committed(&sql, CRASHED..=CRASHED).expect("it can be read");
    assert_eq!(committed, in_doubt as u64 / 2, "what was decided is rolled forward, and nothing else");
    assert!(ledger::unresolved(&sql).expect("it can be read").is_empty(), "nothing is left in doubt");
    times
}
