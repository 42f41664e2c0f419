//! Running the program under test.

use std::path::Path;
use std::process::{Command, Output};

/// The program, to be run in the root of the repository.
pub fn squall() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("there is a folder of scenarios")
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("its name is text"))
        .filter(|name| name.ends_with(".toml"))
        .collect();
    files.sort();
    files
}
