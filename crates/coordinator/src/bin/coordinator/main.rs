//! The program `coordinator`.

mod arguments;
mod backup;
mod maintain;
mod serve;
mod status;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    web::program::main(async {
        match command {
            Command::Serve(arguments) => serve::serve(arguments).await,
            Command::Status(arguments) => status::status(arguments).await,
            Command::Validate(arguments) => maintain::validate(arguments).await,
            Command::Reconcile(arguments) => maintain::reconcile(arguments).await,
            Command::Resolve(arguments) => maintain::resolve(arguments).await,
            Command::Backup(arguments) => backup::backup(arguments).await,
            Command::Restore(arguments) => backup::restore(arguments).await,
        }
    })
}
