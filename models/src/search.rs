//! Searching a model to its end.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::time::Duration;

use serde::Serialize;
use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::taken::Counting;
use crate::{Counterexample, shortest};

/// What a finished search found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many different states there are.
    pub unique: usize,
    /// How many were generated, the same ones again included.
    pub generated: usize,
    /// The length of the longest path without detours, in states.
    pub depth: usize,
    /// How many different states there should be, where that is written down.
    pub pinned: Option<usize>,
    /// The properties, in the model's order.
    pub properties: Vec<Finding>,
    /// Every kind of action of the model, and how often one was taken.
    pub taken: Vec<(&'static str, usize)>,
    /// Whether the properties and the number of states are as they should be.
    pub ok: bool,
}

impl Report {
    /// Whether what should hold always does, in as many states as there should be.
    pub fn is_sound(&self) -> bool {
        self.properties.iter().all(|finding| finding.ok() || finding.is_missing())
            && self.pinned.is_none_or(|pinned| pinned == self.unique)
    }
}

/// What a search found about a property.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The property.
    pub name: &'static str,
    /// Whether it should hold always, or sometimes.
    pub expectation: Expectation,
    /// A path to where it fails, or, where it should hold sometimes, to where it holds.
    pub discovered: Option<Counterexample>,
}

impl Finding {
    /// Whether the property is as it should be.
    pub fn ok(&self) -> bool {
        self.expectation.discovery_is_failure() == self.discovered.is_none()
    }

    /// Whether it should hold sometimes, and does not here.
    pub fn is_missing(&self) -> bool {
        !self.ok() && self.expectation == Expectation::Sometimes
    }
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many different states were found.
    pub unique: usize,
    /// How many were generated.
    pub generated: usize,
    /// How long the paths are by now.
    pub depth: usize,
}

/// Searches a model to its end. `progress` is called about every tenth of a second. Where
/// properties fail, the first to fail is given with a shortest path; the others may have
/// longer ones than they need.
///
/// # Panics
///
/// When the model itself panics.
pub fn search<M>(model: M, pinned: Option<usize>, threads: usize, mut progress: impl FnMut(Progress) + Send) -> Report
where
    M: Model + Counting + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + PartialEq + Hash + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Display + Serialize + Send + Sync,
{
    let properties = model.properties();
    let checker = model
        .clone()
        .checker()
        .threads(threads)
        // Nothing ends the search early but a discovery for every property, which includes
        // a counterexample for each that should always hold.
        .finish_when(HasDiscoveries::All)
        .spawn_bfs()
        .join_and_report(&mut Forward(&mut progress));
    // What tells the paths again, and looks for a shorter one, takes actions as well.
    let taken = model.taken().counts();
    let mut discoveries = checker.discoveries();
    let mut discovered = |name| Some(Counterexample::new(name, &discoveries.remove(name)?.into_actions()));
    let mut properties: Vec<Finding> = properties
        .into_iter()
        .map(|property| Finding {
            name: property.name,
            expectation: property.expectation,
            discovered: discovered(property.name),
        })
        .collect();
    if properties.iter().any(|finding| !finding.ok() && finding.discovered.is_some())
        && let Some((failed, actions)) = shortest(model)
    {
        let finding = properties.iter_mut().find(|finding| finding.name == failed).expect("a property of the model");
        finding.discovered = Some(Counterexample::new(failed, &actions));
    }
    let unique = checker.unique_state_count();
    let ok = properties.iter().all(Finding::ok) && pinned.is_none_or(|pinned| pinned == unique);
    Report { unique, generated: checker.state_count(), depth: checker.max_depth(), pinned, properties, taken, ok }
}

struct Forward<'a, F>(&'a mut F);

impl<M: Model, F: FnMut(Progress)> Reporter<M> for Forward<'_, F> {
    fn report_checking(&mut self, data: ReportData) {
        let ReportData { total_states, unique_states, max_depth, duration: _, done: _ } = data;
        (self.0)(Progress { unique: unique_states, generated: total_states, depth: max_depth });
    }

    fn report_discoveries(&mut self, _: &M, _: BTreeMap<&'static str, ReportDiscovery<M>>)
    where
        M::Action: Debug + PartialEq,
        M::State: Debug + Hash + PartialEq,
    {
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(100)
    }
}
