//! The clients that wait for a core's answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A place among the open requests, held until the value is dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for what it stands for")] OwnedSemaphorePermit);

impl From<OwnedSemaphorePermit> for Place {
    fn from(permit: OwnedSemaphorePermit) -> Place {
        Place(permit)
    }
}

/// The clients that wait for an answer `A` of a core, which knows each of them as `R`.
pub struct Waiting<R, A> {
    name: fn(u64) -> R,
    state: Mutex<State<R, A>>,
}

struct State<R, A> {
    last: u64,
    waiters: BTreeMap<R, Waiter<A>>,
}

/// A client that waits. It keeps its place until the core has answered, even if it has gone away:
/// what it asked for is still being done.
struct Waiter<A> {
    sender: oneshot::Sender<A>,
    _place: Option<Place>,
}

impl<R: Copy + Ord, A> Waiting<R, A> {
    /// Nobody waits. Those who will are named by their numbers, from 1.
    pub fn new(name: fn(u64) -> R) -> Waiting<R, A> {
        Waiting { name, state: Mutex::new(State { last: 0, waiters: BTreeMap::new() }) }
    }

    /// One more client; returns its name and what its answer comes from.
    pub fn register(&self, place: Option<Place>) -> (R, oneshot::Receiver<A>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last += 1;
        let request = (self.name)(state.last);
        state.waiters.insert(request, Waiter { sender, _place: place });
        (request, receiver)
    }

    /// Tells a client; one that went away in the meantime does not hear it.
    pub fn answer(&self, request: R, answer: A) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiter) = state.waiters.remove(&request) {
            let _ = waiter.sender.send(answer);
        }
    }
}
