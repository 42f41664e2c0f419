//! Somebody who looks at the graph at every commit, tells readers what it changed, and writes down for the checks what has
//! changed of the projection.
//!
//! What the projection promises, it promises for every moment: a mark tells the truth when it is written and not only when
//! everything has come to rest. Readers may come at any time, so checks have to see every state that one could see.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graph::{Diff, EntityId, Node, Snapshot, Value};
use serde::{Deserialize, Serialize};
use stores::memory::{Commit, MemoryGraph};

use super::picture::{Mark, Picture};
use crate::record::{TraceEvent, What};
use crate::world::Host;

/// What stands before a sighting in a trace.
const CORE: &str = "graph";

/// What has changed since the last look.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sighting {
    /// Whether nobody committed: somebody changed the graph by hand, or it has forgotten.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    /// What is a resource's own, of those of which it changed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub own: BTreeMap<EntityId, Snapshot>,
    /// All stubs, if one came or went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stubs: Option<BTreeSet<String>>,
    /// The marks that moved; one that is not there is at the very beginning.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<EntityId, Mark>,
    /// Up to where the log was applied, if the projection has written it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Whether a rebuild of all is under way, if one began or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilding: Option<bool>,
}

/// As it stands in a trace, and is read back.
impl fmt::Debug for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).expect("a sighting has text keys"))
    }
}

impl Sighting {
    /// What one sees that differs from what was seen before; `None` if nothing does.
    pub fn between(before: &Picture, after: &Picture, by_hand: bool) -> Option<Sighting> {
        let sighting = Sighting {
            by_hand: false,
            own: changed(&before.own, &after.own),
            stubs: (before.stubs != after.stubs).then(|| after.stubs.clone()),
            marks: changed(&before.marks, &after.marks),
            position: (before.position != after.position).then_some(after.position),
            rebuilding: (before.rebuilding != after.rebuilding).then_some(after.rebuilding),
        };
        (sighting != Sighting::default()).then_some(Sighting { by_hand, ..sighting })
    }

    /// Makes what was seen before what is seen now.
    pub fn apply(self, picture: &mut Picture) {
        picture.own.extend(self.own);
        picture.stubs = self.stubs.unwrap_or(std::mem::take(&mut picture.stubs));
        picture.marks.extend(self.marks);
        picture.position = self.position.unwrap_or(picture.position);
        picture.rebuilding = self.rebuilding.unwrap_or(picture.rebuilding);
    }

    /// The resources of which something changed.
    pub fn touched(&self) -> BTreeSet<&EntityId> {
        self.own.keys().chain(self.marks.keys()).collect()
    }

    /// The sighting that an event of a trace is, if it is one.
    pub fn read(event: &TraceEvent) -> Option<Sighting> {
        let text = event.text.strip_prefix(CORE)?.strip_prefix(' ')?;
        (event.what == What::Seen).then(|| serde_json::from_str(text).ok()).flatten()
    }

    /// The event of a trace that it is.
    #[cfg(test)]
    pub fn event(&self, at_ms: u64) -> TraceEvent {
        let host = crate::system::GRAPH.to_owned();
        TraceEvent { at_ms, host, what: What::Seen, text: format!("{CORE} {self:?}"), message: None }
    }
}

fn changed<T: Clone + Default + PartialEq>(
    before: &BTreeMap<EntityId, T>,
    after: &BTreeMap<EntityId, T>,
) -> BTreeMap<EntityId, T> {
    let new = after.iter().filter(|(id, value)| before.get(*id) != Some(*value));
    let gone = before.iter().filter(|(id, value)| **value != T::default() && !after.contains_key(*id));
    let gone = gone.map(|(id, _)| (id.clone(), T::default()));
    new.map(|(id, value)| (id.clone(), value.clone())).chain(gone).collect()
}

/// Why somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The graph's process begins: it may have forgotten something.
    Start,
    /// A transaction has committed.
    Commit,
    /// Somebody changed the graph by hand.
    Harm,
}

/// Looks at a graph, and remembers what it saw last.
#[derive(Clone)]
pub struct Watch {
    graph: MemoryGraph,
    /// Whether there is a projection that checks want to know of.
    has_projection: bool,
    last: Arc<Mutex<Last>>,
}

#[derive(Default)]
struct Last {
    /// The number of the commit that readers were told of.
    told: u64,
    /// What the graph has forgotten of what it had acknowledged, a line each.
    forgotten: String,
    /// What was seen of the projection.
    picture: Picture,
}

impl Watch {
    /// Somebody who has not looked yet.
    pub fn new(graph: MemoryGraph, has_projection: bool) -> Watch {
        Watch { graph, has_projection, last: Arc::default() }
    }

    /// Looks, and has the host write down what has changed.
    pub fn look(&self, host: &Host, occasion: Occasion) {
        // What a dead process did is seen when its host comes back.
        if host.is_down() {
            return;
        }
        let mut last = self.last();
        let Last { told, forgotten, picture: last } = &mut *last;
        tell(host, "forgot: ", &std::mem::take(forgotten));
        if let Some(commit) = self.graph.commit_after(*told) {
            *told = commit.number;
            tell(host, if occasion == Occasion::Harm { "by hand: " } else { "" }, &in_words(&commit));
        }
        if !self.has_projection {
            return;
        }
        let mut now = Picture::of(&self.graph.snapshot());
        // What is gone is remembered as nothing, so that it does not go again and again.
        for id in last.own.keys() {
            now.own.entry(id.clone()).or_default();
        }
        for id in last.marks.keys() {
            now.marks.entry(id.clone()).or_default();
        }
        if let Some(sighting) = Sighting::between(last, &now, occasion != Occasion::Commit) {
            host.seen(CORE, &sighting);
        }
        *last = now;
    }

