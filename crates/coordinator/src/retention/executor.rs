//! Carries out the effects of the retention core, and the clock that it shares with the
//! commit core's executor.

use std::sync::Arc;

use env::Executor;
use graph::Millis;
use rusqlite::Connection;
use stores::batch::Batcher;
use tokio::time::Instant;

use super::{Input, Retention, RetentionEffect};
use crate::operations::Operations;
use crate::{access, ledger};

/// Running time, as it goes by between two passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningClock {
    before: Millis,
    started: Instant,
}

impl RunningClock {
    /// Of a process that starts now, on a ledger on which coordinators have been running for
    /// `before`.
    ///
    /// Made before the core is driven: what it stamps is never younger than the core believes.
    pub(crate) fn start(before: Millis) -> RunningClock {
        RunningClock { before, started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Millis {
        self.before + Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Carries out what the core asks for.
pub(crate) struct RetentionExecutor {
    pub ledger: Batcher,
    pub operations: Arc<Operations>,
}

impl Executor<Retention> for RetentionExecutor {
    async fn execute(&self, effect: RetentionEffect) -> Option<Input> {
        let RetentionEffect::Forget { running, settled_by, limit } = effect;
        let over = self.operations.low_water();
        let forget = move |sql: &Connection| ledger::forget(sql, running, settled_by, over, limit);
        let forgotten = access::write(&self.ledger, forget).await;
        Some(match forgotten {
            Ok(removed) => Input::Done { removed },
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(reason, "old records stay for now");
                Input::Failed { reason }
            }
        })
    }
}
