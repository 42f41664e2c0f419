//! The two programs, as processes that can be killed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use env::Env;
use tokio::time::timeout;

/// What both print once they accept requests, before their address.
const LISTENING: &str = "listening on http://";

/// How long a start or an orderly end may take before the test is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program on one data folder, in one process after another, all at the same address.
pub struct Program {
    env: Env,
    name: &'static str,
    arguments: Vec<String>,
    password: Option<String>,
    logs: PathBuf,
    /// `host:port`, since the first start.
    address: Option<String>,
    running: Option<(Child, BufReader<ChildStdout>)>,
    starts: u32,
}

impl Program {
    /// Not started yet; its logs go into this folder.
    pub fn new(env: &Env, name: &'static str, arguments: Vec<String>, password: Option<&str>, logs: &Path) -> Program {
        Program {
            env: env.clone(),
            name,
            arguments,
            password: password.map(str::to_owned),
            logs: logs.to_owned(),
            address: None,
            running: None,
            starts: 0,
        }
    }

    /// Where it listens, or did.
    pub fn address(&self) -> &str {
        self.address.as_deref().expect("it was started")
    }

    /// Starts a process and waits until it accepts requests.
    pub async fn start(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.name);
        self.starts += 1;
        let mut command = Command::new(built(self.name));
        // The projector's folder remembers the address of its log, so it has to stay the same.
        command.args(&self.arguments).args(["--listen", self.address.as_deref().unwrap_or("127.0.0.1:0")]);
        if let Some(password) = &self.password {
            command.env("SQUALL_GRAPH_PASSWORD", password);
        }
        let log = File::create(self.log()).expect("a file for its log");
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = spawned.expect("it can be started");
        let mut stdout = BufReader::new(child.stdout.take().expect("its stdout is a pipe"));
        let first_line = self.env.blocking(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).map(|_| (line, stdout))
        });
        let printed = timeout(PATIENCE, first_line).await;
        let address = match &printed {
            Ok(Ok((line, _))) => line.trim_end().strip_prefix(LISTENING),
            _ => None,
        };
        let Some(address) = address.map(str::to_owned) else {
            // Whether or not it has ended already.
            let _ = child.kill();
            panic!("{} printed {printed:?} and not its address; {}", self.name, self.said());
        };
        let (_, stdout) = printed.expect("it was in time").expect("it was read");
        self.address = Some(address);
        self.running = Some((child, stdout));
    }

    /// Ends it with SIGKILL, which no program can notice.
    pub fn kill(&mut self) {
        let (mut child, _) = self.running.take().expect("there is a process to kill");
        child.kill().expect("our own child can be killed");
        let status = child.wait().expect("our own child can be waited for");
        // Anything else means that it had already ended by itself.
        assert_eq!(status.signal(), Some(9), "{} ended with {status}; {}", self.name, self.said());
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) {
        let (mut child, mut stdout) = self.running.take().expect("there is a process to stop");
        // The standard library sends no other signal than SIGKILL.
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status();
        assert!(asked.is_ok_and(|status| status.success()), "{} cannot be asked to end", self.name);
        let ended = self.env.blocking(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        if timeout(PATIENCE, ended).await.is_err() {
            // It is of no use any more, whether or not this ends it.
            let _ = child.kill();
            panic!("{} did not end within {} s; {}", self.name, PATIENCE.as_secs(), self.said());
        }
        let status = child.wait().expect("our own child can be waited for");
        assert!(status.success(), "{} ended with {status}; {}", self.name, self.said());
    }

    fn log(&self) -> PathBuf {
        self.logs.join(format!("{}.{}.log", self.name, self.starts))
    }

    fn said(&self) -> String {
        let log = self.log();
        let text = std::fs::read_to_string(&log).unwrap_or_else(|error| format!("(unreadable: {error})"));
        format!("its log {} says\n{text}", log.display())
    }
}

/// A test that fails leaves no process behind.
impl Drop for Program {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program of another package of this workspace: beside the folder of this test, where cargo puts them all.
fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let folder = own.parent().and_then(Path::parent).expect("cargo builds tests in a folder of their own");
    let program = folder.join(name);
    assert!(program.exists(), "there is no {}; build it: cargo build -p coordinator -p projection", program.display());
    program
}
