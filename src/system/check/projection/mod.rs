//! The promises of the projection, one a file.
//!
//! What the graph has to show is asked of the reference fold, which shares no code with the projection; what it did show, of
//! somebody who looked at every commit ([`watch`](crate::system::projection::watch)). So a promise is judged at every moment
//! and not only at the end.

mod barrier;
mod convergence;
mod feed_order;
#[cfg(test)]
mod fixture;
mod health;
mod idempotence;
mod mark_soundness;
mod no_event_lost;
mod order_independence;
mod progress;
mod rebuild;
mod references;
mod stub_soundness;
mod tombstones;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use graph::{EntityId, Snapshot};
use projection::event::Event;
use reference_fold::Reference;

use super::CoordinatorRecord;
use crate::check::{Checker, Verdict, Violation};
use crate::plan::Fault;
use crate::system::dump;
use crate::system::projection::log::Stored;
use crate::system::projection::picture::{Mark, Picture};
use crate::system::projection::watch::Sighting;

pub use barrier::Barrier;
pub use convergence::Convergence;
pub use feed_order::FeedOrder;
pub use health::Health;
pub use idempotence::Idempotence;
pub use mark_soundness::MarkSoundness;
pub use no_event_lost::NoEventLost;
pub use order_independence::OrderIndependence;
pub use progress::Progress;
pub use rebuild::Rebuild;
pub use references::References;
pub use stub_soundness::StubSoundness;
pub use tombstones::Tombstones;

/// All of them, those that say most about the cause first; what differs at the end says least.
pub fn all() -> Vec<Box<dyn Checker<CoordinatorRecord>>> {
    vec![
        Box::new(NoEventLost),
        Box::new(FeedOrder),
        Box::new(References),
        Box::new(Tombstones),
        Box::new(StubSoundness),
        Box::new(Rebuild),
        Box::new(MarkSoundness),
        Box::new(Idempotence),
        Box::new(Progress),
        Box::new(OrderIndependence),
        Box::new(Barrier),
        Box::new(Health),
        Box::new(Convergence),
    ]
}

/// What happened to the projection in a run.
struct Scene<'a> {
    record: &'a CoordinatorRecord,
    /// The log, in its own order.
    log: Vec<Stored>,
    /// The events of each resource.
    streams: BTreeMap<EntityId, Vec<Event>>,
    /// What somebody saw who looked at every commit.
    moments: Vec<Moment>,
    /// What one stream says up to a sequence, for all that was asked for.
    folds: RefCell<BTreeMap<(EntityId, u64), Rc<Said>>>,
}

/// A change of the projection's graph.
struct Moment {
    at_ms: u64,
    /// Its place in the trace.
    step: u64,
    sighting: Sighting,
}

/// What the events of one resource say.
#[derive(Default)]
struct Said {
    /// What is its own.
    own: Snapshot,
    /// The other resources that it links to.
    links: BTreeSet<String>,
    /// Whether it was created.
    created: bool,
}

