//! What a program can draw. Values are printed as they are, so that a
//! difference shows what it is.

#![expect(clippy::disallowed_types, reason = "the leaks are what is tested")]

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::{Instant, SystemTime};

use interpose::Reading;

use crate::sqlite;

/// The origin of the simulated clocks of seed 0; each seed has its own, because
/// fastrand seeds itself with the clock and the thread's number, not with entropy.
const START: Reading = Reading { utc_ns: 1_700_000_000_000_000_000, monotonic_ns: 5_000_000_000 };

const DAY_NS: u64 = 86_400_000_000_000;

/// What every seed draws alike: the time between two reads, and their number.
pub const SAME_FOR_EVERY_SEED: [&str; 2] = ["elapsed", "clock reads"];

/// Everything, by name: keyed by the seed, or real without one.
pub fn simulated_or_real(seed: Option<u64>) -> Vec<(&'static str, String)> {
    let Some(seed) = seed else {
        let mut drawn = everything();
        drawn.push(("clock reads", format!("none simulated by process {}", std::process::id())));
        return drawn;
    };
    // Each read finds the clocks 1.5 ms later.
    let passed_ns = Cell::new(0);
    let clock = || {
        passed_ns.set(passed_ns.get() + 1_500_000);
        let since_start_ns = seed * DAY_NS + passed_ns.get();
        Reading { utc_ns: START.utc_ns + since_start_ns, monotonic_ns: START.monotonic_ns + since_start_ns }
    };
    interpose::simulate(seed, &clock, || {
        let mut drawn = everything();
        let counts = interpose::counts().expect("inside a simulation");
        drawn.push(("clock reads", counts.clock_reads.to_string()));
        drawn
    })
}

#[expect(clippy::disallowed_methods, reason = "the leaks are what is tested")]
fn everything() -> Vec<(&'static str, String)> {
    let order = |keys: Vec<&u8>| format!("{keys:?}");
    let started = Instant::now();
    vec![
        ("std map order", order((0..16).map(|n| (n, n)).collect::<HashMap<u8, u8>>().keys().collect())),
        ("ahash map order", {
            let mut map = HashMap::with_hasher(ahash::RandomState::new());
            map.extend((0..16).map(|n| (n, n)));
            order(map.keys().collect())
        }),
        ("std hash", std::hash::RandomState::new().hash_one(7).to_string()),
        ("getrandom 0.2", filled(|bytes| getrandom02::getrandom(bytes).expect("entropy"))),
        ("getrandom 0.3", filled(|bytes| getrandom03::fill(bytes).expect("entropy"))),
        ("getrandom 0.4", filled(|bytes| getrandom04::fill(bytes).expect("entropy"))),
        ("rand 0.8", rand08::random::<u64>().to_string()),
        ("rand 0.9", rand09::random::<u64>().to_string()),
        ("rand 0.10", rand010::random::<u64>().to_string()),
        ("uuid 4", uuid::Uuid::new_v4().to_string()),
        ("uuid 7", uuid::Uuid::now_v7().to_string()),
        ("fastrand", fastrand::u64(..).to_string()),
        ("tokio select", select_order()),
        ("sqlite random", sqlite::query("SELECT random()")),
        ("sqlite now", sqlite::query("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")),
        ("system time", format!("{:?}", SystemTime::now())),
        ("instant", format!("{:?}", Instant::now())),
        ("elapsed", format!("{:?}", started.elapsed())),
    ]
}

fn filled(fill: impl FnOnce(&mut [u8])) -> String {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    format!("{bytes:02x?}")
}

/// Which of two ready branches `select!` took, 64 times.
fn select_order() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut taken = String::new();
        for _ in 0..64 {
            tokio::select! {
                () = async {} => taken.push('a'),
                () = async {} => taken.push('b'),
            }
        }
        taken
    })
}
