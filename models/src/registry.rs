//! The models by name, and how much of each is searched.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::TcpListener;

use serde::Serialize;
use stateright::Model;

use crate::append::{self, AppendModel};
use crate::commit::{self, CommitModel};
use crate::identity::{self, IdentityModel};
use crate::projection::{self, Budget, Pace, ProjectionModel};
use crate::reconcile::{self, ReconcileModel};
use crate::search::{Progress, Report, search};
use crate::taken::Counting;

/// Nothing happens to the events.
const NOTHING: Budget = Budget { deliveries: 0, crashes: 0, losses: 0, rebuilds: 0 };

/// How much of a model is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Size {
    /// Seconds: for every change.
    #[default]
    Small,
    /// Minutes to hours, and gigabytes: for the night.
    Large,
}

/// A model.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is about, in one line.
    pub description: &'static str,
    small: &'static [Space],
    large: &'static [Space],
}

impl Entry {
    /// The spaces that are searched; at least one.
    pub fn spaces(&self, size: Size) -> &'static [Space] {
        match size {
            Size::Small => self.small,
            Size::Large => self.large,
        }
    }
}

/// A model between bounds: what is searched to its end. Several of one model have more room
/// together than one that allows everything at once.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// What may happen in it, in a few words.
    pub bounds: &'static str,
    /// How many different states it has.
    pub pinned: usize,
    model: fn() -> Box<dyn Searchable>,
}

/// A model of any type.
trait Searchable {
    fn search(&self, pinned: usize, threads: usize, progress: &mut (dyn FnMut(Progress) + Send)) -> Report;

    fn serve(&self, address: &str);
}

impl<M> Searchable for M
where
    M: Model + Counting + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + PartialEq + Hash + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Display + Serialize + Send + Sync,
{
    fn search(&self, pinned: usize, threads: usize, progress: &mut (dyn FnMut(Progress) + Send)) -> Report {
        search(self.clone(), Some(pinned), threads, progress)
    }

    fn serve(&self, address: &str) {
        self.clone().checker().serve(address);
    }
}

/// There is no model of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no model {0:?}; there is: {known}", known = names())]
pub struct UnknownModel(pub String);

fn names() -> String {
    registry().iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

/// All models.
pub fn registry() -> &'static [Entry] {
    &[
        Entry {
            name: "append",
            description: "streams of events that transactions and others append to, under crashes and lost answers",
            small: &[Space {
                bounds: "a crash, a fault",
                pinned: 287_681,
                model: || Box::new(AppendModel::new(append::Bounds::SMALL)),
            }],
            large: &[Space {
                bounds: "two crashes, a fault",
                pinned: 1_025_250,
                model: || Box::new(AppendModel::new(append::Bounds::LARGE)),
            }],
        },
        Entry {
            name: "commit",
            description: "atomic commit over a graph store and SQLite, under crashes and delayed, lost and refused requests",
            small: &[Space {
                bounds: "a crash, a fault",
                pinned: 150_312,
                model: || Box::new(CommitModel::new(commit::Bounds::SMALL)),
            }],
            large: &[Space {
                bounds: "two crashes, two faults",
                pinned: 5_227_666,
                model: || Box::new(CommitModel::new(commit::Bounds::LARGE)),
            }],
        },
        Entry {
            name: "identity",
            description: "ids that transactions make and a canonical key that several want, under crashes and lost answers",
            small: &[Space {
                bounds: "a crash, a fault",
                pinned: 54_758,
                model: || Box::new(IdentityModel::new(identity::Bounds::SMALL)),
            }],
            large: &[Space {
                bounds: "two crashes, a fault",
                pinned: 803_512,
                model: || Box::new(IdentityModel::new(identity::Bounds::LARGE)),
            }],
        },
        Entry {
            name: "projection",
            description: "a graph that says what the events say, under crashes, rebuilds, and events and writes that come \
                          late or twice",
            small: &[
                Space {
                    bounds: "every order",
                    pinned: 52_740,
                    model: || Box::new(ProjectionModel::new(projection::Bounds::orders(Pace::Singly))),
                },
                Space {
                    bounds: "two events early, late or twice",
                    pinned: 15_095,
                    model: || batched(8, Budget { deliveries: 2, ..NOTHING }),
                },
                Space {
                    bounds: "an event early, late or twice, and a verdict lost",
                    pinned: 37_807,
                    model: || batched(8, Budget { deliveries: 1, losses: 1, ..NOTHING }),
                },
                Space {
                    bounds: "an event early, late or twice, and a crash",
                    pinned: 103_369,
                    model: || batched(8, Budget { deliveries: 1, crashes: 1, ..NOTHING }),
                },
                Space {
                    bounds: "an event early, late or twice, and a rebuild",
                    pinned: 273_387,
                    model: || batched(8, Budget { deliveries: 1, rebuilds: 1, ..NOTHING }),
                },
                Space {
                    bounds: "a crash and a rebuild, of five events",
                    pinned: 82_934,
                    model: || batched(5, Budget { crashes: 1, rebuilds: 1, ..NOTHING }),
                },
            ],
            large: &[
                Space {
                    bounds: "an event early, late or twice, and a crash",
                    pinned: 103_369,
                    model: || batched(8, Budget { deliveries: 1, crashes: 1, ..NOTHING }),
                },
                Space {
                    bounds: "a verdict lost and a rebuild",
                    pinned: 241_266,
                    model: || batched(8, Budget { losses: 1, rebuilds: 1, ..NOTHING }),
                },
                Space {
                    bounds: "a crash and a rebuild",
                    pinned: 3_003_057,
                    model: || batched(8, Budget { crashes: 1, rebuilds: 1, ..NOTHING }),
                },
            ],
        },
        Entry {
            name: "reconcile",
            description: "validation and reconciliation under transactions, crashes, and changes of a store by hand",
            small: &[
                Space {
                    bounds: "two passes, a crash",
                    pinned: 707_013,
                    model: || Box::new(ReconcileModel::new(reconcile::Bounds::SMALL)),
                },
                Space {
                    bounds: "a pass, a crash, a fault",
                    pinned: 164_870,
                    model: || Box::new(ReconcileModel::new(reconcile::Bounds::FAULTY)),
                },
            ],
            large: &[Space {
                bounds: "two passes, a crash, a fault",
                pinned: 4_697_318,
                model: || Box::new(ReconcileModel::new(reconcile::Bounds::LARGE)),
            }],
        },
    ]
}

