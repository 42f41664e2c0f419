//! Where log lines of simulated software go, and how the world knows whose turn it is.
//!
//! turmoil enters a `tracing` span named `node` while a host runs. It is the only sign of whose turn it is that also
//! reaches code without a [`Host`](super::Host), such as a panic in a task that a library spawned.

use std::fmt::{self, Write};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber, level_filters::LevelFilter};

use super::state::{HostId, Shared};
use crate::record::What;

/// What becomes of the lines that simulated software logs with `tracing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Log {
    /// Nothing: not even their text is made.
    #[default]
    Off,
    /// Lines of this level and above go into the record's trace.
    Trace(Level),
    /// They go to the standard error, with host and simulated time.
    Print(Level),
}

impl Log {
    fn level(self) -> Option<Level> {
        match self {
            Log::Off => None,
            Log::Trace(level) | Log::Print(level) => Some(level),
        }
    }
}

/// Runs `body` with this thread's log lines going where `log` says.
pub(super) fn with<R>(shared: &Arc<Shared>, log: Log, body: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(Logger { shared: shared.clone(), log }, body)
}

struct Logger {
    shared: Arc<Shared>,
    log: Log,
}

impl Logger {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let of_turmoil = metadata.target() == "turmoil" || metadata.target().starts_with("turmoil::");
        if metadata.is_span() {
            return of_turmoil && metadata.name() == "node";
        }
        !of_turmoil && self.log.level().is_some_and(|level| *metadata.level() <= level)
    }
}

impl Subscriber for Logger {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // turmoil's span has this level.
        Some(LevelFilter::from_level(self.log.level().map_or(Level::INFO, |level| level.max(Level::INFO))))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        struct Name<'a>(&'a Shared, Option<HostId>);
        impl Visit for Name<'_> {
            fn record_str(&mut self, field: &Field, value: &str) {
                if field.name() == "name" {
                    self.1 = self.0.find(value);
                }
            }

            fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
        }
        let mut name = Name(&self.shared, None);
        span.record(&mut name);
        // A span's id is its host's number, from 2 on; 1 is no host's. An id must not be 0.
        Id::from_u64(name.1.map_or(1, |host| host.0 as u64 + 2))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if self.shared.is_posthumous() {
            return;
        }
        let mut line = format!("{} {}:", event.metadata().level(), event.metadata().target());
        event.record(&mut Line(&mut line));
        let (at_ms, host) = (self.shared.clock.now_ms(), self.shared.running());
        match self.log {
            Log::Off => {}
            Log::Trace(_) => self.shared.state().recorder.line(at_ms, host, What::Log, line),
            Log::Print(_) => eprintln!("{at_ms:>7} ms {host:<12} {line}"),
        }
    }

    fn enter(&self, span: &Id) {
        self.shared.set_running(usize::try_from(span.into_u64()).ok().and_then(|id| id.checked_sub(2)).map(HostId));
    }

    fn exit(&self, _: &Id) {
        self.shared.set_running(None);
    }
}

/// Writes an event's message and then its fields.
struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
