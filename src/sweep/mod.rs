//! Sweeps: a crash at every point of a run.
//!
//! The world counts what each host passes: effects of its cores, operations of its disk, messages. A run of a plan
//! without its faults says how many there are; the same plan with one [`Trigger::Ordinal`] is the same run up to that
//! very point, so that each counted point can be crashed at, once by a power cut and once by a kill. What such a run
//! passes after its crash is the recovery, each of whose points can be crashed at in turn.
//!
//! Faults end when the clients are done, and so do the counts: what a system does while it settles is not swept. A
//! scenario that wants the recovery from its last operation swept has a client that comes back later.

mod journal;
mod matrix;
mod sample;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use journal::{Journal, JournalError, program_digest};
pub use matrix::{Coverage, Line, Matrix, Outcome};
pub use sample::Sample;

use crate::plan::{Fault, Plan, PlannedFault, PointKind, Trigger};
use crate::record::Points;
use crate::verdict::Verdict;

/// How many crashes a swept run may have. A third multiplies the runs by hundreds once more.
pub const DEPTH_MAX: usize = 2;

/// Points that a host passed one after another, all of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The host.
    pub host: String,
    /// The kind.
    pub kind: PointKind,
    /// The first ordinal.
    pub first: u64,
    /// The last one, included.
    pub last: u64,
}

impl Span {
    /// How many points it has.
    pub fn points(&self) -> u64 {
        self.last + 1 - self.first
    }

    /// For each point the crashes at it: a power cut and a kill.
    pub fn crashes(&self, restart_after_ms: u64) -> impl Iterator<Item = [PlannedFault; 2]> {
        (self.first..=self.last).map(move |nth| {
            let host = || self.host.clone();
            let at = Trigger::Ordinal { host: host(), kind: self.kind, nth };
            [
                PlannedFault { at: at.clone(), fault: Fault::PowerCut { host: host(), restart_after_ms } },
                PlannedFault { at, fault: Fault::Kill { host: host(), restart_after_ms } },
            ]
        })
    }
}

/// What a run passed on some of its hosts after its last crash, or in all if it had none.
pub fn spans(verdict: &Verdict, hosts: &BTreeSet<String>) -> Vec<Span> {
    let before = |host: &str, kind| passed(&verdict.points_at_crash, host, kind);
    let mut spans = Vec::new();
    for (host, kinds) in verdict.points.iter().filter(|(host, _)| hosts.contains(*host)) {
        for (kind, last) in kinds {
            let first = before(host, *kind) + 1;
            if first <= *last {
                spans.push(Span { host: host.clone(), kind: *kind, first, last: *last });
            }
        }
    }
    spans
}

fn passed(points: &Points, host: &str, kind: PointKind) -> u64 {
    points.get(host).and_then(|kinds| kinds.get(&kind)).copied().unwrap_or(0)
}

/// The plan with these faults and no others, and without the marks that its own faults were there to reach.
pub fn with_crashes<Op: Clone>(plan: &Plan<Op>, crashes: &[PlannedFault]) -> Plan<Op> {
    Plan { faults: crashes.to_vec(), marks: Vec::new(), ..plan.clone() }
}

/// What became of a run with these crashes.
pub fn outcome(crashes: &[PlannedFault], verdict: &Verdict) -> Outcome {
    let mut planned: BTreeMap<String, u64> = BTreeMap::new();
    for crash in crashes {
        *planned.entry(crash.fault.name().to_owned()).or_default() += 1;
    }
    if !verdict.violations.is_empty() {
        Outcome::Violated
    } else if verdict.faults == planned {
        Outcome::Passed
    } else {
        Outcome::DidNotStrike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::check::Violation;

    fn points(counts: &[(&str, PointKind, u64)]) -> Points {
        let mut points = Points::new();
        for (host, kind, count) in counts {
            points.entry((*host).to_owned()).or_default().insert(*kind, *count);
        }
        points
    }

    fn verdict(passed: Points, at_crash: Points, faults: &[(&str, u64)]) -> Verdict {
        Verdict {
            scenario: "story".to_owned(),
            faults: faults.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            points: passed,
            points_at_crash: at_crash,
            ..Verdict::default()
        }
    }

    fn hosts() -> BTreeSet<String> {
        ["a", "b"].map(str::to_owned).into()
    }

    fn span(host: &str, kind: PointKind, first: u64, last: u64) -> Span {
        Span { host: host.to_owned(), kind, first, last }
    }

    #[test]
    fn without_a_crash_every_point_of_the_systems_hosts_is_swept() {
        let passed =
            points(&[("a", PointKind::Disk, 3), ("a", PointKind::Effect, 1), ("client", PointKind::Network, 9)]);
        let spans = spans(&verdict(passed, Points::new(), &[]), &hosts());
        assert_eq!(spans, [span("a", PointKind::Effect, 1, 1), span("a", PointKind::Disk, 1, 3)]);
        assert_eq!(spans.iter().map(Span::points).sum::<u64>(), 4);
    }

    #[test]
    fn after_a_crash_only_what_follows_it_is_swept() {
        let passed = points(&[("a", PointKind::Disk, 9), ("a", PointKind::Effect, 2), ("b", PointKind::Disk, 4)]);
        let at_crash = points(&[("a", PointKind::Disk, 5), ("a", PointKind::Effect, 2)]);
        let spans = spans(&verdict(passed, at_crash, &[("kill", 1)]), &hosts());
        assert_eq!(spans, [span("a", PointKind::Disk, 6, 9), span("b", PointKind::Disk, 1, 4)]);
    }

    #[test]
    fn a_point_is_crashed_at_in_both_ways() {
        let crashes: Vec<_> = span("a", PointKind::Disk, 6, 7).crashes(200).collect();
        let told: Vec<String> =
            crashes.iter().flatten().map(|crash| format!("{} {}", crash.fault.name(), crash.at)).collect();
        let expected = ["power_cut at disk point #6 on a", "kill at disk point #6 on a"];
        assert_eq!((told.len(), &told[..2]), (4, &expected.map(str::to_owned)[..]));
    }

    #[test]
    fn a_run_counts_only_if_all_its_crashes_took_effect() {
        let [cut, kill] = span("a", PointKind::Disk, 1, 1).crashes(200).next().expect("there is one point");
        let with = |faults| verdict(Points::new(), Points::new(), faults);
        let both = [cut.clone(), kill];
        assert_eq!(outcome(&both, &with(&[("kill", 1), ("power_cut", 1)])), Outcome::Passed);
        assert_eq!(outcome(&both, &with(&[("kill", 1)])), Outcome::DidNotStrike);
        let twice = [cut.clone(), cut.clone()];
        assert_eq!(outcome(&twice, &with(&[("power_cut", 1)])), Outcome::DidNotStrike);
        assert_eq!(outcome(&[], &with(&[])), Outcome::Passed);
        let mut violated = with(&[("power_cut", 1)]);
        violated.violations.push(Violation::new("atomicity", "orphan"));
        assert_eq!(outcome(&[cut], &violated), Outcome::Violated);
    }
}
