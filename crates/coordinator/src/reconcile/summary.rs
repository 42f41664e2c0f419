//! What a pass has to say when it is over.

use graph::TxId;
use serde::{Deserialize, Serialize};

use super::core::Task;
use super::evidence::Divergence;

/// The result of a validation or a reconciliation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Summary {
    /// What was asked for.
    pub task: Task,
    /// Whether both stores were read to their ends.
    pub complete: bool,
    /// Why not, if they were not.
    pub why: Option<String>,
    /// How many entities were compared.
    pub entities: u64,
    /// How many links were compared.
    pub links: u64,
    /// How many of both the two scans saw differently: most of them had just been written to.
    pub suspects: u64,
    /// How many of those did differ when they were looked at again under locks, and how many
    /// elements of the graph have names that are not the coordinator's.
    pub differences: u64,
    /// How many differences a transaction of this pass has removed.
    pub repaired: u64,
    /// How many are left to a person, each with an open case.
    pub undecided: u64,
    /// How many suspects could not be looked at: others held them too long, or a store failed.
    pub skipped: u64,
    /// The first of what was found, in order.
    pub findings: Vec<Finding>,
}

/// One difference, or one suspect that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// Which entity or link.
    pub subject: String,
    /// In which way the stores differ, where that is still to be seen.
    pub divergence: Option<Divergence>,
    /// Which properties differ, `kind` among them.
    pub fields: Vec<String>,
    /// What was done about it.
    pub done: Done,
}

/// What was done about a difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Done {
    /// Nothing: nobody asked for it.
    Nothing,
    /// It is repaired.
    Repaired {
        /// By this transaction.
        tx: TxId,
    },
    /// It is left to a person.
    Case {
        /// In this case.
        case: u64,
    },
    /// Nothing: it was not looked at.
    Skipped {
        /// Why not.
        why: String,
    },
    /// Nothing: its name is not one that the coordinator gives, so it cannot be locked. It is no
    /// entity of the coordinator's; whoever put it there has to take it away.
    Foreign,
}

impl Summary {
    pub(super) fn new(task: Task) -> Summary {
        Summary {
            task,
            complete: false,
            why: None,
            entities: 0,
            links: 0,
            suspects: 0,
            differences: 0,
            repaired: 0,
            undecided: 0,
            skipped: 0,
            findings: Vec::new(),
        }
    }

    /// Whether both stores were compared as a whole and nothing is left to be done.
    pub fn is_clean(&self) -> bool {
        self.complete && self.skipped == 0 && self.differences == self.repaired
    }
}
