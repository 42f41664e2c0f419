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
        let scenario = widest(&mut mutants.iter().map(|mutant| mutant.command.scenario_width()));
        Table {
            widths: [name.max("mutant".len()), check.max("caught by".len()), scenario.max("scenario".len())],
            fates: Vec::new(),
        }
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
        let what = mutant.what.split_inclusive(". ").next().unwrap_or_default();
        let line = self.line([&mutant.name, caught_by, scenario, &seed, &seconds, what]);
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

    /// Why those could not be tried that could not.
    pub fn untried(&self) -> Option<String> {
        let untried = self.fates.iter().filter_map(|(name, fate)| match fate {
            Fate::Untried(why) => Some(format!("mutants/{name}.patch: {}", why.trim_end())),
            _ => None,
        });
        let untried: Vec<String> = untried.collect();
        (!untried.is_empty()).then(|| untried.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::suite::Command;

    fn mutant(name: &str) -> Mutant {
        Mutant {
            name: name.to_owned(),
            what: "It forgets. And more.".to_owned(),
            checks: vec!["atomicity".to_owned()],
            command: Command::parse("squall run scenarios/story.toml --seeds 0..5").unwrap(),
            path: format!("mutants/{name}.patch").into(),
            files: Vec::new(),
        }
    }

    fn found(property: &str) -> Found {
        Found { property: property.to_owned(), scenario: "story".to_owned(), seed: 3 }
    }

    fn table(fates: [(&str, Fate); 3]) -> (Table, Vec<String>) {
        let mut table = Table::new(&fates.clone().map(|(name, _)| mutant(name)));
        let lines = fates.map(|(name, fate)| table.add(&mutant(name), fate, Duration::from_millis(1_500)));
        (table, lines.into())
    }

    #[test]
    fn all_caught() {
        let (table, lines) = table(["a", "b", "c"].map(|name| (name, Fate::Caught(found("atomicity")))));
        assert_eq!(lines[0], "a       atomicity  story        3      1.5  It forgets.");
        assert_eq!((table.exit_code(), table.survivor(), table.untried()), (PASSED, None, None));
        assert_eq!(table.summary(3), "3 of 3 mutants caught");
    }

    #[test]
    fn a_survivor_is_named_with_what_was_seen_of_it() {
        let caught = Fate::Caught(found("atomicity"));
        let (table, lines) =
            table([("a", caught), ("b", Fate::Survived(vec![found("liveness")])), ("c", Fate::Survived(vec![]))]);
        assert!(lines[1].contains("SURVIVED"), "{}", lines[1]);
        assert_eq!((table.exit_code(), table.survivor()), (VIOLATED, Some("b")));
        assert_eq!(
            table.summary(4),
            "1 of 4 mutants caught, 1 left out (--keep-going tries them all)\n\
             b survived: its checks found nothing; only liveness was violated\n\
             c survived: its checks found nothing; nothing was violated"
        );
    }

    #[test]
    fn what_could_not_be_tried_weighs_most() {
        let (table, _) = table([
            ("a", Fate::Survived(vec![])),
            ("b", Fate::Untried("the patch does not apply: x.rs:7".to_owned())),
            ("c", Fate::Caught(found("atomicity"))),
        ]);
        assert_eq!(table.exit_code(), HARNESS);
        assert_eq!(table.untried().unwrap(), "mutants/b.patch: the patch does not apply: x.rs:7");
    }
}
