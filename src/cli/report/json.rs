//! The report as one JSON document.

use serde_json::{Value, json};

use super::Report;
use crate::cli::failures::Shrinking;
use crate::shrink::Size;

/// The version of the document's form.
const FORMAT: u32 = 1;

/// What shrinking came to.
fn shrunk(Shrinking { from, to, runs, wall, minimal, others }: &Shrinking) -> Value {
    let size = |size: &Size| json!({ "clients": size.clients, "operations": size.operations, "faults": size.faults });
    let others = others.iter().map(|(violation, capsule)| {
        json!({ "property": violation.property, "fingerprint": violation.fingerprint(), "capsule": capsule })
    });
    json!({
        "from": size(from),
        "to": size(to),
        "runs": runs,
        "seconds": wall.as_secs_f64(),
        "minimal": minimal,
        "others": others.collect::<Vec<_>>(),
    })
}

/// The document. Keys are only ever added while `format` stays the same.
pub fn document(report: &Report) -> Value {
    let scenarios = report.rows.iter().map(|row| {
        json!({
            "name": row.name,
            "source": row.source,
            "runs": row.runs,
            "failed": row.failed,
            "violated": row.violated,
            "operations": row.operations,
            "faults": row.faults,
            "marks": row.marks,
            "checked": row.checked,
            "simulated_ms": row.simulated_ms,
        })
    });
    let failures = report.failures.iter().map(|failed| {
        json!({
            "scenario": failed.scenario,
            "seed": failed.seed,
            "property": failed.violation.property,
            "key": failed.violation.key,
            "fingerprint": failed.violation.fingerprint(),
            "step": failed.violation.step,
            "expected": failed.violation.expected,
            "actual": failed.violation.actual,
            "details": failed.violation.details,
            "capsule": failed.capsule,
            "report": failed.report,
            "replay": failed.command(),
            "shrunk": failed.shrunk.as_ref().map(shrunk),
        })
    });
    let missing = report.missing.iter().map(|missing| json!({ "scenario": missing.scenario, "what": missing.what }));
    json!({
        "format": FORMAT,
        "system": report.system,
        "exit_code": report.exit_code(),
        "runs": report.rows.iter().map(|row| row.runs).sum::<u64>(),
        "digest": report.digest,
        "seconds": report.wall.as_secs_f64(),
        "reached": report.reached,
        "verified": report.verified,
        "differences": report.differences,
        "nondeterminism": report.differing,
        "broken": report.broken,
        "scenarios": scenarios.collect::<Vec<_>>(),
        "failures": failures.collect::<Vec<_>>(),
        "missing": missing.collect::<Vec<_>>(),
    })
}
