//! A run of the projection in which everything went right, so that a test can plant one thing that went wrong.

use std::collections::BTreeMap;

use graph::{EntityId, Node, Properties, Snapshot, Value};
use projection::event::{Event, system};
use serde_json::json;

use super::super::CoordinatorRecord;
use super::super::fixture::{self, Run};
use crate::check::{Checker, Fingerprint};
use crate::record::TraceEvent;
use crate::system::dump;
use crate::system::projection::event::{Edit, Happening, Item};
use crate::system::projection::log::Stored;
use crate::system::projection::picture::Picture;
use crate::system::projection::watch::Sighting;

/// The names of a run: what a fingerprint must not depend on.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    run: fixture::Cast,
    resource: &'static str,
    annotation: &'static str,
}

/// Two casts without a name in common.
pub const CASTS: [Cast; 2] = [
    Cast { run: fixture::CASTS[0], resource: "r", annotation: "a" },
    Cast { run: fixture::CASTS[1], resource: "document-", annotation: "note-" },
];

/// A run as it is told: what clients saw, what the log has, and what the graph showed.
pub struct Tale {
    cast: Cast,
    /// What clients saw.
    pub run: Run,
    /// The log.
    pub log: Vec<Stored>,
    /// The projection's graph as it was seen last.
    pub shown: Picture,
    /// What a projector says when it has come to rest: how far it is behind, and how many resources it counts as parked.
    pub at_rest: Option<(u64, u64)>,
    /// What becomes of the dump of the projection.
    pub damage: Option<fn(&mut String)>,
    trace: Vec<TraceEvent>,
}

impl Tale {
    /// A run of which nothing has been told.
    pub fn empty(cast: Cast) -> Tale {
        Tale {
            cast,
            run: Run::empty(cast.run),
            log: Vec::new(),
            shown: Picture::default(),
            at_rest: None,
            damage: None,
            trace: Vec::new(),
        }
    }

    /// One resource with an annotation that links to a second, before and after that was created, and to a third, that
    /// never was; one annotation that was removed and added again; a word; and a resource with an event that nobody can fold.
    /// At the end the first is rebuilt.
    pub fn sound(cast: Cast) -> Tale {
        let mut tale = Tale::empty(cast);
        let [first, second, poisoned] = [tale.first(), tale.name(2), tale.poisoned()];
        for what in ["created", "annotated", "removed", "annotated", "edited", "tagged"] {
            tale.write(&first, what);
            tale.apply(&first);
        }
        tale.write(&second, "created");
        tale.write(&system(), "word");
        tale.apply(&system());
        tale.apply(&second);
        tale.write(&poisoned, "created");
        tale.apply(&poisoned);
        tale.write(&poisoned, "unknown");
        let mut shown = tale.shown.clone();
        shown.marks.get_mut(&poisoned).unwrap().parked = Some(2);
        tale.see(shown, false);
        let status = super::health::tests::status(tale.log.last().unwrap().position, 1);
        super::health::tests::said(&mut tale, status);
        super::barrier::tests::seen(&mut tale, 2, Some(6));
        super::feed_order::tests::followed(&mut tale, |_| {});
        let mut rebuilt = tale.shown.clone();
        rebuilt.marks.get_mut(&first).unwrap().generation += 1;
        tale.see(rebuilt, false);
        tale
    }

    fn name(&self, nth: u8) -> EntityId {
        EntityId::new(format!("{}{nth}", self.cast.resource)).unwrap()
    }

    /// The resource that most happens to.
    pub fn first(&self) -> EntityId {
        self.name(1)
    }

    /// The one that is parked.
    pub fn poisoned(&self) -> EntityId {
        self.name(4)
    }

    /// One of which nothing is applied.
    pub fn late(&self) -> EntityId {
        self.name(5)
    }

    /// The log takes two events of a resource that nobody has heard of, and nobody applies them.
    pub fn written_and_not_applied(&mut self) -> EntityId {
        let late = self.late();
        self.write(&late, "created");
        self.write(&late, "annotated");
        late
    }

    fn happening(&self, what: &str) -> Happening {
        let id = EntityId::new(format!("{}1", self.cast.annotation)).unwrap();
        match what {
            "created" => Happening::Created("name".to_owned()),
            "annotated" => {
                Happening::Annotated { id, body: vec![Item::Link(self.name(2)), Item::Text("t".to_owned())] }
            }
            "edited" => Happening::Edited { id, edits: vec![Edit::Add(Item::Link(self.name(3)))] },
            "remove" | "removed" => Happening::Removed(id),
            "tagged" => Happening::Tagged("T".to_owned()),
            "word" => Happening::Word("T".to_owned()),
            "archived" => Happening::Archived,
            "unknown" => Happening::Unknown,
            other => panic!("nothing is called {other}"),
        }
    }

    /// The log takes an event of a resource.
    pub fn write(&mut self, resource: &EntityId, what: &str) {
        let id = format!("e-{}", self.log.len());
        self.write_as(resource, &self.happening(what), id);
    }

    /// The same, under this id.
    pub fn write_as(&mut self, resource: &EntityId, happening: &Happening, id: String) {
        let sequence = 1 + self.stream(resource).len();
        let (kind, payload) = happening.write(Some(resource));
        let mut envelope = json!({
            "id": id, "type": kind, "timestamp": "t", "userId": "u", "version": 1,
            "payload": payload, "metadata": { "sequenceNumber": sequence },
        });
        if *resource != system() {
            envelope["resourceId"] = json!(resource);
        }
        let event: Event = serde_json::from_value(envelope).expect("an event");
        let position = 1 + self.log.last().map_or(0, |stored| stored.position);
        self.log.push(Stored { position, event });
    }

