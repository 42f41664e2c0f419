//! The projection, searched to the end, and refuted without each of its parts.

use models::projection::{Action, Bounds, Budget, Flaw, ProjectionModel};
use models::{Counterexample, Report, Size, check, replay, search, shortest};
use stateright::{Expectation, Model};

/// What is not as it should be, for people.
fn complaints(report: &Report) -> String {
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

const NOTHING: Budget = Budget { deliveries: 0, crashes: 0, losses: 0, rebuilds: 0 };

#[test]
fn the_projection_is_correct() {
    let report = check("projection", Size::Small, 1, |_| {}).expect("it exists");
    assert!(report.ok, "{}", complaints(&report));
    assert_eq!(Some(report.unique), report.pinned);
}

/// The small model has few events, and a crash in a rebuild. Here are all eight, and one trouble at
/// a time.
#[test]
fn the_projection_is_correct_with_all_events_and_one_trouble() {
    let early = Budget { deliveries: 1, ..NOTHING };
    let crash = Budget { crashes: 1, ..NOTHING };
    let loss = Budget { losses: 1, ..NOTHING };
    let rebuild = Budget { rebuilds: 1, ..NOTHING };
    for (budget, unique) in [(early, 2_199), (crash, 4_314), (loss, 1_939), (rebuild, 12_065)] {
        let report = search(ProjectionModel::new(Bounds { events: 8, budget }), Some(unique), 1, |_| {});
        assert_eq!(complaints(&report), "", "{budget:?}");
    }
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn the_projection_is_correct_with_more_troubles_at_once() {
    if std::env::var("MODELS").as_deref() != Ok("large") {
        return;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = check("projection", Size::Large, threads, |_| {}).expect("it exists");
    assert!(report.ok, "{}", complaints(&report));
}

/// Each part of the argument is needed: without it, these steps break the projection, and no
/// fewer do.
#[test]
fn no_part_of_the_projection_can_be_left_out() {
    for (flaw, name) in Flaw::ALL {
        let budget = match flaw {
            Flaw::MatchForMerge => NOTHING,
            Flaw::TwoPassLiterally => Budget { rebuilds: 1, ..NOTHING },
            Flaw::Unconditional => Budget { crashes: 1, ..NOTHING },
        };
        let bounds = Bounds { events: 8, budget };
        let model = ProjectionModel::flawed(bounds, flaw);
        let (property, actions) = shortest(model.clone()).unwrap_or_else(|| panic!("{name} was not refuted"));
        let counterexample = Counterexample::new(property, &actions);
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, counterexample.to_string());
        });

        let json = serde_json::to_string(&counterexample).expect("it is plain data");
        let read: Counterexample = serde_json::from_str(&json).expect("it reads what it wrote");
        let parse = |step: &models::Step| serde_json::from_value(step.action.clone()).expect("an action");
        let read: Vec<Action> = read.steps.iter().map(parse).collect();
        let path = replay(&model, &read).expect("the model allows it");
        assert!(!(model.property(property).condition)(&model, path.last_state()), "{name}: {property} holds");

        // The projection as it is does the same steps and breaks nothing, or cannot do them.
        let sound = ProjectionModel::new(bounds);
        let same = replay(&sound, &read).map(|path| path.into_states()).unwrap_or_default();
        for property in sound.properties().iter().filter(|one| one.expectation == Expectation::Always) {
            assert!(same.iter().all(|state| (property.condition)(&sound, state)), "{name} is no flaw");
        }
    }
}
