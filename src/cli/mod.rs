//! The program: what [`squall::main!`](crate::main) runs.

mod adopt;
mod coverage;
mod failures;
mod hunt;
mod list;
mod page;
mod pinpoint;
mod progress;
mod replay;
mod report;
mod run;
mod shrink;
mod sources;
mod sweep;
mod table;
mod verify;

use std::num::NonZero;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use report::Format;

use crate::campaign::{LogLevel, Setup, program};
use crate::sut::System;
use crate::sweep::{DEPTH_MAX, Sample};
use crate::worker::{Isolation, serve_if_asked};

/// Everything held.
pub const PASSED: u8 = 0;
/// A promise was broken, or a scenario did not reach what it is there for.
pub const VIOLATED: u8 = 1;
/// The command line or a file is wrong.
pub const USAGE: u8 = 2;
/// The harness itself failed; that a run is not deterministic belongs here.
pub const HARNESS: u8 = 3;

/// An error with its exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What to tell the user.
    pub message: String,
}

impl Failure {
    /// The command line or a file is wrong.
    pub fn usage(message: impl ToString) -> Failure {
        Failure { code: USAGE, message: message.to_string() }
    }

    /// The harness itself failed.
    pub fn harness(message: impl ToString) -> Failure {
        Failure { code: HARNESS, message: message.to_string() }
    }
}

/// What a command ends in: its exit code.
pub type Ended = Result<u8, Failure>;

/// The commands that every system has.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios under many seeds and judge what came out
    #[command(
        after_help = "Examples:\n  squall run\n  squall run scenarios/crash_after_decide.toml --seeds 0..1000\n  \
                            squall run --jobs 1 --verify all\n  squall run --format junit > junit.xml\n\nExit codes: 0 passed, 1 violation found, 2 usage or input, \
                            3 the harness itself failed"
    )]
    Run(RunArgs),
    /// Run one plan again: a capsule, or a scenario with a seed
    #[command(after_help = "Examples:\n  squall replay failures/swarm-1f3c5a7b9d0e2468.capsule.json\n  \
                            squall replay scenarios/swarm.toml --seed 7 --log debug\n  \
                            squall replay scenarios/swarm.toml --seed 7 --no-fork   (under a debugger)")]
    Replay(ReplayArgs),
    /// Make the plan of a capsule as small as it can be and still fail in the same way
    #[command(after_help = "A failing `squall run` has done this already, for half a minute a failure.\n\n\
                            Examples:\n  squall shrink failures/swarm-1f3c5a7b9d0e2468.capsule.json --seconds 600")]
    Shrink(ShrinkArgs),
    /// Show a run on a page: a capsule's, or a scenario's with a seed
    #[command(
        after_help = "The page is one file without any other, to be opened in a browser. A failing `squall run` has \
                            made it already.\n\nExamples:\n  \
                            squall report failures/swarm-1f3c5a7b9d0e2468.capsule.json\n  \
                            squall report scenarios/swarm.toml --seed 7 -o swarm.html\n  \
                            squall report scenarios/swarm.toml --seed 7 --against scenarios/swarm.toml --against-seed 8\n\n\
                            Exit codes: 0 the run passed, 1 it violated a promise, 2 usage or input, 3 the harness \
                            itself failed"
    )]
    Report(ReportArgs),
    /// Find the moment from which on a failure was hard to avoid
    #[command(
        after_help = "The run is kept up to a moment, and all chance after it drawn anew: how long messages take, what a \
                            power cut leaves, and whether\neach fault that had not struck strikes at all. Where the share \
                            of runs that still fail jumps is where to look.\n\nExamples:\n  \
                            squall pinpoint failures/swarm-1f3c5a7b9d0e2468.capsule.json\n\n\
                            Exit codes: 0 the failure does not show, 1 it does, 2 usage or input, 3 the harness itself \
                            failed"
    )]
    Pinpoint(PinpointArgs),
    /// Turn a capsule into a scenario that `cargo test` runs from then on
    #[command(after_help = "Examples:\n  squall adopt failures/swarm-1f3c5a7b9d0e2468.capsule.json --name lost_ack")]
    Adopt(AdoptArgs),
    /// Crash at every point of a scenario's run, once by a power cut and once by a kill
    #[command(
        after_help = "The scenario's operations are run without its faults, to count the points that each host of \
                            the system passes: effects of its cores,\noperations of its disk, messages. Then they are \
                            run once for each crash, exactly there. What is finished is kept, so that an\ninterrupted \
                            sweep goes on where it was.\n\nExamples:\n  squall sweep\n  \
                            squall sweep scenarios/one_commit.toml --depth 2\n  \
                            squall sweep --sample 3/10\n\n\
                            Exit codes: 0 all points that were to be tried are covered, 1 violation found or a point \
                            not covered, 2 usage or\ninput, 3 the harness itself failed"
    )]
    Sweep(SweepArgs),
    /// Run ever new plans until the time is over: new seeds, and variations of what reached something new
    #[command(
        after_help = "New is a mark of a core, or a fault at a stage of its host at which none of its kind has struck. \
                            Ctrl-C ends a hunt early;\nwhat it came to is told all the same.\n\nExamples:\n  \
                            squall hunt --for 10m\n  squall hunt scenarios/swarm.toml --for 8h --corpus corpus\n\n\
                            Exit codes: 0 nothing failed, 1 violation found, 2 usage or input, 3 the harness itself failed"
    )]
    Hunt(HuntArgs),
    /// Say what the scenarios reach: marks, faults in each stage, crashes, and what none of them does
    #[command(
        after_help = "Exit codes: 0 every mark is reached, 1 one is not, or a run broke a promise, 2 usage or input, \
                            3 the harness itself failed"
    )]
    Coverage(CoverageArgs),
    /// List scenarios, checks, marks, points and profiles
    List(ListArgs),
}

