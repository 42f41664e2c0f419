//! What the core answered, as HTTP says it.

use std::collections::BTreeMap;

use graph::{CanonicalKey, EntityId, Kind, Patch, TxId};
use stores::GraphError;

use super::api::{Consistency, Entity, EventualView, Outcome, outcome_path};
use crate::commit::{Answer, Decision, Rejection, Settled};
use crate::operations::Freshness;
use crate::problem::{Problem, ProblemType};
use crate::view::GraphView;

/// The answer to a submitted transaction, which was to do this.
pub(super) fn submitted(answer: Answer, patch: &Patch) -> Result<Outcome, Box<Problem>> {
    match answer {
        Answer::Settled(settled) => match settled.decision {
            Decision::Committed => Ok(Outcome::Committed { tx: settled.tx, created: patch.generated(settled.tx) }),
            Decision::Aborted { reason } => {
                let detail =
                    format!("{reason}; this is final: after a change, submit it under another idempotency key");
                let problem = Problem::new(ProblemType::Aborted, detail).about(settled.tx);
                Err(Box::new(Problem { reason: Some(reason), ..problem }))
            }
        },
        Answer::KeyReused(tx) => {
            let detail = format!("the key belongs to {tx}, which has other operations: use a key of its own");
            Err(Problem::new(ProblemType::IdempotencyKeyReused, detail).about(tx).into())
        }
        Answer::Unknown(tx) => Err(unknown(tx)),
        Answer::Rejected(rejection) => Err(rejected(&rejection)),
        answer => panic!("the core answered a transaction with {answer:?}"),
    }
}

fn unknown(tx: Option<TxId>) -> Box<Problem> {
    let Some(tx) = tx else {
        let detail =
            "it may be committed or aborted: submit it again under the same idempotency key to get its outcome";
        return Problem::new(ProblemType::OutcomeUnknown, detail).into();
    };
    let path = outcome_path(tx);
    let detail = format!(
        "{tx} may be committed or aborted: submit it again under the same idempotency key to get its outcome, \
         or ask for it with GET {path}"
    );
    let problem = Problem::new(ProblemType::OutcomeUnknown, detail).about(tx);
    Box::new(Problem { outcome: Some(path), ..problem })
}

/// The answer to a question about a transaction, which made these ids if it committed.
pub(super) fn looked_up(answer: Answer, created: BTreeMap<EntityId, EntityId>) -> Result<Outcome, Box<Problem>> {
    match answer {
        Answer::Settled(Settled { tx, decision: Decision::Committed }) => Ok(Outcome::Committed { tx, created }),
        Answer::Settled(Settled { tx, decision: Decision::Aborted { reason } }) => Ok(Outcome::Aborted { tx, reason }),
        Answer::Unknown(Some(tx)) => Ok(Outcome::Undecided { tx }),
        Answer::NoSuchTransaction(tx) => {
            let detail =
                format!("no transaction {tx} ever began, or it was settled so long ago that its record was removed");
            Err(Problem::new(ProblemType::NoSuchTransaction, detail).about(tx).into())
        }
        Answer::Rejected(rejection) => Err(rejected(&rejection)),
        answer => panic!("the core answered a question about a transaction with {answer:?}"),
    }
}

/// The answer to a strong read.
pub(super) fn strong(id: &EntityId, answer: Answer) -> Result<Entity, Box<Problem>> {
    match answer {
        Answer::Entity(Some(view)) => Ok(Entity::Strong(view)),
        Answer::Entity(None) => Err(no_such_entity(id, Consistency::Strong)),
        Answer::Rejected(rejection) => Err(rejected(&rejection)),
        answer => panic!("the core answered a read with {answer:?}"),
    }
}

/// The answer to an eventual read.
pub(super) fn eventual(
    id: EntityId,
    view: Result<Option<GraphView>, GraphError>,
    freshness: Freshness,
) -> Result<Entity, Box<Problem>> {
    match view {
        Ok(Some(view)) => Ok(seen(id, view, freshness)),
        Ok(None) => Err(not_in_the_graph(&id, freshness)),
        Err(error) => Err(unavailable(error)),
    }
}

fn seen(id: EntityId, view: GraphView, freshness: Freshness) -> Entity {
    let GraphView { kind, key, properties, links } = view;
    Entity::Eventual(EventualView { id, kind, key, properties, links, freshness })
}

/// The answer to a strong look-up by a canonical key.
pub(super) fn found(kind: &Kind, key: &CanonicalKey, answer: Answer) -> Result<Entity, Box<Problem>> {
    match answer {
        Answer::Entity(Some(view)) => Ok(Entity::Strong(view)),
        Answer::Entity(None) => Err(no_holder(kind, key, Consistency::Strong)),
        Answer::Rejected(rejection) => Err(rejected(&rejection)),
        answer => panic!("the core answered a look-up with {answer:?}"),
    }
}

/// The answer to an eventual look-up by a canonical key.
pub(super) fn found_eventual(
    kind: &Kind,
    key: &CanonicalKey,
    found: Result<Option<(EntityId, GraphView)>, GraphError>,
    freshness: Freshness,
) -> Result<Entity, Box<Problem>> {
    match found {
        Ok(Some((id, view))) => Ok(seen(id, view, freshness)),
        Ok(None) => {
            let problem = no_holder(kind, key, Consistency::Eventual);
            Err(Box::new(Problem { freshness: Some(freshness), ..*problem }))
        }
        Err(error) => Err(unavailable(error)),
    }
}

fn no_holder(kind: &Kind, key: &CanonicalKey, consistency: Consistency) -> Box<Problem> {
    let detail = format!("no {kind} has the key {:?} at {consistency} consistency", key.as_str());
    let problem = Problem::new(ProblemType::NoSuchEntity, detail);
    Box::new(Problem { consistency: Some(consistency), ..problem })
}

/// There is no such entity in the graph, as far as that is known.
pub(super) fn not_in_the_graph(id: &EntityId, freshness: Freshness) -> Box<Problem> {
    let problem = no_such_entity(id, Consistency::Eventual);
    Box::new(Problem { freshness: Some(freshness), ..*problem })
}

/// A store that was asked past the protocol did not answer.
pub(super) fn unavailable(error: impl std::fmt::Display) -> Box<Problem> {
    Problem::new(ProblemType::Unavailable, error.to_string()).into()
}

fn no_such_entity(id: &EntityId, consistency: Consistency) -> Box<Problem> {
    let problem = Problem::new(ProblemType::NoSuchEntity, format!("no entity {id} at {consistency} consistency"));
    Box::new(Problem { consistency: Some(consistency), ..problem })
}

pub(super) fn rejected(rejection: &Rejection) -> Box<Problem> {
    let kind = match rejection {
        Rejection::Busy => ProblemType::Busy,
        Rejection::Overloaded => ProblemType::Overloaded,
        Rejection::Halted | Rejection::Unavailable(_) => ProblemType::Unavailable,
    };
    Problem::new(kind, format!("{rejection}; nothing was done: try again later")).into()
}
