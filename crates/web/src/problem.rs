//! Problem documents: how every error of an HTTP API reads.
//!
//! The form is RFC 9457's. A program tells problems apart by their type, which never changes
//! its meaning; titles and details are for people.
//!
//! Each API has a table of its types, made with [`problem_types!`](crate::problem_types). What this crate finds wrong
//! with a request before the API sees it is a [`Refusal`], and every such table has a type for each of them.

use std::fmt;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What every type starts with.
pub const URN_PREFIX: &str = "urn:squall:problem:";

/// When to come back after a problem that passes, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// The types of the problems of one API.
pub trait ProblemType: Copy + Eq + fmt::Debug + fmt::Display + From<Refused> + Serialize + DeserializeOwned {
    /// The HTTP status that goes with it.
    fn status(self) -> StatusCode;

    /// The same text whenever this problem occurs.
    fn title(self) -> &'static str;
}

/// The text is not the type of a problem of this API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a problem type of this API")]
pub struct UnknownType(pub String);

/// Makes the table of an API's problem types: what each is called, its HTTP status, and the text that people read
/// whenever it occurs.
///
/// The variants of [`Refused`] have to be among them.
#[macro_export]
macro_rules! problem_types {
    (
        $(#[$about:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = ($urn:literal, $status:ident, $title:literal),)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        $visibility enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every type.
            pub const ALL: [$name; [$($urn),+].len()] = [$($name::$variant),+];

            /// The HTTP status that goes with it.
            pub fn status(self) -> ::http::StatusCode {
                match self {
                    $($name::$variant => ::http::StatusCode::$status,)+
                }
            }

            /// The same text whenever this problem occurs.
            pub fn title(self) -> &'static str {
                match self {
                    $($name::$variant => $title,)+
                }
            }

            /// Whether the request certainly had no effect and never will.
            pub fn left_no_trace(self) -> bool {
                self.status() != ::http::StatusCode::GATEWAY_TIMEOUT
            }

            fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $urn,)+
                }
            }
        }

        impl $crate::problem::ProblemType for $name {
            fn status(self) -> ::http::StatusCode {
                self.status()
            }

            fn title(self) -> &'static str {
                self.title()
            }
        }

        /// As a URN: `urn:squall:problem:too-large`.
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}{}", $crate::problem::URN_PREFIX, self.name())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::problem::UnknownType;

            fn from_str(text: &str) -> Result<$name, $crate::problem::UnknownType> {
                let name = text.strip_prefix($crate::problem::URN_PREFIX);
                let found = $name::ALL.into_iter().find(|kind| Some(kind.name()) == name);
                found.ok_or_else(|| $crate::problem::UnknownType(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::problem::UnknownType;
            fn try_from(text: String) -> Result<$name, $crate::problem::UnknownType> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(kind: $name) -> String {
                kind.to_string()
            }
        }

        impl From<$crate::problem::Refused> for $name {
            fn from(refused: $crate::problem::Refused) -> $name {
                use $crate::problem::Refused;
                match refused {
                    Refused::MalformedRequest => $name::MalformedRequest,
                    Refused::TooLarge => $name::TooLarge,
                    Refused::BodyTimeout => $name::BodyTimeout,
                    Refused::UnsupportedMediaType => $name::UnsupportedMediaType,
                    Refused::Unauthorized => $name::Unauthorized,
                    Refused::NoSuchRoute => $name::NoSuchRoute,
                    Refused::MethodNotAllowed => $name::MethodNotAllowed,
                }
            }
        }
    };
}

/// What is wrong with a request, whatever the API is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request is not what the API expects; see [`Refusal::at`].
    MalformedRequest,
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
}

/// A request that was refused before the API saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with it.
    pub kind: Refused,
    /// What is wrong this time, and what can be done about it.
    pub detail: String,
    /// Where in the request.
    pub at: Option<At>,
}

impl Refusal {
    /// A refusal of which only the kind and the detail are known.
    pub fn new(kind: Refused, detail: impl Into<String>) -> Refusal {
        Refusal { kind, detail: detail.into(), at: None }
    }

