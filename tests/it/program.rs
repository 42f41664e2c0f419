//! Running the program under test.

use std::path::Path;
use std::process::{Command, Output};

/// With this variable in its environment the test runs another build of the program, say the release build, without being
/// built anew itself.
const PROGRAM: &str = "SQUALL_PROGRAM";

/// The program, to be run in the root of the repository.
pub fn squall() -> Command {
    let program = std::env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_squall").into());
    let mut command = Command::new(program);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// Runs the program with these arguments.
pub fn run(arguments: &[&str]) -> Ran {
    let Output { status, stdout, stderr } = squall().args(arguments).output().expect("the program can be started");
    Ran {
        code: status.code().expect("the program was not killed"),
        stdout: String::from_utf8(stdout).expect("it prints text"),
        stderr: String::from_utf8(stderr).expect("it prints text"),
    }
}

/// The scenario files, in order.
pub fn scenario_files() -> Vec<String> {
    let files = toml_files("scenarios");
    assert!(!files.is_empty(), "there is no folder of scenarios");
    files
}

/// The scenarios that capsules have become, in order: `squall adopt` puts them there, if anybody did.
pub fn regression_files() -> Vec<String> {
    toml_files("scenarios/regressions").into_iter().map(|name| format!("regressions/{name}")).collect()
}

fn toml_files(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<String> = entries
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("its name is text"))
        .filter(|name| name.ends_with(".toml"))
        .collect();
    files.sort();
    files
}
