//! Crashes SQLite at random disk operations, reopens it, and says what was lost.
//!
//!     cargo run --release -p disk --example torture -- [CRASHES] [SEED]
//!
//! Each line is one way to run SQLite and one way to die. A crash falls at a random operation, also while SQLite recovers
//! from the crash before. After it the database is opened again and must pass `integrity_check`, hold every transaction
//! whose commit was acknowledged, and hold none in part.

mod cycle;

use std::process::ExitCode;
use std::time::Instant;

use cycle::{Figures, MODES, torture};

/// One number from the command line, or what it is without one.
fn argument(index: usize, default: u64) -> Result<u64, String> {
    match std::env::args().nth(index) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|error| format!("{text:?} is not a number: {error}")),
    }
}

fn main() -> ExitCode {
    let (crashes, seed) = match (argument(1, 1_000), argument(2, 1)) {
        (Ok(crashes), Ok(seed)) => (crashes, seed),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("{error}\nusage: torture [CRASHES] [SEED]");
            return ExitCode::from(2);
        }
    };
    println!("SQLite {}, {crashes} crashes a line, seed {seed}", rusqlite::version());
    println!(
        "{:<34}{:>10}{:>10}{:>8}{:>8}{:>6}{:>9}{:>12}{:>10}",
        "mode", "recovering", "commits", "losing", "lost", "torn", "corrupt", "operations", "cycles/s"
    );
    let mut broken = false;
    for mode in MODES {
        #[expect(clippy::disallowed_methods, reason = "this measures how fast the real machine is")]
        let start = Instant::now();
        let figures = torture(mode, seed, crashes);
        let Figures { in_recovery, commits, losing_crashes, lost, torn, corrupt, operations, .. } = figures;
        println!(
            "{:<34}{in_recovery:>10}{commits:>10}{losing_crashes:>8}{lost:>8}{torn:>6}{corrupt:>9}{operations:>12}{:>10.0}",
            mode.name,
            figures.crashes as f64 / start.elapsed().as_secs_f64(),
        );
        broken |= mode.is_safe && !figures.is_clean();
    }
    if broken {
        eprintln!("a mode that must lose nothing did");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
