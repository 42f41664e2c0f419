//! What runs reached: marks that cores made, and faults in the stages that they struck.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::Topology;
use crate::record::BEFORE_THE_FIRST;
use crate::verdict::Verdict;

/// Kinds of faults that are a crash of a process and nothing else.
const CRASHES: [&str; 2] = ["kill", "power_cut"];

/// What there is to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The marks.
    pub marks: Vec<String>,
    /// The kinds of faults: the columns of the matrix.
    pub faults: Vec<String>,
    /// The stages, in the order of the hosts: its lines.
    pub stages: Vec<String>,
}

impl Ground {
    /// Of a system, or of what options make of it: the marks, and the points of the hosts. What several have counts once.
    pub fn new<'a>(faults: &[&str], topologies: impl IntoIterator<Item = &'a Topology>) -> Ground {
        let (mut marks, mut stages) = (Vec::new(), vec![BEFORE_THE_FIRST.to_owned()]);
        let add = |names: &mut Vec<String>, name: &String| {
            if !names.contains(name) {
                names.push(name.clone());
            }
        };
        for topology in topologies {
            topology.marks.iter().for_each(|mark| add(&mut marks, mark));
            for host in &topology.hosts {
                host.points.iter().chain(&host.passes).for_each(|point| add(&mut stages, point));
            }
        }
        Ground { marks, faults: faults.iter().map(|kind| (*kind).to_owned()).collect(), stages }
    }

    fn has(&self, stage: &str, fault: &str) -> bool {
        self.stages.iter().any(|known| known == stage) && self.faults.iter().any(|known| known == fault)
    }
}

/// What has been reached, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    marks: BTreeMap<String, u64>,
    /// By stage and kind of fault.
    struck: BTreeMap<(String, String), u64>,
}

impl Coverage {
    /// Adds a run. Returns how much of what it reached had not been reached before.
    pub fn add(&mut self, verdict: &Verdict) -> usize {
        let before = self.reached();
        for mark in verdict.marks.keys() {
            *self.marks.entry(mark.clone()).or_default() += 1;
        }
        for (fault, stages) in &verdict.struck {
            for (stage, times) in stages {
                *self.struck.entry((stage.clone(), fault.clone())).or_default() += times;
            }
        }
        self.reached() - before
    }

    /// How many marks and pairs of a fault and a stage have been reached.
    pub fn reached(&self) -> usize {
        self.marks.len() + self.struck.len()
    }

    /// The marks that no run made.
    pub fn missing_marks<'a>(&self, ground: &'a Ground) -> Vec<&'a str> {
        ground.marks.iter().filter(|mark| !self.marks.contains_key(*mark)).map(String::as_str).collect()
    }

    /// The stages at which no process was crashed.
    pub fn missing_crashes<'a>(&self, ground: &'a Ground) -> Vec<&'a str> {
        let crashed = |stage: &&String| {
            CRASHES.iter().any(|crash| self.struck.contains_key(&((*stage).clone(), (*crash).to_owned())))
        };
        ground.stages.iter().filter(|stage| !crashed(stage)).map(String::as_str).collect()
    }

    /// What has been reached of what there is, in a line.
    pub fn summary(&self, ground: &Ground) -> String {
        let marks = ground.marks.len() - self.missing_marks(ground).len();
        let crashes = ground.stages.len() - self.missing_crashes(ground).len();
        let pairs = self.struck.keys().filter(|(stage, fault)| ground.has(stage, fault)).count();
        format!(
            "reached {marks} of {} marks, faults in {pairs} of {} pairs of a kind and a stage, crashes at {crashes} of {} stages",
            ground.marks.len(),
            ground.faults.len() * ground.stages.len(),
            ground.stages.len(),
        )
    }

    /// Faults by stages, how often each took effect.
    pub fn matrix<'a>(&'a self, ground: &'a Ground) -> Matrix<'a> {
        Matrix { coverage: self, ground }
    }
}