impl<'a> Scene<'a> {
    /// The scene of a run, for a check of `property`, or its verdict if there is none to look at: see
    /// [`stores`](super::stores).
    fn of(property: &str, record: &'a CoordinatorRecord) -> Result<Scene<'a>, Verdict> {
        super::stores(property, record)?;
        let unreadable = |why: String| Verdict {
            // Where bits of the log flipped, nobody can say what it said.
            violations: if log_broke(record) {
                Vec::new()
            } else {
                vec![
                    Violation::new(property, "the event log cannot be read")
                        .expected("events that the projection can read, one a line")
                        .actual(why),
                ]
            },
            checked: 0,
        };
        let lines = record.dumps.get(dump::STORED_EVENTS).ok_or_else(|| unreadable("there is no dump of it".into()))?;
        let log: Result<Vec<Stored>, String> = lines.lines().map(str::parse).collect();
        let log = log.map_err(unreadable)?;
        let mut streams: BTreeMap<EntityId, Vec<Event>> = BTreeMap::new();
        for stored in &log {
            streams.entry(stored.event.position.resource.clone()).or_default().push(stored.event.clone());
        }
        let moments = (0..)
            .zip(&record.trace)
            .filter_map(|(step, event)| Some(Moment { at_ms: event.at_ms, step, sighting: Sighting::read(event)? }));
        Ok(Scene { record, log, streams, moments: moments.collect(), folds: RefCell::default() })
    }

    /// What the log says, all of it.
    fn reference(&self) -> Reference {
        let events: Vec<Event> = self.log.iter().map(|stored| stored.event.clone()).collect();
        reference_fold::fold(&events)
    }

    /// What the stream of a resource says up to this sequence, and no other stream.
    fn said(&self, resource: &EntityId, sequence: u64) -> Rc<Said> {
        let key = (resource.clone(), sequence);
        if let Some(said) = self.folds.borrow().get(&key) {
            return said.clone();
        }
        let stream = self.streams.get(resource).map_or(&[][..], Vec::as_slice);
        let end = usize::try_from(sequence).unwrap_or(usize::MAX).min(stream.len());
        let mut picture = Picture::of(&reference_fold::fold(&stream[..end]).graph);
        let own = picture.own.remove(resource).unwrap_or_default();
        let created = own.nodes().iter().any(|node| node.id == resource.as_str());
        let said = Rc::new(Said { own, links: picture.stubs, created });
        self.folds.borrow_mut().insert(key, said.clone());
        said
    }

    /// Goes through the moments in their order; `look` is given the graph as it is then.
    fn walk(&self, mut look: impl FnMut(&Moment, &Before, &Picture)) {
        let mut picture = Picture::default();
        for moment in &self.moments {
            let before = Before::of(moment, &picture);
            moment.sighting.clone().apply(&mut picture);
            look(moment, &before, &picture);
        }
    }

    /// The graph when everything was over.
    fn last(&self) -> Picture {
        let mut picture = Picture::default();
        self.moments.iter().for_each(|moment| moment.sighting.clone().apply(&mut picture));
        picture
    }

    /// The graph as it was at the end of this millisecond.
    fn at(&self, at_ms: u64) -> Picture {
        let mut picture = Picture::default();
        for moment in self.moments.iter().take_while(|moment| moment.at_ms <= at_ms) {
            moment.sighting.clone().apply(&mut picture);
        }
        picture
    }

    /// How many events the log has of a resource.
    fn logged(&self, resource: &EntityId) -> u64 {
        self.streams.get(resource).map_or(0, Vec::len) as u64
    }

    /// When which resource was not as the projection had left it.
    fn harms(&self) -> Harms {
        // What the projection had reached of each resource; where a hand has changed one, since when.
        let (mut reached, mut since) = (BTreeMap::<EntityId, u64>::new(), BTreeMap::<EntityId, u64>::new());
        let mut spans: BTreeMap<EntityId, Vec<(u64, u64)>> = BTreeMap::new();
        self.walk(|moment, _, picture| {
            for resource in moment.sighting.touched() {
                let mark = picture.marks.get(resource).cloned().unwrap_or_default();
                let reached = reached.entry(resource.clone()).or_default();
                if moment.sighting.by_hand {
                    since.entry(resource.clone()).or_insert(moment.at_ms);
                } else {
                    *reached = (*reached).max(mark.sequence.min(self.logged(resource)));
                }
                let own = picture.own.get(resource).cloned().unwrap_or_default();
                let is_back = (*reached..=self.logged(resource)).contains(&mark.sequence);
                if is_back
                    && self.said(resource, mark.sequence).own == own
                    && let Some(since) = since.remove(resource)
                {
                    spans.entry(resource.clone()).or_default().push((since, moment.at_ms));
                }
            }
        });
        for (resource, since) in since {
            spans.entry(resource).or_default().push((since, u64::MAX));
        }
        Harms { spans, log_broke: log_broke(self.record) }
    }
}

/// Whether the log itself can have lost what it had acknowledged: then it does not say any more what was shown.
fn log_broke(record: &CoordinatorRecord) -> bool {
    let mut planned = record.plan.faults.iter().zip(&record.fired);
    planned.any(|(planned, fired)| {
        *fired && planned.fault.breaks_media() && !matches!(planned.fault, Fault::Forget { .. })
    })
}

/// When resources were not as the projection had left them: from when somebody changed them by hand, or the graph forgot
/// of them what it had acknowledged, until they are again what the log says, and as far as they had been.
struct Harms {
    /// The first and the last millisecond of each time.
    spans: BTreeMap<EntityId, Vec<(u64, u64)>>,
    log_broke: bool,
}

impl Harms {
    /// Whether the resource was harmed at any moment of these milliseconds, both included.
    fn touch(&self, resource: &EntityId, from_ms: u64, to_ms: u64) -> bool {
        let mut spans = self.spans.get(resource).into_iter().flatten();
        self.log_broke || spans.any(|(first, last)| *first <= to_ms && from_ms <= *last)
    }
}

/// What changed in a moment, as it was before.
struct Before {
    marks: BTreeMap<EntityId, Mark>,
    own: BTreeMap<EntityId, Snapshot>,
}

impl Before {
    fn of(moment: &Moment, picture: &Picture) -> Before {
        Before { marks: were(&moment.sighting.marks, &picture.marks), own: were(&moment.sighting.own, &picture.own) }
    }
}

/// Of what changed, what there was before.
fn were<T: Clone + Default>(changed: &BTreeMap<EntityId, T>, all: &BTreeMap<EntityId, T>) -> BTreeMap<EntityId, T> {
    changed.keys().map(|id| (id.clone(), all.get(id).cloned().unwrap_or_default())).collect()
}

/// The resources that somebody has changed by hand and that the projection has not put right yet: of them, nothing is
/// promised.
#[derive(Default)]
struct Harmed(BTreeSet<EntityId>);

impl Harmed {
    /// Takes notice of a moment; `is_right` says whether a resource is as it has to be.
    fn notice(&mut self, sighting: &Sighting, is_right: impl Fn(&EntityId) -> bool) {
        if sighting.by_hand {
            self.0.extend(sighting.touched().into_iter().cloned());
        }
        for resource in sighting.touched() {
            if is_right(resource) {
                self.0.remove(resource);
            }
        }
    }

