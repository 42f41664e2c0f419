//! Readers that wait for what comes next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Tells waiting readers how far the store has come, as the group commit says so.
///
/// It has no event, so it can show none that is not durable: who is woken reads the store. Clones tell and wait
/// for the same.
#[derive(Clone)]
pub(crate) struct Feed {
    told: watch::Sender<Told>,
    places: Arc<Semaphore>,
    places_max: usize,
}

#[derive(Clone, Copy)]
struct Told {
    /// The last position that is known to be durable.
    last: u64,
    /// Nobody is to wait any more.
    over: bool,
}

impl Feed {
    /// Of a store with this many events, for as many waiting readers.
    pub(crate) fn new(last: u64, places_max: usize) -> Feed {
        let told = watch::Sender::new(Told { last, over: false });
        Feed { told, places: Arc::new(Semaphore::new(places_max)), places_max }
    }

    /// Everything up to this position is durable.
    pub(crate) fn announce(&self, position: u64) {
        self.told.send_if_modified(|told| {
            let news = position > told.last;
            told.last = told.last.max(position);
            news
        });
    }

    /// Sends the readers that wait home, and all who would.
    pub(crate) fn end(&self) {
        self.told.send_modify(|told| told.over = true);
    }

    /// The last position that is known to be durable.
    pub(crate) fn last(&self) -> u64 {
        self.told.borrow().last
    }

    /// How many readers wait.
    pub(crate) fn waiting(&self) -> usize {
        self.places_max - self.places.available_permits()
    }

    /// A place to wait in, if there is one.
    pub(crate) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// Waits until something after this position is durable, for so long at most.
    pub(crate) async fn wait(&self, after: u64, limit: Duration) {
        let mut told = self.told.subscribe();
        // Whether there was something, time is up or the sender is gone: the reader looks for itself.
        let _ = tokio::time::timeout(limit, told.wait_for(|told| told.over || told.last > after)).await;
    }
}
