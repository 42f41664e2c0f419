//! What the lanes are told, what they ask for, and what they answer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use graph::EntityId;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::fold::{Change, Part, Picture};
use crate::log::{Fed, LogId};

/// Names a waiting client within one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// How far the graph shows a resource: the node `Applied`. Where there is none, the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Applied {
    /// Every event up to this one is in the graph.
    pub sequence: u64,
    /// Raised by every rebuild: whoever read an older one writes no more.
    pub generation: u64,
    /// A rebuild of all has made sure of the resource's node and not of the rest.
    pub partial: bool,
    /// The event behind it that cannot be applied, if there is one.
    pub poison: Option<Poison>,
}

/// An event that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Poison {
    /// Its sequence.
    pub sequence: u64,
    /// Why.
    pub why: String,
}

/// What the projection keeps about itself in the graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Projection {
    /// The generation of the last rebuild of all.
    pub generation: u64,
    /// Whether that rebuild has not ended.
    pub rebuilding: bool,
    /// Every event up to this global position is in the graph, or is parked, or is behind one that is.
    pub position: u64,
    /// The log that the position is of; none before it was read for the first time.
    pub log: Option<LogId>,
    /// The generation in which that log was begun: marks of older ones speak of the log before it. 0 for the first log.
    pub since: u64,
}

impl Projection {
    /// Whether a mark speaks of the log that is read, and not of one before it.
    ///
    /// The first pass of a rebuild raises the generation and leaves the sequence as it was: in the rebuild that the log was
    /// begun with it may still be the old one. A later rebuild begins after that one has ended, and so has been to all.
    pub fn trusts(&self, applied: &Applied) -> bool {
        let is_rebuilt = applied.generation > self.since || (applied.generation == self.since && !applied.partial);
        self.since == 0 || is_rebuilt || *applied == Applied::default()
    }
}

/// What is to be read of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Want {
    /// The resource.
    pub resource: EntityId,
    /// Beside its mark and its node.
    pub parts: Parts,
}

/// Which parts of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Parts {
    /// These, without edges: they follow from bodies.
    Some(BTreeSet<Part>),
    /// All, edges included.
    All,
}

/// What was read of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Found {
    /// Its mark.
    pub applied: Applied,
    /// What the graph has of it, as far as it was asked for.
    pub picture: Picture,
}

/// What is to be written of a resource: all of it or, if its mark is not `from`, nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// The resource.
    pub resource: EntityId,
    /// What its mark has to be, in all of its parts but the words about a poison: a write that does not
    /// know that the resource was parked must not unpark it.
    pub from: Applied,
    /// What its mark becomes.
    pub to: Applied,
    /// What changes.
    pub changes: Vec<Change>,
}

/// Which resources are to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listing {
    /// Those whose marks have a poison.
    Parked,
    /// Those of which the log has events.
    Log,
    /// Those of which the graph has anything.
    Graph,
}

/// Names an effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectId {
    /// Reading what the projection keeps about itself.
    Open,
    /// Reading resources: one of several at the same time.
    Load(usize),
    /// Writing resources: one of several at the same time.
    Apply(usize),
    /// Reading the stream of a resource.
    Fetch(EntityId),
    /// Reading the log in its own order.
    Feed,
    /// Writing down how far the log was read.
    Checkpoint,
    /// Giving the graph to another log.
    Turn,
    /// Listing resources.
    List(Listing),
    /// Beginning a rebuild of all.
    Raise,
    /// Ending it.
    Close,
}

impl EffectId {
    /// Every name of an effect that is reported on.
    pub const NAMES: [&'static str; 10] =
        ["open", "load", "apply", "fetch", "feed", "checkpoint", "turn", "list", "raise", "close"];

    /// The kind of the effect: one of [`NAMES`](Self::NAMES).
    pub fn name(&self) -> &'static str {
        match self {
            EffectId::Open => "open",
            EffectId::Load(_) => "load",
            EffectId::Apply(_) => "apply",
            EffectId::Fetch(_) => "fetch",
            EffectId::Feed => "feed",
            EffectId::Checkpoint => "checkpoint",
            EffectId::Turn => "turn",
            EffectId::List(_) => "list",
            EffectId::Raise => "raise",
            EffectId::Close => "close",
        }
    }
}

/// Which resources are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This one.
    #[serde(rename = "resource")]
    One(EntityId),
    /// All.
    All,
}

