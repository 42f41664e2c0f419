//! What the tests of all models share.

use std::fmt::{Debug, Display};
use std::hash::Hash;

use models::{Counterexample, Report, Size, check, replay, shortest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::{Expectation, Model};

/// What is not as it should be, for people.
pub fn complaints(report: &Report) -> String {
    let mut text = String::new();
    if report.pinned.is_some_and(|pinned| pinned != report.unique) {
        text += &format!("{} states, not {:?}\n", report.unique, report.pinned);
    }
    for finding in report.properties.iter().filter(|finding| !finding.ok()) {
        match &finding.discovered {
            Some(counterexample) => text += &counterexample.to_string(),
            None => text += &format!("never: {}\n", finding.name),
        }
    }
    text
}

/// Every space of the model is as it should be, all that may happen happens in one of them, and every kind of
/// action is taken.
pub fn assert_checked(name: &str, size: Size) {
    let threads = match size {
        Size::Small => 1,
        Size::Large => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let checked = check(name, size, threads, |_, _| {}).expect("it exists");
    for (space, report) in &checked.spaces {
        let mut report = report.clone();
        report.properties.retain(|finding| !finding.is_missing());
        assert_eq!(complaints(&report), "", "{name}, {}", space.bounds);
        assert_eq!(report.pinned, Some(report.unique));
    }
    assert_eq!((&checked.never[..], &checked.idle[..]), (&[][..], &[][..]), "{name}: properties, actions");
    assert!(checked.ok());
}

/// Whether the large models are asked for as well: minutes and gigabytes,
/// `MODELS=large cargo test --release -p models`.
pub fn is_large() -> bool {
    std::env::var("MODELS").as_deref() == Ok("large")
}

/// These steps, and no fewer, break the model; they are the ones of the snapshot, survive a
/// round through JSON, and break nothing before the last.
pub fn assert_refuted<M>(model: M, name: &str)
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + PartialEq + Hash + Send + Sync,
    M::Action: Clone + PartialEq + Display + Serialize + DeserializeOwned + Send + Sync,
{
    let (property, actions) = shortest(model.clone()).unwrap_or_else(|| panic!("{name} was not refuted"));
    let counterexample = Counterexample::new(property, &actions);
    insta::with_settings!({
        snapshot_path => "../../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, counterexample.to_string());
    });

    let json = serde_json::to_string(&counterexample).expect("it is plain data");
    let read: Counterexample = serde_json::from_str(&json).expect("it reads what it wrote");
    assert_eq!(read, counterexample);
    let parse = |step: &models::Step| serde_json::from_value(step.action.clone()).expect("an action");
    let read: Vec<M::Action> = read.steps.iter().map(parse).collect();
    let path = replay(&model, &read).expect("the model allows it");
    assert!(!(model.property(property).condition)(&model, path.last_state()), "{name}: {property} holds");
    for state in path.into_states().iter().rev().skip(1) {
        let holds = model
            .properties()
            .iter()
            .all(|property| property.expectation != Expectation::Always || (property.condition)(&model, state));
        assert!(holds, "{name} fails before the end");
    }
}
