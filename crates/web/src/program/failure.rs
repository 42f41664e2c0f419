//! Why the program ends without having done its work.

use std::fmt;
use std::process::ExitCode;

/// A message, perhaps with a remedy, and an exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    message: String,
    help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Other,
    Input,
    Damage,
    Restart,
}

impl Failure {
    /// Something that may be different next time, or that somebody has to repair.
    pub fn other(message: impl Into<String>) -> Failure {
        Failure { kind: Kind::Other, message: message.into(), help: None }
    }

    /// The command line or the environment is wrong.
    pub fn input(message: impl Into<String>) -> Failure {
        Failure { kind: Kind::Input, ..Failure::other(message) }
    }

    /// The stores are damaged or do not belong together: starting again is of no use.
    pub fn damage(message: impl Into<String>) -> Failure {
        Failure { kind: Kind::Damage, ..Failure::other(message) }
    }

    /// Starting again is what helps: the next process recovers, or finds room on the disk.
    pub fn restart(message: impl Into<String>) -> Failure {
        Failure { kind: Kind::Restart, ..Failure::other(message) }
    }

    /// Says what to do about it.
    pub fn help(self, help: impl Into<String>) -> Failure {
        Failure { help: Some(help.into()), ..self }
    }

    /// What the caller is told.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Other => 1,
            // As clap does.
            Kind::Input => 2,
            // EX_DATAERR and EX_TEMPFAIL of sysexits.h.
            Kind::Damage => 65,
            Kind::Restart => 75,
        })
    }
}

/// In the form of clap's messages.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}
