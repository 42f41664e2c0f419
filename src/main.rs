//! squall, bound to this workspace's coordinator.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use squall::campaign::program;
use squall::cli::{self, Ended};
use squall::model_check::{self, CheckArgs, ExploreArgs};
use squall::mutants::{MutantsArgs, mutants};
use squall::system::{BiStore, check_names};
use squall::worker::serve_if_asked;

/// Breaks a system in simulation, deterministically, and says which of its promises it kept
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  squall run                                  every scenario, 20 seeds each\n  \
                  squall run scenarios/swarm.toml --seeds 0..1000\n  \
                  squall replay scenarios/swarm.toml --seed 7 --history --stores\n  \
                  squall sweep                                crash at every point of the small scenarios\n  \
                  squall check                                exhaust every model\n\n\
                  Exit codes: 0 passed, 1 violation found, 2 usage or input, 3 the harness itself failed"
)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Any(cli::Command),
    /// Exhaust the models of the protocols
    Check(CheckArgs),
    /// Serve a model to a browser, state by state
    Explore(ExploreArgs),
    /// Apply each planted bug to a copy of the tree and prove that its check catches it
    #[command(after_help = "Examples:\n  squall mutants\n  squall mutants strong_read_without_lock --seeds 0..100\n\n\
                            Exit codes: 0 all caught, 1 a mutant survived, 2 usage or input, 3 a patch does not apply, \
                            a mutant does not build, or the unchanged tree does not pass")]
    Mutants(MutantsArgs),
}

fn main() -> ExitCode {
    serve_if_asked(program::<BiStore>());
    cli::end_with_the_reader();
    cli::end(dispatch(Program::parse().command))
}

fn dispatch(command: Command) -> Ended {
    match command {
        Command::Any(command) => cli::dispatch::<BiStore>(command),
        Command::Check(arguments) => model_check::check(arguments),
        Command::Explore(arguments) => model_check::explore(arguments),
        Command::Mutants(arguments) => mutants(arguments, check_names()),
    }
}
