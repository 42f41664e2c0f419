//! The models by name.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::TcpListener;

use stateright::Model;

use crate::commit::{self, CommitModel};
use crate::reconcile::{self, ReconcileModel};
use crate::search::{Progress, Report, search};

/// How much of a model is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Size {
    /// Seconds: for every change.
    #[default]
    Small,
    /// Minutes to hours, and gigabytes: for the night.
    Large,
}

/// Searches a model of this size and pinned number of states on so many threads.
type Check = fn(Size, Option<usize>, usize, &mut (dyn FnMut(Progress) + Send)) -> Report;

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
    check: Check,
    explore: fn(Size, &str),
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
            name: "commit",
            description: "atomic commit over a graph store and SQLite, under crashes and delayed, lost and refused requests",
            pinned_small: 150_312,
            pinned_large: 5_227_666,
            check: |size, pinned, threads, progress| search(commit(size), pinned, threads, progress),
            explore: |size, address| serve(commit(size), address),
        },
        Entry {
            name: "reconcile",
            description: "validation and reconciliation under transactions, crashes, and changes of a store by hand",
            pinned_small: 707_013,
            pinned_large: 4_697_318,
            check: |size, pinned, threads, progress| search(reconcile(size), pinned, threads, progress),
            explore: |size, address| serve(reconcile(size), address),
        },
    ]
}

fn find(name: &str) -> Result<&'static Entry, UnknownModel> {
    registry().iter().find(|entry| entry.name == name).ok_or_else(|| UnknownModel(name.to_owned()))
}

fn commit(size: Size) -> CommitModel {
    CommitModel::new(match size {
        Size::Small => commit::Bounds::SMALL,
        Size::Large => commit::Bounds::LARGE,
    })
}

fn reconcile(size: Size) -> ReconcileModel {
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
    Ok((entry.check)(size, Some(entry.pinned(size)), threads, &mut progress))
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
    (entry.explore)(size, address);
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
