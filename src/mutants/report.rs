//! What became of the mutants, as a table.

use std::time::Duration;

use super::patch::Mutant;
use super::suite::Found;
use crate::cli::{HARNESS, PASSED, VIOLATED};

/// What became of one mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A check that is there for it reported a violation.
    Caught(Found),
    /// None did; others may have.
    Survived(Vec<Found>),
    /// It could not be tried, and this is why.
    Untried(String),
}

/// One line a mutant, in the order in which they were tried.
pub struct Table {
    widths: [usize; 3],
    fates: Vec<(String, Fate)>,
}

impl Table {
    /// An empty table, as wide as these mutants need it.
    pub fn new(mutants: &[Mutant]) -> Table {
        let widest = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or_default();
        let name = widest(&mut mutants.iter().map(|mutant| mutant.name.len()));
        let check = widest(&mut mutants.iter().flat_map(|mutant| &mutant.checks).map(String::len));
        let scenario = widest(&mut mutants.iter().map(|mutant| mutant.command.to_string().len()))
            .saturating_sub("squall run scenarios/.toml --seeds 0..1".len());
        Table { widths: [name.max("mutant".len()), check.max("caught by".len()), scenario], fates: Vec::new() }
    }

    /// The line above the table.
    pub fn header(&self) -> String {
        self.line(["mutant", "caught by", "scenario", "seed", "seconds", "what"])
    }

    /// Adds a mutant and returns its line.
    pub fn add(&mut self, mutant: &Mutant, fate: Fate, wall: Duration) -> String {
        let seconds = format!("{:.1}", wall.as_secs_f64());
        let (caught_by, scenario, seed) = match &fate {
            Fate::Caught(Found { property, scenario, seed }) => {
                (property.as_str(), scenario.as_str(), seed.to_string())
            }
            Fate::Survived(_) => ("SURVIVED", "", String::new()),
            Fate::Untried(_) => ("NOT TRIED", "", String::new()),
        };
        let line = self.line([&mutant.name, caught_by, scenario, &seed, &seconds, &mutant.what]);
        self.fates.push((mutant.name.clone(), fate));
        line
    }

    fn line(&self, cells: [&str; 6]) -> String {
        let [w0, w1, w2] = self.widths;
        let [name, caught_by, scenario, seed, seconds, what] = cells;
        format!("{name:<w0$}  {caught_by:<w1$}  {scenario:<w2$}  {seed:>4}  {seconds:>7}  {what}").trim_end().to_owned()
    }

    /// What the program ends with.
    pub fn exit_code(&self) -> u8 {
        let worst = self.fates.iter().map(|(_, fate)| match fate {
            Fate::Caught(_) => PASSED,
            Fate::Survived(_) => VIOLATED,
            Fate::Untried(_) => HARNESS,
        });
        worst.max().unwrap_or(PASSED)
    }

    /// The counts, and what was seen of survivors. `all` is how many there were to try.
    pub fn summary(&self, all: usize) -> String {
        let caught = self.fates.iter().filter(|(_, fate)| matches!(fate, Fate::Caught(_))).count();
        let mut text = format!("{caught} of {all} mutants caught");
        if self.fates.len() < all {
            text += &format!(", {} left out (--keep-going tries them all)", all - self.fates.len());
        }
        for (name, fate) in &self.fates {
            let Fate::Survived(found) = fate else { continue };
            let seen: Vec<&str> = found.iter().map(|found| found.property.as_str()).collect();
            let seen = if seen.is_empty() { "nothing".to_owned() } else { format!("only {}", seen.join(", ")) };
            text += &format!("\n{name} survived: its checks found nothing; {seen} was violated");
        }
        text
    }

    /// The first that survived.
    pub fn survivor(&self) -> Option<&str> {
        self.fates.iter().find(|(_, fate)| matches!(fate, Fate::Survived(_))).map(|(name, _)| name.as_str())
    }

    /// Why the first could not be tried that could not.
    pub fn untried(&self) -> Option<String> {
        self.fates.iter().find_map(|(name, fate)| match fate {
            Fate::Untried(why) => Some(format!("mutants/{name}.patch: {}", why.trim_end())),
            _ => None,
        })
    }
}