/// The arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Scenario files, folders of them, or names of scenarios written in Rust [default: scenarios/ and all in Rust]
    pub scenarios: Vec<PathBuf>,
    /// The seeds to run each scenario with, FROM..TO without TO, besides those that its file pins; or one seed alone
    #[arg(long, value_parser = seeds, default_value = "0..20", value_name = "FROM..TO")]
    pub seeds: Range<u64>,
    /// How many runs at once [default: one a processor]
    #[arg(long)]
    pub jobs: Option<NonZero<usize>>,
    /// Which runs to run a second time, in other processes with random addresses, to prove that they are deterministic:
    /// all, none, or one in N
    #[arg(long, value_parser = verify, default_value = "20", value_name = "all|none|N")]
    pub verify: Verify,
    /// Where capsules of failures are written
    #[arg(long, default_value = "failures", value_name = "DIR")]
    pub failures: PathBuf,
    /// Keep failures as they are found
    #[arg(long)]
    pub no_shrink: bool,
    /// How long to shrink each failure, in real time; all of them get four times as long
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub shrink_seconds: u64,
    /// Where a page about each failure is written [default: beside its capsule]
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Write no page
    #[arg(long, conflicts_with = "report")]
    pub no_report: bool,
    /// How to tell what came out
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// A file to which the same is added in Markdown, whatever the format: for the page of a job
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// How runs are isolated
    #[command(flatten)]
    pub isolation: IsolationArgs,
}

/// The arguments of `replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// A capsule, or a scenario file or name
    pub file: PathBuf,
    /// The seed to expand a scenario with [default: 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Run it twice, in different processes, and compare
    #[arg(long)]
    pub twice: bool,
    /// Print what the clients asked for and were told
    #[arg(long)]
    pub history: bool,
    /// Print what the stores held in the end
    #[arg(long)]
    pub stores: bool,
    /// Print what the cores were told, asked for and decided, and what commits changed
    #[arg(long)]
    pub trace: bool,
    /// With --trace: messages and disk operations as well
    #[arg(long, requires = "trace")]
    pub messages: bool,
    /// Print what the software logs, with host and simulated time, from this level on
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<Level>,
    /// How runs are isolated
    #[command(flatten)]
    pub isolation: IsolationArgs,
}

/// The arguments of `shrink`.
#[derive(Args, Debug)]
pub struct ShrinkArgs {
    /// The capsule
    pub file: PathBuf,
    /// The folder for the smaller capsule [default: the capsule's own; it has the same name, and replaces it]
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// How long to go on, in real time
    #[arg(long, default_value_t = 300)]
    pub seconds: u64,
    /// How many runs at once [default: one a processor]
    #[arg(long)]
    pub jobs: Option<NonZero<usize>>,
    /// How runs are isolated
    #[command(flatten)]
    pub isolation: IsolationArgs,
}

/// The arguments of `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// A capsule, or a scenario file or name
    pub file: PathBuf,
    /// The seed to expand scenarios with [default: 0]
    #[arg(long)]
    pub seed: Option<u64>,
    /// The page [default: beside the capsule, or SCENARIO-seed-SEED.html]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A run to put beside it, a capsule's or a scenario's [default: the nearest passing one that shrinking met]
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// The seed to expand the scenario of --against with [default: as --seed]
    #[arg(long, requires = "against", value_name = "SEED")]
    pub against_seed: Option<u64>,
    /// How runs are isolated
    #[command(flatten)]
    pub isolation: IsolationArgs,
}

