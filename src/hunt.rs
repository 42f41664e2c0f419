//! What a hunt runs next: new seeds of scenarios, and variations of plans that reached something new.
//!
//! Feedback as in AFL (Zalewski, 2013), with marks and pairs of a fault and the stage that it struck in the place of
//! branches: a plan that reaches one for the first time is kept, and is where the next ones come from.

mod mutate;

use crate::coverage::Coverage;
use crate::plan::Plan;
use crate::stream::Stream;
use crate::sut::System;
use crate::verdict::Verdict;

pub use mutate::mutate;

/// How many in a hundred plans are variations of kept ones, once there are any.
const VARIED_PERCENT: u64 = 60;
/// How much more often a parent is chosen for each new thing that its last child reached.
const GAIN_WEIGHT: u64 = 4;
/// Seeds are below this: short enough to be typed.
const SEEDS: u64 = 1 << 32;

/// Where a plan came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// A scenario, by its place.
    Scenario(usize),
    /// A kept plan, by its place.
    Kept(usize),
}

/// What to run next, by what has been reached so far.
pub struct Hunt<S: System> {
    random: Stream,
    /// Of each scenario: where its seeds come from, and how much its last run reached that was new.
    scenarios: Vec<(Stream, u64)>,
    kept: Vec<(Plan<S::Op>, u64)>,
    coverage: Coverage,
    /// For each run that reached something new: how many there had been, and how much it was.
    gains: Vec<(u64, u64)>,
    runs: u64,
}

impl<S: System> Hunt<S> {
    /// A hunt over scenarios, by their names. Hunts with other seeds, the next one as well, run other plans.
    pub fn new<'a>(seed: u64, scenarios: impl IntoIterator<Item = &'a str>) -> Hunt<S> {
        let seeds = |name| (Stream::new(seed, &format!("hunt {name}")), 0);
        Hunt {
            random: Stream::new(seed, "hunt"),
            scenarios: scenarios.into_iter().map(seeds).collect(),
            kept: Vec::new(),
            coverage: Coverage::default(),
            gains: Vec::new(),
            runs: 0,
        }
    }

    /// The next plan and its parent. `expand` makes the plan of a scenario, by its place, for a seed.
    pub fn next<E>(
        &mut self,
        expand: impl FnOnce(usize, u64) -> Result<Plan<S::Op>, E>,
    ) -> Result<(Parent, Plan<S::Op>), E> {
        if !self.kept.is_empty() && self.random.percent(VARIED_PERCENT) {
            let parent = weighted(&mut self.random, self.kept.iter().map(|(_, gain)| *gain));
            let other = self.random.below(self.kept.len() as u64) as usize;
            let (plan, other) = (&self.kept[parent].0, &self.kept[other].0);
            return Ok((Parent::Kept(parent), mutate::<S>(plan, other, &mut self.random)));
        }
        let scenario = weighted(&mut self.random, self.scenarios.iter().map(|(_, gain)| *gain));
        let seed = self.scenarios[scenario].0.below(SEEDS);
        Ok((Parent::Scenario(scenario), expand(scenario, seed)?))
    }

    /// Learns what a run reached. Returns whether that was something new: then the plan is kept.
    pub fn learn(&mut self, parent: Option<Parent>, plan: &Plan<S::Op>, verdict: &Verdict) -> bool {
        self.runs += 1;
        let gain = self.coverage.add(verdict) as u64;
        match parent {
            Some(Parent::Scenario(place)) => self.scenarios[place].1 = gain,
            Some(Parent::Kept(place)) => self.kept[place].1 = gain,
            None => {}
        }
        if gain > 0 {
            self.kept.push((plan.clone(), gain));
            self.gains.push((self.runs, gain));
        }
        gain > 0
    }

    /// What has been reached.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// How many runs there have been.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// How much the last quarter of the runs reached that those before had not; `None` where there are too few for it to have
    /// one.
    pub fn growth(&self) -> Option<u64> {
        let quarter = self.runs / 4;
        let from = self.runs - quarter;
        let new = self.gains.iter().filter(|(run, _)| *run > from).map(|(_, gain)| gain).sum();
        (quarter > 0).then_some(new)
    }
}