/// Something the lanes are told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Events were heard of: in whatever order, however often, and perhaps not all of them.
    Deliver {
        /// They.
        events: Vec<Arc<Event>>,
    },
    /// Somebody wants to read what an event did.
    WhenApplied {
        /// The waiting client.
        request: RequestId,
        /// The resource.
        resource: EntityId,
        /// The event.
        sequence: u64,
    },
    /// Somebody wants the graph to be written anew from the log.
    Rebuild {
        /// The waiting client.
        request: RequestId,
        /// What of it.
        scope: Scope,
    },
    /// Somebody wants the graph to be compared with the log, and to be put right where it differs.
    Reconcile {
        /// The waiting client.
        request: RequestId,
        /// What of it.
        scope: Scope,
    },
    /// Somebody asks how the lanes are.
    Inspect {
        /// The waiting client.
        request: RequestId,
    },
    /// An effect is done.
    Done {
        /// Which.
        effect: EffectId,
        /// What came of it.
        report: Report,
    },
    /// An effect failed.
    Failed {
        /// Which.
        effect: EffectId,
        /// How.
        failure: Failure,
    },
    /// The time has come that `poll_timeout` asked for.
    Timeout,
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// What the projection keeps about itself.
    Opened(Projection),
    /// What was read, in the order in which it was asked for.
    Loaded(Vec<Found>),
    /// All of it was written, and the commit acknowledged.
    Applied,
    /// The next events of a stream, in order.
    Fetched {
        /// They.
        events: Vec<Arc<Event>>,
        /// Whether there are more.
        more: bool,
    },
    /// The next events of the log.
    Fed(Fed),
    /// The position is written down, if the graph is of the log that was begun then.
    Checkpointed {
        /// The generation in which the log was begun that the graph is of.
        since: u64,
    },
    /// What the projection keeps about itself, now that the graph is of another log.
    Turned(Projection),
    /// Resources, sorted.
    Listed {
        /// They.
        resources: Vec<EntityId>,
        /// Whether there are more.
        more: bool,
    },
    /// The generation of all is raised to this.
    Raised(u64),
    /// The rebuild of all has ended.
    Closed,
}

/// How an effect failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A mark was not where it had to be; nothing was written.
    Moved,
    /// The graph is of another log by now; nothing was written.
    Turned,
    /// It certainly left no trace.
    Refused {
        /// Why.
        reason: String,
        /// Whether the same may succeed later, without anybody doing anything about it.
        retryable: bool,
    },
    /// Nobody can say whether it took effect.
    Unknown {
        /// What happened.
        reason: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Moved => f.write_str("a mark has moved"),
            Failure::Turned => f.write_str("the graph is of another log"),
            Failure::Refused { reason, .. } => write!(f, "refused: {reason}"),
            Failure::Unknown { reason } => write!(f, "outcome unknown: {reason}"),
        }
    }
}

/// Something the lanes ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LanesEffect {
    /// To be carried out and reported on.
    Do {
        /// Its name.
        id: EffectId,
        /// What to do.
        action: Action,
    },
    /// To be told to a waiting client; never reported on.
    Reply {
        /// The client.
        request: RequestId,
        /// What to tell it.
        answer: Answer,
    },
    /// The process must end; never reported on.
    Halt {
        /// Why.
        reason: String,
    },
}

impl env::Effect for LanesEffect {
    fn name(&self) -> &'static str {
        match self {
            LanesEffect::Do { id, .. } => id.name(),
            LanesEffect::Reply { .. } => "reply",
            LanesEffect::Halt { .. } => "halt",
        }
    }
}

/// What an effect does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Graph: read what the projection keeps about itself.
    Open,
    /// Graph: read resources.
    Load {
        /// Which.
        wants: Vec<Want>,
    },
    /// Graph: write resources, all of them in one transaction, if the graph is still of the log that was begun then.
    Apply {
        /// The generation in which the log was begun.
        since: u64,
        /// What.
        writes: Vec<Write>,
    },
    /// Log: the events of a resource after this sequence, in order and without holes.
    Fetch {
        /// The resource.
        resource: EntityId,
        /// The sequence.
        after: u64,
        /// How many at most.
        limit: usize,
    },
    /// Log: the events after this global position, in order; waits a while if there are none.
    Feed {
        /// The position.
        after: u64,
        /// How many at most.
        limit: usize,
    },
    /// Graph: write down the position, unless a later one stands there, or another log was begun.
    Checkpoint {
        /// The generation in which the log was begun.
        since: u64,
        /// The position.
        position: u64,
    },
    /// Graph: it is of this log from now on, which is read from its beginning, and all has to be rebuilt; a graph that was of
    /// no log is of this one and stays as it is. Nothing is done where it is not of the log that it was of any more.
    Turn {
        /// The log that it was of.
        was: Option<LogId>,
        /// The generation in which that was begun.
        since: u64,
        /// The log that it is of.
        log: LogId,
    },
    /// Graph or log: the first resources after this one, sorted.
    List {
        /// Which of them.
        listing: Listing,
        /// The one.
        after: Option<EntityId>,
        /// How many at most.
        limit: usize,
    },
    /// Graph: raise the generation of all, and write down that a rebuild is under way. One that is
    /// under way already is the same.
    Raise,
    /// Graph: write down that the rebuild of this generation has ended.
    Close {
        /// The generation.
        generation: u64,
    },
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The graph shows the resource as it is after this event or a later one.
    Applied {
        /// How far the graph shows the resource.
        sequence: u64,
    },
    /// The graph does not show the event.
    NotApplied {
        /// How far it was last known to show the resource.
        sequence: u64,
        /// The event that stands in the way and cannot be applied, if there is one.
        poison: Option<Poison>,
    },
    /// A rebuild or a reconciliation has ended.
    Ended(Ended),
    /// Nothing was done, nothing will be; the same may be asked again.
    Rejected(Rejection),
    /// How the lanes are.
    Status(Status),
}