/// The arguments of `pinpoint`.
#[derive(Args, Debug)]
pub struct PinpointArgs {
    /// The capsule
    pub file: PathBuf,
    /// How many times chance is drawn anew after each moment
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// The page with the curve [default: beside the capsule]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How many runs at once [default: one a processor]
    #[arg(long)]
    pub jobs: Option<NonZero<usize>>,
    /// How runs are isolated
    #[command(flatten)]
    pub isolation: IsolationArgs,
}

/// The arguments of `adopt`.
#[derive(Args, Debug)]
pub struct AdoptArgs {
    /// The capsule
    pub file: PathBuf,
    /// What to call the scenario [default: as its scenario and its fingerprint]
    #[arg(long)]
    pub name: Option<String>,
    /// Where to put it
    #[arg(long, default_value = "scenarios/regressions", value_name = "DIR")]
    pub folder: PathBuf,
}

/// The arguments of `sweep`.
#[derive(Args, Debug)]
pub struct SweepArgs {
    /// Scenario files, folders of them, or names of scenarios written in Rust [default: those in scenarios/ that say
    /// `sweep = true`]
    pub scenarios: Vec<PathBuf>,
    /// How many crashes a run has at most: with 2, each point of the recovery from each crash is crashed at as well
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=DEPTH_MAX as i64))]
    pub depth: u8,
    /// Try only the Kth of N slices of the points, with all that follows them: who takes each of the N in turn has tried
    /// every point
    #[arg(long, value_name = "K/N")]
    pub sample: Option<Sample>,
    /// The seed to expand the scenarios with
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How long a host stays down after a crash, in simulated time
    #[arg(long, default_value_t = 200, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub restart_after_ms: u64,
    /// How many runs at once [default: one a processor]
    #[arg(long)]
    pub jobs: Option<NonZero<usize>>,
    /// Where finished runs are noted [default: target/squall/sweep-SYSTEM.jsonl]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Where capsules of failures are written
    #[arg(long, default_value = "failures", value_name = "DIR")]
    pub failures: PathBuf,
    /// How runs are isolated
    #[command(flatten)]
    pub isolation: IsolationArgs,
}

/// The arguments of `hunt`.
#[derive(Args, Debug)]
pub struct HuntArgs {
    /// Scenario files, folders of them, or names of scenarios written in Rust [default: scenarios/ and all in Rust]
    pub scenarios: Vec<PathBuf>,
    /// How long, in real time: 90s, 10m or 2h
    #[arg(long = "for", value_parser = hunt::time, default_value = "10m", value_name = "TIME")]
    pub time: Duration,
    /// The seed to begin with: hunts with other seeds go other ways
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A folder with the plans that reached something new: run first, and added to
    #[arg(long, value_name = "DIR")]
    pub corpus: Option<PathBuf>,
    /// Where capsules and reports of failures are written
    #[arg(long, default_value = "failures", value_name = "DIR")]
    pub failures: PathBuf,
    /// Go on after a failure
    #[arg(long)]
    pub keep_going: bool,
    /// How many runs at once [default: one a processor]
    #[arg(long)]
    pub jobs: Option<NonZero<usize>>,
    /// How long to shrink each failure, in real time; all of them get four times as long
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub shrink_seconds: u64,
    /// How runs are isolated
    #[command(flatten)]
    pub isolation: IsolationArgs,
}

/// The arguments of `coverage`.
#[derive(Args, Debug)]
pub struct CoverageArgs {
    /// Scenario files, folders of them, or names of scenarios written in Rust [default: scenarios/ and all in Rust]
    pub scenarios: Vec<PathBuf>,
    /// The seeds to run each scenario with, FROM..TO without TO
    #[arg(long, value_parser = seeds, default_value = "0..20", value_name = "FROM..TO")]
    pub seeds: Range<u64>,
    /// How many runs at once [default: one a processor]
    #[arg(long)]
    pub jobs: Option<NonZero<usize>>,
    /// How runs are isolated
    #[command(flatten)]
    pub isolation: IsolationArgs,
}

/// The arguments of `list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Scenario files or folders [default: scenarios/]
    pub scenarios: Vec<PathBuf>,
}