    fn stream(&self, resource: &EntityId) -> Vec<Event> {
        let of = self.log.iter().filter(|stored| stored.event.position.resource == *resource);
        of.map(|stored| stored.event.clone()).collect()
    }

    /// What is a resource's own after its first `sequence` events.
    pub fn said(&self, resource: &EntityId, sequence: u64) -> Snapshot {
        let stream = self.stream(resource);
        let reference = reference_fold::fold(&stream[..usize::try_from(sequence).unwrap()]);
        Picture::of(&reference.graph).own.remove(resource).unwrap_or_default()
    }

    /// The projection applies the next event of a resource.
    pub fn apply(&mut self, resource: &EntityId) {
        let mut marks = self.shown.marks.clone();
        marks.entry(resource.clone()).or_default().sequence += 1;
        let applied = self.log.iter().filter(|stored| {
            let place = &stored.event.position;
            marks.get(&place.resource).is_some_and(|mark| place.sequence <= mark.sequence)
        });
        let events: Vec<Event> = applied.map(|stored| stored.event.clone()).collect();
        let shown = Picture { marks, ..Picture::of(&reference_fold::fold(&events).graph) };
        self.see(shown, false);
    }

    /// The resource is put away, and the mark does not say so.
    pub fn archive_without_mark(&mut self, resource: &EntityId) {
        let before = self.shown.marks.clone();
        self.write(resource, "archived");
        self.apply(resource);
        let trace = self.trace.pop().expect("it was seen");
        let mut sighting = Sighting::read(&trace).expect("it is one");
        sighting.marks.clear();
        self.trace.push(sighting.event(trace.at_ms));
        self.shown.marks = before;
    }

    /// The mark says that the resource was put away, and it was not.
    pub fn archive_without_effect(&mut self, resource: &EntityId) {
        self.write(resource, "archived");
        let mut shown = self.shown.clone();
        shown.marks.get_mut(resource).unwrap().sequence += 1;
        self.see(shown, false);
    }

    /// Somebody looks at the graph, which is like this now.
    pub fn see(&mut self, shown: Picture, by_hand: bool) {
        if let Some(sighting) = Sighting::between(&self.shown, &shown, by_hand) {
            self.trace.push(sighting.event(self.run.at_ms));
        }
        self.shown = shown;
    }

    /// The graph forgets all of the first resource but its first `sequence` events.
    pub fn forget(&mut self, sequence: u64, by_hand: bool) {
        let first = self.first();
        let mut before = self.shown.clone();
        before.marks.get_mut(&first).unwrap().sequence = sequence;
        before.own.insert(first.clone(), self.said(&first, sequence));
        self.see(before, by_hand);
    }

    /// What a check is given.
    pub fn record(&self) -> CoordinatorRecord {
        let mut record = self.run.record();
        record.trace = self.trace.clone();
        let log = self.log.iter().map(|stored| format!("{stored}\n")).collect();
        let mut projection = self.whole().to_string();
        if let Some(damage) = self.damage {
            damage(&mut projection);
        }
        record
            .dumps
            .extend(BTreeMap::from([(dump::STORED_EVENTS.to_owned(), log), (dump::PROJECTION.to_owned(), projection)]));
        if let Some((behind, parked)) = self.at_rest {
            let status = super::health::tests::status(self.log.last().unwrap().position - behind, parked);
            record.dumps.insert(dump::PROJECTORS.to_owned(), format!("projector {status}\n"));
        }
        record
    }

    fn whole(&self) -> Snapshot {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for own in self.shown.own.values() {
            nodes.extend(own.nodes().iter().cloned());
            edges.extend(own.edges().iter().cloned());
        }
        for stub in &self.shown.stubs {
            let properties = Properties::from([("stub".to_owned(), Value::Bool(true))]);
            nodes.push(Node { id: stub.clone(), labels: ["Resource".to_owned()].into(), properties });
        }
        Snapshot::new(nodes, edges)
    }
}

/// Asserts that a check finds exactly the planted bug, and that its fingerprint is the same whoever it happens to.
pub fn caught(check: &dyn Checker<CoordinatorRecord>, key: &str, plant: impl Fn(&mut Tale)) {
    for cast in CASTS {
        let mut tale = Tale::sound(cast);
        plant(&mut tale);
        let verdict = check.check(&tale.record());
        let [violation] = verdict.violations.as_slice() else {
            panic!("{cast:?}: expected one violation {key:?}, found {:#?}", verdict.violations)
        };
        assert_eq!((violation.property.as_str(), violation.key.as_str()), (check.name(), key));
        assert_eq!(violation.fingerprint(), Fingerprint::of(check.name(), key));
        assert!(!violation.expected.is_empty() && !violation.actual.is_empty(), "{violation}");
    }
}

/// Asserts that a check finds nothing wrong with a change.
pub fn passed(check: &dyn Checker<CoordinatorRecord>, change: impl Fn(&mut Tale)) {
    for cast in CASTS {
        let mut tale = Tale::sound(cast);
        change(&mut tale);
        let verdict = check.check(&tale.record());
        assert!(verdict.violations.is_empty(), "{cast:?}: {:#?}", verdict.violations);
    }
}
