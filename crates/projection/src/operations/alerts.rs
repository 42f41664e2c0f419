//! What somebody has to look at.
//!
//! Alerts are judged when they are asked for, from the counts alone. The same conditions stand
//! in `docs/projector-rules.yml`, for those who collect the counts.

use graph::Millis;
use serde::{Deserialize, Serialize};

use super::State;
use crate::stubs::{STUBS_MAX, is_alarming};

/// When alerts fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// How old the moment may be of which is known that all the log had is shown.
    pub lag_max: Millis,
}

impl Default for Config {
    fn default() -> Config {
        Config { lag_max: Millis(60_000) }
    }
}

/// The kinds of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// More than [`STUBS_MAX`] resources are linked to and were never created.
    Stubs,
    /// An event cannot be applied, and its resource stands still.
    Parked,
    /// The log is another one than the graph is of, and the graph is not rebuilt yet.
    Turning,
    /// The log has events that cannot be read, and nobody knows whose they are.
    Unread,
    /// A rebuild or a comparison of all has left out resources.
    LeftOut,
    /// The graph is too far behind, or nobody knows how far: the log or the graph is not reached, or neither keeps up.
    Lagging,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [AlertKind; 6] = [
        AlertKind::Stubs,
        AlertKind::Parked,
        AlertKind::Turning,
        AlertKind::Unread,
        AlertKind::LeftOut,
        AlertKind::Lagging,
    ];

    /// As a label has it.
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::Stubs => "stubs",
            AlertKind::Parked => "parked",
            AlertKind::Turning => "turning",
            AlertKind::Unread => "unread",
            AlertKind::LeftOut => "left_out",
            AlertKind::Lagging => "lagging",
        }
    }
}

/// An alert, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Which.
    pub alert: AlertKind,
    /// Whether somebody has to look.
    pub firing: bool,
    /// The figures that it was judged by.
    pub detail: String,
}

pub(super) fn evaluate(config: Config, now: Millis, state: &State) -> Vec<Alert> {
    let evaluate = |alert| {
        let (firing, detail) = match alert {
            AlertKind::Stubs => stubs(now, state),
            AlertKind::Parked => parked(state),
            AlertKind::Turning => turning(state),
            AlertKind::Unread => unread(state),
            AlertKind::LeftOut => left_out(state),
            AlertKind::Lagging => lagging(config, now, state),
        };
        Alert { alert, firing, detail }
    };
    AlertKind::ALL.into_iter().map(evaluate).collect()
}

fn stubs(now: Millis, state: &State) -> (bool, String) {
    let Some((stubs, at)) = state.stubs else { return (false, "they were not counted yet".to_owned()) };
    let ago = (now - at).0 / 1_000;
    (is_alarming(stubs), format!("{stubs} stubs {ago} s ago; the limit is {STUBS_MAX}; GET /stubs says why they are"))
}

fn parked(state: &State) -> (bool, String) {
    let parked = state.lanes.parked();
    (parked > 0, format!("{parked} resources have an event that cannot be applied; GET /parked has them"))
}

fn turning(state: &State) -> (bool, String) {
    let log = state.lanes.log().map_or("of none yet".to_owned(), |log| format!("of the log {log}"));
    let turning = state.lanes.is_turning();
    let how = if turning {
        "and is still rebuilt from it, since it was of another one; if no event store was restored, see who writes to the graph"
    } else {
        "as a whole"
    };
    (turning, format!("the graph is {log}, {how}"))
}

fn unread(state: &State) -> (bool, String) {
    let unread = state.lanes.unread();
    let first = unread.first_key_value().map_or(String::new(), |(position, why)| {
        format!("; the first is at position {position}: {why}; repair the log or restore it from a backup")
    });
    (!unread.is_empty(), format!("{} events of the log cannot be read, of unknown resources{first}", unread.len()))
}

fn left_out(state: &State) -> (bool, String) {
    let left_out = state.lanes.left_out();
    let first = left_out.first().map_or(String::new(), |out| format!("; the first is {}: {}", out.resource, out.why));
    let count = left_out.len();
    (count > 0, format!("{count} resources were left out of a rebuild or a comparison, and are tried again{first}"))
}

fn lagging(config: Config, now: Millis, state: &State) -> (bool, String) {
    let lag = state.lanes.lag(now);
    // Before it is known, the start of the process counts.
    let age = lag.shown.unwrap_or(now);
    let shown = match lag.shown {
        Some(Millis(ms)) => format!("all is shown that the log had {} s ago", ms / 1_000),
        None => "the log was not read to its end yet".to_owned(),
    };
    (age > config.lag_max, format!("{shown}; the limit is {} s", config.lag_max.0 / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firing(now: u64, state: &State) -> Vec<AlertKind> {
        let alerts = evaluate(Config { lag_max: Millis(100) }, Millis(now), state);
        alerts.into_iter().filter(|alert| alert.firing).map(|alert| alert.alert).collect()
    }

    #[test]
    fn nothing_fires_at_the_start_and_ignorance_fires_in_the_end() {
        let state = State::default();
        assert_eq!(firing(100, &state), []);
        assert_eq!(firing(101, &state), [AlertKind::Lagging]);
    }

    #[test]
    fn the_eleventh_stub_is_one_too_many() {
        let stubs = |stubs| State { stubs: Some((stubs, Millis(0))), ..State::default() };
        assert_eq!(firing(1, &stubs(10)), []);
        assert_eq!(firing(1, &stubs(11)), [AlertKind::Stubs]);
    }
}
