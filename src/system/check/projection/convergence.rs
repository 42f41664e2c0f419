//! The graph ends as the log says.

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};
use crate::system::dump;

/// When everything has come to rest, the projection's part of the graph is, byte for byte, what the reference fold makes of
/// the log.
#[derive(Clone, Copy, Debug)]
pub struct Convergence;

impl Checker<CoordinatorRecord> for Convergence {
    fn name(&self) -> &'static str {
        "convergence"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        let mut verdict = Verdict { checked: scene.log.len() as u64, ..Verdict::default() };
        if record.settled.is_err() {
            // Nothing is promised of a graph that is still being written; that it is, is for liveness to judge.
            return Verdict::default();
        }
        let expected = scene.reference().graph.to_string();
        let Some(actual) = record.dumps.get(dump::PROJECTION) else {
            verdict.violations.push(
                Violation::new(self.name(), "there is no dump of the projection")
                    .expected("a dump of what the projection says")
                    .actual("none"),
            );
            return verdict;
        };
        if expected != *actual {
            let missing = expected.lines().filter(|line| !actual.lines().any(|other| other == *line));
            let spare = actual.lines().filter(|line| !expected.lines().any(|other| other == *line));
            let details = missing.map(|line| format!("- {line}")).chain(spare.map(|line| format!("+ {line}")));
            verdict.violations.push(
                Violation::new(self.name(), "the graph is not what the log says")
                    .expected(format!("the {} elements that the log makes", expected.lines().count()))
                    .actual(format!("{} elements, of which some differ", actual.lines().count()))
                    .details(details),
            );
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CASTS, Tale, caught};
    use super::*;

    #[test]
    fn an_element_that_is_missing_spare_or_different_is_caught() {
        let key = "the graph is not what the log says";
        let plants: [fn(&mut String); 3] = [
            |dump| *dump = dump.lines().skip(1).map(|line| format!("{line}\n")).collect(),
            |dump| dump.push_str("edge x -[REFERENCES {}]-> y\n"),
            |dump| *dump = dump.replacen("false", "true", 1),
        ];
        for plant in plants {
            caught(&Convergence, key, |tale| tale.damage = Some(plant));
        }
    }

    #[test]
    fn a_log_that_says_more_is_caught() {
        caught(&Convergence, "the graph is not what the log says", |tale| {
            tale.write(&tale.first(), "archived");
        });
    }

    #[test]
    fn a_run_that_did_not_come_to_rest_is_left_to_others() {
        let mut record = Tale::sound(CASTS[0]).record();
        record.settled = Err("not settled".to_owned());
        record.dumps.insert(dump::PROJECTION.to_owned(), String::new());
        assert!(Convergence.check(&record).is_vacuous());
    }
}
