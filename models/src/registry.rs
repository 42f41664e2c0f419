//! The models by name.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::TcpListener;

use stateright::Model;

use crate::append::AppendModel;
use crate::commit::CommitModel;
use crate::identity::IdentityModel;
use crate::projection::ProjectionModel;
use crate::reconcile::ReconcileModel;
use crate::search::{Progress, Report, search};
use crate::{append, commit, identity, projection, reconcile};

/// How much of a model is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Size {
    /// Seconds: for every change.
    #[default]
    Small,
    /// Minutes to hours, and gigabytes: for the night.
    Large,
}

/// Searches a model of this size, pinned at this count, on so many threads.
type Search = fn(Size, usize, usize, &mut (dyn FnMut(Progress) + Send)) -> Report;

/// A model.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is about, in one line.
    pub description: &'static str,
    /// How many different states it has when it is small.
    pub pinned_small: usize,
    /// How many when it is large.
    pub pinned_large: usize,
    search: Search,
    serve: fn(Size, &str),
}

impl Entry {
    /// How many different states it has.
    pub fn pinned(&self, size: Size) -> usize {
        match size {
            Size::Small => self.pinned_small,
            Size::Large => self.pinned_large,
        }
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
            pinned_small: 287_681,
            pinned_large: 1_025_250,
            search: |size, pinned, threads, progress| search(append_model(size), Some(pinned), threads, progress),
            serve: |size, address| serve(append_model(size), address),
        },
        Entry {
            name: "commit",
            description: "atomic commit over a graph store and SQLite, under crashes and delayed, lost and refused requests",
            pinned_small: 150_312,
            pinned_large: 5_227_666,
            search: |size, pinned, threads, progress| search(commit_model(size), Some(pinned), threads, progress),
            serve: |size, address| serve(commit_model(size), address),
        },
        Entry {
            name: "identity",
            description: "ids that transactions make and a canonical key that several want, under crashes and lost answers",
            pinned_small: 54_758,
            pinned_large: 803_512,
            search: |size, pinned, threads, progress| search(identity_model(size), Some(pinned), threads, progress),
            serve: |size, address| serve(identity_model(size), address),
        },
        Entry {
            name: "projection",
            description: "a graph that says what the events say, under crashes, rebuilds, and events and writes that come \
                          late or twice",
            pinned_small: 36_364,
            pinned_large: 127_823,
            search: |size, pinned, threads, progress| search(projection_model(size), Some(pinned), threads, progress),
            serve: |size, address| serve(projection_model(size), address),
        },
        Entry {
            name: "reconcile",
            description: "validation and reconciliation under transactions, crashes, and changes of a store by hand",
            pinned_small: 707_013,
            pinned_large: 4_697_318,
            search: |size, pinned, threads, progress| search(reconcile_model(size), Some(pinned), threads, progress),
            serve: |size, address| serve(reconcile_model(size), address),
        },
    ]
}

fn find(name: &str) -> Result<&'static Entry, UnknownModel> {
    registry().iter().find(|entry| entry.name == name).ok_or_else(|| UnknownModel(name.to_owned()))
}

fn append_model(size: Size) -> AppendModel {
    AppendModel::new(match size {
        Size::Small => append::Bounds::SMALL,
        Size::Large => append::Bounds::LARGE,
    })
}

fn commit_model(size: Size) -> CommitModel {
    CommitModel::new(match size {
        Size::Small => commit::Bounds::SMALL,
        Size::Large => commit::Bounds::LARGE,
    })
}

fn identity_model(size: Size) -> IdentityModel {
    IdentityModel::new(match size {
        Size::Small => identity::Bounds::SMALL,
        Size::Large => identity::Bounds::LARGE,
    })
}

fn projection_model(size: Size) -> ProjectionModel {
    ProjectionModel::new(match size {
        Size::Small => projection::Bounds::SMALL,
        Size::Large => projection::Bounds::LARGE,
    })
}

fn reconcile_model(size: Size) -> ReconcileModel {
    ReconcileModel::new(match size {
        Size::Small => reconcile::Bounds::SMALL,
        Size::Large => reconcile::Bounds::LARGE,
    })
}

/// Searches a model to its end on this many threads, telling now and then how far it is.
pub fn check(
    name: &str,
    size: Size,
    threads: usize,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Report, UnknownModel> {
    let entry = find(name)?;
    Ok((entry.search)(size, entry.pinned(size), threads, &mut progress))
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

/// Serves a model to a browser at `host:port`, state by state, until the process ends.
pub fn explore(name: &str, size: Size, address: &str) -> Result<(), ExploreError> {
    let entry = find(name)?;
    // The server itself would panic.
    TcpListener::bind(address).map_err(|error| ExploreError::Address { address: address.to_owned(), error })?;
    (entry.serve)(size, address);
    Ok(())
}

fn serve<M>(model: M, address: &str)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + PartialEq + Hash + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    model.checker().serve(address);
}
