//! Which kinds of actions a search has taken.
//!
//! A model that never does something proves nothing about it, and an exhausted search does not say
//! so by itself: a budget of zero, or a condition that is never true, takes an action away without
//! a trace. So every model counts what it does by kind, and names all kinds before it begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often each kind of action was taken, by a model and all of its clones.
#[derive(Clone, Debug)]
pub struct Taken(Arc<[(&'static str, AtomicUsize)]>);

impl Taken {
    /// Nothing yet, of these kinds.
    pub fn of(kinds: impl IntoIterator<Item = &'static str>) -> Taken {
        Taken(kinds.into_iter().map(|kind| (kind, AtomicUsize::new(0))).collect())
    }

    /// An action of this kind is taken.
    ///
    /// # Panics
    ///
    /// When the model has not named it.
    pub fn count(&self, kind: &str) {
        let (_, count) = self.0.iter().find(|(known, _)| *known == kind).unwrap_or_else(|| panic!("{kind} is new"));
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Every kind, in the order in which the model names them, and how often it was taken.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        self.0.iter().map(|(kind, count)| (*kind, count.load(Ordering::Relaxed))).collect()
    }
}

/// A model that counts what it does.
pub trait Counting {
    /// What it did so far.
    fn taken(&self) -> &Taken;
}
