//! Problem documents: how every error of the HTTP API reads.
//!
//! The form is RFC 9457's. A program tells problems apart by their type, which never changes
//! its meaning; titles and details are for people.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::response::{IntoResponse, Response};
use graph::TxId;
use http::header::{CONTENT_TYPE, LINK, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::commit::AbortReason;
use crate::http::Consistency;
use crate::operations::Freshness;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What every type starts with.
const URN_PREFIX: &str = "urn:squall:problem:";

/// When to come back after a problem that passes, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// What went wrong, in the form in which a program can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ProblemType {
    /// The request is not what the API expects; see [`Problem::at`].
    MalformedRequest,
    /// The idempotency key is missing or not a key.
    IdempotencyKeyInvalid,
    /// The idempotency key belongs to a transaction with other operations.
    IdempotencyKeyReused,
    /// The body is too large.
    TooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is not JSON by its media type.
    UnsupportedMediaType,
    /// The server answers only those who know its token.
    Unauthorized,
    /// The path leads nowhere.
    NoSuchRoute,
    /// The path knows other methods.
    MethodNotAllowed,
    /// There is no such entity.
    NoSuchEntity,
    /// No transaction of this name ever began, or its record is older than the retention.
    NoSuchTransaction,
    /// There is no case of this number.
    NoSuchCase,
    /// The case cannot be resolved in this way.
    CaseNotResolvable,
    /// The transaction was aborted, for ever.
    Aborted,
    /// Others held the entities for too long: nothing was done.
    Busy,
    /// A store cannot do it at the moment: nothing was done.
    Unavailable,
    /// Too many requests are open: nothing was done.
    Overloaded,
    /// The transaction has an outcome or may get one; nobody knows it yet.
    OutcomeUnknown,
}

impl ProblemType {
    /// Every type.
    pub const ALL: [ProblemType; 18] = [
        ProblemType::MalformedRequest,
        ProblemType::IdempotencyKeyInvalid,
        ProblemType::IdempotencyKeyReused,
        ProblemType::TooLarge,
        ProblemType::BodyTimeout,
        ProblemType::UnsupportedMediaType,
        ProblemType::Unauthorized,
        ProblemType::NoSuchRoute,
        ProblemType::MethodNotAllowed,
        ProblemType::NoSuchEntity,
        ProblemType::NoSuchTransaction,
        ProblemType::NoSuchCase,
        ProblemType::CaseNotResolvable,
        ProblemType::Aborted,
        ProblemType::Busy,
        ProblemType::Unavailable,
        ProblemType::Overloaded,
        ProblemType::OutcomeUnknown,
    ];

