//! The identity model, and the argument behind it: what happens without each of its parts.

use models::identity::{Bounds, Flaw, IdentityModel};
use models::{Counterexample, Size, check, replay, shortest};
use stateright::Model;

#[test]
fn ids_and_keys_are_as_promised() {
    let report = check("identity", Size::Small, 1, |_| {}).expect("it exists");
    let wrong: Vec<_> = report.properties.iter().filter(|finding| !finding.ok()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(Some(report.unique), report.pinned);
}

/// Minutes and gigabytes: `MODELS=large cargo test --release -p models`.
#[test]
fn ids_and_keys_are_as_promised_with_more_crashes() {
    if std::env::var("MODELS").as_deref() != Ok("large") {
        return;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = check("identity", Size::Large, threads, |_| {}).expect("it exists");
    let wrong: Vec<_> = report.properties.iter().filter(|finding| !finding.ok()).collect();
    assert!(report.ok, "{} states, {wrong:#?}", report.unique);
}

/// Each part of the argument is needed: without it, these steps break a promise, and no fewer do.
#[test]
fn no_part_can_be_left_out() {
    for (flaw, name) in Flaw::ALL {
        let model = IdentityModel::flawed(Bounds::SMALL, flaw);
        let (property, actions) = shortest(model.clone()).unwrap_or_else(|| panic!("{name} was not refuted"));
        insta::with_settings!({
            snapshot_path => "../snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, Counterexample::new(property, &actions).to_string());
        });
        let path = replay(&model, &actions).expect("the model allows it");
        assert!(!(model.property(property).condition)(&model, path.last_state()), "{name}: {property} holds");
    }
}
