//! Carries out the effects of the reconciliation core: scans by itself, everything that needs
//! locks through the commit core.

use std::sync::Arc;
use std::time::Duration;

use env::{Env, Executor, Handle, Waiting, Watched};
use graph::{Subject, TxId};
use stores::batch::Batcher;
use stores::{Call, GraphError, GraphStore, Rows};
use tokio::sync::watch;

use super::compare::{Page, Position, compare};
use super::core::{Input, Reconcile, ReconcileEffect};
use super::judge::Order;
use super::pass::Repaired;
use super::summary::{Done, Summary};
use crate::commit::{self, Answer, Commit, Decision, Reviewed, Settled};
use crate::ledger::{self, Replays};
use crate::operations::{CheckResult, Operations, STORES_CHECK};
use crate::{access, statements};

/// How long to wait before a page of the graph is asked for again, each time.
const GRAPH_PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

/// Carries out what the core asks for.
pub(crate) struct ReconcileExecutor {
    pub env: Env,
    pub ledger: Batcher,
    pub graph: Arc<dyn GraphStore>,
    pub graph_limit: Duration,
    pub commit: Handle<Watched<Commit, Operations>>,
    pub operations: Arc<Operations>,
    pub answers: Arc<Waiting<commit::RequestId, Answer>>,
    pub summaries: Arc<Waiting<commit::RequestId, Summary>>,
    /// What the pass under way has read of the events.
    pub replays: Replays,
    /// The last validation or reconciliation that came to its end.
    pub last: watch::Sender<Option<Summary>>,
}

impl Executor<Reconcile> for ReconcileExecutor {
    async fn execute(&self, effect: ReconcileEffect) -> Option<Input> {
        let failed = |reason: String| Input::Failed { reason };
        Some(match effect {
            ReconcileEffect::Compare { from, limit } => {
                if matches!(from, Position::Entities(None) | Position::Links(None)) {
                    self.replays.begin();
                }
                self.compare(from, limit).await.map_or_else(failed, Input::Compared)
            }
            ReconcileEffect::Examine { subject } => {
                match self.ask(|request| commit::Input::Examine { request, subject }).await {
                    Answer::Examined(evidence) => Input::Examined(*evidence),
                    Answer::Rejected(rejection) => failed(rejection.to_string()),
                    answer => panic!("the core answered an examination with {answer:?}"),
                }
            }
            ReconcileEffect::Repair { subject, order } => Input::Repaired(self.repair(subject, order).await),
            ReconcileEffect::Record { evidence, reason } => {
                let utc = self.env.utc_now();
                let found = evidence.clone();
                let recorded = access::write(&self.ledger, move |sql| {
                    Ok((ledger::open_case(sql, &found, &reason, utc)?, ledger::count_open_cases(sql)?))
                });
                match recorded.await {
                    Ok((case, open)) => {
                        self.operations.report_cases(open);
                        Input::Recorded { evidence: *evidence, case }
                    }
                    Err(error) => failed(format!("no case about {}: {error}", evidence.subject)),
                }
            }
            ReconcileEffect::Report { request, summary } => {
                self.replays.end();
                report(&self.operations, &summary);
                self.acquit(&summary).await;
                self.last.send_replace(Some(summary.clone()));
                if let Some(request) = request {
                    self.summaries.answer(request, summary);
                }
                return None;
            }
        })
    }
}

impl ReconcileExecutor {
    /// Takes back what a start had found, once the stores were seen to be the same.
    async fn acquit(&self, summary: &Summary) {
        if !summary.is_clean() || !self.operations.is_suspected() {
            return;
        }
        match access::write(&self.ledger, ledger::clear_suspicion).await {
            Ok(()) => self.operations.report_start(None),
            Err(error) => tracing::warn!(%error, "what the start found is still said"),
        }
    }