/// What a rebuild or a reconciliation did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ended {
    /// How many resources of the log were looked at.
    pub resources: u64,
    /// How often one of the log or of the graph was not as the log says.
    pub differing: u64,
    /// How many resources are left as they were, since they cannot be read or put right.
    pub failed: u64,
    /// Those of them that come first by name, at most [`LEFT_OUT_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// How many resources are named at most that were left out.
pub const LEFT_OUT_MAX: usize = 100;

/// A resource that a rebuild or a reconciliation left as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeftOut {
    /// The resource.
    pub resource: EntityId,
    /// Why.
    pub why: String,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// The process is ending.
    #[error("the projection is stopping and takes no new work")]
    Halted,
    /// Another rebuild or reconciliation of all is under way.
    #[error("another rebuild or reconciliation is under way")]
    Busy,
}

/// How the lanes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// Lanes in memory.
    pub lanes: u64,
    /// Events in memory.
    pub buffered: u64,
    /// Resources with a poison.
    pub parked: u64,
    /// Reads that wait for an event.
    pub waiting: u64,
    /// How far the log was read.
    pub read: u64,
    /// The low-water mark: every event up to this global position is in the graph, or parked.
    pub low_water: u64,
    /// Events that were read past though they cannot be read, and nobody knows whose they are: the low-water mark stays
    /// below them.
    pub unread: u64,
    /// Resources that a rebuild or a reconciliation of all left out, and that are tried again.
    pub left_out: u64,
    /// The generation of the last rebuild of all.
    pub generation: u64,
    /// Whether it has not ended.
    pub rebuilding: bool,
    /// Whether the process is ending.
    pub halted: bool,
}

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident($resource:ty), $name:literal;)*) => {
        /// A decision of the lanes that matters: logged in production, coverage in tests.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mark {
            $($(#[$doc])* $mark($resource),)*
        }

        impl Mark {
            /// The names of all marks, as reports and scenarios write them.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// Its name, one of [`NAMES`](Self::NAMES).
            pub fn name(&self) -> &'static str {
                match self {
                    $(Mark::$mark(_) => $name,)*
                }
            }
        }
    };
}

marks! {
    /// An event was heard of that is in the graph already.
    Duplicate(EntityId), "duplicate";
    /// An event was heard of before the one that it follows.
    Gap(EntityId), "gap";
    /// The log did not have an event that was heard of.
    Missing(EntityId), "missing";
    /// An event was not kept, for too many were waiting; it will be fetched.
    Overflowed(EntityId), "overflowed";
    /// Events of a resource are in the graph.
    Applied(EntityId), "applied";
    /// Several resources were written in one transaction.
    Batched(usize), "batched";
    /// An event was about an annotation that was removed before.
    Buried(EntityId), "buried";
    /// An event cannot be applied: the resource stands still.
    Parked(EntityId), "parked";
    /// An event that could not be applied was.
    Unparked(EntityId), "unparked";
    /// A mark had been moved by somebody else: nothing was written.
    Fenced(EntityId), "fenced";
    /// Nobody knows whether something was written: the mark is read again.
    Unknown(EntityId), "unknown";
    /// Something was refused for the moment.
    Retried(EntityId), "retried";
    /// Something was refused to several resources together: each is tried on its own.
    Separated(EntityId), "separated";
    /// What the graph has of a resource is nothing that the projection would write.
    Damaged(EntityId), "damaged";
    /// The graph says that an event was applied which the log does not have.
    AheadOfLog(EntityId), "ahead_of_log";
    /// A resource was found different from what the log says, and put right.
    Healed(EntityId), "healed";
    /// A resource was rebuilt.
    Rebuilt(EntityId), "rebuilt";
    /// A rebuild of all has made sure of a resource's node.
    NodeMade(EntityId), "node_made";
    /// A rebuild that another process had begun is brought to its end.
    Resumed(u64), "resumed";
    /// The generation of all was raised.
    Raised(u64), "raised";
    /// A rebuild of all has ended.
    Closed(u64), "closed";
    /// The log is another one than the graph was of: it is read from its beginning, in this generation.
    Turned(u64), "turned";
    /// The event at this position of the log cannot be read.
    Unread(u64), "unread";
    /// A stream of the log has a damaged event.
    StreamDamaged(EntityId), "stream_damaged";
    /// A rebuild or a reconciliation could not be done to a resource.
    LeftOut(EntityId), "left_out";
    /// What the mark of a resource says is of the log before this one: the resource is rebuilt.
    Distrusted(EntityId), "distrusted";
    /// A reader was told that the graph shows the event.
    Awaited(RequestId), "awaited";
    /// A reader was told that the graph does not show the event.
    GaveUp(RequestId), "gave_up";
    /// The low-water mark was written down.
    Checkpointed(u64), "checkpointed";
    /// A lane with nothing to do was forgotten.
    Forgotten(EntityId), "forgotten";
    /// An event of an unknown type ends the process.
    Halted(EntityId), "halted";
}
