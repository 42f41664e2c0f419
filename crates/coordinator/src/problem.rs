//! Problem documents: how every error of the HTTP API reads.
//!
//! The form is RFC 9457's. A program tells problems apart by their type, which never changes
//! its meaning; titles and details are for people.

use std::fmt;

use axum::response::{IntoResponse, Response};
use graph::{EventId, TxId};
use http::HeaderValue;
use http::header::LINK;
use serde::{Deserialize, Serialize};
pub use web::problem::At;
use web::problem::{Document, Refusal, respond};

use crate::commit::AbortReason;
use crate::http::Consistency;
use crate::operations::Freshness;

web::problem_types! {
    /// What went wrong, in the form in which a program can tell.
    pub enum ProblemType {
        /// The request is not what the API expects; see [`Problem::at`].
        MalformedRequest = ("malformed-request", BAD_REQUEST, "The request is malformed"),
        /// The idempotency key is missing or not a key.
        IdempotencyKeyInvalid = ("idempotency-key-invalid", BAD_REQUEST, "The idempotency key is missing or malformed"),
        /// The idempotency key belongs to a transaction with other operations.
        IdempotencyKeyReused =
            ("idempotency-key-reused", CONFLICT, "The idempotency key was used for another transaction"),
        /// The body is too large.
        TooLarge = ("too-large", PAYLOAD_TOO_LARGE, "The request is too large"),
        /// The body did not arrive in time.
        BodyTimeout = ("body-timeout", REQUEST_TIMEOUT, "The request did not arrive in time"),
        /// The body is not JSON by its media type.
        UnsupportedMediaType = ("unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The request is not JSON"),
        /// The server answers only those who know its token.
        Unauthorized = ("unauthorized", UNAUTHORIZED, "The server does not know who asks"),
        /// The path leads nowhere.
        NoSuchRoute = ("no-such-route", NOT_FOUND, "There is nothing at this path"),
        /// The path knows other methods.
        MethodNotAllowed = ("method-not-allowed", METHOD_NOT_ALLOWED, "The path does not know this method"),
        /// There is no such entity.
        NoSuchEntity = ("no-such-entity", NOT_FOUND, "There is no such entity"),
        /// No transaction of this name ever began, or its record is older than the retention.
        NoSuchTransaction = ("no-such-transaction", NOT_FOUND, "There is no such transaction"),
        /// There is no case of this number.
        NoSuchCase = ("no-such-case", NOT_FOUND, "There is no such case"),
        /// The case cannot be resolved in this way.
        CaseNotResolvable = ("case-not-resolvable", CONFLICT, "The case cannot be resolved in this way"),
        /// The stream is at another version than was expected: nothing was appended.
        VersionConflict = ("version-conflict", CONFLICT, "The stream is at another version"),
        /// The id of an event belongs to another one: nothing was appended.
        EventIdReused = ("event-id-reused", CONFLICT, "The id of an event was used for another one"),
        /// The event that is next is not what was written: nothing is read past it.
        EventDamaged = ("event-damaged", INTERNAL_SERVER_ERROR, "An event is damaged"),
        /// The transaction was aborted, for ever.
        Aborted = ("aborted", CONFLICT, "The transaction was aborted"),
        /// Others held the entities for too long: nothing was done.
        Busy = ("busy", SERVICE_UNAVAILABLE, "The entities are in use"),
        /// A store cannot do it at the moment: nothing was done.
        Unavailable = ("unavailable", SERVICE_UNAVAILABLE, "The coordinator cannot do this at the moment"),
        /// Too many requests are open: nothing was done.
        Overloaded = ("overloaded", SERVICE_UNAVAILABLE, "Too many requests are open"),
        /// The transaction has an outcome or may get one; nobody knows it yet.
        OutcomeUnknown = ("outcome-unknown", GATEWAY_TIMEOUT, "The outcome of the transaction is not known yet"),
    }
}

/// A problem document. Members that do not apply are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What went wrong.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// See [`ProblemType::title`].
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time, and what can be done about it.
    pub detail: String,
    /// Where in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// The transaction that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<TxId>,
    /// The path that tells the transaction's outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why the transaction was aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<AbortReason>,
    /// The version that the stream has: the sequence number of its last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The event whose id is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// The tier at which the entity was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// How far a tier that is not strong can be believed that it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
}

impl Problem {
    /// A problem of which only the type and the detail are known.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            at: None,
            tx: None,
            outcome: None,
            reason: None,
            version: None,
            event: None,
            consistency: None,
            freshness: None,
        }
    }

    /// Says which part of the request is wrong.
    pub fn at(self, at: At) -> Problem {
        Problem { at: Some(at), ..self }
    }

    /// Says which transaction it is about.
    pub fn about(self, tx: TxId) -> Problem {
        Problem { tx: Some(tx), ..self }
    }
}

/// The type's title, then the detail.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = respond(self.kind, &self);
        // RFC 8631: the resource that says how it stands.
        if let Some(path) = &self.outcome {
            let link = format!("<{path}>; rel=\"status\"");
            let link = HeaderValue::from_str(&link).expect("a path of ours is visible ASCII");
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}

impl Document for Problem {
    fn status(&self) -> u16 {
        self.status
    }
}

impl From<Refusal> for Box<Problem> {
    fn from(Refusal { kind, detail, at }: Refusal) -> Box<Problem> {
        Box::new(Problem { at, ..Problem::new(kind.into(), detail) })
    }
}

/// Handlers return problems in a box, because they are large and rare.
impl IntoResponse for Box<Problem> {
    fn into_response(self) -> Response {
        (*self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_back_from_its_urn() {
        for kind in ProblemType::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn a_document_says_only_what_applies() {
        let problem = Problem::new(ProblemType::TooLarge, "at most 10 bytes");
        let json = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            json,
            r#"{"type":"urn:squall:problem:too-large","title":"The request is too large","status":413,"detail":"at most 10 bytes"}"#
        );
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem);
    }
}
