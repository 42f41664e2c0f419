//! What `run` came to, for people and for programs.

mod github;
mod json;
mod junit;
mod markdown;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use super::failures::Failed;
use super::table::{Row, render};
use super::{Failure, HARNESS, PASSED, VIOLATED};

/// How `run` tells what came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table, for people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// `JUnit` XML: a suite a scenario, a case a check
    Junit,
    /// The table, and annotations for GitHub's job page
    Github,
    /// Markdown, for the summary of a job
    Markdown,
}

impl Format {
    /// Tells people something while there is more to come. Where the standard output is for a program, they read the
    /// standard error.
    pub fn tell(self, text: &str) {
        match self {
            Format::Text | Format::Github => print!("{text}"),
            Format::Json | Format::Junit | Format::Markdown => eprint!("{text}"),
        }
    }
}

/// What a `run` came to.
pub struct Report {
    /// The system's name.
    pub system: &'static str,
    /// What they reached of what there is, in a line.
    pub reached: String,
    /// A row a scenario.
    pub rows: Vec<Row>,
    /// Over what came out of every run, in the order of the plans: the same however many ran at a time.
    pub digest: String,
    /// Real time the runs took.
    pub wall: Duration,
    /// How many runs were run a second time.
    pub verified: usize,
    /// How many of them came out differently.
    pub differences: usize,
    /// What to tell of those.
    pub differing: Option<String>,
    /// The runs without a verdict, and what else the harness failed at.
    pub broken: Vec<String>,
    /// What scenarios are there for and no run reached.
    pub missing: Vec<Missing>,
    /// How many seeds it takes to judge marks, and faults that scenarios name, where there were fewer.
    pub unjudged: Option<u64>,
    /// The first failure of each kind.
    pub failures: Vec<Failed>,
}

/// What a scenario is there for and no run reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The scenario.
    pub scenario: String,
    /// What.
    pub what: String,
}

impl Report {
    /// What the program ends with.
    pub fn exit_code(&self) -> u8 {
        if self.flaw().is_some() {
            HARNESS
        } else if self.failures.is_empty() && self.missing.is_empty() {
            PASSED
        } else {
            VIOLATED
        }
    }

    /// What the harness failed at, in words.
    pub fn flaw(&self) -> Option<String> {
        self.broken()
            .into_iter()
            .chain(self.differing.clone())
            .reduce(|broken, differing| format!("{broken}\n{differing}"))
    }

    /// The first of what is broken, and how much more there is.
    fn broken(&self) -> Option<String> {
        self.broken.first().map(|first| match self.broken.len() {
            1 => first.clone(),
            all => format!("{first} (and {} more like it)", all - 1),
        })
    }

    /// For people: all but the command to type next.
    fn text(&self) -> String {
        let mut text = render(&self.rows, self.wall) + &self.reached + "\n";
        if self.verified > 0 {
            let runs: u64 = self.rows.iter().map(|row| row.runs).sum();
            text += &format!("{} of {runs} runs verified: {} differences\n", self.verified, self.differences);
        }
        for Missing { scenario, what } in &self.missing {
            text += &format!("{} {scenario}: {what}\n", console::style("missing").red().bold());
        }
        if let Some(enough) = self.unjudged {
            text += &format!("marks not judged: fewer than {enough} seeds\n");
        }
        // What fails and what does not says much about where to look.
        let failing: Vec<String> = self.rows.iter().filter(|row| row.failed > 0).map(Row::failing).collect();
        if !failing.is_empty() {
            text += &format!("{} {}\n", console::style("failed in").red().bold(), failing.join(", "));
        }
        self.failures.iter().for_each(|failed| text += &failed.to_string());
        text
    }

    /// The last line: what to type next, or that all is well.
    fn last_line(&self) -> String {
        match self.failures.first() {
            Some(failed) => format!("\n{}\n", failed.command()),
            None if self.exit_code() == PASSED => format!("{}\n", console::style("passed").green().bold()),
            None => String::new(),
        }
    }

    /// Adds it to a file, in Markdown.
    pub fn summarise(&self, path: &Path) -> Result<(), Failure> {
        let file = fs::File::options().create(true).append(true).open(path);
        let written = file.and_then(|mut file| file.write_all(markdown::document(self).as_bytes()));
        written.map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
    }

    /// Prints it.
    pub fn print(&self, format: Format) {
        match format {
            Format::Text => print!("{}{}", self.text(), self.last_line()),
            Format::Github => print!("{}{}{}", self.text(), github::annotations(self), self.last_line()),
            Format::Json => println!("{}", json::document(self)),
            Format::Junit => print!("{}", junit::document(self)),
            Format::Markdown => print!("{}", markdown::document(self)),
        }
    }
}