/// A line a stage, a column a kind of fault.
pub struct Matrix<'a> {
    coverage: &'a Coverage,
    ground: &'a Ground,
}

impl fmt::Display for Matrix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Matrix { coverage, ground: Ground { faults, stages, .. } } = self;
        let width = stages.iter().map(String::len).max().unwrap_or_default();
        // The names of the columns one below the other, each ending above its own.
        for (place, fault) in faults.iter().enumerate() {
            let bars = "   |".repeat(place);
            writeln!(f, "{:width$}{bars}   {fault}", "")?;
        }
        for stage in stages {
            write!(f, "{stage:width$}")?;
            for fault in faults {
                match coverage.struck.get(&(stage.clone(), fault.clone())) {
                    None => write!(f, "   ·")?,
                    Some(times) if *times > 999 => write!(f, " >1k")?,
                    Some(times) => write!(f, "{times:>4}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sut::HostSpec;

    pub(crate) fn ground() -> Ground {
        let topologies = [topology(&["decide.before"]), topology(&["decide.before", "decide.after"])];
        Ground::new(&["kill", "stall"], &topologies)
    }

    fn topology(points: &[&str]) -> Topology {
        let points = points.iter().map(|point| (*point).to_owned()).collect();
        let hosts = vec![HostSpec { points, ..HostSpec::new("coordinator") }, HostSpec::new("graph")];
        Topology { hosts, marks: vec!["fenced".to_owned(), "committed".to_owned()], checks: Vec::new() }
    }

    pub(crate) fn verdict(marks: &[&str], struck: &[(&str, &str, u64)]) -> Verdict {
        let marks = marks.iter().map(|mark| ((*mark).to_owned(), 1)).collect();
        let mut verdict = Verdict { marks, ..Verdict::default() };
        for (fault, stage, times) in struck {
            verdict.struck.entry((*fault).to_owned()).or_default().insert((*stage).to_owned(), *times);
        }
        verdict
    }

    #[test]
    fn what_was_reached_before_is_not_new() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.add(&verdict(&["committed"], &[("kill", "start", 1), ("kill", "decide.after", 2)])), 3);
        assert_eq!(coverage.add(&verdict(&["committed"], &[("kill", "start", 1)])), 0);
        assert_eq!(coverage.add(&verdict(&["fenced"], &[("stall", "start", 1)])), 2);
        assert_eq!(coverage.reached(), 5);
    }

    #[test]
    fn what_was_not_reached_is_named() {
        let (ground, mut coverage) = (ground(), Coverage::default());
        coverage.add(&verdict(&["committed"], &[("kill", "decide.after", 2), ("stall", "start", 1)]));
        assert_eq!(coverage.missing_marks(&ground), ["fenced"]);
        assert_eq!(coverage.missing_crashes(&ground), ["start", "decide.before"], "a stall is no crash");
        assert_eq!(
            coverage.summary(&ground),
            "reached 1 of 2 marks, faults in 2 of 6 pairs of a kind and a stage, crashes at 1 of 3 stages"
        );
    }

    #[test]
    fn what_several_systems_have_counts_once_and_what_none_has_not_at_all() {
        let (ground, mut coverage) = (ground(), Coverage::default());
        assert_eq!(ground.stages, ["start", "decide.before", "decide.after"]);
        coverage
            .add(&verdict(&["gone"], &[("kill", "decide.before", 1), ("kill", "of.another", 1), ("hail", "start", 1)]));
        let summary = coverage.summary(&ground);
        assert!(summary.starts_with("reached 0 of 2 marks, faults in 1 of 6 pairs"), "{summary}");
    }

    #[test]
    fn the_matrix_has_a_line_for_each_stage() {
        let mut coverage = Coverage::default();
        coverage.add(&verdict(&[], &[("kill", "decide.after", 12), ("stall", "start", 1_000)]));
        let shown = coverage.matrix(&ground()).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "                kill",
                "                |   stall",
                "start           · >1k",
                "decide.before   ·   ·",
                "decide.after   12   ·",
            ]
        );
    }
}
