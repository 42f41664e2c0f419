//! What a sweep came to: for each host and kind of point, how many there are and how the runs ended.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::{PlannedFault, PointKind, Trigger};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Each of its crashes took effect, and every promise was kept.
    Passed,
    /// A promise was broken.
    Violated,
    /// No promise was broken, but not every crash took effect: the run says nothing about its point.
    DidNotStrike,
}

/// Which line of the matrix: that of the last crash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The scenario.
    pub scenario: String,
    /// How many crashes the runs have.
    pub depth: usize,
    /// The host of the last one.
    pub host: String,
    /// The kind of point of the last one.
    pub kind: PointKind,
}

impl Line {
    /// The line of a run with these crashes; `None` without any, or when the last one strikes at no point.
    pub fn of(scenario: &str, crashes: &[PlannedFault]) -> Option<Line> {
        let Trigger::Ordinal { host, kind, .. } = &crashes.last()?.at else { return None };
        Some(Line { scenario: scenario.to_owned(), depth: crashes.len(), host: host.clone(), kind: *kind })
    }
}

/// What a sweep says about the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Each planned run ended, with its crashes in effect and every promise kept, and no point was left out.
    All {
        /// How many points there are.
        points: u64,
    },
    /// The same of the points that were tried; others were left out on purpose.
    Sample {
        /// How many were tried.
        tried: u64,
        /// How many there are, as far as is known: what would follow a crash that was not tried is not counted.
        points: u64,
    },
    /// Some planned run has not ended, failed, or says nothing about its point; or there was nothing to try.
    Incomplete,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cells {
    /// The points that are tried.
    points: u64,
    /// Those that are not.
    left_out: u64,
    planned: u64,
    passed: u64,
    violated: u64,
    did_not_strike: u64,
}

impl Cells {
    fn ended(self) -> u64 {
        self.passed + self.violated + self.did_not_strike
    }
}

/// The matrix of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    lines: BTreeMap<Line, Cells>,
}

impl Matrix {
    /// Plans some points with so many runs each.
    pub fn plan(&mut self, line: Line, points: u64, runs_each: u64) {
        let cells = self.lines.entry(line).or_default();
        cells.points += points;
        cells.planned += points * runs_each;
    }

    /// Leaves out some points.
    pub fn leave_out(&mut self, line: Line, points: u64) {
        self.lines.entry(line).or_default().left_out += points;
    }

    /// Counts a run that ended.
    pub fn ended(&mut self, line: Line, outcome: Outcome) {
        let cells = self.lines.entry(line).or_default();
        match outcome {
            Outcome::Passed => cells.passed += 1,
            Outcome::Violated => cells.violated += 1,
            Outcome::DidNotStrike => cells.did_not_strike += 1,
        }
    }

    /// What can be said about the points.
    pub fn coverage(&self) -> Coverage {
        let sum = |count: fn(&Cells) -> u64| self.lines.values().map(count).sum::<u64>();
        let (tried, left_out) = (sum(|cells| cells.points), sum(|cells| cells.left_out));
        let complete = |cells: &Cells| cells.passed == cells.planned && cells.ended() == cells.planned;
        match () {
            () if tried == 0 || !self.lines.values().all(complete) => Coverage::Incomplete,
            () if left_out == 0 => Coverage::All { points: tried },
            () => Coverage::Sample { tried, points: tried + left_out },
        }
    }

    /// How many planned runs have not ended.
    pub fn unfinished(&self) -> u64 {
        self.lines.values().map(|cells| cells.planned.saturating_sub(cells.ended())).sum()
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["scenario", "depth", "host", "kind", "points", "runs", "passed", "violated", "did not strike"];
        let mut rows: Vec<[String; 9]> = vec![header.map(str::to_owned)];
        for (Line { scenario, depth, host, kind }, cells) in &self.lines {
            let Cells { points, left_out, passed, violated, did_not_strike, .. } = cells;
            let words = [scenario.clone(), depth.to_string(), host.clone(), kind.name().to_owned()];
            let points = if *left_out == 0 { points.to_string() } else { format!("{points} of {}", points + left_out) };
            let figures = [cells.ended(), *passed, *violated, *did_not_strike].map(|count| count.to_string());
            let mut row = words.into_iter().chain([points]).chain(figures);
            rows.push(std::array::from_fn(|_| row.next().unwrap_or_default()));
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: [usize; 9] = std::array::from_fn(width);
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                // Names to the left, figures to the right.
                line +=
                    &if matches!(column, 0 | 2 | 3) { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
                line += "  ";
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(depth: usize) -> Line {
        Line { scenario: "story".to_owned(), depth, host: "a".to_owned(), kind: PointKind::Disk }
    }

    fn planned() -> Matrix {
        let mut matrix = Matrix::default();
        matrix.plan(line(1), 2, 2);
        for _ in 0..3 {
            matrix.ended(line(1), Outcome::Passed);
        }
        matrix
    }

    #[test]
    fn all_is_covered_when_the_last_planned_run_has_passed() {
        let mut matrix = planned();
        assert_eq!((matrix.coverage(), matrix.unfinished()), (Coverage::Incomplete, 1));
        matrix.ended(line(1), Outcome::Passed);
        assert_eq!((matrix.coverage(), matrix.unfinished()), (Coverage::All { points: 2 }, 0));
    }

    #[test]
    fn a_run_that_failed_or_did_not_strike_covers_nothing() {
        for outcome in [Outcome::Violated, Outcome::DidNotStrike] {
            let mut matrix = planned();
            matrix.ended(line(1), outcome);
            assert_eq!((matrix.coverage(), matrix.unfinished()), (Coverage::Incomplete, 0), "{outcome:?}");
        }
    }

    #[test]
    fn one_line_does_not_make_up_for_another() {
        let mut matrix = planned();
        matrix.plan(line(2), 1, 2);
        for _ in 0..3 {
            matrix.ended(line(2), Outcome::Passed);
        }
        assert_eq!(matrix.coverage(), Coverage::Incomplete);
    }

    #[test]
    fn of_nothing_nothing_is_covered() {
        let mut matrix = Matrix::default();
        assert_eq!(matrix.coverage(), Coverage::Incomplete);
        matrix.leave_out(line(1), 3);
        assert_eq!(matrix.coverage(), Coverage::Incomplete);
    }

    #[test]
    fn what_was_left_out_is_told_and_all_is_not_covered() {
        let mut matrix = planned();
        matrix.leave_out(line(1), 5);
        assert_eq!(matrix.coverage(), Coverage::Incomplete);
        matrix.ended(line(1), Outcome::Passed);
        assert_eq!(matrix.coverage(), Coverage::Sample { tried: 2, points: 7 });
        let text = matrix.to_string();
        assert!(text.lines().nth(1).is_some_and(|row| row.contains("  2 of 7  ")), "{text}");
    }

    #[test]
    fn the_columns_are_aligned() {
        let text = planned().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "scenario  depth  host  kind  points  runs  passed  violated  did not strike");
        assert_eq!(lines[1], "story         1  a     disk       2     3       3         0               0");
    }
}
