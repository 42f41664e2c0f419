//! Recovery is a constructor: a crash is ordinary code.

use std::collections::BTreeMap;

use env::Step;
use graph::TxId;

use super::core::{Commit, Config, Owner};
use super::locks::{LockKey, LockMode, Locks};
use super::messages::{CommitEffect, Intent, Mark};
use super::transaction::{Stage, Transaction};

/// Two unresolved intents name the same entity, which locks make impossible: the log is not
/// the one that this program wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} stands in the log without an outcome, and so does another transaction on the same entities")]
pub struct ConflictingIntents(pub TxId);

impl Commit {
    /// The core of a process that starts with these unresolved intents in its log.
    ///
    /// `incarnation` must be larger than that of every process before. Every intent is
    /// locked before anything else happens, and fenced: whatever the earlier process sent to
    /// the graph is then in effect, or never will be.
    pub fn recover(
        config: Config,
        incarnation: u64,
        intents: Vec<Intent>,
    ) -> Result<(Commit, Step<CommitEffect, Mark>), ConflictingIntents> {
        let mut core = Commit {
            config,
            incarnation,
            serial: 0,
            locks: Locks::new(),
            transactions: BTreeMap::new(),
            keys: BTreeMap::new(),
            reads: BTreeMap::new(),
            look_ups: BTreeMap::new(),
            appends: BTreeMap::new(),
            halted: false,
        };
        let mut step = Step::new();
        for intent in intents {
            let tx = intent.tx;
            let locks = LockKey::of(&intent.patch);
            if core.transactions.contains_key(&tx) || !core.locks.acquire(Owner::Tx(tx), locks, LockMode::Exclusive) {
                return Err(ConflictingIntents(tx));
            }
            core.keys.insert(intent.key.clone(), tx);
            let transaction =
                Transaction { intent, stage: Stage::Waiting, waiters: Vec::new(), recovered: true, repair: None };
            core.transactions.insert(tx, transaction);
            step.marks.push(Mark::Recovered(tx));
            core.fence(tx, 1, &mut step);
        }
        Ok((core, step))
    }
}
