//! Carries out the effects of the lanes on the graph and the log.

use std::sync::Arc;
use std::time::Duration;

use env::Executor;
use graph::EntityId;
use stores::{Datum, GraphError, GraphStore, Rows};

use crate::lanes::{
    Action, Answer, EffectId, Failure, Input, Lanes, LanesEffect, Listing, Projection, Report, RequestId,
};
use crate::log::{EventLog, LogError, LogId, Page};
use crate::{listing, reading, statements};

/// Who hears what the lanes have to say.
pub trait Outlet: Send + Sync + 'static {
    /// Tells a waiting client.
    fn reply(&self, request: RequestId, answer: Answer);

    /// The process must end.
    fn halt(&self, reason: String);
}

/// Carries out what the lanes ask for.
pub struct LanesExecutor {
    /// The graph, with the [`CONSTRAINTS`](statements::CONSTRAINTS) in force.
    pub graph: Arc<dyn GraphStore>,
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Who hears the answers.
    pub outlet: Arc<dyn Outlet>,
    /// When a transaction that has no outcome is given up.
    pub graph_limit: Duration,
}

impl Executor<Lanes> for LanesExecutor {
    async fn execute(&self, effect: LanesEffect) -> Option<Input> {
        match effect {
            LanesEffect::Do { id, action } => Some(match self.act(&id, action).await {
                Ok(report) => Input::Done { effect: id, report },
                Err(failure) => {
                    tracing::debug!(effect = ?id, %failure, "failed");
                    Input::Failed { effect: id, failure }
                }
            }),
            LanesEffect::Reply { request, answer } => {
                self.outlet.reply(request, answer);
                None
            }
            LanesEffect::Halt { reason } => {
                tracing::error!(reason, "the projection stops");
                self.outlet.halt(reason);
                None
            }
        }
    }
}

impl LanesExecutor {
    async fn act(&self, id: &EffectId, action: Action) -> Result<Report, Failure> {
        match action {
            Action::Open => {
                let rows = self.graph.execute(statements::read_projection(), self.graph_limit).await;
                Ok(Report::Opened(projection(rows.map_err(graph_failure)?)?))
            }
            Action::Load { wants } => {
                let rows = self.graph.execute(statements::load(&wants), self.graph_limit).await;
                let found = reading::found(&wants, rows.map_err(graph_failure)?);
                let unreadable = |damage: crate::fold::Damage| refused(damage.to_string());
                Ok(Report::Loaded(found.map_err(unreadable)?))
            }
            Action::Apply { since, writes } => {
                self.graph.execute(statements::apply(since, &writes), self.graph_limit).await.map_err(graph_failure)?;
                Ok(Report::Applied)
            }
            Action::Fetch { resource, after, limit } => {
                let Page { items: events, more } =
                    self.log.stream(&resource, after, limit).await.map_err(log_failure)?;
                Ok(Report::Fetched { events, more })
            }
            Action::Feed { after, limit } => Ok(Report::Fed(self.log.feed(after, limit).await.map_err(log_failure)?)),
            Action::Checkpoint { since, position } => {
                let calls = statements::checkpoint(since, position);
                let rows = self.graph.execute(calls, self.graph_limit).await.map_err(graph_failure)?;
                let since = first_number(&rows).ok_or_else(|| refused(format!("{id:?} returned no generation")))?;
                Ok(Report::Checkpointed { since })
            }
            Action::Turn { was, since, log } => {
                let calls = statements::turn(was.as_ref(), since, &log);
                let rows = self.graph.execute(calls, self.graph_limit).await;
                Ok(Report::Turned(projection(rows.map_err(graph_failure)?)?))
            }
            Action::List { listing: Listing::Log, after, limit } => {
                let Page { items: resources, more } =
                    self.log.resources(after.as_ref(), limit).await.map_err(log_failure)?;
                Ok(Report::Listed { resources, more })
            }
            Action::List { listing, after, limit } => self.list(listing, after.as_ref(), limit).await,
            Action::Raise => {
                let rows = self.graph.execute(statements::raise_generation(), self.graph_limit).await;
                let generation = first_number(&rows.map_err(graph_failure)?);
                generation.map(Report::Raised).ok_or_else(|| refused(format!("{id:?} returned no generation")))
            }
            Action::Close { generation } => {
                let calls = statements::close_rebuild(generation);
                self.graph.execute(calls, self.graph_limit).await.map_err(graph_failure)?;
                Ok(Report::Closed)
            }
        }
    }

    async fn list(&self, listing: Listing, after: Option<&EntityId>, limit: usize) -> Result<Report, Failure> {
        let after = after.map_or("", EntityId::as_str);
        let rows_max = u32::try_from(limit).unwrap_or(u32::MAX);
        if listing == Listing::Parked {
            let parked =
                listing::keys(self.graph.as_ref(), &statements::LIST_PARKED, after, rows_max, self.graph_limit);
            let parked = parked.await.map_err(graph_failure)?;
            let more = parked.len() >= limit;
            return Ok(Report::Listed { resources: parked.iter().filter_map(|id| id.parse().ok()).collect(), more });
        }
        let listed = listing::resources(self.graph.as_ref(), after, rows_max, self.graph_limit).await;
        let (resources, more) = listed.map_err(graph_failure)?;
        Ok(Report::Listed { resources, more })
    }
}

/// What the projection keeps about itself, from the rows of [`statements::read_projection`].
pub(crate) fn projection(rows: Vec<Rows>) -> Result<Projection, Failure> {
    let Some(row) = rows.into_iter().flatten().next() else { return Ok(Projection::default()) };
    let [generation, rebuilding, position, log, since] = row.as_slice() else {
        return Err(refused("the projection's own node is none".to_owned()));
    };
    // Earlier releases knew of one log only.
    let since = if *since == Datum::Null { Some(0) } else { number(since) };
    let log = log.as_text().map(|log| LogId(log.to_owned()));
    let (Some(generation), Some(position), Some(since)) = (number(generation), number(position), since) else {
        return Err(refused("what the projection keeps about itself is damaged".to_owned()));
    };
    Ok(Projection { generation, rebuilding: *rebuilding == Datum::Bool(true), position, log, since })
}

fn number(datum: &Datum) -> Option<u64> {
    datum.as_int().and_then(|int| u64::try_from(int).ok())
}

/// The number that a statement returns alone.
fn first_number(rows: &[Rows]) -> Option<u64> {
    number(rows.first()?.first()?.first()?)
}

fn refused(reason: String) -> Failure {
    Failure::Refused { reason, retryable: false }
}

fn log_failure(error: LogError) -> Failure {
    // A damaged event is as damaged when it is asked for again.
    let retryable = matches!(error, LogError::Unreached(_));
    Failure::Refused { reason: error.to_string(), retryable }
}

fn graph_failure(error: GraphError) -> Failure {
    match error {
        GraphError::Unexpected { statement, .. } if statement == statements::CHECK_TURN.name => Failure::Turned,
        GraphError::Unexpected { statement, .. } if statement == statements::ADVANCE_MARKS.name => Failure::Moved,
        GraphError::Refused { code, message, retryable } => {
            Failure::Refused { reason: format!("{code}: {message}"), retryable }
        }
        error @ GraphError::Unexpected { .. } => Failure::Refused { reason: error.to_string(), retryable: false },
        // Somebody made the same stub, or the same mark, at the same time: it is there now.
        error @ GraphError::Constraint { .. } => Failure::Refused { reason: error.to_string(), retryable: true },
        GraphError::Unknown { why } => Failure::Unknown { reason: why },
    }
}