    /// The HTTP status that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            ProblemType::MalformedRequest | ProblemType::IdempotencyKeyInvalid => StatusCode::BAD_REQUEST,
            ProblemType::NoSuchRoute
            | ProblemType::NoSuchEntity
            | ProblemType::NoSuchTransaction
            | ProblemType::NoSuchCase => StatusCode::NOT_FOUND,
            ProblemType::Unauthorized => StatusCode::UNAUTHORIZED,
            ProblemType::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ProblemType::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            ProblemType::Aborted | ProblemType::CaseNotResolvable => StatusCode::CONFLICT,
            ProblemType::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ProblemType::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ProblemType::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            ProblemType::Busy | ProblemType::Unavailable | ProblemType::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            ProblemType::OutcomeUnknown => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The same text whenever this problem occurs.
    pub fn title(self) -> &'static str {
        match self {
            ProblemType::MalformedRequest => "The request is malformed",
            ProblemType::IdempotencyKeyInvalid => "The idempotency key is missing or malformed",
            ProblemType::IdempotencyKeyReused => "The idempotency key was used for another transaction",
            ProblemType::TooLarge => "The request is too large",
            ProblemType::BodyTimeout => "The request did not arrive in time",
            ProblemType::UnsupportedMediaType => "The request is not JSON",
            ProblemType::Unauthorized => "The server does not know who asks",
            ProblemType::NoSuchRoute => "There is nothing at this path",
            ProblemType::MethodNotAllowed => "The path does not know this method",
            ProblemType::NoSuchEntity => "There is no such entity",
            ProblemType::NoSuchTransaction => "There is no such transaction",
            ProblemType::NoSuchCase => "There is no such case",
            ProblemType::CaseNotResolvable => "The case cannot be resolved in this way",
            ProblemType::Aborted => "The transaction was aborted",
            ProblemType::Busy => "The entities are in use",
            ProblemType::Unavailable => "The coordinator cannot do this at the moment",
            ProblemType::Overloaded => "Too many requests are open",
            ProblemType::OutcomeUnknown => "The outcome of the transaction is not known yet",
        }
    }

    /// Whether the request certainly had no effect and never will.
    pub fn left_no_trace(self) -> bool {
        self != ProblemType::OutcomeUnknown
    }

    fn name(self) -> &'static str {
        match self {
            ProblemType::MalformedRequest => "malformed-request",
            ProblemType::IdempotencyKeyInvalid => "idempotency-key-invalid",
            ProblemType::IdempotencyKeyReused => "idempotency-key-reused",
            ProblemType::TooLarge => "too-large",
            ProblemType::BodyTimeout => "body-timeout",
            ProblemType::UnsupportedMediaType => "unsupported-media-type",
            ProblemType::Unauthorized => "unauthorized",
            ProblemType::NoSuchRoute => "no-such-route",
            ProblemType::MethodNotAllowed => "method-not-allowed",
            ProblemType::NoSuchEntity => "no-such-entity",
            ProblemType::NoSuchTransaction => "no-such-transaction",
            ProblemType::NoSuchCase => "no-such-case",
            ProblemType::CaseNotResolvable => "case-not-resolvable",
            ProblemType::Aborted => "aborted",
            ProblemType::Busy => "busy",
            ProblemType::Unavailable => "unavailable",
            ProblemType::Overloaded => "overloaded",
            ProblemType::OutcomeUnknown => "outcome-unknown",
        }
    }
}

/// As a URN: `urn:squall:problem:aborted`.
impl fmt::Display for ProblemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{URN_PREFIX}{}", self.name())
    }
}

/// The text is not the type of a problem of this API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a problem type of this API")]
pub struct UnknownType(String);

impl FromStr for ProblemType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<ProblemType, UnknownType> {
        let name = text.strip_prefix(URN_PREFIX);
        let found = ProblemType::ALL.into_iter().find(|kind| Some(kind.name()) == name);
        found.ok_or_else(|| UnknownType(text.to_owned()))
    }
}

impl TryFrom<String> for ProblemType {
    type Error = UnknownType;
    fn try_from(text: String) -> Result<ProblemType, UnknownType> {
        text.parse()
    }
}

impl From<ProblemType> for String {
    fn from(kind: ProblemType) -> String {
        kind.to_string()
    }
}

/// The part of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// A place in the body's text: how far it could be read.
    Body {
        /// From 1.
        line: usize,
        /// In bytes, from 1; 0 before the first.
        column: usize,
    },
    /// A part of the body's JSON, as a pointer (RFC 6901).
    Pointer(String),
    /// A header field.
    Header(String),
    /// A parameter of the query, or the query as a whole.
    Query(String),
    /// A segment of the path.
    Path(String),
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
        let retry = matches!(
            self.kind,
            ProblemType::Busy | ProblemType::Unavailable | ProblemType::Overloaded | ProblemType::OutcomeUnknown
        );
        // RFC 8631: the resource that says how it stands.
        let link = self.outcome.as_ref().map(|path| format!("<{path}>; rel=\"status\""));
        let mut response = (self.kind.status(), Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if retry {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if let Some(link) = link {
            headers.insert(LINK, HeaderValue::from_str(&link).expect("a path of ours is visible ASCII"));
        }
        response
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
    fn a_type_of_somebody_else_is_not_taken_for_one_of_ours() {
        for text in ["about:blank", "aborted", "urn:squall:problem:", "urn:squall:problem:Aborted"] {
            assert_eq!(text.parse::<ProblemType>(), Err(UnknownType(text.to_owned())));
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
