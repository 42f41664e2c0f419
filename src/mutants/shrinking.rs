//! How small the failures of planted bugs become: the table of `docs/shrinking.md`.

use std::fmt;

use serde::Deserialize;

/// What is read of the JSON that `squall run --format json` prints.
#[derive(Deserialize)]
struct Document {
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    property: String,
    shrunk: Option<Shrunk>,
}

/// How a failure was shrunk, as `squall run` tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Shrunk {
    /// How large the plan was.
    pub from: Size,
    /// How large it is.
    pub to: Size,
    /// How many runs it took.
    pub runs: u64,
    /// Whether nothing more can be taken away.
    pub minimal: bool,
    /// How long it took, in real time.
    pub seconds: f64,
}

/// How large a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Size {
    /// How many clients.
    pub clients: u64,
    /// How many operations.
    pub operations: u64,
    /// How many faults.
    pub faults: u64,
}

/// Of the failures that a run printed: that of one of these checks, or the first; none where nothing failed.
pub fn read(printed: &str, checks: &[String]) -> Result<Option<(String, Shrunk)>, String> {
    let Document { failures } = serde_json::from_str(printed).map_err(|error| error.to_string())?;
    let rank = |failure: &&Failure| !checks.contains(&failure.property);
    let Some(failure) = failures.iter().min_by_key(rank) else { return Ok(None) };
    let shrunk = failure.shrunk.clone().ok_or("it was not shrunk")?;
    Ok(Some((failure.property.clone(), shrunk)))
}

/// A table in Markdown, with the medians below it.
#[derive(Default)]
pub struct Table {
    rows: Vec<Shrunk>,
}

impl Table {
    /// The lines above it.
    pub fn header() -> &'static str {
        "| planted bug | found by | from: faults, operations, clients | to | runs | seconds | minimal |\n|---|---|---|---|---|---|---|"
    }

    /// Adds a row, and returns it.
    pub fn add(&mut self, name: &str, property: &str, shrunk: Shrunk) -> String {
        let Shrunk { from, to, runs, minimal, seconds } = &shrunk;
        let minimal = if *minimal { "yes" } else { "no" };
        let row = format!("| `{name}` | {property} | {from} | {to} | {runs} | {seconds:.1} | {minimal} |");
        self.rows.push(shrunk);
        row
    }

    /// The medians.
    pub fn medians(&self) -> String {
        let of = |value: &dyn Fn(&Shrunk) -> f64| {
            let mut values: Vec<f64> = self.rows.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        format!(
            "median of {}: {} faults, {} operations, {} runs, {:.1} s",
            self.rows.len(),
            of(&|row| row.to.faults as f64),
            of(&|row| row.to.operations as f64),
            of(&|row| row.runs as f64),
            of(&|row| row.seconds),
        )
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.faults, self.operations, self.clients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shrunk(faults: u64, seconds: f64) -> Shrunk {
        let from = Size { clients: 3, operations: 30, faults: 8 };
        Shrunk { from, to: Size { clients: 1, operations: 2, faults }, runs: 7, minimal: true, seconds }
    }

    #[test]
    fn what_a_check_is_there_for_comes_first() {
        let failure = |property: &str, runs: u64| {
            let size = r#"{"clients":1,"operations":2,"faults":3}"#;
            format!(
                r#"{{"property":"{property}","seed":1,"shrunk":{{"from":{size},"to":{size},"runs":{runs},"minimal":true,"seconds":0.5}}}}"#
            )
        };
        let printed = format!(r#"{{"failures":[{},{}]}}"#, failure("metrics", 1), failure("atomicity", 2));
        let read = |checks: &[&str]| {
            let checks: Vec<String> = checks.iter().map(|check| (*check).to_owned()).collect();
            read(&printed, &checks).unwrap().map(|(property, shrunk)| (property, shrunk.runs))
        };
        assert_eq!(read(&["atomicity"]), Some(("atomicity".to_owned(), 2)));
        assert_eq!(read(&["liveness"]), Some(("metrics".to_owned(), 1)));
        assert_eq!(super::read(r#"{"failures":[]}"#, &[]), Ok(None));
        assert!(super::read("panicked", &[]).is_err());
        assert!(super::read(r#"{"failures":[{"property":"x","shrunk":null}]}"#, &[]).is_err());
    }

    #[test]
    fn rows_and_medians() {
        let mut table = Table::default();
        let row = table.add("a", "atomicity", shrunk(4, 9.0));
        assert_eq!(row, "| `a` | atomicity | 8, 30, 3 | 4, 2, 1 | 7 | 9.0 | yes |");
        table.add("b", "atomicity", shrunk(1, 1.0));
        table.add("c", "atomicity", shrunk(2, 2.0));
        assert_eq!(table.medians(), "median of 3: 2 faults, 2 operations, 7 runs, 2.0 s");
    }
}
