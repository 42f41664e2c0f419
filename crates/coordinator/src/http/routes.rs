//! Which request is answered by what.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use env::Env;
use graph::{EntityId, Millis, TxId};
use http::header::DATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde::Deserialize;

use super::api::{Consistency, Entity, Health, IDEMPOTENCY_KEY, Outcome, Transaction, parse_key};
use super::server::Limits;
use super::{answers, body, stores};
use crate::commit::IdempotencyKey;
use crate::problem::{At, Problem, ProblemType};
use crate::service::Coordinator;

/// What handlers work with.
#[derive(Clone)]
pub(super) struct Service {
    pub coordinator: Coordinator,
    pub limits: Limits,
}

/// Everything the API answers.
pub(super) fn router(env: Env, coordinator: Coordinator, limits: Limits) -> Router {
    Router::new()
        .route("/transactions", post(submit))
        .route("/transactions/{tx}", get(outcome))
        .route("/entities/{*id}", get(read))
        .route("/healthz", get(health))
        .route("/status", get(status))
        .merge(stores::routes())
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(env, date_and_log))
        .with_state(Service { coordinator, limits })
}

async fn submit(State(service): State<Service>, request: Request) -> Result<Json<Outcome>, Box<Problem>> {
    let (parts, body) = request.into_parts();
    let key = idempotency_key(&parts.headers)?;
    body::require_json(&parts.headers)?;
    let Limits { body_bytes_max, body_read_timeout, .. } = service.limits;
    let json = body::read(&parts.headers, body, body_bytes_max, body_read_timeout).await?;
    let Transaction { operations: patch } = body::parse(&json)?;
    let answer = service.coordinator.submit(key, patch).await.map_err(|error| body::invalid(&error))?;
    answers::submitted(answer).map(Json)
}

async fn outcome(
    State(service): State<Service>,
    tx: Result<Path<String>, PathRejection>,
) -> Result<Json<Outcome>, Box<Problem>> {
    let tx = segment::<TxId>("tx", tx)?;
    answers::looked_up(service.coordinator.outcome(tx).await).map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadQuery {
    #[serde(default)]
    consistency: Consistency,
}

async fn read(
    State(service): State<Service>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Entity>, Box<Problem>> {
    let id = segment::<EntityId>("id", id)?;
    let Query(ReadQuery { consistency }) = Query::try_from_uri(&uri).map_err(|rejection| {
        let at = At::Query(uri.query().unwrap_or_default().to_owned());
        Box::new(Problem::new(ProblemType::MalformedRequest, rejection.body_text()).at(at))
    })?;
    match consistency {
        Consistency::Strong => answers::strong(&id, service.coordinator.read(id.clone()).await),
        Consistency::Eventual => {
            let view = service.coordinator.read_eventual(&id).await;
            answers::eventual(id, view)
        }
    }
    .map(Json)
}

async fn health(State(service): State<Service>) -> (StatusCode, Json<Health>) {
    let health = ask_health(&service.coordinator).await;
    let status = if health.status.halted { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(health))
}

async fn status(State(service): State<Service>) -> Json<Health> {
    Json(ask_health(&service.coordinator).await)
}

async fn ask_health(coordinator: &Coordinator) -> Health {
    Health { version: env!("CARGO_PKG_VERSION").to_owned(), status: coordinator.status().await }
}

async fn no_such_route(uri: Uri) -> Problem {
    Problem::new(
        ProblemType::NoSuchRoute,
        format!(
            "{} is not one of /transactions, /transactions/{{tx}}, /entities/{{id}}, /validations, /reconciliations, \
             /cases, /cases/{{number}}/resolution, /healthz and /status",
            uri.path()
        ),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not know {method}: see the Allow header for what it knows", uri.path());
    Problem::new(ProblemType::MethodNotAllowed, detail)
}

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Box<Problem>> {
    let problem = |detail: String| {
        let at = At::Header(IDEMPOTENCY_KEY.to_owned());
        Box::new(Problem::new(ProblemType::IdempotencyKeyInvalid, detail).at(at))
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (values.next(), values.next()) {
        (Some(key), None) => parse_key(key.as_bytes()).map_err(|error| problem(error.to_string())),
        (None, _) => Err(problem(
            "every transaction needs an Idempotency-Key of its own: a retry under the same key is the same transaction"
                .to_owned(),
        )),
        (Some(_), Some(_)) => Err(problem("there is more than one Idempotency-Key: send one".to_owned())),
    }
}

pub(super) fn segment<T: std::str::FromStr<Err: fmt::Display>>(
    name: &str,
    segment: Result<Path<String>, PathRejection>,
) -> Result<T, Box<Problem>> {
    let malformed =
        |detail: String| Box::new(Problem::new(ProblemType::MalformedRequest, detail).at(At::Path(name.to_owned())));
    let Path(text) = segment.map_err(|rejection| malformed(rejection.body_text()))?;
    text.parse().map_err(|error: T::Err| malformed(error.to_string()))
}

/// The last moment that an HTTP date can name, in milliseconds since the Unix epoch.
const LAST_DATE: Millis = Millis(253_402_300_799_999);

/// Dates the response and logs the exchange.
///
/// The HTTP library would date it by the system's clock, of which it keeps a copy for each
/// thread; the environment's clock is the one that a simulation sets.
async fn date_and_log(State(env): State<Env>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = next.run(request).await;
    // A clock may be anything, and the form of a date ends with the year 9999.
    let utc = env.utc_now().min(LAST_DATE);
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(utc.0));
    response.headers_mut().insert(DATE, HeaderValue::from_str(&date).expect("a date is visible ASCII"));
    tracing::debug!(%method, %uri, status = response.status().as_u16());
    response
}
