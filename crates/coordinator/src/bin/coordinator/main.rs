//! The program `coordinator`.

mod arguments;
mod backup;
mod failure;
mod maintain;
mod secret;
mod serve;
mod status;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    end_with_any_panic();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With nobody to read it, the exit code still says enough.
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::other(format!("failed to start: {error}")))?;
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Serve(arguments) => serve::serve(arguments).await,
            Command::Status(arguments) => status::status(arguments).await,
            Command::Validate(arguments) => maintain::validate(arguments).await,
            Command::Reconcile(arguments) => maintain::reconcile(arguments).await,
            Command::Resolve(arguments) => maintain::resolve(arguments).await,
            Command::Backup(arguments) => backup::backup(arguments).await,
            Command::Restore(arguments) => backup::restore(arguments).await,
        }
    });
    // Shutting it down would cancel blocking work under the tasks that wait for it. What is
    // still going on ends with the process, as in a crash, and the next one recovers.
    std::mem::forget(runtime);
    result
}

/// A panic is a defect, and what the process holds in memory is not to be trusted after it.
/// tokio would let every other task go on; the next process recovers from the log instead.
fn end_with_any_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
}
