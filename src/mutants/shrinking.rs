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

/// Of the failures that a run printed and made small: that of one of these checks, or the first; none where nothing failed.
pub fn read(printed: &str, checks: &[String]) -> Result<Option<(String, Shrunk)>, String> {
    let Document { failures } = serde_json::from_str(printed).map_err(|error| error.to_string())?;
    let rank = |failure: &&Failure| (failure.shrunk.is_none(), !checks.contains(&failure.property));
    let Some(failure) = failures.iter().min_by_key(rank) else { return Ok(None) };
    let shrunk = failure.shrunk.clone().ok_or("it was not shrunk")?;
    Ok(Some((failure.property.clone(), shrunk)))
}

/// A table in Markdown, with the medians below it.
#[derive(Debug, Default, PartialEq)]
pub struct Table {
    rows: Vec<Row>,
}

#[derive(Debug, PartialEq)]
struct Row {
    mutant: String,
    property: String,
    shrunk: Shrunk,
}

const HEADER: &str = "| planted bug | found by | from: faults, operations, clients | to | runs | seconds | minimal |\n\
                      |---|---|---|---|---|---|---|";

impl Table {
    /// Reads what [`Table`] shows: lines that are no row of it are not looked at.
    pub fn read(text: &str) -> Table {
        Table { rows: text.lines().filter_map(Row::read).collect() }
    }

    /// Whether a mutant has its row.
    pub fn has(&self, mutant: &str) -> bool {
        self.rows.iter().any(|row| row.mutant == mutant)
    }

    /// Adds a row, and returns it.
    pub fn add(&mut self, mutant: &str, property: &str, shrunk: Shrunk) -> String {
        let row = Row { mutant: mutant.to_owned(), property: property.to_owned(), shrunk };
        let text = row.to_string();
        self.rows.push(row);
        self.rows.sort_by(|a, b| a.mutant.cmp(&b.mutant));
        text
    }

    /// The medians.
    pub fn medians(&self) -> String {
        let of = |value: &dyn Fn(&Shrunk) -> f64| {
            let mut values: Vec<f64> = self.rows.iter().map(|row| value(&row.shrunk)).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        format!(
            "median of {}: {} faults, {} operations, {} runs, {:.1} s",
            self.rows.len(),
            of(&|shrunk| shrunk.to.faults as f64),
            of(&|shrunk| shrunk.to.operations as f64),
            of(&|shrunk| shrunk.runs as f64),
            of(&|shrunk| shrunk.seconds),
        )
    }
}

/// The whole of it.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        writeln!(f, "\n{}", self.medians())
    }
}

impl Row {
    fn read(line: &str) -> Option<Row> {
        let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [mutant, property, from, to, runs, seconds, minimal] = cells[..] else { return None };
        Some(Row {
            mutant: mutant.strip_prefix('`')?.strip_suffix('`')?.to_owned(),
            property: property.to_owned(),
            shrunk: Shrunk {
                from: Size::read(from)?,
                to: Size::read(to)?,
                runs: runs.parse().ok()?,
                minimal: minimal == "yes",
                seconds: seconds.parse().ok()?,
            },
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { mutant, property, shrunk: Shrunk { from, to, runs, minimal, seconds } } = self;
        let minimal = if *minimal { "yes" } else { "no" };
        write!(f, "| `{mutant}` | {property} | {from} | {to} | {runs} | {seconds:.1} | {minimal} |")
    }
}

impl Size {
    fn read(cell: &str) -> Option<Size> {
        let numbers: Option<Vec<u64>> = cell.split(", ").map(|number| number.parse().ok()).collect();
        let [faults, operations, clients] = numbers?[..] else { return None };
        Some(Size { clients, operations, faults })
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
        assert!(table.has("c") && !table.has("d"));
    }

    #[test]
    fn a_table_can_be_gone_on_with() {
        let mut table = Table::default();
        table.add("b", "atomicity", shrunk(1, 1.0));
        table.add("a", "liveness", shrunk(4, 9.5));
        let text = table.to_string();
        assert_eq!(Table::read(&format!("# How small\n\n{text}")), table);
        assert_eq!(text.lines().nth(2), Some("| `a` | liveness | 8, 30, 3 | 4, 2, 1 | 7 | 9.5 | yes |"));
        assert_eq!(Table::read("| `c` | nothing | | | | | |\n"), Table::default());
    }
}