/// A place, the more often the higher its gain.
fn weighted(random: &mut Stream, gains: impl Iterator<Item = u64>) -> usize {
    let weights: Vec<u64> = gains.map(|gain| 1 + GAIN_WEIGHT * gain).collect();
    let mut left = random.below(weights.iter().sum());
    for (place, weight) in weights.iter().enumerate() {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return place,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::tests::verdict;
    use crate::plan::fake::{self, Fake, Op};

    fn hunt(scenarios: usize) -> Hunt<Fake> {
        Hunt::new(5, ["0", "1", "2"].into_iter().take(scenarios))
    }

    /// The plans that a hunt begins with, by scenario and seed.
    fn begins(mut hunt: Hunt<Fake>) -> std::collections::BTreeSet<(String, u64)> {
        let next = |_| hunt.next(expand).unwrap().1;
        (0..30).map(next).map(|plan| (plan.scenario, plan.seed)).collect()
    }

    fn expand(scenario: usize, seed: u64) -> Result<Plan<Op>, ()> {
        Ok(Plan { seed, scenario: scenario.to_string(), ..fake::plan() })
    }

    #[test]
    fn scenarios_come_with_ever_new_seeds() {
        let mut hunt = hunt(3);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..30 {
            let (parent, plan) = hunt.next(expand).unwrap();
            assert!(matches!(parent, Parent::Scenario(place) if plan.scenario == place.to_string()));
            assert!(seen.insert((plan.scenario, plan.seed)));
        }
        let scenarios: std::collections::BTreeSet<_> = seen.into_iter().map(|(scenario, _)| scenario).collect();
        assert_eq!(scenarios.len(), 3);
    }

    #[test]
    fn the_next_hunt_runs_other_plans_and_the_same_one_the_same() {
        let of = |seed| begins(Hunt::new(seed, ["0", "1", "2"]));
        assert_eq!(of(5), of(5));
        assert!(of(5).is_disjoint(&of(6)));
        let seeds =
            |name: &str| of(5).into_iter().filter(|(of, _)| of == name).map(|(_, seed)| seed).collect::<Vec<_>>();
        assert_ne!(seeds("0")[0], seeds("1")[0], "scenarios have seeds of their own");
    }

    #[test]
    fn what_reached_something_new_is_kept_and_varied() {
        let mut hunt = hunt(1);
        let plan = fake::plan();
        let first = verdict(&["fenced"], &[]);
        assert!(hunt.learn(Some(Parent::Scenario(0)), &plan, &first));
        assert!(!hunt.learn(Some(Parent::Scenario(0)), &plan, &first), "it is not new any more");
        let parents: Vec<_> = (0..40).map(|_| hunt.next(expand).unwrap().0).collect();
        assert!(parents.contains(&Parent::Kept(0)) && parents.contains(&Parent::Scenario(0)));
        assert_eq!((hunt.coverage().reached(), hunt.runs()), (1, 2));
    }

    #[test]
    fn who_found_something_is_asked_more_often() {
        let mut random = Stream::new(1, "test");
        let chosen = (0..1_000).filter(|_| weighted(&mut random, [0, 1].into_iter()) == 1).count();
        assert!((750..900).contains(&chosen), "5 of 6 are 833: {chosen}");
    }

    #[test]
    fn growth_is_what_the_last_quarter_found() {
        let mut hunt = hunt(1);
        let plan = fake::plan();
        assert_eq!(hunt.growth(), None);
        for _ in 0..3 {
            hunt.learn(None, &plan, &verdict(&["fenced"], &[]));
        }
        assert_eq!(hunt.growth(), None, "three runs have no last quarter");
        for _ in 0..4 {
            hunt.learn(None, &plan, &verdict(&["fenced"], &[]));
        }
        assert_eq!(hunt.growth(), Some(0));
        hunt.learn(None, &plan, &verdict(&["committed"], &[("kill", "start", 1)]));
        assert_eq!(hunt.growth(), Some(2));
    }
}
