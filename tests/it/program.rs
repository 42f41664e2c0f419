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

/// Where capsules become scenarios, below the folder of all.
const REGRESSIONS: &str = "regressions/";

/// The scenario files that people wrote, in order, as paths below `scenarios/`.
pub fn scenario_files() -> Vec<String> {
    let files: Vec<String> = toml_files().into_iter().filter(|name| !name.starts_with(REGRESSIONS)).collect();
    assert!(!files.is_empty(), "there is no folder of scenarios");
    files
}

/// The scenarios that capsules have become, in order: `squall adopt` puts them there, if anybody did.
pub fn regression_files() -> Vec<String> {
    toml_files().into_iter().filter(|name| name.starts_with(REGRESSIONS)).collect()
}

/// All that `squall run` finds in the folder, and in folders within it.
fn toml_files() -> Vec<String> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let (mut files, mut folders) = (Vec::new(), vec![scenarios.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it is a folder") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.strip_prefix(&scenarios).expect("it is below it").to_str().expect("its name is text");
                files.push(name.to_owned());
            }
        }
    }
    files.sort();
    files
}
