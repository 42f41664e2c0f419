//! Reading a request's body, which may be too large, too slow or nonsense.

use std::time::Duration;

use axum::body::Body;
use graph::{JsonError, PatchError};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use serde::de::DeserializeOwned;

use crate::problem::{At, Problem, ProblemType};

/// Refuses a body that does not call itself JSON.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let problem = Problem::new(ProblemType::UnsupportedMediaType, "send Content-Type: application/json");
    Err(problem.at(At::Header(CONTENT_TYPE.to_string())).into())
}

/// Reads the whole body.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    limit: Duration,
) -> Result<Bytes, Box<Problem>> {
    let too_large = || {
        let detail =
            format!("a body has at most {bytes_max} bytes: split the transaction or store large values elsewhere");
        Box::new(Problem::new(ProblemType::TooLarge, detail))
    };
    // Said before the client sends it all.
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(limit, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        // The client went away or sent nonsense; perhaps it still reads.
        Ok(Err(error)) => {
            Err(Problem::new(ProblemType::MalformedRequest, format!("cannot read the body: {error}")).into())
        }
        Err(_) => {
            let detail = format!("the body has to arrive within {} ms", limit.as_millis());
            Err(Problem::new(ProblemType::BodyTimeout, detail).into())
        }
    }
}

/// Reads what was sent from its JSON.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Box<Problem>> {
    graph::from_json(json).map_err(|error| {
        let at = match &error {
            JsonError::Shape(error) => At::Body { line: error.line(), column: error.column() },
            JsonError::Inexact { line, column, .. } => At::Body { line: *line, column: *column },
        };
        Box::new(Problem::new(ProblemType::MalformedRequest, error.to_string()).at(at))
    })
}

/// Says which operation of a transaction can never be carried out.
pub(super) fn invalid(error: &PatchError) -> Box<Problem> {
    let pointer = match error {
        PatchError::Empty | PatchError::TooManyOperations(_) => "/operations".to_owned(),
        PatchError::Operation { position, .. } => format!("/operations/{position}"),
    };
    Problem::new(ProblemType::MalformedRequest, error.to_string()).at(At::Pointer(pointer)).into()
}
