//! Annotations on GitHub's job page: workflow commands, a line each.

use std::fmt::Write;

use super::Report;

/// The annotations.
pub fn annotations(report: &Report) -> String {
    let mut text = String::new();
    let file = |scenario: &str| {
        let row = report.rows.iter().find(|row| row.name == scenario);
        row.map_or_else(String::new, |row| format!("file={},", property(&row.source)))
    };
    for failed in &report.failures {
        let title = format!("{} violated in {} with seed {}", failed.violation.property, failed.scenario, failed.seed);
        let message = format!("{}\n{}", failed.violation, failed.command());
        let _ = writeln!(text, "::error {}title={}::{}", file(&failed.scenario), property(&title), data(&message));
    }
    for missing in &report.missing {
        let title = format!("{} did not reach what it is there for", missing.scenario);
        let file = file(&missing.scenario);
        let _ = writeln!(text, "::error {file}title={}::{}", property(&title), data(&missing.what));
    }
    if let Some(differing) = &report.differing {
        let _ = writeln!(text, "::error title=a run is not deterministic::{}", data(differing));
    }
    if let Some(broken) = report.broken() {
        let _ = writeln!(text, "::error title=the harness failed::{}", data(&broken));
    }
    text
}

/// What ends a command has to be written in another way.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The same for a property, which ends earlier.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
