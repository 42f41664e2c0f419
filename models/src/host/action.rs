//! What may happen to a process and to what it has under way: one thing at a time.

use std::fmt;

use coordinator::commit::EffectId;
use serde::{Deserialize, Serialize};

use super::process::GraphRequest;

/// One step of a process, of its stores or of the network. A crash is possible between any two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action<P> {
    /// A store executes an effect: a SQLite transaction, a graph transaction, half a read.
    Execute(EffectId),
    /// The core is told what came of an effect.
    Report(EffectId),
    /// The core is told that nobody knows what came of an effect. A graph request that was
    /// not executed yet becomes a stray.
    Lose(EffectId),
    /// A store refuses an effect, certainly.
    Refuse {
        /// Which.
        effect: EffectId,
        /// Whether only for the moment.
        retryable: bool,
    },
    /// A graph request arrives that nobody waits for.
    Arrive(GraphRequest<P>),
    /// The time has come at which everybody who waits is told something.
    TimeOut,
    /// The process is killed.
    Crash,
    /// The process ends because the core asked for it.
    Exit,
    /// The process starts and recovers from its log.
    Restart,
}

/// All kinds of actions of a host, to count.
pub const KINDS: [&str; 9] = ["execute", "report", "lose", "refuse", "arrive", "time out", "crash", "exit", "restart"];

impl<P> Action<P> {
    /// Which of [`KINDS`] it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Execute(_) => "execute",
            Action::Report(_) => "report",
            Action::Lose(_) => "lose",
            Action::Refuse { .. } => "refuse",
            Action::Arrive(_) => "arrive",
            Action::TimeOut => "time out",
            Action::Crash => "crash",
            Action::Exit => "exit",
            Action::Restart => "restart",
        }
    }
}

impl<P> fmt::Display for Action<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Execute(effect) => write!(f, "{} executes {}", store(*effect), name(*effect)),
            Action::Report(effect) => write!(f, "core hears the result of {}", name(*effect)),
            Action::Lose(effect) => write!(f, "core hears that nobody knows the result of {}", name(*effect)),
            Action::Refuse { effect, retryable: true } => {
                write!(f, "{} refuses {} for now", store(*effect), name(*effect))
            }
            Action::Refuse { effect, retryable: false } => write!(f, "{} refuses {}", store(*effect), name(*effect)),
            Action::Arrive(request) => write!(f, "graph executes a delayed {request}"),
            Action::TimeOut => f.write_str("waiting clients time out"),
            Action::Crash => f.write_str("coordinator crashes"),
            Action::Exit => f.write_str("coordinator ends"),
            Action::Restart => f.write_str("coordinator recovers"),
        }
    }
}

fn store(effect: EffectId) -> &'static str {
    match effect {
        EffectId::Intend(_) | EffectId::Finish(_) | EffectId::LookUp(_) | EffectId::Find(_) | EffectId::Append(_) => {
            "sqlite"
        }
        EffectId::Decide(..) | EffectId::Fence(..) => "graph",
        EffectId::Load(_) | EffectId::Examine(_) | EffectId::Review(_) => "a store",
    }
}

fn name(effect: EffectId) -> String {
    match effect {
        EffectId::Intend(tx) => format!("intend {tx}"),
        EffectId::Decide(tx, number) => format!("decide {tx} #{number}"),
        EffectId::Fence(tx, number) => format!("fence {tx} #{number}"),
        EffectId::Finish(tx) => format!("finish {tx}"),
        EffectId::Load(request) => format!("load #{}", request.0),
        EffectId::Find(request) => format!("find #{}", request.0),
        EffectId::LookUp(request) => format!("look-up #{}", request.0),
        EffectId::Examine(request) => format!("examination #{}", request.0),
        EffectId::Review(tx) => format!("review {tx}"),
        EffectId::Append(request) => format!("append #{}", request.0),
    }
}
