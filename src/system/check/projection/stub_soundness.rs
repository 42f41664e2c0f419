//! Stubs are what is linked to and was never created.

use std::collections::BTreeSet;

use super::super::CoordinatorRecord;
use super::Scene;
use crate::check::{Checker, Verdict, Violation};

/// When everything has come to rest, the stubs in the graph are those of the reference fold: no created resource is left
/// nameless, no forgotten link keeps one.
#[derive(Clone, Copy, Debug)]
pub struct StubSoundness;

impl Checker<CoordinatorRecord> for StubSoundness {
    fn name(&self) -> &'static str {
        "stub_soundness"
    }

    fn check(&self, record: &CoordinatorRecord) -> Verdict {
        let scene = match Scene::of(self.name(), record) {
            Ok(scene) => scene,
            Err(verdict) => return verdict,
        };
        if record.settled.is_err() {
            return Verdict::default();
        }
        let expected: BTreeSet<String> = scene.reference().stubs.iter().map(ToString::to_string).collect();
        let actual = scene.last().stubs;
        let mut verdict = Verdict { checked: scene.streams.len() as u64, ..Verdict::default() };
        if let Some(nameless) = actual.difference(&expected).next() {
            verdict.violations.push(
                Violation::new(self.name(), "a stub that should not be one")
                    .expected(format!("{nameless} created, or gone with the last link to it"))
                    .actual("a stub"),
            );
        }
        if let Some(missing) = expected.difference(&actual).next() {
            verdict.violations.push(
                Violation::new(self.name(), "a stub is missing")
                    .expected(format!("a stub for {missing}, which is linked to and was never created"))
                    .actual("none"),
            );
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::caught;
    use super::*;

    #[test]
    fn a_missing_stub_and_one_too_many_are_caught() {
        caught(&StubSoundness, "a stub is missing", |tale| {
            let mut shown = tale.shown.clone();
            shown.stubs.clear();
            tale.see(shown, false);
        });
        caught(&StubSoundness, "a stub that should not be one", |tale| {
            let mut shown = tale.shown.clone();
            shown.stubs.insert("spare".to_owned());
            tale.see(shown, false);
        });
    }
}
