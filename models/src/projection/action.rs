//! What may happen next: one thing at a time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step of the model. A crash is possible between any two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The core hears of the nth event of the log, for the first time or again.
    Deliver(usize),
    /// The graph or the log executes an effect. Of a read, the core is told at once.
    Execute(String),
    /// The core is told what came of a write.
    Report(String),
    /// The core is told that nobody knows what came of a write. One that was not executed yet
    /// becomes a stray.
    Lose(String),
    /// A write arrives that nobody waits for, by its place among the strays.
    Arrive(usize),
    /// Somebody asks for a rebuild of all.
    Rebuild,
    /// The process is killed.
    Crash,
    /// Another process starts.
    Restart,
}

impl Action {
    /// All kinds, to count.
    pub(super) const KINDS: [&str; 8] =
        ["deliver", "execute", "report", "lose", "arrive", "rebuild", "crash", "restart"];

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Action::Deliver(_) => "deliver",
            Action::Execute(_) => "execute",
            Action::Report(_) => "report",
            Action::Lose(_) => "lose",
            Action::Arrive(_) => "arrive",
            Action::Rebuild => "rebuild",
            Action::Crash => "crash",
            Action::Restart => "restart",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Deliver(event) => write!(f, "lanes hear of event {event}"),
            Action::Execute(effect) => write!(f, "{effect} is executed"),
            Action::Report(effect) => write!(f, "lanes hear the result of {effect}"),
            Action::Lose(effect) => write!(f, "lanes hear that nobody knows the result of {effect}"),
            Action::Arrive(stray) => write!(f, "graph executes delayed write {stray}"),
            Action::Rebuild => f.write_str("a rebuild of all is asked for"),
            Action::Crash => f.write_str("projector crashes"),
            Action::Restart => f.write_str("projector starts"),
        }
    }
}