/// The projection of the first so many events in batches, to which this happens.
fn batched(events: usize, budget: Budget) -> Box<dyn Searchable> {
    Box::new(ProjectionModel::new(projection::Bounds { events, ..projection::Bounds::of(budget) }))
}

fn find(name: &str) -> Result<&'static Entry, UnknownModel> {
    registry().iter().find(|entry| entry.name == name).ok_or_else(|| UnknownModel(name.to_owned()))
}

/// What the searches of a model's spaces found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The spaces, in order, each with what was found in it.
    pub spaces: Vec<(&'static Space, Report)>,
    /// What should hold sometimes, and does in none of the spaces.
    pub never: Vec<&'static str>,
    /// The kinds of actions that were taken in none of them.
    pub idle: Vec<&'static str>,
}

impl Checked {
    fn new(spaces: Vec<(&'static Space, Report)>) -> Checked {
        let reports = || spaces.iter().map(|(_, report)| report);
        let findings = || reports().flat_map(|report| &report.properties);
        let holds = |name: &str| findings().any(|finding| finding.name == name && finding.ok());
        let missing = findings().filter(|finding| finding.is_missing()).map(|finding| finding.name);
        let never: BTreeSet<&str> = missing.filter(|name| !holds(name)).collect();
        let taken =
            |kind: &str| reports().flat_map(|report| &report.taken).any(|(one, count)| *one == kind && *count > 0);
        let kinds = spaces.first().map(|(_, report)| &report.taken).into_iter().flatten();
        let idle = kinds.map(|(kind, _)| *kind).filter(|kind| !taken(kind)).collect();
        Checked { never: never.into_iter().collect(), idle, spaces }
    }

    /// Whether everything is as it should be: what holds always holds in every space, each of
    /// which has as many states as it should; and what may happen happens in one of them.
    pub fn ok(&self) -> bool {
        self.never.is_empty() && self.idle.is_empty() && self.spaces.iter().all(|(_, report)| report.is_sound())
    }
}

/// Searches the spaces of a model to their ends, one after the other, on this many threads, telling
/// now and then how far it is in which.
pub fn check(
    name: &str,
    size: Size,
    threads: usize,
    mut progress: impl FnMut(&Space, Progress) + Send,
) -> Result<Checked, UnknownModel> {
    let search = |space: &'static Space| {
        let report = (space.model)().search(space.pinned, threads, &mut |far| progress(space, far));
        (space, report)
    };
    Ok(Checked::new(find(name)?.spaces(size).iter().map(search).collect()))
}

/// Why a model is not served.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    /// There is no such model.
    #[error(transparent)]
    Unknown(#[from] UnknownModel),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// The address.
        address: String,
        /// Why.
        error: std::io::Error,
    },
}

/// Serves the first space of a model to a browser at `host:port`, state by state, until the process ends.
pub fn explore(name: &str, size: Size, address: &str) -> Result<(), ExploreError> {
    let entry = find(name)?;
    // The server itself would panic.
    TcpListener::bind(address).map_err(|error| ExploreError::Address { address: address.to_owned(), error })?;
    (entry.spaces(size)[0].model)().serve(address);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Finding;
    use stateright::Expectation;

    /// A report with a property that should hold sometimes, and one kind of action.
    fn report(holds: bool, taken: usize) -> Report {
        let discovered = holds.then(|| crate::Counterexample { property: "p".to_owned(), steps: Vec::new() });
        let finding = Finding { name: "p", expectation: Expectation::Sometimes, discovered };
        let taken = vec![("crash", taken)];
        Report { unique: 1, generated: 1, depth: 1, pinned: Some(1), properties: vec![finding], taken, ok: holds }
    }

    fn checked(reports: [Report; 2]) -> Checked {
        let space = &registry()[0].small[0];
        Checked::new(reports.map(|report| (space, report)).into())
    }

    #[test]
    fn what_happens_in_no_space_is_told() {
        let one = checked([report(true, 0), report(false, 3)]);
        assert!(one.ok(), "each has what the other has not: {one:?}");
        let never = checked([report(false, 1), report(false, 1)]);
        assert_eq!((never.ok(), &never.never[..], &never.idle[..]), (false, &["p"][..], &[][..]));
        let idle = checked([report(true, 0), report(true, 0)]);
        assert_eq!((idle.ok(), &idle.never[..], &idle.idle[..]), (false, &[][..], &["crash"][..]));
    }

    #[test]
    fn a_space_of_another_size_than_written_down_is_told() {
        let larger = Report { unique: 2, ..report(true, 1) };
        assert!(!checked([report(true, 1), larger]).ok());
    }
}
