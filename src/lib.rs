//! A deterministic simulation test harness for systems that keep a graph consistent.
//!
//! ```text
//! scenario + seed -> plan -> world -> record -> verdict -> report
//! ```
//!
//! A user with a system of their own implements [`sut::System`] and writes `squall::main!(Theirs);` in a test with
//! `harness = false`, or in a program: `examples/replicated_register.rs` shows how.

pub mod campaign;
pub mod capsule;
pub mod chain;
pub mod check;
pub mod cli;
pub mod coverage;
pub mod divergence;
pub mod history;
pub mod hunt;
#[cfg(feature = "system")]
pub mod model_check;
#[cfg(feature = "system")]
pub mod mutants;
pub mod pinpoint;
pub mod plan;
pub mod record;
pub mod report;
pub mod shrink;
pub mod stream;
pub mod sut;
pub mod sweep;
#[cfg(feature = "system")]
pub mod system;
pub mod verdict;
pub mod worker;
pub mod world;

/// The `main` function of a program that runs squall on one system.
///
/// The program re-executes itself for its workers, so that they contain the system's code.
#[macro_export]
macro_rules! main {
    ($system:ty) => {
        fn main() -> std::process::ExitCode {
            $crate::cli::main::<$system>()
        }
    };
}
