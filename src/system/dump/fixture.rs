//! A ledger for tests, in memory.

use std::process::Command;

use coordinator::ledger;
use rusqlite::Connection;

/// Set in the process of a test that has one of its own.
const ALONE: &str = "SQUALL_TEST_ALONE";

/// Runs the body of a test that opens SQLite, in a process of its own.
///
/// SQLite's generator of randomness is one for the process, and every connection that is opened draws from it. The tests
/// of the world run simulations in this very process and compare every byte: the draw would be one of theirs.
///
/// # Panics
///
/// When the test fails there, with all it said.
pub fn alone(body: impl FnOnce()) {
    let thread = std::thread::current();
    let test = thread.name().expect("a test has a thread of its name");
    // Where tests run one after another, on the main thread, nobody else is running now.
    if test == "main" || std::env::var_os(ALONE).is_some() {
        return body();
    }
    let program = std::env::current_exe().expect("a test is a program");
    let ran = Command::new(program).args([test, "--exact", "--nocapture"]).env(ALONE, "1").output();
    let ran = ran.expect("the program that runs now can be run again");
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(ran.status.success(), "{test}, in a process of its own:\n{said}");
    assert!(said.contains("1 passed"), "{test} was not run: {said}");
}

/// An empty ledger. Only for tests that run [`alone`].
pub fn ledger() -> Connection {
    let sql = Connection::open_in_memory().expect("memory suffices");
    ledger::MIGRATIONS.iter().for_each(|step| sql.execute_batch(step).expect("the tables are well formed"));
    sql.pragma_update(None, "user_version", 1).expect("a version can be set");
    sql
}
