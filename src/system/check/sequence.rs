//! The events of every entity are numbered without gap and without duplicate.

use std::collections::BTreeMap;

use graph::{EntityId, TxId};

use super::{CoordinatorRecord, stores};
use crate::check::{Checker, Verdict, Violation};

/// Sequence numbers start at 1 and rise by 1, in the order in which events were appended, and an entity shows the
/// number and the transaction of its last event.
#[derive(Clone, Copy, Debug)]
pub struct Sequence;

impl Checker<CoordinatorRecord> for Sequence {
    fn name(&self) -> &'static str {
        "sequence"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let dump = match stores(self.name(), record) {
            Ok(dump) => dump,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict::default();
        let mut last: BTreeMap<&EntityId, (u64, TxId)> = BTreeMap::new();
        for (index, event) in dump.events.iter().enumerate() {
            verdict.checked += 1;
            let before = last.insert(&event.resource, (event.sequence, event.tx)).map_or(0, |(sequence, _)| sequence);
            if event.sequence != before + 1 {
                verdict.violations.push(
                    Violation::new(self.name(), "the numbers of an entity's events are not contiguous")
                        .at_step(index as u64)
                        .expected(format!("event {} of {}", before + 1, event.resource))
                        .actual(format!("event {} of {}", event.sequence, event.tx)),
                );
            }
        }
        for view in dump.entities.values() {
            verdict.checked += 1;
            let last = last.get(&view.id).copied();
            if last != Some((view.version, view.tx)) {
                let last = last.map_or("none".to_owned(), |(sequence, tx)| format!("{sequence} of {tx}"));
                verdict.violations.push(
                    Violation::new(self.name(), "an entity does not show its last event")
                        .expected(format!("the last event of {}, which is {last}", view.id))
                        .actual(format!("version {} of {}", view.version, view.tx)),
                );
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Run, caught, passed};
    use super::*;

    /// The places of alice's events.
    fn of_alice(run: &Run) -> Vec<usize> {
        (0..run.events.len()).filter(|place| run.events[*place].resource == run.alice).collect()
    }

    #[test]
    fn a_gap_a_duplicate_and_a_late_start_are_caught() {
        let key = "the numbers of an entity's events are not contiguous";
        caught(&Sequence, key, |run| drop(run.events.remove(of_alice(run)[1])));
        caught(&Sequence, key, |run| drop(run.events.remove(of_alice(run)[0])));
        caught(&Sequence, key, |run| {
            let again = run.events[of_alice(run)[0]].clone();
            run.events.insert(of_alice(run)[1], again);
        });
    }

    #[test]
    fn events_in_the_wrong_order_are_caught() {
        let mut run = Run::sound(super::super::fixture::CASTS[0]);
        let places = of_alice(&run);
        run.events.swap(places[0], places[1]);
        assert!(!Sequence.check(&run.record()).violations.is_empty());
    }

    #[test]
    fn an_entity_that_does_not_show_its_last_event_is_caught() {
        let key = "an entity does not show its last event";
        caught(&Sequence, key, |run| run.entities.get_mut(&run.alice).unwrap().version += 1);
        caught(&Sequence, key, |run| run.entities.get_mut(&run.alice).unwrap().tx = run.log[0].tx);
        caught(&Sequence, key, |run| drop(run.events.remove(*of_alice(run).last().unwrap())));
        caught(&Sequence, key, |run| run.events.retain(|event| event.resource != run.alice));
    }

    #[test]
    fn the_numbers_go_on_after_a_deletion() {
        passed(&Sequence, |run| {
            let carol = EntityId::new("carol").unwrap();
            run.commit(vec![run.create(&carol, 7)]);
            run.commit(vec![graph::Operation::Delete { id: carol.clone() }]);
            run.commit(vec![run.create(&carol, 8)]);
            assert_eq!(run.entities[&carol].version, 3);
        });
    }
}
