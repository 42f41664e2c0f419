//! Whether both stores have the same, and what is done where they do not.
//!
//! A pass is answered when it is over, which takes as long as reading both stores takes. It goes
//! on, and is reported in the log, if the client leaves.

use axum::extract::{Query, Request, State};
use axum::Json;
use http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api::{Cases, Reconciliation};
use super::body;
use super::routes::{Segment, Service, segment};
use super::server::Limits;
use crate::problem::{At, Problem, ProblemType};
use crate::reconcile::{Case, Resolution, ResolveError, Summary};

/// How many cases a page has at most.
const CASES_MAX: u32 = 100;

pub(super) async fn validate(State(service): State<Service>) -> Json<Summary> {
    Json(service.coordinator.validate().await)
}

pub(super) async fn reconcile(State(service): State<Service>, request: Request) -> Result<Json<Summary>, Box<Problem>> {
    let Reconciliation { policy } = sent(&service.limits, request).await?;
    Ok(Json(service.coordinator.reconcile(policy).await))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasesQuery {
    #[serde(default)]
    after: u64,
}

pub(super) async fn cases(State(service): State<Service>, uri: Uri) -> Result<Json<Cases>, Box<Problem>> {
    let Query(CasesQuery { after }) = Query::try_from_uri(&uri).map_err(|rejection| {
        let at = At::Query(uri.query().unwrap_or_default().to_owned());
        Box::new(Problem::new(ProblemType::MalformedRequest, rejection.body_text()).at(at))
    })?;
    let cases = service.coordinator.open_cases(after, CASES_MAX).await;
    let cases = cases.map_err(|error| Box::new(Problem::new(ProblemType::Unavailable, error.to_string())))?;
    Ok(Json(Cases { cases }))
}

pub(super) async fn resolve(
    State(service): State<Service>,
    number: Segment,
    request: Request,
) -> Result<Json<Case>, Box<Problem>> {
    let number = segment::<u64>("number", number)?;
    let resolution: Resolution = sent(&service.limits, request).await?;
    service.coordinator.resolve(number, resolution).await.map(Json).map_err(|error| {
        let kind = match &error {
            ResolveError::NoSuchCase(_) => ProblemType::NoSuchCase,
            ResolveError::Resolved(_) | ResolveError::Undecided { .. } => ProblemType::CaseNotResolvable,
            // The repair may have been made, and asking again finds out.
            ResolveError::NotNow(_) | ResolveError::Ledger(_) => ProblemType::OutcomeUnknown,
        };
        Box::new(Problem::new(kind, error.to_string()))
    })
}

async fn sent<T: DeserializeOwned>(limits: &Limits, request: Request) -> Result<T, Box<Problem>> {
    let (parts, body) = request.into_parts();
    body::require_json(&parts.headers)?;
    let json = body::read(&parts.headers, body, limits.body_bytes_max, limits.body_read_timeout).await?;
    body::parse(&json)
}
