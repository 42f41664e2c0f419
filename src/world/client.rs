//! Clients: they invoke operations one after another and write down what they learn.

use std::cell::RefCell;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::host::Host;
use crate::history::{ClientId, History, Millis};
use crate::plan::ClientStep;
use crate::sut::{Outcome, System};

/// A client's host.
#[derive(Clone, Debug)]
pub struct ClientHost(Host);

impl ClientHost {
    pub(super) fn new(host: Host) -> ClientHost {
        ClientHost(host)
    }

    /// Whether a request that begins now is to be sent twice. Whoever asks and is told so must do it: the fault counts
    /// as having taken effect.
    pub fn duplicating(&self) -> bool {
        self.shared().state().faults.take_duplicate(self.id())
    }
}

/// What every host can do.
impl Deref for ClientHost {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.0
    }
}

/// Carries out a client's steps, in order. An operation that panics stays open and ends the client.
pub(super) async fn work<S: System>(
    system: Arc<S>,
    client: ClientHost,
    id: ClientId,
    steps: Vec<ClientStep<S::Op>>,
    history: Rc<RefCell<History<S::Op, S::Ret>>>,
) {
    for ClientStep { at_ms, op } in steps {
        let early_ms = at_ms.saturating_sub(client.elapsed_ms());
        if early_ms > 0 {
            tokio::time::sleep(Duration::from_millis(early_ms)).await;
        }
        let invoked = history.borrow_mut().invoke(Millis(client.elapsed_ms()), id, op.clone());
        let performed =
            AssertUnwindSafe(async { system.perform(client.clone(), invoked, op).await }).catch_unwind().await;
        let Ok(outcome) = performed else { return };
        let (at, mut history) = (Millis(client.elapsed_ms()), history.borrow_mut());
        let completed = match outcome {
            Outcome::Ok(ret) => history.ok(at, invoked, ret),
            Outcome::Fail(reason) => history.fail(at, invoked, reason),
            Outcome::Info(reason) => history.info(at, invoked, reason),
        };
        completed.expect("it was invoked above and is completed once");
    }
}