/// How runs are isolated from one another.
#[derive(Args, Clone, Copy, Debug)]
pub struct IsolationArgs {
    /// Run in this very process, for a debugger
    #[arg(long)]
    pub no_fork: bool,
    /// How long one run may compute, in processor time; one that hardly computes at all is killed after so long in real
    /// time
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub watchdog: u64,
}

impl IsolationArgs {
    fn setup(self, jobs: Option<NonZero<usize>>) -> Setup {
        let mut setup = Setup::new();
        setup.jobs = jobs.unwrap_or(setup.jobs);
        setup.watchdog = Duration::from_secs(self.watchdog);
        if self.no_fork {
            setup.isolation = Isolation::None;
        }
        setup
    }
}

/// A level of the software's log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Level {
    /// What an operator must see
    Error,
    /// What may need attention
    Warn,
    /// What happens
    Info,
    /// What was decided
    Debug,
    /// Everything
    Trace,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> LogLevel {
        match level {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        }
    }
}

/// Which runs are run twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Every one.
    All,
    /// None.
    None,
    /// One in so many.
    OneIn(NonZero<u64>),
}

impl Verify {
    /// Whether the run of a scenario, by its number, with a seed is to be run twice.
    fn wants(self, scenario: usize, seed: u64) -> bool {
        match self {
            Verify::All => true,
            Verify::None => false,
            // The number of the scenario counts, so that not all of them verify the same few seeds.
            Verify::OneIn(n) => (scenario as u64).wrapping_add(seed).is_multiple_of(n.get()),
        }
    }
}

fn verify(text: &str) -> Result<Verify, String> {
    match text {
        "all" => Ok(Verify::All),
        "none" => Ok(Verify::None),
        number => match number.parse() {
            Ok(n) => Ok(Verify::OneIn(n)),
            Err(_) => Err("expected all, none, or a number from 1".to_owned()),
        },
    }
}

pub(crate) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = match text.split_once("..") {
        Some((from, to)) => from.parse().and_then(|from| Ok(from..to.parse()?)),
        None => text.parse().map(|seed: u64| seed..seed.saturating_add(1)),
    };
    match range {
        Ok(range) if range.is_empty() => Err(format!("{text} holds no seed: the end is not included")),
        Ok(range) => Ok(range),
        Err(_) => Err("expected FROM..TO, for example 0..100, or one seed".to_owned()),
    }
}

/// A deterministic simulation test harness
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What a program ends with whose reader has gone, by the signal that ends others: as shells say it.
const READER_GONE: i32 = 128 + 13;

/// Ends this process quietly when it prints and nobody reads any more: `head` has seen enough, and nothing is wrong.
///
/// Not by the signal itself, which would come as well when a worker is gone that is told something. To be called before
/// anything is printed.
pub fn end_with_the_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // As the macros of the standard library say it; there is no other way to hear of it.
        let printed = panic.payload_as_str().filter(|message| message.starts_with("failed printing to "));
        if printed.is_some_and(|message| message.contains("Broken pipe")) {
            std::process::exit(READER_GONE);
        }
        report(panic);
    }));
}

/// Runs one of the commands that every system has.
pub fn dispatch<S: System>(command: Command) -> Ended {
    match command {
        Command::Run(arguments) => run::run::<S>(arguments),
        Command::Replay(arguments) => replay::replay::<S>(arguments),
        Command::Shrink(arguments) => shrink::command::<S>(arguments),
        Command::Report(arguments) => page::report::<S>(arguments),
        Command::Pinpoint(arguments) => pinpoint::pinpoint::<S>(arguments),
        Command::Hunt(arguments) => hunt::hunt::<S>(arguments),
        Command::Coverage(arguments) => coverage::coverage::<S>(arguments),
        Command::Adopt(arguments) => adopt::adopt::<S>(arguments),
        Command::Sweep(arguments) => sweep::sweep::<S>(arguments),
        Command::List(arguments) => list::list::<S>(arguments),
    }
}

/// Tells the user what went wrong, and turns it into the process's exit code.
pub fn end(ended: Ended) -> ExitCode {
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(Failure { code, message }) => {
            let what = if code == HARNESS { "the harness failed" } else { "error" };
            eprintln!("{}: {message}", console::style(what).red().bold());
            ExitCode::from(code)
        }
    }
}

/// The whole program for a system that adds no commands of its own.
///
/// Called by [`squall::main!`](crate::main). Has to come before anything else in `main`: the workers are this program,
/// executed again.
pub fn main<S: System>() -> ExitCode {
    serve_if_asked(program::<S>());
    end_with_the_reader();
    end(dispatch::<S>(Cli::parse().command))
}
