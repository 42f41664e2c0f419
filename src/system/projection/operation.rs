//! What a client asks of the event log and of the projection, as scenarios spell it.

use std::fmt;
use std::str::FromStr;

use graph::EntityId;
use projection::lanes::Ended;
use serde::{Deserialize, Serialize};

use super::event::Happening;

/// Events are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Append {
    /// Whose; the system's own stream if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<EntityId>,
    /// How many events the stream has to have before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// What happened.
    pub events: Vec<Happening>,
    /// How often the client sends them again while it is not told that they are written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// Whether the client sends them once more after it was told, as one does that has lost the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Whether the client wants to see what it wrote, by way of the barrier.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub look: bool,
    /// The projector that it looks at.
    #[serde(default, skip_serializing_if = "Projector::is_first")]
    pub at: Projector,
}

/// Somebody looks at a resource as the projection shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Which.
    pub resource: EntityId,
    /// The event that it has to show; whatever it shows if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The projector that is asked.
    #[serde(default, skip_serializing_if = "Projector::is_first")]
    pub at: Projector,
}

/// Something that is done to one resource, or to all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Whole {
    /// Which; all if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<EntityId>,
    /// The projector that does it.
    #[serde(skip_serializing_if = "Projector::is_first")]
    pub at: Projector,
}

/// One of the projectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projector {
    /// The first.
    #[default]
    First,
    /// The other.
    Second,
}

impl Projector {
    /// Whether it need not be said.
    pub fn is_first(&self) -> bool {
        *self == Projector::First
    }
}

/// What became of events that were written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Appended {
    /// The sequence of the first.
    pub first: u64,
    /// And of the last.
    pub last: u64,
    /// The place of the last in the log.
    pub position: u64,
    /// What the client saw of it then, if it wanted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// What the feed of all events told whoever followed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// The position and the id of each event, as they came.
    pub events: Vec<(u64, String)>,
    /// Up to where it said that there are no others, nor ever will be.
    pub through: u64,
}

/// A resource as the projection shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Which.
    pub resource: EntityId,
    /// The event that was waited for.
    pub wanted: Option<u64>,
    /// How far the barrier said that the graph shows the resource; `None` where it said that it does not show the event.
    pub shown: Option<u64>,
    /// What the view showed; none where it failed.
    pub view: Option<Viewed>,
}

/// A view of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Viewed {
    /// Every event up to this one is in it.
    pub indexed_up_to: u64,
    /// The whole of it.
    pub page: serde_json::Value,
}

/// How a projector says that it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Its name.
    pub projector: String,
    /// The page.
    pub status: serde_json::Value,
}

/// `NAME JSON`
impl FromStr for Said {
    type Err = String;
    fn from_str(line: &str) -> Result<Said, String> {
        let (projector, page) = line.split_once(' ').ok_or_else(|| format!("{line:?} has no two words"))?;
        let status = serde_json::from_str(page).map_err(|error| format!("{page}: {error}"))?;
        Ok(Said { projector: projector.to_owned(), status })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.projector, self.status)
    }
}

impl Said {
    /// The low-water mark that it claims.
    pub fn low_water(&self) -> Option<u64> {
        self.status["low_water"].as_u64()
    }

    /// How long ago, in milliseconds, everything was in the log that it claims to show.
    pub fn lag_ms(&self) -> Option<u64> {
        let seconds = self.status["lag"]["seconds"].as_f64()?;
        Some((seconds * 1_000.0).ceil() as u64)
    }

    /// How many stubs it counts.
    pub fn stubs(&self) -> Option<u64> {
        self.status["stubs"].as_u64()
    }

    /// How many resources it counts as parked.
    pub fn parked(&self) -> Option<u64> {
        self.status["parked"].as_u64()
    }
}

/// What a rebuild or a reconciliation says that it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// What it was asked for.
    pub resource: Option<EntityId>,
    /// How it ended.
    pub ended: Ended,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
