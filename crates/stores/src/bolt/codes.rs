//! What a server's failure says about the transaction it ended.
//!
//! Two allowlists, and everything that is not on them is an unknown outcome. A server may
//! report a failure for a commit that took place: the lists name only what cannot be one.
//!
//! Codes are those of <https://neo4j.com/docs/status-codes/4.4/>, which the other servers
//! borrow.

use crate::GraphError;

/// A failure as the server reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For example `Neo.TransientError.Transaction.DeadlockDetected`.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
}

pub(super) const ARGUMENT: &str = "Neo.ClientError.Statement.ArgumentError";
pub(super) const CONSTRAINT: &str = "Neo.ClientError.Schema.ConstraintValidationFailed";
pub(super) const CONSTRAINT_CREATION: &str = "Neo.DatabaseError.Schema.ConstraintCreationFailed";
pub(super) const DEADLOCK: &str = "Neo.TransientError.Transaction.DeadlockDetected";
pub(super) const ENTITY_NOT_FOUND: &str = "Neo.ClientError.Statement.EntityNotFound";
pub(super) const INVALID_REQUEST: &str = "Neo.ClientError.Request.Invalid";
pub(super) const MISSING_PARAMETER: &str = "Neo.ClientError.Statement.ParameterMissing";
pub(super) const SYNTAX: &str = "Neo.ClientError.Statement.SyntaxError";
pub(super) const TIMED_OUT: &str = "Neo.ClientError.Transaction.TransactionTimedOut";
pub(super) const UNAUTHORIZED: &str = "Neo.ClientError.Security.Unauthorized";
pub(super) const UNKNOWN: &str = "Neo.DatabaseError.General.UnknownError";

/// Codes that a code starts with, and whether the same may succeed later.
type Allowlist = &'static [(&'static str, bool)];

/// Certain while no COMMIT was sent: the server understood the request and turned it down.
const BEFORE_COMMIT: Allowlist = &[
    ("Neo.ClientError.Statement.", false),
    ("Neo.ClientError.Security.", false),
    ("Neo.ClientError.Request.", false),
    ("Neo.ClientError.Database.DatabaseNotFound", false),
    ("Neo.ClientError.Cluster.NotALeader", true),
    (TIMED_OUT, true),
    (DEADLOCK, true),
    ("Neo.TransientError.Transaction.LockClientStopped", true),
    ("Neo.TransientError.Transaction.LockAcquisitionTimeout", true),
    ("Neo.TransientError.Database.DatabaseUnavailable", true),
    ("Neo.TransientError.General.MemoryPoolOutOfMemoryError", true),
];

/// Certain even in answer to COMMIT: a deadlock is found while locks are taken, before
/// anything is made durable.
const AT_COMMIT: Allowlist = &[(DEADLOCK, true)];

/// A failure of BEGIN: no statement was sent, so whatever it was, it left no trace.
pub(super) fn at_begin(failure: Failure) -> GraphError {
    let retryable =
        failure.code.starts_with("Neo.TransientError.") || is_listed(BEFORE_COMMIT, &failure.code) == Some(true);
    GraphError::Refused { code: failure.code, message: failure.message, retryable }
}

/// A failure of a statement, with no COMMIT sent.
pub(super) fn before_commit(failure: Failure) -> GraphError {
    classify(BEFORE_COMMIT, failure)
}

/// A failure in answer to COMMIT.
pub(super) fn at_commit(failure: Failure) -> GraphError {
    classify(AT_COMMIT, failure)
}

fn classify(list: Allowlist, failure: Failure) -> GraphError {
    let Failure { code, message } = failure;
    if code == CONSTRAINT {
        return GraphError::Constraint { message };
    }
    match is_listed(list, &code) {
        Some(retryable) => GraphError::Refused { code, message, retryable },
        None => GraphError::Unknown { why: format!("{code}: {message}") },
    }
}

/// Whether the code is on the list, and if so, whether the same may succeed later.
fn is_listed(list: Allowlist, code: &str) -> Option<bool> {
    list.iter().find(|(listed, _)| code.starts_with(listed)).map(|(_, retryable)| *retryable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str) -> Failure {
        Failure { code: code.to_owned(), message: "words".to_owned() }
    }

    fn refused(code: &str, retryable: bool) -> GraphError {
        GraphError::Refused { code: code.to_owned(), message: "words".to_owned(), retryable }
    }

    #[test]
    fn a_deadlock_is_certain_before_and_at_commit() {
        assert_eq!(before_commit(failure(DEADLOCK)), refused(DEADLOCK, true));
        assert_eq!(at_commit(failure(DEADLOCK)), refused(DEADLOCK, true));
    }

    #[test]
    fn a_bad_statement_is_certain_only_before_commit() {
        assert_eq!(before_commit(failure(SYNTAX)), refused(SYNTAX, false));
        assert!(matches!(at_commit(failure(SYNTAX)), GraphError::Unknown { .. }));
    }

    #[test]
    fn a_time_out_is_certain_only_before_commit() {
        assert_eq!(before_commit(failure(TIMED_OUT)), refused(TIMED_OUT, true));
        assert!(matches!(at_commit(failure(TIMED_OUT)), GraphError::Unknown { .. }));
    }

    #[test]
    fn a_constraint_is_never_a_plain_refusal() {
        let constraint = GraphError::Constraint { message: "words".to_owned() };
        assert_eq!(before_commit(failure(CONSTRAINT)), constraint);
        assert_eq!(at_commit(failure(CONSTRAINT)), constraint);
    }

    #[test]
    fn an_unlisted_code_is_unknown() {
        for code in [UNKNOWN, "Neo.TransientError.Cluster.ReplicationFailure", "", "NeoX"] {
            assert!(matches!(before_commit(failure(code)), GraphError::Unknown { .. }), "{code}");
            assert!(matches!(at_commit(failure(code)), GraphError::Unknown { .. }), "{code}");
        }
    }

    #[test]
    fn nothing_was_sent_when_begin_failed() {
        assert_eq!(at_begin(failure(UNKNOWN)), refused(UNKNOWN, false));
        assert_eq!(at_begin(failure(UNAUTHORIZED)), refused(UNAUTHORIZED, false));
        let unavailable = "Neo.TransientError.Database.DatabaseUnavailable";
        assert_eq!(at_begin(failure(unavailable)), refused(unavailable, true));
    }
}
