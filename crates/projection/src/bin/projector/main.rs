//! The program `projector`.

mod arguments;
mod ask;
mod run;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    web::program::main(async {
        match command {
            Command::Run(arguments) => run::run(arguments).await,
            Command::Status(arguments) => ask::status(arguments).await,
            Command::Stubs(arguments) => ask::stubs(arguments).await,
            Command::Rebuild(arguments) => ask::rebuild(arguments).await,
            Command::Reconcile(arguments) => ask::reconcile(arguments).await,
        }
    })
}