    /// Says which part of the request is wrong.
    pub fn at(self, at: At) -> Refusal {
        Refusal { at: Some(at), ..self }
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

/// A problem document that says no more than the form asks for.
///
/// An API whose problems say more has a document of its own, with these members and others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "K: ProblemType")]
pub struct Problem<K> {
    /// What went wrong.
    #[serde(rename = "type")]
    pub kind: K,
    /// See [`ProblemType::title`].
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time, and what can be done about it.
    pub detail: String,
    /// Where in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

impl<K: ProblemType> Problem<K> {
    /// A problem of which only the type and the detail are known.
    pub fn new(kind: K, detail: impl Into<String>) -> Problem<K> {
        let (title, status) = (kind.title().to_owned(), kind.status().as_u16());
        Problem { kind, title, status, detail: detail.into(), at: None }
    }

    /// Says which part of the request is wrong.
    pub fn at(self, at: At) -> Problem<K> {
        Problem { at: Some(at), ..self }
    }
}

impl<K: ProblemType> From<Refusal> for Problem<K> {
    fn from(Refusal { kind, detail, at }: Refusal) -> Problem<K> {
        Problem { at, ..Problem::new(kind.into(), detail) }
    }
}

impl<K: ProblemType> From<Refusal> for Box<Problem<K>> {
    fn from(refusal: Refusal) -> Box<Problem<K>> {
        Box::new(refusal.into())
    }
}

/// The type's title, then the detail.
impl<K> fmt::Display for Problem<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl<K: ProblemType> IntoResponse for Problem<K> {
    fn into_response(self) -> Response {
        respond(self.kind, &self)
    }
}

/// Handlers return problems in a box, because they are large and rare.
impl<K: ProblemType> IntoResponse for Box<Problem<K>> {
    fn into_response(self) -> Response {
        (*self).into_response()
    }
}

/// A problem document of any form, as a response.
pub fn respond<K: ProblemType>(kind: K, document: &impl Serialize) -> Response {
    let status = kind.status();
    let mut response = (status, Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    // It may be different next time.
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    response
}

/// What a client can tell from any problem document.
pub trait Document: DeserializeOwned {
    /// The HTTP status that it says it came with.
    fn status(&self) -> u16;
}

impl<K: ProblemType> Document for Problem<K> {
    fn status(&self) -> u16 {
        self.status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    problem_types! {
        /// The problems of an API that has one of its own.
        pub enum Types {
            /// The request is not what the API expects.
            MalformedRequest = ("malformed-request", BAD_REQUEST, "The request is malformed"),
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
            /// Nobody knows.
            Unknown = ("unknown", GATEWAY_TIMEOUT, "The outcome is not known"),
        }
    }

    #[test]
    fn every_type_is_read_back_from_its_urn() {
        for kind in Types::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn a_type_of_somebody_else_is_not_taken_for_one_of_ours() {
        for text in ["about:blank", "too-large", "urn:squall:problem:", "urn:squall:problem:Too-large"] {
            assert_eq!(text.parse::<Types>(), Err(UnknownType(text.to_owned())));
        }
    }

    #[test]
    fn a_document_says_only_what_applies() {
        let problem = Problem::new(Types::TooLarge, "at most 10 bytes");
        let json = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            json,
            r#"{"type":"urn:squall:problem:too-large","title":"The request is too large","status":413,"detail":"at most 10 bytes"}"#
        );
        assert_eq!(serde_json::from_str::<Problem<Types>>(&json).unwrap(), problem);
    }

    #[test]
    fn a_refusal_keeps_its_place_and_gets_the_words_of_the_api() {
        let refusal = Refusal::new(Refused::MalformedRequest, "not so").at(At::Path("id".to_owned()));
        let problem = Problem::<Types>::from(refusal);
        assert_eq!((problem.kind, problem.status), (Types::MalformedRequest, 400));
        assert_eq!((problem.detail.as_str(), problem.at), ("not so", Some(At::Path("id".to_owned()))));
    }

    #[test]
    fn only_what_may_be_different_next_time_says_when_to_come_back() {
        let retry = |kind| Problem::new(kind, "").into_response().headers().contains_key(RETRY_AFTER);
        assert!(retry(Types::Unknown) && !retry(Types::TooLarge));
        assert!(!Types::Unknown.left_no_trace() && Types::TooLarge.left_no_trace());
    }
}
