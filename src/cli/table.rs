//! The table that `run` prints: one scenario, one line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use crate::verdict::{Operations, Verdict};

/// What all runs of one scenario came to.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The scenario.
    pub name: String,
    /// Its file, or its name where it is written in Rust.
    pub source: String,
    /// How many runs ended.
    pub runs: u64,
    /// How many of them broke a promise.
    pub failed: u64,
    /// How many broke each property.
    pub violated: BTreeMap<String, u64>,
    /// What became of the clients' operations.
    pub operations: Operations,
    /// How often each kind of fault took effect.
    pub faults: BTreeMap<String, u64>,
    /// In how many runs each of the plan's faults took effect, in the plan's order.
    pub fired: Vec<u64>,
    /// How many runs made each mark.
    pub marks: BTreeMap<String, u64>,
    /// How much each check examined.
    pub checked: BTreeMap<String, u64>,
    /// Simulated time, all runs together.
    pub simulated_ms: u64,
}

impl Row {
    /// In how many of its runs a promise was broken: `swarm (3 of 20)`.
    pub fn failing(&self) -> String {
        format!("{} ({} of {})", self.name, self.failed, self.runs)
    }

    /// Adds a run.
    pub fn add(&mut self, verdict: &Verdict) {
        self.runs += 1;
        self.failed += u64::from(!verdict.violations.is_empty());
        let properties: BTreeSet<&str> = verdict.violations.iter().map(|violation| &*violation.property).collect();
        for property in properties {
            *self.violated.entry(property.to_owned()).or_default() += 1;
        }
        self.operations.ok += verdict.operations.ok;
        self.operations.fail += verdict.operations.fail;
        self.operations.info += verdict.operations.info;
        self.simulated_ms += verdict.simulated_ms;
        self.fired.resize(self.fired.len().max(verdict.fired.len()), 0);
        for (count, fired) in self.fired.iter_mut().zip(&verdict.fired) {
            *count += u64::from(*fired);
        }
        for (name, count) in &verdict.faults {
            *self.faults.entry(name.clone()).or_default() += count;
        }
        for name in verdict.marks.keys() {
            *self.marks.entry(name.clone()).or_default() += 1;
        }
        for (name, count) in &verdict.checked {
            *self.checked.entry(name.clone()).or_default() += count;
        }
    }
}

/// The rows as text, columns aligned, and a line that sums them up.
pub fn render(rows: &[Row], wall: Duration) -> String {
    let header = ["scenario", "seeds", "ok/fail/info", "marks", "faults that took effect"];
    let mut cells: Vec<[String; 5]> = vec![header.map(str::to_owned)];
    for row in rows {
        let Operations { ok, fail, info } = row.operations;
        let faults: Vec<String> = row.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let seeds =
            if row.failed == 0 { row.runs.to_string() } else { format!("{} ({} failed)", row.runs, row.failed) };
        cells.push([
            row.name.clone(),
            seeds,
            format!("{ok}/{fail}/{info}"),
            row.marks.len().to_string(),
            faults.join(", "),
        ]);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..4).map(width).collect();
    let mut text = String::new();
    for [name, seeds, operations, marks, faults] in &cells {
        let line = format!(
            "{name:<w0$}  {seeds:>w1$}  {operations:>w2$}  {marks:>w3$}  {faults}",
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2],
            w3 = widths[3],
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let runs: u64 = rows.iter().map(|row| row.runs).sum();
    let simulated_s = rows.iter().map(|row| row.simulated_ms).sum::<u64>() as f64 / 1_000.0;
    let seconds = wall.as_secs_f64().max(0.001);
    let _ = writeln!(
        text,
        "\n{runs} runs in {seconds:.1} s: {:.1} simulations and {:.0} simulated seconds a second",
        runs as f64 / seconds,
        simulated_s / seconds
    );
    text
}
