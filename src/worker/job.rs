//! One job in this process, and what its panic said.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

use interpose::Reading;

use super::{Outcome, Program};

/// Seed and clock of what is drawn outside a job's own simulation. Constant, so
/// that it is at least the same in every process. The clocks do not begin at
/// zero, since some programs subtract from "now".
const SEED: u64 = 0;
const CLOCK: Reading = Reading { utc_ns: 1_700_000_000_000_000_000, monotonic_ns: 1_000_000_000_000 };

/// Fixed, and the same in every process: simulations recurse deeper than the
/// default allows, and `RUST_MIN_STACK` must not decide what overflows.
const STACK_BYTES: usize = 16 << 20;

thread_local! {
    /// Where this thread panicked last.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// Notes where each thread panics, before whatever else a panic does. Call it
/// before [`run`]; repeating it changes nothing.
pub(super) fn note_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICKED_AT.set(panic.location().map(ToString::to_string));
            report(panic);
        }));
    });
}

/// Runs a job on a fresh thread.
pub(super) fn run(program: Program, job: &[u8]) -> Outcome {
    on_a_fresh_thread(|| {
        // What the job's unwinding left half done is gone with its process.
        match panic::catch_unwind(AssertUnwindSafe(|| (program.run)(job))) {
            Ok(result) => Outcome::Finished(result),
            Err(payload) => {
                Outcome::Panicked { message: message(payload.as_ref()).to_owned(), location: PANICKED_AT.take() }
            }
        }
    })
}

/// Warms this process up on the calling thread, or lets the panic pass.
pub(super) fn warm_up(program: Program) {
    interpose::simulate(SEED, &|| CLOCK, program.warm_up);
}

/// Runs `work`, simulated, on a thread whose generators nobody has seeded yet.
pub(super) fn on_a_fresh_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("job".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || interpose::simulate(SEED, &|| CLOCK, work))
            .expect("the system has room for one more thread")
            .join()
            .unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

/// What a panic said.
fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(message) = payload.downcast_ref::<&'static str>() {
        message
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message
    } else {
        "a value that is not text"
    }
}