    fn contains(&self, resource: &EntityId) -> bool {
        self.0.contains(resource)
    }
}

/// What is a resource's own but its node: its annotations and tombstones, and all edges.
fn without_node(own: &Snapshot, resource: &EntityId) -> Snapshot {
    let nodes = own.nodes().iter().filter(|node| node.id != resource.as_str()).cloned().collect();
    Snapshot::new(nodes, own.edges().to_vec())
}

/// How two graphs differ, a line each.
fn difference(expected: &Snapshot, actual: &Snapshot) -> Vec<String> {
    graph::Diff::between(expected, actual).to_string().lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::fixture::{CASTS, Tale};
    use super::*;
    use crate::plan::{PlannedFault, Trigger};
    use crate::sut::System;
    use crate::system::BiStore;
    use crate::system::operation::Op;
    use crate::system::projection::operation::Whole;
    use crate::verdict::judge;

    #[test]
    fn every_check_passes_a_sound_tale_and_has_looked_at_something() {
        for cast in CASTS {
            for check in all() {
                let verdict = check.check(&Tale::sound(cast).record());
                assert!(verdict.holds(), "{}: {verdict:#?}", check.name());
            }
        }
    }

    #[test]
    fn a_run_in_which_nothing_happened_proves_nothing() {
        let record = Tale::empty(CASTS[0]).record();
        for check in all() {
            assert!(check.check(&record).is_vacuous(), "{}", check.name());
        }
    }

    #[test]
    fn a_check_has_to_examine_something_where_it_applies_or_is_asked_for() {
        let system = BiStore::new(&serde_json::json!({ "projectors": 1 })).expect("these are options");
        let mut tale = Tale::empty(CASTS[0]);
        tale.write(&tale.first(), "created");
        tale.apply(&tale.first());
        let checked = |tale: &Tale| judge(&system, &tale.record(), false).checked.get(Rebuild.name()).copied();
        assert_eq!(checked(&tale), None);
        tale.run.checks = vec![Rebuild.name().to_owned()];
        assert_eq!(checked(&tale), Some(0));
        tale.run.checks.clear();
        tale.run.invoke(Op::Rebuild(Whole::default()));
        assert_eq!(checked(&tale), Some(0));
        let mut rebuilt = tale.shown.clone();
        rebuilt.marks.get_mut(&tale.first()).unwrap().generation += 1;
        tale.see(rebuilt, false);
        assert_eq!(checked(&tale), Some(1));
    }

    #[test]
    fn a_log_that_cannot_be_read_fails_every_check() {
        for check in all() {
            let mut record = Tale::sound(CASTS[0]).record();
            record.dumps.insert(dump::STORED_EVENTS.to_owned(), "7 seven\n".to_owned());
            let verdict = check.check(&record);
            assert_eq!(verdict.violations[0].key, "the event log cannot be read", "{}", check.name());

            let host = "coordinator".to_owned();
            let rot = Fault::BitRot { host, file: "/f".to_owned(), after: None, bits: 1, restart_after_ms: 0 };
            record.plan.faults.push(PlannedFault { at: Trigger::Ms(0), fault: rot });
            record.fired.push(true);
            assert!(
                check.check(&record).is_vacuous(),
                "{}: where bits of the log flipped, it proves nothing",
                check.name()
            );
        }
    }

    #[test]
    fn the_names_differ_from_one_another_and_from_those_of_the_coordinator() {
        let names: Vec<String> = all().iter().chain(&super::super::all()).map(|c| c.name().to_owned()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
