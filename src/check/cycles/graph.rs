//! The dependency graph.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::{Anomaly, Edge, EdgeKind, Transaction, Version};

/// The writer of each version of each key, as an index into the transactions.
type Writers<'a, Key> = BTreeMap<&'a Key, BTreeMap<Version, usize>>;

/// Transactions by index and what orders them.
pub(super) struct Graph<'a, Key> {
    pub transactions: &'a [Transaction<Key>],
    writers: Writers<'a, Key>,
    /// The data dependencies out of each transaction, sorted.
    pub data: Vec<Vec<Dependency<'a, Key>>>,
    /// The immediate successors of each transaction in real time: all others follow by way of these.
    pub real_time: Vec<Vec<usize>>,
}

/// A `ww`, `wr` or `rw` edge.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dependency<'a, Key> {
    pub kind: EdgeKind,
    pub to: usize,
    pub key: &'a Key,
    pub version: Version,
}

impl<'a, Key: Clone + Ord> Graph<'a, Key> {
    /// The graph, or the versions that were installed twice.
    pub fn new(transactions: &'a [Transaction<Key>]) -> Result<Self, Vec<Anomaly<Key>>> {
        let writers = writers(transactions)?;
        let data = data(transactions, &writers);
        Ok(Self { transactions, writers, data, real_time: real_time(transactions) })
    }

    /// The reads of versions that nobody installed.
    pub fn phantoms(&self) -> Vec<Anomaly<Key>> {
        let reads =
            self.transactions.iter().flat_map(|tx| tx.reads.iter().map(move |(key, version)| (tx.id, key, *version)));
        reads
            .filter(|(_, key, version)| {
                let installed = self.writers.get(key).is_some_and(|versions| versions.contains_key(version));
                *version != Version::INITIAL && !installed
            })
            .map(|(reader, key, version)| Anomaly::PhantomVersion { key: key.clone(), version, reader })
            .collect()
    }

    /// The edge between two transactions: in real time when there is no dependency.
    pub fn edge(&self, from: usize, to: usize, dependency: Option<&Dependency<'_, Key>>) -> Edge<Key> {
        Edge {
            from: self.transactions[from].id,
            to: self.transactions[to].id,
            kind: dependency.map_or(EdgeKind::Rt, |dependency| dependency.kind),
            on: dependency.map(|dependency| (dependency.key.clone(), dependency.version)),
        }
    }
}

fn writers<Key: Clone + Ord>(transactions: &[Transaction<Key>]) -> Result<Writers<'_, Key>, Vec<Anomaly<Key>>> {
    let mut all: BTreeMap<&Key, BTreeMap<Version, Vec<usize>>> = BTreeMap::new();
    for (index, tx) in transactions.iter().enumerate() {
        for (key, version) in &tx.writes {
            all.entry(key).or_default().entry(*version).or_default().push(index);
        }
    }
    let mut writers = Writers::new();
    let mut duplicates = vec![];
    for (key, versions) in all {
        for (version, indices) in versions {
            if indices.len() > 1 || version == Version::INITIAL {
                let writers = indices.iter().map(|index| transactions[*index].id).collect();
                duplicates.push(Anomaly::DuplicateVersion { key: key.clone(), version, writers });
            }
            writers.entry(key).or_default().insert(version, indices[0]);
        }
    }
    if duplicates.is_empty() { Ok(writers) } else { Err(duplicates) }
}

fn data<'a, Key: Ord>(
    transactions: &'a [Transaction<Key>],
    writers: &Writers<'a, Key>,
) -> Vec<Vec<Dependency<'a, Key>>> {
    let mut edges: Vec<Vec<Dependency<'a, Key>>> = transactions.iter().map(|_| vec![]).collect();
    let mut add = |from: usize, kind, to: usize, key, version| {
        // What a transaction does to its own writes orders nothing.
        if from != to {
            edges[from].push(Dependency { kind, to, key, version });
        }
    };
    for (&key, versions) in writers {
        for ((_, &from), (&version, &to)) in versions.iter().zip(versions.iter().skip(1)) {
            add(from, EdgeKind::Ww, to, key, version);
        }
    }
    for (reader, tx) in transactions.iter().enumerate() {
        for (key, read) in &tx.reads {
            let Some(versions) = writers.get(key) else { continue };
            if let Some(&writer) = versions.get(read) {
                add(writer, EdgeKind::Wr, reader, key, *read);
            }
            if let Some((&next, &writer)) = versions.range((Excluded(*read), Unbounded)).next() {
                add(reader, EdgeKind::Rw, writer, key, next);
            }
        }
    }
    edges.iter_mut().for_each(|out| out.sort());
    edges
}

/// The transitive reduction of "was completed before the other was invoked".
fn real_time<Key>(transactions: &[Transaction<Key>]) -> Vec<Vec<usize>> {
    // At each invocation the frontier holds the completed transactions that no other completed one follows.
    let mut moments: Vec<(usize, bool, usize)> = vec![];
    for (index, tx) in transactions.iter().enumerate() {
        moments.push((tx.invoked, true, index));
        moments.extend(tx.completed.map(|completed| (completed, false, index)));
    }
    // At one index a completion is not before an invocation.
    moments.sort_by_key(|(at, is_invocation, index)| (*at, !is_invocation, *index));

    let mut frontier: Vec<usize> = vec![];
    let mut successors = vec![vec![]; transactions.len()];
    for (_, is_invocation, index) in moments {
        if is_invocation {
            frontier.iter().for_each(|earlier| successors[*earlier].push(index));
        } else {
            let invoked = transactions[index].invoked;
            frontier.retain(|earlier| transactions[*earlier].completed.is_none_or(|completed| completed >= invoked));
            frontier.push(index);
        }
    }
    successors
}
