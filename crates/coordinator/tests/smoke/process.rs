//! The program as a process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use env::Env;
use tokio::sync::watch;
use tokio::time::timeout;

use testbed::Target;

/// What the program prints once it accepts requests, before its address.
const LISTENING: &str = "listening on http://";

/// Short, so that a test fails soon where transactions stay open for ever.
const ANSWER_TIMEOUT_MS: &str = "3000";

/// How long a start or an orderly end may take before the test is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A coordinator on one data folder, in one process after another. It listens on another
/// port each time, for another program may have taken the last one.
pub struct Server {
    env: Env,
    data: PathBuf,
    graph: String,
    password: Option<String>,
    running: Option<Running>,
    address: watch::Sender<Option<Listening>>,
    /// How many processes there have been.
    starts: u32,
}

/// A process that accepts requests.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Which of them, from 1.
    pub process: u32,
    /// `host:port`.
    pub address: String,
}

struct Running {
    child: Child,
    /// Kept open: the program may print more than its address. It ends with the process.
    stdout: BufReader<ChildStdout>,
}

impl Server {
    pub fn new(env: Env, data: &Path, target: &Target) -> Server {
        Server {
            env,
            data: data.to_owned(),
            graph: target.argument(),
            password: target.password().map(str::to_owned),
            running: None,
            address: watch::Sender::new(None),
            starts: 0,
        }
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where it listens, `None` while it does not.
    pub fn address(&self) -> watch::Receiver<Option<Listening>> {
        self.address.subscribe()
    }

    /// Starts a process and waits until it accepts requests.
    pub async fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.starts += 1;
        let log = self.log();
        let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator"));
        command.arg("serve").arg("--data").arg(&self.data).arg("--graph").arg(&self.graph);
        command.args(["--listen", "127.0.0.1:0", "--answer-timeout-ms", ANSWER_TIMEOUT_MS]);
        if let Some(password) = &self.password {
            command.env("SQUALL_GRAPH_PASSWORD", password);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log).expect("a file for its log"));
        let mut child = command.spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its stdout is a pipe"));
        let first_line = self.env.blocking(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).map(|_| (line, stdout))
        });
        let answered = timeout(PATIENCE, first_line).await;
        let Ok(Ok((line, stdout))) = answered else {
            let _ = child.kill();
            panic!("no line on its stdout within {} s; its log says\n{}", PATIENCE.as_secs(), read(&log));
        };
        let Some(address) = line.trim_end().strip_prefix(LISTENING) else {
            let _ = child.kill();
            panic!("its first line is {line:?} and not its address; its log says\n{}", read(&log));
        };
        self.running = Some(Running { child, stdout });
        self.address.send_replace(Some(Listening { process: self.starts, address: address.to_owned() }));
    }

    /// Ends it with SIGKILL, which no program can notice. Returns which process that was.
    pub fn kill(&mut self) -> u32 {
        let mut running = self.running.take().expect("there is a process to kill");
        running.child.kill().expect("our own child can be killed");
        let status = running.child.wait().expect("our own child can be waited for");
        self.address.send_replace(None);
        // Anything else means that it had already ended by itself.
        assert_eq!(status.signal(), Some(9), "it ended with {status}; its log says\n{}", read(&self.log()));
        self.starts
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) {
        let Running { mut child, mut stdout } = self.running.take().expect("there is a process to stop");
        self.address.send_replace(None);
        // The standard library sends no other signal than SIGKILL.
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status();
        assert!(asked.is_ok_and(|status| status.success()), "it cannot be asked to end");
        let ended = self.env.blocking(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        if timeout(PATIENCE, ended).await.is_err() {
            let _ = child.kill();
            panic!("it did not end within {} s; its log says\n{}", PATIENCE.as_secs(), read(&self.log()));
        }
        let status = child.wait().expect("our own child can be waited for");
        assert!(status.success(), "it ended with {status}; its log says\n{}", read(&self.log()));
    }

    /// The log of the latest start, beside the data folder.
    fn log(&self) -> PathBuf {
        self.data.with_extension(format!("{}.log", self.starts))
    }
}

/// A test that fails leaves no process behind.
impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_else(|error| format!("(no log: {error})"))
}
