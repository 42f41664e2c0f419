//! What every program that serves has around its server: how it starts, says where it listens, is stopped, and fails.
//!
//! | module | what it is |
//! |---|---|
//! | [`failure`] | a message, perhaps with a remedy, and an exit code |
//! | [`guard`] | what keeps strangers out of an address |
//! | [`logging`] | logs on stderr |
//! | [`secret`] | secrets, from the environment |
//! | [`signals`] | SIGTERM and ctrl-c |

pub mod failure;
pub mod guard;
pub mod logging;
pub mod secret;
pub mod signals;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use env::ClaimError;

pub use failure::Failure;

/// Runs a program on tokio's runtime; what it fails with goes to stderr.
pub fn main(program: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    end_with_any_panic();
    match run(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With nobody to read it, the exit code still says enough.
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

fn run(program: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::other(format!("failed to start: {error}")))?;
    let result = runtime.block_on(program);
    // Shutting it down would cancel blocking work under the tasks that wait for it. What is
    // still going on ends with the process, as in a crash, and the next one recovers.
    std::mem::forget(runtime);
    result
}

/// A panic is a defect, and what the process holds in memory is not to be trusted after it.
/// tokio would let every other task go on; the next process recovers from what is durable instead.
fn end_with_any_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
}

/// The folder that `--data` names could not be claimed.
pub fn unclaimed(error: ClaimError) -> Failure {
    let failure = Failure::other(error.to_string());
    match error {
        ClaimError::InUse { .. } => failure.help("stop that process first, or name another folder with --data"),
        ClaimError::Create { .. } | ClaimError::Lock { .. } => {
            failure.help("name a folder with --data that this user may write to, on a file system with locks")
        }
    }
}
