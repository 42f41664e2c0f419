//! Strict serializability of transactions whose version order is known.
//!
//! Every store that numbers the versions of its keys tells which write overwrote which, so the dependencies between
//! transactions are facts: an execution is serializable exactly when they have no cycle (Adya, *Weak consistency*, 1999),
//! and strictly so when they have none together with real time. Elle (Kingsbury and Alvaro, 2020) finds anomalies in
//! this way; it has to infer the versions first.
//!
//! The witness is a shortest cycle of the worst kind present: one over writes alone before one that needs a read,
//! and real time last.

mod checker;
mod graph;
mod search;

use std::fmt;

use crate::history::OpId;

pub use checker::StrictSerializability;

use graph::Graph;

/// The number of a version of one key: later versions have higher ones, with gaps or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version a key has before anybody writes it. It cannot be installed.
    pub const INITIAL: Self = Self(0);
}

/// A transaction that took effect.
///
/// One that was aborted is left out. One of unknown outcome belongs here when its versions are in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction<Key> {
    /// Its id.
    pub id: OpId,
    /// The versions it read; not those it wrote itself.
    pub reads: Vec<(Key, Version)>,
    /// The versions it installed.
    pub writes: Vec<(Key, Version)>,
    /// The event index of its invocation.
    pub invoked: usize,
    /// The event index of its completion, `None` when its client never learned of it.
    pub completed: Option<usize>,
}

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// Write dependency: the second overwrote what the first installed.
    Ww,
    /// Read dependency: the second read what the first installed.
    Wr,
    /// Anti-dependency: the second overwrote what the first read.
    Rw,
    /// Real time: the first was completed before the second was invoked.
    Rt,
}

/// One dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge<Key> {
    /// The transaction that comes first.
    pub from: OpId,
    /// The transaction that comes second.
    pub to: OpId,
    /// Why.
    pub kind: EdgeKind,
    /// The version that makes the dependency: the one read of a `wr`, the one `to` installed of a `ww` or `rw`.
    pub on: Option<(Key, Version)>,
}

/// The kind of a cycle, in the names of Adya and of Elle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Write cycle: only `ww`.
    G0,
    /// Circular information flow: `ww` and `wr`.
    G1c,
    /// Read skew, lost update: one `rw`.
    GSingle,
    /// Write skew and the like: several `rw`.
    G2,
    /// Serializable, but not in an order that keeps to real time: a stale read, say.
    RealTime,
}

/// Why an execution is not strictly serializable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly<Key> {
    /// Two transactions installed the same version: a write was lost.
    DuplicateVersion {
        /// The key.
        key: Key,
        /// The version installed twice, or the initial one.
        version: Version,
        /// Who installed it.
        writers: Vec<OpId>,
    },
    /// A transaction read a version that none here installed: of an aborted one (G1a), or made up.
    PhantomVersion {
        /// The key.
        key: Key,
        /// The version read.
        version: Version,
        /// Who read it.
        reader: OpId,
    },
    /// A cycle: the last edge leads to where the first began.
    Cycle {
        /// Its kind.
        class: Class,
        /// Its edges, as few as a cycle of the kinds allowed to its class can have.
        edges: Vec<Edge<Key>>,
    },
}

/// The kinds of edges a cycle may have, worst first.
const LAYERS: [&[EdgeKind]; 4] = {
    use EdgeKind::{Rt, Rw, Wr, Ww};
    [&[Ww], &[Ww, Wr], &[Ww, Wr, Rw], &[Ww, Wr, Rw, Rt]]
};

/// Everything that keeps `transactions` from being strictly serializable, but at most one cycle.
///
/// Versions installed twice leave no version order: then they alone are returned.
pub fn check<Key: Clone + Ord>(transactions: &[Transaction<Key>]) -> Vec<Anomaly<Key>> {
    let graph = match Graph::new(transactions) {
        Ok(graph) => graph,
        Err(duplicates) => return duplicates,
    };
    let cycle = LAYERS.iter().find_map(|kinds| search::shortest_cycle(&graph, kinds));
    let cycle = cycle.map(|edges| Anomaly::Cycle { class: Class::of(&edges), edges });
    graph.phantoms().into_iter().chain(cycle).collect()
}

impl Class {
    fn of<Key>(cycle: &[Edge<Key>]) -> Self {
        let count = |kind| cycle.iter().filter(|edge| edge.kind == kind).count();
        match (count(EdgeKind::Rt), count(EdgeKind::Rw), count(EdgeKind::Wr)) {
            (0, 0, 0) => Self::G0,
            (0, 0, _) => Self::G1c,
            (0, 1, _) => Self::GSingle,
            (0, _, _) => Self::G2,
            _ => Self::RealTime,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::G0 => "G0",
            Self::G1c => "G1c",
            Self::GSingle => "G-single",
            Self::G2 => "G2",
            Self::RealTime => "real-time",
        })
    }
}

/// The fact behind the edge, as a sentence.
impl<Key: fmt::Debug> fmt::Display for Edge<Key> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, kind, on } = self;
        let version = match on {
            Some((key, Version(version))) => format!("version {version} of {key:?}"),
            None => String::new(),
        };
        match kind {
            EdgeKind::Ww => write!(f, "{from} -ww-> {to}: {to} installed {version}, over one that {from} installed"),
            EdgeKind::Wr => write!(f, "{from} -wr-> {to}: {to} read {version}, which {from} installed"),
            EdgeKind::Rw => {
                write!(f, "{from} -rw-> {to}: {from} read an older version than {version}, which {to} installed")
            }
            EdgeKind::Rt => write!(f, "{from} -rt-> {to}: {from} was completed before {to} was invoked"),
        }
    }
}

#[cfg(test)]
mod tests;
