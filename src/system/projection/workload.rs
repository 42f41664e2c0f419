//! Random events, and clients that look at what the projection makes of them.
//!
//! The generator makes what order-dependent projections stumble over: links in cycles and to oneself, links from the
//! beginning and by later edits, several in one body, to what comes later and to what never comes; annotations that are
//! removed and added again under their ids; values that go from A to B and back; words; several writers of one stream, some
//! of whom expect a version.

use graph::{EntityId, Operation};
use serde::Deserialize;

use super::event::{Edit, Happening, Item};
use super::operation::{Append, Projector, View, Whole};
use crate::stream::Stream;
use crate::system::operation::Op;

/// What a scenario says about its random events.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    /// How many operations in a hundred are about events.
    pub percent: u64,
    /// How many resources there are; fewer means more conflicts.
    pub resources: u64,
    /// How many events in a hundred nobody can fold. In a log they stay, so their resource stands still from there on.
    pub poison_percent: u64,
    /// How many in a hundred of these operations ask a projector how it is, or look at a resource.
    pub looks_percent: u64,
    /// How many rebuild a resource or all.
    pub rebuilds_percent: u64,
    /// How many compare the projection with the log.
    pub mends_percent: u64,
    /// How many of the transactions in a hundred have an event with them.
    pub attached_percent: u64,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish {
            percent: 100,
            resources: 4,
            poison_percent: 0,
            looks_percent: 20,
            rebuilds_percent: 0,
            mends_percent: 0,
            attached_percent: 0,
        }
    }
}

impl Wish {
    /// Each number with its name and what it takes.
    pub fn figures(&self) -> [(&'static str, u64, u64, u64); 7] {
        let Wish { percent, resources, poison_percent, looks_percent, rebuilds_percent, .. } = *self;
        [
            ("events.percent", percent, 0, 100),
            ("events.resources", resources, 1, 1_000),
            ("events.poison_percent", poison_percent, 0, 100),
            ("events.looks_percent", looks_percent, 0, 100),
            ("events.rebuilds_percent", rebuilds_percent, 0, 100),
            ("events.mends_percent", self.mends_percent, 0, 100),
            ("events.attached_percent", self.attached_percent, 0, 100),
        ]
    }
}

/// Draws operations, one after the other.
pub struct Generator<'w> {
    wish: &'w Wish,
    retries: u32,
    /// How many events were planned for each resource.
    planned: Vec<u64>,
    /// How many events go with transactions.
    attached: u64,
}

