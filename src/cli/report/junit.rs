//! The report as `JUnit` XML, which most continuous integration can show.

use std::collections::BTreeSet;

use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::{Failed, Report};

/// The document: a suite a scenario, in it a case a check, and one for what the scenario is there for.
pub fn document(report: &Report) -> String {
    let mut xml = Xml::new("squall");
    for row in &report.rows {
        let mut suite = TestSuite::new(&*row.name);
        // A check that is none of the system's own, such as that nothing panics, is there when it failed.
        let checks: BTreeSet<&String> = row.checked.keys().chain(row.violated.keys()).collect();
        for check in checks {
            let mut told = Vec::new();
            if let Some(runs) = row.violated.get(check) {
                told.push(format!("violated in {runs} of {} runs\n", row.runs));
                // The first failure of a kind is told once, wherever it was.
                let here = |failed: &&Failed| failed.scenario == row.name && failed.violation.property == *check;
                told.extend(
                    report.failures.iter().filter(here).map(|failed| format!("{failed}{}\n", failed.command())),
                );
            }
            suite.add_test_case(case(&row.name, check, &told));
        }
        let missing = report.missing.iter().filter(|missing| missing.scenario == row.name);
        let missing: Vec<String> = missing.map(|missing| format!("{}\n", missing.what)).collect();
        suite.add_test_case(case(&row.name, "reaches what it is there for", &missing));
        xml.add_test_suite(suite);
    }
    let mut suite = TestSuite::new("determinism");
    let differing: Vec<String> = report.differing.iter().cloned().collect();
    suite.add_test_case(case("determinism", "runs are the same when they are repeated", &differing));
    let broken: Vec<String> = report.broken.iter().map(|broken| format!("{broken}\n")).collect();
    suite.add_test_case(case("determinism", "runs come to a verdict", &broken));
    xml.add_test_suite(suite);
    xml.to_string().expect("it is written to memory")
}

fn case(class: &str, name: &str, told: &[String]) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !told.is_empty() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_description(told.concat());
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(XmlString::new(class));
    case
}