    /// Undoes the last `count` commits, as [`MemoryGraph::lose_last`] does, and remembers what went for the next look.
    pub fn lose(&self, count: usize) -> usize {
        let mut lost = 0;
        while let (true, Some(Commit { number, changed })) = (lost < count, self.graph.commit_after(0)) {
            let undone = changed.into_iter().rev().map(|(before, after)| (after, before)).collect();
            self.last().forgotten += &in_words(&Commit { number, changed: undone });
            lost += self.graph.lose_last(1);
        }
        lost
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(host: &Host, how: &str, lines: &str) {
    // A commit may write what was there before.
    if !lines.is_empty() {
        host.changed(format!("{how}{}", lines.trim_end()));
    }
}

/// A line for each change of a commit, each ended by a line feed.
fn in_words(Commit { changed, .. }: &Commit) -> String {
    let lines = changed.iter().map(|(before, after)| {
        let name = unnamed(before).or_else(|| unnamed(after));
        let named = |snapshot: &Snapshot| match &name {
            None => snapshot.clone(),
            Some(name) => {
                let nodes = snapshot.nodes().iter().map(|node| Node { id: name.clone(), ..node.clone() });
                Snapshot::new(nodes.collect(), Vec::new())
            }
        };
        Diff::between(&named(before), &named(after)).to_string()
    });
    lines.collect()
}

/// What a node without an id goes by: its label, and its first property that is text.
fn unnamed(alone: &Snapshot) -> Option<String> {
    let node = alone.nodes().first().filter(|node| node.id.is_empty())?;
    let text = node.properties.values().find_map(Value::as_text).unwrap_or_default();
    let labels: Vec<&str> = node.labels.iter().map(String::as_str).chain([text]).collect();
    Some(labels.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EntityId {
        EntityId::new(text).unwrap()
    }

    fn picture(sequence: u64, stubs: &[&str]) -> Picture {
        Picture {
            own: BTreeMap::new(),
            stubs: stubs.iter().map(|stub| (*stub).to_owned()).collect(),
            marks: BTreeMap::from([(id("r1"), Mark { sequence, ..Mark::default() })]),
            position: 7,
            rebuilding: false,
        }
    }

    #[test]
    fn only_what_changed_is_written_down_and_it_can_be_read_back() {
        let (before, after) = (picture(1, &["s"]), picture(2, &[]));
        assert_eq!(Sighting::between(&before, &before, true), None);
        let sighting = Sighting::between(&before, &after, false).expect("something changed");
        assert_eq!(format!("{sighting:?}"), r#"{"stubs":[],"marks":{"r1":{"sequence":2,"generation":0}}}"#);
        let read = Sighting::read(&sighting.event(5)).expect("it is one");
        assert_eq!(read, sighting);
        let mut seen = before;
        read.apply(&mut seen);
        assert_eq!(seen, after);
    }

    #[test]
    fn what_is_gone_is_seen_to_go() {
        let before = picture(1, &[]);
        let sighting =
            Sighting::between(&before, &Picture { position: 7, ..Picture::default() }, true).expect("it went");
        assert!(sighting.by_hand);
        assert_eq!(sighting.marks[&id("r1")], Mark::default());
    }

    #[test]
    fn a_commit_is_told_in_lines_and_what_has_no_id_goes_by_its_label() {
        let graph = MemoryGraph::new();
        let properties = |sequence| [("resource".into(), "r1".into()), ("seq".into(), Value::Int(sequence))].into();
        let mark = graph.autocommit(|graph| graph.create(&["Applied"], properties(1)));
        let mark = mark.map_err(|fault: stores::GraphFault| fault).unwrap();
        let told = || in_words(&graph.commit_after(0).expect("there was one"));
        assert_eq!(told(), "+ node Applied:r1 :Applied {\"resource\":\"r1\",\"seq\":1}\n");
        let moved = graph.autocommit(|graph| graph.set_properties(mark, properties(2)));
        moved.map_err(|fault: stores::GraphFault| fault).unwrap();
        assert_eq!(told(), "~ node Applied:r1 seq: 1 -> 2\n");
        let same = graph.autocommit(|graph| graph.set_properties(mark, properties(2)));
        same.map_err(|fault: stores::GraphFault| fault).unwrap();
        assert_eq!(told(), "", "a commit that writes what is there changes nothing");

        let watch = Watch::new(graph.clone(), false);
        assert_eq!(watch.lose(2), 2);
        assert_eq!(watch.last().forgotten, "~ node Applied:r1 seq: 2 -> 1\n");
        assert_eq!(watch.lose(5), 1, "there is no more");
        assert_eq!(graph.snapshot(), Snapshot::default());
    }

    #[test]
    fn other_events_are_no_sightings() {
        let event = |what, text: &str| {
            let (host, text) = ("graph".to_owned(), text.to_owned());
            TraceEvent { at_ms: 1, host, what, text, message: None }
        };
        assert_eq!(Sighting::read(&event(What::Seen, "lanes Do")), None);
        assert_eq!(Sighting::read(&event(What::Mark, "graph {}")), None);
    }
}
