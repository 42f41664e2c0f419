//! The graph in memory as a graph database, without a server in between.

use std::time::Duration;

use env::BoxFuture;

use super::MemoryGraph;
use crate::{Call, GraphError, GraphFault, GraphStore, Rows, Uniqueness, run_calls};

/// Each transaction runs at one moment, so here they are serializable and never unknown.
impl GraphStore for MemoryGraph {
    fn execute(&self, calls: Vec<Call>, _: Duration) -> BoxFuture<'_, Result<Vec<Rows>, GraphError>> {
        Box::pin(async move { self.autocommit(|graph| run_calls(graph, &calls)) })
    }

    fn ensure_unique<'a>(&'a self, constraints: &'a [Uniqueness]) -> BoxFuture<'a, Result<(), GraphError>> {
        Box::pin(async move {
            let constrain = |unique: &Uniqueness| self.constrain(unique.label, unique.property);
            constraints.iter().try_for_each(constrain).map_err(unconstrainable)
        })
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { vec!["the graph is kept in memory: it ends with the process".to_owned()] })
    }
}

/// What it means that a constraint could not be created: not that a value was put there by
/// an earlier attempt, but that the graph needs an operator.
pub(crate) fn unconstrainable(fault: GraphFault) -> GraphError {
    match fault {
        GraphFault::Constraint { .. } => GraphError::Refused {
            code: "ConstraintCreationFailed".to_owned(),
            message: fault.to_string(),
            retryable: false,
        },
        other => other.into(),
    }
}