    async fn compare(&self, from: Position, limit: u32) -> Result<Page, String> {
        let calls = match &from {
            Position::Entities(after) => statements::entities_after(after.as_deref(), limit),
            Position::Links(after) => statements::links_after(after.as_ref().map(three), limit),
        };
        let rows = self.read_graph(calls).await.map_err(|error| error.to_string())?;
        let start = from.clone();
        let replays = self.replays.clone();
        let in_ledger = access::read(&self.ledger, move |sql| {
            let page = match &start {
                Position::Entities(after) => ledger::entities_after(sql, after.as_deref(), limit),
                Position::Links(after) => ledger::links_after(sql, after.as_ref().map(three), limit),
            };
            ledger::accounted_for(sql, &replays, page?)
        });
        let in_ledger = in_ledger.await.map_err(|error| error.to_string())?;
        compare(&from, &rows.into_iter().next().unwrap_or_default(), in_ledger, limit)
    }

    /// Asks again for a while: a pass takes long, and one lost connection is no reason to begin anew.
    async fn read_graph(&self, calls: Vec<Call>) -> Result<Vec<Rows>, GraphError> {
        let mut pauses = GRAPH_PAUSES.iter();
        loop {
            let error = match self.graph.execute(calls.clone(), self.graph_limit).await {
                Ok(rows) => return Ok(rows),
                Err(error @ (GraphError::Unknown { .. } | GraphError::Refused { retryable: true, .. })) => error,
                Err(error) => return Err(error),
            };
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::debug!(%error, "reading a page again");
            tokio::time::sleep(*pause).await;
        }
    }

    async fn repair(&self, subject: Subject, order: Order) -> Repaired {
        repaired(self.ask(|request| commit::Input::Repair { request, subject, order }).await)
    }

    async fn ask(&self, input: impl FnOnce(commit::RequestId) -> commit::Input) -> Answer {
        let (request, answer) = self.answers.register(None);
        self.commit.send(input(request));
        answer.await.expect("every request is answered before it is forgotten")
    }
}

/// What the commit core's answer to [`commit::Input::Repair`] means for a repair.
///
/// # Panics
///
/// When it is no answer to that.
pub fn repaired(answer: Answer) -> Repaired {
    let unknown = |tx: Option<TxId>| match tx {
        Some(tx) => format!("nobody knows yet what became of {tx}"),
        None => "nobody knows yet what became of it".to_owned(),
    };
    match answer {
        Answer::Reviewed(Reviewed::Agreed) => Repaired::Agreed,
        Answer::Reviewed(Reviewed::Undecided { reason, evidence }) => Repaired::Undecided(reason, evidence),
        Answer::Settled(Settled { tx, decision: Decision::Committed }) => Repaired::Committed(tx),
        Answer::Settled(Settled { tx, decision: Decision::Aborted { reason } }) => {
            Repaired::NotNow(format!("{tx} aborted: {reason}"))
        }
        Answer::Unknown(tx) => Repaired::NotNow(unknown(tx)),
        Answer::Rejected(rejection) => Repaired::NotNow(rejection.to_string()),
        answer => panic!("the core answered a repair with {answer:?}"),
    }
}

fn three([from, kind, to]: &[String; 3]) -> [&str; 3] {
    [from, kind, to]
}

/// Tells whoever runs the coordinator. A pass that did not see everything says nothing about the
/// stores: it is neither a check that passed nor one that failed.
fn report(operations: &Operations, summary: &Summary) {
    let Summary { task, entities, links, differences, repaired, undecided, skipped, why, .. } = summary;
    if summary.is_clean() {
        tracing::info!(?task, entities, links, repaired, "the stores have the same");
        operations.report_check(STORES_CHECK, CheckResult::passed());
    } else if differences > repaired {
        let first = summary.findings.iter().find(|finding| !matches!(finding.done, Done::Repaired { .. }));
        let first = first.map(|finding| format!(", {} among them", finding.subject)).unwrap_or_default();
        let detail =
            format!("the stores differ in {} places{first}; {undecided} are left to a person", differences - repaired);
        operations.report_check(STORES_CHECK, CheckResult::failed(differences - repaired, detail));
    } else {
        let why = why.as_deref().unwrap_or_default();
        tracing::warn!(?task, entities, links, skipped, why, "the stores were not compared as a whole");
    }
}
