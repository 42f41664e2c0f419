//! A bounded pool of connections.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::BoltConnection;

/// Idle connections, and the right to use one. Whoever waits is served in order of arrival.
pub(super) struct Pool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<BoltConnection>>,
}

/// The right to use one connection, given back when dropped.
pub(super) struct Permit(#[expect(dead_code, reason = "held for its destructor")] OwnedSemaphorePermit);

impl Pool {
    pub(super) fn new(size: usize) -> Pool {
        Pool { permits: Arc::new(Semaphore::new(size.max(1))), idle: Mutex::new(Vec::new()) }
    }

    pub(super) async fn permit(&self) -> Permit {
        Permit(self.permits.clone().acquire_owned().await.expect("the semaphore is never closed"))
    }

    /// The connection used last: the others may get old enough for the server to close them.
    pub(super) fn take(&self, _: &Permit) -> Option<BoltConnection> {
        self.idle().pop()
    }

    /// Gives back a connection on which nothing is going on. One that is not given back is
    /// closed: that is what happens to all that failed.
    pub(super) fn give_back(&self, _: &Permit, connection: BoltConnection) {
        self.idle().push(connection);
    }

    /// Closes all idle connections: when one turned out dead, the others likely are too.
    pub(super) fn close_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<BoltConnection>> {
        // A push or a pop cannot leave the list half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
