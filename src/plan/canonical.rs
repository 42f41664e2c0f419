//! Prints a scenario in the form in which people write it: the comment first, a step a line, defaults left out.
//!
//! `toml::to_string` would spread each step over five lines; here a changed step is a difference of one line.

use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::scenario::{LIMIT_MS, SETTLE_MS, SUPERVISOR_RESTART_MS, Scenario, StepForm, Workload, default_clients};
use super::{Network, Profile};

/// Why a scenario cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrintError {
    /// Something in it has no form in TOML: a null in an array, say.
    #[error("{what} has no form in TOML: {reason}")]
    Formless {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
    /// What was printed does not read as the scenario it came from, so it is not given out.
    #[error("the printed scenario does not read as what was printed: {0}")]
    Unfaithful(String),
}

impl<Op: Serialize + DeserializeOwned + PartialEq> Scenario<Op> {
    /// The scenario as a TOML file, ready to be committed.
    ///
    /// What comes back reads as exactly this scenario: that is checked before it is given out. A step is one line unless
    /// a text in it has several.
    pub fn to_toml(&self) -> Result<String, PrintError> {
        let text = self.print()?;
        match Scenario::<Op>::parse(&self.name, &text) {
            Ok(read) if read == *self => Ok(text),
            Ok(_) => Err(PrintError::Unfaithful("it reads as another scenario".to_owned())),
            Err(error) => Err(PrintError::Unfaithful(error.to_string())),
        }
    }

    fn print(&self) -> Result<String, PrintError> {
        let mut page = Page::default();
        if !self.about.is_empty() {
            self.about.split('\n').for_each(|line| page.line(format!("# {line}").trim_end()));
        }
        if self.clients != default_clients(&self.steps) {
            let numbered = self.clients.iter().enumerate().all(|(index, name)| *name == format!("c{}", index + 1));
            if numbered { page.key("clients", &self.clients.len())? } else { page.key("clients", &self.clients)? }
        }
        page.key_unless("limit_ms", &self.limit_ms, &LIMIT_MS)?;
        page.key_unless("settle_ms", &self.settle_ms, &SETTLE_MS)?;
        page.key_unless("supervisor_restart_ms", &self.supervisor_restart_ms, &SUPERVISOR_RESTART_MS)?;
        page.key_unless("profile", &self.profile, &Profile::default())?;
        page.key_unless("checks", &self.checks, &Vec::new())?;
        page.key_unless("seeds", &self.seeds, &Vec::new())?;
        page.key_unless("sweep", &self.sweep, &false)?;
        if !self.steps.is_empty() {
            page.line("steps = [");
            for (index, step) in self.steps.iter().enumerate() {
                let step = inline(&format!("step {}", index + 1), &StepForm::from(step))?;
                page.line(&format!("  {step},"));
            }
            page.line("]");
        }
        if let Some(Workload { operations, options }) = &self.workload {
            page.table("workload");
            page.key("operations", operations)?;
            page.entries(options)?;
        }
        let (network, usual) = (&self.network, Network::default());
        if *network != usual {
            page.table("network");
            page.key_unless("tick_ms", &network.tick_ms, &usual.tick_ms)?;
            page.key_unless("latency_ms_min", &network.latency_ms_min, &usual.latency_ms_min)?;
            page.key_unless("latency_ms_max", &network.latency_ms_max, &usual.latency_ms_max)?;
        }
        match &self.system {
            serde_json::Value::Null => {}
            serde_json::Value::Object(options) => {
                page.table("system");
                page.entries(options)?;
            }
            other => return Err(formless("system", format!("{other} is not a table"))),
        }
        if !self.expect.marks.is_empty() || self.expect.faults.is_some() {
            page.table("expect");
            page.key_unless("marks", &self.expect.marks, &Vec::new())?;
            if let Some(faults) = &self.expect.faults {
                page.key("faults", faults)?;
            }
        }
        Ok(page.text)
    }
}

/// A file as it grows.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn table(&mut self, name: &str) {
        self.line("");
        self.line(&format!("[{name}]"));
    }

    fn key<T: Serialize>(&mut self, key: &str, value: &T) -> Result<(), PrintError> {
        let value = inline(key, value)?;
        self.line(&format!("{key} = {value}"));
        Ok(())
    }

    fn key_unless<T: Serialize + PartialEq>(&mut self, key: &str, value: &T, usual: &T) -> Result<(), PrintError> {
        if value == usual { Ok(()) } else { self.key(key, value) }
    }

    fn entries(&mut self, entries: &serde_json::Map<String, serde_json::Value>) -> Result<(), PrintError> {
        entries.iter().try_for_each(|(key, value)| self.key(&bare_or_quoted(key), value))
    }
}

/// A key as TOML writes it.
fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare {
        return key.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in key.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => write!(quoted, "\\U{:08X}", u32::from(c)).unwrap_or_default(),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn inline<T: Serialize>(what: &str, value: &T) -> Result<String, PrintError> {
    let mut text = String::new();
    value.serialize(toml::ser::ValueSerializer::new(&mut text)).map_err(|error| formless(what, error.to_string()))?;
    Ok(text)
}

fn formless(what: &str, reason: String) -> PrintError {
    PrintError::Formless { what: what.to_owned(), reason: reason.trim_end().to_owned() }
}
