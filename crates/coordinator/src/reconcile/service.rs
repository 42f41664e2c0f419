//! What a running coordinator offers: passes, cases, and their resolution.

use graph::Subject;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use stores::batch::BatchError;

use super::case::{Case, Ending};
use super::core::{Input, Task};
use super::executor::repaired;
use super::judge::{Authority, Order, Policy, Reason};
use super::pass::Repaired;
use super::summary::Summary;
use crate::commit::{self, Answer};
use crate::ledger::LedgerError;
use crate::service::Coordinator;
use crate::{access, ledger};

/// What a person decided about a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// Who is right.
    pub authority: Authority,
    /// Who says so; for the audit trail.
    pub by: String,
    /// Why; for the audit trail.
    pub note: String,
}

/// Why a case was not resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such case.
    #[error("there is no case {0}")]
    NoSuchCase(u64),
    /// It was resolved before.
    #[error("case {0} is resolved already")]
    Resolved(u64),
    /// Who is right cannot be put into effect: something else has to be done first.
    #[error("{subject}: {reason}")]
    Undecided {
        /// What the case is about.
        subject: Subject,
        /// What is in the way.
        reason: Reason,
    },
    /// Others were faster, or a store could not do it; the same may be asked again.
    #[error("{0}")]
    NotNow(String),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] BatchError<LedgerError>),
}

impl Coordinator {
    /// Compares both stores while everything goes on.
    pub async fn validate(&self) -> Summary {
        self.pass(Task::Validate).await
    }

    /// Makes both stores the same, while everything goes on, as far as the policy decides: none
    /// does while the graph has changes of a transaction whose record is damaged.
    pub async fn reconcile(&self, policy: Policy) -> Summary {
        self.pass(Task::Reconcile(self.isolated.restrict(policy))).await
    }

    /// What the last pass found that came to its end in this process.
    pub fn last_summary(&self) -> Option<Summary> {
        self.last_summary.borrow().clone()
    }

    /// Up to `limit` open cases after the one of this number, oldest first.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn open_cases(&self, after: u64, limit: u32) -> Result<Vec<Case>, BatchError<LedgerError>> {
        access::read(&self.ledger, move |sql| ledger::open_cases(sql, after, limit)).await
    }

    /// Puts into effect what a person decided about a case: repairs, compares again, and closes
    /// the case, which is documented in it and in the audit trail. After a crash the same can be
    /// asked again.
    ///
    /// # Errors
    ///
    /// See [`ResolveError`]; the case is open then.
    pub async fn resolve(&self, number: u64, resolution: Resolution) -> Result<Case, ResolveError> {
        let case = self.case(number).await?.ok_or(ResolveError::NoSuchCase(number))?;
        if case.ending.is_some() {
            return Err(ResolveError::Resolved(number));
        }
        let subject = case.evidence.subject.clone();
        let Resolution { authority, by, note } = resolution;
        let tx = match self.repair(subject.clone(), Order::Operator(authority)).await {
            Repaired::Agreed => None,
            Repaired::Committed(tx) => Some(tx),
            Repaired::Undecided(reason, _) => return Err(ResolveError::Undecided { subject, reason }),
            Repaired::NotNow(why) => return Err(ResolveError::NotNow(why)),
        };
        match self.examine(subject.clone()).await {
            Answer::Examined(evidence) if evidence.agrees() => {}
            Answer::Examined(_) => return Err(ResolveError::NotNow(format!("{subject} differs again"))),
            answer => return Err(ResolveError::NotNow(format!("{subject} could not be compared: {answer:?}"))),
        }
        let at_ms = self.env.utc_now();
        let ending = Ending { authority, by, note, tx, at_ms };
        let written = ending.clone();
        let close = move |sql: &Connection| {
            Ok((ledger::close_case(sql, number, &written, tx, at_ms)?, ledger::count_open_cases(sql)?))
        };
        let (closed, open) = access::write(&self.ledger, close).await?;
        self.operations().report_cases(open);
        if !closed {
            return Err(ResolveError::Resolved(number));
        }
        Ok(Case { ending: Some(ending), ..case })
    }

    /// Repairs one entity or link, if the stores differ about it.
    pub async fn repair(&self, subject: Subject, order: Order) -> Repaired {
        repaired(self.ask(None, |request| commit::Input::Repair { request, subject, order }).await)
    }

    async fn examine(&self, subject: Subject) -> Answer {
        self.ask(None, |request| commit::Input::Examine { request, subject }).await
    }

    async fn case(&self, number: u64) -> Result<Option<Case>, BatchError<LedgerError>> {
        access::read(&self.ledger, move |sql| ledger::case(sql, number)).await
    }

    async fn pass(&self, task: Task) -> Summary {
        let (request, summary) = self.summaries.register(None);
        self.passes.send(Input::Run { request, task });
        summary.await.expect("every pass is reported before it is forgotten")
    }
}
