//! The events of every entity are numbered without gap and without duplicate.

use std::collections::BTreeMap;

use super::CoordinatorRecord;
use crate::check::{Checker, Verdict, Violation};
use crate::system::dump;

/// Sequence numbers start at 1 and rise by 1, in the order in which events were appended.
#[derive(Clone, Copy, Debug)]
pub struct Sequence;

impl Checker<CoordinatorRecord> for Sequence {
    fn name(&self) -> &'static str {
        "sequence"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let mut verdict = Verdict::default();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for (index, event) in dump::events(&record.dumps).into_iter().enumerate() {
            verdict.checked += 1;
            let last = last.entry(event.resource.clone()).or_default();
            if event.sequence != *last + 1 {
                verdict.violations.push(
                    Violation::new(self.name(), "the numbers of an entity's events are not contiguous")
                        .at_step(index as u64)
                        .expected(format!("event {} of {}", *last + 1, event.resource))
                        .actual(format!("event {} of {}", event.sequence, event.tx)),
                );
            }
            *last = event.sequence;
        }
        verdict
    }
}
