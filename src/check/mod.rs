//! Checkers: each looks at the record of a run and says where it broke one promise.
//!
//! A checker watches from outside: it is given what was recorded, never the running system. It also says how much it
//! examined, because a check that saw nothing proves nothing.

pub mod cycles;
pub mod linearizability;
pub mod models;

mod fingerprint;
mod violation;

pub use fingerprint::{Fingerprint, normalise};
pub use violation::Violation;

/// Examines records of type `R` for one property.
pub trait Checker<R: ?Sized> {
    /// The property, in kebab case: as it appears in reports and in scenario files.
    fn name(&self) -> &'static str;

    /// Examines one record. The same record always gives the same verdict.
    fn check(&self, record: &R) -> Verdict;

    /// Whether the plan had in it what the check is about. Where it had not, nobody expects that anything was examined; where it
    /// had, a check that examined nothing proves nothing.
    fn applies(&self, _record: &R) -> bool {
        true
    }
}

/// What a checker found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// Where the promise was broken.
    pub violations: Vec<Violation>,
    /// How many things were examined, in the checker's own unit.
    pub checked: u64,
}

impl Verdict {
    /// Whether nothing was examined. Such a check is not a pass; the caller knows whether it expected one.
    pub fn is_vacuous(&self) -> bool {
        self.checked == 0 && self.violations.is_empty()
    }

    /// Whether something was examined and nothing was wrong.
    pub fn holds(&self) -> bool {
        self.checked > 0 && self.violations.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_holds_only_when_something_was_examined() {
        let vacuous = Verdict::default();
        assert!(vacuous.is_vacuous() && !vacuous.holds());
        let clean = Verdict { violations: vec![], checked: 1 };
        assert!(!clean.is_vacuous() && clean.holds());
        let broken = Verdict { violations: vec![Violation::new("atomicity", "orphan")], checked: 0 };
        assert!(!broken.is_vacuous() && !broken.holds());
    }
}
