//! Reading a request's body, which may be too large, too slow or nonsense.

use axum::body::Body;
use axum::extract::Request;
use graph::JsonError;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use serde::de::DeserializeOwned;

use crate::problem::{At, Refusal, Refused};
use crate::server::Limits;

/// Refuses a body that does not call itself JSON.
pub fn require_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let refusal = Refusal::new(Refused::UnsupportedMediaType, "send Content-Type: application/json");
    Err(refusal.at(At::Header(CONTENT_TYPE.to_string())))
}

/// Reads the whole body.
pub async fn read(headers: &HeaderMap, body: Body, limits: &Limits) -> Result<Bytes, Refusal> {
    let Limits { body_bytes_max: bytes_max, body_read_timeout: limit, .. } = *limits;
    let too_large = || {
        let detail = format!("a body has at most {bytes_max} bytes: split it or store large values elsewhere");
        Refusal::new(Refused::TooLarge, detail)
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
        Ok(Err(error)) => Err(Refusal::new(Refused::MalformedRequest, format!("cannot read the body: {error}"))),
        Err(_) => {
            let detail = format!("the body has to arrive within {} ms", limit.as_millis());
            Err(Refusal::new(Refused::BodyTimeout, detail))
        }
    }
}

/// Reads a request whose body is JSON.
pub async fn json<T: DeserializeOwned>(limits: &Limits, request: Request) -> Result<T, Refusal> {
    let (parts, body) = request.into_parts();
    require_json(&parts.headers)?;
    let json = read(&parts.headers, body, limits).await?;
    parse(&json)
}

/// Reads what was sent from its JSON.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Refusal> {
    graph::from_json(json).map_err(|error| {
        let at = match &error {
            JsonError::Shape(error) => At::Body { line: error.line(), column: error.column() },
            JsonError::Inexact { line, column, .. } => At::Body { line: *line, column: *column },
        };
        Refusal::new(Refused::MalformedRequest, error.to_string()).at(at)
    })
}
