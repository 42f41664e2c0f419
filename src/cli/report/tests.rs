use std::path::PathBuf;

use super::*;
use crate::check::Violation;

/// Two scenarios: one holds, the other breaks a promise and misses a mark.
fn report() -> Report {
    let row = |name: &str, failed| Row {
        name: name.to_owned(),
        source: format!("scenarios/{name}.toml"),
        runs: 20,
        failed,
        violated: if failed > 0 { [("atomicity".to_owned(), failed)].into() } else { [].into() },
        checked: [("atomicity".to_owned(), 7), ("liveness".to_owned(), 9)].into(),
        faults: [("kill".to_owned(), 20)].into(),
        simulated_ms: 1_500,
        ..Row::default()
    };
    let violation = Violation::new("atomicity", "the stores differ")
        .at_step(3)
        .expected("the same in both: 100 %")
        .actual("<alice> & \"bob\", only in the graph")
        .details(["alice".to_owned()]);
    Report {
        system: "coordinator",
        reached: "reached 3 of 4 marks".to_owned(),
        rows: vec![row("calm", 0), row("storm", 2)],
        digest: "0123".to_owned(),
        wall: Duration::from_millis(2_500),
        verified: 2,
        differences: 0,
        differing: None,
        broken: Vec::new(),
        unjudged: None,
        missing: vec![Missing { scenario: "storm".to_owned(), what: "no seed reached the mark fenced".to_owned() }],
        failures: vec![Failed {
            program: "squall",
            scenario: "storm".to_owned(),
            seed: 7,
            violation,
            capsule: PathBuf::from("failures/storm-1.capsule.json"),
            shrunk: None,
            in_full: false,
            report: None,
            unrepeated: None,
        }],
    }
}

#[test]
fn json_has_everything() {
    insta::assert_json_snapshot!(json::document(&report()));
}

#[test]
fn junit_has_a_case_for_each_check_and_escapes_what_has_to_be() {
    insta::assert_snapshot!(junit::document(&report()));
}

#[test]
fn markdown_tells_what_matters_first_and_escapes_what_has_to_be() {
    insta::assert_snapshot!(markdown::document(&report()));
    let mut passed = report();
    passed.failures.clear();
    passed.missing.clear();
    assert!(markdown::document(&passed).starts_with("## squall: passed\n"));
}

#[test]
fn annotations_are_a_line_each_and_name_the_file() {
    insta::assert_snapshot!(github::annotations(&report()));
}

#[test]
fn people_read_the_table_the_failure_and_the_command_to_type_next() {
    insta::assert_snapshot!(format!("{}{}", report().text(), report().last_line()));
}

#[test]
fn the_exit_code_says_whose_fault_it_is() {
    let mut report = report();
    assert_eq!(report.exit_code(), VIOLATED);
    report.failures.clear();
    assert_eq!(report.exit_code(), VIOLATED, "what was not reached is not proven");
    report.missing.clear();
    assert_eq!((report.exit_code(), report.last_line().as_str()), (PASSED, "passed\n"));
    report.differing = Some("the second run drew another number".to_owned());
    assert_eq!(report.exit_code(), HARNESS);
    report.differing = None;
    report.broken = vec!["storm with seed 3: the run's process died of signal 9".to_owned()];
    assert_eq!(report.exit_code(), HARNESS);
    assert!(markdown::document(&report).contains("died of signal 9"), "it does not pass in silence");
}

/// Who runs a few seeds is told what they cannot say.
#[test]
fn marks_that_are_not_judged_are_said_to_be_not() {
    assert!(!report().text().contains("not judged"));
    let few = Report { unjudged: Some(20), ..report() };
    assert!(few.text().contains("\nmarks not judged: fewer than 20 seeds\n"), "{}", few.text());
    assert_eq!(few.exit_code(), report().exit_code(), "it is no finding");
}