impl<'w> Generator<'w> {
    /// One that has drawn nothing.
    pub fn new(wish: &'w Wish, retries: u32) -> Generator<'w> {
        Generator {
            wish,
            retries,
            planned: vec![0; usize::try_from(wish.resources).expect("at most a thousand")],
            attached: 0,
        }
    }

    /// The operations that create the resources, all of them with both annotations: whoever comes later finds something.
    pub fn creations(&mut self, random: &mut Stream) -> Vec<Op> {
        let resources = self.wish.resources;
        let creation = |nth: u64| {
            let mut events = vec![if nth > 1 && random.percent(20) {
                Happening::Cloned { name: format!("n{nth}"), of: resource(random.between(1, nth - 1)) }
            } else {
                Happening::Created(format!("n{nth}"))
            }];
            for id in [annotation(1), annotation(2)] {
                events.push(Happening::Annotated { id, body: self.body(random) });
            }
            self.append(Some(nth), None, events, false)
        };
        (1..=resources).map(creation).collect()
    }

    /// The next operation.
    pub fn next(&mut self, random: &mut Stream) -> Op {
        let Wish { looks_percent, rebuilds_percent, mends_percent, .. } = *self.wish;
        let nth = random.between(1, self.wish.resources);
        let at = if random.percent(50) { Projector::First } else { Projector::Second };
        let whole = |one: bool| Whole { resource: one.then(|| resource(nth)), at };
        let kind = random.below(100);
        if kind < looks_percent / 2 {
            return Op::Status { at };
        }
        if kind < looks_percent {
            let after = random.percent(70).then(|| random.between(1, self.planned[index(nth)].max(1)));
            return Op::View(View { resource: resource(nth), after, at });
        }
        if kind < looks_percent + rebuilds_percent {
            return Op::Rebuild(whole(random.percent(50)));
        }
        if kind < looks_percent + rebuilds_percent + mends_percent {
            return Op::Mend(whole(random.percent(50)));
        }
        if random.percent(10) {
            let event = match random.below(3) {
                0 => Happening::Schema { id: "s".to_owned(), tags: vec![format!("t{}", random.below(3))] },
                _ => Happening::Word(format!("T{}", random.below(3))),
            };
            return self.append(None, None, vec![event], false);
        }
        let events = (0..random.between(1, 3)).map(|_| self.happening(random)).collect();
        let expected = random.percent(20).then(|| self.planned[index(nth)]);
        self.append(Some(nth), expected, events, random.percent(looks_percent))
    }

    /// Perhaps an event that goes with a transaction: it is written if that commits, and only then.
    pub fn attached(&mut self, random: &mut Stream) -> Option<Operation> {
        if !random.percent(self.wish.attached_percent) {
            return None;
        }
        let nth = random.between(1, self.wish.resources);
        self.planned[index(nth)] += 1;
        self.attached += 1;
        let (id, resource) = (format!("attached-{}", self.attached), resource(nth));
        let event = self.happening(random).sent(id, Some(&resource), "2026-01-01T00:00:00Z".to_owned());
        Some(Operation::Append { resource: Some(resource), event })
    }

    fn append(&mut self, nth: Option<u64>, expected: Option<u64>, events: Vec<Happening>, look: bool) -> Op {
        if let Some(nth) = nth {
            self.planned[index(nth)] += events.len() as u64;
        }
        Op::Append(Append {
            resource: nth.map(resource),
            expected,
            events,
            retries: self.retries,
            again: look,
            look,
            at: Projector::First,
        })
    }

    fn happening(&self, random: &mut Stream) -> Happening {
        if random.percent(self.wish.poison_percent) {
            return if random.percent(50) { Happening::Unknown } else { Happening::Malformed };
        }
        let id = annotation(random.between(1, 2));
        let tag = format!("T{}", random.below(3));
        match random.below(14) {
            0 => Happening::Archived,
            1 => Happening::Unarchived,
            2 => Happening::Tagged(tag),
            3 => Happening::Untagged(tag),
            4..=6 => Happening::Annotated { id, body: self.body(random) },
            7 | 8 => Happening::Removed(id),
            9 => Happening::Updated,
            10 => Happening::Created(format!("again{}", random.below(3))),
            _ => Happening::Edited { id, edits: (0..random.between(1, 3)).map(|_| self.edit(random)).collect() },
        }
    }

    fn edit(&self, random: &mut Stream) -> Edit {
        match random.below(4) {
            0 => Edit::Remove(self.item(random)),
            1 => Edit::Replace(self.item(random), self.item(random)),
            _ => Edit::Add(self.item(random)),
        }
    }

    fn body(&self, random: &mut Stream) -> Vec<Item> {
        (0..random.below(4)).map(|_| self.item(random)).collect()
    }

    /// Of few, so that what is removed or replaced is there; of the links some lead to what is never created.
    fn item(&self, random: &mut Stream) -> Item {
        match random.below(5) {
            0 => Item::Text("x".to_owned()),
            1 => Item::Link(EntityId::new("never").expect("a plain word")),
            _ => Item::Link(resource(random.between(1, self.wish.resources))),
        }
    }
}

fn index(nth: u64) -> usize {
    usize::try_from(nth - 1).expect("at most a thousand")
}

fn resource(nth: u64) -> EntityId {
    EntityId::new(format!("r{nth}")).expect("a letter and a number")
}

fn annotation(nth: u64) -> EntityId {
    EntityId::new(format!("a{nth}")).expect("a letter and a number")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn drawn(wish: &Wish, count: usize, seed: u64) -> Vec<Op> {
        let (mut generator, mut random) = (Generator::new(wish, 1), Stream::new(seed, "events"));
        let mut all = generator.creations(&mut random);
        all.extend((0..count).map(|_| generator.next(&mut random)));
        all
    }

    fn happenings(ops: &[Op]) -> impl Iterator<Item = (&Option<EntityId>, &Happening)> {
        let appends = ops.iter().filter_map(|op| match op {
            Op::Append(append) => Some(append),
            _ => None,
        });
        appends.flat_map(|append| append.events.iter().map(|event| (&append.resource, event)))
    }

    #[test]
    fn a_seed_always_makes_the_same() {
        let wish = Wish::default();
        assert_eq!(drawn(&wish, 30, 7), drawn(&wish, 30, 7));
        assert_ne!(drawn(&wish, 30, 7), drawn(&wish, 30, 8));
    }

    #[test]
    fn everything_that_is_promised_occurs() {
        let wish = Wish { poison_percent: 4, rebuilds_percent: 10, mends_percent: 10, ..Wish::default() };
        let ops: Vec<Op> = (0..20).flat_map(|seed| drawn(&wish, 30, seed)).collect();
        let mut seen = BTreeSet::new();
        for (resource, happening) in happenings(&ops) {
            let name = format!("{happening:?}");
            seen.insert(name.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned());
            if let Happening::Annotated { body, .. } = happening {
                let links: Vec<_> = body.iter().filter(|item| matches!(item, Item::Link(_))).collect();
                if links.len() > 1 {
                    seen.insert("several links".to_owned());
                }
                if links.iter().any(|item| matches!(item, Item::Link(to) if Some(to) == resource.as_ref())) {
                    seen.insert("a link to itself".to_owned());
                }
            }
        }
        for op in &ops {
            match op {
                Op::Append(Append { expected: Some(_), .. }) => drop(seen.insert("expected".to_owned())),
                Op::View(_) => drop(seen.insert("view".to_owned())),
                Op::Status { .. } => drop(seen.insert("status".to_owned())),
                Op::Rebuild(whole) => drop(seen.insert(format!("rebuild {}", whole.resource.is_some()))),
                Op::Mend(whole) => drop(seen.insert(format!("mend {}", whole.resource.is_some()))),
                _ => {}
            }
        }
        let wanted = [
            "Annotated",
            "Archived",
            "Cloned",
            "Created",
            "Edited",
            "Malformed",
            "Removed",
            "Schema",
            "Tagged",
            "Unarchived",
            "Unknown",
            "Untagged",
            "Updated",
            "Word",
            "a link to itself",
            "expected",
            "mend false",
            "mend true",
            "rebuild false",
            "rebuild true",
            "several links",
            "status",
            "view",
        ];
        assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn events_go_with_transactions_under_ids_of_their_own() {
        let wish = Wish { attached_percent: 50, ..Wish::default() };
        let (mut generator, mut random) = (Generator::new(&wish, 1), Stream::new(1, "events"));
        let attached: Vec<Operation> = (0..100).filter_map(|_| generator.attached(&mut random)).collect();
        let ids: BTreeSet<_> = attached.iter().map(|operation| format!("{operation:?}")).collect();
        assert!((30..70).contains(&attached.len()), "{}", attached.len());
        assert_eq!(ids.len(), attached.len());
    }

    #[test]
    fn where_no_poison_is_wanted_none_is_made() {
        let ops: Vec<Op> = (0..20).flat_map(|seed| drawn(&Wish::default(), 30, seed)).collect();
        assert!(!happenings(&ops).any(|(_, event)| matches!(event, Happening::Unknown | Happening::Malformed)));
    }
}
