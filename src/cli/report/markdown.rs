//! The report as Markdown, for the page of a job.

use std::fmt::Write;

use super::{Failed, Missing, Report};
use crate::cli::{PASSED, VIOLATED};

/// The document: what failed first, then a line a scenario.
pub fn document(report: &Report) -> String {
    let mut text = String::new();
    let outcome = match report.exit_code() {
        PASSED => "passed",
        VIOLATED => "failed",
        _ => "the harness failed",
    };
    let _ = writeln!(text, "## squall: {outcome}\n");
    for failed in &report.failures {
        let Failed { scenario, seed, violation, report: page, shrunk, .. } = failed;
        let _ = writeln!(text, "### {} in {scenario} with seed {seed}\n", escaped(&violation.property));
        let _ =
            writeln!(text, "- expected: {}\n- actual: {}", escaped(&violation.expected), escaped(&violation.actual));
        if let Some(shrunk) = shrunk {
            let _ = writeln!(text, "- shrunk to {} in {} runs", shrunk.to, shrunk.runs);
        }
        if let Some(page) = page {
            let _ = writeln!(text, "- report: `{}`", page.display());
        }
        let _ = writeln!(text, "- to repeat: `{}`\n", failed.command());
    }
    for Missing { scenario, what } in &report.missing {
        let _ = writeln!(text, "- **{}** missed what it is there for: {}", escaped(scenario), escaped(what));
    }
    if let Some(differing) = &report.differing {
        let _ = writeln!(text, "### A run is not deterministic\n\n```text\n{}\n```", differing.trim_end());
    }
    if let Some(broken) = report.broken() {
        let _ = writeln!(text, "### The harness itself failed\n\n```text\n{}\n```", broken.trim_end());
    }
    if !report.missing.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "| scenario | runs | failed | ok / fail / info | marks | faults that took effect |");
    let _ = writeln!(text, "|---|---:|---:|---:|---:|---|");
    for row in &report.rows {
        let faults: Vec<String> = row.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let operations = row.operations;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} / {} / {} | {} | {} |",
            escaped(&row.name),
            row.runs,
            row.failed,
            operations.ok,
            operations.fail,
            operations.info,
            row.marks.len(),
            faults.join(", "),
        );
    }
    let runs: u64 = report.rows.iter().map(|row| row.runs).sum();
    let _ = writeln!(text, "\n{runs} runs in {:.1} s; {}", report.wall.as_secs_f64(), report.reached);
    text
}

/// What would be taken for a mark-up, or would end a line or a cell.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\n' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}
