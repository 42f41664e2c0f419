//! One lane: the events of one resource on their way into the graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use graph::Millis;

use super::messages::{Applied, Found, Poison, Projection, RequestId, Write};
use crate::event::Event;
use crate::fold::{Part, State};

/// A lane with something to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    /// Events that are not known to be in the graph.
    pub buffer: BTreeMap<u64, Arc<Event>>,
    /// The highest sequence that was heard of.
    pub heard: u64,
    /// The mark, while it is known.
    pub applied: Option<Applied>,
    pub stage: Stage,
    /// How often in a row something failed.
    pub attempts: u32,
    pub caution: Caution,
    /// What the graph refused for good.
    pub condemned: Option<Poison>,
    /// Where the mark was thought to be when it was found, in this lane's transaction, that one had moved.
    pub fenced_from: Option<Applied>,
    /// Whether to try what could not be applied before.
    pub retry: bool,
    /// Whether to ask the log once for what nobody told.
    pub curious: bool,
    /// Who waits for an event.
    pub barriers: BTreeSet<RequestId>,
    pub tasks: VecDeque<Task>,
    /// Whether what is under way is for the first of the tasks, and not for the next events.
    pub on_task: bool,
    pub hold: Option<Hold>,
    /// The same for what `hold` does not speak for.
    pub next_hold: Option<Hold>,
    /// The position of `hold` as the low-water mark has it.
    pub noted: Option<u64>,
}

/// Keeps the low-water mark below an event.
///
/// One for each lane and not one for each event: when what it speaks for is in the graph, the next
/// speaks for all that has come since. It is of what the feed told, and of nothing else: what a mark tells, or a hint, the log
/// need never come to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hold {
    /// The first global position that is not in the graph.
    pub position: u64,
    /// It is, and all that `position` stands for, once this sequence is.
    pub through: u64,
}

/// How much is tried at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Caution {
    /// Many events, together with other lanes.
    #[default]
    None,
    /// Many events, in a transaction of their own.
    Alone,
    /// One event, in a transaction of its own.
    Single,
}

/// What a lane is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    #[default]
    Idle,
    /// Until a rebuild of all comes by again.
    BetweenPasses,
    /// For a while, after a failure.
    Resting {
        until: Millis,
    },
    /// Waits to read what its next events touch, or what its task is about.
    Load,
    /// Waits to read the log.
    Fetch {
        after: u64,
    },
    /// Waits to write.
    Apply(Box<Outgoing>),
    /// Reads this, beside the mark and the node.
    Loading {
        parts: BTreeSet<Part>,
    },
    Fetching,
    Applying(Box<Outgoing>),
}

/// A write, and what to make of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outgoing {
    pub write: Write,
    /// How many events it has.
    pub events: u64,
    /// The first of them, if it was refused for good.
    pub first: u64,
}

/// Something that is done to a whole resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Task {
    pub kind: TaskKind,
    pub owner: Owner,
    /// What the graph had, once it was read; and the log, as far as it was.
    pub gathered: Option<Gathered>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gathered {
    pub found: Found,
    pub state: State,
    pub sequence: u64,
    pub poison: Option<Poison>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TaskKind {
    /// Write it anew, in a generation above the one it has.
    Rebuild,
    /// The same, in this generation at least, unless that was done already.
    Edges(u64),
    /// Raise it to this generation and make sure of its node, unless that was done already.
    Nodes(u64),
    /// Compare it with the log as far as it is applied, and put it right.
    Reconcile,
}

/// Who wants to know when a task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Nobody,
    Request(RequestId),
    Campaign,
}

impl TaskKind {
    /// What is still to be done where this was not.
    pub fn outstanding(self) -> TaskKind {
        match self {
            TaskKind::Nodes(generation) => TaskKind::Edges(generation),
            kind => kind,
        }
    }
}

impl Lane {
    /// Whether nothing is left to do and nobody waits.
    pub fn is_done(&self) -> bool {
        let behind = self.applied.as_ref().is_none_or(|applied| applied.sequence < self.heard);
        self.stage == Stage::Idle && !behind && self.barriers.is_empty() && self.tasks.is_empty()
    }

    /// Whether an event is known to be in the graph. While something is done to all of the resource, that may change.
    pub fn has(&self, sequence: u64, projection: Option<&Projection>) -> bool {
        let Some(applied) = &self.applied else { return false };
        let is_known = projection.is_some_and(|projection| projection.trusts(applied));
        is_known && self.tasks.is_empty() && sequence <= applied.sequence
    }

    /// The highest sequence that events told of, and no mark.
    pub fn told(&self) -> u64 {
        let waits = self.buffer.last_key_value().map(|(last, _)| *last);
        let holds = [self.hold, self.next_hold].into_iter().flatten().map(|hold| hold.through);
        holds.chain(waits).max().unwrap_or(0)
    }

    /// Takes notice of an event of the feed that is not known to be in the graph.
    pub fn hold(&mut self, position: u64, sequence: u64) {
        match (self.hold, &mut self.next_hold) {
            (None, _) => self.hold = Some(Hold { position, through: sequence }),
            (Some(hold), _) if sequence <= hold.through => {}
            (Some(_), Some(next)) => next.through = next.through.max(sequence),
            (Some(_), next) => *next = Some(Hold { position, through: sequence }),
        }
    }

    /// Lets go of what is in the graph up to this sequence.
    pub fn release(&mut self, sequence: u64) {
        while let Some(hold) = self.hold
            && hold.through <= sequence
        {
            self.hold = self.next_hold.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(lane: &Lane) -> Option<u64> {
        lane.hold.map(|hold| hold.position)
    }

    #[test]
    fn the_next_hold_speaks_for_all_that_came_since_the_first() {
        let mut lane = Lane::default();
        for (position, sequence) in [(10, 1), (20, 2), (30, 3)] {
            lane.hold(position, sequence);
        }
        assert_eq!(positions(&lane), Some(10));
        lane.release(1);
        assert_eq!(positions(&lane), Some(20));
        lane.release(2);
        assert_eq!(positions(&lane), Some(20));
        lane.release(3);
        assert_eq!(positions(&lane), None);
    }

    /// A mark of the log before this one tells of an event that this one has not.
    #[test]
    fn what_only_a_mark_told_of_holds_nothing_back() {
        let mut lane = Lane::default();
        lane.hold(10, 1);
        lane.hold(20, 2);
        lane.heard = 3;
        lane.release(2);
        assert_eq!(positions(&lane), None);
    }
}
